//! Numerically stable losses, and the accuracy of outputs.
//!
//! Each but [`ctc`] has two forms: over rows, for a readout of the last step (see [`last_step`]), and over the steps of unrolled
//! outputs `[T, B, C]`, where E = Σ_t E_t is the total loss and steps beyond a sequence's length do not count. With
//! [`Reduction::Mean`], sums are divided by the number of all rows (cross-entropy) or elements (the others) that count,
//! over all steps together; so E is their mean, and still Σ_t E_t.
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
//! # Ok::<(), rewind_rnn::Error>(())
//! ```

mod accuracy;
mod classes;
mod ctc;
mod steps;

use rewind_autograd::shape::unravel;
use rewind_autograd::{Scalar, Tensor, Var};

use crate::error::{Error, ErrorKind, Result};

pub use accuracy::{Accuracy, accuracy};
pub use classes::{ClassTarget, CrossEntropy, cross_entropy, cross_entropy_steps};
pub use ctc::{Ctc, SequenceLosses, ctc};
pub use steps::{StepLosses, last_step};

/// Whether losses are averaged or summed over what counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// The sum, divided by the number of rows (cross-entropy), sequences (CTC) or elements (the others) that count. With class
    /// weights, by the weight of the rows.
    #[default]
    Mean,
    /// The sum: the loss of a batch is then the sum of the losses of its sequences.
    Sum,
}

impl Reduction {
    /// The reduction of a sum over rows or elements of the weight `counted`, 1 each without weights.
    #[track_caller]
    fn of<'t, T: Scalar>(self, sum: Var<'t, T>, counted: f64) -> Var<'t, T> {
        match self {
            Reduction::Mean => sum / T::from_f64(counted),
            Reduction::Sum => sum,
        }
    }
}

const SQUARED: &str = "mean_squared_error";
const BINARY: &str = "binary_cross_entropy";

/// Σ (prediction - target)², divided by the number of elements if averaged: a scalar. Both of the same shape.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::loss::{Reduction, mean_squared_error};
///
/// let tape = Tape::new();
/// let prediction = tape.leaf(Tensor::from_vec(vec![1.0, 4.0], &[2, 1]));
/// let loss = mean_squared_error(prediction, &Tensor::from_vec(vec![0.0, 1.0], &[2, 1]), Reduction::Mean)?;
/// assert_eq!(loss.value().item(), 5.0); // (1 + 9) / 2
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ, there is no element, or a target is infinite or NaN.
#[track_caller]
pub fn mean_squared_error<'t, T: Scalar>(
    prediction: Var<'t, T>,
    target: &Tensor<T>,
    reduction: Reduction,
) -> Result<Var<'t, T>> {
    let target = whole(SQUARED, prediction, target, |_| true, "a finite number")?;
    Ok(reduction.of(prediction.squared_error(target).sum(), prediction.element_count() as f64))
}

/// [`mean_squared_error`] of every step of `[T, B, C]`; elements beyond a sequence's length do not count, whatever
/// outputs and target hold there.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::loss::{Reduction, StepLosses, mean_squared_error_steps};
///
/// let tape = Tape::new();
/// let outputs = tape.leaf(Tensor::from_vec(vec![1.0, 4.0, 2.0, 9.0], &[2, 2, 1])); // T = 2, B = 2, C = 1
/// let target = Tensor::zeros(&[2, 2, 1]);
/// let StepLosses { per_step, total, .. } = mean_squared_error_steps(outputs, &target, &[2, 1], Reduction::Sum)?;
/// assert_eq!(per_step.value().to_vec(), [17.0, 4.0]); // 1² + 4²; 2² alone, since the second sequence has one step
/// assert_eq!(total.value().item(), 21.0);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// As [`mean_squared_error`], and if the lengths do not fit.
#[track_caller]
pub fn mean_squared_error_steps<'t, T: Scalar>(
    prediction: Var<'t, T>,
    target: &Tensor<T>,
    lengths: &[usize],
    reduction: Reduction,
) -> Result<StepLosses<'t, T>> {
    steps::elementwise(SQUARED, prediction, target, lengths, reduction, |prediction, target| {
        Ok(prediction.squared_error(whole(SQUARED, prediction, target, |_| true, "a finite number")?))
    })
}

