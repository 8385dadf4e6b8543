//! The LSTM with a matrix memory: the mLSTM of xLSTM (Beck et al. 2024).

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::built_in;
use super::exponential::{EMPTY, ForgetGate, Gates};
use crate::cell::State;
use crate::init;
use crate::sizes::{Expected, check_most, rows};

parameters! {
    /// The mLSTM (Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory"): N heads, each with a matrix that stores values v under keys k
    /// and is read with a query q. For one head of width D:
    ///
    /// ```text
    /// q, k, v, õ = x·W + b                  query, key, value, output gate: D each
    /// ĩ, f̃ = x·W_g + b_g                    a number each
    /// m' = max(ln f + m, ĩ)                 stabiliser
    /// i' = exp(ĩ - m')                      input gate
    /// f' = exp(ln f + m - m')               forget gate; f = sigmoid(f̃) or exp(f̃): see ForgetGate
    /// C' = f'·C + i'·kᵀv/√D                 cell state
    /// n' = f'·n + i'·k/√D                   normaliser
    /// h' = sigmoid(õ) ∘ q·C'/max(|q·n'|, exp(-m'))
    /// ```
    ///
    /// This is the stabilised form of the paper and of the authors' code (which adds 10⁻⁶ to the denominator): vectors are rows, so that the
    /// rows of C belong to keys and its columns to values, and k is scaled by 1/√D after its bias. C and n are stored times e^-m, which
    /// cancels in h.
    ///
    /// Nothing of a step depends on the h before it, so that many steps can be computed at once: [`InChunks`](crate::InChunks). Input `[B, I]`, h `[B, H]` with H = N·D, C `[B, N, D, D]`, n `[B, N, D]`,
    /// m `[B, N]`. The first state is h = C = n = 0 and m = -10³⁰, in place of -∞.
    ///
    /// exp(-m') is kept between e^-700 and e^700 (in `f32` e^-80 and e^80), lest a gradient be 0·∞ or 0/0. So h is inexact where it is
    /// smaller than e^-700·q·C' anyway, or where |q·n'| is that small.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{MLstm, unroll};
    ///
    /// let mlstm = MLstm::new(3, 8, 2, &mut StdRng::seed_from_u64(1)); // 2 heads of width 4
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 5, 3]);
    /// let unrolled = unroll(&mlstm.on(&tape), x);
    /// assert_eq!(unrolled.last_output().shape().as_slice(), [5, 8]);
    /// assert_eq!(unrolled.last.cell.shape().as_slice(), [5, 2, 4, 4]);
    /// ```
    #[derive(PartialEq)]
    pub struct MLstm<P> {
        /// W of the queries, keys, values and output gates, concatenated: `[I, 4H]`. Within each, head follows head.
        pub weight_ih: P,
        /// W_g of the input gates and the forget gates of all heads, concatenated: `[I, 2N]`.
        pub weight_gates: P,
        /// b, `[4H]`.
        pub bias: Option<P>,
        /// b_g, `[2N]`.
        pub bias_gates: Option<P>,
        /// How the forget gate is computed.
        #[setting]
        pub forget: ForgetGate,
    }
}

/// The four variables that an mLSTM carries through time. C and n mean C·e^m and n·e^m.
///
/// The hidden state is no input of the next step: it is carried since it is the output.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape};
/// use rewind_rnn::{Cell, MLstm, MLstmState, Unroll};
///
/// let mlstm = MLstm::new(3, 8, 2, &mut StdRng::seed_from_u64(1));
/// let tape = Tape::<f32>::new();
/// let cell = mlstm.on(&tape);
/// let first = MLstmState { stabiliser: tape.zeros(&[5, 2]), ..cell.initial(5) };
/// let unrolled = Unroll::new().run_from(&cell, tape.zeros(&[7, 5, 3]), first);
/// assert_eq!(unrolled.last.normaliser.shape().as_slice(), [5, 2, 4]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MLstmState<'t, T: Scalar> {
    /// h, `[B, H]`: the output.
    pub hidden: Var<'t, T>,
    /// C, `[B, N, D, D]`: batch, head, key, value.
    pub cell: Var<'t, T>,
    /// n, `[B, N, D]`: the sum of the weighted keys.
    pub normaliser: Var<'t, T>,
    /// m, `[B, N]`: the logarithm of the unit of C and n.
    pub stabiliser: Var<'t, T>,
}

