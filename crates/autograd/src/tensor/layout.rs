//! The shape and strides of a tensor.

use crate::shape::{Shape, element_count, is_row_major, row_major};

/// The shape and, unless the elements are contiguous or all one and the same, the strides.
///
/// Small and flat: every value is moved several times between the op that makes it and the one that frees it. With this
/// layout a tensor is 64 bytes, moved as a unit. An enum, of which only the payload is moved, causes store-forwarding
/// stalls.
#[derive(Clone)]
pub(super) struct Layout {
    /// Four times the number of elements, plus [`STRIDED`] or [`ONE_ELEMENT`] for layouts that are not contiguous.
    extent: usize,
    /// The lengths, followed by the strides if they are stored: of four axes, or of two with strides, without an
    /// allocation.
    sizes: Shape,
}

/// The strides are stored.
const STRIDED: usize = 1;

/// All strides are 0: one broadcast element, such as the cotangent of a mean. The strides are not stored, so up to four
/// axes take no allocation.
const ONE_ELEMENT: usize = 2;

impl Layout {
    /// Contiguous in row-major order: no strides are stored.
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