/// Σ -target·ln p - (1 - target)·ln(1 - p) with p = sigmoid(logits), divided by the number of elements if averaged: a
/// scalar. Both of the same shape, targets in [0, 1]. Safe for logits of any size, see [`Var::binary_cross_entropy`].
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::loss::{Reduction, binary_cross_entropy};
///
/// let tape = Tape::new();
/// let logits = tape.leaf(Tensor::from_vec(vec![0.0, -800.0], &[2, 1]));
/// let loss = binary_cross_entropy(logits, &Tensor::from_vec(vec![1.0, 1.0], &[2, 1]), Reduction::Sum)?;
/// assert!((loss.value().item() - (2.0_f64.ln() + 800.0)).abs() < 1e-12);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ, there is no element, or a target is not in [0, 1].
#[track_caller]
pub fn binary_cross_entropy<'t, T: Scalar>(
    logits: Var<'t, T>,
    target: &Tensor<T>,
    reduction: Reduction,
) -> Result<Var<'t, T>> {
    let target = whole(BINARY, logits, target, is_probability, "a number in [0, 1]")?;
    Ok(reduction.of(logits.binary_cross_entropy(target).sum(), logits.element_count() as f64))
}

/// [`binary_cross_entropy`] of every step of `[T, B, C]`; elements beyond a sequence's length do not count, whatever
/// outputs and target hold there.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::loss::{Reduction, binary_cross_entropy_steps};
///
/// let tape = Tape::new();
/// let logits = tape.leaf(Tensor::<f64>::zeros(&[2, 2, 1])); // T = 2, B = 2, C = 1
/// let target = Tensor::zeros(&[2, 2, 1]);
/// let loss = binary_cross_entropy_steps(logits, &target, &[2, 1], Reduction::Sum)?;
/// assert!((loss.total.value().item() - 3.0 * 2.0_f64.ln()).abs() < 1e-12); // three elements count
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// As [`binary_cross_entropy`], and if the lengths do not fit.
#[track_caller]
pub fn binary_cross_entropy_steps<'t, T: Scalar>(
    logits: Var<'t, T>,
    target: &Tensor<T>,
    lengths: &[usize],
    reduction: Reduction,
) -> Result<StepLosses<'t, T>> {
    steps::elementwise(BINARY, logits, target, lengths, reduction, |logits, target| {
        let target = whole(BINARY, logits, target, is_probability, "a number in [0, 1]")?;
        Ok(logits.binary_cross_entropy(target))
    })
}

fn refuse<R>(kind: ErrorKind, loss: &str, why: String) -> Result<R> {
    Err(Error::new(kind, format!("{loss}: {why}")))
}

/// The error of a loss without elements: every row is ignored, or there is none.
fn nothing_counts<R>(loss: &str, rows: usize) -> Result<R> {
    let text = format!("none of {rows} rows counts; expected at least one target that is not ignored");
    refuse(ErrorKind::Empty, loss, text)
}

fn is_probability<T: Scalar>(x: T) -> bool {
    x >= T::ZERO && x <= T::ONE
}

/// The target as a constant on the tape, if it has the shape of the outputs and its elements are as expected.
#[track_caller]
fn whole<'t, T: Scalar>(
    loss: &str,
    outputs: Var<'t, T>,
    target: &Tensor<T>,
    good: impl Fn(T) -> bool,
    expected: &str,
) -> Result<Var<'t, T>> {
    let shape = outputs.shape();
    if shape.as_slice() != target.shape() {
        let (found, expected) = (target.shape(), shape.as_slice());
        let text = format!("target of shape {found:?}; expected {expected:?}, the shape of the outputs");
        return refuse(ErrorKind::Shape, loss, text);
    }
    if target.is_empty() {
        return nothing_counts(loss, 0);
    }
    let elements = target.to_vec();
    if let Some(at) = elements.iter().position(|&x| !(x.is_finite() && good(x))) {
        let index = unravel(at, &shape);
        let value = elements[at].to_f64();
        return refuse(ErrorKind::Target, loss, format!("target at {index:?} is {value}; expected {expected}"));
    }
    Ok(outputs.tape().constant(target.clone()))
}
