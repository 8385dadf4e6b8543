//! The state between two runs, as tensors.

use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};

use super::{Layer, Unroll};
use crate::cell::{State, parts, with_parts};
use crate::error::{Error, ErrorKind, Result};
use crate::sizes::name_of;
use crate::train::resume::{COUNT_LIMIT, Saved};

/// The state of a layer before a time step, as tensors: what a [`Stream`](crate::Stream) has carried so far.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape, Tensor};
/// use rewind_rnn::{Gru, Recurrent, Stream, StreamState, Unroll};
///
/// let gru = Recurrent(Gru::new(3, 5, &mut StdRng::seed_from_u64(1)));
/// let x = Tensor::<f32>::from_fn(&[9, 1, 3], |i| (i as f32).sin());
/// let mut stream = Stream::new(gru.clone(), 1);
///
/// // What is known is read at once, and the stream goes on from there.
/// let tape = Tape::quiet();
/// let known = Unroll::new().through(&gru.on(&tape), tape.constant(x.slice(0, 0..8)));
/// stream.set_state(StreamState::of(&known.last, 8))?;
/// let live = stream.step(&x.index(0, 8));
///
/// let whole = Unroll::new().through(&gru.on(&tape), tape.constant(x)).outputs.value();
/// assert_eq!((live, stream.position()), (whole.index(0, 8).to_contiguous(), 9));
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StreamState<T: Scalar> {
    /// The parts of the state, in the order of [`State::zip`], `[B, …]` each.
    pub parts: Vec<Tensor<T>>,
    /// How many time steps came before.
    pub position: usize,
}

impl<T: Scalar> StreamState<T> {
    /// A state on a tape, such as the last one of a run, after `position` time steps.
    pub fn of<'t>(state: &impl State<'t, T>, position: usize) -> Self {
        let parts = parts(state).into_iter().map(|part| part.value().to_contiguous()).collect();
        StreamState { parts, position }
    }
}

/// What is carried over the steps of `batch` sequences.
#[derive(Clone, Debug)]
pub(super) struct Carried<T: Scalar> {
    pub(super) batch: usize,
    /// `None` before the first step, where the state is the layer's own.
    state: Option<StreamState<T>>,
}

impl<T: Scalar> Carried<T> {
    pub(super) fn new(batch: usize) -> Self {
        Carried { batch, state: None }
    }

