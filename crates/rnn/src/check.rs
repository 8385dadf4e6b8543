//! The gradient check for cells and layers: one line in a test.
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use rewind_rnn::{Gru, check};
//!
//! let gru = Gru::new(3, 4, &mut StdRng::seed_from_u64(1));
//! check::cell(&gru, [3, 2, 3]).assert(); // T = 3, B = 2, I = 3
//! ```
//!
//! The check covers every parameter (zeros, such as new learned states, are moved off zero), the input of every step and
//! every part of the first state, over a padded batch of sequences of different lengths; the value is every part of the
//! state after every step. This module also exports all of [`rewind_check`], whose docs explain the report:
//!
//! ```
//! use rewind_rnn::autograd::Tensor;
//! use rewind_rnn::check;
//!
//! check::function(&[Tensor::scalar(0.3)], |_tape, x| x[0].tanh()).assert();
//! ```

pub use rewind_check::*;

use rewind_autograd::ops::layout::concat;
use rewind_autograd::shape::Shape;
use rewind_autograd::{Module, OnTape, Scalar, Tape, Tensor, Var, parameters};

use crate::cell::{Cell, State, parts};
use crate::noise::Noise;
use crate::time::{Layer, Unroll};

parameters! {
    /// The inputs of the check.
    struct Run<P, M> {
        #[module]
        cell: M,
        x: P,
        first_state: Vec<Part<P>>,
    }
}

parameters! {
    /// The value that is added to one variable of the first state, `[B, H]`.
    struct Part<P> { part: P }
}

/// Checks every entry of `cell` in `f64`, at orders one and two, over `[T, B, I]`: time steps, sequences and features. If the
/// gradient is wrong, the report also names the smallest T and B that fail.
///
/// # Panics
/// If one of the sizes is 0. For a cell that takes another number of features, the report is `Invalid`.
#[track_caller]
pub fn cell<M>(cell: &M, sizes: [usize; 3]) -> Report
where
    M: Module<f64>,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
{
    cell_with(full(), cell, sizes)
}

/// [`cell`] with other settings, in either precision.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::{Lstm, check};
///
/// let lstm = Lstm::<Tensor<f32>>::new(3, 4, &mut StdRng::seed_from_u64(1));
/// check::cell_with::<f32, _>(check::fast().orders(1), &lstm, [3, 2, 3]).assert();
/// ```
///
/// # Panics
/// If one of the sizes is 0.
#[track_caller]
pub fn cell_with<T: Scalar, M>(check: Check, cell: &M, sizes: [usize; 3]) -> Report
where
    M: Module<T>,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    if sizes.contains(&0) {
        panic!("check::cell: sizes {sizes:?} for [T, B, I]; expected at least one step, sequence and feature");
    }
    let [steps, batch, features] = sizes;
    let mut report = at_sizes(check, cell, sizes);
    // The report is that of the given sizes: with a single step or sequence many mistakes look alike.
    if report.is_wrong() {
        let smallest = shrunk(&[steps, batch], |s| at_sizes(check, cell, [s[0], s[1], features]));
        report.sizes = smallest.sizes.map(|mut sizes| {
            sizes.push(features);
            sizes
        });
    }
    report
}

fn at_sizes<T: Scalar, M>(check: Check, cell: &M, sizes: [usize; 3]) -> Report
where
    M: Module<T>,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    let shapes = {
        let tape = Tape::new();
        parts(&cell.on(&tape).initial(sizes[1])).into_iter().map(Var::shape).collect()
    };
    let run = Run::sampled(cell, sizes, shapes);
    check.module(&run, |_, run| states(run, sizes[1], &lengths(sizes)))
}

