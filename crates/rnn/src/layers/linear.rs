//! The readout: an affine map of the hidden state.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use crate::init;
use crate::sizes::{check_parameters, rows};
use crate::time::{Layer, LayerOutputs, Unroll};

parameters! {
    /// y = x·weight + bias: x `[…, I]`, y `[…, O]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape, Tensor};
    /// use rewind_rnn::Linear;
    ///
    /// let readout = Linear::<Tensor<f32>>::new(8, 3, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::new();
    /// let hidden = tape.constant(Tensor::full(&[5, 8], 0.1));
    /// let logits = readout.on(&tape).forward(hidden);
    /// assert_eq!(logits.shape().as_slice(), [5, 3]);
    ///
    /// let projection = Linear::<Tensor<f32>>::without_bias(8, 3, &mut StdRng::seed_from_u64(1));
    /// assert!(projection.bias.is_none());
    /// ```
    #[derive(PartialEq)]
    pub struct Linear<P> {
        /// `[I, O]`.
        pub weight: P,
        /// `[O]`.
        pub bias: Option<P>,
    }
}

impl<T: Scalar> Linear<Tensor<T>> {
    /// A map from `inputs` features to `outputs`. The weight is drawn by [`init::xavier_uniform`], the bias is 0.
    pub fn new(inputs: usize, outputs: usize, rng: &mut impl Rng) -> Self {
        Linear { bias: Some(init::zeros(&[outputs])), ..Self::without_bias(inputs, outputs, rng) }
    }

    /// As [`new`](Linear::new), without a bias: y = x·weight.
    pub fn without_bias(inputs: usize, outputs: usize, rng: &mut impl Rng) -> Self {
        Linear { weight: init::xavier_uniform(&[inputs, outputs], rng), bias: None }
    }
}

impl<'t, T: Scalar> Linear<Var<'t, T>> {
    /// x·weight + bias: x `[…, I]`, result `[…, O]`. An x `[T, B, I]` gives all time steps and sequences at once.
    ///
    /// # Panics
    /// If the last axis of `x` is not I, `x` has fewer than two axes, or the bias does not have an element for each column of the weight.
    #[track_caller]
    pub fn forward(&self, x: Var<'t, T>) -> Var<'t, T> {
        let weight = self.weight.shape();
        let &[inputs, outputs] = weight.as_slice() else {
            panic!("Linear: weight has shape {:?}; expected [I, O]", weight.as_slice());
        };
        check_parameters("Linear", &[("bias", self.bias, &[outputs])]);
        let shape = x.shape();
        if shape.len() < 2 || shape.last() != Some(&inputs) {
            panic!("Linear: takes x […, {inputs}], of two axes at least; got x {:?}", shape.as_slice());
        }
        x.affine(self.weight, self.bias)
    }
}

/// Every time step: x `[T, B, I]`, outputs `[T, B, O]`.
impl<'t, T: Scalar> Layer<'t, T> for Linear<Var<'t, T>> {
    type State = ();

    fn initial_state(&self, _batch: usize) {}

    #[track_caller]
    fn forward(&self, x: Var<'t, T>, (): (), how: Unroll<'_>) -> LayerOutputs<'t, T, ()> {
        LayerOutputs::new(how.masked(Linear::forward(self, x)), ())
    }

    fn input_width(&self) -> Option<usize> {
        Some(rows(self.weight))
    }
}
