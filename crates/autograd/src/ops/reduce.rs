//! Ops that sum, average, or find the largest along an axis.

use super::select::Weighted;
use crate::shape::{Shape, check_axis, mismatch, stretches_to};
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// y = Σ x over all elements, of shape `[]`; x̄ = ȳ everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Sum;

impl<T: Scalar> Op<T> for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        Tensor::scalar(inputs[0].sum())
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.cotangent().broadcast_to(&at.input(0).shape()))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = Σ x along an axis, which is gone from y; x̄ = ȳ at every position of the axis.
#[derive(Clone, Copy, Debug)]
pub struct SumAxis {
    axis: usize,
}

impl<T: Scalar> Op<T> for SumAxis {
    fn name(&self) -> &'static str {
        "sum_axis"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].sum_axis(self.axis)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.cotangent().unsqueeze(self.axis).broadcast_to(&at.input(0).shape()))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = x summed down to a shape that broadcasts to x's; x̄ = ȳ stretched. The transpose of broadcasting.
#[derive(Clone, Debug)]
pub struct SumTo {
    shape: Shape,
}

impl<T: Scalar> Op<T> for SumTo {
    fn name(&self) -> &'static str {
        "sum_to"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].sum_to(&self.shape)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.cotangent().broadcast_to(&at.input(0).shape()))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = the largest x along an axis, which is gone from y, or NaN if there is one; ȳ goes to the first position that holds it.
#[derive(Clone, Copy, Debug)]
pub struct MaxAxis {
    axis: usize,
}

impl<T: Scalar> Op<T> for MaxAxis {
    fn name(&self) -> &'static str {
        "max_axis"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].max_axis(self.axis)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let chosen = at.tape().apply(FirstMax { axis: self.axis }, &[at.input(0)]);
        Term::dense(at.tape().apply(Weighted, &[chosen, at.cotangent().unsqueeze(self.axis)]))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// y = 1 at the first position along an axis that holds its largest x, 0 elsewhere; flat, so x̄ = 0.
#[derive(Clone, Copy, Debug)]
pub struct FirstMax {
    pub(super) axis: usize,
}

impl<T: Scalar> Op<T> for FirstMax {
    fn name(&self) -> &'static str {
        "first_max"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let x = inputs[0];
        let largest = x.max_axis(self.axis);
        let mut left = Tensor::full(largest.shape(), T::ONE);
        let steps: Vec<_> = (0..x.shape()[self.axis])
            .map(|k| {
                let holds = |x: T, y: T| x == y || (x.is_nan() && y.is_nan());
                let hit = x.index(self.axis, k).zip(&largest, |x, y| if holds(x, y) { T::ONE } else { T::ZERO });
                let first = hit.zip(&left, |hit, left| hit * left);
                left = left.zip(&first, |left, first| left - first);
                first.unsqueeze(self.axis)
            })
            .collect();
        Tensor::assemble(x.shape(), steps.iter().enumerate().map(|(k, step)| (step, self.axis, k)))
    }
    fn vjp<'t>(&self, _input: usize, _at: &Site<'t, T>) -> Term<'t, T> {
        Term::zero()
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y_k = Σ x_j over j <= k along an axis (j >= k if reversed); x̄ = the same of ȳ, from the other end.
#[derive(Clone, Copy, Debug)]
pub struct CumSum {
    axis: usize,
    reversed: bool,
}

impl<T: Scalar> Op<T> for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].cumsum(self.axis, self.reversed)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let back = CumSum { axis: self.axis, reversed: !self.reversed };
        Term::dense(at.tape().apply(back, &[at.cotangent()]))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

impl<T: Scalar> Tensor<T> {
    /// The largest number along `axis`, which is gone from the result; NaN if there is one.
    ///
    /// # Panics
    /// If there is no such axis, or it has length 0.
    #[track_caller]
    pub fn max_axis(&self, axis: usize) -> Self {
        check_axis("max_axis", self.shape(), axis);
        if self.shape()[axis] == 0 {
            panic!("max_axis: axis {axis} of shape {:?} is empty and has no largest number", self.shape());
        }
        self.fold_axis(axis, -T::INFINITY, |a, b| if b > a || b.is_nan() { b } else { a })
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The sum of all elements, of shape `[]`.
    #[track_caller]
    pub fn sum(self) -> Self {
        self.tape().apply(Sum, &[self])
    }

    /// The mean of all elements, of shape `[]`; NaN if there is none.
    #[track_caller]
    pub fn mean(self) -> Self {
        self.sum() / T::from_f64(self.element_count() as f64)
    }

    /// The sum along `axis`, which is gone from the result.
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn sum_axis(self, axis: usize) -> Self {
        check_axis("sum_axis", &self.shape(), axis);
        self.tape().apply(SumAxis { axis }, &[self])
    }

    /// The mean along `axis`, which is gone from the result; NaN if the axis is empty.
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
    /// If `shape` does not stretch to this variable's shape.
    #[track_caller]
    pub fn sum_to(self, shape: &[usize]) -> Self {
        let own = self.shape();
        if !stretches_to(shape, &own) {
            mismatch("sum_to", &[&own, shape], "a length of 1 wherever they differ");
        }
        self.tape().apply(SumTo { shape: Shape::from_slice(shape) }, &[self])
    }

    /// The largest number along `axis`, which is gone from the result. The gradient goes to the first that holds it.
    ///
    /// # Panics
    /// If there is no such axis, or it has length 0.
    #[track_caller]
    pub fn max_axis(self, axis: usize) -> Self {
        let shape = self.shape();
        check_axis("max_axis", &shape, axis);
        if shape[axis] == 0 {
            panic!("max_axis: axis {axis} of shape {:?} is empty and has no largest number", shape.as_slice());
        }
        self.tape().apply(MaxAxis { axis }, &[self])
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
