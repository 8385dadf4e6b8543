//! A residual connection around a layer.

use std::marker::PhantomData;

use rewind_autograd::{Parameters, Scalar, Tensor, Var, parameters};

use crate::sizes::name_of;
use crate::time::{Layer, LayerOutputs, Unroll};

parameters! {
    /// A residual connection (He et al. 2016; in recurrent stacks: Wu et al. 2016): x + layer(x), where the layer gives as many features as
    /// it reads.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape, Tensor};
    /// use rewind_rnn::{Gru, Recurrent, Residual, Unroll};
    ///
    /// let residual = Residual::new(Recurrent(Gru::<Tensor<f32>>::new(3, 3, &mut StdRng::seed_from_u64(1))));
    /// let tape = Tape::new();
    /// let run = Unroll::new().through(&residual.on(&tape), tape.zeros(&[7, 2, 3]));
    /// assert_eq!(run.outputs.shape().as_slice(), [7, 2, 3]);
    /// ```
    #[derive(PartialEq)]
    pub struct Residual<P, L> {
        /// The layer.
        pub layer: L,
        leaf: PhantomData<P>,
    }
}

impl<T: Scalar, L: Parameters<Tensor<T>>> Residual<Tensor<T>, L> {
    /// x + layer(x).
    pub fn new(layer: L) -> Self {
        Residual { layer, leaf: PhantomData }
    }
}

impl<'t, T: Scalar, L: Layer<'t, T>> Layer<'t, T> for Residual<Var<'t, T>, L> {
    type State = L::State;

    #[track_caller]
    fn initial_state(&self, batch: usize) -> L::State {
        self.layer.initial_state(batch)
    }

    #[track_caller]
    fn forward(&self, x: Var<'t, T>, state: L::State, how: Unroll<'_>) -> LayerOutputs<'t, T, L::State> {
        let within = self.layer.forward(x, state, how);
        let [width, read] = [within.outputs, x].map(|y| y.shape()[2]);
        if width != read {
            panic!("Residual: {} reads {read} features and gives {width}; expected as many", name_of::<L>());
        }
        within.map(|y| x + y)
    }

    fn input_width(&self) -> Option<usize> {
        self.layer.input_width()
    }

    fn is_causal(&self) -> bool {
        self.layer.is_causal()
    }
}
