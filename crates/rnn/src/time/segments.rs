//! Long sequences in segments: of each, only the last state is kept (Chen et al. 2016; Gruslys et al. 2016).

use std::sync::Arc;

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var, checkpoint};

use crate::cell::{Cell, State, parts};
use crate::sizes::{StateShapes, check_features, check_input};
use crate::time::Unroll;

/// A sequence that was unrolled in segments.
#[derive(Clone, Debug)]
pub struct Segments<'t, T: Scalar, S> {
    /// The loss of every segment, in order.
    pub losses: Vec<Var<'t, T>>,
    /// The state after the last time step.
    pub last: S,
}

impl<'t, T: Scalar, S> Segments<'t, T, S> {
    /// The sum of the losses of all segments.
    pub fn loss(&self) -> Var<'t, T> {
        sum_of(&self.losses)
    }
}

/// The sum of at least one loss: in order, and pairwise over halves for many, so that the error grows with the logarithm of their number.
fn sum_of<'t, T: Scalar>(losses: &[Var<'t, T>]) -> Var<'t, T> {
    const BLOCK: usize = 64;
    if losses.len() > BLOCK {
        let (first, second) = losses.split_at(losses.len() / 2);
        return sum_of(first) + sum_of(second);
    }
    losses.iter().copied().reduce(|sum, loss| sum + loss).expect("there is a time step, and so a segment")
}

impl Unroll<'_> {
    /// Unrolls `cell` over `x` `[T, B, I]` in segments of `every` steps, keeps only the last state of each, and computes a
    /// segment again when the sweep reaches it: each step is computed twice. With `every` near √T the memory grows with √T.
    ///
    /// `loss` gets a tape, the first time step of a segment and the outputs of its steps, `[S, B, H]`, and returns a scalar;
    /// so the outputs need not be kept either. `module` is the module of tensors that `cell` is on the tape. Gradients are
    /// those of [`run`](Unroll::run) with the losses of all segments summed. They are equal to the last bit if the state of the
    /// cell is used at most twice in a step (tanh-RNN, LSTM), and otherwise up to the order of summation at the ends of the
    /// segments.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Lstm, Unroll};
    ///
    /// let lstm = Lstm::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let cell = lstm.on(&tape);
    /// let x = tape.zeros(&[100, 2, 3]);
    /// let segments = Unroll::new().in_segments(10, &lstm, &cell, x, |_tape, _start, outputs| (outputs * outputs).sum());
    /// let gradients = segments.loss().backward().of(&cell);
    /// assert_eq!(gradients.weight_hh.shape(), [5, 20]);
    /// ```
    ///
    /// # Panics
    /// As [`run`](Unroll::run), at the caller's line for the first step and within the library for later ones; if `every` is 0,
    /// `loss` does not return a scalar, or the unrolling has lengths or is backward in time, which segments do not support.
    #[track_caller]
    pub fn in_segments<'t, T, M, L>(
        self,
        every: usize,
        module: &M,
        cell: &M::With<Var<'t, T>>,
        x: Var<'t, T>,
        loss: L,
    ) -> Segments<'t, T, <M::With<Var<'t, T>> as Cell<'t, T>>::State>
    where
        T: Scalar,
        M: Parameters<Tensor<T>> + Clone + Send + Sync + 'static,
        for<'s> M::With<Var<'s, T>>: Cell<'s, T>,
        L: for<'s> Fn(&'s Tape<T>, usize, Var<'s, T>) -> Var<'s, T> + Send + Sync + 'static,
    {
        self.segments(every, module, cell, x, None, loss)
    }

    /// [`in_segments`](Unroll::in_segments) from `state` instead of the cell's first state.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Gru, Unroll};
    ///
    /// let gru = Gru::new(3, 5, &mut StdRng::seed_from_u64(1));
    /// let tape = Tape::<f32>::new();
    /// let (cell, x, first) = (gru.on(&tape), tape.zeros(&[100, 2, 3]), tape.zeros(&[2, 5]));
    /// let segments = Unroll::new().in_segments_from(10, &gru, &cell, x, first, |_tape, _start, outputs| outputs.square().sum());
    /// assert_eq!((segments.losses.len(), segments.last.shape().as_slice()), (10, &[2, 5][..]));
    /// ```
    ///
    /// # Panics
    /// As [`in_segments`](Unroll::in_segments), or if `state` has more or fewer variables than the cell's first state.
    #[track_caller]
    pub fn in_segments_from<'t, T, M, L>(
        self,
        every: usize,
        module: &M,
        cell: &M::With<Var<'t, T>>,
        x: Var<'t, T>,
        state: <M::With<Var<'t, T>> as Cell<'t, T>>::State,
        loss: L,
    ) -> Segments<'t, T, <M::With<Var<'t, T>> as Cell<'t, T>>::State>
    where
        T: Scalar,
        M: Parameters<Tensor<T>> + Clone + Send + Sync + 'static,
        for<'s> M::With<Var<'s, T>>: Cell<'s, T>,
        L: for<'s> Fn(&'s Tape<T>, usize, Var<'s, T>) -> Var<'s, T> + Send + Sync + 'static,
    {
        self.segments(every, module, cell, x, Some(state), loss)
    }

    #[track_caller]
    fn segments<'t, T, M, L>(
        self,
        every: usize,
        module: &M,
        cell: &M::With<Var<'t, T>>,
        x: Var<'t, T>,
        first: Option<<M::With<Var<'t, T>> as Cell<'t, T>>::State>,
        loss: L,
    ) -> Segments<'t, T, <M::With<Var<'t, T>> as Cell<'t, T>>::State>
    where
        T: Scalar,
        M: Parameters<Tensor<T>> + Clone + Send + Sync + 'static,
        for<'s> M::With<Var<'s, T>>: Cell<'s, T>,
        L: for<'s> Fn(&'s Tape<T>, usize, Var<'s, T>) -> Var<'s, T> + Send + Sync + 'static,
    {
        let [steps, batch, _] = check_input(x);
        if every == 0 {
            panic!("in_segments: segments of 0 steps; expected 1 at least");
        }
        if self.lengths.is_some() || self.backward {
            panic!("in_segments: sequences of one length, forward in time, are all that segments know");
        }
        let mut state = match first {
            Some(state) => state,
            None => cell.initial(batch),
        };
        check_features(cell, x);
        StateShapes::of_first(cell, &state, x);
        // The first step on a separate tape, with all its checks: within a segment, a panic would name a line of the library.
        let quiet = Tape::quiet();
        let trial = module.on(&quiet);
        let first: Vec<_> = parts(&state).into_iter().map(|part| quiet.constant(part.value())).collect();
        let first = filled(&trial, batch, &first);
        Unroll::new().run_from(&trial, quiet.constant(x.slice(0, 0..1).value()), first);
        // The structure of the module, to be filled with variables of the tape that a segment runs on.
        let shared = Arc::new((module.clone(), loss));
        let parameters = cell.leaves().into_iter().copied().collect::<Vec<_>>();
        let mut losses = Vec::new();
        for start in (0..steps).step_by(every) {
            let parts = parts(&state);
            let mut inputs = vec![x.slice(0, start..steps.min(start + every))];
            inputs.extend(&parts);
            inputs.extend(&parameters);
            let shared = Arc::clone(&shared);
            let packed = checkpoint(&inputs, move |tape, v| {
                let (module, loss) = &*shared;
                segment(module, start, v, |outputs| loss(tape, start, outputs))
            });
            losses.push(packed.slice(0, 0..1).reshape(&[]));
            let mut place = 1;
            state = state.clone().zip(state, &mut |part, _| {
                let from = place;
                place += part.element_count();
                packed.slice(0, from..place).reshape(&part.shape())
            });
        }
        Segments { losses, last: state }
    }
}

