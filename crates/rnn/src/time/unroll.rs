//! Unrolling in time: a cell applied to a sequence, step by step, on one tape.

use rewind_autograd::ops::layout::stack;
use rewind_autograd::{List, Scalar, Tensor, Var};

use crate::cell::{Cell, State, parts};
use crate::noise::Noise;
use crate::sizes::{StateShapes, check_features, check_input, check_lengths, check_tape, name_of};
use crate::train::resume::COUNT_LIMIT;

/// Unrolls `cell` over `x` `[T, B, I]`, from the cell's [first state](Cell::initial). All sequences have T steps; see
/// [`Unroll`] for padded batches, other first states and the backward direction.
///
/// # Panics
/// As [`Unroll::run`].
#[track_caller]
pub fn unroll<'t, T: Scalar, C: Cell<'t, T>>(cell: &C, x: Var<'t, T>) -> Unrolled<'t, T, C::State> {
    Unroll::new().run(cell, x)
}

/// Settings of an unrolling: lengths of the sequences and direction in time.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape};
/// use rewind_rnn::{Gru, Unroll};
///
/// let gru = Gru::new(3, 5, &mut StdRng::seed_from_u64(1));
/// let tape = Tape::<f32>::new();
/// let cell = gru.on(&tape);
/// let x = tape.zeros(&[7, 2, 3]); // two sequences, padded to 7 steps
/// let unroll = Unroll::new().lengths(&[7, 4]);
/// let first = unroll.run(&cell, x);
/// assert_eq!(first.states.len(), 7);
/// let second = unroll.run_from(&cell, x, first.last); // continues from the last state
/// assert_eq!(second.last_output().shape().as_slice(), [2, 5]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Unroll<'a> {
    pub(crate) lengths: Option<&'a [usize]>,
    pub(crate) backward: bool,
    /// The number of the first time step: not 0 for a segment of a longer sequence.
    pub(crate) first_step: usize,
    pub(crate) noise: Option<Noise>,
    /// Whether this is part of a longer sequence, which may have ended before.
    pub(crate) is_segment: bool,
}

impl<'a> Unroll<'a> {
    /// Forward in time, all sequences of one length.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of every sequence; the time steps after it are padding. There, the state of a sequence does not change and
    /// its output is 0, so padding changes no result and no gradient.
    ///
    /// A step is still computed there, with x = 0, and masked. So the derivatives of a cell must be finite at x = 0; those of a cell
    /// that divides by the norm of x are NaN.
    pub fn lengths(self, lengths: &'a [usize]) -> Self {
        Unroll { lengths: Some(lengths), ..self }
    }

    /// From the last time step to the first: the other half of a bidirectional network. Every sequence starts at its last
    /// step.
    pub fn backward(self) -> Self {
        Unroll { backward: true, ..self }
    }

    /// Numbers the time steps from `step` on, in scopes and for the masks of dropout: a decoder that goes on where an encoder of T
    /// steps has ended begins at T. The [lens](crate::lens) needs it to see one chain of states.
    ///
    /// # Panics
    /// If `step` is 2^63 or more.
    #[track_caller]
    pub fn from_step(self, step: usize) -> Self {
        if step as u64 >= COUNT_LIMIT {
            panic!("from_step: step {step}; expected one below 2^63");
        }
        Unroll { first_step: step, ..self }
    }

    /// In the other direction of time.
    pub(crate) fn reversed(self) -> Self {
        Unroll { backward: !self.backward, ..self }
    }

    /// A pass of training: dropout and zoneout draw their masks from `noise`. Without noise they are off, as a trained network is used.
    pub fn noise(self, noise: Noise) -> Self {
        Unroll { noise: Some(noise), ..self }
    }

    /// Unrolls `cell` over `x` `[T, B, I]`, from the cell's [first state](Cell::initial).
    ///
    /// # Panics
    /// - If `x` does not have three axes, there is no time step, or the lengths are not one for each sequence, from 1 to T.
    /// - If the cell declares another number of [features](Cell::features), or a part of the first state does not have a row for
    ///   each sequence of `x`.
    /// - If the cell, or the first state, is on another tape than `x`.
    /// - If a step changes the shape of a part of the state. Broadcasting would hide it, such as a state of one sequence for a batch.
    #[track_caller]
    pub fn run<'t, T: Scalar, C: Cell<'t, T>>(self, cell: &C, x: Var<'t, T>) -> Unrolled<'t, T, C::State> {
        self.steps(cell, x, None)
    }

    /// Unrolls `cell` over `x` `[T, B, I]`, from `state`.
    ///
    /// # Panics
    /// As [`run`](Unroll::run).
    #[track_caller]
    pub fn run_from<'t, T: Scalar, C: Cell<'t, T>>(
        self,
        cell: &C,
        x: Var<'t, T>,
        state: C::State,
    ) -> Unrolled<'t, T, C::State> {
        self.steps(cell, x, Some(state))
    }

