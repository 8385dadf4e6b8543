//! Matrix products: single, batched, and the sum of products that is a weight's cotangent.

use std::borrow::Cow;

use super::Tensor;
use crate::Scalar;
pub(crate) use crate::kernels::rows_at_once;
use crate::kernels::runs::for_each_run;
use crate::matrix::{AsMatrix, Matrix, Operand};
use crate::shape::{self, broadcast_or_panic, count_or_panic, element_count};

/// Products of matrices.
impl<T: Scalar> Tensor<T> {
    /// The matrix product of two matrices, `[m, k]·[k, n] → [m, n]`.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let a = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]);
    /// let b = Tensor::from_vec(vec![1.0, -1.0], &[2, 1]);
    /// assert_eq!(a.matmul(&b).to_vec(), [-1.0, -1.0]);
    /// ```
    ///
    /// # Panics
    /// If they are not matrices of matching shapes.
    #[track_caller]
    pub fn matmul(&self, other: &Self) -> Self {
        match (self.shape(), other.shape()) {
            (&[m, k], &[l, n]) if k == l => {
                count_or_panic("matmul", &[m, n]);
                Self::build(&[m, n], |to| self.matmul_into(other, T::ZERO, None, to))
            }
            (a, b) => shape::mismatch("matmul", &[a, b], "[m, k] and [k, n]"),
        }
    }

    /// The matrix product with the transpose of `other`, `[m, k]·[n, k]ᵀ → [m, n]`.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let a = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]);
    /// assert_eq!(a.matmul_transposed(&a), a.matmul(&a.transpose()));
    /// ```
    ///
    /// # Panics
    /// If they are not matrices of matching shapes.
    #[track_caller]
    pub fn matmul_transposed(&self, other: &Self) -> Self {
        match (self.shape(), other.shape()) {
            (&[m, k], &[n, l]) if k == l => {
                count_or_panic("matmul_transposed", &[m, n]);
                let right = other.operand().transposed();
                Self::build(&[m, n], |to| T::product(self.operand(), right, T::ZERO, None, to))
            }
            (a, b) => shape::mismatch("matmul_transposed", &[a, b], "[m, k] and [n, k]"),
        }
    }

    /// Products of the matrices in the last two axes, leading axes broadcast.
    pub(crate) fn batched_matmul(&self, other: &Self) -> Self {
        let ([la @ .., m, k], [lb @ .., _, n]) = (self.shape(), other.shape()) else {
            unreachable!("shapes are checked before");
        };
        let lead = broadcast_or_panic("matmul", la, lb);
        let full = |x: &Self, rows, cols| {
            let mut shape = lead.clone();
            shape.extend([rows, cols]);
            x.broadcast_to(&shape)
        };
        let (a, b) = (full(self, *m, *k), full(other, *k, *n));
        let mut shape = lead.clone();
        shape.extend([*m, *n]);
        Self::build(&shape, |to| {
            if to.is_empty() {
                return;
            }
            let mut products = to.chunks_exact_mut(m * n);
            let (a_strides, b_strides) = (a.strides(), b.strides());
            let strides = [&a_strides[..lead.len()], &b_strides[..lead.len()]];
            for_each_run(&lead, strides, |[oa, ob], [sa, sb], len| {
                for (i, to) in products.by_ref().take(len).enumerate() {
                    T::single_product(a.matrix_at(oa + i * sa), b.matrix_at(ob + i * sb), to);
                }
            });
        })
    }

    /// `to = self·other + beta·to + bias`, the bias a row.
    pub(crate) fn matmul_into(&self, other: &Self, beta: T, bias: Option<&Self>, to: &mut [T]) {
        T::product(self.operand(), other.operand(), beta, bias.map(Self::row_operand), to);
    }

    /// This tensor `[…, n]` seen as `[rows, n]`.
    #[inline]
    pub(crate) fn into_rows(self) -> Self {
        match self.shape() {
            [_, _] => self,
            [leading @ .., n] => self.reshape(&[element_count(leading), *n]),
            [] => self.reshape(&[1, 1]),
        }
    }

