//! A cell whose kind is chosen at run time.

use clap::ValueEnum;
use rand::Rng;
use rewind_autograd::parameters::Path;
use rewind_autograd::{Parameters, Tensor, Var};
use rewind_rnn::{Cell, Gru, Lstm, LstmState, State, TanhRnn};

/// The cells that a task can be given: `--cell`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CellKind {
    /// The basic recurrent network.
    Tanh,
    /// Long short-term memory.
    Lstm,
    /// The gated recurrent unit.
    Gru,
}

impl CellKind {
    /// The name on the command line, in results and in saved files.
    pub fn name(self) -> &'static str {
        match self {
            CellKind::Tanh => "tanh",
            CellKind::Lstm => "lstm",
            CellKind::Gru => "gru",
        }
    }

    /// The number of parameters of a cell with so many `inputs` and `hidden` units.
    pub fn parameters(self, inputs: usize, hidden: usize) -> u64 {
        let (gates, biases) = match self {
            CellKind::Tanh => (1, 1),
            CellKind::Lstm => (4, 4),
            // The reset gate acts on one of the two biases of n.
            CellKind::Gru => (3, 4),
        };
        let [inputs, hidden] = [inputs, hidden].map(|size| size as u64);
        hidden * (gates * (inputs + hidden) + biases)
    }
}

/// A cell of any of the three kinds.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape};
/// use rewind_examples::{AnyCell, CellKind};
/// use rewind_rnn::unroll;
///
/// let tape = Tape::new();
/// let cell = AnyCell::new(CellKind::Gru, 2, 3, 1.0, &mut StdRng::seed_from_u64(1));
/// let outputs = unroll(&cell.on(&tape), tape.zeros(&[7, 4, 2])).outputs();
/// assert_eq!(outputs.shape().as_slice(), [7, 4, 3]);
/// ```
#[derive(Clone, Debug)]
pub enum AnyCell<P> {
    /// [`TanhRnn`].
    Tanh(TanhRnn<P>),
    /// [`Lstm`].
    Lstm(Lstm<P>),
    /// [`Gru`].
    Gru(Gru<P>),
}

impl AnyCell<Tensor<f32>> {
    /// A new cell. `gain` multiplies the initial input weights: where most inputs are zeros, the usual ones give
    /// pre-activations of almost 0. The forget gates of an LSTM begin with a bias of 1.
    pub fn new(kind: CellKind, inputs: usize, hidden: usize, gain: f32, rng: &mut impl Rng) -> Self {
        let louder = |weight: &Tensor<f32>| weight.map(|w| w * gain);
        match kind {
            CellKind::Tanh => {
                let cell = TanhRnn::new(inputs, hidden, rng);
                AnyCell::Tanh(TanhRnn { weight_ih: louder(&cell.weight_ih), ..cell })
            }
            CellKind::Lstm => {
                let cell = Lstm::new(inputs, hidden, rng).with_forget_bias(1.0);
                AnyCell::Lstm(Lstm { weight_ih: louder(&cell.weight_ih), ..cell })
            }
            CellKind::Gru => {
                let cell = Gru::new(inputs, hidden, rng);
                AnyCell::Gru(Gru { weight_ih: louder(&cell.weight_ih), ..cell })
            }
        }
    }
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
pub enum AnyState<'t> {
    /// h.
    One(Var<'t, f32>),
    /// h and c.
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

    fn equations(&self, x: Var<'t, f32>, state: AnyState<'t>) -> AnyState<'t> {
        match (self, state) {
            (AnyCell::Tanh(cell), AnyState::One(h)) => AnyState::One(cell.equations(x, h)),
            (AnyCell::Gru(cell), AnyState::One(h)) => AnyState::One(cell.equations(x, h)),
            (AnyCell::Lstm(cell), AnyState::Two(state)) => AnyState::Two(cell.equations(x, state)),
            _ => unreachable!("a cell gets the states that it made"),
        }
    }

    fn features(&self) -> Option<usize> {
        whichever!(self, cell => cell.features())
    }

    fn initial(&self, batch: usize) -> AnyState<'t> {
        match self {
            AnyCell::Tanh(cell) => AnyState::One(cell.initial(batch)),
            AnyCell::Gru(cell) => AnyState::One(cell.initial(batch)),
            AnyCell::Lstm(cell) => AnyState::Two(cell.initial(batch)),
        }
    }
}
