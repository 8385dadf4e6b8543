//! Sequences without an end: one step after another, and truncated backpropagation through time.

use std::ops::Range;

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};

use super::segments::filled;
use super::{Layer, Unroll};
use crate::cell::parts;
use crate::error::{Error, ErrorKind, Result};
use crate::sizes::name_of;

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
    /// As [`Unroll::through`].
    #[track_caller]
    pub fn step(&mut self, x: &Tensor<T>) -> Tensor<T> {
        let mut shape = x.shape().to_vec();
        shape.insert(0, 1);
        self.steps(&x.reshape(&shape)).index(0, 0).to_contiguous()
    }

    /// The outputs `[S, B, H]` of the next S time steps, from their inputs `[S, B, I]`.
    ///
    /// # Panics
    /// As [`Unroll::through`].
    #[track_caller]
    pub fn steps(&mut self, x: &Tensor<T>) -> Tensor<T> {
        self.carried.advance(&self.module, x)
    }

    /// How many steps the stream has run.
    pub fn position(&self) -> usize {
        self.carried.position
    }

    /// Back to the start: the next step is the first of new sequences.
    pub fn restart(&mut self) {
        self.carried = Carried::new(self.carried.batch);
    }
}

/// The state before a time step, as tensors.
#[derive(Clone, Debug)]
struct Carried<T: Scalar> {
    batch: usize,
    /// The parts of the state; `None` before the first step, where it is the layer's own.
    parts: Option<Vec<Tensor<T>>>,
    position: usize,
}

impl<T: Scalar> Carried<T> {
    fn new(batch: usize) -> Self {
        Carried { batch, parts: None, position: 0 }
    }

    /// The state on a tape, as constants: no gradient flows into the steps before. The layer's own first state is differentiated.
    #[track_caller]
    fn on<'t, L: Layer<'t, T>>(&self, tape: &'t Tape<T>, layer: &L) -> L::State {
        match &self.parts {
            None => layer.initial_state(self.batch),
            Some(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| tape.constant(part.clone())).collect();
                filled(layer, self.batch, &parts)
            }
        }
    }

    /// Keeps the state after `steps` more steps.
    fn keep<'t, S: crate::State<'t, T>>(&mut self, state: &S, steps: usize) {
        self.parts = Some(parts(state).into_iter().map(|part| part.value().to_contiguous()).collect());
        self.position += steps;
    }

    /// Runs over the next steps `x` `[S, B, I]` without a record.
    #[track_caller]
    fn advance<M>(&mut self, module: &M, x: &Tensor<T>) -> Tensor<T>
    where
        M: Parameters<Tensor<T>>,
        for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
    {
        let tape = Tape::quiet();
        let layer = module.on(&tape);
        let how = Unroll { first_step: self.position, ..Unroll::new() };
        let run = how.through_from(&layer, tape.constant(x.clone()), self.on(&tape, &layer));
        self.keep(&run.last, x.shape()[0]);
        run.outputs.value()
    }
}

#[track_caller]
fn check_causal<'t, T: Scalar, L: Layer<'t, T>>(what: &str, layer: &L) {
    if !layer.is_causal() {
        panic!("{what}: {} reads the whole sequence; expected layers that read no later step", name_of::<L>());
    }
}

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

    /// Runs `layer`, which is `module` on `tape`, over the next k1 steps of the sequence `x` `[T, B, I]`, or over those that are left, on a
    /// record of the last k2 steps. Outputs of steps further back than k2 (if k2 is less than k1) are constants.
    ///
    /// # Panics
    /// If the sequence has no step left, a layer is not [causal](Layer::is_causal), or as [`Unroll::through`].
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
        check_causal("truncated", layer);
        let total = x.shape().first().copied().unwrap_or(0);
        if self.position >= total {
            panic!("truncated: {} steps have been read of a sequence of {total}; there is none left", self.position);
        }
        let steps = self.position..total.min(self.position + self.every);
        let start = steps.end.saturating_sub(self.back).max(self.carried.position);
        let unrecorded = (start > self.carried.position)
            .then(|| self.carried.advance(module, &x.slice(0, self.carried.position..start)));
        let state = self.carried.on(tape, layer);
        // The next window begins within this one, if it overlaps it: there the state is kept.
        let cut = (steps.end + self.every).min(total).saturating_sub(self.back).clamp(start, steps.end);
        let mut pieces = Vec::new();
        let mut state = state;
        for range in [start..cut, cut..steps.end].into_iter().filter(|range| !range.is_empty()) {
            let how = Unroll { first_step: range.start, ..Unroll::new() };
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
}
