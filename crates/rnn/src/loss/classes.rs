//! Softmax cross-entropy against class indices.

use rewind_autograd::{Scalar, Tensor, Var};

use super::steps::{StepLosses, check_lengths, over_steps};
use super::{Reduction, nothing_counts, refuse};
use crate::error::{ErrorKind, Result};

const NAME: &str = "cross_entropy";

/// The target of a row: a class index (`usize`), or `None` where the row does not count (`Option<usize>`).
pub trait ClassTarget: Copy {
    /// The class, or `None` if the row is ignored.
    fn class(self) -> Option<usize>;
}

impl ClassTarget for usize {
    fn class(self) -> Option<usize> {
        Some(self)
    }
}

impl ClassTarget for Option<usize> {
    fn class(self) -> Option<usize> {
        self
    }
}

/// The settings of a cross-entropy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// Label smoothing eps in [0, 1): the target distribution is (1 - eps)·onehot + eps/C, spread over all C classes,
    /// the right one included (Szegedy et al. 2016; PyTorch's definition).
    pub smoothing: f64,
    /// Mean or sum over the rows that count.
    pub reduction: Reduction,
}

/// -Σ_c q_c · ln softmax(logits)_c over the rows that count, divided by their number if averaged: a scalar. q is the
/// target distribution, see [`CrossEntropy`]. Logits `[…, C]`, one target a row, in row-major order. Stable for logits
/// of any size. An ignored row counts neither in the sum nor in the mean.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::loss::{CrossEntropy, cross_entropy};
///
/// let tape = Tape::new();
/// let logits = tape.leaf(Tensor::from_vec(vec![2.0, 2.0, 500.0, -500.0], &[2, 2]));
/// let loss = cross_entropy(logits, &[Some(0), None], CrossEntropy::default())?;
/// assert!((loss.value().item() - 2.0_f64.ln()).abs() < 1e-12);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If the logits have no axis of classes, the number of targets is not that of the rows, a class does not exist, no
/// row counts, or the smoothing is not in [0, 1).
#[track_caller]
pub fn cross_entropy<'t, T: Scalar>(
    logits: Var<'t, T>,
    targets: &[impl ClassTarget],
    settings: CrossEntropy,
) -> Result<Var<'t, T>> {
    let (target, counted) = distribution(logits, targets, settings, |_| true)?;
    Ok(settings.reduction.of(logits.cross_entropy(target).sum(), counted))
}

/// [`cross_entropy`] of every step of `[T, B, C]`, with T·B targets, step by step: that of sequence b at step t at
/// t·B + b. Rows beyond a sequence's length do not count, whatever their target.
///
/// # Errors
/// As [`cross_entropy`], and if the lengths do not fit.
#[track_caller]
pub fn cross_entropy_steps<'t, T: Scalar>(
    logits: Var<'t, T>,
    targets: &[impl ClassTarget],
    lengths: &[usize],
    settings: CrossEntropy,
) -> Result<StepLosses<'t, T>> {
    let [_, batch, _] = check_lengths(NAME, logits, lengths)?;
    let inside = |row: usize| row / batch < lengths[row % batch];
    let (target, counted) = distribution(logits, targets, settings, inside)?;
    Ok(over_steps(logits.cross_entropy(target), settings.reduction, counted))
}

/// The target distribution of every row, 0 where it does not count, and the number of rows that do.
#[track_caller]
fn distribution<'t, T: Scalar>(
    logits: Var<'t, T>,
    targets: &[impl ClassTarget],
    settings: CrossEntropy,
    inside: impl Fn(usize) -> bool,
) -> Result<(Var<'t, T>, usize)> {
    let smoothing = settings.smoothing;
    if !(0.0..1.0).contains(&smoothing) {
        let text = format!("label smoothing is {smoothing}; expected a number in [0, 1)");
        return refuse(ErrorKind::Setting, NAME, text);
    }
    let shape = logits.shape();
    let Some((&classes, leading)) = shape.split_last() else {
        return refuse(ErrorKind::Shape, NAME, "logits of shape []; expected […, C]".to_owned());
    };
    let rows = leading.iter().product();
    if targets.len() != rows {
        let (count, found) = (targets.len(), shape.as_slice());
        let text = format!("{count} targets for outputs of shape {found:?}; expected {rows}, one a row");
        return refuse(ErrorKind::Shape, NAME, text);
    }
    let shared = T::from_f64(smoothing / classes.max(1) as f64);
    let own = T::from_f64(1.0 - smoothing);
    let mut rows_of_q = vec![T::ZERO; rows * classes];
    let mut counted = 0;
    for (row, target) in targets.iter().enumerate() {
        let Some(class) = target.class().filter(|_| inside(row)) else { continue };
        if class >= classes {
            let text = format!(
                "target of row {row} is class {class}; expected a class below {classes}, the last axis of the logits"
            );
            return refuse(ErrorKind::Target, NAME, text);
        }
        let q = &mut rows_of_q[row * classes..][..classes];
        q.fill(shared);
        q[class] += own;
        counted += 1;
    }
    if counted == 0 {
        return nothing_counts(NAME, rows);
    }
    Ok((logits.tape().constant(Tensor::from_vec(rows_of_q, &shape)), counted))
}
