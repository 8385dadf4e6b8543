//! Losses, in their numerically safe forms.
//!
//! Each comes in two forms: over rows, for a read-out of the last step (see [`last_step`]), and over the steps of
//! unrolled outputs `[T, B, C]`, where E = Σ_t E_t is the global loss and steps behind a sequence's length do not
//! count. With [`Reduction::Mean`], sums are divided by the number of all rows (cross-entropy) or numbers (the others)
//! that count, over all steps together; so E is their mean, and still Σ_t E_t.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! use rewind_rnn::loss::{self, CrossEntropy};
//!
//! let tape = Tape::new();
//! let logits = tape.leaf(Tensor::<f64>::zeros(&[3, 2, 4])); // T = 3, B = 2, C = 4
//! let targets = [0, 1, 2, 3, 0, 0]; // step by step; the second sequence has one step only
//! let loss = loss::cross_entropy_steps(logits, &targets, &[3, 1], CrossEntropy::default())?;
//! assert_eq!(loss.per_step.shape().as_slice(), [3]);
//! assert!((loss.total.value().item() - 4.0_f64.ln()).abs() < 1e-12);
//! # Ok::<(), rewind_rnn::loss::LossError>(())
//! ```

mod classes;
mod steps;

use rewind_autograd::shape::unravel;
use rewind_autograd::{Scalar, Tensor, Var};

pub use classes::{ClassTarget, CrossEntropy, cross_entropy, cross_entropy_steps};
pub use steps::{StepLosses, last_step};

/// Whether losses are averaged over what counts or summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// The sum, divided by the number of rows (cross-entropy) or numbers (the others) that count.
    #[default]
    Mean,
    /// The sum: the loss of a batch is then the sum of the losses of its sequences.
    Sum,
}

impl Reduction {
    /// A sum over `counted` rows or numbers, divided if it is to be a mean.
    #[track_caller]
    fn of<'t, T: Scalar>(self, sum: Var<'t, T>, counted: usize) -> Var<'t, T> {
        match self {
            Reduction::Mean => sum / T::from_f64(counted as f64),
            Reduction::Sum => sum,
        }
    }
}

/// Why a loss could not be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A class index is not one of the classes.
    #[error(
        "{loss}: target of row {row} is class {class}; expected a class below {classes}, the last axis of the logits"
    )]
    Class {
        /// Which loss.
        loss: &'static str,
        /// The row of the logits, leading axes counted in row-major order.
        row: usize,
        /// The target.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// There are more or fewer targets than rows.
    #[error("{loss}: {targets} targets for outputs of shape {shape:?}; expected {rows}, one a row")]
    Count {
        /// Which loss.
        loss: &'static str,
        /// The number of targets.
        targets: usize,
        /// The shape of the outputs.
        shape: Vec<usize>,
        /// The number of rows of the outputs.
        rows: usize,
    },
    /// Outputs or target have a shape that does not fit.
    #[error("{loss}: {what} of shape {found:?}; expected {expected}")]
    Shape {
        /// Which loss.
        loss: &'static str,
        /// What has the shape.
        what: &'static str,
        /// The shape.
        found: Vec<usize>,
        /// What was expected.
        expected: String,
    },
    /// There is nothing to average or sum: every row is ignored, or there is none.
    #[error("{loss}: none of {rows} rows counts; expected at least one target that is not ignored")]
    NothingCounts {
        /// Which loss.
        loss: &'static str,
        /// The number of rows.
        rows: usize,
    },
    /// A target is infinite or NaN, or no probability where one is needed.
    #[error("{loss}: target at {index:?} is {value}; expected {expected}")]
    Target {
        /// Which loss.
        loss: &'static str,
        /// The place in the target.
        index: Vec<usize>,
        /// The number.
        value: f64,
        /// What was expected.
        expected: &'static str,
    },
    /// Label smoothing outside [0, 1).
    #[error("{loss}: label smoothing is {smoothing}; expected a number in [0, 1)")]
    Smoothing {
        /// Which loss.
        loss: &'static str,
        /// The setting.
        smoothing: f64,
    },
    /// The lengths are not those of the batch.
    #[error("{loss}: {lengths} lengths for outputs of shape {shape:?}; expected one for each of {batch} sequences")]
    LengthCount {
        /// Which loss.
        loss: &'static str,
        /// The number of lengths.
        lengths: usize,
        /// The shape of the outputs.
        shape: Vec<usize>,
        /// The number of sequences.
        batch: usize,
    },
    /// A length is 0 or larger than the number of time steps.
    #[error("{loss}: sequence {sequence} has length {length}; expected 1 to {steps}, the steps of the outputs")]
    Length {
        /// Which loss.
        loss: &'static str,
        /// The sequence's place in the batch.
        sequence: usize,
        /// Its length.
        length: usize,
        /// The number of time steps.
        steps: usize,
    },
}

