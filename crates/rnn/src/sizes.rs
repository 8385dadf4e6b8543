//! Checks of sizes: an error names the cell and the time step, at the caller's line.
//!
//! Without them, a state of one sequence would be broadcast to a batch, and a product would report two shapes that the caller may
//! never have seen.

use std::fmt;

use rewind_autograd::shape::Shape;
use rewind_autograd::{Scalar, Var};
use smallvec::SmallVec;

use crate::cell::{Cell, State, parts};

/// The most inputs and units of a cell. No memory holds a weight of so many rows, and the lengths of those of all gates do not overflow.
const MOST: usize = 1 << 32;

/// Panics at the caller's line if a cell would have no input feature, no unit, or more than any memory holds.
#[track_caller]
pub(crate) fn check_sizes(cell: &str, inputs: usize, hidden: usize) {
    if inputs == 0 || hidden == 0 {
        panic!("{cell}: {inputs} inputs and {hidden} hidden units; expected at least one of each");
    }
    check_most(cell, inputs, hidden);
}

/// Panics at the caller's line if a cell would have more inputs or units than any memory holds.
#[track_caller]
pub(crate) fn check_most(cell: &str, inputs: usize, hidden: usize) {
    if inputs.max(hidden) > MOST {
        panic!("{cell}: {inputs} inputs and {hidden} hidden units; expected at most {MOST} of each");
    }
}

/// A parameter of a cell: its name, its variable if the cell has it, and the shape that it should have.
pub(crate) type Expected<'a, 't, T> = (&'a str, Option<Var<'t, T>>, &'a [usize]);

/// Panics at the caller's line if a parameter does not have the shape that the sizes of the cell require. Otherwise some shapes would
/// be broadcast, and the rest rejected by an op that cannot name the parameter.
#[inline]
#[track_caller]
pub(crate) fn check_parameters<T: Scalar>(cell: &str, parameters: &[Expected<'_, '_, T>]) {
    for (name, parameter, expected) in parameters {
        if let Some(parameter) = parameter
            && !parameter.has_shape(expected)
        {
            refuse_parameter(cell, name, &parameter.shape(), expected);
        }
    }
}

#[cold]
#[track_caller]
fn refuse_parameter(cell: &str, name: &str, found: &[usize], expected: &[usize]) -> ! {
    panic!("{cell}: {name} has shape {found:?}; expected {expected:?}, by the rows of its weights")
}

/// The number of rows of a weight; 0 for a scalar, which no check accepts.
#[inline]
pub(crate) fn rows<T: Scalar>(weight: Var<'_, T>) -> usize {
    weight.shape().first().copied().unwrap_or(0)
}

/// The number of columns of a weight; 0 for a scalar.
#[inline]
pub(crate) fn columns<T: Scalar>(weight: Var<'_, T>) -> usize {
    weight.shape().last().copied().unwrap_or(0)
}

/// A part of a state: its name, its variable, and the shape that its row of each sequence should have.
pub(crate) type PartOfState<'a, 't, T> = (&'a str, Var<'t, T>, &'a [usize]);

/// Panics at the caller's line unless x is `[B, inputs]` and every part of the state `[B, …]` with rows of its shape, with one B.
#[inline]
#[track_caller]
pub(crate) fn check_step<'t, T: Scalar>(cell: &str, inputs: usize, x: Var<'t, T>, state: &[PartOfState<'_, 't, T>]) {
    let has_rows = |part: Var<'t, T>, batch: usize, row: &[usize]| matches!(part.shape()[..], [rows, ref shape @ ..] if rows == batch && shape == row);
    let fits = matches!(x.shape()[..], [batch, width] if width == inputs
        && state.iter().all(|&(_, part, row)| has_rows(part, batch, row)));
    if !fits {
        refuse_step(cell, inputs, x, state);
    }
}

#[cold]
#[track_caller]
fn refuse_step<'t, T: Scalar>(cell: &str, inputs: usize, x: Var<'t, T>, state: &[PartOfState<'_, 't, T>]) -> ! {
    let features = [inputs];
    let all = [&[("x", x, &features[..])], state].concat();
    let takes = all.iter().map(|(name, _, row)| {
        let row: Vec<_> = row.iter().map(usize::to_string).collect();
        format!("{name} [B, {}]", row.join(", "))
    });
    let came = all.iter().map(|(name, part, _)| format!("{name} {:?}", part.shape().as_slice()));
    let [takes, came] = [takes.collect::<Vec<_>>(), came.collect()].map(|parts| parts.join(", "));
    // In an unrolled cell, x was sliced from its sequence in the scope of the step.
    let scope = x.scope();
    let step = scope.split('/').find(|level| level.starts_with("t=")).map_or(String::new(), |t| format!(" at {t}"));
    panic!("{cell}: a step takes {takes}, with one B; got {came}{step}");
}

/// Panics at the caller's line unless a learned first state has `hidden` elements: a single one would be broadcast.
#[track_caller]
pub(crate) fn check_learned<T: Scalar>(cell: &str, name: &str, learned: Option<Var<'_, T>>, hidden: usize) {
    if let Some(row) = learned
        && row.shape()[..] != [hidden]
    {
        panic!("{cell}: {name} has shape {:?}; expected [{hidden}], a number for each unit", row.shape().as_slice());
    }
}

/// The lengths T, B and I of a sequence.
#[track_caller]
pub(crate) fn check_input<T: Scalar>(x: Var<'_, T>) -> [usize; 3] {
    match x.shape()[..] {
        [0, ..] => panic!("unroll: x has shape {:?}: no time step", x.shape().as_slice()),
        [steps, batch, inputs] => [steps, batch, inputs],
        _ => panic!("unroll: x has shape {:?}; expected [T, B, I]: time, batch, features", x.shape().as_slice()),
    }
}