impl<'t, T: Scalar> State<'t, T> for MLstmState<'t, T> {
    fn output(&self) -> Var<'t, T> {
        self.hidden
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
        MLstmState {
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

/// The sizes of an mLSTM: I features, N heads of width D.
#[derive(Clone, Copy)]
pub(crate) struct HeadSizes {
    pub(crate) inputs: usize,
    pub(crate) heads: usize,
    pub(crate) width: usize,
}

impl<T: Scalar> MLstm<Tensor<T>> {
    /// A cell with `hidden` units in `heads` heads for `inputs` features, with a sigmoid forget gate. Initial values as in the authors'
    /// code: the gates do not depend on x at first (W_g = 0), the biases of the forget gates rise evenly from 3 to 6 from head to head, those
    /// of the input gates are normal with deviation 0.1. W is uniform in ±1/√I, b is 0.
    ///
    /// # Panics
    /// If `inputs`, `hidden` or `heads` is 0, or `hidden` is no multiple of `heads`.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, heads: usize, rng: &mut impl Rng) -> Self {
        if inputs == 0 || hidden == 0 || heads == 0 || !hidden.is_multiple_of(heads) {
            panic!(
                "MLstm: {inputs} inputs and {hidden} hidden units in {heads} heads; expected at least one of each, and heads of equal width"
            );
        }
        check_most("MLstm", inputs, hidden);
        let mut bias_gates = init::normal::<T>(&[2 * heads], 0.1, rng);
        for (head, bias) in bias_gates.as_mut_slice()[heads..].iter_mut().enumerate() {
            *bias = T::from_f64(3.0 + 3.0 * head as f64 / (heads.max(2) - 1) as f64);
        }
        MLstm {
            weight_ih: init::uniform_hidden(&[inputs, 4 * hidden], inputs, rng),
            weight_gates: init::zeros(&[inputs, 2 * heads]),
            bias: Some(init::zeros(&[4 * hidden])),
            bias_gates: Some(bias_gates),
            forget: ForgetGate::Sigmoid,
        }
    }
}

built_in!(MLstm(3, 8, 2, rng) {
    sizes: HeadSizes { inputs, heads, width },
    x: [inputs],
    state: MLstmState,
    learned: {},
    constant: {
        hidden: [heads * width] = |_| 0.0,
        cell: [heads, width, width] = |_| 0.0,
        normaliser: [heads, width] = |_| 0.0,
        stabiliser: [heads] = |_| EMPTY,
    },
});

impl<'t, T: Scalar> MLstm<Var<'t, T>> {
    /// The sizes, after a check that all parameters fit them.
    #[track_caller]
    pub(crate) fn sizes(&self) -> HeadSizes {
        let columns = |weight: Var<'t, T>| weight.shape().get(1).copied().unwrap_or(0);
        let (inputs, heads) = (rows(self.weight_ih), columns(self.weight_gates) / 2);
        let hidden = columns(self.weight_ih) / 4;
        let parameters: [Expected<'_, 't, T>; 4] = [
            ("weight_ih", Some(self.weight_ih), &[inputs, 4 * hidden]),
            ("weight_gates", Some(self.weight_gates), &[inputs, 2 * heads]),
            ("bias", self.bias, &[4 * hidden]),
            ("bias_gates", self.bias_gates, &[2 * heads]),
        ];
        for (name, parameter, expected) in parameters {
            if let Some(parameter) = parameter
                && !parameter.has_shape(expected)
            {
                let shape = parameter.shape();
                panic!("MLstm: {name} has shape {:?}; expected {expected:?}, by its weights", shape.as_slice());
            }
        }
        if heads == 0 || !hidden.is_multiple_of(heads) {
            panic!(
                "MLstm: {hidden} hidden units in {heads} heads, by the columns of its weights; expected heads of equal width"
            );
        }
        HeadSizes { inputs, heads, width: hidden / heads }
    }

    /// The equations.
    fn next(&self, x: Var<'t, T>, state: MLstmState<'t, T>) -> MLstmState<'t, T> {
        let shape = state.normaliser.shape(); // [B, N, D]
        let [i, f] = x.affine(self.weight_gates, self.bias_gates).split_named(1, &["i", "f"]);
        let Gates { input, forget, stabiliser } = self.forget.stabilised(i, f, state.stabiliser);
        let read = x.affine(self.weight_ih, self.bias).reshape(&[shape[0], 4, shape[1], shape[2]]);
        let [q, k, v, o] = [0, 1, 2, 3].map(|part| read.index(1, part));

        let k = k * scaled(input, shape[2]).unsqueeze(2);
        let cell = forget.unsqueeze(2).unsqueeze(3) * state.cell + k.unsqueeze(3) * v.unsqueeze(2);
        let normaliser = forget.unsqueeze(2) * state.normaliser + k;

        let found = q.unsqueeze(2).matmul(cell).index(2, 0);
        let norm = norm((q * normaliser).sum_axis(2), stabiliser).unsqueeze(2);
        MLstmState { hidden: (o.sigmoid() * found / norm).reshape(&state.hidden.shape()), cell, normaliser, stabiliser }
    }
}

/// x/√D.
pub(crate) fn scaled<T: Scalar>(x: Var<'_, T>, width: usize) -> Var<'_, T> {
    x * T::from_f64((width as f64).sqrt().recip())
}

/// max(|q·n|, exp(-m)), the second within what a quotient can bear.
pub(crate) fn norm<'t, T: Scalar>(found: Var<'t, T>, stabiliser: Var<'t, T>) -> Var<'t, T> {
    let most = T::from_f64(if T::EPSILON.to_f64() < 1e-10 { 700.0 } else { 80.0 });
    found.abs().maximum((-stabiliser).clamp(-most, most).exp())
}
