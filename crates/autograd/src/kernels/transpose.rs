//! A copy with rows and columns swapped.

use crate::matrix::Matrix;

/// Rows and columns of a tile, which is transposed in registers.
const TILE: usize = 4;

/// Rows that are read together: their elements of one column fill a cache line, and their own cache lines stay in the
/// cache until all elements have been read. With more rows at a stride that is a power of two, as is common, they would
/// be evicted.
const STRIP: usize = 16;

/// `to[col · stride + row] = from[row, col]`.
///
/// # Panics
/// If `stride` is less than the number of rows, or `to` ends before the last of them.
pub(crate) fn transpose<T: Copy>(from: Matrix<'_, T>, to: &mut [T], stride: usize) {
    let (Some(last_row), Some(last_col)) = (from.rows.checked_sub(1), from.cols.checked_sub(1)) else { return };
    assert!(last_row < stride && last_col * stride + last_row < to.len(), "the transpose must lie within its buffer");
    let tiled = if from.col_stride == 1 { from.cols / TILE * TILE } else { 0 };
    for first in (0..from.rows).step_by(STRIP) {
        let end = from.rows.min(first + STRIP);
        let full = first + (end - first) / TILE * TILE;
        for col in (0..tiled).step_by(TILE) {
            for row in (first..full).step_by(TILE) {
                // SAFETY: the tile lies within the matrix, which lies within its buffer (`Matrix::new`), and its
                // columns are adjacent; its transpose lies within `to`, as was checked above.
                unsafe {
                    let corner = from.data.as_ptr().add(row * from.row_stride + col);
                    tile(corner, from.row_stride, to.as_mut_ptr().add(col * stride + row), stride);
                }
            }
        }
        each(from, [first..full, tiled..from.cols], to, stride);
        each(from, [full..end, 0..from.cols], to, stride);
    }
}

/// Four elements of each of four rows of `from`, to each of four rows of `to`. Bounds checks and scalar moves took
/// three times as long.
///
/// # Safety
/// Four elements can be read and written at the beginning of each of the rows.
#[inline(always)]
unsafe fn tile<T: Copy>(from: *const T, from_stride: usize, to: *mut T, stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if size_of::<T>() == 4 {
        use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
        // SAFETY: the caller promises it; a move between registers changes no bit, whatever the four bytes mean.
        unsafe {
            let row = |k: usize| _mm_loadu_ps(from.add(k * from_stride).cast());
            let [mut a, mut b, mut c, mut d] = std::array::from_fn(row);
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            [a, b, c, d].into_iter().enumerate().for_each(|(k, row)| _mm_storeu_ps(to.add(k * stride).cast(), row));
        }
        return;
    }
    for row in 0..TILE {
        for col in 0..TILE {
            // SAFETY: the caller promises it.
            unsafe { *to.add(col * stride + row) = *from.add(row * from_stride + col) };
        }
    }
}

fn each<T: Copy>(from: Matrix<'_, T>, [rows, cols]: [std::ops::Range<usize>; 2], to: &mut [T], stride: usize) {
    for row in rows {
        for col in cols.clone() {
            to[col * stride + row] = from.data[row * from.row_stride + col * from.col_stride];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_transposed<T: Copy + Default + PartialEq>(data: &[T]) {
        for (rows, cols) in [(0, 3), (3, 0), (1, 1), (1, 7), (7, 1), (4, 4), (16, 8), (33, 7), (19, 21)] {
            for (row_stride, col_stride) in [(cols, 1), (cols + 3, 1), (1, rows), (0, 1), (2, 100)] {
                let from = Matrix::new(data, [rows, cols], [row_stride, col_stride]);
                let stride = rows + 2;
                let mut to = vec![T::default(); cols * stride];
                transpose(from, &mut to, stride);
                for (place, x) in to.into_iter().enumerate() {
                    let (col, row) = (place / stride, place % stride);
                    let expected = if row < rows { data[row * row_stride + col * col_stride] } else { T::default() };
                    assert!(x == expected, "[{rows}, {cols}], strides {row_stride} and {col_stride}, at {row}, {col}");
                }
            }
        }
    }

    #[test]
    fn every_number_changes_places_and_nothing_else_is_touched() {
        assert_transposed(&(1..4000).map(|i| i as f32).collect::<Vec<_>>());
        assert_transposed(&(1..4000).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    #[should_panic(expected = "within its buffer")]
    fn a_buffer_that_is_too_small_is_refused() {
        transpose(Matrix::new(&[1.0; 20], [4, 5], [5, 1]), &mut [0.0; 19], 4);
    }
}
