//! The cells that are compared.

use clap::ValueEnum;
use rand::Rng;
use rewind_rnn::{Gru, LayerModule, Linear, Lstm, MinLstm, Recurrent, ReluRnn, SLstm, Scan, TanhRnn};

use crate::train::{Job, Purpose, Training, train as train_network};

/// Units of each cell.
pub(crate) const HIDDEN: usize = 64;

/// A cell and the way it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CellKind {
    /// The tanh-RNN.
    Tanh,
    /// The ReLU-RNN that starts as the identity (Le et al. 2015).
    Irnn,
    /// The LSTM, with a forget bias of 1 (Gers et al. 2000, Jozefowicz et al. 2015).
    Lstm,
    /// The GRU.
    Gru,
    /// The sLSTM of xLSTM, with a forget bias of 3.
    Slstm,
    /// The minLSTM, all time steps in one op, with a forget bias of 3.
    Minlstm,
}

impl CellKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            CellKind::Tanh => "tanh",
            CellKind::Irnn => "irnn",
            CellKind::Lstm => "lstm",
            CellKind::Gru => "gru",
            CellKind::Slstm => "slstm",
            CellKind::Minlstm => "minlstm",
        }
    }

    /// The learning rate of Adam, found by `--search`.
    pub(crate) fn learning_rate(self) -> f64 {
        match self {
            CellKind::Tanh | CellKind::Irnn | CellKind::Lstm => 1e-2,
            CellKind::Gru | CellKind::Slstm => 3e-2,
            CellKind::Minlstm => 3e-1,
        }
    }
}

/// Trains a new network with the cell of the job.
pub(crate) fn train(job: &Job) -> Training {
    let rng = &mut job.rng(Purpose::Weights);
    let inputs = job.problem.task.inputs();
    match job.cell {
        CellKind::Tanh => finish(Recurrent(TanhRnn::new(inputs, HIDDEN, rng)), job, rng),
        CellKind::Irnn => finish(Recurrent(ReluRnn::identity(inputs, HIDDEN, rng)), job, rng),
        CellKind::Lstm => finish(Recurrent(Lstm::new(inputs, HIDDEN, rng).with_forget_bias(1.0)), job, rng),
        CellKind::Gru => finish(Recurrent(Gru::new(inputs, HIDDEN, rng)), job, rng),
        CellKind::Slstm => finish(Recurrent(SLstm::new(inputs, HIDDEN, rng).with_forget_bias(3.0)), job, rng),
        CellKind::Minlstm => finish(Scan(MinLstm::new(inputs, HIDDEN, rng).with_forget_bias(3.0)), job, rng),
    }
}

/// Adds the readout and trains.
fn finish<L>(layer: L, job: &Job, rng: &mut impl Rng) -> Training
where
    (L, Linear<rewind_autograd::Tensor<f32>>): LayerModule<f32>,
{
    train_network((layer, Linear::new(HIDDEN, job.problem.task.outputs(), rng)), job)
}
