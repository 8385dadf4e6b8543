//! The LSTM whose gates see the cell state (Gers and Schmidhuber 2000; Gers et al. 2002).

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::LstmState;
use super::built_in::{built_in, check_gates, drawn, in_heads};
use super::heads::affine;
use crate::init;
use crate::sizes::check_parameters;

parameters! {
    /// The LSTM with peepholes (Gers, Schraudolph and Schmidhuber 2002, "Learning precise timing with LSTM recurrent networks"), in
    /// the form of Graves, Mohamed and Hinton (2013):
    ///
    /// ```text
    /// i = sigmoid(x·W_i + h·U_i + p_i ∘ c + b_i)       input gate
    /// f = sigmoid(x·W_f + h·U_f + p_f ∘ c + b_f)       forget gate
    /// g =    tanh(x·W_g + h·U_g + b_g)                 candidate
    /// c' = f ∘ c + i ∘ g                               cell state
    /// o = sigmoid(x·W_o + h·U_o + p_o ∘ c' + b_o)      output gate
    /// h' = o ∘ tanh c'                                 hidden state
    /// ```
    ///
    /// The output gate sees the new cell state. The weights of the four gates are concatenated along the last axis, in the order i,
    /// f, g, o. Input `[B, I]`, h and c `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{PeepholeLstm, unroll};
    ///
    /// let cell = PeepholeLstm::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&cell.on(&tape), x).last.cell.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct PeepholeLstm<P> {
        /// W, `[I, 4H]`.
        pub weight_ih: P,
        /// U, `[H, 4H]`; `[N, H/N, 4H/N]` in N heads.
        pub weight_hh: P,
        /// b, `[4H]`.
        pub bias: Option<P>,
        /// p_i, `[H]`.
        pub peephole_i: P,
        /// p_f, `[H]`.
        pub peephole_f: P,
        /// p_o, `[H]`.
        pub peephole_o: P,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_hidden: Option<P>,
        /// c_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_cell: Option<P>,
    }
}

impl<T: Scalar> PeepholeLstm<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let [weight_ih, weight_hh, bias] = drawn("PeepholeLstm", [inputs, hidden], 4, rng);
        PeepholeLstm {
            weight_ih,
            weight_hh,
            bias: Some(bias),
            peephole_i: init::uniform_hidden(&[hidden], hidden, rng),
            peephole_f: init::uniform_hidden(&[hidden], hidden, rng),
            peephole_o: init::uniform_hidden(&[hidden], hidden, rng),
            initial_hidden: None,
            initial_cell: None,
        }
    }
}

built_in!(PeepholeLstm { initial_hidden, initial_cell } gated);
in_heads!(PeepholeLstm { weight_hh: 4 });

impl<'t, T: Scalar> PeepholeLstm<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        let sizes @ [_, hidden] = check_gates("PeepholeLstm", 4, [self.weight_ih, self.weight_hh], self.bias);
        check_parameters(
            "PeepholeLstm",
            &[
                ("peephole_i", Some(self.peephole_i), &[hidden]),
                ("peephole_f", Some(self.peephole_f), &[hidden]),
                ("peephole_o", Some(self.peephole_o), &[hidden]),
            ],
        );
        sizes
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
        let i = (i + self.peephole_i * cell).sigmoid();
        let f = (f + self.peephole_f * cell).sigmoid();
        let cell = f * cell + i * change(g.tanh());
        let o = (o + self.peephole_o * cell).sigmoid();
        LstmState { hidden: o * cell.tanh(), cell }
    }
}
