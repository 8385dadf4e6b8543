//! Σ xᵀ·g, the gradient of a weight that is used at many time steps: the rows of several pairs are stacked and
//! multiplied at once.

use super::elementwise;
use super::gemm::{Gemm, Right};
use super::matmul::{STAYS_IN_CACHE, gemm};
use super::packs::Packable;
use super::panels::{Packed, vector_bytes};
use super::product::{DEPTH, DEPTH_AT_ONCE, DEPTH_BLOCK, in_depth, multiply};
use crate::matrix::{AsMatrix, Matrix};
use crate::storage::Buffer;

/// Rows of several pairs that are multiplied at once, for a sum of so many elements. Fewer would write the sum more often, which costs
/// little while it stays in the cache; more would leave the cache between stacking and multiplying.
pub(crate) fn rows_at_once(elements: usize) -> usize {
    if elements < STAYS_IN_CACHE { DEPTH_BLOCK } else { DEPTH_AT_ONCE }
}

/// From this many rows on, stacking does not pay: the copy takes longer than writing the sum more often.
const ROWS_ENOUGH: usize = 64;

/// `to = Σ xᵀ·g + beta·to`. Pairs of many rows are summed in halves, as by [`in_depth`].
pub(super) fn sum_of_products<T: Gemm, M: AsMatrix<T>>(pairs: &[(M, M)], beta: T, to: &mut [T]) {
    if to.is_empty() {
        return;
    }
    if pairs.len() > 1 && pairs.iter().map(|(x, _)| x.rows()).sum::<usize>() > DEPTH {
        let (first, second) = pairs.split_at(pairs.len() / 2);
        sum_of_products(first, beta, to);
        Buffer::filled(to.len(), |sum| {
            sum_of_products(second, T::ZERO, sum);
            elementwise::add(to, sum);
        });
        return;
    }
    let (mut rest, mut beta, most) = (pairs, beta, rows_at_once(to.len()));
    while let Some((x, g)) = rest.first() {
        let mut rows = 0;
        let fits = |(x, _): &&(M, M)| {
            rows += x.rows();
            rows <= most
        };
        let group = if x.rows() < ROWS_ENOUGH { rest.iter().take_while(fits).count() } else { 1 };
        if group == 1 {
            in_depth(x.matrix().transposed(), Packable::once(g.matrix()), beta, None, to, multiply);
        } else {
            multiply_together(&rest[..group], beta, to);
        }
        (rest, beta) = (&rest[group..], T::ONE);
    }
}

/// `to = Σ xᵀ·g + beta·to` as one product.
fn multiply_together<T: Gemm, M: AsMatrix<T>>(pairs: &[(M, M)], beta: T, to: &mut [T]) {
    let rows = pairs.iter().map(|(x, _)| x.rows()).sum();
    let (x, g) = &pairs[0];
    let (x_shape, g_shape) = ([rows, x.matrix().cols], [rows, g.matrix().cols]);
    in_rows(pairs.iter().map(|(x, _)| x.matrix()), x_shape, |x| {
        let g = Packed::stacked(pairs.iter().map(|(_, g)| g.matrix()), g_shape, vector_bytes());
        gemm(x.transposed(), Right::packed(&g, g_shape), beta, None, to);
    });
}

/// Calls `f` with all parts, one below the other: of this shape.
fn in_rows<'a, T: Gemm>(
    parts: impl Iterator<Item = Matrix<'a, T>>,
    [rows, cols]: [usize; 2],
    f: impl FnOnce(Matrix<'_, T>),
) {
    Buffer::filled(rows * cols, |all| {
        let mut rest = &mut *all;
        for part in parts {
            let (here, after) = rest.split_at_mut(part.rows * cols);
            part.copy_to(here);
            rest = after;
        }
        f(Matrix::row_major(all, rows, cols));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn the_error_of_many_pairs_does_not_grow_with_their_number() {
        // The sum of a block of rows is exact in `f32`. Adding 128 such blocks one after the other would lose 63 of the 128 in a unit
        // of the last place again and again, 31 units in all.
        const PAIRS: usize = 1024;
        let ones = Tensor::from_fn(&[32, 1], |_| 1.0_f32);
        let most = Tensor::from_fn(&[32, 1], |_| 65_535.0);
        let last = Tensor::from_fn(&[32, 1], |row| if row == 31 { 65_726.0 } else { 65_535.0 });
        let pairs: Vec<_> =
            (0..PAIRS).map(|pair| (ones.clone(), if pair % 8 == 7 { last.clone() } else { most.clone() })).collect();
        let mut sum = [f32::NAN];
        sum_of_products(&pairs, 0.0, &mut sum);
        let exact = (PAIRS / 8) as f64 * (255.0 * 65_535.0 + 65_726.0);
        assert!((f64::from(sum[0]) - exact).abs() <= 4.0 * 128.0, "{} instead of {exact}", sum[0]);
    }
}
