//! Products of matrices: one, many at once, and the sum of many that a weight's cotangent is.

use super::Tensor;
use crate::Scalar;
use crate::kernels::matmul::{Matrix, wants_packing};
use crate::kernels::runs::for_each_run;
use crate::shape::{self, broadcast_or_panic, element_count};

/// Products of matrices.
impl<T: Scalar> Tensor<T> {
    /// The matrix product of two matrices, `[m, k]·[k, n] → [m, n]`.
    ///
    /// # Panics
    /// If they are not matrices that fit.
    #[track_caller]
    pub fn matmul(&self, other: &Self) -> Self {
        match (self.shape(), other.shape()) {
            (&[m, k], &[l, n]) if k == l => Self::build(&[m, n], |to| self.matmul_into(other, T::ZERO, to)),
            (a, b) => shape::mismatch("matmul", &[a, b], "[m, k] and [k, n]"),
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
            let strides = [&a.strides[..outer], &b.strides[..outer]];
            for_each_run(&lead, strides, |[oa, ob], [sa, sb], len| {
                for i in 0..len {
                    let left = a.matrix_at(oa + i * sa);
                    let right = b.matrix_at(ob + i * sb);
                    if size > 0 {
                        T::gemm(left, right, None, T::ZERO, &mut to[next * size..(next + 1) * size]);
                    }
                    next += 1;
                }
            });
        })
    }

    /// `to = self·other + beta·to`. A right-hand matrix with some size stays packed for the next product with it.
    pub(crate) fn matmul_into(&self, other: &Self, beta: T, to: &mut [T]) {
        let (a, b) = (self.matrix(), other.matrix());
        if a.rows == 0 || b.cols == 0 {
            return;
        }
        let packed = wants_packing(a, b).then(|| other.buffer.packs().get_or_pack(other.offset, b)).flatten();
        T::gemm(a, b, packed.as_deref(), beta, to);
    }

    /// `to = selfᵀ·other + beta·to`, for products that nobody will ask for again.
    pub(crate) fn transposed_matmul_into(&self, other: &Self, beta: T, to: &mut [T]) {
        let (a, b) = (self.matrix().transposed(), other.matrix());
        if a.rows > 0 && b.cols > 0 {
            T::gemm(a, b, None, beta, to);
        }
    }

    fn matrix(&self) -> Matrix<'_, T> {
        self.matrix_at(0)
    }

    /// The matrix of the last two axes that starts `offset` numbers behind this tensor's first.
    fn matrix_at(&self, offset: usize) -> Matrix<'_, T> {
        let (row, col) = (self.rank() - 2, self.rank() - 1);
        let data = self.view().data.get(offset..).unwrap_or_default();
        Matrix::new(data, [self.shape[row], self.shape[col]], [self.strides[row], self.strides[col]])
    }
}

/// `[…, n]` seen as `[rows, n]`.
pub(crate) fn as_rows<T: Scalar>(x: &Tensor<T>) -> Tensor<T> {
    match x.shape() {
        [_, _] => x.clone(),
        [leading @ .., n] => x.reshape(&[element_count(leading), *n]),
        [] => x.reshape(&[1, 1]),
    }
}

/// `to = Σ xᵀ·g + beta·to` by one product: the rows of all pairs are laid one below the other.
pub(crate) fn sum_of_products<T: Scalar>(pairs: &[(&Tensor<T>, &Tensor<T>)], beta: T, to: &mut [T]) {
    match pairs {
        [] => {
            for x in to {
                *x = if beta == T::ZERO { T::ZERO } else { *x * beta };
            }
        }
        [(x, g)] => x.transposed_matmul_into(g, beta, to),
        _ => {
            let x = stack_rows(pairs.iter().map(|(x, _)| *x));
            let g = stack_rows(pairs.iter().map(|(_, g)| *g));
            x.transposed_matmul_into(&g, beta, to);
        }
    }
}

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
