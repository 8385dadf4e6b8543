//! Runs of a layer, and where two of them differ.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rewind_autograd::{Module, OnTape, Scalar, Tape, Tensor, Var};

use crate::cell::{State, parts, with_parts};
use crate::check::run::{Kind, Layers, Run};
use crate::time::{Layer, Unroll};

/// The fewest time steps, sequences and multiples of the given steps: room for padding, for a cut, and for sequences of one step.
const STEPS: usize = 6;
const BATCH: usize = 3;
const MULTIPLES: usize = 3;

/// Differences of this many times what rounding of the inputs does are no more than rounding.
const ROUNDING: f64 = 1000.0;

/// What a run gives.
pub(super) struct Outcome<T: Scalar> {
    pub(super) outputs: Tensor<T>,
    pub(super) last: Vec<Tensor<T>>,
    /// The number of the sequence in the first row.
    pub(super) row: usize,
}

impl<T: Scalar> Outcome<T> {
    /// Of a batch that begins with sequence `row`.
    pub(super) fn in_row(&self, row: usize) -> Self {
        Outcome { outputs: self.outputs.clone(), last: self.last.clone(), row }
    }

    fn all(&self) -> impl Iterator<Item = T> {
        std::iter::once(&self.outputs).chain(&self.last).flat_map(Tensor::to_vec)
    }

    /// Whether an element has other bits.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        self.all().zip(other.all()).any(|(a, b)| !is_near(a, b, 0.0))
    }
}

/// Where a rule is broken.
pub(super) struct Found {
    pub(super) place: String,
    pub(super) found: String,
    pub(super) expected: String,
}

impl Found {
    fn shapes(what: &str, found: &[usize], expected: String) -> Option<Self> {
        Some(Found { place: format!("the shape of {what}"), found: format!("{found:?}"), expected })
    }
}

/// A layer, and the batch over which it is run.
pub(super) struct Trial<T: Scalar, M> {
    pub(super) module: M,
    pub(super) is_causal: bool,
    part_names: Vec<String>,
    /// `[T, B, I]`, NaN after the end of a sequence.
    pub(super) x: Tensor<T>,
    pub(super) first: Vec<Tensor<T>>,
    /// Fewer than T steps each.
    pub(super) lengths: Vec<usize>,
    /// How much outputs and the parts of the last state may differ by rounding.
    tolerances: Vec<f64>,
    /// The largest of them, relative to the values.
    pub(super) relative: f64,
}

