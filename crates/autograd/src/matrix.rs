//! Strided views of matrices, and operands of products together with the buffer that holds them.

use crate::storage::{Buffer, Pooled};

/// A strided matrix: element (i, j) is `data[i · row_stride + j · col_stride]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<'a, T: Copy> Matrix<'a, T> {
    pub(crate) fn new(data: &'a [T], shape: [usize; 2], strides: [usize; 2]) -> Self {
        let [rows, cols] = shape;
        let [row_stride, col_stride] = strides;
        if rows > 0 && cols > 0 {
            let last = (rows - 1) * row_stride + (cols - 1) * col_stride;
            assert!(last < data.len(), "a matrix must lie within its buffer");
        }
        Matrix { data, rows, cols, row_stride, col_stride }
    }

    /// A contiguous matrix in row-major order.
    pub(crate) fn row_major(data: &'a [T], rows: usize, cols: usize) -> Self {
        Matrix::new(data, [rows, cols], [cols, 1])
    }

    /// Rows `start..start + rows`.
    pub(crate) fn row_block(self, start: usize, rows: usize) -> Self {
        Matrix::new(&self.data[start * self.row_stride..], [rows, self.cols], [self.row_stride, self.col_stride])
    }

    /// Columns `start..start + cols`.
    pub(crate) fn col_block(self, start: usize, cols: usize) -> Self {
        Matrix::new(&self.data[start * self.col_stride..], [self.rows, cols], [self.row_stride, self.col_stride])
    }

    /// The elements, if they are contiguous in row-major order.
    #[inline]
    pub(crate) fn as_slice(self) -> Option<&'a [T]> {
        let rows_follow = self.rows <= 1 || self.row_stride == self.cols;
        let contiguous = rows_follow && (self.cols <= 1 || self.col_stride == 1);
        contiguous.then(|| &self.data[..self.rows * self.cols])
    }

    /// Copies the elements in row-major order to `to`, which has the same length.
    pub(crate) fn copy_to(self, to: &mut [T]) {
        if let Some(elements) = self.as_slice() {
            return to.copy_from_slice(elements);
        }
        for (i, to) in to.chunks_exact_mut(self.cols.max(1)).enumerate() {
            let from = &self.data[i * self.row_stride..];
            match self.col_stride {
                1 => to.copy_from_slice(&from[..self.cols]),
                stride => to.iter_mut().enumerate().for_each(|(j, to)| *to = from[j * stride]),
            }
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Matrix { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// A type that can be viewed as a matrix.
pub trait AsMatrix<T> {
    /// The number of rows.
    fn rows(&self) -> usize;
    /// The matrix.
    fn matrix(&self) -> Matrix<'_, T>;
}

/// A matrix that starts at `offset` of a buffer. Data derived from the matrix is cached with the buffer.
#[derive(Clone, Copy)]
pub struct Operand<'a, T: Pooled> {
    pub(crate) matrix: Matrix<'a, T>,
    pub(crate) buffer: &'a Buffer<T>,
    pub(crate) offset: usize,
}

impl<T: Pooled> Operand<'_, T> {
    pub(crate) fn transposed(self) -> Self {
        Operand { matrix: self.matrix.transposed(), ..self }
    }
}
