//! Σ xᵀ·g, the gradient of a weight that is used at many time steps: the rows of several pairs are laid together and multiplied
//! at once.

use std::ops::Range;

use super::elementwise;
use super::gemm::Gemm;
use super::packs::Packable;
use super::product::{DEPTH, DEPTH_BLOCK, in_depth, multiply};
use super::transpose::transpose;
use crate::matrix::Matrix;
use crate::scalar::Pairs;
use crate::storage::Buffer;

/// Rows of several pairs that are multiplied at once. Fewer than the depth that the kernel adds up in one go would write the sum
/// more often, and more would leave the cache between being laid together and being multiplied.
pub(crate) const ROWS_AT_ONCE: usize = DEPTH_BLOCK;

/// So many rows are not worth laying together with others: to copy them takes longer than to write the sum more often.
const ROWS_ENOUGH: usize = 64;

/// `to = Σ xᵀ·g + beta·to`.
pub(super) fn sum_of_products<T: Gemm>(pairs: &Pairs<'_, T>, beta: T, to: &mut [T]) {
    let [x, g] = (pairs.pair)(0);
    if x.cols > 0 && g.cols > 0 {
        sum(pairs, 0..pairs.count, beta, to);
    }
}

/// Of the pairs in `range`: if they have many rows, each half by itself, as in [`in_depth`].
fn sum<T: Gemm>(pairs: &Pairs<'_, T>, range: Range<usize>, beta: T, to: &mut [T]) {
    let rows = |i: usize| (pairs.pair)(i)[0].rows;
    if range.len() > 1 && range.clone().map(rows).sum::<usize>() > DEPTH {
        let half = range.start + range.len() / 2;
        sum(pairs, range.start..half, beta, to);
        Buffer::filled(to.len(), |second| {
            sum(pairs, half..range.end, T::ZERO, second);
            elementwise::add(to, second);
        });
        return;
    }
    let (mut next, mut beta) = (range.start, beta);
    while next < range.end {
        let (mut end, mut together) = (next + 1, rows(next));
        if together < ROWS_ENOUGH {
            while end < range.end && together + rows(end) <= ROWS_AT_ONCE {
                together += rows(end);
                end += 1;
            }
        }
        let [x, g] = (pairs.pair)(next);
        if end - next == 1 {
            in_depth(x.transposed(), Packable::once(g), beta, None, to, multiply_transpose);
        } else {
            let part = |k: usize| (next..end).map(move |i| (pairs.pair)(i)[k]);
            stacked_as_columns(part(0), together, x.cols, |columns| {
                stacked(part(1), together, g.cols, |g| multiply(columns, Packable::once(g), beta, None, to));
            });
        }
        (next, beta) = (end, T::ONE);
    }
}

/// `to = xᵀ·g + beta·to` of a transposed view, which is copied: the kernel would transpose it itself, element by element.
fn multiply_transpose<T: Gemm>(xt: Matrix<'_, T>, g: Packable<'_, T>, mut beta: T, _: Option<&[T]>, to: &mut [T]) {
    for first in (0..xt.cols.max(1)).step_by(ROWS_AT_ONCE) {
        let rows = ROWS_AT_ONCE.min(xt.cols - first);
        let x = xt.transposed().row_block(first, rows);
        stacked_as_columns(std::iter::once(x), rows, x.cols, |columns| {
            multiply(columns, g.row_block(first, rows), beta, None, to);
        });
        beta = T::ONE;
    }
}

/// Calls `f` with the rows of all parts, each below the one before.
fn stacked<'a, T: Gemm>(
    parts: impl Iterator<Item = Matrix<'a, T>>,
    rows: usize,
    cols: usize,
    f: impl FnOnce(Matrix<'_, T>),
) {
    Buffer::filled(rows * cols, |all| {
        let mut rest = &mut *all;
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.rows * cols);
            part.copy_to(here);
            rest = behind;
        }
        f(Matrix::row_major(all, rows, cols));
    });
}

/// [`stacked`], and transposed.
fn stacked_as_columns<'a, T: Gemm>(
    parts: impl Iterator<Item = Matrix<'a, T>>,
    rows: usize,
    cols: usize,
    f: impl FnOnce(Matrix<'_, T>),
) {
    Buffer::filled(cols * rows, |all| {
        let mut first = 0;
        for part in parts {
            transpose(part, all.get_mut(first..).unwrap_or_default(), rows);
            first += part.rows;
        }
        f(Matrix::row_major(all, cols, rows));
    });
}
