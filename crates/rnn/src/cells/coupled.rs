//! The LSTM whose input gate is what the forget gate leaves (Greff et al. 2017).

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::LstmState;
use super::built_in::{built_in, check_gates, drawn, in_heads};
use super::heads::affine;

parameters! {
    /// The LSTM with coupled gates, i = 1 - f (Greff et al. 2017, "LSTM: a search space odyssey", where it is CIFG):
    ///
    /// ```text
    /// f = sigmoid(x·W_f + h·U_f + b_f)      forget gate
    /// g =    tanh(x·W_g + h·U_g + b_g)      candidate
    /// o = sigmoid(x·W_o + h·U_o + b_o)      output gate
    /// c' = f ∘ c + (1 - f) ∘ g              cell state: between c and g, so in ±1 if it starts there
    /// h' = o ∘ tanh c'                      hidden state
    /// ```
    ///
    /// The weights of the three gates are concatenated along the last axis, in the order f, g, o. Input `[B, I]`, h and c `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{CoupledLstm, unroll};
    ///
    /// let cell = CoupledLstm::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&cell.on(&tape), x).last.cell.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct CoupledLstm<P> {
        /// W, `[I, 3H]`.
        pub weight_ih: P,
        /// U, `[H, 3H]`; `[N, H/N, 3H/N]` in N heads.
        pub weight_hh: P,
        /// b, `[3H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_hidden: Option<P>,
        /// c_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_cell: Option<P>,
    }
}

impl<T: Scalar> CoupledLstm<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let [weight_ih, weight_hh, bias] = drawn("CoupledLstm", [inputs, hidden], 3, rng);
        CoupledLstm { weight_ih, weight_hh, bias: Some(bias), initial_hidden: None, initial_cell: None }
    }
}

built_in!(CoupledLstm { initial_hidden, initial_cell } gated);
in_heads!(CoupledLstm { weight_hh: 3 });

impl<'t, T: Scalar> CoupledLstm<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        check_gates("CoupledLstm", 3, [self.weight_ih, self.weight_hh], self.bias)
    }

    /// The equations, with `change` of the candidate g.
    fn next(
        &self,
        x: Var<'t, T>,
        LstmState { hidden, cell }: LstmState<'t, T>,
        change: impl FnOnce(Var<'t, T>) -> Var<'t, T>,
    ) -> LstmState<'t, T> {
        let gates = affine(&[(x, self.weight_ih), (hidden, self.weight_hh)], self.bias);
        let [f, g, o] = gates.split_named(1, &["f", "g", "o"]);
        let (f, g) = (f.sigmoid(), change(g.tanh()));
        let cell = g + f * (cell - g);
        LstmState { hidden: o.sigmoid() * cell.tanh(), cell }
    }
}
