//! Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::{built_in, check_gates, drawn, in_heads};
use super::heads::{self, affine};
use crate::cell::State;

parameters! {
    /// The LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000):
    ///
    /// ```text
    /// i = sigmoid(x·W_i + h·U_i + b_i)      input gate
    /// f = sigmoid(x·W_f + h·U_f + b_f)      forget gate
    /// g =    tanh(x·W_g + h·U_g + b_g)      candidate
    /// o = sigmoid(x·W_o + h·U_o + b_o)      output gate
    /// c' = f ∘ c + i ∘ g                    cell state
    /// h' = o ∘ tanh c'                      hidden state
    /// ```
    ///
    /// The weights of the four gates are concatenated along the last axis, in the order i, f, g, o. Input `[B, I]`, h and c
    /// `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Lstm, unroll};
    ///
    /// let lstm = Lstm::new(3, 5, &mut StdRng::seed_from_u64(1)).with_forget_bias(1.0);
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&lstm.on(&tape), x).last.cell.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct Lstm<P> {
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
    }
}

/// The two variables that an LSTM carries through time, `[B, H]` each.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape};
/// use rewind_rnn::{Lstm, LstmState, Unroll};
///
/// let lstm = Lstm::new(3, 5, &mut StdRng::seed_from_u64(1));
/// let tape = Tape::<f32>::new();
/// let first = LstmState { hidden: tape.zeros(&[2, 5]), cell: tape.zeros(&[2, 5]) };
/// let unrolled = Unroll::new().run_from(&lstm.on(&tape), tape.zeros(&[7, 2, 3]), first);
/// assert_eq!(unrolled.last.hidden.shape().as_slice(), [2, 5]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LstmState<'t, T: Scalar> {
    /// h, the hidden state: the output.
    pub hidden: Var<'t, T>,
    /// c, the cell state.
    pub cell: Var<'t, T>,
}

impl<'t, T: Scalar> State<'t, T> for LstmState<'t, T> {
    fn output(&self) -> Var<'t, T> {
        self.hidden
    }
    fn zip(self, other: Self, f: &mut dyn FnMut(Var<'t, T>, Var<'t, T>) -> Var<'t, T>) -> Self {
        LstmState { hidden: f(self.hidden, other.hidden), cell: f(self.cell, other.cell) }
    }
    fn part_names(&self) -> Vec<String> {
        vec!["hidden".to_owned(), "cell".to_owned()]
    }
}

impl<T: Scalar> Lstm<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let [weight_ih, weight_hh, bias] = drawn("Lstm", [inputs, hidden], 4, rng);
        Lstm { weight_ih, weight_hh, bias: Some(bias), initial_hidden: None, initial_cell: None }
    }

    /// The same cell with every bias of the forget gate set to `bias`. With 1, the forget gate of a new cell is nearly open
    /// (Gers et al. 2000; Jozefowicz et al. 2015).
    pub fn with_forget_bias(mut self, bias: T) -> Self {
        let hidden = heads::units(self.weight_hh.shape());
        let all = self.bias.get_or_insert_with(|| Tensor::zeros(&[4 * hidden]));
        all.as_mut_slice()[hidden..2 * hidden].fill(bias);
        self
    }
}

built_in!(Lstm { initial_hidden, initial_cell } gated);
in_heads!(Lstm { weight_hh: 4 });

impl<'t, T: Scalar> Lstm<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        check_gates("Lstm", 4, [self.weight_ih, self.weight_hh], self.bias)
    }

    /// The equations, with `change` of the candidate g.
    fn next(
        &self,
        x: Var<'t, T>,
        LstmState { hidden, cell }: LstmState<'t, T>,
        change: impl FnOnce(Var<'t, T>) -> Var<'t, T>,
    ) -> LstmState<'t, T> {
        let gates = affine(&[(x, self.weight_ih), (hidden, self.weight_hh)], self.bias);
        let [i, f, g, o] = gates.split_named(1, &["i", "f", "g", "o"]);
        let cell = f.sigmoid() * cell + i.sigmoid() * change(g.tanh());
        LstmState { hidden: o.sigmoid() * cell.tanh(), cell }
    }
}