    #[track_caller]
    fn steps<'t, T: Scalar, C: Cell<'t, T>>(
        self,
        cell: &C,
        x: Var<'t, T>,
        first: Option<C::State>,
    ) -> Unrolled<'t, T, C::State> {
        let [steps, batch, _] = check_input(x);
        if let Some(lengths) = self.lengths.filter(|_| !self.is_segment) {
            check_lengths(lengths, steps, batch);
        }
        check_features(cell, x);
        let zero = x.tape().scalar(T::ZERO);
        let mut state = match first {
            Some(state) => state,
            None => cell.initial(batch),
        };
        check_tape(cell, &state, x);
        let shapes = StateShapes::of_first(name_of::<C>, &state, x);
        let mut states = x.tape().list(steps);
        for k in 0..steps {
            let t = if self.backward { steps - 1 - k } else { k };
            let _step = x.tape().numbered_scope("t", self.first_step + t);
            let start = x.tape().len();
            let now = x.index(0, t);
            let kept;
            (state, kept) = match running(self.lengths, t) {
                // Padding is masked before and after the step: its elements, even NaN, must reach neither the state nor, in
                // the sweep, the gradient of a weight, where they would be multiplied by 0.
                Some(mask) => {
                    let mask = x.tape().constant(mask);
                    let now = mask.select(now, zero);
                    let next = self.step(cell, now, state.clone(), (k, t));
                    shapes.check_next(cell, &next, &parts(&next), self.first_step + t);
                    let state = next.zip(state, &mut |new, old| by_sequence(mask, new).select(new, old));
                    let kept = parts(&state);
                    (state, kept)
                }
                None => {
                    let next = self.step(cell, now, state, (k, t));
                    let kept = parts(&next);
                    shapes.check_next(cell, &next, &kept, self.first_step + t);
                    (next, kept)
                }
            };
            states.push(state.clone());
            // Intermediate values of the step that no rule reads: usually half of a cell's memory.
            x.tape().release_unread(start, &kept);
        }
        if self.backward {
            states.reverse();
        }
        let lengths = self.lengths.map(<[usize]>::to_vec);
        Unrolled { states, last: state, lengths, first_step: self.first_step, scalar: std::marker::PhantomData }
    }

    /// Step number `k` of those that are unrolled, at time step `t`. The first checks the parameters and the shapes, which are the same in
    /// all steps.
    #[inline]
    #[track_caller]
    fn step<'t, T: Scalar, C: Cell<'t, T>>(
        self,
        cell: &C,
        x: Var<'t, T>,
        state: C::State,
        (k, t): (usize, usize),
    ) -> C::State {
        match self.noise {
            Some(noise) => cell.noisy_step(x, state, noise.at_step(self.first_step + t)),
            None if k == 0 => cell.step(x, state),
            None => cell.equations(x, state),
        }
    }
}

/// `[B, 1]`: 1 for sequences that have a step `t`, 0 for finished ones; `None` if none is finished.
fn running<T: Scalar>(lengths: Option<&[usize]>, t: usize) -> Option<Tensor<T>> {
    let lengths = lengths.filter(|lengths| lengths.iter().any(|&length| t >= length))?;
    Some(Tensor::from_fn(&[lengths.len(), 1], |b| if t < lengths[b] { T::ONE } else { T::ZERO }))
}

/// A mask `[B, 1]` reshaped to broadcast along the first axis of `part` `[B, …]`.
fn by_sequence<'t, T: Scalar>(mask: Var<'t, T>, part: Var<'t, T>) -> Var<'t, T> {
    match part.rank() {
        2 => mask,
        rank => {
            let mut shape = vec![1; rank];
            shape[0] = mask.shape()[0];
            mask.reshape(&shape)
        }
    }
}

/// An unrolled cell: the states and outputs of all time steps.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape};
/// use rewind_rnn::{Gru, Unrolled, unroll};
///
/// let gru = Gru::new(3, 5, &mut StdRng::seed_from_u64(1));
/// let tape = Tape::<f32>::new();
/// let unrolled: Unrolled<_, _> = unroll(&gru.on(&tape), tape.zeros(&[7, 2, 3]));
/// assert_eq!(unrolled.outputs().shape().as_slice(), [7, 2, 5]);
/// assert_eq!(unrolled.output(6).value(), unrolled.last_output().value());
/// ```
#[derive(Clone, Debug)]
pub struct Unrolled<'t, T: Scalar, S> {
    /// The state after each of the T time steps, in the order of time.
    pub states: List<'t, S>,
    /// The state after the last step of each sequence (after its first, backward in time).
    pub last: S,
    lengths: Option<Vec<usize>>,
    /// The number of the first time step.
    first_step: usize,
    scalar: std::marker::PhantomData<Var<'t, T>>,
}

impl<'t, T: Scalar, S: State<'t, T>> Unrolled<'t, T, S> {
    /// The outputs of all time steps, `[T, B, H]`; 0 after the end of a sequence.
    pub fn outputs(&self) -> Var<'t, T> {
        let mut outputs = self.last.output().tape().list(self.states.len());
        outputs.extend((0..self.states.len()).map(|t| self.output(t)));
        stack(&outputs, 0)
    }

    /// The output of time step `t`, `[B, H]`; 0 after the end of a sequence.
    ///
    /// # Panics
    /// If there is no such step.
    #[track_caller]
    pub fn output(&self, t: usize) -> Var<'t, T> {
        let h = self.states[t].output();
        match running(self.lengths.as_deref(), t) {
            Some(mask) => {
                let _step = h.tape().numbered_scope("t", self.first_step + t);
                by_sequence(h.tape().constant(mask), h).select(h, h.tape().scalar(T::ZERO))
            }
            None => h,
        }
    }

    /// The output at the end of every sequence, `[B, H]`: the input of a many-to-one readout.
    pub fn last_output(&self) -> Var<'t, T> {
        self.last.output()
    }
}
