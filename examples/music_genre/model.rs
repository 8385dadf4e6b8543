//! The classifier: a recurrent cell of a kind that is chosen at run time, and a linear layer.

use clap::ValueEnum;
use rand::Rng;
use rewind_autograd::ops::layout::stack;
use rewind_autograd::parameters::Path;
use rewind_autograd::{Parameters, Tensor, Var, parameters};
use rewind_rnn::{Cell, Gru, Linear, Lstm, LstmState, State, TanhRnn, Unroll, Unrolled};

use crate::score::Encoding;

/// The three cells of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CellKind {
    /// The basic recurrent network.
    Tanh,
    /// Long short-term memory.
    Lstm,
    /// The gated recurrent unit.
    Gru,
}

impl CellKind {
    /// The name on the command line, in results and in saved files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            CellKind::Tanh => "tanh",
            CellKind::Lstm => "lstm",
            CellKind::Gru => "gru",
        }
    }
}

/// The input of the readout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadOut {
    /// The output of the last time step, as in the lecture.
    Last,
    /// The mean of the outputs of all time steps.
    Mean,
}

/// A cell of any of the three kinds.
#[derive(Clone, Debug)]
pub(crate) enum AnyCell<P> {
    Tanh(TanhRnn<P>),
    Lstm(Lstm<P>),
    Gru(Gru<P>),
}

/// Expands `$body` for each kind of `$cell`.
macro_rules! whichever {
    ($any:expr, $cell:ident => $body:expr) => {
        match $any {
            AnyCell::Tanh($cell) => $body,
            AnyCell::Lstm($cell) => $body,
            AnyCell::Gru($cell) => $body,
        }
    };
}

impl<P> Parameters<P> for AnyCell<P> {
    type With<Q> = AnyCell<Q>;

    fn visit_mut_at(&mut self, path: &mut Path, f: &mut dyn FnMut(&str, &mut P)) {
        whichever!(self, cell => cell.visit_mut_at(path, f));
    }

    fn map_at<'a, Q>(&'a self, path: &mut Path, f: &mut dyn FnMut(&str, &'a P) -> Q) -> AnyCell<Q> {
        match self {
            AnyCell::Tanh(cell) => AnyCell::Tanh(cell.map_at(path, f)),
            AnyCell::Lstm(cell) => AnyCell::Lstm(cell.map_at(path, f)),
            AnyCell::Gru(cell) => AnyCell::Gru(cell.map_at(path, f)),
        }
    }
}

/// The state of a cell of any kind: h alone, or h and c.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnyState<'t> {
    One(Var<'t, f32>),
    Two(LstmState<'t, f32>),
}

impl<'t> State<'t, f32> for AnyState<'t> {
    fn output(&self) -> Var<'t, f32> {
        match self {
            AnyState::One(h) => *h,
            AnyState::Two(state) => state.hidden,
        }
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, f32>, Var<'t, f32>) -> Var<'t, f32>) -> Self {
        match (self, other) {
            (AnyState::One(a), AnyState::One(b)) => AnyState::One(a.zip(b, f)),
            (AnyState::Two(a), AnyState::Two(b)) => AnyState::Two(a.zip(b, f)),
            _ => unreachable!("both states come from one cell"),
        }
    }
}

impl<'t> Cell<'t, f32> for AnyCell<Var<'t, f32>> {
    type State = AnyState<'t>;

    fn step(&self, x: Var<'t, f32>, state: AnyState<'t>) -> AnyState<'t> {
        match (self, state) {
            (AnyCell::Tanh(cell), AnyState::One(h)) => AnyState::One(cell.step(x, h)),
            (AnyCell::Gru(cell), AnyState::One(h)) => AnyState::One(cell.step(x, h)),
            (AnyCell::Lstm(cell), AnyState::Two(state)) => AnyState::Two(cell.step(x, state)),
            _ => unreachable!("a cell gets the states that it made"),
        }
    }

    fn initial(&self, batch: usize) -> AnyState<'t> {
        match self {
            AnyCell::Tanh(cell) => AnyState::One(cell.initial(batch)),
            AnyCell::Gru(cell) => AnyState::One(cell.initial(batch)),
            AnyCell::Lstm(cell) => AnyState::Two(cell.initial(batch)),
        }
    }
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

impl Classifier<Tensor<f32>> {
    /// A new classifier. `gain` multiplies the input weights: a step of a score is mostly zeros, so with the usual initial
    /// values the pre-activations would be almost 0.
    pub(crate) fn new(design: Design, gain: f32, rng: &mut impl Rng) -> Self {
        let (inputs, hidden) = (design.encoding.width(), design.hidden);
        let louder = |weight: Tensor<f32>| weight.map(|w| w * gain);
        let cell = match design.kind {
            CellKind::Tanh => {
                let cell = TanhRnn::new(inputs, hidden, rng);
                AnyCell::Tanh(TanhRnn { weight_ih: louder(cell.weight_ih.clone()), ..cell })
            }
            CellKind::Lstm => {
                let cell = Lstm::new(inputs, hidden, rng).with_forget_bias(1.0);
                AnyCell::Lstm(Lstm { weight_ih: louder(cell.weight_ih.clone()), ..cell })
            }
            CellKind::Gru => {
                let cell = Gru::new(inputs, hidden, rng);
                AnyCell::Gru(Gru { weight_ih: louder(cell.weight_ih.clone()), ..cell })
            }
        };
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
