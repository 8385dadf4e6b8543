//! The handle that programs compute with.

use std::cell::Ref;

use super::Tape;
use crate::shape::{Shape, same};
use crate::{Scalar, Tensor};

/// A value on a tape: a tape reference and a position. `Copy`, so formulas read as formulas.
///
/// A variable cannot outlive its tape:
///
/// ```compile_fail,E0597
/// use rewind_autograd::{Tape, Tensor};
/// let x = {
///     let tape = Tape::new();
///     tape.leaf(Tensor::scalar(1.0))
/// };
/// x.value();
/// ```
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// let tape = Tape::new();
/// let [f, c, i, g] = [0.5, 2.0, 0.25, 1.0].map(|x| tape.leaf(Tensor::scalar(x)));
/// let next = f * c + i * g;
/// assert_eq!(next.value().item(), 1.25);
/// ```
#[derive(Clone, Copy)]
pub struct Var<'t, T: Scalar> {
    tape: &'t Tape<T>,
    index: u32,
}

impl<'t, T: Scalar> Var<'t, T> {
    pub(crate) fn new(tape: &'t Tape<T>, index: u32) -> Self {
        Var { tape, index }
    }

    /// The tape that this variable lives on.
    pub fn tape(self) -> &'t Tape<T> {
        self.tape
    }

    /// Its position on the tape.
    pub fn position(self) -> usize {
        self.index as usize
    }

    pub(crate) fn id(self) -> u32 {
        self.index
    }

    /// The value; no elements are copied.
    pub fn value(self) -> Tensor<T> {
        self.read().clone()
    }

    /// The value, for as long as nothing is recorded.
    pub(crate) fn read(self) -> Ref<'t, Tensor<T>> {
        self.tape.restore(self.index);
        self.tensor()
    }

    /// The value, whose elements may have been released: for its shape.
    pub(crate) fn tensor(self) -> Ref<'t, Tensor<T>> {
        self.tape.tensor(self.index)
    }

    /// The length of every axis.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::<f32>::zeros(&[2, 3]));
    /// assert_eq!(x.shape(), [2, 3]);
    /// assert!(x.has_shape(&[2, 3]));
    /// assert_eq!((x.rank(), x.element_count()), (2, 6));
    /// assert_eq!(x.value().rank(), 2);
    /// assert!(!x.value().is_empty());
    /// ```
    #[inline]
    pub fn shape(self) -> Shape {
        Shape::from_slice(self.tensor().shape())
    }

    /// Whether the axes have these lengths.
    pub fn has_shape(self, shape: &[usize]) -> bool {
        same(self.tensor().shape(), shape)
    }

    /// The number of axes.
    pub fn rank(self) -> usize {
        self.tensor().rank()
    }

    /// The number of elements.
    pub fn element_count(self) -> usize {
        self.tensor().len()
    }

    /// Whether a gradient may flow through this variable.
    pub fn is_tracked(self) -> bool {
        self.tape.graph.borrow().is_tracked(self.index)
    }

    /// Whether it is a leaf of its tape: a variable to differentiate with respect to.
    pub(crate) fn is_leaf(self) -> bool {
        self.is_tracked() && self.tape.graph.borrow().op(self.index).is_none()
    }

    /// The same value as a constant: no gradient flows back through it.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::scalar(3.0));
    /// let y = x * x.detach(); // the second factor is a constant
    /// assert!(!x.detach().is_tracked());
    /// assert_eq!(y.backward().get(x).item(), 3.0);
    /// ```
    #[track_caller]
    pub fn detach(self) -> Var<'t, T> {
        self.tape.constant(self.value())
    }
}
