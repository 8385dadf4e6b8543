//! The entry point for a product. It decides how the product is computed: in parts of the depth, in blocks, from a
//! packed or a strided matrix, together with the next products.

use super::cache::MatrixCache;
use super::elementwise;
use super::gemm::Gemm;
use super::matmul::gemm;
use super::packs::Packable;
use super::prefetch;
use crate::matrix::{Matrix, Operand};
use crate::storage::{Buffer, Pooled};

/// The depth of the blocks in which the kernels accumulate a product: each is summed in registers, and then added.
pub(super) const DEPTH_BLOCK: usize = 256;

/// The depth over which a tile of a product adds block after block before the next tile. Each such pass reads and writes the whole
/// result, which is a tenth of the time where it does not fit the cache; and what is deeper leaves it.
pub(super) const DEPTH_AT_ONCE: usize = 2 * DEPTH_BLOCK;

/// The largest depth whose blocks are added sequentially.
pub(super) const DEPTH: usize = 16 * DEPTH_BLOCK;

/// A single row times a matrix of so many columns reads it where it lies as fast as packed.
const NARROW: usize = 128;

/// `to = a·b + beta·to + bias`.
pub(super) fn product<T: Gemm + Pooled<Derived = MatrixCache<T>>>(
    a: Operand<'_, T>,
    b: Operand<'_, T>,
    beta: T,
    bias: Option<Operand<'_, T>>,
    to: &mut [T],
) {
    let (left, right) = (a.matrix, b.matrix);
    if left.rows == 0 || right.cols == 0 {
        return;
    }
    let packs = wants_packing(left, right).then(|| &b.buffer.derived().packs);
    let right = Packable { matrix: right, offset: b.offset, packs };
    let gather = |row: Matrix<'_, T>| Buffer::filled(row.cols, |to| row.copy_to(to));
    let row = bias.map(|bias| bias.matrix);
    let gathered = row.filter(|row| row.as_slice().is_none()).map(gather);
    let row = gathered.as_ref().map(|row| &row.data()[..right.matrix.cols]).or(row.and_then(Matrix::as_slice));
    let multiply = |a: Matrix<'_, T>, to: &mut [T]| in_depth(a, right, beta, row, to, multiply);
    let was_prefetched = beta == T::ZERO
        && prefetch::is_worth_it(b.matrix)
        && b.buffer.derived().prefetched.product(&a, &b, bias.as_ref(), to, multiply);
    if !was_prefetched {
        multiply(left, to);
    }
}

/// Whether packing `b` pays: not if it is tiny, nor for a single row times a narrow matrix with contiguous rows.
fn wants_packing<T: Gemm>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    b.rows * b.cols >= 256 && (a.rows > 1 || b.cols > NARROW || b.col_stride != 1)
}

/// A product whose depth is small enough to add its blocks sequentially: `to = a·b + beta·to + bias`.
pub(super) type Shallow<T> = fn(Matrix<'_, T>, Packable<'_, T>, T, Option<&[T]>, &mut [T]);

/// `to = a·b + beta·to + bias`. A larger depth than the kernel should add block by block is summed in halves, so that
/// the error grows with the logarithm of the depth.
#[inline]
pub(super) fn in_depth<T: Gemm>(
    a: Matrix<'_, T>,
    b: Packable<'_, T>,
    beta: T,
    bias: Option<&[T]>,
    to: &mut [T],
    shallow: Shallow<T>,
) {
    if a.cols <= DEPTH { shallow(a, b, beta, bias, to) } else { in_halves(a, b, beta, bias, to, shallow) }
}

#[inline(never)]
fn in_halves<T: Gemm>(
    a: Matrix<'_, T>,
    b: Packable<'_, T>,
    beta: T,
    bias: Option<&[T]>,
    to: &mut [T],
    shallow: Shallow<T>,
) {
    let half = (a.cols / 2).next_multiple_of(DEPTH_AT_ONCE);
    in_depth(a.col_block(0, half), b.row_block(0, half), beta, bias, to, shallow);
    let (a, b) = (a.col_block(half, a.cols - half), b.row_block(half, a.cols - half));
    Buffer::filled(to.len(), |second| {
        in_depth(a, b, T::ZERO, None, second, shallow);
        elementwise::add(to, second);
    });
}

/// `to = a·b + beta·to + bias`, of shallow matrices.
pub(super) fn multiply<T: Gemm>(a: Matrix<'_, T>, b: Packable<'_, T>, beta: T, bias: Option<&[T]>, to: &mut [T]) {
    gemm(a, b.right(), beta, bias, to);
}
