//! What the matrix kernel needs of an element type, and the right-hand matrix of a product.

use rten_simd::Isa;

use super::matmul::Loops;
use super::panels::Packed;
use crate::Scalar;
use crate::matrix::Matrix;

/// A right-hand matrix, with its packed form if there is one.
pub(crate) struct Right<'a, T: Gemm> {
    pub(crate) matrix: Matrix<'a, T>,
    pub(crate) packed: Option<&'a Packed<T>>,
}

impl<'a, T: Gemm> Right<'a, T> {
    /// A matrix that is there in its packed form alone.
    pub(super) fn packed(packed: &'a Packed<T>, [rows, cols]: [usize; 2]) -> Self {
        Right { matrix: Matrix { data: &[], rows, cols, row_stride: cols, col_stride: 1 }, packed: Some(packed) }
    }
}

/// An element type with vectors for the tile of a product.
pub trait Gemm: Scalar {
    /// Runs the loops of a product with the vectors of an instruction set.
    fn run<I: Isa>(isa: I, loops: Loops<'_, Self>);
}
