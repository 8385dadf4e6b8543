//! The classifier: a recurrent cell and a linear layer.

use clap::ValueEnum;
use rand::Rng;
use rewind_autograd::ops::layout::stack;
use rewind_autograd::{Tensor, Var, parameters};
use rewind_examples::{AnyCell, AnyState, CellKind};
use rewind_rnn::{Linear, Unroll, Unrolled};

use crate::score::Encoding;

/// The input of the readout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadOut {
    /// The output of the last time step, as in the lecture.
    Last,
    /// The mean of the outputs of all time steps.
    Mean,
}

parameters! {
    /// Scores in, logits of the classes out.
    pub(crate) struct Classifier<P> {
        pub(crate) cell: AnyCell<P>,
        pub(crate) readout: Linear<P>,
        #[setting]
        pub(crate) design: Design,
    }
}

/// The design of a classifier: the shapes of its parameters, and how it reads a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Design {
    pub(crate) kind: CellKind,
    /// H, units.
    pub(crate) hidden: usize,
    /// C, classes.
    pub(crate) classes: usize,
    /// I, the values of a time step, is its width.
    pub(crate) encoding: Encoding,
    /// The longest excerpt that it reads, in steps.
    pub(crate) max_steps: usize,
    pub(crate) read_out: ReadOut,
}

impl Design {
    /// The parameters of its classifier.
    pub(crate) fn parameters(self) -> u64 {
        let [hidden, classes] = [self.hidden, self.classes].map(|size| size as u64);
        self.kind.parameters(self.encoding.width(), self.hidden) + (hidden + 1) * classes
    }
}

impl Classifier<Tensor<f32>> {
    /// A new classifier. `gain` multiplies the input weights: a step of a score is mostly zeros, so with the usual initial
    /// values the pre-activations would be almost 0.
    pub(crate) fn new(design: Design, gain: f32, rng: &mut impl Rng) -> Self {
        let (inputs, hidden) = (design.encoding.width(), design.hidden);
        let cell = AnyCell::new(design.kind, inputs, hidden, gain, rng);
        Classifier { cell, readout: Linear::new(hidden, design.classes, rng), design }
    }
}

impl<'t> Classifier<Var<'t, f32>> {
    /// The unrolled cell and the logits `[B, C]` of a padded batch `[T, B, I]`.
    pub(crate) fn forward(
        &self,
        x: Var<'t, f32>,
        lengths: &[usize],
    ) -> (Unrolled<'t, f32, AnyState<'t>>, Var<'t, f32>) {
        let unrolled = Unroll::new().lengths(lengths).run(&self.cell, x);
        let seen = match self.design.read_out {
            ReadOut::Last => unrolled.last_output(),
            ReadOut::Mean => {
                // Outputs after the end of a sequence are 0 and add nothing.
                let outputs: Vec<_> = (0..unrolled.states.len()).map(|t| unrolled.output(t)).collect();
                let shares = Tensor::from_fn(&[lengths.len(), 1], |b| 1.0 / lengths[b] as f32);
                stack(&outputs, 0).sum_axis(0) * x.tape().constant(shares)
            }
        };
        let logits = self.readout.forward(seen);
        (unrolled, logits)
    }

    /// The logits `[T, C]` that [`Classifier::forward`] would give for one sequence `[T, 1, I]`, had it ended at each
    /// of its time steps.
    pub(crate) fn over_time(&self, x: Var<'t, f32>) -> Var<'t, f32> {
        let outputs = Unroll::new().run(&self.cell, x).outputs();
        let steps = outputs.shape()[0];
        let seen = match self.design.read_out {
            ReadOut::Last => outputs,
            ReadOut::Mean => {
                let shares = Tensor::from_fn(&[steps, 1, 1], |t| 1.0 / (t + 1) as f32);
                outputs.cumsum(0) * x.tape().constant(shares)
            }
        };
        let units = seen.shape()[2];
        self.readout.forward(seen.reshape(&[steps, units]))
    }
}
