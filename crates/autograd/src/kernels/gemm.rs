//! The matrix kernel of an element type.

use crate::Scalar;
use crate::matrix::Matrix;

/// A right-hand matrix, with its packed form if there is one.
pub struct Right<'a, T: Gemm> {
    pub(crate) matrix: Matrix<'a, T>,
    pub(crate) packed: Option<&'a T::Packed>,
}

impl<'a, T: Gemm> Right<'a, T> {
    /// A matrix that is there in its packed form alone.
    pub(super) fn packed(packed: &'a T::Packed, [rows, cols]: [usize; 2]) -> Self {
        Right { matrix: Matrix { data: &[], rows, cols, row_stride: cols, col_stride: 1 }, packed: Some(packed) }
    }
}

/// The matrix product of an element type.
pub trait Gemm: Scalar {
    /// A right-hand matrix in the order in which the kernel reads it.
    type Packed: Send + Sync;
    /// Whether the kernel has a packed form.
    const PACKS: bool;
    /// Packs `b`.
    fn pack(b: Matrix<'_, Self>) -> Self::Packed;
    /// Calls `f` with matrices of the same number of columns, one below the other: of this shape, and no deeper than a block.
    fn stacked<'a>(parts: impl Iterator<Item = Matrix<'a, Self>>, shape: [usize; 2], f: impl FnOnce(Right<'_, Self>));
    /// `c = a·b + beta·c + bias`, `c` row-major, the bias a row; `beta` 0 overwrites whatever `c` holds.
    fn gemm(a: Matrix<'_, Self>, b: Right<'_, Self>, beta: Self, bias: Option<&[Self]>, c: &mut [Self]);
}
