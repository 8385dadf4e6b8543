//! Ops that move elements without changing them. Transposes and broadcasts are views; ops that take a part of the
//! elements are in [`parts`](super::parts).
//!
//! ```
//! use rewind_autograd::ops::layout::{concat, stack};
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let x = tape.leaf(Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]));
//! assert_eq!(x.reshape(&[3, 2]).value().to_vec(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
//! assert_eq!(x.transpose().value().to_vec(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
//! assert_eq!(x.flip(1).value().to_vec(), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
//! assert_eq!(x.unsqueeze(0).permute(&[2, 0, 1]).shape().as_slice(), [3, 1, 2]);
//! assert_eq!(x.unsqueeze(1).broadcast_to(&[2, 4, 3]).shape().as_slice(), [2, 4, 3]);
//! assert_eq!(concat(&[x, x], 1).shape().as_slice(), [2, 6]);
//! assert_eq!(stack(&[x, x], 0).shape().as_slice(), [2, 2, 3]);
//! ```

use smallvec::SmallVec;

use super::table::by_hand;
use crate::shape::{Shape, check_axis, count_or_panic, mismatch, stretches_to};
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// y = the elements of x in row-major order under another shape; x̄ = ȳ under the old one.
    pub op reshape = Reshape(x; &shape: Shape) {
        value: x.reshape(shape),
        x: |g, x: shape| g.reshape(&x),
    }

    /// y = x with a new axis of length 1 at `axis`; x̄ = ȳ without it. A view.
    ///
    /// # Panics
    /// If `axis` is larger than the rank.
    pub method unsqueeze = Unsqueeze(x; axis: usize) {
        check: check_new_axis("unsqueeze", x, axis),
        value: x.unsqueeze(axis),
        x: |g| g.index(axis, 0),
    }

    /// y = x with its last two axes swapped; x̄ = ȳ with them swapped back. A view.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    pub method transpose = Transpose(x) {
        check: check_two_axes(x),
        value: x.transpose(),
        x: |g| g.transpose(),
    }

    /// y = x with its axes in another order; x̄ = ȳ in the old one.
    pub op permute = Permute(x; &axes: Shape) {
        value: x.permute(axes),
        x: |g| g.permute(&inverse(axes)),
    }

    /// y = x broadcast to a shape; x̄ = ȳ summed down.
    pub op broadcast_to = BroadcastTo(x; &shape: Shape) {
        value: x.broadcast_to(shape),
        x: |g| Term::Summed(g),
    }

    /// y = x with `axis` reversed; x̄ = ȳ reversed.
    ///
    /// # Panics
    /// If there is no such axis.
    pub method flip = Flip(x; axis: usize) {
        check: check_axis("flip", &x.shape(), axis),
        value: x.gather(axis, &(0..x.shape()[axis]).rev().collect::<Vec<_>>()),
        x: |g| g.flip(axis),
    }
}

#[track_caller]
fn check_two_axes<T: Scalar>(x: Var<'_, T>) {
    if x.rank() < 2 {
        panic!("transpose: shape {:?} has fewer than two axes", x.shape().as_slice());
    }
}

/// Panics unless a new axis can be inserted at `axis` of `x`.
#[track_caller]
fn check_new_axis<T: Scalar>(op: &str, x: Var<'_, T>, axis: usize) {
    if axis > x.rank() {
        panic!("{op}: axis {axis} lies beyond shape {:?}", x.shape().as_slice());
    }
}

/// The inverse of the permutation `axes`.
fn inverse(axes: &[usize]) -> Shape {
    let mut back = Shape::from_elem(0, axes.len());
    for (to, &from) in axes.iter().enumerate() {
        back[from] = to;
    }
    back
}

by_hand! {
    CONCAT = "concat";

    /// y = the inputs, concatenated along an axis; each cotangent is its part of ȳ.
    #[derive(Clone, Debug)]
    pub struct Concat {
        axis: usize,
        /// Where each input starts, and where the last one ends.
        starts: SmallVec<[usize; 4]>,
    }
}

impl<T: Scalar> Op<T> for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut shape = Shape::from_slice(inputs[0].shape());
        shape[self.axis] = self.starts[inputs.len()];
        Tensor::assemble(&shape, inputs.iter().zip(&self.starts).map(|(&x, &start)| (x, self.axis, start)))
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::Dense(at.cotangent().slice(self.axis, self.starts[input]..self.starts[input + 1]))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("axis", format!("{:?}", self.axis))]
    }
}

