//! Truncated backpropagation through time: windows over long sequences.

use std::ops::Range;

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};

use super::carried::Carried;
use super::stream::check_causal;
use super::{Layer, Unroll};
use crate::error::{Error, ErrorKind, Result};
use crate::sizes::check_lengths;
use crate::train::resume::{Commit, Part, Saved};

/// Truncated backpropagation through time, BPTT(k2; k1) of Williams and Peng (1990): after every k1 time steps, the gradient of their losses
/// is followed back through k2 steps and no further. The state is carried over the whole sequence.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape, Tensor};
/// use rewind_rnn::optim::{Optimizer, Sgd};
/// use rewind_rnn::{Gru, Recurrent, TruncatedBptt};
///
/// let mut network = Recurrent(Gru::new(3, 5, &mut StdRng::seed_from_u64(1)));
/// let mut sgd = Sgd::new(0.1);
/// let x = Tensor::<f32>::from_fn(&[100, 2, 3], |i| (i as f32).sin());
/// let mut truncated = TruncatedBptt::new(5, 20, 2)?; // k1, k2, two sequences
/// let mut tape = Tape::new();
/// let mut updates = 0;
/// while truncated.position() < 100 {
///     let gradients = {
///         let on_tape = network.on(&tape);
///         let window = truncated.window(&network, &on_tape, &tape, &x);
///         assert_eq!(window.outputs.shape()[0], window.steps.len()); // the outputs of the 5 new steps
///         window.outputs.square().mean().backward().of(&on_tape)
///     };
///     tape.clear();
///     sgd.step(&mut network, &gradients)?;
///     updates += 1;
/// }
/// assert_eq!(updates, 20);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TruncatedBptt<T: Scalar> {
    every: usize,
    back: usize,
    /// How many steps have given their outputs.
    position: usize,
    /// The state where the next window begins, or before it.
    carried: Carried<T>,
}

/// What [`TruncatedBptt::window`] returns.
#[derive(Clone, Debug)]
pub struct Window<'t, T: Scalar> {
    /// The outputs of the new time steps, `[S, B, H]` with S at most k1.
    pub outputs: Var<'t, T>,
    /// The new time steps.
    pub steps: Range<usize>,
}

impl<T: Scalar> TruncatedBptt<T> {
    /// An update `every` k1 steps, each through k2 steps `back`, for `batch` sequences.
    ///
    /// # Errors
    /// If one of the numbers is 0.
    pub fn new(every: usize, back: usize, batch: usize) -> Result<Self> {
        if every == 0 || back == 0 || batch == 0 {
            let text = format!(
                "truncated: an update every {every} steps, {back} steps back, {batch} sequences; expected one at least of each"
            );
            return Err(Error::new(ErrorKind::Setting, text));
        }
        Ok(TruncatedBptt { every, back, position: 0, carried: Carried::new(batch) })
    }

    /// How many steps of the sequence have been read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Checks what a file gave: that the position is after `steps` steps, as far as the rest of the run is, and that the state is one of
    /// `module`, which no file can promise.
    ///
    /// # Errors
    /// If it is not; [`window`](TruncatedBptt::window) would panic.
    pub fn check_resumed<M>(&self, module: &M, steps: usize) -> Result<()>
    where
        M: Parameters<Tensor<T>>,
        for<'s> M::With<Var<'s, T>>: Layer<'s, T>,
    {
        if self.position != steps {
            let text = format!("truncated: {} steps have been read; expected {steps}, as in the run", self.position);
            return Err(Error::new(ErrorKind::Run, text));
        }
        self.carried.check("truncated", &module.on(&Tape::quiet()))
    }

