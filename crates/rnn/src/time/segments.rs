//! Long sequences in segments: of each, only the last state is kept (Chen et al. 2016; Gruslys et al. 2016).

use std::sync::Arc;

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var, checkpoint};

use crate::cell::{State, parts, with_parts};
use crate::sizes::{StateShapes, check_input, check_lengths, check_width, name_of};
use crate::time::{Layer, LayerModule, Unroll};

/// A sequence that went through a layer in segments.
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
    /// Runs a layer over `x` `[T, B, I]` in segments of `every` steps, keeps only the last state of each, and computes a segment again
    /// when the sweep reaches it: each step is computed twice. With `every` near √T the memory grows with √T. A cell goes through
    /// [`Recurrent`](crate::Recurrent).
    ///
    /// `loss` gets a tape, the first time step of a segment and the outputs of its steps, `[S, B, H]`, and returns a scalar; so the
    /// outputs need not be kept either. In a padded batch, a sequence may have ended before the segment begins. `module` is the module of
    /// tensors that `layer` is on the tape.
    ///
    /// Gradients are those of [`through`](Unroll::through) with the losses of all segments summed. They are equal to the last bit for a
    /// cell that uses its state at most twice in a step (tanh-RNN, LSTM), and otherwise up to the order of summation at the ends of the
    /// segments, or up to rounding for a layer that computes many steps at once.
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
    /// let segments = how.through_in_segments(10, &stack, &on_tape, x, |_tape, _start, outputs| outputs.square().sum());
    /// let gradients = segments.loss().backward().of(&on_tape);
    /// assert_eq!(gradients.1.0.weight_ih.shape(), [5, 12]);
    /// ```
    ///
    /// # Panics
    /// As [`through`](Unroll::through), at the caller's line for the first step and within the library for later ones; if `every` is 0,
    /// `loss` does not return a scalar, the layer is not [causal](Layer::is_causal), or the pass is backward in time, which segments do
    /// not support.
    #[track_caller]
    pub fn through_in_segments<'t, T, M, L>(
        self,
        every: usize,
        module: &M,
        layer: &M::With<Var<'t, T>>,
        x: Var<'t, T>,
        loss: L,
    ) -> Segments<'t, T, <M::With<Var<'t, T>> as Layer<'t, T>>::State>
    where
        T: Scalar,
        M: LayerModule<T>,
        L: for<'s> Fn(&'s Tape<T>, usize, Var<'s, T>) -> Var<'s, T> + Send + Sync + 'static,
    {
        let [_, batch, _] = check_input(x);
        self.through_in_segments_from(every, module, layer, x, layer.initial_state(batch), loss)
    }

    /// [`through_in_segments`](Unroll::through_in_segments) from `state` instead of the layer's first state.
    ///
    /// ```
    /// use rand::{SeedableRng, rngs::StdRng};
    /// use rewind_autograd::{OnTape, Tape};
    /// use rewind_rnn::{Gru, Recurrent, Unroll};
    ///
    /// let gru = Recurrent(Gru::new(3, 5, &mut StdRng::seed_from_u64(1)));
    /// let tape = Tape::<f32>::new();
    /// let (layer, x, first) = (gru.on(&tape), tape.zeros(&[100, 2, 3]), tape.zeros(&[2, 5]));
    /// let segments = Unroll::new().through_in_segments_from(10, &gru, &layer, x, first, |_, _, outputs| outputs.square().sum());
    /// assert_eq!((segments.losses.len(), segments.last.shape().as_slice()), (10, &[2, 5][..]));
    /// ```
    ///
    /// # Panics
    /// As [`through_in_segments`](Unroll::through_in_segments), or if `state` has more or fewer variables than the layer's first state.
    #[track_caller]
    pub fn through_in_segments_from<'t, T, M, L>(
        self,
        every: usize,
        module: &M,
        layer: &M::With<Var<'t, T>>,
        x: Var<'t, T>,
        state: <M::With<Var<'t, T>> as Layer<'t, T>>::State,
        loss: L,
    ) -> Segments<'t, T, <M::With<Var<'t, T>> as Layer<'t, T>>::State>
    where
        T: Scalar,
        M: LayerModule<T>,
        L: for<'s> Fn(&'s Tape<T>, usize, Var<'s, T>) -> Var<'s, T> + Send + Sync + 'static,
    {
        self.check_segments(every, layer, x, &state);
        self.try_first_step(module, x, &state);
        let (steps, x, noise) = (x.shape()[0], self.masked(x), self.noise);
        let parameters: Vec<_> = layer.leaves().into_iter().copied().collect();
        // The structure of the module, to be filled with variables of the tape that a segment runs on.
        let shared = Arc::new((module.clone(), loss, self.lengths.map(<[usize]>::to_vec)));
        let (mut state, mut losses, first_step) = (state, Vec::new(), self.first_step);
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
                let first_step = first_step + start;
                let how = Unroll { lengths: left.as_deref(), first_step, noise, is_segment: true, ..Unroll::new() };
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

    /// Panics at the caller's line if the layer, the sequence, the state and the settings cannot make segments.
    #[track_caller]
    fn check_segments<'t, T: Scalar, L: Layer<'t, T>>(self, every: usize, layer: &L, x: Var<'t, T>, first: &L::State) {
        let ([steps, batch, width], name) = (check_input(x), name_of::<L>());
        check_width(layer.input_width(), width, name, "x");
        if let Some(lengths) = self.lengths {
            check_lengths(lengths, steps, batch);
        }
        StateShapes::of_first(name_of::<L>, first, x);
        if !layer.is_causal() {
            panic!("through_in_segments: {name} reads the whole sequence; expected layers that read no later step");
        }
        if every == 0 {
            panic!("through_in_segments: segments of 0 steps; expected 1 at least");
        }
        if self.backward {
            panic!("through_in_segments: the pass is backward in time; segments are computed forward");
        }
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
        panic!("through_in_segments: a first state of {} variables; that of the layer itself has {own}", given.len());
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
        panic!("through_in_segments: the loss of a segment has shape {:?}, expected a scalar", loss.shape().as_slice());
    }
    let mut packed = vec![loss.reshape(&[1])];
    packed.extend(parts(&run.last).into_iter().map(|part| part.reshape(&[part.element_count()])));
    concat(&packed, 0)
}
