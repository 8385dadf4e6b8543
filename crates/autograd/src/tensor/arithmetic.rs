//! Arithmetic on tensors: maps, in-place updates and assembly.

use std::ops::Range;

use super::Tensor;
use crate::Scalar;
use crate::kernels::{elementwise, reduce};
use crate::shape::{self, Shape, broadcast_or_panic, check_axis, check_indices, count_or_panic, row_major};

/// Arithmetic, as ops and optimisers need it. Differentiable arithmetic is that of [`Var`](crate::Var).
impl<T: Scalar> Tensor<T> {
    /// `f` of every element.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::full(&[2], 3.0).map(|x| x * x).to_vec(), [9.0, 9.0]);
    /// ```
    #[inline]
    pub fn map(&self, f: impl Fn(T) -> T) -> Self {
        match self.as_slice() {
            Some(from) => self.build_like(|to| elementwise::each(from, to, f)),
            None => self.build_like(|to| elementwise::map(self.view(), to, f)),
        }
    }

    /// A function over slices, applied to all elements: `f(from, to)` writes `to[i]` from `from[i]`. For functions that have a
    /// vectorised form.
    ///
    /// `f` is called once for contiguous elements, else once for every contiguous run, so it must treat elements
    /// independently. It must write every element of `to`, as in [`build`](Tensor::build).
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]).transpose();
    /// let y = x.map_slices(|from, to| {
    ///     for (to, from) in to.iter_mut().zip(from) {
    ///         *to = 10.0 * from;
    ///     }
    /// });
    /// assert_eq!(y.to_vec(), [10.0, 30.0, 20.0, 40.0]);
    /// ```
    #[inline]
    pub fn map_slices(&self, f: impl Fn(&[T], &mut [T])) -> Self {
        match self.as_slice() {
            Some(from) => self.build_like(|to| f(from, to)),
            None => self.build_like(|to| elementwise::map_slices(self.view(), to, f)),
        }
    }

    /// `f` of every pair of elements, with broadcasting.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// let row = Tensor::from_vec(vec![1.0, 2.0, 3.0], &[3]);
    /// assert_eq!(x.zip(&row, |x, y| x - y).to_vec(), [0.0, 0.0, 0.0, 3.0, 3.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    #[inline]
    pub fn zip(&self, other: &Self, f: impl Fn(T, T) -> T) -> Self {
        if self.same_shape(other) {
            return self.build_like(|to| match (self.as_slice(), other.as_slice()) {
                (Some(a), Some(b)) => elementwise::each_pair(a, b, to, f),
                _ => elementwise::zip(self.view(), other.view(), to, f),
            });
        }
        match (self.as_slice(), other.as_slice()) {
            (Some(a), Some(b)) if self.repeats(other) => self.build_like(|to| elementwise::each_row(a, b, to, f)),
            (Some(a), Some(b)) if other.repeats(self) => {
                other.build_like(|to| elementwise::each_row(b, a, to, |b, a| f(a, b)))
            }
            _ => self.zip_stretched(other, f),
        }
    }

    /// Whether `row` is broadcast to this tensor's shape by repeating its elements, as a bias is.
    #[inline]
    pub(super) fn repeats(&self, row: &Self) -> bool {
        let Some(leading) = self.rank().checked_sub(row.rank()) else { return false };
        !row.is_empty() && shape::same(&self.shape()[leading..], row.shape())
    }

    #[track_caller]
    fn zip_stretched(&self, other: &Self, f: impl Fn(T, T) -> T) -> Self {
        let shape = broadcast_or_panic("zip", self.shape(), other.shape());
        let (a, b) = (self.broadcast_to(&shape), other.broadcast_to(&shape));
        Self::build(&shape, |to| elementwise::zip(a.view(), b.view(), to, f))
    }

    /// The elements for writing. If another tensor shares them, or they are not contiguous, they are copied first.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::full(&[2], 1.0);
    /// let mut y = x.clone();
    /// y.as_mut_slice()[0] = 5.0;
    /// assert_eq!((x.to_vec(), y.to_vec()), (vec![1.0, 1.0], vec![5.0, 1.0]));
    /// ```
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if !self.buffer.is_unique() || !self.is_contiguous() {
            *self = self.map(|x| x);
        }
        let len = self.len();
        let elements = self.buffer.data_mut().expect("the buffer has one owner now");
        &mut elements[self.offset..][..len]
    }

    /// Adds `other` in place, broadcast to this tensor's shape.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let mut x = Tensor::full(&[2, 2], 1.0);
    /// x.add_assign(&Tensor::from_vec(vec![10.0, 20.0], &[2]));
    /// assert_eq!(x.to_vec(), [11.0, 21.0, 11.0, 21.0]);
    /// ```
    ///
    /// # Panics
    /// If `other` does not stretch to this tensor's shape.
    #[track_caller]
    #[inline]
    pub fn add_assign(&mut self, other: &Self) {
        if self.same_shape(other)
            && let Some(from) = other.as_slice()
        {
            return elementwise::add(self.as_mut_slice(), from);
        }
        let other = other.broadcast_to(self.shape());
        let strides = row_major(self.shape());
        elementwise::accumulate(self.as_mut_slice(), &strides, other.view(), |x, y| x + y);
    }

    /// Adds `piece` to the part of this tensor that starts at `start` of `axis`; all other elements are unchanged.
    pub(crate) fn add_slice(&mut self, axis: usize, start: usize, piece: &Self) {
        if piece.is_empty() {
            return;
        }
        let inner: usize = self.shape()[axis + 1..].iter().product();
        let (row, first) = (self.shape()[axis] * inner, start * inner);
        if let Some(from) = piece.as_slice() {
            let width = piece.shape()[axis] * inner;
            let rows = elementwise::rows_mut(self.as_mut_slice(), row).zip(elementwise::rows(from, width));
            return rows.for_each(|(to, from)| elementwise::add(&mut to[first..first + width], from));
        }
        let strides = row_major(self.shape());
        elementwise::accumulate(&mut self.as_mut_slice()[first..], &strides, piece.view(), |x, y| x + y);
    }

    /// Moves out the part `range` of `axis`: 0 is left in its place.
    pub(crate) fn take_part(&mut self, axis: usize, range: Range<usize>) -> Self {
        let part = self.part(axis, range.clone()).map(|x| x);
        let inner: usize = self.shape()[axis + 1..].iter().product();
        let row = self.shape()[axis] * inner;
        let rows = elementwise::rows_mut(self.as_mut_slice(), row);
        rows.for_each(|row| row[range.start * inner..range.end * inner].fill(T::ZERO));
        part
    }

    /// Folds `axis` by `f` from `start`, from its first position to its last. The result has the axis removed; it is
    /// `start` where the axis is empty. For sums use [`sum_axis`](Tensor::sum_axis), which bounds the rounding error.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, -5.0, 3.0, 4.0], &[2, 2]);
    /// let largest = x.fold_axis(1, 0.0, |a, b: f64| a.max(b.abs()));
    /// assert_eq!(largest.to_vec(), [5.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn fold_axis(&self, axis: usize, start: T, f: impl Fn(T, T) -> T) -> Self {
        check_axis("fold_axis", self.shape(), axis);
        let mut shape = Shape::from_slice(self.shape());
        shape.remove(axis);
        Self::build(&shape, |to| {
            to.fill(start);
            reduce::fold_axis(self.view(), axis, to, f);
        })
    }

    /// A tensor of `shape`, assembled from pieces at `(axis, start)` that cover it.
    pub(crate) fn assemble<'a>(shape: &[usize], pieces: impl Iterator<Item = (&'a Self, usize, usize)>) -> Self {
        let strides = row_major(shape);
        Self::build(shape, |to| {
            for (piece, axis, start) in pieces.filter(|(piece, ..)| !piece.is_empty()) {
                elementwise::accumulate(&mut to[start * strides[axis]..], &strides, piece.view(), |_, x| x);
            }
        })
    }

    /// The positions `indices` of `axis`, in that order; positions may repeat.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]);
    /// assert_eq!(x.gather(0, &[2, 0, 2]).to_vec(), [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis, or an index is out of range.
    #[track_caller]
    pub fn gather(&self, axis: usize, indices: &[usize]) -> Self {
        check_indices("gather", self.shape(), axis, indices);
        let mut shape = Shape::from_slice(self.shape());
        shape[axis] = indices.len();
        count_or_panic("gather", &shape);
        let pieces: Vec<_> = indices.iter().map(|&i| self.part(axis, i..i + 1)).collect();
        Self::assemble(&shape, pieces.iter().enumerate().map(|(to, piece)| (piece, axis, to)))
    }

    /// `a` where `mask` is not 0, `b` elsewhere, with broadcasting.
    pub(crate) fn choose(mask: &Self, a: &Self, b: &Self) -> Self {
        let shape = broadcast_or_panic("select", &broadcast_or_panic("select", a.shape(), b.shape()), mask.shape());
        let [mask, a, b] = [mask, a, b].map(|x| x.broadcast_to(&shape));
        Self::build(&shape, |to| {
            b.copy_to(to);
            let strides = row_major(&shape);
            elementwise::accumulate_where(to, &strides, mask.view(), a.view());
        })
    }

    /// Whether no element is infinite or NaN.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert!(!Tensor::from_vec(vec![1.0, f32::NAN], &[2]).all_finite());
    /// ```
    pub fn all_finite(&self) -> bool {
        self.to_contiguous().as_slice().is_some_and(|xs| xs.iter().all(|x| x.is_finite()))
    }
}
