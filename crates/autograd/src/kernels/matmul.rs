//! The matrix kernels, C = A·B + βC + bias: `rten-gemm` in `f32`, `matrixmultiply` in `f64`.

use std::alloc::Layout;
use std::cell::Cell;
use std::mem::ManuallyDrop;

use rten_gemm::{BiasVector, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_simd::SimdOp;
use rten_tensor::NdTensorView;
use rten_tensor::storage::Alloc;

use super::elementwise;
use super::gemm::{Gemm, Right};
use super::row::RowTimesMatrix;
use crate::matrix::Matrix;

thread_local! {
    /// One executor per thread: selecting the instruction set takes longer than a small product.
    static EXECUTOR: GemmExecutor = GemmExecutor::new();
}

fn nd(m: Matrix<'_, f32>) -> NdTensorView<'_, f32, 2> {
    NdTensorView::from_slice_with_strides([m.rows, m.cols], m.data, [m.row_stride, m.col_stride])
        .expect("Matrix::new has checked that the elements lie within the buffer")
}

/// From this many rows on, writing the bias first is faster than having the kernel add it to each tile. The bits are
/// the same.
const ROWS_ON_BIAS: usize = 16;

/// Rows of a tile, the part of a product whose sums the kernel holds in registers.
const TILE_ROWS: usize = 6;

/// Weights of fewer elements stay in the cache between two time steps, or two products.
pub(crate) const STAYS_IN_CACHE: usize = 1 << 18;

/// The elements of a matrix that is one contiguous row.
#[inline]
fn as_row(a: Matrix<'_, f32>) -> Option<&[f32]> {
    (a.rows == 1 && a.col_stride == 1 && a.cols > 0).then(|| &a.data[..a.cols])
}

/// How many rows to multiply by `b` first; the rest is a product of its own. A last tile of one or two rows takes as
/// long as one of four, since the latency of its few sums dominates. So the last four rows stay together, unless
/// reading `b` twice takes longer.
fn rows_at_first(rows: usize, b: &Right<'_, f32>) -> usize {
    let again = b.packed.is_some() && b.matrix.rows * b.matrix.cols < STAYS_IN_CACHE;
    if again && rows > TILE_ROWS && matches!(rows % TILE_ROWS, 1 | 2) { rows - 4 } else { rows }
}

impl Gemm for f32 {
    type Packed = PackedBMatrix<f32>;
    const MULTITHREADED: bool = true;
    const PACKS: bool = true;

    fn pack(b: Matrix<'_, f32>, spare: Option<Self::Packed>) -> Self::Packed {
        let memory = Recycled(Cell::new(spare.map_or_else(Vec::new, PackedBMatrix::into_vec)));
        EXECUTOR.with(|executor| executor.prepack_b_in(memory, nd(b)))
    }

    fn gemm(a: Matrix<'_, f32>, b: Right<'_, f32>, beta: f32, bias: Option<&[f32]>, c: &mut [f32]) {
        let c = &mut c[..a.rows * b.matrix.cols];
        if let (Some(a), None, 1) = (as_row(a), b.packed, b.matrix.col_stride) {
            return RowTimesMatrix { a, b: b.matrix, beta, bias, c }.dispatch();
        }
        let first = rows_at_first(a.rows, &b);
        let (c, last) = c.split_at_mut(first * b.matrix.cols);
        multiply_rows(a.row_block(0, first), &b, beta, bias, c);
        if !last.is_empty() {
            multiply_rows(a.row_block(first, a.rows - first), &b, beta, bias, last);
        }
    }
}

/// Memory for the library to pack into, from a packed form that is no longer needed.
struct Recycled(Cell<Vec<u32>>);

impl Alloc for Recycled {
    fn alloc<T>(&self, capacity: usize) -> Vec<T> {
        let mut old = ManuallyDrop::new(self.0.take());
        if old.capacity() < capacity || Layout::new::<T>() != Layout::new::<u32>() {
            drop(ManuallyDrop::into_inner(old));
            return Vec::with_capacity(capacity);
        }
        // SAFETY: The memory is the global allocator's, for `capacity` values of the size and the alignment of a `T`, and given up
        // by the vector that owned it. None of them counts as written.
        unsafe { Vec::from_raw_parts(old.as_mut_ptr().cast(), 0, old.capacity()) }
    }

    fn dealloc<T>(&self, memory: Vec<T>) {
        drop(memory);
    }
}

fn multiply_rows(a: Matrix<'_, f32>, b: &Right<'_, f32>, beta: f32, bias: Option<&[f32]>, c: &mut [f32]) {
    let right = b.packed.map_or_else(|| GemmInputB::Unpacked(nd(b.matrix)), GemmInputB::Packed);
    let (beta, bias) = match bias {
        Some(bias) if beta == 0.0 && a.rows >= ROWS_ON_BIAS && !bias.is_empty() => {
            c.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
            (1.0, None)
        }
        _ => (beta, bias.map(BiasVector::Row)),
    };
    let options = GemmOptions { beta, bias, ..GemmOptions::default() };
    EXECUTOR
        .with(|executor| executor.gemm(c, GemmInputA::Unpacked(nd(a)), right, options))
        .expect("the shapes of a product are checked before it is computed");
}

impl Gemm for f64 {
    type Packed = ();
    const MULTITHREADED: bool = false;
    const PACKS: bool = false;

    fn pack(_: Matrix<'_, f64>, _: Option<()>) {}

    fn gemm(a: Matrix<'_, f64>, b: Right<'_, f64>, beta: f64, bias: Option<&[f64]>, c: &mut [f64]) {
        let b = b.matrix;
        assert_eq!(a.cols, b.rows, "the shapes of a product are checked before it is computed");
        let c = &mut c[..a.rows * b.cols];
        let stride = |s: usize| isize::try_from(s).expect("a stride fits isize");
        // SAFETY: `Matrix::new` has checked that every element of `a` and `b` lies within its slice; `c` is a slice of
        // rows × cols elements in row-major order, and the borrow rules keep it apart from `a` and `b`.
        unsafe {
            matrixmultiply::dgemm(
                a.rows,
                a.cols,
                b.cols,
                1.0,
                a.data.as_ptr(),
                stride(a.row_stride),
                stride(a.col_stride),
                b.data.as_ptr(),
                stride(b.row_stride),
                stride(b.col_stride),
                beta,
                c.as_mut_ptr(),
                stride(b.cols),
                1,
            );
        }
        if let Some(bias) = bias {
            c.chunks_exact_mut(b.cols.max(1)).for_each(|row| elementwise::add(row, bias));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_same_bits_however_many_there_are() {
        let (k, n) = (300, 37);
        let sines = |len: usize, phase: f32| (0..len).map(|i| (i as f32 * 0.7 + phase).sin()).collect::<Vec<_>>();
        let (left, right, bias) = (sines(68 * k, 0.0), sines(k * n, 1.0), sines(n, 2.0));
        let b = Matrix::new(&right, [k, n], [n, 1]);
        let packed = f32::pack(b, None);
        let product = |a: Matrix<'_, f32>, beta: f32, bias: Option<&[f32]>| {
            let mut c = sines(a.rows * n, 3.0);
            if beta != 0.0 {
                c.fill(0.5);
            }
            f32::gemm(a, Right { matrix: b, packed: Some(&packed) }, beta, bias, &mut c);
            c.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        for rows in [2, 6, 7, 8, 9, 13, 14, 32, 68] {
            let a = Matrix::new(&left, [rows, k], [k, 1]);
            for (beta, bias) in [(0.0, None), (0.0, Some(&bias[..])), (1.0, None), (1.0, Some(&bias[..]))] {
                let alone: Vec<_> = (0..rows).flat_map(|row| product(a.row_block(row, 1), beta, bias)).collect();
                assert!(product(a, beta, bias) == alone, "{rows} rows, beta {beta}, bias {}", bias.is_some());
            }
        }
    }
}
