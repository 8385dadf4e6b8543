//! The models: a perceptron, or a recurrent cell that reads row after row.

use clap::ValueEnum;
use rand::Rng;
use rewind_autograd::{Tensor, Var, parameters};
use rewind_examples::{AnyCell, CellKind};
use rewind_rnn::{Linear, Unroll};

/// What a model is built of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelKind {
    /// A hidden layer over all pixels (Rosenblatt 1958; Rumelhart et al. 1986).
    Perceptron,
    /// The basic recurrent network.
    Tanh,
    /// Long short-term memory.
    Lstm,
    /// The gated recurrent unit.
    Gru,
}

impl ModelKind {
    /// The name on the command line, in results and in saved files.
    pub(crate) fn name(self) -> &'static str {
        self.cell().map_or("perceptron", CellKind::name)
    }

    fn cell(self) -> Option<CellKind> {
        match self {
            ModelKind::Perceptron => None,
            ModelKind::Tanh => Some(CellKind::Tanh),
            ModelKind::Lstm => Some(CellKind::Lstm),
            ModelKind::Gru => Some(CellKind::Gru),
        }
    }
}

parameters! {
    /// Images in, logits of the classes out. The cell or the hidden layer is there.
    pub(crate) struct Classifier<P> {
        cell: Option<AnyCell<P>>,
        hidden: Option<Linear<P>>,
        readout: Linear<P>,
    }
}

/// The shapes of the parameters of a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Design {
    pub(crate) kind: ModelKind,
    /// H, units.
    pub(crate) hidden: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// C, classes.
    pub(crate) classes: usize,
}

impl Design {
    pub(crate) fn classifier(self, rng: &mut impl Rng) -> Classifier<Tensor<f32>> {
        let Design { kind, hidden, rows, columns, classes } = self;
        let cell = kind.cell().map(|kind| AnyCell::new(kind, columns, hidden, 1.0, rng));
        let layer = cell.is_none().then(|| Linear::new(rows * columns, hidden, rng));
        Classifier { cell, hidden: layer, readout: Linear::new(hidden, classes, rng) }
    }
}

impl<'t> Classifier<Var<'t, f32>> {
    /// Images x `[R, B, I]`, rows, images and columns, to logits `[B, C]`. The cell reads R time steps; the hidden layer
    /// reads the pixels of an image as one vector.
    pub(crate) fn forward(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let [rows, images, columns] = x.shape()[..] else {
            panic!("images have shape {:?}; expected [R, B, I]", x.shape())
        };
        let seen = match (&self.cell, &self.hidden) {
            (Some(cell), _) => Unroll::new().run(cell, x).last_output(),
            (None, Some(hidden)) => hidden.forward(x.permute(&[1, 0, 2]).reshape(&[images, rows * columns])).tanh(),
            (None, None) => unreachable!("a classifier has a cell or a hidden layer"),
        };
        self.readout.forward(seen)
    }
}
