//! Dense arrays of any rank, in row-major order, with strided views.

mod arithmetic;
mod layout;
#[cfg(test)]
mod prefetched;
mod products;
mod sums;
mod views;

use std::fmt;

use crate::Scalar;
use crate::kernels::elementwise::{self, View};
use crate::shape::{self, Shape, count_or_panic};
use crate::storage::Buffer;

use layout::Layout;

pub(crate) use products::{rows_at_once, sum_of_products};

/// A dense array of any rank. Cloning, slicing, transposing and broadcasting copy no elements.
///
/// ```
/// use rewind_autograd::Tensor;
/// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
/// assert_eq!(x.transpose().shape(), [3, 2]);
/// assert_eq!(x.slice(1, 1..3).to_vec(), [2.0, 3.0, 5.0, 6.0]);
/// ```
pub struct Tensor<T: Scalar> {
    buffer: Buffer<T>,
    offset: usize,
    layout: Layout,
}

/// From this many elements on, a trial allocation comes first: a failed allocation aborts the program without naming
/// the shape.
const PROBE_FROM: usize = 1 << 30;

#[cold]
#[track_caller]
fn probe_memory<T>(shape: &[usize], len: usize) {
    if Vec::<T>::new().try_reserve_exact(len).is_err() {
        panic!("tensor: there is no memory for shape {shape:?}, which takes {} bytes", len * size_of::<T>());
    }
}

/// Constructors.
impl<T: Scalar> Tensor<T> {
    /// The elements of `data` in row-major order.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]);
    /// assert_eq!(x.at(&[1, 0]), 3.0);
    /// ```
    ///
    /// # Panics
    /// If `data` does not hold exactly as many elements as `shape` asks for, or that is more than
    /// [`MOST_ELEMENTS`](crate::shape::MOST_ELEMENTS).
    #[track_caller]
    pub fn from_vec(data: Vec<T>, shape: &[usize]) -> Self {
        let wanted = count_or_panic("from_vec", shape);
        if data.len() != wanted {
            panic!("from_vec: {} numbers do not fill shape {shape:?}, which holds {wanted}", data.len());
        }
        Self::contiguous(Buffer::from_vec(data), Layout::of_len(shape, wanted))
    }

    /// A tensor whose element at index `i` of the row-major order is `f(i)`.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::from_fn(&[2, 2], |i| i as f32).to_vec(), [0.0, 1.0, 2.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// As [`full`](Tensor::full).
    #[track_caller]
    pub fn from_fn(shape: &[usize], mut f: impl FnMut(usize) -> T) -> Self {
        count_or_panic("from_fn", shape);
        Self::build(shape, |to| {
            for (i, to) in to.iter_mut().enumerate() {
                *to = f(i);
            }
        })
    }

    /// A tensor filled with `value`.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::full(&[2], 0.5).to_vec(), [0.5, 0.5]);
    /// ```
    ///
    /// # Panics
    /// If the shape holds more elements than [`MOST_ELEMENTS`](crate::shape::MOST_ELEMENTS), or than there is memory for.
    #[track_caller]
    pub fn full(shape: &[usize], value: T) -> Self {
        count_or_panic("full", shape);
        Self::build(shape, |to| to.fill(value))
    }

    /// A tensor filled with 0.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::<f32>::zeros(&[2]).to_vec(), [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// As [`full`](Tensor::full).
    #[track_caller]
    pub fn zeros(shape: &[usize]) -> Self {
        count_or_panic("zeros", shape);
        Self::build(shape, |to| to.fill(T::ZERO))
    }

    /// A tensor of shape `[]` with one element.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::scalar(2.0).shape(), []);
    /// ```
    pub fn scalar(value: T) -> Self {
        Self::build(&[], |to| to.fill(value))
    }

    /// A tensor whose elements `fill` writes, in row-major order: for computing a value in a loop of your own.
    ///
    /// `fill` must write every element. The initial contents of the slice are unspecified: NaN in a debug build, so
    /// that a missed element shows; elements of dropped tensors in a release build, where clearing them would take as
    /// long as writing them.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![3.0, 1.0, 2.0], &[3]);
    /// let differences = Tensor::build(&[2], |to| {
    ///     let pairs = x.as_slice().expect("a new tensor is contiguous").windows(2);
    ///     to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[1] - pair[0]);
    /// });
    /// assert_eq!(differences.to_vec(), [-2.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// As [`full`](Tensor::full).
    #[inline]
    #[track_caller]
    pub fn build(shape: &[usize], fill: impl FnOnce(&mut [T])) -> Self {
        let len = count_or_panic("tensor", shape);
        Self::build_of_len(shape, len, fill)
    }

    #[inline]
    #[track_caller]
    fn build_of_len(shape: &[usize], len: usize, fill: impl FnOnce(&mut [T])) -> Self {
        if len >= PROBE_FROM {
            probe_memory::<T>(shape, len);
        }
        let write = |to: &mut [T]| {
            if cfg!(debug_assertions) {
                to.fill(T::from_f64(f64::NAN));
            }
            fill(to);
        };
        Self::contiguous(Buffer::filled(len, write), Layout::of_len(shape, len))
    }

