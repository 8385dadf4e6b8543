//! The read-out: an affine map from the hidden state to what is asked for.

use rand::Rng;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use crate::init;

parameters! {
    /// y = x·weight + bias: x `[…, I]` → `[…, O]`.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::Linear;
    ///
    /// let readout = Linear::<_>::new(5, 3, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let hidden = tape.zeros(&[7, 2, 5]);
    /// assert_eq!(readout.on(&tape).forward(hidden).shape().as_slice(), [7, 2, 3]);
    /// ```
    pub struct Linear<P> {
        /// `[I, O]`.
        pub weight: P,
        /// `[O]`.
        pub bias: Option<P>,
    }
}

impl<T: Scalar> Linear<Tensor<T>> {
    /// Weight and bias uniform in ±1/√I.
    ///
    /// # Panics
    /// If `inputs` or `outputs` is 0.
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize, rng: &mut impl Rng) -> Self {
        if inputs == 0 || outputs == 0 {
            panic!("Linear: {inputs} inputs and {outputs} outputs; expected at least one of each");
        }
        Linear {
            weight: init::uniform_hidden(&[inputs, outputs], inputs, rng),
            bias: Some(init::uniform_hidden(&[outputs], inputs, rng)),
        }
    }
}

impl<'t, T: Scalar> Linear<Var<'t, T>> {
    /// x·weight + bias.
    ///
    /// # Panics
    /// If the last axis of `x` is not I long.
    #[track_caller]
    pub fn forward(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.affine(self.weight, self.bias)
    }
}
