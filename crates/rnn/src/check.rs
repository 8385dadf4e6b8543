//! The gradient check for cells: one line in a test.
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
use rewind_autograd::{Module, OnTape, Scalar, Tape, Var, parameters};

use crate::cell::{Cell, State, parts};
use crate::time::Unroll;

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
    let [steps, batch, _] = sizes;
    let mut stream = 100;
    let mut sample = |shape: &[usize]| {
        stream += 1;
        rewind_check::sample(shape, stream)
    };
    let x = sample(&sizes);
    let first_state = {
        let tape = Tape::new();
        let shapes = parts(&cell.on(&tape).initial(batch)).into_iter().map(|part| part.shape());
        shapes.map(|shape| Part { part: sample(&shape) }).collect()
    };
    let cell = cell.map(|_, p| if p.to_vec().iter().all(|&p| p == T::ZERO) { sample(p.shape()) } else { p.clone() });
    let lengths: Vec<usize> = (0..batch).map(|b| steps - b % steps).collect();
    check.module(&Run { cell, x, first_state }, |_, run| states(run, batch, &lengths))
}

/// All elements of all states of the unrolled cell, in one row.
fn states<'t, T: Scalar, C: Cell<'t, T>>(run: &Run<Var<'t, T>, C>, batch: usize, lengths: &[usize]) -> Var<'t, T> {
    let own = run.cell.initial(batch);
    let mut added = run.first_state.iter();
    let first = own.clone().zip(own, &mut |part, _| part + added.next().expect("one for each part").part);
    let unrolled = Unroll::new().lengths(lengths).run_from(&run.cell, run.x, first);
    let row = |part: Var<'t, T>| part.reshape(&[part.element_count()]);
    let rows: Vec<_> = unrolled.states.iter().flat_map(parts).map(row).collect();
    concat(&rows, 0)
}
