//! The entry point for a product. It decides how the product is computed: in parts of the depth, in blocks, from a
//! packed or a strided matrix, together with the next products.

use super::cache::MatrixCache;
use super::elementwise;
use super::gemm::Gemm;
use super::packs::Packable;
use super::prefetch;
use crate::matrix::{Matrix, Operand};
use crate::storage::{Buffer, Pooled};

/// The depth of the blocks in which the kernels accumulate a product.
pub(crate) const DEPTH_BLOCK: usize = 256;

/// The largest depth whose blocks are added sequentially.
pub(super) const DEPTH: usize = 16 * DEPTH_BLOCK;

/// The `f32` kernel splits a product that is taller or wider than one such block among the threads of rayon.
const BLOCK_ROWS: usize = 64;
const BLOCK_COLS: usize = 128;

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
        && sums_as_several_rows(left, b.matrix)
        && b.buffer.derived().prefetched.product(&a, &b, bias.as_ref(), to, multiply);
    if !was_prefetched {
        multiply(left, to);
    }
}

/// Whether packing `b` pays: not if it is tiny, nor for a single row times a narrow matrix.
fn wants_packing<T: Gemm>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    T::PACKS && b.rows * b.cols >= 256 && (a.rows > 1 || b.cols > BLOCK_COLS)
}

/// Whether an element of the product is summed in the order in which it would be if there were more rows.
fn sums_as_several_rows<T: Gemm>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    a.rows > 1 || b.col_stride == 1 || wants_packing(a, b)
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
    let half = (a.cols / 2).next_multiple_of(DEPTH_BLOCK);
    in_depth(a.col_block(0, half), b.row_block(0, half), beta, bias, to, shallow);
    let (a, b) = (a.col_block(half, a.cols - half), b.row_block(half, a.cols - half));
    Buffer::filled(to.len(), |second| {
        in_depth(a, b, T::ZERO, None, second, shallow);
        elementwise::add(to, second);
    });
}

/// `to = a·b + beta·to + bias`, of shallow matrices.
///
/// Block by block where the kernel would wait for threads: the same bits, since an element is one sum in any case.
pub(super) fn multiply<T: Gemm>(a: Matrix<'_, T>, b: Packable<'_, T>, beta: T, bias: Option<&[T]>, to: &mut [T]) {
    if !would_wait_for_threads(a, b.matrix) {
        return T::gemm(a, b.right(), beta, bias, to);
    }
    let cols = b.matrix.cols;
    for col in (0..cols).step_by(BLOCK_COLS) {
        let width = BLOCK_COLS.min(cols - col);
        let right = b.col_block(col, width);
        let bias = bias.map(|bias| &bias[col..col + width]);
        for (row, rows) in row_blocks(a.rows) {
            let part = |line: usize| (row + line) * cols + col..(row + line) * cols + col + width;
            Buffer::filled(rows * width, |block| {
                if beta != T::ZERO {
                    block.chunks_exact_mut(width).enumerate().for_each(|(k, line)| line.copy_from_slice(&to[part(k)]));
                }
                T::gemm(a.row_block(row, rows), right.right(), beta, bias, block);
                block.chunks_exact(width).enumerate().for_each(|(k, line)| to[part(k)].copy_from_slice(line));
            });
        }
    }
}

/// The first row and the number of rows of each block. No block is a single row, unless there is only one in all: the
/// kernel sums a lone row times a strided matrix in another order.
fn row_blocks(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let (row, left) = (next, rows - next);
        let height = if left == BLOCK_ROWS + 1 { BLOCK_ROWS - 1 } else { BLOCK_ROWS.min(left) };
        next += height;
        (height > 0).then_some((row, height))
    })
}

/// Whether the kernel would split a product among threads although waking them takes longer. On a pool of one thread,
/// where shards are computed, it never does.
fn would_wait_for_threads<T: Gemm>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    const WORTH_SHARING: usize = 1 << 23;
    T::MULTITHREADED
        && a.cols > 0
        && (a.rows > BLOCK_ROWS || b.cols > BLOCK_COLS)
        && a.rows * a.cols * b.cols < WORTH_SHARING
        && rayon::current_num_threads() > 1
}
