//! Sequences without an end: one step after another.

use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};

use super::carried::{Carried, StreamState};
use super::{Layer, Unroll};
use crate::error::Result;
use crate::sizes::name_of;
use crate::train::resume::{Commit, Part, Saved};

/// A trained layer that runs over a sequence piece by piece, as it comes: one time step at a time in a live program.
///
/// The state is carried from call to call. The outputs have the same bits as those of [`Unroll::through`] over the whole sequence (those of
/// [`InChunks`](crate::InChunks), whose chunks end elsewhere, up to rounding). Nothing is recorded, so the memory does not grow.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape, Tensor};
/// use rewind_rnn::{Gru, Linear, Recurrent, Stream, Unroll};
///
/// let rng = &mut StdRng::seed_from_u64(1);
/// let network = (Recurrent(Gru::new(3, 5, rng)), Linear::new(5, 2, rng));
/// let x = Tensor::<f32>::from_fn(&[7, 1, 3], |i| (i as f32).sin());
/// let mut stream = Stream::new(network.clone(), 1); // one sequence
/// let live: Vec<_> = (0..7).map(|t| stream.step(&x.index(0, t))).collect();
///
/// let tape = Tape::new();
/// let whole = Unroll::new().through(&network.on(&tape), tape.constant(x)).outputs.value();
/// assert_eq!(live[6], whole.index(0, 6));
/// ```
#[derive(Debug)]
pub struct Stream<T: Scalar, M> {
    module: M,
    carried: Carried<T>,
}

impl<T: Scalar, M> Stream<T, M>
where
    M: Parameters<Tensor<T>>,
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    /// A stream of `batch` sequences through `module`, from its own first state.
    ///
    /// # Panics
    /// If a layer is not [causal](Layer::is_causal): one that reads backward in time needs the whole sequence.
    #[track_caller]
    pub fn new(module: M, batch: usize) -> Self {
        check_causal("Stream", &module.on(&Tape::quiet()));
        Stream { module, carried: Carried::new(batch) }
    }

    /// The outputs `[B, H]` of the next time step, from its input `[B, I]`.
    ///
    /// # Panics
    /// If `x` does not have two axes or is of another number of sequences, or as [`Unroll::through`].
    #[track_caller]
    pub fn step(&mut self, x: &Tensor<T>) -> Tensor<T> {
        let [batch, _] = x.shape()[..] else {
            panic!("Stream: x has shape {:?}; expected [B, I]: sequences, features", x.shape());
        };
        self.carried.check_batch("Stream", batch);
        self.advance(&x.unsqueeze(0)).index(0, 0).to_contiguous()
    }

    /// The outputs `[S, B, H]` of the next S time steps, from their inputs `[S, B, I]`.
    ///
    /// # Panics
    /// If `x` does not have three axes or is of another number of sequences, or as [`Unroll::through`].
    #[track_caller]
    pub fn steps(&mut self, x: &Tensor<T>) -> Tensor<T> {
        self.carried.check_input("Stream", x, "[S, B, I]: steps, sequences, features");
        self.advance(x)
    }

    #[track_caller]
    fn advance(&mut self, x: &Tensor<T>) -> Tensor<T> {
        let how = Unroll::new().segment(self.position(), None);
        self.carried.advance("Stream", &self.module, x, how)
    }

    /// How many steps the stream has run.
    pub fn position(&self) -> usize {
        self.carried.position()
    }

    /// The state before the next step, at the start the layer's own: to be kept, and set again later or in another stream.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::{Gru, Recurrent, Stream};
    ///
    /// let gru = Recurrent(Gru::<Tensor<f32>>::new(3, 5, &mut StdRng::seed_from_u64(1)));
    /// let mut stream = Stream::new(gru, 2);
    /// let x = Tensor::full(&[2, 3], 0.5);
    /// stream.step(&x);
    /// let kept = stream.state();
    /// let second = stream.step(&x);
    /// stream.set_state(kept)?; // back to after the first step
    /// assert_eq!(stream.step(&x), second);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    pub fn state(&self) -> StreamState<T> {
        self.carried.state(&self.module.on(&Tape::quiet()))
    }

    /// Goes on from another state.
    ///
    /// # Errors
    /// If the number of its parts or their shapes are not those of the layer and the number of sequences, or the position is 2^63 or
    /// more; nothing is changed then.
    pub fn set_state(&mut self, state: StreamState<T>) -> Result<()> {
        self.carried = self.carried.with_state(state, &self.module.on(&Tape::quiet()))?;
        Ok(())
    }

    /// Back to the start: the next step is the first of new sequences.
    pub fn restart(&mut self) {
        self.carried = Carried::new(self.carried.batch);
    }
}

/// The position and the state that is carried: the sequences go on from a file as if they had not stopped.
impl<T: Scalar, M> Part<T> for Stream<T, M>
where
    M: Parameters<Tensor<T>>,
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    fn saved(&self) -> Saved<T> {
        self.carried.saved("Stream")
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>> {
        let mut carried = self.carried.resumed(saved)?;
        if carried.position() > 0 {
            let tape = Tape::quiet();
            let layer = self.module.on(&tape);
            carried = carried.with_state(carried.state(&layer), &layer)?;
        }
        Ok(Box::new(move || self.carried = carried))
    }
}

#[track_caller]
pub(super) fn check_causal<'t, T: Scalar, L: Layer<'t, T>>(what: &str, layer: &L) {
    if !layer.is_causal() {
        panic!("{what}: {} reads the whole sequence; expected layers that read no later step", name_of::<L>());
    }
}
