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
//! state after every step.
//!
//! Where a recurrence forgets, a gradient that is lost on its way through time is too small to be seen. So the check moves the
//! parameters to a second point, where the state lasts, and compares gradients along random directions there, over more time steps: T is
//! multiplied until it is 16 at least. The point is the best of those that simple moves reach, such as larger biases or smaller weights;
//! what counts is how much a small change of the first state changes the last, measured by differences, since the rules may be wrong.
//! A cell or layer that draws from [noise](crate::Noise) is checked with and without it. The [points](Report::points) are in the report.
//!
//! The first state of the check is the module's own plus random values. Where the own is so large that they would be rounded away (-10³⁰,
//! the mark of an empty memory), they take its place, and the own one is a further point. A variable that no value depends on, such as an
//! output that no step reads, is not moved; the report names it. If the values depend on no variable of the state, the report is
//! [`Doubt::IgnoresInput`].
//!
//! Two rules besides the gradient are checked, and the report is [`Invalid::Broken`] if one is violated: [`State::zip`](crate::State::zip)
//! visits every variable, and a sequence with padding gives what it gives alone.
//!
//! This module also exports all of [`rewind_check`], whose docs explain the report:
//!
//! ```
//! use rewind_rnn::autograd::Tensor;
//! use rewind_rnn::check;
//!
//! check::function(&[Tensor::scalar(0.3)], |_tape, x| x[0].tanh()).assert();
//! ```

mod contract;
mod lasting;
mod points;
mod protocol;
mod run;

pub use contract::contract;
pub use rewind_check::*;

use rewind_autograd::{Module, Scalar, Var};

use crate::cell::Cell;
use crate::noise::Noise;
use crate::time::Layer;
use contract::with_contract;
use points::checked;
use run::{Cells, Layers};

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
    checked::<T, M, Cells>(check, cell, sizes, None)
}

/// Checks every entry of `layer` in `f64`, at orders one and two, over `[T, B, I]`, as [`cell`] does: every parameter, the input and the
/// first state, over a padded batch; the value is the outputs and the last state. Dropout has the masks of one fixed noise.
///
/// Then the contract of a [`Layer`] is checked, with noise and without: outputs after the end of a sequence are 0, padding and the other
/// sequences of a batch change nothing, the last state is that at the end of each sequence, the pass backward in time mirrors the one forward,
/// and a [causal](Layer::is_causal) layer reads no later step and goes on from its last state. A layer that breaks a rule is
/// [`Invalid::Contract`], with the place, both values and what to do. A run that the layer refuses by a panic is listed in the
/// [points](Report::points).
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
    with_contract(checked::<T, M, Layers>(check, layer, sizes, Some(NOISE)), layer, sizes)
}

/// The noise of the masks in a check.
const NOISE: Noise = Noise::new(1);
