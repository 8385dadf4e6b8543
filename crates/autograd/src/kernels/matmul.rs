//! C = A·B + βC over strided matrices: `rten-gemm` in `f32`, `matrixmultiply` in `f64`.
//!
//! A recurrent step multiplies a few rows by a large weight, again and again, and re-packing the weight costs more than
//! the product itself. So a right-hand matrix is packed once and the packed form stays with the buffer it was made
//! from until somebody writes to it (see [`PackCache`]).

use std::sync::OnceLock;

use rten_gemm::{BiasVector, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_simd::SimdOp;
use rten_tensor::NdTensorView;

use super::elementwise;
use super::row::RowTimesMatrix;
use crate::Scalar;

/// A strided matrix: element (i, j) lies at `data[i · row_stride + j · col_stride]`.
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

    /// Rows `start..start + rows`.
    pub(crate) fn row_block(self, start: usize, rows: usize) -> Self {
        Matrix::new(&self.data[start * self.row_stride..], [rows, self.cols], [self.row_stride, self.col_stride])
    }

    /// Columns `start..start + cols`.
    pub(crate) fn col_block(self, start: usize, cols: usize) -> Self {
        Matrix::new(&self.data[start * self.col_stride..], [self.rows, cols], [self.row_stride, self.col_stride])
    }

    /// The numbers of a matrix that is one row without gaps.
    #[inline]
    fn as_row(self) -> Option<&'a [T]> {
        (self.rows == 1 && self.col_stride == 1 && self.cols > 0).then(|| &self.data[..self.cols])
    }

    pub(crate) fn transposed(self) -> Self {
        Matrix { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// A right-hand matrix, with its packed form if there is one.
pub struct Right<'a, T: Gemm> {
    pub(crate) matrix: Matrix<'a, T>,
    pub(crate) packed: Option<&'a T::Packed>,
}

/// The matrix product of a number type.
pub trait Gemm: Copy + Sized {
    /// A right-hand matrix in the order in which the kernel reads it.
    type Packed: Send + Sync;
    /// Whether the kernel shares a product among the threads of rayon, where there are several.
    const SHARES: bool;
    /// Packs `b`; `None` where the kernel of this type has no packed form.
    fn pack(b: Matrix<'_, Self>) -> Option<Self::Packed>;
    /// `c = a·b + beta·c + bias`, `c` row-major, the bias a row; `beta` 0 overwrites whatever `c` holds.
    fn gemm(a: Matrix<'_, Self>, b: Right<'_, Self>, beta: Self, bias: Option<&[Self]>, c: &mut [Self]);
}

thread_local! {
    /// One executor for the thread: choosing the instruction set takes longer than a small product.
    static EXECUTOR: GemmExecutor = GemmExecutor::new();
}

fn nd(m: Matrix<'_, f32>) -> NdTensorView<'_, f32, 2> {
    NdTensorView::from_slice_with_strides([m.rows, m.cols], m.data, [m.row_stride, m.col_stride])
        .expect("Matrix::new has checked that the elements lie within the buffer")
}

/// From so many rows on it is faster to begin with the bias than to have the kernel add it to each tile that it has written.
/// The bits are the same.
const ROWS_ON_BIAS: usize = 16;

/// Rows of a tile, the part of a product whose sums the kernel keeps in registers.
const TILE_ROWS: usize = 6;

/// Weights of fewer numbers stay in the cache between two time steps, or two products.
pub(crate) const STAYS_IN_CACHE: usize = 1 << 18;

/// How many rows to multiply by `b` first, for the rest to be a product of its own. The last tile has the rows that are left
/// over, and one of one or two rows takes as long as one of four: its few sums wait for themselves. So the last four rows stay
/// together, unless it takes longer to read `b` twice.
fn rows_at_first(rows: usize, b: &Right<'_, f32>) -> usize {
    let again = b.packed.is_some() && b.matrix.rows * b.matrix.cols < STAYS_IN_CACHE;
    if again && rows > TILE_ROWS && matches!(rows % TILE_ROWS, 1 | 2) { rows - 4 } else { rows }
}

impl Gemm for f32 {
    type Packed = PackedBMatrix<f32>;
    const SHARES: bool = true;

    fn pack(b: Matrix<'_, f32>) -> Option<Self::Packed> {
        Some(EXECUTOR.with(|executor| executor.prepack_b(nd(b))))
    }

    fn gemm(a: Matrix<'_, f32>, b: Right<'_, f32>, beta: f32, bias: Option<&[f32]>, c: &mut [f32]) {
        let c = &mut c[..a.rows * b.matrix.cols];
        if let (Some(a), None, 1) = (a.as_row(), b.packed, b.matrix.col_stride) {
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
    const SHARES: bool = false;

    fn pack(_: Matrix<'_, f64>) -> Option<()> {
        None
    }

    fn gemm(a: Matrix<'_, f64>, b: Right<'_, f64>, beta: f64, bias: Option<&[f64]>, c: &mut [f64]) {
        let b = b.matrix;
        assert_eq!(a.cols, b.rows, "the shapes of a product are checked before it is computed");
        let c = &mut c[..a.rows * b.cols];
        let stride = |s: usize| isize::try_from(s).expect("a stride fits isize");
        // SAFETY: `Matrix::new` has checked that every element of `a` and `b` lies within its slice; `c` is a slice of
        // rows × cols numbers in row-major order, and the borrow rules keep it apart from `a` and `b`.
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

/// Which part of a buffer was packed: offset, shape and strides.
type PackKey = [usize; 5];

/// The packed forms of the matrices that lie in one buffer (a weight and its transpose, as a rule).
///
/// A list that only grows, link by link: the threads of all shards ask it in every time step, and a look at it writes
/// nothing that the cache of another core holds.
pub(crate) struct PackCache<T: Gemm>(Link<T>);

type Link<T> = OnceLock<Box<Pack<T>>>;

struct Pack<T: Gemm> {
    key: PackKey,
    packed: T::Packed,
    next: Link<T>,
}

/// A weight in blocks of columns has some dozens. More come from a buffer that is multiplied by part by part, each once, and
/// to keep those would help nobody.
const KEPT_PACKS: usize = 128;

impl<T: Gemm> Default for PackCache<T> {
    fn default() -> Self {
        PackCache(OnceLock::new())
    }
}

impl<T: Gemm> PackCache<T> {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.0.take();
    }

    /// The packed form of `b`, which starts at `offset` of the buffer; made at the first call. `None` where there is no
    /// such form, or the list is full.
    pub(crate) fn get_or_pack(&self, offset: usize, b: Matrix<'_, T>) -> Option<&T::Packed> {
        let key = [offset, b.rows, b.cols, b.row_stride, b.col_stride];
        let (mut link, mut made) = (&self.0, None);
        for _ in 0..KEPT_PACKS {
            if link.get().is_none() {
                let new = || Some(Box::new(Pack { key, packed: T::pack(b)?, next: OnceLock::new() }));
                // Another thread may have added its own meanwhile, and the search goes on behind it. Two may even make the
                // same one: waiting inside a thread pool would be worse.
                made = link.set(made.take().map_or_else(new, Some)?).err();
            }
            let pack = link.get().expect("it was set by this thread or another");
            if pack.key == key {
                return Some(&pack.packed);
            }
            link = &pack.next;
        }
        None
    }
}

/// A product whose right-hand side is worth packing: `f32`, and not tiny. A single row is multiplied by a narrow matrix as it
/// lies.
pub(crate) fn wants_packing<T: Scalar>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    b.rows * b.cols >= 256 && (a.rows > 1 || b.cols > BLOCK_COLS)
}

/// Whether an element of the product is summed in the order in which it would be if there were more rows.
pub(crate) fn sums_as_several_rows<T: Scalar>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    a.rows > 1 || b.col_stride == 1 || wants_packing(a, b)
}

/// The `f32` kernel shares what is taller or wider than one such block among the threads of rayon.
pub(crate) const BLOCK_ROWS: usize = 64;
pub(crate) const BLOCK_COLS: usize = 128;

/// Whether the kernel would share a product among threads that takes less time than to wake them. On a pool of one thread,
/// where shards are computed, it never does.
pub(crate) fn would_wait_for_threads<T: Gemm>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    const WORTH_SHARING: usize = 1 << 23;
    T::SHARES
        && (a.rows > BLOCK_ROWS || b.cols > BLOCK_COLS)
        && a.rows * a.cols * b.cols < WORTH_SHARING
        && rayon::current_num_threads() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<f32> {
        (0..len).map(|i| i as f32).collect()
    }

    #[test]
    fn a_packed_form_is_made_once_for_each_part_of_a_buffer() {
        let data = numbers(4 * 600);
        let mut cache = PackCache::<f32>::default();
        let whole = Matrix::new(&data, [4, 600], [600, 1]);
        let address = |cache: &PackCache<f32>, offset, b| cache.get_or_pack(offset, b).map(std::ptr::from_ref);
        let first = address(&cache, 0, whole);
        let transposed = address(&cache, 0, whole.transposed());
        let part = address(&cache, 1, whole.col_block(1, 300));
        assert!(first.is_some() && transposed.is_some() && part.is_some());
        assert!(first != transposed && first != part && transposed != part);
        assert_eq!(address(&cache, 0, whole), first);
        assert_eq!(address(&cache, 1, whole.col_block(1, 300)), part);
        cache.clear();
        assert!(cache.0.get().is_none());
    }

    #[test]
    fn a_buffer_that_is_read_part_by_part_keeps_so_many_packed_forms_and_no_more() {
        let data = numbers(16 * (KEPT_PACKS + 1));
        let all = Matrix::new(&data, [KEPT_PACKS + 1, 16], [16, 1]);
        let cache = PackCache::<f32>::default();
        for row in 0..KEPT_PACKS {
            assert!(cache.get_or_pack(16 * row, all.row_block(row, 1)).is_some(), "part {row}");
        }
        assert!(cache.get_or_pack(16 * KEPT_PACKS, all.row_block(KEPT_PACKS, 1)).is_none());
        assert!(cache.get_or_pack(0, all.row_block(0, 1)).is_some(), "what is kept is found");
    }

    #[test]
    fn a_row_has_the_same_bits_however_many_there_are() {
        let (k, n) = (300, 37);
        let sines = |len: usize, phase: f32| (0..len).map(|i| (i as f32 * 0.7 + phase).sin()).collect::<Vec<_>>();
        let (left, right, bias) = (sines(68 * k, 0.0), sines(k * n, 1.0), sines(n, 2.0));
        let b = Matrix::new(&right, [k, n], [n, 1]);
        let packed = f32::pack(b);
        let product = |a: Matrix<'_, f32>, beta: f32, bias: Option<&[f32]>| {
            let mut c = sines(a.rows * n, 3.0);
            if beta != 0.0 {
                c.fill(0.5);
            }
            f32::gemm(a, Right { matrix: b, packed: packed.as_ref() }, beta, bias, &mut c);
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

    #[test]
    fn threads_that_pack_at_the_same_time_get_what_they_asked_for() {
        let data = numbers(64 * 64);
        let all = Matrix::new(&data, [64, 64], [64, 1]);
        for _ in 0..20 {
            let cache = PackCache::<f32>::default();
            std::thread::scope(|scope| {
                for start in 0..4 {
                    let cache = &cache;
                    scope.spawn(move || {
                        for k in 0..16 {
                            let width = 4 * (1 + (start + k) % 16);
                            let b = all.col_block(0, width);
                            let packed = cache.get_or_pack(0, b).expect("sixteen parts have room");
                            let mut c = [0.0; 64];
                            f32::gemm(
                                all.row_block(1, 1),
                                Right { matrix: b, packed: Some(packed) },
                                0.0,
                                None,
                                &mut c,
                            );
                            let mut expected = [0.0; 64];
                            f32::gemm(all.row_block(1, 1), Right { matrix: b, packed: None }, 0.0, None, &mut expected);
                            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs();
                            assert!(c.iter().zip(&expected).all(close), "{width} columns");
                        }
                    });
                }
            });
            let mut links = 0;
            let mut link = &cache.0;
            while let Some(pack) = link.get() {
                (links, link) = (links + 1, &pack.next);
            }
            assert_eq!(links, 16, "each part once, whoever came first");
        }
    }
}