/// The state of `cell` with these variables as its parts.
///
/// # Panics
/// If they are more or fewer than the cell's first state has.
#[track_caller]
fn filled<'s, T: Scalar, C: Cell<'s, T>>(cell: &C, batch: usize, given: &[Var<'s, T>]) -> C::State {
    let blank = cell.initial(batch);
    let own = parts(&blank).len();
    if own != given.len() {
        panic!("in_segments: a first state of {} variables; that of the cell itself has {own}", given.len());
    }
    let mut given = given.iter();
    blank.clone().zip(blank, &mut |_, _| *given.next().expect("they have been counted"))
}

/// The loss of a segment and all parts of its last state, in one vector. `v` holds the segment of x, the parts of the state
/// before it, and the parameters; `start` is its first time step.
fn segment<'s, T, M>(module: &M, start: usize, v: &[Var<'s, T>], loss: impl Fn(Var<'s, T>) -> Var<'s, T>) -> Var<'s, T>
where
    T: Scalar,
    M: Parameters<Tensor<T>>,
    M::With<Var<'s, T>>: Cell<'s, T>,
{
    let (x, rest) = v.split_first().expect("the segment of x is an input");
    let (before, parameters) = rest.split_at(rest.len() - module.leaves().len());
    let mut parameters = parameters.iter();
    let cell = module.map(|_, _| *parameters.next().expect("one variable per leaf"));
    let first = filled(&cell, x.shape()[1], before);
    let unrolled = Unroll { first_step: start, ..Unroll::new() }.run_from(&cell, *x, first);
    let loss = loss(unrolled.outputs());
    if loss.element_count() != 1 {
        panic!("in_segments: the loss of a segment has shape {:?}, expected a scalar", loss.shape().as_slice());
    }
    let mut packed = vec![loss.reshape(&[1])];
    packed.extend(parts(&unrolled.last).into_iter().map(|part| part.reshape(&[part.element_count()])));
    concat(&packed, 0)
}