impl<T: Scalar, M: Module<T>> Trial<T, M>
where
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    /// Over a multiple of the given steps, for a layer that splits the sequence in blocks; over those alone if it takes no more.
    ///
    /// # Errors
    /// The message of its panic, if it does not run.
    pub(super) fn new(layer: &M, [steps, batch, features]: [usize; 3]) -> Result<Self, String> {
        let longer = steps * STEPS.div_ceil(steps).max(MULTIPLES);
        let with_room = caught(|| Self::with_sizes(layer, [longer, batch.max(BATCH), features], longer - steps));
        with_room.or_else(|_| caught(|| Self::with_sizes(layer, [steps, batch, features], (steps - 1).max(1))))
    }

    fn with_sizes(layer: &M, sizes: [usize; 3], longest: usize) -> Self {
        let [_, batch, features] = sizes;
        let run = Run::<Tensor<T>, M>::sampled::<Layers>(layer, sizes, 1.0, None);
        let lengths: Vec<_> = (0..batch).map(|b| [longest, longest.div_ceil(2), 1][b % 3]).collect();
        let (x, nan) = (run.x.to_vec(), T::from_f64(f64::NAN));
        let inside = |i: usize| i / features / batch < lengths[i / features % batch];
        let x = Tensor::from_fn(&sizes, |i| if inside(i) { x[i] } else { nan });
        let (module, tape) = (run.cell, Tape::quiet());
        let on_tape = module.on(&tape);
        let own = <Layers as Kind<T, M>>::first(&on_tape, batch);
        let first = own.iter().zip(&run.first_state).map(|((_, own), added)| match &added.part {
            Some(part) if added.replaces => part.clone(),
            Some(part) => own.value().zip(part, |a, b| a + b),
            None => own.value(),
        });
        let first = first.collect();
        let part_names = on_tape.initial_state(batch).part_names();
        let is_causal = on_tape.is_causal();
        let mut trial =
            Trial { module, is_causal, part_names, x, first, lengths, tolerances: Vec::new(), relative: 0.0 };
        trial.measure_tolerances();
        trial
    }

    /// The steps of the longest sequence.
    pub(super) fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// Runs the layer over x from `first`, with its own parameters.
    pub(super) fn run(&self, x: &Tensor<T>, first: &[Tensor<T>], how: Unroll<'_>) -> Outcome<T> {
        let tape = Tape::quiet();
        let layer = self.module.on(&tape);
        let first: Vec<_> = first.iter().map(|part| tape.constant(part.clone())).collect();
        let first = with_parts(layer.initial_state(x.shape()[1]), &first);
        let run = how.through_from(&layer, tape.constant(x.clone()), first);
        let last = parts(&run.last).into_iter().map(|part| part.value().to_contiguous()).collect();
        Outcome { outputs: run.outputs.value().to_contiguous(), last, row: 0 }
    }

    /// By the sizes of the values, and by what a change of the inputs in their last bits does to them.
    fn measure_tolerances(&mut self) {
        let how = Unroll::new().lengths(&self.lengths);
        let bits = T::from_f64(4.0) * T::EPSILON;
        let nudged = |tensor: &Tensor<T>| {
            let values = tensor.to_vec();
            Tensor::from_fn(tensor.shape(), |i| {
                if i % 2 == 0 { values[i] * (T::ONE + bits) } else { values[i] * (T::ONE - bits) }
            })
        };
        let here = self.run(&self.x, &self.first, how);
        let there = self.run(&nudged(&self.x), &self.first.iter().map(nudged).collect::<Vec<_>>(), how);
        let sizes = |a: &Tensor<T>, b: &Tensor<T>| {
            let largest = |values: &mut dyn Iterator<Item = f64>| values.filter(|v| v.is_finite()).fold(0.0, f64::max);
            let (a, b) = (a.to_vec(), b.to_vec());
            let moved = largest(&mut a.iter().zip(&b).map(|(a, b)| (a.to_f64() - b.to_f64()).abs()));
            (largest(&mut a.iter().map(|v| v.to_f64().abs())), moved)
        };
        let of_last = here.last.iter().zip(&there.last).map(|(a, b)| sizes(a, b));
        let least = T::EPSILON.to_f64().sqrt();
        let all: Vec<_> = std::iter::once(sizes(&here.outputs, &there.outputs)).chain(of_last).collect();
        self.tolerances = all.iter().map(|(size, moved)| (least * size).max(ROUNDING * moved)).collect();
        let relative = all.iter().filter(|(size, _)| *size > 0.0).map(|(size, moved)| ROUNDING * moved / size);
        self.relative = relative.fold(least, f64::max);
    }

    /// A shape that does not fit x or the first state.
    pub(super) fn wrong_shape(&self, outcome: &Outcome<T>) -> Option<Found> {
        let (x, shape) = (self.x.shape(), outcome.outputs.shape());
        if shape.len() < 2 || shape[..2] != x[..2] {
            return Found::shapes("the outputs", shape, format!("[{}, {}, …] for x {x:?}", x[0], x[1]));
        }
        if outcome.last.len() != self.first.len() {
            let (found, expected) = (outcome.last.len().to_string(), format!("{}, as in the first", self.first.len()));
            return Some(Found { place: "the number of parts of the last state".to_owned(), found, expected });
        }
        let parts = outcome.last.iter().zip(&self.first).enumerate();
        let (k, (last, first)) = parts.into_iter().find(|(_, (last, first))| last.shape() != first.shape())?;
        Found::shapes(&self.part(k), last.shape(), format!("{:?}, that of the first state", first.shape()))
    }

    /// An output that is not 0 after the end of its sequence.
    pub(super) fn after_the_ends(&self, outcome: &Outcome<T>) -> Option<Found> {
        let outputs = &outcome.outputs;
        let at = first_place(outputs, |_, t, b, value| t >= self.lengths[b] && value != T::ZERO)?;
        let place = format!(
            "{} after its {} steps",
            place_of(outputs, at),
            self.lengths[at / row_of(outputs) % self.lengths.len()]
        );
        Some(Found { place, found: shown(outputs.to_vec()[at]), expected: "0".to_owned() })
    }

    /// An output of the first `inside[b]` steps of sequence b that is another than expected.
    pub(super) fn other_outputs(&self, found: &Outcome<T>, expected: &Outcome<T>, inside: &[usize]) -> Option<Found> {
        let (ours, theirs) = (&found.outputs, &expected.outputs);
        if theirs.shape().len() < 2 || ours.shape()[2..] != theirs.shape()[2..] {
            return Found::shapes("the outputs", ours.shape(), format!("{:?}", theirs.shape()));
        }
        let (width, batch, values) = (row_of(ours), theirs.shape()[1], theirs.to_vec());
        let twin = |t: usize, b: usize, k: usize| values[(t * batch + b - expected.row) * width + k];
        let mut wanted = T::ZERO;
        let at = first_place(ours, |at, t, b, value| {
            if t >= inside[b] {
                return false;
            }
            wanted = twin(t, b, at % width);
            !is_near(value, wanted, self.tolerances[0])
        })?;
        Some(Found { place: place_of(ours, at), found: shown(ours.to_vec()[at]), expected: shown(wanted) })
    }

    /// An element of the last states that is another than expected.
    pub(super) fn other_state(&self, found: &Outcome<T>, expected: &Outcome<T>) -> Option<Found> {
        found.last.iter().zip(&expected.last).enumerate().find_map(|(k, (ours, theirs))| {
            if ours.shape().get(1..) != theirs.shape().get(1..) {
                return Found::shapes(&self.part(k), ours.shape(), format!("{:?}", theirs.shape()));
            }
            let width = ours.len() / ours.shape()[0].max(1);
            let (numbers, values) = (ours.to_vec(), theirs.to_vec());
            let i = (0..values.len())
                .find(|&i| !is_near(numbers[expected.row * width + i], values[i], self.tolerances[1 + k]))?;
            let at = expected.row * width + i;
            let index = index_in(&ours.shape()[1..], at % width);
            let place = format!("{}, sequence {}, index {index:?}", self.part(k), at / width);
            Some(Found { place, found: shown(numbers[at]), expected: shown(values[i]) })
        })
    }

    fn part(&self, k: usize) -> String {
        let number = k.to_string();
        format!("part `{}` of the last state", self.part_names.get(k).unwrap_or(&number))
    }
}