const SQUARED: &str = "mean_squared_error";
const BINARY: &str = "binary_cross_entropy";

/// Σ (prediction - target)², divided by the number of numbers if averaged: a scalar. Both of the same shape.
///
/// # Errors
/// If the shapes differ, there is no number, or a target is infinite or NaN.
#[track_caller]
pub fn mean_squared_error<'t, T: Scalar>(
    prediction: Var<'t, T>,
    target: &Tensor<T>,
    reduction: Reduction,
) -> Result<Var<'t, T>, LossError> {
    let target = whole(SQUARED, prediction, target, |_| true, "a finite number")?;
    Ok(reduction.of(prediction.squared_error(target).sum(), prediction.element_count()))
}

/// [`mean_squared_error`] of every step of `[T, B, C]`; numbers behind a sequence's length do not count, whatever the
/// target holds there.
///
/// # Errors
/// As [`mean_squared_error`], and if the lengths do not fit.
#[track_caller]
pub fn mean_squared_error_steps<'t, T: Scalar>(
    prediction: Var<'t, T>,
    target: &Tensor<T>,
    lengths: &[usize],
    reduction: Reduction,
) -> Result<StepLosses<'t, T>, LossError> {
    steps::elementwise(SQUARED, prediction, target, lengths, reduction, |target, lengths| {
        let target = steps::without_padding(target, lengths);
        Ok(prediction.squared_error(whole(SQUARED, prediction, &target, |_| true, "a finite number")?))
    })
}

/// Σ -target·ln p - (1 - target)·ln(1 - p) with p = sigmoid(logits), divided by the number of numbers if averaged: a
/// scalar. Both of the same shape, targets in [0, 1]. Safe for logits of any size, see [`Var::binary_cross_entropy`].
///
/// # Errors
/// If the shapes differ, there is no number, or a target is not in [0, 1].
#[track_caller]
pub fn binary_cross_entropy<'t, T: Scalar>(
    logits: Var<'t, T>,
    target: &Tensor<T>,
    reduction: Reduction,
) -> Result<Var<'t, T>, LossError> {
    let target = whole(BINARY, logits, target, is_probability, "a number in [0, 1]")?;
    Ok(reduction.of(logits.binary_cross_entropy(target).sum(), logits.element_count()))
}

/// [`binary_cross_entropy`] of every step of `[T, B, C]`; numbers behind a sequence's length do not count, whatever the
/// target holds there.
///
/// # Errors
/// As [`binary_cross_entropy`], and if the lengths do not fit.
#[track_caller]
pub fn binary_cross_entropy_steps<'t, T: Scalar>(
    logits: Var<'t, T>,
    target: &Tensor<T>,
    lengths: &[usize],
    reduction: Reduction,
) -> Result<StepLosses<'t, T>, LossError> {
    steps::elementwise(BINARY, logits, target, lengths, reduction, |target, lengths| {
        let target = steps::without_padding(target, lengths);
        let target = whole(BINARY, logits, &target, is_probability, "a number in [0, 1]")?;
        Ok(logits.binary_cross_entropy(target))
    })
}

fn is_probability<T: Scalar>(x: T) -> bool {
    x >= T::ZERO && x <= T::ONE
}

/// The target as a constant on the tape, if it has the shape of the outputs and its numbers are as expected.
#[track_caller]
fn whole<'t, T: Scalar>(
    loss: &'static str,
    outputs: Var<'t, T>,
    target: &Tensor<T>,
    good: impl Fn(T) -> bool,
    expected: &'static str,
) -> Result<Var<'t, T>, LossError> {
    let shape = outputs.shape();
    if shape.as_slice() != target.shape() {
        let expected = format!("{:?}, the shape of the outputs", shape.as_slice());
        return Err(LossError::Shape { loss, what: "target", found: target.shape().to_vec(), expected });
    }
    if target.is_empty() {
        return Err(LossError::NothingCounts { loss, rows: 0 });
    }
    let numbers = target.to_vec();
    if let Some(at) = numbers.iter().position(|&x| !(x.is_finite() && good(x))) {
        let index = unravel(at, &shape);
        return Err(LossError::Target { loss, index, value: numbers[at].to_f64(), expected });
    }
    Ok(outputs.tape().constant(target.clone()))
}
