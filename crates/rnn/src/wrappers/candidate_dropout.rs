//! Dropout of what a cell would write into its memory.

use std::marker::PhantomData;

use rewind_autograd::{Parameters, Scalar, Tensor, Var, parameters};

use crate::cell::{Cell, GatedCell};
use crate::noise::{Noise, check_rate};

parameters! {
    /// Recurrent dropout without memory loss (Semeniuta, Severyn and Barth 2016) over a gated cell: in training, the candidate is masked,
    /// and what the cell remembers is not:
    ///
    /// ```text
    /// c' = f ∘ c + i ∘ (g ∘ m)              LSTM
    /// h' = z ∘ h + (1 - z) ∘ (n ∘ m)        GRU
    /// ```
    ///
    /// Every element of m is 0 with probability `rate` and otherwise 1/(1 - rate), so that the expected candidate is the cell's. Masks
    /// are drawn from the noise of the pass (see [`Unroll::noise`](crate::Unroll::noise)), anew at each time step or one for the
    /// sequence; the paper has both. Without noise, the cell is unchanged. [`RecurrentDropout`](crate::RecurrentDropout) masks the state
    /// that a step reads instead, and goes around this one if both are wanted.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{CandidateDropout, Lstm, Noise, Unroll};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let cell = CandidateDropout::new(Lstm::new(3, 5, rng), 0.25);
    /// let tape = Tape::<f32>::new();
    /// let unrolled = Unroll::new().noise(Noise::draw(rng)).run(&cell.on(&tape), tape.zeros(&[7, 2, 3]));
    /// assert_eq!(unrolled.last.cell.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct CandidateDropout<P, C> {
        /// The cell.
        pub cell: C,
        /// The probability of 0, in [0, 1).
        pub rate: f64,
        /// Whether all time steps of a sequence have one mask.
        pub of_sequence: bool,
        leaf: PhantomData<P>,
    }
}

impl<T: Scalar, C: Parameters<Tensor<T>>> CandidateDropout<Tensor<T>, C> {
    /// Dropout of the candidate at a rate, with a mask for each time step.
    ///
    /// # Panics
    /// If the rate is not in [0, 1).
    #[track_caller]
    pub fn new(cell: C, rate: f64) -> Self {
        check_rate("CandidateDropout", rate);
        CandidateDropout { cell, rate, of_sequence: false, leaf: PhantomData }
    }

    /// Dropout of the candidate with one mask for all time steps of a sequence.
    ///
    /// # Panics
    /// If the rate is not in [0, 1).
    #[track_caller]
    pub fn of_sequence(cell: C, rate: f64) -> Self {
        CandidateDropout { of_sequence: true, ..CandidateDropout::new(cell, rate) }
    }
}

impl<'t, T: Scalar, C: GatedCell<'t, T>> Cell<'t, T> for CandidateDropout<Var<'t, T>, C> {
    type State = C::State;

    #[track_caller]
    fn step(&self, x: Var<'t, T>, state: C::State) -> C::State {
        self.cell.step(x, state)
    }

    #[track_caller]
    fn equations(&self, x: Var<'t, T>, state: C::State) -> C::State {
        self.cell.equations(x, state)
    }

    #[track_caller]
    fn noisy_step(&self, x: Var<'t, T>, state: C::State, noise: Noise) -> C::State {
        check_rate("CandidateDropout", self.rate);
        let noise = if self.of_sequence { noise.of_sequence() } else { noise };
        self.cell.step_with_candidate(x, state, |candidate| {
            candidate * x.tape().constant(noise.part(1).mask(&candidate.shape(), self.rate))
        })
    }

    #[track_caller]
    fn initial(&self, batch: usize) -> C::State {
        self.cell.initial(batch)
    }

    #[track_caller]
    fn features(&self) -> Option<usize> {
        self.cell.features()
    }
}
