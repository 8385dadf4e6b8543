//! One row times a matrix: the product of a batch of one.
//!
//! The library's kernels are made for several rows. For one row, they either need the matrix packed and read two
//! vectors of it at a time, or write the sums after every eight elements of depth. Here the sums of eight vectors stay
//! in registers.

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp};

use crate::matrix::Matrix;

/// The depth after which the kernel for several rows writes its sums; the same here, so that the bits are the same.
const DEPTH: usize = 256;

/// `c = a·b + beta·c + bias` for a row `a` and a matrix `b` with contiguous rows. The bits are those of the row in a
/// product of several.
pub(super) struct RowTimesMatrix<'a> {
    pub(super) a: &'a [f32],
    pub(super) b: Matrix<'a, f32>,
    pub(super) beta: f32,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) c: &'a mut [f32],
}

impl SimdOp for RowTimesMatrix<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        let (ops, cols) = (isa.f32(), self.c.len());
        let (load, store) = (|xs: &[f32]| ops.load(xs), |x, xs: &mut [f32]| ops.store(x, xs));
        let (one, mut col) = (ops.len(), 0);
        while col + 8 * one <= cols {
            self.columns::<I, 8>(isa, col, 8 * one, load, store);
            col += 8 * one;
        }
        while col + 4 * one <= cols {
            self.columns::<I, 4>(isa, col, 4 * one, load, store);
            col += 4 * one;
        }
        while col + one <= cols {
            self.columns::<I, 1>(isa, col, one, load, store);
            col += one;
        }
        if col < cols {
            // The remainder, less than a vector.
            let store = |x: I::F32, xs: &mut [f32]| xs.copy_from_slice(&x.to_array().as_ref()[..xs.len()]);
            self.columns::<I, 1>(isa, col, cols - col, |xs| ops.load_pad(xs).0, store);
        }
    }
}

impl RowTimesMatrix<'_> {
    /// The `width` columns from `col` on, in `N` vectors.
    #[inline(always)]
    fn columns<I: Isa, const N: usize>(
        &mut self,
        isa: I,
        col: usize,
        width: usize,
        load: impl Fn(&[f32]) -> I::F32,
        store: impl Fn(I::F32, &mut [f32]),
    ) {
        let ops = isa.f32();
        let vector = |i: usize| i * ops.len()..width.min((i + 1) * ops.len());
        let c = &mut self.c[col..col + width];
        let (mut beta, mut bias, mut first) = (self.beta, self.bias, col);
        for a in self.a.chunks(DEPTH) {
            let mut sums = [ops.zero(); N];
            for &x in a {
                let row = &self.b.data[first..first + width];
                let x = ops.splat(x);
                for i in 0..N {
                    sums[i] = ops.mul_add(x, load(&row[vector(i)]), sums[i]);
                }
                first += self.b.row_stride;
            }
            let bias = bias.take().map(|bias| &bias[col..col + width]);
            for i in 0..N {
                let c = &mut c[vector(i)];
                let mut sum = sums[i];
                if beta != 0.0 {
                    sum = ops.add(ops.mul(load(c), ops.splat(beta)), sum);
                }
                if let Some(bias) = bias {
                    sum = ops.add(sum, load(&bias[vector(i)]));
                }
                store(sum, c);
            }
            beta = 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gemm::{Gemm, Right};
    use super::*;

    fn numbers(len: usize, phase: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
    }

    #[test]
    fn a_row_has_the_bits_that_it_has_among_others() {
        for depth in [1, 7, 33, 256, 257, 600] {
            for cols in [1, 7, 8, 33, 64, 129, 300] {
                let (a, b) = (numbers(2 * depth, 0.0), numbers(depth * (cols + 3), 1.0));
                let (bias, before) = (numbers(cols, 2.0), numbers(2 * cols, 3.0));
                // Columns of a wider matrix, so that a row does not begin where the last one ends.
                let right = || Right { matrix: Matrix::new(&b, [depth, cols], [cols + 3, 1]), packed: None };
                for (beta, bias) in [(0.0, None), (0.0, Some(&bias[..])), (1.0, Some(&bias)), (0.5, None)] {
                    let (mut alone, mut both) = (before[..cols].to_vec(), before.clone());
                    f32::gemm(Matrix::new(&a, [1, depth], [depth, 1]), right(), beta, bias, &mut alone);
                    f32::gemm(Matrix::new(&a, [2, depth], [depth, 1]), right(), beta, bias, &mut both);
                    let other = (0..cols).find(|&j| alone[j].to_bits() != both[j].to_bits());
                    let case = format!("[1, {depth}]·[{depth}, {cols}], beta {beta}, bias {}", bias.is_some());
                    assert_eq!(other, None, "{case}: the first number that differs");
                }
            }
        }
    }

    #[test]
    fn no_depth_leaves_what_was_there_and_the_bias() {
        let (bias, before) = (numbers(7, 2.0), numbers(7, 3.0));
        for beta in [0.0, 0.5] {
            let mut c = before.clone();
            let right = Right { matrix: Matrix::new(&[], [0, 7], [7, 1]), packed: None };
            f32::gemm(Matrix::new(&[], [1, 0], [0, 1]), right, beta, Some(&bias), &mut c);
            let expected: Vec<_> = before.iter().zip(&bias).map(|(c, bias)| c * beta + bias).collect();
            assert_eq!(c, expected, "beta {beta}");
        }
    }
}
