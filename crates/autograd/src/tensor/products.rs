//! Products of matrices: one, many at once, and the sum of many that a weight's cotangent is.

use std::borrow::Cow;

use super::Tensor;
use crate::Scalar;
use crate::kernels::elementwise;
use crate::kernels::matmul::{BLOCK_COLS, BLOCK_ROWS, Matrix, Right, wants_packing, would_wait_for_threads};
use crate::kernels::runs::for_each_run;
use crate::kernels::transpose::transpose;
use crate::shape::{self, broadcast_or_panic, count_or_panic, element_count};
use crate::storage::Buffer;

/// Products of matrices.
impl<T: Scalar> Tensor<T> {
    /// The matrix product of two matrices, `[m, k]·[k, n] → [m, n]`.
    ///
    /// # Panics
    /// If they are not matrices that fit.
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
    /// # Panics
    /// If they are not matrices that fit.
    #[track_caller]
    pub fn matmul_transposed(&self, other: &Self) -> Self {
        match (self.shape(), other.shape()) {
            (&[m, k], &[n, l]) if k == l => {
                count_or_panic("matmul_transposed", &[m, n]);
                let right = other.matrix().transposed();
                Self::build(&[m, n], |to| self.multiply_into(other, right, T::ZERO, None, to))
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
            let (outer, size) = (lead.len(), m * n);
            let mut next = 0;
            let (a_strides, b_strides) = (a.strides(), b.strides());
            let strides = [&a_strides[..outer], &b_strides[..outer]];
            for_each_run(&lead, strides, |[oa, ob], [sa, sb], len| {
                for i in 0..len {
                    let left = a.matrix_at(oa + i * sa);
                    let right = b.matrix_at(ob + i * sb);
                    if size > 0 {
                        let to = &mut to[next * size..(next + 1) * size];
                        in_depth(left, right, 0, T::ZERO, to, &|a, b, _, beta, to| {
                            T::gemm(a, unpacked(b), beta, None, to)
                        });
                    }
                    next += 1;
                }
            });
        })
    }

    /// `to = self·other + beta·to + bias`.
    pub(crate) fn matmul_into(&self, other: &Self, beta: T, bias: Option<&Self>, to: &mut [T]) {
        self.multiply_into(other, other.matrix(), beta, bias, to);
    }

    /// `to = self·b + beta·to + bias`, where `b` is the matrix `other` or its transpose. One with some size stays packed for
    /// the next product with it.
    fn multiply_into(&self, other: &Self, b: Matrix<'_, T>, beta: T, bias: Option<&Self>, to: &mut [T]) {
        let a = self.matrix();
        if a.rows == 0 || b.cols == 0 {
            return;
        }
        let wants_packing = wants_packing(a, b);
        let pack = |offset: usize, part: Matrix<'_, T>| match wants_packing {
            true => other.buffer.derived().packs.get_or_pack(other.offset + offset, part),
            false => None,
        };
        let gathered = bias.filter(|bias| !bias.is_contiguous()).map(Self::to_contiguous);
        let row = gathered.as_ref().or(bias).and_then(Self::as_slice);
        let whole = |a: Matrix<'_, T>, to: &mut [T]| {
            if a.cols <= DEPTH {
                return multiply(a, b, beta, row, to, &pack);
            }
            in_depth(a, b, 0, beta, to, &|a, b, first, beta, to| {
                let bias = row.filter(|_| first == 0);
                multiply(a, b, beta, bias, to, &|offset, part| pack(first * b.row_stride + offset, part));
            });
        };
        let ahead = if beta == T::ZERO { self.product_ahead(other, a, b, bias, whole) } else { None };
        match ahead.as_ref().and_then(Self::as_slice) {
            Some(product) => to.copy_from_slice(product),
            None => whole(a, to),
        }
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

    fn matrix(&self) -> Matrix<'_, T> {
        self.matrix_at(0)
    }

    /// The matrix of the last two axes that starts `offset` numbers behind this tensor's first.
    fn matrix_at(&self, offset: usize) -> Matrix<'_, T> {
        let (row, col) = (self.rank() - 2, self.rank() - 1);
        let data = self.buffer.data().get(self.offset + offset..).unwrap_or_default();
        let (rows, cols) = (self.shape()[row], self.shape()[col]);
        let strides = if self.is_contiguous() { [cols, 1] } else { [self.strides()[row], self.strides()[col]] };
        Matrix::new(data, [rows, cols], strides)
    }
}

