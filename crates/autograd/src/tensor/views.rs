//! Views: other orders, shapes and parts of the same elements.

use std::ops::Range;

use super::{Layout, Tensor};
use crate::Scalar;
use crate::shape::{self, Shape, broadcast_strides, check_range, count_or_panic};

/// Views: the same elements in another order, shape or part.
impl<T: Scalar> Tensor<T> {
    fn with_layout(&self, offset: usize, shape: &[usize], strides: &[usize]) -> Self {
        // An empty view may start past the end of its buffer (a slice at the end of an axis, say).
        let layout = Layout::new(shape, strides);
        let offset = if layout.len() == 0 { self.offset } else { offset };
        Tensor { buffer: self.buffer.clone(), offset, layout }
    }

    /// The part `range` of `axis`.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// assert_eq!(x.slice(1, 1..3).to_vec(), [2.0, 3.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis or the range does not lie within it.
    #[track_caller]
    pub fn slice(&self, axis: usize, range: Range<usize>) -> Self {
        check_range("slice", self.shape(), axis, &range);
        self.part(axis, range)
    }

    /// [`slice`](Tensor::slice) of a range that has been checked.
    pub(crate) fn part(&self, axis: usize, range: Range<usize>) -> Self {
        if let (&[1, _], 1, true) = (self.shape(), axis, self.is_contiguous()) {
            // The gates of a single sequence, of which there are many in every step.
            let layout = Layout::of_len(&[1, range.len()], range.len());
            return Tensor { buffer: self.buffer.clone(), offset: self.offset + range.start, layout };
        }
        let mut shape = Shape::from_slice(self.shape());
        shape[axis] = range.len();
        let strides = self.strides();
        self.with_layout(self.offset + range.start * strides[axis], &shape, &strides)
    }

    /// Position `at` of `axis`; the axis is removed.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// assert_eq!(x.index(0, 1).to_vec(), [4.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis or position.
    #[track_caller]
    pub fn index(&self, axis: usize, at: usize) -> Self {
        check_range("index", self.shape(), axis, &(at..at.saturating_add(1)));
        self.position(axis, at)
    }

    /// [`index`](Tensor::index) of a position that has been checked.
    pub(crate) fn position(&self, axis: usize, at: usize) -> Self {
        if axis == 0 && self.is_contiguous() {
            let layout = Layout::contiguous(&self.shape()[1..]);
            return Tensor { buffer: self.buffer.clone(), offset: self.offset + at * layout.len(), layout };
        }
        let (mut shape, mut strides) = (Shape::from_slice(self.shape()), self.strides());
        shape.remove(axis);
        let stride = strides.remove(axis);
        self.with_layout(self.offset + at * stride, &shape, &strides)
    }

    /// The axes in the order `axes`: axis `k` of the result is axis `axes[k]` of this tensor.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::<f32>::zeros(&[2, 3, 4]);
    /// assert_eq!(x.permute(&[2, 0, 1]).shape(), [4, 2, 3]);
    /// ```
    ///
    /// # Panics
    /// If `axes` does not name every axis once.
    #[track_caller]
    pub fn permute(&self, axes: &[usize]) -> Self {
        let once = (0..self.rank()).all(|axis| axes.contains(&axis));
        if axes.len() != self.rank() || !once {
            panic!("permute: {axes:?} does not name every axis of shape {:?} once", self.shape());
        }
        let shape: Shape = axes.iter().map(|&a| self.shape()[a]).collect();
        let own = self.strides();
        let strides: Shape = axes.iter().map(|&a| own[a]).collect();
        self.with_layout(self.offset, &shape, &strides)
    }

    /// `axis` moved to the end.
    pub(crate) fn with_axis_last(&self, axis: usize) -> Self {
        let order: Shape = (0..self.rank()).filter(|&a| a != axis).chain([axis]).collect();
        self.permute(&order)
    }

    /// The last axis moved to `axis`: the inverse of [`with_axis_last`](Tensor::with_axis_last).
    pub(crate) fn with_last_axis_at(&self, axis: usize) -> Self {
        let last = self.rank() - 1;
        let order: Shape = (0..axis).chain([last]).chain(axis..last).collect();
        self.permute(&order)
    }

    /// The last two axes swapped.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// assert_eq!(x.transpose().to_vec(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn transpose(&self) -> Self {
        let rank = self.rank();
        if rank < 2 {
            panic!("transpose: shape {:?} has fewer than two axes", self.shape());
        }
        let (mut shape, mut strides) = (Shape::from_slice(self.shape()), self.strides());
        shape.swap(rank - 2, rank - 1);
        strides.swap(rank - 2, rank - 1);
        self.with_layout(self.offset, &shape, &strides)
    }

    /// The tensor broadcast to `shape`; nothing is copied.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let row = Tensor::from_vec(vec![1.0, 2.0], &[2]);
    /// assert_eq!(row.broadcast_to(&[2, 2]).to_vec(), [1.0, 2.0, 1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If this tensor's shape does not broadcast to `shape`, or that holds more elements than
    /// [`MOST_ELEMENTS`](crate::shape::MOST_ELEMENTS).
    #[track_caller]
    pub fn broadcast_to(&self, shape: &[usize]) -> Self {
        count_or_panic("broadcast_to", shape);
        match broadcast_strides(self.shape(), &self.strides(), shape) {
            Some(strides) => self.with_layout(self.offset, shape, &strides),
            None => shape::mismatch("broadcast_to", &[self.shape(), shape], "a length of 1 wherever they differ"),
        }
    }

    /// The same elements in row-major order under another shape; copied only if they are not contiguous.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// assert_eq!(x.reshape(&[3, 2]).index(0, 1).to_vec(), [3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If the number of elements differs.
    #[track_caller]
    pub fn reshape(&self, shape: &[usize]) -> Self {
        if count_or_panic("reshape", shape) != self.len() {
            shape::mismatch("reshape", &[self.shape(), shape], "the same number of elements");
        }
        Tensor { layout: Layout::contiguous(shape), ..self.to_contiguous() }
    }

    /// This tensor with a new axis of length 1 at `axis`; nothing is copied.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::<f32>::zeros(&[2, 3]).unsqueeze(1).shape(), [2, 1, 3]);
    /// ```
    ///
    /// # Panics
    /// If `axis` is larger than the rank.
    #[track_caller]
    pub fn unsqueeze(&self, axis: usize) -> Self {
        if axis > self.rank() {
            panic!("unsqueeze: axis {axis} lies beyond shape {:?}", self.shape());
        }
        let (mut shape, mut strides) = (Shape::from_slice(self.shape()), self.strides());
        shape.insert(axis, 1);
        strides.insert(axis, 0);
        self.with_layout(self.offset, &shape, &strides)
    }

    /// The same tensor with contiguous elements in row-major order; copied only if they are not.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// assert!(x.transpose().to_contiguous().is_contiguous());
    /// ```
    pub fn to_contiguous(&self) -> Self {
        if self.is_contiguous() { self.clone() } else { self.map(|x| x) }
    }
}
