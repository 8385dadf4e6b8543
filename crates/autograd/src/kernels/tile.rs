//! The product of a few rows by a panel of columns, whose sums stay in registers.
//!
//! A panel is two vectors wide. A tile takes as many rows as there are registers for their sums: fourteen with the 32 registers of
//! AVX-512, six with sixteen. Each step of the depth loads two vectors of the right-hand matrix and multiplies them by one number of
//! each row, so a tile of few rows waits for its own sums; it takes several panels at once instead.
//!
//! An element is Σ a·b over the depth, in blocks and in order, whatever tile it lies in: its bits do not depend on the other rows and
//! columns.

use std::mem::MaybeUninit;

use super::product::DEPTH_BLOCK;
use super::vectors::Vectors;
use crate::Scalar;

/// Vectors of a panel.
pub(super) const VECTORS: usize = 2;

/// How many rows of a panel ahead of the multiplications it is fetched into the cache.
const AHEAD: usize = 12;

/// The most rows of a tile with vectors of so many bytes.
pub(super) const fn most_rows(bytes: usize) -> usize {
    let registers = if bytes == 64 || cfg!(target_arch = "aarch64") { 32 } else { 16 };
    // One number of a row is multiplied from memory, or from the last register.
    (registers - VECTORS - 1) / VECTORS
}

/// The most sums of a tile.
const MOST_SUMS: usize = most_rows(64) * VECTORS;

/// How many panels a tile of so many rows takes at once: enough sums to keep the multipliers busy.
pub(super) const fn panels_at_once(rows: usize) -> usize {
    match rows {
        1 => 4,
        2 | 3 => 2,
        _ => 1,
    }
}

/// Rows of the left-hand matrix: element (i, l) is `at[i · row_stride + l · col_stride]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<T> {
    pub(super) at: *const T,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
    pub(super) rows: usize,
}

/// Panels of the right-hand matrix: row l of panel p begins at `at[p · stride + l · row_stride]`.
#[derive(Clone, Copy)]
pub(super) struct Panels<T> {
    pub(super) at: *const T,
    pub(super) row_stride: usize,
    pub(super) stride: usize,
}

/// Where the sums go, row by row: `c = sums + beta·c + bias`. Of the last panel, `width` columns in all are written.
#[derive(Clone, Copy)]
pub(super) struct Output<T> {
    pub(super) at: *mut T,
    pub(super) row_stride: usize,
    pub(super) width: usize,
    pub(super) beta: T,
    /// As wide; null if there is none.
    pub(super) bias: *const T,
}

