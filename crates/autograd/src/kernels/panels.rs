//! Right-hand matrices packed for the kernel: panels of columns, one row after the other, in blocks of depth.

use std::sync::LazyLock;

use rten_simd::ops::BitOps;
use rten_simd::{Isa, SimdOp};

use super::product::DEPTH_AT_ONCE;
use super::tile::{Panels, VECTORS};
use crate::Scalar;
use crate::matrix::Matrix;
use crate::storage::Buffer;

/// Bytes in a vector of this processor.
pub(super) fn vector_bytes() -> usize {
    struct Bytes;
    impl SimdOp for Bytes {
        type Output = usize;
        fn eval<I: Isa>(self, isa: I) -> usize {
            size_of::<f32>() * isa.f32().len()
        }
    }
    static BYTES: LazyLock<usize> = LazyLock::new(|| Bytes.dispatch());
    *BYTES
}

/// A matrix `[k, n]`, packed: for each [`DEPTH_AT_ONCE`] rows all panels, each row by row. The last panel is padded with 0.
pub(crate) struct Packed<T: Scalar> {
    data: Buffer<T>,
    cols: usize,
    /// Columns of a panel.
    width: usize,
}

/// Columns of a panel with vectors of so many bytes.
pub(super) const fn panel_width<T>(vector_bytes: usize) -> usize {
    VECTORS * (vector_bytes / size_of::<T>())
}

impl<T: Scalar> Packed<T> {
    /// Packs `b` for vectors of so many bytes.
    pub(super) fn new(b: Matrix<'_, T>, vector_bytes: usize) -> Self {
        let width = panel_width::<T>(vector_bytes);
        let data = Buffer::filled(b.rows * b.cols.next_multiple_of(width), |mut rest| {
            for first in (0..b.rows).step_by(DEPTH_AT_ONCE) {
                let block = b.row_block(first, DEPTH_AT_ONCE.min(b.rows - first));
                for col in (0..b.cols).step_by(width) {
                    let (panel, after) = rest.split_at_mut(block.rows * width);
                    pack_panel(block.col_block(col, width.min(b.cols - col)), panel, width);
                    rest = after;
                }
            }
        });
        Packed { data, cols: b.cols, width }
    }

    /// Packs matrices of `cols` columns, one below the other, of `rows` rows in all: multiplied at once.
    pub(super) fn stacked<'a>(
        parts: impl Iterator<Item = Matrix<'a, T>>,
        [rows, cols]: [usize; 2],
        vector_bytes: usize,
    ) -> Self {
        // The tile reads packed rows without looking at their number.
        assert!(rows <= DEPTH_AT_ONCE, "stacked rows are multiplied at once");
        let width = panel_width::<T>(vector_bytes);
        let data = Buffer::filled(rows * cols.next_multiple_of(width), |to| {
            let mut first = 0;
            for part in parts {
                for row in 0..part.rows {
                    let panels =
                        to.chunks_exact_mut(rows * width).map(|panel| &mut panel[(first + row) * width..][..width]);
                    panels.enumerate().for_each(|(p, panel)| pack_row(part, row, p * width, panel));
                }
                first += part.rows;
            }
        });
        Packed { data, cols, width }
    }

    /// The panels from column `col` on in the block of `depth` rows that begins at row `first`.
    pub(super) fn panels(&self, first: usize, depth: usize, col: usize) -> Panels<T> {
        let width = self.width;
        let at = first * self.cols.next_multiple_of(width) + col * depth;
        Panels { at: self.data.data()[at..].as_ptr(), row_stride: width, stride: depth * width }
    }
}

/// Copies the columns of `b`, at most `width`, to rows of `width` numbers, the rest of which is 0.
pub(super) fn pack_panel<T: Scalar>(b: Matrix<'_, T>, to: &mut [T], width: usize) {
    if b.col_stride != 1 && b.row_stride == 1 && b.cols == width {
        return super::transpose::transpose(b.transposed(), to, width);
    }
    for (row, to) in to.chunks_exact_mut(width).enumerate() {
        pack_row(b, row, 0, to);
    }
}

/// Copies a row of `b` from column `col` on to `to`, as far as it goes; the rest is 0.
#[inline(always)]
fn pack_row<T: Scalar>(b: Matrix<'_, T>, row: usize, col: usize, to: &mut [T]) {
    let from = &b.data[row * b.row_stride + col * b.col_stride..];
    let (columns, padding) = to.split_at_mut(to.len().min(b.cols - col));
    match b.col_stride {
        1 => copy_short(&from[..columns.len()], columns),
        stride => columns.iter_mut().enumerate().for_each(|(j, to)| *to = from[j * stride]),
    }
    padding.fill(T::ZERO);
}

/// Copies a row of a panel. A call of `memcpy` takes longer than the copy.
#[inline(always)]
fn copy_short<T: Scalar>(from: &[T], to: &mut [T]) {
    let ((from, last), (to, last_to)) = (from.as_chunks::<8>(), to.as_chunks_mut::<8>());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    last_to.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_has_the_numbers_of_its_columns_and_zeros_behind_them() {
        const WIDTH: usize = 16;
        let data: Vec<_> = (1..400).map(|i| i as f32).collect();
        for (rows, cols) in [(1, 1), (3, 7), (5, 8), (20, 15), (9, 16), (16, 16)] {
            for [row_stride, col_stride] in [[cols, 1], [1, rows], [cols + 2, 1], [0, 1], [1, 0], [2, 20]] {
                let b = Matrix::new(&data, [rows, cols], [row_stride, col_stride]);
                // A buffer that is used again has any numbers.
                let mut panel = vec![f32::NAN; rows * WIDTH];
                pack_panel(b, &mut panel, WIDTH);
                let number = |i, j| if j < cols { data[i * row_stride + j * col_stride] } else { 0.0 };
                let expected: Vec<_> = (0..rows * WIDTH).map(|at| number(at / WIDTH, at % WIDTH)).collect();
                assert_eq!(panel, expected, "[{rows}, {cols}], strides {row_stride} and {col_stride}");
            }
        }
    }

    #[test]
    fn matrices_one_below_the_other_are_packed_as_one() {
        let data: Vec<_> = (1..2000).map(|i| i as f32).collect();
        for cols in [5, 16, 40] {
            for [row_stride, col_stride] in [[cols, 1], [1, 7], [cols + 2, 1], [2, 20], [0, 1]] {
                let part = |rows| Matrix::new(&data[100 * rows..], [rows, cols], [row_stride, col_stride]);
                let parts = [3, 1, 6].map(part);
                let numbers = |part: Matrix<'_, f32>| {
                    let mut to = vec![0.0; part.rows * cols];
                    part.copy_to(&mut to);
                    to
                };
                let whole: Vec<_> = parts.into_iter().flat_map(numbers).collect();
                for vector_bytes in [16, 32, 64] {
                    let width = panel_width::<f32>(vector_bytes);
                    let len = 10 * cols.next_multiple_of(width);
                    // The buffer that is used again has any numbers.
                    drop(Buffer::<f32>::filled(len, |to| to.fill(f32::NAN)));
                    let packed = Packed::stacked(parts.into_iter(), [10, cols], vector_bytes);
                    let number = |row, col| if col < cols { whole[row * cols + col] } else { 0.0 };
                    let expected: Vec<_> =
                        (0..len).map(|at| number(at / width % 10, at / (10 * width) * width + at % width)).collect();
                    let case = format!(
                        "{cols} columns, strides {row_stride} and {col_stride}, vectors of {vector_bytes} bytes"
                    );
                    assert_eq!(packed.data.data()[..len], expected, "{case}");
                }
            }
        }
    }
}
