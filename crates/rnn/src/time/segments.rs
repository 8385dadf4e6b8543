//! Long sequences in segments: of each, only the last state is kept (Chen et al. 2016; Gruslys et al. 2016).

use std::sync::Arc;

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var, checkpoint};

use crate::cell::{Cell, State, parts, with_parts};
use crate::sizes::{StateShapes, check_features, check_input, check_lengths, check_width, name_of};
use crate::time::{Layer, Recurrent, Unroll};

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
    /// `loss` does not return a scalar, or the unrolling is backward in time, which segments do not support.
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
        let [_, batch, _] = check_input(x);
        self.in_segments_from(every, module, cell, x, cell.initial(batch), loss)
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
        let [steps, batch, _] = check_input(x);
        if let Some(lengths) = self.lengths {
            check_lengths(lengths, steps, batch);
        }
        check_features(cell, x);
        StateShapes::of_first(cell, &state, x);
        let parameters = cell.leaves().into_iter().copied().collect();
        self.segments(every, Recurrent(module.clone()), parameters, x, state, loss)
    }

    /// Runs a layer over `x` `[T, B, I]` in segments of `every` steps, as [`in_segments`](Unroll::in_segments) does a cell: a stack, say,
    /// over a padded batch. `loss` gets the outputs of the layer in the segment. A sequence may have ended before the segment begins.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Gru, Lstm, Recurrent, Unroll};
    ///
    /// let rng = &mut StdRng::seed_from_u64(1);
    /// let stack = (Recurrent(Lstm::new(3, 5, rng)), Recurrent(Gru::new(5, 4, rng)));
    /// let tape = Tape::<f32>::new();
    /// let (on_tape, x) = (stack.on(&tape), tape.zeros(&[100, 2, 3]));
    /// let how = Unroll::new().lengths(&[100, 64]);
    /// let first = None; // the stack's own
    /// let segments = how.through_in_segments(10, &stack, &on_tape, x, first, |_tape, _start, outputs| outputs.square().sum());
    /// let gradients = segments.loss().backward().of(&on_tape);
    /// assert_eq!(gradients.1.0.weight_ih.shape(), [5, 12]);
    /// ```
    ///
    /// # Panics
    /// As [`through`](Unroll::through), at the caller's line for the first step and within the library for later ones; if `every` is 0,
    /// `loss` does not return a scalar, the layer is not [causal](Layer::is_causal), or the pass is backward in time.
    #[track_caller]
    pub fn through_in_segments<'t, T, M, L>(
        self,
        every: usize,
        module: &M,
        layer: &M::With<Var<'t, T>>,
        x: Var<'t, T>,
        state: Option<<M::With<Var<'t, T>> as Layer<'t, T>>::State>,
        loss: L,
    ) -> Segments<'t, T, <M::With<Var<'t, T>> as Layer<'t, T>>::State>
    where
        T: Scalar,
        M: Parameters<Tensor<T>> + Clone + Send + Sync + 'static,
        for<'s> M::With<Var<'s, T>>: Layer<'s, T>,
        L: for<'s> Fn(&'s Tape<T>, usize, Var<'s, T>) -> Var<'s, T> + Send + Sync + 'static,
    {
        let [steps, batch, width] = check_input(x);
        check_width(layer.input_width(), width, name_of::<M>(), "x");
        if let Some(lengths) = self.lengths {
            check_lengths(lengths, steps, batch);
        }
        if !layer.is_causal() {
            panic!("in_segments: {} reads the whole sequence; expected layers that read no later step", name_of::<M>());
        }
        let first = state.unwrap_or_else(|| layer.initial_state(batch));
        self.segments(every, module.clone(), layer.leaves().into_iter().copied().collect(), x, first, loss)
    }

    #[track_caller]
    fn segments<'t, T, M, L>(
        self,
        every: usize,
        module: M,
        parameters: Vec<Var<'t, T>>,
        x: Var<'t, T>,
        first: <M::With<Var<'t, T>> as Layer<'t, T>>::State,
        loss: L,
    ) -> Segments<'t, T, <M::With<Var<'t, T>> as Layer<'t, T>>::State>
    where
        T: Scalar,
        M: Parameters<Tensor<T>> + Send + Sync + 'static,
        for<'s> M::With<Var<'s, T>>: Layer<'s, T>,
        L: for<'s> Fn(&'s Tape<T>, usize, Var<'s, T>) -> Var<'s, T> + Send + Sync + 'static,
    {
        let steps = x.shape()[0];
        if every == 0 {
            panic!("in_segments: segments of 0 steps; expected 1 at least");
        }
        if self.backward {
            panic!("in_segments: the pass is backward in time; segments are computed forward");
        }
        self.try_first_step(&module, x, &first);
        let x = self.masked(x);
        // The structure of the module, to be filled with variables of the tape that a segment runs on.
        let shared = Arc::new((module, loss, self.lengths.map(<[usize]>::to_vec)));
        let (noise, mut state, mut losses) = (self.noise, first, Vec::new());
        for start in (0..steps).step_by(every) {
            let parts = parts(&state);
            let mut inputs = vec![x.slice(0, start..steps.min(start + every))];
            inputs.extend(&parts);
            inputs.extend(&parameters);
            let shared = Arc::clone(&shared);
            let packed = checkpoint(&inputs, move |tape, v| {
                let (module, loss, lengths) = &*shared;
                let steps = v[0].shape()[0];
                let left = |length: &usize| length.saturating_sub(start).min(steps);
                let left: Option<Vec<usize>> = lengths.as_ref().map(|all| all.iter().map(left).collect());
                let how =
                    Unroll { lengths: left.as_deref(), first_step: start, noise, is_segment: true, ..Unroll::new() };
                segment(module, how, v, |outputs| loss(tape, start, outputs))
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

    /// The first step on a separate tape, with all its checks: within a segment, a panic would name a line of the library.
    #[track_caller]
    fn try_first_step<'t, T, M, S>(self, module: &M, x: Var<'t, T>, first: &S)
    where
        T: Scalar,
        M: Parameters<Tensor<T>>,
        for<'s> M::With<Var<'s, T>>: Layer<'s, T>,
        S: State<'t, T>,
    {
        let quiet = Tape::quiet();
        let trial = module.on(&quiet);
        let first: Vec<_> = parts(first).into_iter().map(|part| quiet.constant(part.value())).collect();
        let first = filled(&trial, x.shape()[1], &first);
        Unroll { lengths: None, ..self }.through_from(&trial, quiet.constant(x.slice(0, 0..1).value()), first);
    }
}

/// The state of `layer` with these variables as its parts.
///
/// # Panics
/// If they are more or fewer than the layer's first state has.
#[track_caller]
fn filled<'s, T: Scalar, L: Layer<'s, T>>(layer: &L, batch: usize, given: &[Var<'s, T>]) -> L::State {
    let blank = layer.initial_state(batch);
    let own = parts(&blank).len();
    if own != given.len() {
        panic!("in_segments: a first state of {} variables; that of the cell itself has {own}", given.len());
    }
    with_parts(blank, given)
}

/// The loss of a segment and all parts of its last state, in one vector. `v` holds the segment of x, the parts of the state
/// before it, and the parameters.
fn segment<'s, T, M>(
    module: &M,
    how: Unroll<'_>,
    v: &[Var<'s, T>],
    loss: impl Fn(Var<'s, T>) -> Var<'s, T>,
) -> Var<'s, T>
where
    T: Scalar,
    M: Parameters<Tensor<T>>,
    M::With<Var<'s, T>>: Layer<'s, T>,
{
    let (x, rest) = v.split_first().expect("the segment of x is an input");
    let (before, parameters) = rest.split_at(rest.len() - module.leaves().len());
    let mut parameters = parameters.iter();
    let layer = module.map(|_, _| *parameters.next().expect("one variable per leaf"));
    let first = filled(&layer, x.shape()[1], before);
    let run = layer.forward(*x, first, how);
    let loss = loss(run.outputs);
    if loss.element_count() != 1 {
        panic!("in_segments: the loss of a segment has shape {:?}, expected a scalar", loss.shape().as_slice());
    }
    let mut packed = vec![loss.reshape(&[1])];
    packed.extend(parts(&run.last).into_iter().map(|part| part.reshape(&[part.element_count()])));
    concat(&packed, 0)
}