    /// How many time steps were carried over.
    pub(super) fn position(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.position)
    }

    /// The state on a tape, as constants: no gradient flows into the steps before. The layer's own first state is differentiated.
    #[track_caller]
    pub(super) fn on<'t, L: Layer<'t, T>>(&self, what: &str, tape: &'t Tape<T>, layer: &L) -> L::State {
        let own = layer.initial_state(self.batch);
        let Some(state) = &self.state else { return own };
        if let Some(misfit) = misfit(&state.parts, &own) {
            panic!("{what}: the state of {} {misfit}", name_of::<L>());
        }
        let parts: Vec<_> = state.parts.iter().map(|part| tape.constant(part.clone())).collect();
        with_parts(own, &parts)
    }

    /// The state as tensors.
    pub(super) fn state<'t, L: Layer<'t, T>>(&self, layer: &L) -> StreamState<T> {
        match &self.state {
            Some(state) => state.clone(),
            None => StreamState::of(&layer.initial_state(self.batch), 0),
        }
    }

    /// Another state, if it fits the layer.
    pub(super) fn with_state<'t, L: Layer<'t, T>>(&self, state: StreamState<T>, layer: &L) -> Result<Self> {
        self.check_state("Stream", &state, layer)?;
        if state.position as u64 >= COUNT_LIMIT {
            let text = format!("Stream: a state after {} steps; expected fewer than 2^63", state.position);
            return Err(Error::new(ErrorKind::Setting, text));
        }
        Ok(Carried { batch: self.batch, state: Some(state) })
    }

    /// Whether the state kept, that of a file perhaps, is one of this layer.
    pub(super) fn check<'t, L: Layer<'t, T>>(&self, what: &str, layer: &L) -> Result<()> {
        self.state.as_ref().map_or(Ok(()), |state| self.check_state(what, state, layer))
    }

    fn check_state<'t, L: Layer<'t, T>>(&self, what: &str, state: &StreamState<T>, layer: &L) -> Result<()> {
        match misfit(&state.parts, &layer.initial_state(self.batch)) {
            Some(misfit) => {
                Err(Error::new(ErrorKind::Shape, format!("{what}: the state of {} {misfit}", name_of::<L>())))
            }
            None => Ok(()),
        }
    }

    /// Keeps the state after `steps` more steps.
    pub(super) fn keep<'t>(&mut self, state: &impl State<'t, T>, steps: usize) {
        self.state = Some(StreamState::of(state, self.position() + steps));
    }

    /// Runs over the next steps `x` `[S, B, I]` without a record.
    #[track_caller]
    pub(super) fn advance<M>(&mut self, what: &str, module: &M, x: &Tensor<T>, how: Unroll<'_>) -> Tensor<T>
    where
        M: Parameters<Tensor<T>>,
        for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
    {
        let tape = Tape::quiet();
        let layer = module.on(&tape);
        let run = how.through_from(&layer, tape.constant(x.clone()), self.on(what, &tape, &layer));
        self.keep(&run.last, x.shape()[0]);
        run.outputs.value()
    }

    /// Panics at the caller's line unless x has three axes, the second of which is the batch.
    #[track_caller]
    pub(super) fn check_input(&self, what: &str, x: &Tensor<T>, expected: &str) {
        let [_, batch, _] = x.shape()[..] else {
            panic!("{what}: x has shape {:?}; expected {expected}", x.shape());
        };
        self.check_batch(what, batch);
    }

    #[track_caller]
    pub(super) fn check_batch(&self, what: &str, batch: usize) {
        if batch != self.batch {
            panic!("{what}: made for {} sequences; x has {batch}", self.batch);
        }
    }

    /// As a part of a run.
    pub(super) fn saved(&self, kind: &str) -> Saved<T> {
        let parts = self.state.iter().flat_map(|state| &state.parts).enumerate();
        let tensors = parts.map(|(k, part)| (format!("{PART}{k}"), part.clone())).collect();
        Saved::new(kind).setting("batch", self.batch).value("carried", self.position()).tensors(tensors)
    }

    /// What was saved.
    pub(super) fn resumed(&self, saved: &Saved<T>) -> Result<Self> {
        let position = saved.place("carried")?;
        let number = |name: &str| name.strip_prefix(PART)?.parse::<usize>().ok();
        let mut parts: Vec<_> = saved.tensors.iter().map(|(name, part)| (number(name), part.clone())).collect();
        parts.sort_by_key(|&(number, _)| number);
        let complete = parts.iter().enumerate().all(|(k, &(number, _))| number == Some(k));
        let rows = parts.iter().all(|(_, part)| part.shape().first() == Some(&self.batch));
        if !complete || !rows {
            let shapes: Vec<_> =
                saved.tensors.iter().map(|(name, part)| format!("`{name}` {:?}", part.shape())).collect();
            let text = format!(
                "{}: the state has {}; expected `{PART}0`, `{PART}1`, …, with a row for each of {} sequences",
                saved.kind,
                shapes.join(", "),
                self.batch
            );
            return Err(Error::new(ErrorKind::Run, text));
        }
        let parts: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
        let begun = position > 0 || !parts.is_empty();
        Ok(Carried { batch: self.batch, state: begun.then_some(StreamState { parts, position }) })
    }
}

/// The names of the parts of the state in a file.
const PART: &str = "state.";

/// Why the given parts are not those of such a state, if they are not.
fn misfit<'t, T: Scalar>(given: &[Tensor<T>], own: &impl State<'t, T>) -> Option<String> {
    let parts = parts(own);
    if given.len() != parts.len() {
        return Some(format!("has {} parts; expected {}", given.len(), parts.len()));
    }
    let k = given.iter().zip(&parts).position(|(given, own)| !own.has_shape(given.shape()))?;
    let name = own.part_names().get(k).cloned().unwrap_or(k.to_string());
    Some(format!("has part `{name}` as {:?}; expected {:?}", given[k].shape(), parts[k].shape().as_slice()))
}
