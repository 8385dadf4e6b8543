//! Layer normalisation of every time step.

use rewind_autograd::{Scalar, Tensor, Var, parameters};

use crate::sizes::{check_parameters, rows};
use crate::time::{Layer, LayerOutputs, Unroll};

parameters! {
    /// Layer normalisation (Ba et al. 2016) of the features of every time step: (x - mean)/√(variance + 1e-5) ∘ gain + bias. x `[T, B, H]`.
    ///
    /// ```
    /// use rewind_autograd::{OnTape, Tape, Tensor};
    /// use rewind_rnn::{LayerNorm, Unroll};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.constant(Tensor::from_vec(vec![1.0, 2.0, 3.0, 6.0], &[1, 1, 4]));
    /// let y = Unroll::new().through(&LayerNorm::new(4).on(&tape), x).outputs.value();
    /// assert!(y.sum().abs() < 1e-12);
    /// ```
    #[derive(PartialEq)]
    pub struct LayerNorm<P> {
        /// `[H]`, at first 1.
        pub gain: P,
        /// `[H]`, at first 0.
        pub bias: P,
    }
}

impl<T: Scalar> LayerNorm<Tensor<T>> {
    /// Normalisation of `width` features.
    ///
    /// # Panics
    /// If `width` is 0.
    #[track_caller]
    pub fn new(width: usize) -> Self {
        if width == 0 {
            panic!("LayerNorm: 0 features; expected one at least");
        }
        LayerNorm { gain: Tensor::full(&[width], T::ONE), bias: Tensor::zeros(&[width]) }
    }
}

impl<'t, T: Scalar> Layer<'t, T> for LayerNorm<Var<'t, T>> {
    type State = ();

    fn initial_state(&self, _batch: usize) {}

    #[track_caller]
    fn forward(&self, x: Var<'t, T>, (): (), how: Unroll<'_>) -> LayerOutputs<'t, T, ()> {
        check_parameters("LayerNorm", &[("bias", Some(self.bias), &[rows(self.gain)])]);
        LayerOutputs::new(how.masked(x.layer_norm(self.gain, self.bias, T::from_f64(1e-5))), ())
    }

    fn input_width(&self) -> Option<usize> {
        Some(rows(self.gain))
    }
}
