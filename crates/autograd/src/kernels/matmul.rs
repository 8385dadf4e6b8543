//! C = A·B + βC over strided matrices: `rten-gemm` in `f32`, `matrixmultiply` in `f64`.
//!
//! A recurrent step multiplies a few rows by a large weight, again and again, and re-packing the weight costs more than
//! the product itself. So a right-hand matrix is packed once and the packed form stays with the buffer it was made
//! from until somebody writes to it (see [`PackCache`]).

use std::sync::{Arc, Mutex, PoisonError};

use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_tensor::NdTensorView;
use smallvec::SmallVec;

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

    pub(crate) fn transposed(self) -> Self {
        Matrix { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }
}

/// The matrix product of a number type.
pub trait Gemm: Copy + Sized {
    /// A right-hand matrix in the order in which the kernel reads it.
    type Packed: Send + Sync;
    /// Packs `b`; `None` where the kernel of this type has no packed form.
    fn pack(b: Matrix<'_, Self>) -> Option<Self::Packed>;
    /// `c = a·b + beta·c`, `c` row-major; `beta` 0 overwrites whatever `c` holds.
    fn gemm(a: Matrix<'_, Self>, b: Matrix<'_, Self>, packed: Option<&Self::Packed>, beta: Self, c: &mut [Self]);
}

thread_local! {
    /// One executor for the thread: choosing the instruction set takes longer than a small product.
    static EXECUTOR: GemmExecutor = GemmExecutor::new();
}

fn nd(m: Matrix<'_, f32>) -> NdTensorView<'_, f32, 2> {
    NdTensorView::from_slice_with_strides([m.rows, m.cols], m.data, [m.row_stride, m.col_stride])
        .expect("Matrix::new has checked that the elements lie within the buffer")
}

impl Gemm for f32 {
    type Packed = PackedBMatrix<f32>;

    fn pack(b: Matrix<'_, f32>) -> Option<Self::Packed> {
        Some(EXECUTOR.with(|executor| executor.prepack_b(nd(b))))
    }

    fn gemm(a: Matrix<'_, f32>, b: Matrix<'_, f32>, packed: Option<&Self::Packed>, beta: f32, c: &mut [f32]) {
        let right = packed.map_or_else(|| GemmInputB::Unpacked(nd(b)), GemmInputB::Packed);
        let options = GemmOptions { beta, ..GemmOptions::default() };
        let c = &mut c[..a.rows * b.cols];
        EXECUTOR
            .with(|executor| executor.gemm(c, GemmInputA::Unpacked(nd(a)), right, options))
            .expect("the shapes of a product are checked before it is computed");
    }
}

impl Gemm for f64 {
    type Packed = ();

    fn pack(_: Matrix<'_, f64>) -> Option<()> {
        None
    }

    fn gemm(a: Matrix<'_, f64>, b: Matrix<'_, f64>, _: Option<&()>, beta: f64, c: &mut [f64]) {
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
    }
}

/// Which part of a buffer was packed: offset, shape and strides.
type PackKey = [usize; 5];

/// The packed forms of the matrices that lie in one buffer (a weight and its transpose, as a rule).
pub(crate) struct PackCache<T: Gemm>(Mutex<Packs<T>>);

type Packs<T> = SmallVec<[(PackKey, Arc<<T as Gemm>::Packed>); 2]>;

impl<T: Gemm> Default for PackCache<T> {
    fn default() -> Self {
        PackCache(Mutex::new(SmallVec::new()))
    }
}

impl<T: Gemm> PackCache<T> {
    pub(crate) fn clear(&mut self) {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The packed form of `b`, which starts at `offset` of the buffer; made at the first call.
    ///
    /// Two threads may make it at the same time, and one result is dropped: waiting inside a thread pool would be worse.
    pub(crate) fn get_or_pack(&self, offset: usize, b: Matrix<'_, T>) -> Option<Arc<T::Packed>> {
        let key = [offset, b.rows, b.cols, b.row_stride, b.col_stride];
        let find = |entries: &Packs<T>| entries.iter().find(|(k, _)| *k == key).map(|(_, packed)| Arc::clone(packed));
        if let Some(packed) = find(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Some(packed);
        }
        let packed = Arc::new(T::pack(b)?);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = find(&entries) {
            return Some(earlier);
        }
        entries.push((key, Arc::clone(&packed)));
        Some(packed)
    }
}

/// A product whose right-hand side is worth packing: `f32`, more than one row, and not tiny.
pub(crate) fn wants_packing<T: Scalar>(a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    a.rows > 1 && b.rows * b.cols >= 256
}
