//! Shapes and strides, broadcasting, and checks of shapes.

mod checks;

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use smallvec::SmallVec;

pub use checks::{broadcast_or_panic, check_axis, check_indices, check_range, mismatch};
pub(crate) use checks::{count_or_panic, holds};

/// The lengths of a tensor's axes, or its strides: a list that dereferences to a slice. Up to four axes take no
/// allocation.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_autograd::shape::Shape;
/// let strides = Tensor::<f32>::zeros(&[2, 3]).strides();
/// assert_eq!(strides, [3, 1]);
/// assert_eq!(strides.iter().max(), Some(&3));
/// assert_eq!(Shape::from([2, 3]), [3, 2].into_iter().rev().collect::<Shape>());
/// assert_eq!(Shape::from_slice(&[2, 3]).as_slice(), [2, 3]);
/// ```
#[derive(Default)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Shape {
    /// No axes: the shape of a scalar.
    pub fn new() -> Self {
        Shape::default()
    }

    /// The lengths in `lengths`.
    #[inline]
    pub fn from_slice(lengths: &[usize]) -> Self {
        // Copying a few lengths one by one is faster than a call of `memcpy`.
        if lengths.len() > 4 {
            return Shape(SmallVec::from_slice(lengths));
        }
        let mut few = [0; 4];
        for (to, &length) in few.iter_mut().zip(lengths) {
            *to = length;
        }
        Shape(SmallVec::from_buf_and_len(few, lengths.len()))
    }

    /// `rank` axes of the same `length`.
    pub(crate) fn from_elem(length: usize, rank: usize) -> Self {
        Shape(SmallVec::from_elem(length, rank))
    }

    /// The lengths as a slice.
    #[inline]
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    pub(crate) fn push(&mut self, length: usize) {
        self.0.push(length);
    }

    pub(crate) fn extend_from_slice(&mut self, lengths: &[usize]) {
        self.0.extend_from_slice(lengths);
    }

    pub(crate) fn pop(&mut self) -> Option<usize> {
        self.0.pop()
    }

    pub(crate) fn insert(&mut self, axis: usize, length: usize) {
        self.0.insert(axis, length);
    }

    pub(crate) fn remove(&mut self, axis: usize) -> usize {
        self.0.remove(axis)
    }
}

impl Clone for Shape {
    #[inline]
    fn clone(&self) -> Self {
        Shape::from_slice(self)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl DerefMut for Shape {
    #[inline]
    fn deref_mut(&mut self) -> &mut [usize] {
        &mut self.0
    }
}

impl AsRef<[usize]> for Shape {
    fn as_ref(&self) -> &[usize] {
        self
    }
}

impl Borrow<[usize]> for Shape {
    fn borrow(&self) -> &[usize] {
        self
    }
}

impl From<&[usize]> for Shape {
    #[inline]
    fn from(lengths: &[usize]) -> Self {
        Shape::from_slice(lengths)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[inline]
    fn from(lengths: [usize; N]) -> Self {
        Shape::from_slice(&lengths)
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(lengths: I) -> Self {
        Shape(lengths.into_iter().collect())
    }
}

impl Extend<usize> for Shape {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, lengths: I) {
        self.0.extend(lengths);
    }
}

impl<'a> IntoIterator for &'a Shape {
    type Item = &'a usize;
    type IntoIter = std::slice::Iter<'a, usize>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Eq for Shape {}

impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        same(self, other)
    }
}

impl Hash for Shape {
    /// As the slice, so that maps can be queried with one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

macro_rules! compared_with {
    ($([$($generics:tt)*] $list:ty),*) => {$(
        impl<$($generics)*> PartialEq<$list> for Shape {
            fn eq(&self, other: &$list) -> bool {
                same(self, &other[..])
            }
        }
        impl<$($generics)*> PartialEq<Shape> for $list {
            fn eq(&self, other: &Shape) -> bool {
                same(&self[..], other)
            }
        }
    )*};
}

compared_with!([] [usize], [] &[usize], [const N: usize] [usize; N], [const N: usize] &[usize; N], [] Vec<usize>);

/// Whether two shapes are equal; nearly all are of matrices.
#[inline]
pub(crate) fn same(a: &[usize], b: &[usize]) -> bool {
    match (a, b) {
        ([rows, cols], [other_rows, other_cols]) => rows == other_rows && cols == other_cols,
        _ => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b),
    }
}

/// The most elements that a tensor may have: as `f64` they take `isize::MAX` bytes, the limit of an allocation.
pub const MOST_ELEMENTS: usize = isize::MAX as usize / 8;

/// The number of elements: the product of the lengths (1 for a scalar, shape `[]`).
///
/// ```
/// use rewind_autograd::shape::element_count;
/// assert_eq!((element_count(&[2, 3]), element_count(&[])), (6, 1));
/// ```
///
/// # Panics
/// If there are more than a tensor may have; see [`checked_element_count`].
#[inline]
#[track_caller]
pub fn element_count(shape: &[usize]) -> usize {
    count_or_panic("element_count", shape)
}

/// The number of elements, or `None` if it exceeds [`MOST_ELEMENTS`]. A length of 0 counts as 1 for this limit: the
/// other lengths are limited too, since strides are products of them.
///
/// ```
/// use rewind_autograd::shape::checked_element_count;
/// assert_eq!(checked_element_count(&[2, 3]), Some(6));
/// assert_eq!(checked_element_count(&[7, 0]), Some(0));
/// assert_eq!(checked_element_count(&[1 << 32, 1 << 32]), None);
/// assert_eq!(checked_element_count(&[0, 1 << 40, 1 << 40]), None);
/// ```
#[inline]
pub fn checked_element_count(shape: &[usize]) -> Option<usize> {
    let (mut limited, mut overflows, mut is_empty) = (1_usize, false, false);
    for &length in shape {
        let (product, overflow) = limited.overflowing_mul(length.max(1));
        (limited, overflows, is_empty) = (product, overflows | overflow, is_empty | (length == 0));
    }
    if overflows || limited > MOST_ELEMENTS {
        return None;
    }
    Some(if is_empty { 0 } else { limited })
}

/// The index, one position per axis, of element `at` in row-major order.
///
/// ```
/// use rewind_autograd::shape::unravel;
/// assert_eq!(unravel(7, &[2, 4]), [1, 3]);
/// ```
pub fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &length) in index.iter_mut().zip(shape).rev() {
        *place = at % length;
        at /= length;
    }
    index
}

