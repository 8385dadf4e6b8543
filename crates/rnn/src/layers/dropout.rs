//! Dropout between layers.

use std::marker::PhantomData;

use rewind_autograd::ops::layout::stack;
use rewind_autograd::{Scalar, Tensor, Var, parameters};

use crate::noise::check_rate;
use crate::time::{Layer, LayerOutputs, Unroll};

parameters! {
    /// Dropout (Srivastava et al. 2014; between recurrent layers: Zaremba et al. 2014): in training, y = x ∘ m, where every element of m is
    /// 0 with probability `rate` and otherwise 1/(1 - rate), drawn anew for every time step and sequence. Without
    /// [noise](Unroll::noise), y = x.
    ///
    /// ```
    /// use rewind_autograd::{OnTape, Tape, Tensor};
    /// use rewind_rnn::{Dropout, Noise, Unroll};
    ///
    /// let tape = Tape::<f32>::new();
    /// let (dropout, x) = (Dropout::new(0.5).on(&tape), tape.constant(Tensor::full(&[7, 2, 3], 1.0)));
    /// assert_eq!(Unroll::new().through(&dropout, x).outputs.value(), x.value());
    /// let dropped = Unroll::new().noise(Noise::new(1)).through(&dropout, x).outputs.value();
    /// assert!(dropped.to_vec().iter().all(|&y| y == 0.0 || y == 2.0));
    /// ```
    #[derive(PartialEq)]
    pub struct Dropout<P> {
        /// The probability of 0, in [0, 1).
        pub rate: f64,
        /// Whether all time steps of a sequence have one mask.
        pub of_sequence: bool,
        leaf: PhantomData<P>,
    }
}

impl<T: Scalar> Dropout<Tensor<T>> {
    /// Dropout at a rate.
    ///
    /// # Panics
    /// If the rate is not in [0, 1).
    #[track_caller]
    pub fn new(rate: f64) -> Self {
        check_rate("Dropout", rate);
        Dropout { rate, of_sequence: false, leaf: PhantomData }
    }

    /// Dropout with one mask for all time steps of a sequence (Gal and Ghahramani 2016).
    ///
    /// # Panics
    /// If the rate is not in [0, 1).
    #[track_caller]
    pub fn of_sequence(rate: f64) -> Self {
        Dropout { of_sequence: true, ..Dropout::new(rate) }
    }
}

impl<'t, T: Scalar> Layer<'t, T> for Dropout<Var<'t, T>> {
    type State = ();

    fn initial_state(&self, _batch: usize) {}

    #[track_caller]
    fn forward(&self, x: Var<'t, T>, (): (), how: Unroll<'_>) -> LayerOutputs<'t, T, ()> {
        check_rate("Dropout", self.rate);
        let Some(noise) = how.noise.filter(|_| self.rate > 0.0) else { return LayerOutputs::new(x, ()) };
        let (tape, shape) = (x.tape(), x.shape());
        if self.of_sequence {
            return LayerOutputs::new(x * tape.constant(noise.of_sequence().mask(&shape[1..], self.rate)), ());
        }
        // A mask for each time step, so that a segment has those of the whole sequence.
        let mask = |t: usize| tape.constant(noise.at_step(how.first_step + t).mask(&shape[1..], self.rate));
        let masks: Vec<_> = (0..shape[0]).map(mask).collect();
        LayerOutputs::new(x * stack(&masks, 0), ())
    }
}