/// The product of `rows` by `panels` panels, over `depth`, in blocks: the elements of the output are in the cache from the second block
/// on.
///
/// # Safety
/// All rows and panels can be read over the depth, `width` columns of each row of the output can be read and written, and nobody
/// else does meanwhile. `rows` has 1 to [`most_rows`] rows, and `panels` is 1 or [`panels_at_once`] of them.
#[inline(always)]
pub(super) unsafe fn multiply<V: Vectors>(
    with: V,
    mut a: Rows<V::Number>,
    mut b: Panels<V::Number>,
    panels: usize,
    depth: usize,
    mut c: Output<V::Number>,
) {
    let mut sums = [MaybeUninit::<V::Vector>::uninit(); MOST_SUMS];
    let sums = sums.as_mut_ptr().cast();
    let mut rest = depth;
    while rest > 0 {
        let block = if rest < DEPTH_BLOCK { rest } else { DEPTH_BLOCK };
        macro_rules! sum_of_heights {
            ($($rows:literal)*) => {
                match a.rows {
                    $($rows => sum::<V, $rows, VECTORS>(with, a, b, block, sums),)*
                    rows => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        // SAFETY: the caller's promise is that of `few`, of `sum`, whose sums fit, and of `write`, which reads as many. The pointers pass
        // the end only after the last block.
        unsafe {
            match (a.rows, panels) {
                (1, 1) => few::<V, 1, VECTORS>(with, a, b, block, c),
                (1, 4) => few::<V, 1, { 4 * VECTORS }>(with, a, b, block, c),
                (2, 2) => few::<V, 2, { 2 * VECTORS }>(with, a, b, block, c),
                (3, 2) => few::<V, 3, { 2 * VECTORS }>(with, a, b, block, c),
                _ => {
                    sum_of_heights!(2 3 4 5 6 7 8 9 10 11 12 13 14);
                    write::<V, VECTORS>(with, sums, a.rows, c);
                }
            }
        }
        a.at = a.at.wrapping_add(block * a.col_stride);
        b.at = b.at.wrapping_add(block * b.row_stride);
        (c.beta, c.bias, rest) = (V::Number::ONE, std::ptr::null(), rest - block);
    }
}

/// The product of `ROWS` rows by `N` vectors of columns: few rows, whose sums go from registers to the output.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn few<V: Vectors, const ROWS: usize, const N: usize>(
    with: V,
    a: Rows<V::Number>,
    b: Panels<V::Number>,
    depth: usize,
    c: Output<V::Number>,
) {
    let mut sums = [[MaybeUninit::<V::Vector>::uninit(); N]; ROWS];
    let sums = sums.as_mut_ptr().cast();
    // SAFETY: the caller's promise; the sums fit.
    unsafe {
        sum::<V, ROWS, N>(with, a, b, depth, sums);
        write::<V, N>(with, sums, ROWS, c);
    }
}

/// Σ a·b over the depth, for `ROWS` rows and `N` vectors of columns, written to `to` row by row.
///
/// # Safety
/// All rows and panels can be read over the depth, and `ROWS · N` vectors can be written.
#[inline(always)]
unsafe fn sum<V: Vectors, const ROWS: usize, const N: usize>(
    with: V,
    a: Rows<V::Number>,
    b: Panels<V::Number>,
    depth: usize,
    to: *mut V::Vector,
) {
    let zero = with.splat(V::Number::ZERO);
    let mut sums = [[zero; N]; ROWS];
    let (mut left, mut right, mut step) = (a.at, b.at, 0);
    // Loops without iterators: without much optimisation, as in tests, iterators are calls.
    while step < depth {
        // SAFETY: the caller promises that the rows and panels can be read over the depth; the pointers pass their end only
        // after the last step, and are not read there.
        unsafe {
            let mut vectors = [zero; N];
            let mut v = 0;
            while v < N {
                let at = right.wrapping_add(v / VECTORS * b.stride + v % VECTORS * with.len());
                // A tile of few rows is read as fast as the processor fetches ahead by itself.
                if N == VECTORS {
                    with.prefetch(at.wrapping_add(AHEAD * b.row_stride));
                }
                vectors[v] = with.load(at);
                v += 1;
            }
            let mut i = 0;
            while i < ROWS {
                let x = with.splat(*left.add(i * a.row_stride));
                let mut v = 0;
                while v < N {
                    sums[i][v] = with.mul_add(x, vectors[v], sums[i][v]);
                    v += 1;
                }
                i += 1;
            }
        }
        (left, right, step) = (left.wrapping_add(a.col_stride), right.wrapping_add(b.row_stride), step + 1);
    }
    let mut i = 0;
    while i < ROWS {
        let mut v = 0;
        while v < N {
            // SAFETY: the caller promises that so many can be written.
            unsafe { to.add(i * N + v).write(sums[i][v]) };
            v += 1;
        }
        i += 1;
    }
}

/// `c = sums + beta·c + bias`, for `rows` rows of `N` vectors of sums. The same instructions for tiles of all heights: they should stay
/// in the cache together.
///
/// # Safety
/// `width` columns of each row of the output can be read and written, those of the bias read, and `rows · N` sums.
#[inline(always)]
unsafe fn write<V: Vectors, const N: usize>(with: V, sums: *const V::Vector, rows: usize, c: Output<V::Number>) {
    let (lanes, zero) = (with.len(), V::Number::ZERO);
    let beta = with.splat(c.beta);
    let (mut i, mut at, mut sums) = (0, c.at, sums);
    // SAFETY: the caller promises that `width` columns of each row can be read and written; the counts keep to those.
    unsafe {
        if c.width >= N * lanes {
            while i < rows {
                let mut v = 0;
                while v < N {
                    let mut sum = *sums.add(v);
                    if c.beta != zero {
                        sum = with.add(with.mul(with.load(at.add(v * lanes)), beta), sum);
                    }
                    if !c.bias.is_null() {
                        sum = with.add(sum, with.load(c.bias.add(v * lanes)));
                    }
                    with.store(sum, at.add(v * lanes));
                    v += 1;
                }
                (i, at, sums) = (i + 1, at.wrapping_add(c.row_stride), sums.wrapping_add(N));
            }
            return;
        }
        while i < rows {
            let mut v = 0;
            while v * lanes < c.width {
                let count = (c.width - v * lanes).min(lanes);
                let mut sum = *sums.add(v);
                if c.beta != zero {
                    sum = with.add(with.mul(with.load_first(count, at.add(v * lanes)), beta), sum);
                }
                if !c.bias.is_null() {
                    sum = with.add(sum, with.load_first(count, c.bias.add(v * lanes)));
                }
                with.store_first(count, sum, at.add(v * lanes));
                v += 1;
            }
            (i, at, sums) = (i + 1, at.wrapping_add(c.row_stride), sums.wrapping_add(N));
        }
    }
}
