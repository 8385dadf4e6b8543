//! Dropout of what a cell reads of its own output, with one mask a sequence.

use std::marker::PhantomData;

use rewind_autograd::{Parameters, Scalar, Tensor, Var, parameters};

use crate::cell::{Cell, State, parts};
use crate::noise::{Noise, check_rate};

parameters! {
    /// Recurrent dropout (Gal and Ghahramani 2016) over any cell: in training, a step reads h_(t-1) ∘ m, where h is the
    /// [output](State::output) of the state. Every element of m is 0 with probability `rate` and otherwise 1/(1 - rate); m is the same at
    /// all time steps of a sequence. Other parts of the state, such as the c of an LSTM, are read as they are. In a GRU, which carries h
    /// itself, what is carried is masked too, and the memory fades: [`CandidateDropout`](crate::CandidateDropout) avoids that.
    ///
    /// Masks are drawn from the noise of the pass (see [`Unroll::noise`](crate::Unroll::noise)); without noise, the cell is unchanged. For
    /// one mask a sequence over x, put [`Dropout::of_sequence`](crate::Dropout::of_sequence) below. A cell that does not read its own
    /// output, such as `MLstm`, is unchanged in any case.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Lstm, Noise, RecurrentDropout, Unroll};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let cell = RecurrentDropout::new(Lstm::new(3, 5, rng), 0.25);
    /// let tape = Tape::<f32>::new();
    /// let unrolled = Unroll::new().noise(Noise::draw(rng)).run(&cell.on(&tape), tape.zeros(&[7, 2, 3]));
    /// assert_eq!(unrolled.last.hidden.shape().as_slice(), [2, 5]);
    /// ```
    #[derive(PartialEq)]
    pub struct RecurrentDropout<P, C> {
        /// The cell.
        pub cell: C,
        /// The probability of 0, in [0, 1).
        pub rate: f64,
        leaf: PhantomData<P>,
    }
}

impl<T: Scalar, C: Parameters<Tensor<T>>> RecurrentDropout<Tensor<T>, C> {
    /// Recurrent dropout at a rate.
    ///
    /// # Panics
    /// If the rate is not in [0, 1).
    #[track_caller]
    pub fn new(cell: C, rate: f64) -> Self {
        check_rate("RecurrentDropout", rate);
        RecurrentDropout { cell, rate, leaf: PhantomData }
    }
}

impl<'t, T: Scalar, C: Cell<'t, T>> Cell<'t, T> for RecurrentDropout<Var<'t, T>, C> {
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
        check_rate("RecurrentDropout", self.rate);
        if self.rate == 0.0 {
            return self.cell.noisy_step(x, state, noise.part(0));
        }
        let (h, output) = (state.output(), output_part(&state));
        let mask: Tensor<T> = noise.of_sequence().part(1).mask(&h.shape(), self.rate);
        let mask = h.tape().constant(mask);
        let mut numbers = 0..;
        let read = state.clone().zip(state, &mut |part, _| if numbers.next() == output { part * mask } else { part });
        self.cell.noisy_step(x, read, noise.part(0))
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

/// The number of the part that is the output.
///
/// One variable may be given as several parts, such as zeros for h and c, so each part is replaced by a variable of its own.
fn output_part<'t, T: Scalar, S: State<'t, T>>(state: &S) -> Option<usize> {
    let apart = state.clone().zip(state.clone(), &mut |part, _| part.tape().constant(part.value()));
    let output = apart.output().position();
    parts(&apart).iter().position(|part| part.position() == output)
}
