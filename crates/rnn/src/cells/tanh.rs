//! The basic recurrent network (Elman 1990): one hidden layer that reads its previous output.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::{built_in, check_gates, drawn, in_heads};
use super::heads::affine;

parameters! {
    /// The tanh-RNN (Elman 1990):
    ///
    /// ```text
    /// h_t = tanh(x_t·W + h_(t-1)·U + b)
    /// ```
    ///
    /// The same W, U and b at every time step. Input `[B, I]`, state h `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{TanhRnn, unroll};
    ///
    /// let rnn = TanhRnn::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&rnn.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct TanhRnn<P> {
        /// W, `[I, H]`.
        pub weight_ih: P,
        /// U, `[H, H]`; `[N, H/N, H/N]` in N heads.
        pub weight_hh: P,
        /// b, `[H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
    }
}

impl<T: Scalar> TanhRnn<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features, all parameters uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let [weight_ih, weight_hh, bias] = drawn("TanhRnn", [inputs, hidden], 1, rng);
        TanhRnn { weight_ih, weight_hh, bias: Some(bias), initial: None }
    }
}

built_in!(TanhRnn { initial });
in_heads!(TanhRnn { weight_hh: 1 });

impl<'t, T: Scalar> TanhRnn<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        check_gates("TanhRnn", 1, [self.weight_ih, self.weight_hh], self.bias)
    }

    /// The equation.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        affine(&[(x, self.weight_ih), (h, self.weight_hh)], self.bias).tanh()
    }
}