    /// A tensor of this one's shape that `fill` writes, as in [`build`](Tensor::build).
    #[inline]
    #[track_caller]
    pub(crate) fn build_like(&self, fill: impl FnOnce(&mut [T])) -> Self {
        Self::build_of_len(self.shape(), self.len(), fill)
    }

    /// A placeholder without a buffer, left where a tensor was moved out; never read.
    #[inline]
    pub(crate) fn vacant() -> Self {
        Self::contiguous(Buffer::none(), Layout::of_len(&[], 0))
    }

    /// Releases the elements; the shape remains.
    #[inline]
    pub(crate) fn release(&mut self) {
        self.buffer = Buffer::none();
    }

    /// Whether the elements were released.
    #[inline]
    pub(crate) fn is_released(&self) -> bool {
        self.buffer.is_none()
    }

    #[inline]
    fn contiguous(buffer: Buffer<T>, layout: Layout) -> Self {
        Tensor { buffer, offset: 0, layout }
    }
}

/// Shape and elements.
impl<T: Scalar> Tensor<T> {
    /// The length of every axis; `[]` for a scalar.
    #[inline]
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// Whether all axes have the same lengths as those of `other`.
    #[inline]
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        shape::same(self.shape(), other.shape())
    }

    /// The strides: the distance in memory between neighbours along every axis, in elements; 0 along a broadcast axis.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::<f32>::zeros(&[2, 3]);
    /// assert_eq!(x.strides(), [3, 1]);
    /// assert_eq!(x.transpose().strides(), [1, 3]);
    /// ```
    pub fn strides(&self) -> Shape {
        self.layout.strides()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape().len()
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether there is no element: some axis has length 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the elements are contiguous in row-major order.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.layout.is_contiguous()
    }

    /// Whether another tensor shares the buffer, so that writing begins with a copy.
    #[inline]
    pub(crate) fn is_shared(&self) -> bool {
        !self.buffer.is_unique()
    }

    /// The elements as one slice, if they are contiguous.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]);
    /// assert_eq!(x.as_slice(), Some(&[1.0, 2.0, 3.0, 4.0][..]));
    /// assert_eq!(x.transpose().as_slice(), None);
    /// assert_eq!(x.transpose().to_vec(), [1.0, 3.0, 2.0, 4.0]);
    /// ```
    #[inline]
    pub fn as_slice(&self) -> Option<&[T]> {
        self.is_contiguous().then(|| &self.buffer.data()[self.offset..][..self.len()])
    }

    /// A copy of the elements in row-major order.
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(slice) => slice.to_vec(),
            None => {
                let mut out = vec![T::ZERO; self.len()];
                self.copy_to(&mut out);
                out
            }
        }
    }

    /// Copies the elements in row-major order to `to`, which has the same length.
    pub(crate) fn copy_to(&self, to: &mut [T]) {
        match self.as_slice() {
            Some(slice) => to.copy_from_slice(slice),
            None => elementwise::map(self.view(), to, |x| x),
        }
    }

    /// The element at `index`, one position per axis.
    ///
    /// # Panics
    /// If `index` has the wrong length or is out of range.
    #[track_caller]
    pub fn at(&self, index: &[usize]) -> T {
        if index.len() != self.rank() || index.iter().zip(self.shape()).any(|(i, n)| i >= n) {
            panic!("at: index {index:?} does not lie in shape {:?}", self.shape());
        }
        let place: usize = index.iter().zip(self.strides().iter()).map(|(i, s)| i * s).sum();
        self.buffer.data()[self.offset + place]
    }

    /// The value of a tensor with one element.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::full(&[1, 1], 2.0).item(), 2.0);
    /// ```
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn item(&self) -> T {
        if self.len() != 1 {
            panic!("item: shape {:?} holds {} numbers, expected one", self.shape(), self.len());
        }
        self.buffer.data()[self.offset]
    }

    pub(crate) fn view(&self) -> View<'_, T> {
        // An empty view may start past the end of its buffer (a slice at the end of an axis, say).
        let data = self.buffer.data().get(self.offset..).unwrap_or_default();
        View { data, shape: self.shape(), strides: self.strides() }
    }
}

impl<T: Scalar> Clone for Tensor<T> {
    #[inline]
    fn clone(&self) -> Self {
        Tensor { buffer: self.buffer.clone(), offset: self.offset, layout: self.layout.clone() }
    }
}

impl<T: Scalar> PartialEq for Tensor<T> {
    /// The same shape and equal elements.
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.to_vec() == other.to_vec()
    }
}

impl<T: Scalar> fmt::Debug for Tensor<T> {
    /// Shape and elements, at most the first 32 of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        let numbers = self.to_vec();
        write!(f, "Tensor<{}> {:?} {:?}", T::NAME, self.shape(), &numbers[..numbers.len().min(SHOWN)])?;
        if numbers.len() > SHOWN { write!(f, " and {} more", numbers.len() - SHOWN) } else { Ok(()) }
    }
}
