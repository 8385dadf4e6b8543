//! The product of a few rows by a panel of columns, whose sums stay in registers.
//!
//! A panel is two vectors wide. A tile takes as many rows as there are registers for their sums: fourteen with the 32 registers of
//! AVX-512, six with sixteen. Each step of the depth loads two vectors of the right-hand matrix and multiplies them by one number of
//! each row, so a tile of few rows waits for its own sums; it takes several panels at once instead.
//!
//! An element is Σ a·b over the depth, in order, whatever tile it lies in: its bits do not depend on the other rows and columns.

use rten_simd::Isa;
use rten_simd::ops::{BitOps, NumOps};

/// Vectors of a panel.
pub(super) const VECTORS: usize = 2;

/// How many rows of a panel ahead of the multiplications it is fetched into the cache.
const AHEAD: usize = 12;

/// The most rows of a tile with vectors of `lanes` numbers.
pub(super) const fn most_rows(lanes: usize) -> usize {
    let registers = if lanes == 16 || cfg!(target_arch = "aarch64") { 32 } else { 16 };
    // One number of a row is multiplied from memory, or from the last register.
    (registers - VECTORS - 1) / VECTORS
}

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
pub(super) struct Rows {
    pub(super) at: *const f32,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
    pub(super) rows: usize,
}

/// Panels of the right-hand matrix: row l of panel p begins at `at[p · stride + l · row_stride]`.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    pub(super) at: *const f32,
    pub(super) row_stride: usize,
    pub(super) stride: usize,
}

/// Where the sums go, row by row: `c = sums + beta·c + bias`. Of the last panel, `width` columns in all are written.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) at: *mut f32,
    pub(super) row_stride: usize,
    pub(super) width: usize,
    pub(super) beta: f32,
    /// As wide; null if there is none.
    pub(super) bias: *const f32,
}

/// The product of `rows` by `panels` panels, over `depth`.
///
/// # Safety
/// All rows and panels can be read over the depth, `width` columns of each row of the output can be read and written, and nobody
/// else does meanwhile. `rows` has 1 to [`most_rows`] rows, and `panels` is 1 or [`panels_at_once`] of them.
#[inline(always)]
pub(super) unsafe fn multiply<I: Isa>(isa: I, a: Rows, b: Panels, panels: usize, depth: usize, c: Output) {
    macro_rules! heights {
        ($($rows:literal)*) => {
            match (a.rows, panels) {
                (1, 4) => tile::<I, 1, { 4 * VECTORS }>(isa, a, b, depth, c),
                (2, 2) => tile::<I, 2, { 2 * VECTORS }>(isa, a, b, depth, c),
                (3, 2) => tile::<I, 3, { 2 * VECTORS }>(isa, a, b, depth, c),
                $(($rows, 1) => tile::<I, $rows, VECTORS>(isa, a, b, depth, c),)*
                (rows, _) => unreachable!("a tile of {rows} rows and {panels} panels"),
            }
        };
    }
    // SAFETY: the caller's promise is that of `tile`.
    unsafe { heights!(1 2 3 4 5 6 7 8 9 10 11 12 13 14) }
}

/// The product of `ROWS` rows by `N` vectors of columns.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn tile<I: Isa, const ROWS: usize, const N: usize>(isa: I, a: Rows, b: Panels, depth: usize, c: Output) {
    let ops = isa.f32();
    let lanes = ops.len();
    let mut sums = [[ops.zero(); N]; ROWS];
    let (mut left, mut right, mut step) = (a.at, b.at, 0);
    // Loops without iterators: without much optimisation, as in tests, iterators are calls.
    while step < depth {
        // SAFETY: the caller promises that the rows and panels can be read over the depth; the pointers pass their end only
        // after the last step, and are not read there.
        unsafe {
            let mut vectors = [ops.zero(); N];
            let mut v = 0;
            while v < N {
                let at = right.wrapping_add(v / VECTORS * b.stride + v % VECTORS * lanes);
                // A tile of few rows is read as fast as the processor fetches ahead by itself.
                if N == VECTORS {
                    ops.prefetch(at.wrapping_add(AHEAD * b.row_stride));
                }
                vectors[v] = ops.load_ptr(at);
                v += 1;
            }
            let mut i = 0;
            while i < ROWS {
                let x = ops.splat(*left.add(i * a.row_stride));
                let mut v = 0;
                while v < N {
                    sums[i][v] = ops.mul_add(x, vectors[v], sums[i][v]);
                    v += 1;
                }
                i += 1;
            }
        }
        (left, right, step) = (left.wrapping_add(a.col_stride), right.wrapping_add(b.row_stride), step + 1);
    }
    let (mut i, whole) = (0, c.width >= N * lanes);
    while i < ROWS {
        let mut v = 0;
        while v < N {
            let at = c.at.wrapping_add(i * c.row_stride + v * lanes);
            let bias = c.bias.wrapping_add(v * lanes);
            let mut sum = sums[i][v];
            // SAFETY: the caller promises that `width` columns of each row can be read and written; the mask keeps to those.
            unsafe {
                if whole {
                    if c.beta != 0.0 {
                        sum = ops.add(ops.mul(ops.load_ptr(at), ops.splat(c.beta)), sum);
                    }
                    if !c.bias.is_null() {
                        sum = ops.add(sum, ops.load_ptr(bias));
                    }
                    ops.store_ptr(sum, at);
                } else {
                    let mask = ops.first_n_mask(c.width.saturating_sub(v * lanes).min(lanes));
                    if c.beta != 0.0 {
                        sum = ops.add(ops.mul(ops.load_ptr_mask(at, mask), ops.splat(c.beta)), sum);
                    }
                    if !c.bias.is_null() {
                        sum = ops.add(sum, ops.load_ptr_mask(bias, mask));
                    }
                    ops.store_ptr_mask(sum, at, mask);
                }
            }
            v += 1;
        }
        i += 1;
    }
}
