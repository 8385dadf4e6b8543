//! The gradient of every sample of a batch.

use super::{check_scalar, variables};
use crate::parameters::{OnTape, Parameters};
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// The loss of every one of B samples and its gradient: leaves of shape `[B, shape of parameter…]`.
///
/// The samples are processed in sequence on one tape: B times the cost of a batch of one, in the memory of one sample
/// plus the result. The sum over the first axis is the gradient of the summed loss. The [`jacobian`](super::jacobian)
/// of a vector of B losses computed as one batch has the same values. It takes B sweeps over the batch, so B² rows, and
/// only pays where a batch costs hardly more than a sample.
///
/// ```
/// use rewind_autograd::{Tensor, derive, parameters};
///
/// parameters! { struct Line<P> { slope: P, offset: P } }
///
/// let line = Line { slope: Tensor::scalar(3.0), offset: Tensor::scalar(1.0) };
/// let (losses, gradients) = derive::per_sample(&line, &[0.0, 1.0, 2.0], |_, line, &x| line.slope * x + line.offset);
/// assert_eq!(losses, [1.0, 4.0, 7.0]);
/// assert_eq!(gradients.slope.to_vec(), [0.0, 1.0, 2.0]);
/// assert_eq!(gradients.offset.to_vec(), [1.0, 1.0, 1.0]);
/// ```
///
/// # Panics
/// If the loss of a sample does not have exactly one element.
#[track_caller]
pub fn per_sample<T, M, D, F>(at: &M, samples: &[D], f: F) -> (Vec<T>, M)
where
    T: Scalar,
    M: Parameters<Tensor<T>>,
    F: for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>, &D) -> Var<'t, T>,
{
    let mut tape = Tape::new();
    let mut losses = Vec::with_capacity(samples.len());
    let mut all: Vec<Vec<T>> = at.leaves().iter().map(|leaf| Vec::with_capacity(samples.len() * leaf.len())).collect();
    for sample in samples {
        {
            let x = at.on(&tape);
            let loss = f(&tape, &x, sample);
            check_scalar("per_sample", loss);
            losses.push(loss.value().item());
            let leaves = variables(&x);
            let gradients = loss.backward_to(&leaves);
            for (all, &leaf) in all.iter_mut().zip(&leaves) {
                all.extend(gradients.get(leaf).to_vec());
            }
        }
        tape.clear();
    }
    let mut rest = all.into_iter();
    // Mapping a module of variables to tensors gives type `M` again.
    let gradients = at.on(&tape).map(|_, leaf| {
        let mut shape = leaf.shape();
        shape.insert(0, samples.len());
        Tensor::from_vec(rest.next().expect("one gradient per leaf"), &shape)
    });
    (losses, gradients)
}
