//! The scalar LSTM with exponential gates: the sLSTM of xLSTM (Beck et al. 2024).

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::{built_in, check_gates, drawn, in_heads};
use super::exponential::{EMPTY, ForgetGate};
use super::heads::{self, affine};
use crate::cell::State;

parameters! {
    /// The sLSTM (Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory"): an LSTM that weighs its inputs by an exponential gate,
    /// and can so revise what it has stored.
    ///
    /// ```text
    /// ĩ, f̃, z̃, õ = x·W + h·U + b
    /// m' = max(ln f + m, ĩ)                 stabiliser
    /// i' = exp(ĩ - m')                      input gate
    /// f' = exp(ln f + m - m')               forget gate; f = sigmoid(f̃) or exp(f̃): see ForgetGate
    /// c' = f' ∘ c + i' ∘ tanh z̃             cell state
    /// n' = f' ∘ n + i'                      normaliser: the sum of the weights in c'
    /// h' = sigmoid(õ) ∘ c'/n'               hidden state
    /// ```
    ///
    /// c and n are stored times e^-m, which cancels in h: gates of any size neither overflow nor lose a sequence. The weights of the
    /// four gates are concatenated along the last axis, in the order i, f, z, o. Input `[B, I]`, h, c, n and m `[B, H]`.
    ///
    /// The first state is h = c = n = 0 and m = -10³⁰, in place of -∞: after the first step n' is at least 1. A learned c_0 has the weight 1
    /// (n = 1, m = 0). Check a cell with learned first states: of one without, [`check::cell`](crate::check::cell) reports that m_0 is
    /// ignored.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{SLstm, unroll};
    ///
    /// let slstm = SLstm::new(3, 5, &mut StdRng::seed_from_u64(1)).with_forget_bias(3.0);
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// let last = unroll(&slstm.on(&tape), x).last;
    /// assert_eq!(last.normaliser.shape().as_slice(), [2, 5]);
    /// assert!(last.normaliser.value().to_vec().iter().all(|&n| n >= 1.0));
    /// ```
    #[derive(PartialEq)]
    pub struct SLstm<P> {
        /// W, `[I, 4H]`.
        pub weight_ih: P,
        /// U, `[H, 4H]`; `[N, H/N, 4H/N]` in N heads.
        pub weight_hh: P,
        /// b, `[4H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_hidden: Option<P>,
        /// c_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_cell: Option<P>,
        /// How the forget gate is computed.
        #[setting]
        pub forget: ForgetGate,
    }
}

/// The four variables that an sLSTM carries through time, `[B, H]` each. c and n mean c·e^m and n·e^m.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape, Tensor};
/// use rewind_rnn::{SLstm, SLstmState, Unroll};
///
/// let slstm = SLstm::new(3, 5, &mut StdRng::seed_from_u64(1));
/// let tape = Tape::<f32>::new();
/// let (zeros, ones) = (tape.zeros(&[2, 5]), tape.constant(Tensor::full(&[2, 5], 1.0)));
/// // A cell state of 0 that counts as much as an input with ĩ = 0.
/// let first = SLstmState { hidden: zeros, cell: zeros, normaliser: ones, stabiliser: zeros };
/// let unrolled = Unroll::new().run_from(&slstm.on(&tape), tape.zeros(&[7, 2, 3]), first);
/// assert_eq!(unrolled.last.cell.shape().as_slice(), [2, 5]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SLstmState<'t, T: Scalar> {
    /// h, the hidden state: the output.
    pub hidden: Var<'t, T>,
    /// c, the cell state.
    pub cell: Var<'t, T>,
    /// n, the sum of the weights in c.
    pub normaliser: Var<'t, T>,
    /// m, the logarithm of the unit of c and n.
    pub stabiliser: Var<'t, T>,
}

impl<'t, T: Scalar> State<'t, T> for SLstmState<'t, T> {
    fn output(&self) -> Var<'t, T> {
        self.hidden
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
        SLstmState {
            hidden: f(self.hidden, other.hidden),
            cell: f(self.cell, other.cell),
            normaliser: f(self.normaliser, other.normaliser),
            stabiliser: f(self.stabiliser, other.stabiliser),
        }
    }
    fn part_names(&self) -> Vec<String> {
        ["hidden", "cell", "normaliser", "stabiliser"].map(str::to_owned).to_vec()
    }
    fn has_units(&self) -> bool {
        true
    }
}

impl<T: Scalar> SLstm<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H, with a sigmoid forget gate.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let [weight_ih, weight_hh, bias] = drawn("SLstm", [inputs, hidden], 4, rng);
        let (initial_hidden, initial_cell) = (None, None);
        SLstm { weight_ih, weight_hh, bias: Some(bias), initial_hidden, initial_cell, forget: ForgetGate::Sigmoid }
    }

    /// The same cell with every bias of the forget gate set to `bias`.
    pub fn with_forget_bias(mut self, bias: T) -> Self {
        let hidden = heads::units(self.weight_hh.shape());
        let all = self.bias.get_or_insert_with(|| Tensor::zeros(&[4 * hidden]));
        all.as_mut_slice()[hidden..2 * hidden].fill(bias);
        self
    }
}

built_in!(SLstm(3, 5, rng) {
    sizes: [inputs, units],
    x: [inputs],
    state: SLstmState,
    learned: { hidden: [units] = initial_hidden, cell: [units] = initial_cell },
    constant: { normaliser: [units] = Self::first_normaliser, stabiliser: [units] = Self::first_stabiliser },
});
in_heads!(SLstm { weight_hh: 4 });

impl<'t, T: Scalar> SLstm<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        check_gates("SLstm", 4, [self.weight_ih, self.weight_hh], self.bias)
    }

    /// n_0: the weight of c_0, if that is learned.
    fn first_normaliser(&self) -> f64 {
        if self.initial_cell.is_some() { 1.0 } else { 0.0 }
    }

    /// m_0.
    fn first_stabiliser(&self) -> f64 {
        if self.initial_cell.is_some() { 0.0 } else { EMPTY }
    }

    /// The equations.
    fn next(&self, x: Var<'t, T>, state: SLstmState<'t, T>) -> SLstmState<'t, T> {
        let gates = affine(&[(x, self.weight_ih), (state.hidden, self.weight_hh)], self.bias);
        let [i, f, z, o] = gates.split_named(1, &["i", "f", "z", "o"]);
        let gates = self.forget.stabilised(i, f, state.stabiliser);
        let cell = gates.forget * state.cell + gates.input * z.tanh();
        let normaliser = gates.forget * state.normaliser + gates.input;
        SLstmState { hidden: o.sigmoid() * cell / normaliser, cell, normaliser, stabiliser: gates.stabiliser }
    }
}