/// Numbers of depth that a product adds one block after another, in blocks of [`ROWS_AT_ONCE`] as the kernel does.
const DEPTH: usize = 16 * ROWS_AT_ONCE;

/// Multiplies a part of the depth: `(a, b, first, beta, to)`.
type PartOfProduct<'f, T> = dyn Fn(Matrix<'_, T>, Matrix<'_, T>, usize, T, &mut [T]) + 'f;

/// `to = a·b + beta·to` by `product(a, b, first, beta, to)` of parts of the depth, each from `first` on: more depth than the
/// kernel should add block after block is summed in halves, so that the error grows with its logarithm.
#[inline(never)]
fn in_depth<T: Scalar>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    first: usize,
    beta: T,
    to: &mut [T],
    product: &PartOfProduct<'_, T>,
) {
    if a.cols <= DEPTH {
        return product(a, b, first, beta, to);
    }
    let half = (a.cols / 2).next_multiple_of(ROWS_AT_ONCE);
    in_depth(a.col_block(0, half), b.row_block(0, half), first, beta, to, product);
    let (a, b) = (a.col_block(half, a.cols - half), b.row_block(half, b.rows - half));
    Buffer::filled(to.len(), |second| {
        in_depth(a, b, first + half, T::ZERO, second, product);
        elementwise::add(to, second);
    });
}

/// `to = a·b + beta·to + bias`, with what `pack` makes of a part of `b` that starts at an offset.
///
/// Block by block where the kernel would wait for threads: the same bits, since an element is one sum over k in any case.
fn multiply<'p, T: Scalar>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    beta: T,
    bias: Option<&[T]>,
    to: &mut [T],
    pack: &impl Fn(usize, Matrix<'_, T>) -> Option<&'p T::Packed>,
) {
    if !would_wait_for_threads(a, b) {
        let packed = pack(0, b);
        return T::gemm(a, Right { matrix: b, packed }, beta, bias, to);
    }
    for col in (0..b.cols).step_by(BLOCK_COLS) {
        let width = BLOCK_COLS.min(b.cols - col);
        let right = b.col_block(col, width);
        let packed = pack(col * b.col_stride, right);
        let bias = bias.map(|bias| &bias[col..col + width]);
        for row in (0..a.rows).step_by(BLOCK_ROWS) {
            let rows = BLOCK_ROWS.min(a.rows - row);
            let lines = |line: usize| (row + line) * b.cols + col..(row + line) * b.cols + col + width;
            Buffer::filled(rows * width, |block| {
                if beta != T::ZERO {
                    block.chunks_exact_mut(width).enumerate().for_each(|(k, line)| line.copy_from_slice(&to[lines(k)]));
                }
                T::gemm(a.row_block(row, rows), Right { matrix: right, packed }, beta, bias, block);
                block.chunks_exact(width).enumerate().for_each(|(k, line)| to[lines(k)].copy_from_slice(line));
            });
        }
    }
}