by_hand! {
    STACK = "stack";

    /// y = the inputs, all of one shape, stacked along a new axis; each cotangent is its position of ȳ.
    #[derive(Clone, Copy, Debug)]
    pub struct Stack {
        axis: usize,
    }
}

impl<T: Scalar> Op<T> for Stack {
    fn name(&self) -> &'static str {
        "stack"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut shape = Shape::from_slice(inputs[0].shape());
        shape.insert(self.axis, inputs.len());
        if self.axis == 0 {
            return Tensor::build(&shape, |to| {
                let pieces = to.chunks_exact_mut(inputs[0].len().max(1));
                pieces.zip(inputs).for_each(|(to, x)| x.copy_to(to));
            });
        }
        let pieces: Vec<_> = inputs.iter().map(|x| x.unsqueeze(self.axis)).collect();
        Tensor::assemble(&shape, pieces.iter().enumerate().map(|(i, x)| (x, self.axis, i)))
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::Dense(at.cotangent().index(self.axis, input))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("axis", format!("{:?}", self.axis))]
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The same elements in row-major order under another shape.
    ///
    /// # Panics
    /// If the number of elements differs.
    #[track_caller]
    pub fn reshape(self, shape: &[usize]) -> Self {
        if count_or_panic("reshape", shape) != self.element_count() {
            mismatch("reshape", &[&self.shape(), shape], "the same number of elements");
        }
        self.tape().apply(Reshape { shape: Shape::from_slice(shape) }, &[self])
    }

    /// The axes in the order `axes`: axis `k` of the result is axis `axes[k]` of this variable; a view.
    ///
    /// # Panics
    /// If `axes` does not name every axis once.
    #[track_caller]
    pub fn permute(self, axes: &[usize]) -> Self {
        let shape = self.shape();
        if axes.len() != shape.len() || !(0..shape.len()).all(|axis| axes.contains(&axis)) {
            panic!("permute: {axes:?} does not name every axis of shape {:?} once", shape.as_slice());
        }
        self.tape().apply(Permute { axes: Shape::from_slice(axes) }, &[self])
    }

    /// Broadcast to `shape`; a view.
    ///
    /// # Panics
    /// If this variable's shape does not broadcast to `shape`.
    #[track_caller]
    pub fn broadcast_to(self, shape: &[usize]) -> Self {
        let own = self.shape();
        if !stretches_to(&own, shape) {
            mismatch("broadcast_to", &[&own, shape], "a length of 1 wherever they differ");
        }
        count_or_panic("broadcast_to", shape);
        self.tape().apply(BroadcastTo { shape: Shape::from_slice(shape) }, &[self])
    }
}

/// The variables, concatenated along `axis`; all other axes have the same lengths.
///
/// # Panics
/// If there is none, or the shapes do not fit.
#[track_caller]
pub fn concat<'t, T: Scalar>(vars: &[Var<'t, T>], axis: usize) -> Var<'t, T> {
    let Some(first) = vars.first() else { panic!("concat: no variable given; expected one at least") };
    let shape = first.shape();
    check_axis("concat", &shape, axis);
    let mut starts = SmallVec::<[usize; 4]>::from_slice(&[0]);
    for v in vars {
        let own = v.shape();
        let fits = own.len() == shape.len() && (0..own.len()).all(|k| k == axis || own[k] == shape[k]);
        if !fits {
            mismatch("concat", &[&shape, &own], &format!("the same lengths on every axis but {axis}"));
        }
        starts.push(starts[starts.len() - 1].saturating_add(own[axis]));
    }
    let mut whole = shape;
    whole[axis] = starts[vars.len()];
    count_or_panic("concat", &whole);
    first.tape().apply(Concat { axis, starts }, vars)
}

/// The variables, all of one shape, stacked along a new axis: the outputs of all time steps.
///
/// # Panics
/// If there is none, the shapes differ, or `axis` is larger than the rank.
#[track_caller]
pub fn stack<'t, T: Scalar>(vars: &[Var<'t, T>], axis: usize) -> Var<'t, T> {
    let Some(first) = vars.first() else { panic!("stack: no variable given; expected one at least") };
    check_new_axis("stack", *first, axis);
    let shape = first.shape();
    for v in vars {
        if !v.has_shape(&shape) {
            mismatch("stack", &[&shape, &v.shape()], "one shape for all");
        }
    }
    let mut whole = shape;
    whole.insert(axis, vars.len());
    count_or_panic("stack", &whole);
    first.tape().apply(Stack { axis }, vars)
}
