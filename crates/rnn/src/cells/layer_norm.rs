//! The LSTM with layer normalisation (Ba et al. 2016).

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::LstmState;
use super::built_in::{built_in, check_gates, drawn, in_heads};
use super::heads::product;
use crate::sizes::check_parameters;

parameters! {
    /// The LSTM with layer normalisation (Ba, Kiros and Hinton 2016, "Layer normalization", equations 20 to 22):
    ///
    /// ```text
    /// (i, f, g, o) = norm(x·W; α_x, β_x) + norm(h·U; α_h, β_h)      over the 4H elements of all gates together
    /// c' = sigmoid f ∘ c + sigmoid i ∘ tanh g                       cell state
    /// h' = sigmoid o ∘ tanh norm(c'; α_c, β_c)                      hidden state
    /// norm(a; α, β) = (a - mean a)/√(variance of a + ε) ∘ α + β
    /// ```
    ///
    /// Mean and variance of a product are those of its 4H elements, as in the paper; other implementations normalise each gate
    /// alone, which is another function. c' is carried on as it is, not normalised. The paper adds a further bias, which β_x and
    /// β_h contain. The order of the gates is i, f, g, o. Input `[B, I]`, h and c `[B, H]`; H = 1 leaves nothing of the cell state,
    /// which is its own mean.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{LayerNormLstm, unroll};
    ///
    /// let cell = LayerNormLstm::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&cell.on(&tape), x).last.cell.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct LayerNormLstm<P> {
        /// W, `[I, 4H]`.
        pub weight_ih: P,
        /// U, `[H, 4H]`; `[N, H/N, 4H/N]` in N heads.
        pub weight_hh: P,
        /// α_x, `[4H]`.
        pub gain_ih: P,
        /// β_x, `[4H]`.
        pub bias_ih: P,
        /// α_h, `[4H]`.
        pub gain_hh: P,
        /// β_h, `[4H]`.
        pub bias_hh: P,
        /// α_c, `[H]`.
        pub gain_cell: P,
        /// β_c, `[H]`.
        pub bias_cell: P,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_hidden: Option<P>,
        /// c_0, `[H]`, if it is learned; zeros otherwise.
        pub initial_cell: Option<P>,
        /// ε, positive: without it, a first state of zeros has no gradient.
        #[setting]
        pub epsilon: f64,
    }
}

impl<T: Scalar> LayerNormLstm<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features: W and U uniform in ±1/√H, gains 1, biases 0 (as in the paper), ε = 1e-5.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let [weight_ih, weight_hh, _] = drawn("LayerNormLstm", [inputs, hidden], 4, rng);
        LayerNormLstm {
            weight_ih,
            weight_hh,
            gain_ih: Tensor::full(&[4 * hidden], T::ONE),
            bias_ih: Tensor::zeros(&[4 * hidden]),
            gain_hh: Tensor::full(&[4 * hidden], T::ONE),
            bias_hh: Tensor::zeros(&[4 * hidden]),
            gain_cell: Tensor::full(&[hidden], T::ONE),
            bias_cell: Tensor::zeros(&[hidden]),
            initial_hidden: None,
            initial_cell: None,
            epsilon: 1e-5,
        }
    }
}

built_in!(LayerNormLstm { initial_hidden, initial_cell } gated);
in_heads!(LayerNormLstm { weight_hh: 4 });

impl<'t, T: Scalar> LayerNormLstm<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        let sizes @ [_, hidden] = check_gates("LayerNormLstm", 4, [self.weight_ih, self.weight_hh], None);
        check_parameters(
            "LayerNormLstm",
            &[
                ("gain_ih", Some(self.gain_ih), &[4 * hidden]),
                ("bias_ih", Some(self.bias_ih), &[4 * hidden]),
                ("gain_hh", Some(self.gain_hh), &[4 * hidden]),
                ("bias_hh", Some(self.bias_hh), &[4 * hidden]),
                ("gain_cell", Some(self.gain_cell), &[hidden]),
                ("bias_cell", Some(self.bias_cell), &[hidden]),
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
        let epsilon = T::from_f64(self.epsilon);
        let from_input = x.matmul(self.weight_ih).layer_norm(self.gain_ih, self.bias_ih, epsilon);
        let from_state = product(hidden, self.weight_hh).layer_norm(self.gain_hh, self.bias_hh, epsilon);
        let [i, f, g, o] = (from_input + from_state).split_named(1, &["i", "f", "g", "o"]);
        let cell = f.sigmoid() * cell + i.sigmoid() * change(g.tanh());
        let normalised = cell.layer_norm(self.gain_cell, self.bias_cell, epsilon);
        LstmState { hidden: o.sigmoid() * normalised.tanh(), cell }
    }
}