    /// [`into_rows`](Tensor::into_rows) of a borrowed tensor, which is not copied if it is a matrix.
    #[inline]
    pub(crate) fn as_rows(&self) -> Cow<'_, Self> {
        if self.rank() == 2 { Cow::Borrowed(self) } else { Cow::Owned(self.clone().into_rows()) }
    }

    fn operand(&self) -> Operand<'_, T> {
        Operand { matrix: self.matrix(), buffer: &self.buffer, offset: self.offset }
    }

    /// A vector as a matrix of one row.
    fn row_operand(&self) -> Operand<'_, T> {
        let data = self.buffer.data().get(self.offset..).unwrap_or_default();
        let stride = if self.is_contiguous() { 1 } else { self.strides()[0] };
        let matrix = Matrix::new(data, [1, self.len()], [self.len(), stride]);
        Operand { matrix, buffer: &self.buffer, offset: self.offset }
    }

    /// The matrix of the last two axes that starts `offset` elements after this tensor's first.
    fn matrix_at(&self, offset: usize) -> Matrix<'_, T> {
        let (row, col) = (self.rank() - 2, self.rank() - 1);
        let data = self.buffer.data().get(self.offset + offset..).unwrap_or_default();
        let (rows, cols) = (self.shape()[row], self.shape()[col]);
        let strides = if self.is_contiguous() { [cols, 1] } else { [self.strides()[row], self.strides()[col]] };
        Matrix::new(data, [rows, cols], strides)
    }
}

impl<T: Scalar> AsMatrix<T> for Tensor<T> {
    fn rows(&self) -> usize {
        self.shape()[0]
    }
    fn matrix(&self) -> Matrix<'_, T> {
        self.matrix_at(0)
    }
}

/// `to = Σ xᵀ·g + beta·to` over pairs of matrices (x, g), at least one.
pub(crate) fn sum_of_products<T: Scalar>(pairs: &[(Tensor<T>, Tensor<T>)], beta: T, to: &mut [T]) {
    T::sum_of_products(pairs, beta, to);
}

#[cfg(test)]
mod tests {
    use rayon::ThreadPoolBuilder;

    use super::*;

    /// All products of a pass over [m, k] and [k, n], as bits: packed, with a bias, accumulated, and transposed.
    fn products(m: usize, k: usize, n: usize) -> Vec<u32> {
        let sample = |shape: &[usize], phase: f32| Tensor::from_fn(shape, |i| (i as f32 * 0.7 + phase).sin());
        let (a, b, g) = (sample(&[m, k], 0.0), sample(&[k, n], 1.0), sample(&[m, n], 2.0));
        let bias = sample(&[n], 3.0);
        let mut c = sample(&[m, n], 4.0);
        a.matmul_into(&b, 0.0, Some(&bias), c.as_mut_slice());
        a.matmul_into(&b, 1.0, None, c.as_mut_slice());
        let mut w = sample(&[k, n], 5.0);
        sum_of_products(&[(a, g.clone())], 1.0, w.as_mut_slice());
        [c, w, g.matmul_transposed(&b)].iter().flat_map(|x| x.to_vec()).map(f32::to_bits).collect()
    }

    /// a·b of [m, k] and [k, n], as bits: of operands that are contiguous or transposed, of matrices and of a batch of
    /// three.
    fn products_of_views(m: usize, k: usize, n: usize) -> Vec<u32> {
        let sample = |shape: &[usize], phase: f32| Tensor::from_fn(shape, |i| (i as f32 * 0.7 + phase).sin());
        let four = |batch: &[usize], product: fn(&Tensor<f32>, &Tensor<f32>) -> Tensor<f32>| {
            let of = |rows: usize, cols: usize, phase| sample(&[batch, &[rows, cols]].concat(), phase);
            let (a, b, at, bt) = (of(m, k, 0.0), of(k, n, 1.0), of(k, m, 2.0).transpose(), of(n, k, 3.0).transpose());
            [product(&a, &b), product(&at, &b), product(&a, &bt), product(&at, &bt)]
        };
        let found = [four(&[], Tensor::matmul), four(&[3], Tensor::batched_matmul)].concat();
        found.iter().flat_map(|x| x.to_vec()).map(f32::to_bits).collect()
    }