/// Panics at the caller's line if the cell declares another number of features than x `[T, B, I]` has.
#[track_caller]
pub(crate) fn check_features<'t, T: Scalar, C: Cell<'t, T>>(cell: &C, x: Var<'t, T>) {
    let shape = x.shape();
    if let Some(features) = cell.features()
        && features != shape[2]
    {
        let name = name_of::<C>();
        panic!("unroll: {name} takes x [T, B, {features}], {features} features; got x {:?}", shape.as_slice());
    }
}

/// Panics at the caller's line if the first state is on another tape than x. Without a given state, that is the tape of the cell.
#[track_caller]
pub(crate) fn check_tape<'t, T: Scalar, C: Cell<'t, T>>(_cell: &C, first: &C::State, x: Var<'t, T>) {
    if parts(first).iter().any(|part| !std::ptr::eq(part.tape(), x.tape())) {
        panic!("unroll: {} or its first state lives on another tape than x", name_of::<C>());
    }
}

#[track_caller]
pub(crate) fn check_lengths(lengths: &[usize], steps: usize, batch: usize) {
    if lengths.len() != batch {
        panic!("unroll: {} lengths for a batch of {batch} sequences", lengths.len());
    }
    for (b, &length) in lengths.iter().enumerate() {
        if length == 0 {
            panic!("unroll: sequence {b} is empty; expected a length from 1 to {steps}");
        }
        if length > steps {
            panic!("unroll: sequence {b} has length {length}, longer than the padded batch of {steps} time steps");
        }
    }
}

/// The shapes of all parts of the first state, which every step must keep.
pub(crate) struct StateShapes(SmallVec<[Shape; 4]>);

impl StateShapes {
    /// The shapes of the first state of the cell or layer of that name, which only a panic asks for.
    ///
    /// # Panics
    /// If the first axis of a part is not the batch of x `[T, B, I]`.
    #[track_caller]
    pub(crate) fn of_first<'t, T: Scalar>(
        name: fn() -> &'static str,
        first: &impl State<'t, T>,
        x: Var<'t, T>,
    ) -> Self {
        StateShapes(check_rows(|| format!("unroll: {}", name()), first, x))
    }

    /// # Panics
    /// If a part of the state after a step, one of `parts`, has another shape than before it.
    #[inline]
    #[track_caller]
    pub(crate) fn check_next<'t, T: Scalar, C: Cell<'t, T>>(
        &self,
        _cell: &C,
        next: &C::State,
        parts: &[Var<'t, T>],
        t: usize,
    ) {
        let same = parts.len() == self.0.len() && parts.iter().zip(&self.0).all(|(part, shape)| part.has_shape(shape));
        if !same {
            self.refuse_next::<T, C>(next, t);
        }
    }

    #[cold]
    #[track_caller]
    fn refuse_next<'t, T: Scalar, C: Cell<'t, T>>(&self, next: &C::State, t: usize) -> ! {
        let (cell, shapes) = (name_of::<C>(), parts(next).into_iter().map(Var::shape).collect::<Vec<_>>());
        let Some(at) = shapes.iter().zip(&self.0).position(|(after, before)| after != before) else {
            panic!(
                "unroll: the step of {cell} at t={t} gives a state of {} variables, and got one of {}; expected as many",
                shapes.len(),
                self.0.len()
            );
        };
        panic!(
            "unroll: the step of {cell} at t={t} gives {}, and got it as {:?}; expected the same shape",
            Part { names: &next.part_names(), at, shape: &shapes[at] },
            self.0[at].as_slice()
        );
    }
}

/// The shapes of all parts of a first state. Panics at the caller's line, with the name of what starts from it, if the first axis of a part is
/// not the batch of x `[T, B, I]`.
#[track_caller]
pub(crate) fn check_rows<'t, T: Scalar>(
    name: impl FnOnce() -> String,
    first: &impl State<'t, T>,
    x: Var<'t, T>,
) -> SmallVec<[Shape; 4]> {
    let batch = x.shape()[1];
    let shapes: SmallVec<[Shape; 4]> = parts(first).into_iter().map(Var::shape).collect();
    if let Some(at) = shapes.iter().position(|shape| shape.first() != Some(&batch)) {
        panic!(
            "{} starts from {}; expected [{batch}, …], a row for each of the {batch} sequences of x {:?}",
            name(),
            Part { names: &first.part_names(), at, shape: &shapes[at] },
            x.shape().as_slice()
        );
    }
    shapes
}

/// A part of a state and its shape, for messages.
struct Part<'a> {
    names: &'a [String],
    at: usize,
    shape: &'a [usize],
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.at.to_string();
        let name = self.names.get(self.at).unwrap_or(&number);
        write!(f, "part `{name}` of the state as {:?}", self.shape)
    }
}

/// Panics at the caller's line if a layer declares another number of features than the `width` that `below` gives.
#[track_caller]
pub(crate) fn check_width(declared: Option<usize>, width: usize, layer: &str, below: &str) {
    if let Some(features) = declared
        && features != width
    {
        panic!("{layer}: takes {features} features a step; {below} gives {width}");
    }
}

/// The name of the type of a cell or layer, without its path and its generic arguments: of a layer of one cell that of the cell, of a stack
/// that of its first layer.
pub(crate) fn name_of<C>() -> &'static str {
    let full = std::any::type_name::<C>();
    let mut names = full.split(['<', '(', ',']).map(|path| path.rsplit("::").next().unwrap_or(path));
    names.find(|name| !matches!(*name, "" | "InChunks" | "Recurrent" | "Scan" | "Vec")).unwrap_or(full)
}
