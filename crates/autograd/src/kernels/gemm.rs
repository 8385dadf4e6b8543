//! The matrix kernel of an element type.

use crate::Scalar;
use crate::matrix::Matrix;

/// A right-hand matrix, with its packed form if there is one.
pub struct Right<'a, T: Gemm> {
    pub(crate) matrix: Matrix<'a, T>,
    pub(crate) packed: Option<&'a T::Packed>,
}

/// The matrix product of an element type.
pub trait Gemm: Scalar {
    /// A right-hand matrix in the order in which the kernel reads it.
    type Packed: Send + Sync;
    /// Whether the kernel has a packed form.
    const PACKS: bool;
    /// Packs `b`, into the memory of `spare` if it is large enough.
    fn pack(b: Matrix<'_, Self>, spare: Option<Self::Packed>) -> Self::Packed;
    /// `c = a·b + beta·c + bias`, `c` row-major, the bias a row; `beta` 0 overwrites whatever `c` holds.
    fn gemm(a: Matrix<'_, Self>, b: Right<'_, Self>, beta: Self, bias: Option<&[Self]>, c: &mut [Self]);
}
