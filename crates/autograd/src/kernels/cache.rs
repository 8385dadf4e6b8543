//! Data cached with the buffer of a right-hand matrix: packed forms of it, and prefetched products with it.

use super::gemm::Gemm;
use super::packs::PackCache;
use super::prefetch::Prefetched;
use crate::storage::{Derived, pooled};

/// Packed forms and prefetched products of the matrices in one buffer.
pub struct MatrixCache<T: Gemm> {
    pub(crate) packs: PackCache<T>,
    pub(crate) prefetched: Prefetched<T>,
}

impl<T: Gemm> Default for MatrixCache<T> {
    fn default() -> Self {
        MatrixCache { packs: PackCache::default(), prefetched: Prefetched::default() }
    }
}

impl<T: Gemm> Derived for MatrixCache<T> {
    #[cold]
    fn retire(&mut self) {
        self.packs.retire();
        self.prefetched.clear();
    }

    #[cold]
    fn clear(&mut self) {
        self.packs.clear();
        self.prefetched.clear();
    }
}

pooled!(f32, MatrixCache<f32>);
pooled!(f64, MatrixCache<f64>);

#[cfg(test)]
mod tests {
    use super::super::product::product;
    use crate::matrix::{Matrix, Operand};
    use crate::storage::Buffer;

    #[test]
    fn nothing_is_left_of_what_a_buffer_held_before() {
        // As many elements as are prefetched, so that both kinds of data are cached.
        const SIZE: usize = 512;
        let rows = Buffer::filled(8 * SIZE, |to| to.iter_mut().enumerate().for_each(|(i, x)| *x = (i / SIZE) as f32));
        let weight = |number: f32| Buffer::filled(SIZE * SIZE, |to| to.fill(number));
        let check = |weight: &Buffer<f32>, row: usize| {
            let from = &rows.data()[row * SIZE..];
            let a = Operand { matrix: Matrix::row_major(from, 1, SIZE), buffer: &rows, offset: row * SIZE };
            let b = Operand { matrix: Matrix::row_major(weight.data(), SIZE, SIZE), buffer: weight, offset: 0 };
            let mut c = [f32::NAN; SIZE];
            product(a, b, 0.0, None, &mut c);
            assert_eq!(c, [(SIZE * row) as f32 * weight.data()[0]; SIZE], "row {row}");
        };
        let first = weight(1.0);
        (0..4).for_each(|row| check(&first, row));
        assert!(first.derived().prefetched.blocks() == 1, "the last rows wait");
        let address = first.data().as_ptr();
        drop(first);
        // Released, and used again.
        let mut second = weight(2.0);
        assert_eq!(second.data().as_ptr(), address);
        check(&second, 2);
        (0..4).for_each(|row| check(&second, row));
        // Changed where it lies.
        second.data_mut().expect("nobody shares it")[..SIZE * SIZE].fill(3.0);
        check(&second, 2);
    }
}