fn unpacked<T: Scalar>(matrix: Matrix<'_, T>) -> Right<'_, T> {
    Right { matrix, packed: None }
}

/// Rows of a sum of products that are multiplied at once. It is the depth that the kernel works on in one go: fewer rows
/// would write the sum more often, and more would leave the cache between being laid together and being multiplied.
pub(crate) const ROWS_AT_ONCE: usize = 256;

/// So many rows are not worth laying together with others: to copy them takes longer than to write the sum more often.
const ROWS_ENOUGH: usize = 64;

/// `to = Σ xᵀ·g + beta·to`: the rows of several pairs are laid one below the other and multiplied at once. Many rows are summed
/// in halves, as by [`in_depth`].
pub(crate) fn sum_of_products<T: Scalar>(pairs: &[(Tensor<T>, Tensor<T>)], beta: T, to: &mut [T]) {
    if pairs.len() > 1 && pairs.iter().map(|(x, _)| x.shape()[0]).sum::<usize>() > DEPTH {
        let (first, second) = pairs.split_at(pairs.len() / 2);
        sum_of_products(first, beta, to);
        Buffer::filled(to.len(), |sum| {
            sum_of_products(second, T::ZERO, sum);
            elementwise::add(to, sum);
        });
        return;
    }
    let (mut rest, mut beta) = (pairs, beta);
    while let Some((x, g)) = rest.first() {
        let rows = x.shape()[0];
        if rows >= ROWS_ENOUGH {
            add_rows(x, g, beta, to);
            (rest, beta) = (&rest[1..], T::ONE);
            continue;
        }
        let mut rows = 0;
        let fits = |(x, _): &&(Tensor<T>, Tensor<T>)| {
            rows += x.shape()[0];
            rows <= ROWS_AT_ONCE
        };
        let (group, behind) = rest.split_at(rest.iter().take_while(fits).count());
        let columns = stack_as_columns(group.iter().map(|(x, _)| x));
        match group {
            [(_, g)] => add_product(&columns, g, beta, to),
            _ => add_product(&columns, &stack_rows(group.iter().map(|(_, g)| g)), beta, to),
        }
        (rest, beta) = (behind, T::ONE);
    }
}

/// `to = xᵀ·g + beta·to`: many rows in halves, as by [`in_depth`].
fn add_rows<T: Scalar>(x: &Tensor<T>, g: &Tensor<T>, beta: T, to: &mut [T]) {
    let rows = x.shape()[0];
    if rows > DEPTH {
        let half = (rows / 2).next_multiple_of(ROWS_AT_ONCE);
        add_rows(&x.part(0, 0..half), &g.part(0, 0..half), beta, to);
        Buffer::filled(to.len(), |second| {
            add_rows(&x.part(0, half..rows), &g.part(0, half..rows), T::ZERO, second);
            elementwise::add(to, second);
        });
        return;
    }
    let mut beta = beta;
    for first in (0..rows).step_by(ROWS_AT_ONCE) {
        let range = first..rows.min(first + ROWS_AT_ONCE);
        let (x, g) = (x.part(0, range.clone()), g.part(0, range));
        add_product(&stack_as_columns(std::iter::once(&x)), &g, beta, to);
        beta = T::ONE;
    }
}

/// `to = a·b + beta·to`, for products that nobody will ask for again.
fn add_product<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>, beta: T, to: &mut [T]) {
    let (a, b) = (a.matrix(), b.matrix());
    if a.rows > 0 && b.cols > 0 {
        multiply(a, b, beta, None, to, &|_, _| None);
    }
}

/// The rows of all parts, one below the other.
fn stack_rows<'a, T: Scalar>(parts: impl Iterator<Item = &'a Tensor<T>> + Clone) -> Tensor<T> {
    let rows = parts.clone().map(|part| part.shape()[0]).sum();
    let cols = parts.clone().next().map_or(0, |part| part.shape()[1]);
    Tensor::build(&[rows, cols], |to| {
        let mut rest = to;
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.len());
            part.copy_to(here);
            rest = behind;
        }
    })
}

/// The transpose of [`stack_rows`]. The kernel would transpose them itself, number by number.
fn stack_as_columns<'a, T: Scalar>(parts: impl Iterator<Item = &'a Tensor<T>> + Clone) -> Tensor<T> {
    let rows = parts.clone().map(|part| part.shape()[0]).sum();
    let cols = parts.clone().next().map_or(0, |part| part.shape()[1]);
    Tensor::build(&[cols, rows], |to| {
        let mut first = 0;
        for part in parts {
            transpose(part.matrix(), to.get_mut(first..).unwrap_or_default(), rows);
            first += part.shape()[0];
        }
    })
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
        for (m, k, n) in [(1, 33, 300), (7, 1, 300), (3, 64, 256), (65, 33, 129), (600, 300, 7), (33, 513, 520)] {
            let alone = on(1, &|| products(m, k, n));
            let shared = on(3, &|| products(m, k, n));
            let other = alone.iter().zip(&shared).position(|(x, y)| x != y);
            assert_eq!(other, None, "[{m}, {k}]·[{k}, {n}]: the first number that differs");
        }
    }
}