    /// [`window_with`](TruncatedBptt::window_with) for sequences of T steps, without noise.
    ///
    /// # Panics
    /// As [`window_with`](TruncatedBptt::window_with).
    #[track_caller]
    pub fn window<'t, M>(
        &mut self,
        module: &M,
        layer: &M::With<Var<'t, T>>,
        tape: &'t Tape<T>,
        x: &Tensor<T>,
    ) -> Window<'t, T>
    where
        M: Parameters<Tensor<T>>,
        for<'s> M::With<Var<'s, T>>: Layer<'s, T>,
    {
        self.window_with(Unroll::new(), module, layer, tape, x)
    }

    /// Runs `layer`, which is `module` on `tape`, over the next k1 steps of the sequences `x` `[T, B, I]`, or over those that are left, on a
    /// record of the last k2 steps. Outputs of steps further back than k2 (if k2 is less than k1) are constants.
    ///
    /// `how` has the settings of the whole sequences, and is the same for every window: their lengths, and their noise. Then a step has the
    /// masks of the whole sequence in every window that it is in, and dropout is on in training.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape, Tensor};
    /// use rewind_rnn::{Dropout, Gru, Noise, Recurrent, TruncatedBptt, Unroll};
    ///
    /// let network = (Dropout::new(0.2), Recurrent(Gru::new(3, 5, &mut StdRng::seed_from_u64(1))));
    /// let x = Tensor::<f32>::from_fn(&[100, 2, 3], |i| (i as f32).sin());
    /// let lengths = [100, 63];
    /// let how = Unroll::new().lengths(&lengths).noise(Noise::new(7));
    /// let mut truncated = TruncatedBptt::new(10, 20, 2)?;
    /// let tape = Tape::new();
    /// let on_tape = network.on(&tape);
    /// let first = truncated.window_with(how, &network, &on_tape, &tape, &x);
    /// let whole = how.through(&on_tape, tape.constant(x.clone())).outputs;
    /// assert_eq!(first.outputs.value().to_vec(), whole.slice(0, 0..10).value().to_vec());
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the sequence has no step left, x is of another number of sequences, a layer is not [causal](Layer::is_causal), the pass is
    /// backward in time, or as [`Unroll::through`].
    #[track_caller]
    pub fn window_with<'t, M>(
        &mut self,
        how: Unroll<'_>,
        module: &M,
        layer: &M::With<Var<'t, T>>,
        tape: &'t Tape<T>,
        x: &Tensor<T>,
    ) -> Window<'t, T>
    where
        M: Parameters<Tensor<T>>,
        for<'s> M::With<Var<'s, T>>: Layer<'s, T>,
    {
        self.check(how, layer, x);
        let total = x.shape()[0];
        let steps = self.position..total.min(self.position.saturating_add(self.every));
        let before = self.carried.position()..steps.end.saturating_sub(self.back).max(self.carried.position());
        let start = before.end;
        let unrecorded = if before.is_empty() {
            None
        } else {
            let lengths = how.lengths_in(&before);
            let how = how.segment(before.start, lengths.as_deref());
            Some(self.carried.advance("truncated", module, &x.slice(0, before), how))
        };
        let mut state = self.carried.on("truncated", tape, layer);
        // The next window begins within this one, if it overlaps it: there the state is kept.
        let cut = steps.end.saturating_add(self.every).min(total).saturating_sub(self.back).clamp(start, steps.end);
        let mut pieces = Vec::new();
        for range in [start..cut, cut..steps.end].into_iter().filter(|range| !range.is_empty()) {
            let lengths = how.lengths_in(&range);
            let how = how.segment(range.start, lengths.as_deref());
            let run = how.through_from(layer, tape.constant(x.slice(0, range.clone())), state);
            if range.end == cut {
                self.carried.keep(&run.last, cut - start);
            }
            pieces.push(run.outputs);
            state = run.last;
        }
        let recorded = if pieces.len() == 1 { pieces[0] } else { concat(&pieces, 0) };
        let window = match (unrecorded, start > steps.start) {
            (Some(before), true) => {
                let new = before.shape()[0] - (start - steps.start)..before.shape()[0];
                concat(&[tape.constant(before.slice(0, new)), recorded], 0)
            }
            _ => recorded.slice(0, steps.start - start..steps.end - start),
        };
        self.position = steps.end;
        Window { outputs: window, steps }
    }

    #[track_caller]
    fn check<'t, L: Layer<'t, T>>(&self, how: Unroll<'_>, layer: &L, x: &Tensor<T>) {
        check_causal("truncated", layer);
        self.carried.check_input("truncated", x, "[T, B, I]: time, batch, features");
        if how.is_backward() {
            panic!("truncated: the pass is backward in time; windows follow each other forward");
        }
        let total = x.shape()[0];
        if let Some(lengths) = how.sequence_lengths() {
            check_lengths(lengths, total, self.carried.batch);
        }
        if self.position >= total {
            panic!("truncated: {} steps have been read of a sequence of {total}; there is none left", self.position);
        }
    }
}

/// The position in the sequences, and the state that is carried. A run that goes on from a file has the bits of one that was not stopped, if
/// it goes on with the same noise.
impl<T: Scalar> Part<T> for TruncatedBptt<T> {
    fn saved(&self) -> Saved<T> {
        let saved = self.carried.saved("TruncatedBptt").setting("every", self.every).setting("back", self.back);
        saved.value("position", self.position)
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>> {
        let (carried, position) = (self.carried.resumed(saved)?, saved.place("position")?);
        if carried.position() > position {
            return Err(saved.damaged("carried", "the state of a step that has been read"));
        }
        Ok(Box::new(move || (self.carried, self.position) = (carried, position)))
    }
}
