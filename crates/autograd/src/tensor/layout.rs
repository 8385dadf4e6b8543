//! The lengths of a tensor's axes, and how far apart neighbours along them lie.

use crate::shape::{Shape, element_count, is_row_major, row_major};

/// Lengths and, where the elements neither lie in row-major order without gaps nor are all one and the same, strides.
///
/// Small and flat: every value is moved several times between the op that makes it and the one that frees it. With such a
/// layout a tensor is 64 bytes, which are moved as a whole; an enum, of which the payload alone is moved, stalls the
/// processor at what it has only just written.
#[derive(Clone)]
pub(super) struct Layout {
    /// Four times the number of elements, plus [`STRIDED`] or [`ONE_ELEMENT`] for what does not lie in row-major order.
    extent: usize,
    /// The lengths, and behind them the strides, if any: of four axes, or of two, without an allocation.
    sizes: Shape,
}

/// Strides are written down.
const STRIDED: usize = 1;

/// All strides are 0: one element, stretched, as the cotangent of a mean is. It needs no strides, so one of any rank up to four
/// is made without an allocation.
const ONE_ELEMENT: usize = 2;

impl Layout {
    /// Row-major order without gaps: no strides are written down.
    #[inline]
    pub(super) fn contiguous(shape: &[usize]) -> Self {
        Self::of_len(shape, element_count(shape))
    }

    /// [`contiguous`](Layout::contiguous), if the number of elements is known.
    #[inline]
    pub(super) fn of_len(shape: &[usize], len: usize) -> Self {
        Layout { extent: 4 * len, sizes: Shape::from_slice(shape) }
    }

    pub(super) fn new(shape: &[usize], strides: &[usize]) -> Self {
        if is_row_major(shape, strides) {
            return Self::contiguous(shape);
        }
        if strides.iter().all(|&stride| stride == 0) {
            return Layout { extent: 4 * element_count(shape) + ONE_ELEMENT, sizes: Shape::from_slice(shape) };
        }
        let sizes = match (shape, strides) {
            (&[n], &[s]) => Shape::from([n, s]),
            (&[m, n], &[r, s]) => Shape::from([m, n, r, s]),
            _ => shape.iter().chain(strides).copied().collect(),
        };
        Layout { extent: 4 * element_count(shape) + STRIDED, sizes }
    }

    /// The number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.extent / 4
    }

    #[inline]
    pub(super) fn is_contiguous(&self) -> bool {
        self.form() == 0
    }

    #[inline]
    fn form(&self) -> usize {
        self.extent & (STRIDED | ONE_ELEMENT)
    }

    #[inline]
    fn rank(&self) -> usize {
        self.sizes.len() >> (self.extent & STRIDED)
    }

    #[inline]
    pub(super) fn shape(&self) -> &[usize] {
        &self.sizes[..self.rank()]
    }

    pub(super) fn strides(&self) -> Shape {
        match self.form() {
            0 => row_major(&self.sizes),
            ONE_ELEMENT => Shape::from_elem(0, self.sizes.len()),
            _ => Shape::from_slice(&self.sizes[self.rank()..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_strides_come_back() {
        for rank in 0..7 {
            let shape: Vec<usize> = (2..).take(rank).collect();
            let dense = row_major(&shape);
            let same = Layout::new(&shape, &dense);
            assert!(same.is_contiguous());
            assert_eq!((same.shape(), same.strides()), (shape.as_slice(), dense.clone()));
            if rank == 0 {
                continue;
            }
            let gaps: Shape = dense.iter().map(|s| 3 * s).collect();
            let strided = Layout::new(&shape, &gaps).clone();
            assert!(!strided.is_contiguous());
            assert_eq!((strided.shape(), strided.strides()), (shape.as_slice(), gaps));
            let nowhere = Shape::from_elem(0, rank);
            let one = Layout::new(&shape, &nowhere).clone();
            assert!(!one.is_contiguous() && one.sizes.len() == rank);
            assert_eq!((one.shape(), one.strides(), one.len()), (shape.as_slice(), nowhere, element_count(&shape)));
        }
    }

    #[test]
    fn a_tensor_is_one_cache_line() {
        assert_eq!(size_of::<crate::Tensor<f32>>(), 64);
    }
}
