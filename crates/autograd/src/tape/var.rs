//! The handle that programs compute with.

use std::cell::Ref;
use std::fmt;

use super::Tape;
use crate::shape::{Shape, element_count, same};
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
    #[inline]
    pub(crate) fn new(tape: &'t Tape<T>, index: u32) -> Self {
        Var { tape, index }
    }

    /// The tape that this variable lives on.
    #[inline]
    pub fn tape(self) -> &'t Tape<T> {
        self.tape
    }

    /// Its position on the tape.
    pub fn position(self) -> usize {
        self.index as usize
    }

    #[inline]
    pub(crate) fn id(self) -> u32 {
        self.index
    }

    /// The value; no elements are copied.
    pub fn value(self) -> Tensor<T> {
        self.tape.value_of(self.index)
    }

    /// Calls `f` with the value.
    #[inline]
    pub(crate) fn with_value<R>(self, f: impl FnOnce(&Tensor<T>) -> R) -> R {
        self.tape.restore(self.index);
        f(&self.tensor())
    }

    /// The value, whose elements may have been released.
    #[inline]
    fn tensor(self) -> Ref<'t, Tensor<T>> {
        self.tape.values.get(self.index)
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
        self.with_shape(Shape::from_slice)
    }

    /// Whether the axes have these lengths.
    #[inline]
    pub fn has_shape(self, shape: &[usize]) -> bool {
        self.with_shape(|own| same(own, shape))
    }

    /// Whether the axes have the lengths of `other`'s.
    #[inline(always)]
    pub(crate) fn has_shape_of(self, other: Self) -> bool {
        self.tensor().same_shape(&other.tensor())
    }

    /// Calls `f` with the lengths of the axes, where no copy of them is needed.
    #[inline]
    #[track_caller]
    pub(crate) fn with_shape<R>(self, f: impl FnOnce(&[usize]) -> R) -> R {
        f(self.tensor().shape())
    }

    /// Calls `f` with the lengths of this variable's axes and of `other`'s, which may live on another tape.
    #[inline]
    pub(crate) fn with_shapes<R>(self, other: Self, f: impl FnOnce(&[usize], &[usize]) -> R) -> R {
        f(self.tensor().shape(), other.tensor().shape())
    }

    /// The number of axes.
    pub fn rank(self) -> usize {
        self.with_shape(<[usize]>::len)
    }

    /// The number of elements.
    pub fn element_count(self) -> usize {
        self.with_shape(element_count)
    }

    /// Whether a gradient may flow through this variable.
    #[inline]
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

impl<T: Scalar> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = if self.is_tracked() { "leaf" } else { "constant" };
        let name = self.tape.graph.borrow().op(self.index).map_or(given, |op| op.name());
        write!(f, "Var #{} {name} {:?}", self.index, self.value())
    }
}
