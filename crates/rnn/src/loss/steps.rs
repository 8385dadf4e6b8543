//! Losses over the steps of unrolled outputs.

use rewind_autograd::{Scalar, Tensor, Var};

use super::{Reduction, nothing_counts, refuse};
use crate::error::{ErrorKind, Result};

/// The losses of all time steps and their sum.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StepLosses<'t, T: Scalar> {
    /// E_t for every step, `[T]`: the sum over the batch at step t, divided by the total count for a mean; 0 at a step
    /// where nothing counts.
    pub per_step: Var<'t, T>,
    /// E = Σ_t E_t, of shape `[]`: the loss to differentiate.
    pub total: Var<'t, T>,
}

/// The output of each sequence's last step: outputs `[T, B, C]`, row b of the result `[B, C]` is
/// `outputs[lengths[b] - 1, b]`.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// let tape = Tape::new();
/// let outputs = tape.leaf(Tensor::from_vec(vec![0.0, 1.0, 10.0, 11.0, 20.0, 21.0], &[3, 2, 1]));
/// let last = rewind_rnn::loss::last_step(outputs, &[3, 1])?;
/// assert_eq!(last.value().to_vec(), [20.0, 1.0]);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If the outputs do not have three axes, or the lengths do not fit them.
#[track_caller]
pub fn last_step<'t, T: Scalar>(outputs: Var<'t, T>, lengths: &[usize]) -> Result<Var<'t, T>> {
    let [steps, batch, width] = check_lengths("last_step", &outputs.shape(), lengths)?;
    if lengths.iter().all(|&length| length == steps) {
        return Ok(outputs.index(0, steps - 1));
    }
    let rows: Vec<_> = lengths.iter().enumerate().map(|(b, &length)| (length - 1) * batch + b).collect();
    Ok(outputs.reshape(&[steps * batch, width]).index_select(0, &rows))
}

/// The shape `[T, B, C]` of the outputs, if the lengths fit it.
pub(super) fn check_lengths(loss: &str, shape: &[usize], lengths: &[usize]) -> Result<[usize; 3]> {
    let &[steps, batch, width] = shape else {
        let text = format!("outputs of shape {shape:?}; expected [T, B, C]: time steps, sequences, numbers");
        return refuse(ErrorKind::Shape, loss, text);
    };
    if lengths.len() != batch {
        let count = lengths.len();
        let text =
            format!("{count} lengths for outputs of shape {shape:?}; expected one for each of {batch} sequences");
        return refuse(ErrorKind::Shape, loss, text);
    }
    if let Some(sequence) = lengths.iter().position(|length| !(1..=steps).contains(length)) {
        let length = lengths[sequence];
        let text = format!("sequence {sequence} has length {length}; expected 1 to {steps}, the steps of the outputs");
        return refuse(ErrorKind::Shape, loss, text);
    }
    if batch == 0 {
        return nothing_counts(loss, 0);
    }
    Ok([steps, batch, width])
}

/// Losses of rows `[T, B]`, which are 0 where they do not count, summed over the batch and then over time.
#[track_caller]
pub(super) fn over_steps<'t, T: Scalar>(rows: Var<'t, T>, reduction: Reduction, counted: f64) -> StepLosses<'t, T> {
    let per_step = reduction.of(rows.sum_axis(1), counted);
    StepLosses { per_step, total: per_step.sum() }
}

/// A loss of every element of the outputs: those beyond a sequence's length are masked out, first of the outputs, so that NaN or ∞ there
/// reaches no derivative, then of the losses.
#[track_caller]
pub(super) fn elementwise<'t, T: Scalar>(
    loss: &str,
    outputs: Var<'t, T>,
    target: &Tensor<T>,
    lengths: &[usize],
    reduction: Reduction,
    each: impl FnOnce(Var<'t, T>, &Tensor<T>) -> Result<Var<'t, T>>,
) -> Result<StepLosses<'t, T>> {
    let [steps, batch, width] = check_lengths(loss, &outputs.shape(), lengths)?;
    let counted = (lengths.iter().sum::<usize>() * width) as f64;
    if lengths.iter().all(|&length| length == steps) {
        return Ok(over_steps(each(outputs, target)?.sum_axis(2), reduction, counted));
    }
    let inside = |row: usize| if row / batch < lengths[row % batch] { T::ONE } else { T::ZERO };
    let mask = outputs.tape().constant(Tensor::from_fn(&[steps, batch, 1], inside));
    let zero = outputs.tape().scalar(T::ZERO);
    let losses = mask.select(each(mask.select(outputs, zero), &without_padding(target, lengths))?, zero);
    Ok(over_steps(losses.sum_axis(2), reduction, counted))
}

/// The target with 0 beyond every sequence's length, so that NaN there has no effect; unchanged if its shape does not
/// fit, which the caller reports.
fn without_padding<T: Scalar>(target: &Tensor<T>, lengths: &[usize]) -> Tensor<T> {
    let &[steps, batch, width] = target.shape() else { return target.clone() };
    if batch != lengths.len() || lengths.iter().any(|&length| length > steps) {
        return target.clone();
    }
    let mut target = target.clone();
    for (row, elements) in target.as_mut_slice().chunks_exact_mut(width.max(1)).enumerate() {
        if row / batch >= lengths[row % batch] {
            elements.fill(T::ZERO);
        }
    }
    target
}