/// The run over the first `cut` steps, and from its last state the run over the others, as one.
pub(super) fn in_pieces<T: Scalar, M: Module<T>>(trial: &Trial<T, M>, cut: usize, how: Unroll<'_>) -> Outcome<T>
where
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    let steps = trial.x.shape()[0];
    let (head, tail) = (how.lengths_in(&(0..cut)), how.lengths_in(&(cut..steps)));
    let first = trial.run(&before(&trial.x, cut), &trial.first, how.segment(0, head.as_deref()));
    let rest = trial.x.slice(0, cut..steps).to_contiguous();
    let second = trial.run(&rest, &first.last, how.segment(cut, tail.as_deref()));
    let mut shape = first.outputs.shape().to_vec();
    shape[0] = steps;
    let outputs = [first.outputs.to_vec(), second.outputs.to_vec()].concat();
    Outcome { outputs: Tensor::from_vec(outputs, &shape), ..second }
}

/// x before step `steps`.
pub(super) fn before<T: Scalar>(x: &Tensor<T>, steps: usize) -> Tensor<T> {
    x.slice(0, 0..steps).to_contiguous()
}

/// x with other values in the steps after `t`.
pub(super) fn moved_after<T: Scalar>(x: &Tensor<T>, t: usize) -> Tensor<T> {
    let (here, other) = (x.to_vec(), rewind_check::sample::<T>(x.shape(), 500).to_vec());
    let start = (t + 1) * x.len() / x.shape()[0];
    Tensor::from_fn(x.shape(), |i| if i < start { here[i] } else { other[i] })
}

/// Every sequence of y `[T, B, …]` from its last step to its first; the padding stays behind it.
pub(super) fn reversed<T: Scalar>(y: &Tensor<T>, lengths: &[usize]) -> Tensor<T> {
    let (values, width, batch) = (y.to_vec(), row_of(y), lengths.len());
    Tensor::from_fn(y.shape(), |i| {
        let (t, b) = (i / width / batch, i / width % batch);
        let from = if t < lengths[b] { lengths[b] - 1 - t } else { t };
        values[(from * batch + b) * width + i % width]
    })
}

/// The result of `f`, or the message of its panic.
pub(super) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
            .unwrap_or_else(|| "no message".to_owned())
    })
}

/// The number of elements of one time step of one sequence of y `[T, B, …]`.
fn row_of<T: Scalar>(y: &Tensor<T>) -> usize {
    y.shape()[2..].iter().product()
}

/// The place of the first element of y `[T, B, …]` of which `f` of its place, step, sequence and value holds.
fn first_place<T: Scalar>(y: &Tensor<T>, mut f: impl FnMut(usize, usize, usize, T) -> bool) -> Option<usize> {
    let (width, batch) = (row_of(y), y.shape()[1]);
    y.to_vec().iter().enumerate().position(|(at, &value)| f(at, at / width / batch, at / width % batch, value))
}

fn place_of<T: Scalar>(y: &Tensor<T>, at: usize) -> String {
    let (width, batch) = (row_of(y), y.shape()[1]);
    let index = index_in(&y.shape()[2..], at % width);
    format!("outputs, sequence {}, step {}, index {index:?}", at / width % batch, at / width / batch)
}

/// The index of element `at` of a tensor of this shape.
pub(super) fn index_in(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut index: Vec<_> = shape
        .iter()
        .rev()
        .map(|&length| {
            let place = at % length;
            at /= length;
            place
        })
        .collect();
    index.reverse();
    index
}

pub(super) fn is_near<T: Scalar>(a: T, b: T, tolerance: f64) -> bool {
    let (a, b) = (a.to_f64(), b.to_f64());
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance
}

pub(super) fn shown<T: Scalar>(value: T) -> String {
    format!("{:+.8e}", value.to_f64())
}