/// Row-major strides: the last axis is contiguous.
pub(crate) fn row_major(shape: &[usize]) -> Shape {
    let mut strides = Shape::from_elem(1, shape.len());
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Whether `shape` and `strides` are contiguous in row-major order. The stride of an axis of length 1 does not matter.
pub(crate) fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    for (&length, &stride) in shape.iter().zip(strides).rev() {
        if length != 1 && stride != expected {
            return shape.contains(&0);
        }
        expected *= length;
    }
    true
}

/// The shape that two shapes broadcast to, as in NumPy: aligned at the last axis, a length of 1 stretches.
///
/// ```
/// use rewind_autograd::shape::broadcast;
/// assert_eq!(broadcast(&[5, 1, 3], &[4, 1]).unwrap().as_slice(), [5, 4, 3]);
/// assert!(broadcast(&[2], &[3]).is_none());
/// ```
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Shape> {
    if a == b {
        return Some(Shape::from_slice(a));
    }
    let rank = a.len().max(b.len());
    let length =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |aligned| shape[aligned]);
    (0..rank)
        .map(|axis| match (length(a, axis), length(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// The strides of a tensor of `shape` and `strides` when it is broadcast to the shape `to`; `None` if it does not
/// broadcast.
pub(crate) fn broadcast_strides(shape: &[usize], strides: &[usize], to: &[usize]) -> Option<Shape> {
    let new_axes = to.len().checked_sub(shape.len())?;
    let mut out = Shape::from_elem(0, new_axes);
    for ((&length, &stride), &wanted) in shape.iter().zip(strides).zip(&to[new_axes..]) {
        match length {
            _ if length == wanted => out.push(stride),
            1 => out.push(0),
            _ => return None,
        }
    }
    Some(out)
}

/// Whether two shapes broadcast together; the result is not computed.
#[inline]
pub(crate) fn broadcasts(a: &[usize], b: &[usize]) -> bool {
    a.iter().rev().zip(b.iter().rev()).all(|(&x, &y)| x == y || x == 1 || y == 1)
}

/// Whether `shape` broadcasts to `wide`.
#[inline]
pub(crate) fn stretches_to(shape: &[usize], wide: &[usize]) -> bool {
    shape.len() <= wide.len() && shape.iter().rev().zip(wide.iter().rev()).all(|(&x, &y)| x == y || x == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_is_that_of_numpy() {
        assert_eq!(broadcast(&[], &[3]).as_deref(), Some(&[3][..]));
        assert_eq!(broadcast(&[2, 1], &[1, 0]).as_deref(), Some(&[2, 0][..]));
        assert_eq!(broadcast(&[8, 1, 6, 1], &[7, 1, 5]).as_deref(), Some(&[8, 7, 6, 5][..]));
        assert_eq!(broadcast(&[2, 1], &[8, 4, 3]), None);
    }

    #[test]
    fn asking_whether_is_the_same_as_asking_what() {
        let mut shapes = vec![Shape::new()];
        for rank in 1..=3 {
            shapes.extend(
                (0..4_usize.pow(rank)).map(|n| (0..rank).map(|axis| n / 4_usize.pow(axis) % 4).collect::<Shape>()),
            );
        }
        assert_eq!(shapes.len(), 1 + 4 + 16 + 64);
        for (a, b) in shapes.iter().flat_map(|a| shapes.iter().map(move |b| (a, b))) {
            let both = broadcast(a, b);
            assert_eq!(broadcasts(a, b), both.is_some(), "{a:?} and {b:?}");
            assert_eq!(stretches_to(a, b), both.is_some_and(|both| both == *b), "{a:?} to {b:?}");
        }
    }

    #[test]
    fn a_shape_compares_and_hashes_as_the_slice_that_it_holds() {
        for lengths in [&[][..], &[3], &[2, 3], &[1, 2, 3, 4], &[1, 2, 3, 4, 5, 6]] {
            let shape = Shape::from(lengths);
            assert_eq!(shape, lengths);
            assert_eq!(lengths, shape);
            assert_eq!(shape, *lengths);
            assert_eq!(shape, lengths.to_vec());
            assert_eq!(shape, shape.clone());
            assert_eq!(shape, lengths.iter().copied().collect::<Shape>());
            assert_ne!(shape, lengths.iter().copied().chain([1]).collect::<Shape>());
            assert_eq!(format!("{shape:?} {shape:#?}"), format!("{lengths:?} {lengths:#?}"));
            assert!(std::collections::HashSet::from([shape]).contains(lengths));
        }
        let mut shape = Shape::from([2, 3]);
        shape[0] = 7;
        assert_eq!(shape, [7, 3]);
        assert_eq!([7, 3], shape);
        assert_ne!(shape, [7]);
    }

    #[test]
    fn stretched_axes_have_stride_zero() {
        assert_eq!(broadcast_strides(&[2, 1], &[1, 1], &[4, 2, 3]).as_deref(), Some(&[0, 1, 0][..]));
        assert_eq!(broadcast_strides(&[2], &[1], &[3]), None);
    }
}
