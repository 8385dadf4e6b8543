//! The gradients of a padded batch, and those of its sequences alone.

use std::ops::Range;

use rewind_autograd::{Module, OnTape, Parameters, Scalar, Tape, Tensor, Var};

use super::trial::{Found, Trial, before, index_in, is_near, shown};
use crate::cell::{parts, with_parts};
use crate::time::{Layer, Unroll};

/// A gradient of a parameter that is not the sum of those of the sequences alone. The value is a weighted sum of the outputs and the last state.
pub(super) fn other_gradient<T: Scalar, M: Module<T>>(trial: &Trial<T, M>) -> Option<Found>
where
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    let batch = trial.lengths.len();
    let together = gradients(trial, &trial.x, 0..batch, Unroll::new().lengths(&trial.lengths));
    let mut sums: Vec<Tensor<T>> = together.iter().map(|gradient| Tensor::zeros(gradient.shape())).collect();
    for (b, &length) in trial.lengths.iter().enumerate() {
        let x = before(&trial.x, length).slice(1, b..b + 1).to_contiguous();
        let alone = gradients(trial, &x, b..b + 1, Unroll::new());
        sums.iter_mut().zip(&alone).for_each(|(sum, gradient)| sum.add_assign(gradient));
    }
    // A gradient that cancels is as large as its rounding: small beside the others, or beside the weights.
    let sizes = sums.iter().flat_map(Tensor::to_vec).map(|value| value.to_f64().abs()).filter(|size| size.is_finite());
    let tolerance = trial.relative * sizes.fold(1.0, f64::max);
    let names = trial.module.names();
    names.iter().zip(together.iter().zip(&sums)).find_map(|(name, (found, expected))| {
        let (numbers, values) = (found.to_vec(), expected.to_vec());
        let at = (0..values.len()).find(|&at| !is_near(numbers[at], values[at], tolerance))?;
        let place = format!("the gradient of `{name}`, index {:?}", index_in(found.shape(), at));
        Some(Found { place, found: shown(numbers[at]), expected: shown(values[at]) })
    })
}

/// The gradients of all parameters for x, which has these sequences of the batch.
fn gradients<T: Scalar, M: Module<T>>(
    trial: &Trial<T, M>,
    x: &Tensor<T>,
    sequences: Range<usize>,
    how: Unroll<'_>,
) -> Vec<Tensor<T>>
where
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    let tape = Tape::new();
    let layer = trial.module.on(&tape);
    let row = |part: &Tensor<T>| tape.constant(part.slice(0, sequences.clone()).to_contiguous());
    let first: Vec<_> = trial.first.iter().map(row).collect();
    // x is a leaf, so that there is a gradient if there is no parameter.
    let run = how.through_from(&layer, tape.leaf(x.clone()), with_parts(layer.initial_state(sequences.len()), &first));
    let value = parts(&run.last).into_iter().enumerate().fold(
        weighted(run.outputs, [trial.x.shape()[0], trial.lengths.len()], 1, &sequences, 600),
        |sum, (k, part)| sum + weighted(part, [trial.lengths.len()], 0, &sequences, 700 + k as u64),
    );
    let gradients = value.backward();
    layer.leaves().into_iter().map(|&leaf| gradients.get(leaf)).collect()
}

/// Σ weight∘y: for y of some sequences, which are along `axis`, the weights are those of the whole batch, whose first axes are `whole`.
fn weighted<'t, T: Scalar, const N: usize>(
    y: Var<'t, T>,
    whole: [usize; N],
    axis: usize,
    sequences: &Range<usize>,
    seed: u64,
) -> Var<'t, T> {
    let shape = [&whole, &y.shape()[N..]].concat();
    let weights = rewind_check::sample::<T>(&shape, seed).slice(axis, sequences.clone());
    let weights = weights.slice(0, 0..y.shape()[0]).to_contiguous();
    (y * y.tape().constant(weights)).sum()
}