    #[test]
    fn a_product_with_a_transpose_is_that_with_the_transposed_view() {
        let sample = |shape: &[usize]| Tensor::from_fn(shape, |i| (i as f32 * 0.7).sin());
        for (m, k, n) in [(0, 3, 2), (3, 0, 2), (1, 33, 7), (7, 33, 70), (33, 300, 129)] {
            let (a, b) = (sample(&[m, k]), sample(&[n, k]));
            assert_eq!(a.matmul_transposed(&b).to_vec(), a.matmul(&b.transpose()).to_vec(), "[{m}, {k}]·[{n}, {k}]ᵀ");
        }
    }

    #[test]
    fn a_sum_of_products_is_that_of_the_rows_one_below_the_other() {
        let sample = |shape: &[usize], phase: f32| Tensor::from_fn(shape, |i| (i as f32 * 0.7 + phase).sin());
        for rows in [&[0][..], &[1], &[7, 1, 33], &[33; 9], &[64, 0, 5, 5, 600, 2], &[257], &[512, 300]] {
            for (m, n) in [(1, 7), (7, 1), (33, 70), (0, 3), (3, 0)] {
                let total = rows.iter().sum();
                let (x, g) = (sample(&[total, m], 0.0), sample(&[total, n], 1.0));
                let starts = rows.iter().scan(0, |next, rows| Some(std::mem::replace(next, *next + rows)));
                let pairs = starts.zip(rows).map(|(start, rows)| start..start + rows);
                let pairs: Vec<_> = pairs.map(|range| (x.part(0, range.clone()), g.part(0, range))).collect();
                for beta in [0.0, 1.0] {
                    let mut sum = sample(&[m, n], 2.0);
                    let before = sum.map(|x| beta * x);
                    sum_of_products(&pairs, beta, sum.as_mut_slice());
                    let expected = x.transpose().matmul(&g).zip(&before, |a, b| a + b);
                    let close = sum.to_vec().iter().zip(expected.to_vec()).all(|(a, b)| (a - b).abs() <= 1e-4);
                    assert!(close, "{rows:?} rows of [{m}] and [{n}], beta {beta}");
                    if let ([_], 0.0) = (rows, beta) {
                        assert_eq!(
                            sum.to_vec(),
                            expected.to_vec(),
                            "{rows:?} rows at once have the bits of the kernel's own blocks"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_threads_of_rayon_change_no_bit() {
        let on = |threads, f: &(dyn Fn() -> Vec<u32> + Sync)| {
            ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started").install(f)
        };
        // One row, one block, several blocks of rows and columns, more depth than the kernel takes at once, and a product
        // that is worth sharing.
        for (m, k, n) in [(1, 33, 300), (7, 1, 300), (3, 64, 256), (65, 33, 129), (600, 300, 7), (33, 513, 520)]
            .into_iter()
            .chain([(1, 0, 129), (65, 0, 300), (0, 3, 129), (31, 65, 8), (8, 129, 31), (15, 321, 2)])
        // of no depth, of no row, and with gradients of the weight that have a block of one row
        {
            let alone = on(1, &|| products(m, k, n));
            let shared = on(3, &|| products(m, k, n));
            let other = alone.iter().zip(&shared).position(|(x, y)| x != y);
            assert_eq!(other, None, "[{m}, {k}]·[{k}, {n}]: the first number that differs");
        }
        // Operands too small to be packed, where a block of one row would be summed in another order.
        for m in [65, 129, 321] {
            for (k, n) in [(31, 8), (8, 31), (15, 17), (127, 2), (250, 1)] {
                let alone = on(1, &|| products_of_views(m, k, n));
                let shared = on(3, &|| products_of_views(m, k, n));
                let differ = alone.iter().zip(&shared).filter(|(x, y)| x != y).count();
                assert_eq!(differ, 0, "[{m}, {k}]·[{k}, {n}]: numbers that differ");
            }
        }
    }
}
