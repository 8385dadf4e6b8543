//! The classifier: one recurrent cell or two, dropout, and a linear layer.

use rand::Rng;
use rewind_autograd::{OnTape, Tensor, Var, parameters};
use rewind_examples::{CellKind, ReadOut, Reading};
use rewind_rnn::{Dropout, Linear, Noise, Unroll};

/// The design of a classifier: the shapes of its parameters, and how it reads a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Design {
    pub(crate) kind: CellKind,
    /// Whether a second cell reads the series from its end.
    pub(crate) both_ways: bool,
    /// I, the values of a time step.
    pub(crate) per_step: usize,
    /// The values of a series.
    pub(crate) values: usize,
    /// H, units of a cell.
    pub(crate) hidden: usize,
    /// C, classes.
    pub(crate) classes: usize,
    pub(crate) read_out: ReadOut,
    /// The rate of the dropout before the readout.
    pub(crate) dropout: f64,
}

parameters! {
    /// Series in, logits of the classes out.
    pub(crate) struct Classifier<P> {
        pub(crate) cells: Reading<P>,
        pub(crate) readout: Linear<P>,
        #[setting]
        pub(crate) design: Design,
    }
}

impl Design {
    /// The parameters of its classifier.
    pub(crate) fn parameters(self) -> u64 {
        let Design { kind, both_ways, per_step, hidden, classes, .. } = self;
        let read = if both_ways { 2 * hidden } else { hidden };
        Reading::parameters(kind, [per_step, hidden], both_ways) + ((read + 1) * classes) as u64
    }
}

impl Classifier<Tensor<f32>> {
    pub(crate) fn new(design: Design, rng: &mut impl Rng) -> Self {
        let Design { kind, per_step, hidden, both_ways, classes, .. } = design;
        let cells = Reading::new(kind, [per_step, hidden], 1.0, both_ways, rng);
        Classifier { readout: Linear::new(cells.width(), classes, rng), cells, design }
    }
}

impl<'t> Classifier<Var<'t, f32>> {
    /// The logits `[B, C]` of a padded batch `[T, B, I]`. Without noise there is no dropout.
    pub(crate) fn logits(&self, x: Var<'t, f32>, lengths: &[usize], noise: Option<Noise>) -> Var<'t, f32> {
        let seen = self.cells.read(x, lengths, self.design.read_out);
        let [batch, width] = seen.shape()[..] else { unreachable!("what is read is [B, R]") };
        let how = noise.map_or(Unroll::new(), |noise| Unroll::new().noise(noise));
        // To a layer, this is a sequence of one step.
        let dropped = how.through(&Dropout::new(self.design.dropout).on(x.tape()), seen.reshape(&[1, batch, width]));
        self.readout.forward(dropped.outputs.reshape(&[batch, width]))
    }
}
