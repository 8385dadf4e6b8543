//! The independently recurrent network (Li et al. 2018): every unit reads its own state alone.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use super::built_in::built_in;
use crate::init;
use crate::sizes::{check_parameters, check_sizes, rows};

parameters! {
    /// The IndRNN (Li et al. 2018, "Independently recurrent neural network (IndRNN): building a longer and deeper RNN"):
    ///
    /// ```text
    /// h' = max(x·W + u ∘ h + b, 0)
    /// ```
    ///
    /// Without input, unit j forgets or grows by the factor u_j in each step, whatever the others do. Input `[B, I]`, state h
    /// `[B, H]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{IndRnn, unroll};
    ///
    /// let cell = IndRnn::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let x = tape.zeros(&[7, 2, 3]);
    /// assert_eq!(unroll(&cell.on(&tape), x).last.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct IndRnn<P> {
        /// W, `[I, H]`.
        pub weight_ih: P,
        /// u, `[H]`.
        pub weight_hh: P,
        /// b, `[H]`.
        pub bias: Option<P>,
        /// h_0, `[H]`, if it is learned; zeros otherwise.
        pub initial: Option<P>,
    }
}

impl<T: Scalar> IndRnn<Tensor<T>> {
    /// A cell with `hidden` units for `inputs` features: u uniform in [0, 1), so that no unit grows, and the other parameters
    /// uniform in ±1/√H.
    ///
    /// # Panics
    /// If `inputs` or `hidden` is 0, or above 2^32.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        check_sizes("IndRnn", inputs, hidden);
        IndRnn {
            weight_ih: init::uniform_hidden(&[inputs, hidden], hidden, rng),
            weight_hh: init::uniform(&[hidden], 0.5, rng).map(|u: T| u + T::from_f64(0.5)),
            bias: Some(init::uniform_hidden(&[hidden], hidden, rng)),
            initial: None,
        }
    }
}

built_in!(IndRnn { initial });

impl<'t, T: Scalar> IndRnn<Var<'t, T>> {
    /// I and H, after a check that all parameters fit them.
    #[track_caller]
    fn sizes(&self) -> [usize; 2] {
        let [inputs, hidden] = [rows(self.weight_ih), rows(self.weight_hh)];
        check_parameters(
            "IndRnn",
            &[
                ("weight_ih", Some(self.weight_ih), &[inputs, hidden]),
                ("weight_hh", Some(self.weight_hh), &[hidden]),
                ("bias", self.bias, &[hidden]),
            ],
        );
        [inputs, hidden]
    }

    /// The equation.
    fn next(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        (x.affine(self.weight_ih, self.bias) + h * self.weight_hh).relu()
    }
}
