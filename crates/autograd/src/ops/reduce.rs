//! Ops that sum, average, or find the largest along an axis.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let x = tape.leaf(Tensor::from_vec(vec![1.0, 5.0, 3.0, 2.0, 4.0, 9.0], &[2, 3]));
//! assert_eq!(x.sum().value().item(), 24.0);
//! assert_eq!(x.mean().value().item(), 4.0);
//! assert_eq!(x.sum_axis(1).value().to_vec(), [9.0, 15.0]);
//! assert_eq!(x.mean_axis(1).value().to_vec(), [3.0, 5.0]);
//! assert_eq!(x.sum_to(&[2, 1]).value().to_vec(), [9.0, 15.0]);
//! assert_eq!(x.max_axis(0).value().to_vec(), [2.0, 5.0, 9.0]);
//! assert_eq!(x.cumsum(1).value().to_vec(), [1.0, 6.0, 9.0, 2.0, 6.0, 15.0]);
//! assert_eq!(x.max_axis(1).sum().backward().get(x).to_vec(), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
//! assert_eq!(x.value().max_axis(1).to_vec(), [5.0, 9.0]);
//! ```

use super::select::Weighted;
use crate::shape::{Shape, check_axis, mismatch, stretches_to};
use crate::{Scalar, Tensor, Term, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// y = Σ x over all elements, of shape `[]`; x̄ = ȳ everywhere.
    pub method sum = Sum(x) {
        value: Tensor::scalar(x.sum()),
        x: |g, x: shape| g.broadcast_to(&x),
    }

    /// y = Σ x along `axis`, which is removed; x̄ = ȳ at every position of the axis.
    ///
    /// # Panics
    /// If there is no such axis.
    pub method sum_axis = SumAxis(x; axis: usize) {
        check: check_axis("sum_axis", &x.shape(), axis),
        value: x.sum_axis(axis),
        x: |g, x: shape| g.unsqueeze(axis).broadcast_to(&x),
    }

    /// y = x summed down to a shape that broadcasts to x's; x̄ = ȳ stretched. The transpose of broadcasting.
    pub op sum_to = SumTo(x; &shape: Shape) {
        value: x.sum_to(shape),
        x: |g, x: shape| g.broadcast_to(&x),
    }

    /// y = the largest x along `axis`, which is removed, or NaN if there is one; ȳ goes to the first position that
    /// holds it.
    ///
    /// # Panics
    /// If there is no such axis, or it has length 0.
    pub method max_axis = MaxAxis(x; axis: usize) {
        check: check_largest(&x.shape(), axis),
        value: x.max_axis(axis),
        x: |g, x| {
            let chosen = first_max(x, axis);
            g.tape().apply(Weighted, &[chosen, g.unsqueeze(axis)])
        },
    }

    /// y = 1 at the first position along an axis that holds its largest x, 0 elsewhere; piecewise constant, so x̄ = 0.
    pub op first_max = FirstMax(x; axis: usize) {
        value: mark_first_max(x, axis),
        x: |_g| Term::Zero,
    }

    /// y_k = Σ x_j over j <= k along an axis (j >= k if reversed); x̄ = the same of ȳ, from the other end.
    pub op cumsum = CumSum(x; axis: usize, reversed: bool) {
        value: x.cumsum(axis, reversed),
        x: |g| g.tape().apply(CumSum { axis, reversed: !reversed }, &[g]),
    }
}

/// 1 at the first position along `axis` that holds the largest x, 0 elsewhere.
#[track_caller]
pub(super) fn first_max<'t, T: Scalar>(x: Var<'t, T>, axis: usize) -> Var<'t, T> {
    x.tape().apply(FirstMax { axis }, &[x])
}

fn mark_first_max<T: Scalar>(x: &Tensor<T>, axis: usize) -> Tensor<T> {
    let largest = x.max_axis(axis);
    let mut left = Tensor::full(largest.shape(), T::ONE);
    let steps: Vec<_> = (0..x.shape()[axis])
        .map(|k| {
            let holds = |x: T, y: T| x == y || (x.is_nan() && y.is_nan());
            let hit = x.index(axis, k).zip(&largest, |x, y| if holds(x, y) { T::ONE } else { T::ZERO });
            let first = hit.zip(&left, |hit, left| hit * left);
            left = left.zip(&first, |left, first| left - first);
            first.unsqueeze(axis)
        })
        .collect();
    Tensor::assemble(x.shape(), steps.iter().enumerate().map(|(k, step)| (step, axis, k)))
}

#[track_caller]
fn check_largest(shape: &[usize], axis: usize) {
    check_axis("max_axis", shape, axis);
    if shape[axis] == 0 {
        panic!("max_axis: axis {axis} of shape {shape:?} is empty and has no largest number");
    }
}

impl<T: Scalar> Tensor<T> {
    /// The largest element along `axis`, which is removed; NaN if there is one.
    ///
    /// # Panics
    /// If there is no such axis, or it has length 0.
    #[track_caller]
    pub fn max_axis(&self, axis: usize) -> Self {
        check_largest(self.shape(), axis);
        self.fold_axis(axis, -T::INFINITY, |a, b| if b > a || b.is_nan() { b } else { a })
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The mean of all elements, of shape `[]`; NaN if there is none.
    #[track_caller]
    pub fn mean(self) -> Self {
        self.sum() / T::from_f64(self.element_count() as f64)
    }

    /// The mean along `axis`, which is removed; NaN if the axis is empty.
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn mean_axis(self, axis: usize) -> Self {
        check_axis("mean_axis", &self.shape(), axis);
        self.sum_axis(axis) / T::from_f64(self.shape()[axis] as f64)
    }

    /// Summed down to `shape`: the transpose of [`broadcast_to`](Var::broadcast_to).
    ///
    /// # Panics
    /// If `shape` does not broadcast to this variable's shape.
    #[track_caller]
    pub fn sum_to(self, shape: &[usize]) -> Self {
        let own = self.shape();
        if !stretches_to(shape, &own) {
            mismatch("sum_to", &[&own, shape], "a length of 1 wherever they differ");
        }
        self.tape().apply(SumTo { shape: Shape::from_slice(shape) }, &[self])
    }

    /// Sums of all positions up to each one along `axis`, in blocks: the error grows with the logarithm of the length.
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn cumsum(self, axis: usize) -> Self {
        check_axis("cumsum", &self.shape(), axis);
        self.tape().apply(CumSum { axis, reversed: false }, &[self])
    }
}