/// Checks every entry of `layer` in `f64`, at orders one and two, over `[T, B, I]`, as [`cell`] does: every parameter, the input and the
/// first state, over a padded batch; the value is the outputs and the last state. Dropout has the masks of one fixed noise.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_rnn::{Bidirectional, Dropout, Gru, check};
///
/// let rng = &mut StdRng::seed_from_u64(1);
/// let both = Bidirectional::cells(Gru::new(3, 2, rng), Gru::new(3, 2, rng));
/// check::layer(&(both, Dropout::new(0.3)), [3, 2, 3]).assert();
/// ```
///
/// # Panics
/// If one of the sizes is 0. For a layer that reads another number of features, the report is `Invalid`.
#[track_caller]
pub fn layer<M>(layer: &M, sizes: [usize; 3]) -> Report
where
    M: Module<f64>,
    for<'t> M::With<Var<'t, f64>>: Layer<'t, f64>,
{
    layer_with(full(), layer, sizes)
}

/// [`layer`] with other settings, in either precision.
///
/// # Panics
/// If one of the sizes is 0.
#[track_caller]
pub fn layer_with<T: Scalar, M>(check: Check, layer: &M, sizes: [usize; 3]) -> Report
where
    M: Module<T>,
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    if sizes.contains(&0) {
        panic!("check::layer: sizes {sizes:?} for [T, B, I]; expected at least one step, sequence and feature");
    }
    let shapes = {
        let tape = Tape::new();
        parts(&layer.on(&tape).initial_state(sizes[1])).into_iter().map(Var::shape).collect()
    };
    let run = Run::sampled(layer, sizes, shapes);
    check.module(&run, |_, run| outputs(run, sizes[1], &lengths(sizes)))
}

impl<T: Scalar, M: Module<T>> Run<Tensor<T>, M> {
    /// The module at `[T, B, I]`, with parts of the first state of these shapes.
    fn sampled(module: &M, sizes: [usize; 3], shapes: Vec<Shape>) -> Self {
        let mut stream = 100;
        let mut sample = |shape: &[usize]| {
            stream += 1;
            rewind_check::sample(shape, stream)
        };
        let x = sample(&sizes);
        let first_state = shapes.iter().map(|shape| Part { part: sample(shape) }).collect();
        let zero = |p: &Tensor<T>| p.to_vec().iter().all(|&p| p == T::ZERO);
        let cell = module.map(|_, p| if zero(p) { sample(p.shape()) } else { p.clone() });
        Run { cell, x, first_state }
    }
}

/// Different lengths, up to all steps.
fn lengths([steps, batch, _]: [usize; 3]) -> Vec<usize> {
    (0..batch).map(|b| steps - b % steps).collect()
}

/// The first state of a run: the module's own, `own`, plus that which the check changes.
fn first_state<'t, T: Scalar, M, S: State<'t, T>>(run: &Run<Var<'t, T>, M>, own: S) -> S {
    let mut added = run.first_state.iter();
    own.clone().zip(own, &mut |part, _| part + added.next().expect("one for each part").part)
}

/// All elements of some variables, in one row.
fn row<'t, T: Scalar>(vars: impl IntoIterator<Item = Var<'t, T>>) -> Var<'t, T> {
    let rows: Vec<_> = vars.into_iter().map(|part| part.reshape(&[part.element_count()])).collect();
    concat(&rows, 0)
}

/// All states of the unrolled cell.
fn states<'t, T: Scalar, C: Cell<'t, T>>(run: &Run<Var<'t, T>, C>, batch: usize, lengths: &[usize]) -> Var<'t, T> {
    let first = first_state(run, run.cell.initial(batch));
    let unrolled = Unroll::new().lengths(lengths).run_from(&run.cell, run.x, first);
    row(unrolled.states.iter().flat_map(parts))
}

/// All outputs and the last state of a layer.
fn outputs<'t, T: Scalar, L: Layer<'t, T>>(run: &Run<Var<'t, T>, L>, batch: usize, lengths: &[usize]) -> Var<'t, T> {
    let first = first_state(run, run.cell.initial_state(batch));
    let how = Unroll::new().lengths(lengths).noise(Noise::new(1));
    let through = how.through_from(&run.cell, run.x, first);
    row(std::iter::once(through.outputs).chain(parts(&through.last)))
}
