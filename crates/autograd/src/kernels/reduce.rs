//! Reductions along one axis.

use super::elementwise::View;
use super::runs::for_each_run;
use crate::Scalar;
use crate::shape::{Shape, row_major};

/// Pairwise summation of a slice: the error grows with log n, not with n.
pub(crate) fn sum_slice<T: Scalar>(xs: &[T]) -> T {
    const LANES: usize = 8;
    if xs.len() > 512 {
        let (left, right) = xs.split_at(xs.len() / 2);
        return sum_slice(left) + sum_slice(right);
    }
    let mut lanes = [T::ZERO; LANES];
    let chunks = xs.chunks_exact(LANES);
    let tail: T = chunks.remainder().iter().copied().sum();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    lanes.into_iter().sum::<T>() + tail
}

/// Folds `axis` of `from` into `to` (contiguous, the shape without the axis, filled with the start value).
pub(crate) fn fold_axis<T: Scalar>(from: View<'_, T>, axis: usize, to: &mut [T], f: impl Fn(T, T) -> T) {
    let mut kept = Shape::from_slice(from.shape);
    kept[axis] = 1;
    let mut strides = row_major(&kept);
    strides[axis] = 0;
    super::elementwise::accumulate(to, &strides, from, f);
}

/// Sums `axis`: pairwise where the axis is contiguous, row by row elsewhere.
pub(crate) fn sum_axis<T: Scalar>(from: View<'_, T>, axis: usize, to: &mut [T]) {
    if axis + 1 == from.shape.len() && from.strides[axis] == 1 && from.shape[axis] > 1 {
        let (outer, strides) = (&from.shape[..axis], &from.strides[..axis]);
        let mut next = 0;
        for_each_run(outer, [strides], |[a], [sa], len| {
            for i in 0..len {
                let start = a + i * sa;
                to[next] = sum_slice(&from.data[start..start + from.shape[axis]]);
                next += 1;
            }
        });
        return;
    }
    to.fill(T::ZERO);
    fold_axis(from, axis, to, |sum, x| sum + x);
}
