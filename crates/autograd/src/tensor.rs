//! The value: a dense array with any number of axes, in row-major order, with strided views.

use std::fmt;
use std::ops::Range;

use crate::Scalar;
use crate::kernels::elementwise::{self, View};
use crate::kernels::matmul::{Matrix, wants_packing};
use crate::kernels::reduce;
use crate::kernels::runs::for_each_run;
use crate::shape::{
    self, Shape, broadcast_or_panic, broadcast_strides, check_axis, check_range, element_count, row_major,
};
use crate::storage::Buffer;

/// A dense array of any rank. Cloning, slicing, transposing and broadcasting copy no numbers.
///
/// ```
/// use rewind_autograd::Tensor;
/// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
/// assert_eq!(x.transpose().shape(), [3, 2]);
/// assert_eq!(x.slice(1, 1..3).to_vec(), [2.0, 3.0, 5.0, 6.0]);
/// ```
#[derive(Clone)]
pub struct Tensor<T: Scalar> {
    buffer: Buffer<T>,
    offset: usize,
    shape: Shape,
    strides: Shape,
}

/// Making tensors.
impl<T: Scalar> Tensor<T> {
    /// The numbers of `data` in row-major order.
    ///
    /// # Panics
    /// If `data` does not hold exactly as many numbers as `shape` asks for.
    #[track_caller]
    pub fn from_vec(data: Vec<T>, shape: &[usize]) -> Self {
        let wanted = element_count(shape);
        if data.len() != wanted {
            panic!("from_vec: {} numbers do not fill shape {shape:?}, which holds {wanted}", data.len());
        }
        Self::contiguous(Buffer::from_vec(data), shape)
    }

    /// A tensor whose element at index `i` of the row-major order is `f(i)`.
    pub fn from_fn(shape: &[usize], mut f: impl FnMut(usize) -> T) -> Self {
        Self::build(shape, |to| {
            for (i, to) in to.iter_mut().enumerate() {
                *to = f(i);
            }
        })
    }

    /// A tensor filled with `value`.
    pub fn full(shape: &[usize], value: T) -> Self {
        Self::build(shape, |to| to.fill(value))
    }

    /// A tensor filled with 0.
    pub fn zeros(shape: &[usize]) -> Self {
        Self::full(shape, T::ZERO)
    }

    /// A tensor of shape `[]` that holds one number.
    pub fn scalar(value: T) -> Self {
        Self::full(&[], value)
    }

    /// A tensor that `fill` writes. The slice holds old numbers before: `fill` must write every one.
    pub(crate) fn build(shape: &[usize], fill: impl FnOnce(&mut [T])) -> Self {
        let len = element_count(shape);
        let mut buffer = Buffer::dirty(len);
        fill(&mut buffer.data_mut().expect("a new buffer has one owner")[..len]);
        Self::contiguous(buffer, shape)
    }

    fn contiguous(buffer: Buffer<T>, shape: &[usize]) -> Self {
        Tensor { buffer, offset: 0, strides: row_major(shape), shape: Shape::from_slice(shape) }
    }
}

/// Looking at tensors.
impl<T: Scalar> Tensor<T> {
    /// The length of every axis; `[]` for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How far apart neighbours along every axis lie in memory, in numbers; 0 along a broadcast axis.
    pub fn strides(&self) -> &[usize] {
        &self.strides
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        element_count(&self.shape)
    }

    /// Whether there is no element: some axis has length 0.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Whether the elements lie in memory in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&length, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if length != 1 && stride != expected {
                return self.is_empty();
            }
            expected *= length;
        }
        true
    }

    /// The numbers as one slice, if they are contiguous.
    pub fn as_slice(&self) -> Option<&[T]> {
        self.is_contiguous().then(|| &self.view().data[..self.len()])
    }

    /// A copy of the numbers in row-major order.
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(slice) => slice.to_vec(),
            None => {
                let mut out = vec![T::ZERO; self.len()];
                self.copy_to(&mut out);
                out
            }
        }
    }

    /// Copies the numbers in row-major order to `to`, which has exactly their length.
    pub(crate) fn copy_to(&self, to: &mut [T]) {
        match self.as_slice() {
            Some(slice) => to.copy_from_slice(slice),
            None => elementwise::map(self.view(), to, |x| x),
        }
    }

    /// The number at `index`, one position per axis.
    ///
    /// # Panics
    /// If `index` has the wrong length or lies outside.
    #[track_caller]
    pub fn at(&self, index: &[usize]) -> T {
        if index.len() != self.rank() || index.iter().zip(&self.shape).any(|(i, n)| i >= n) {
            panic!("at: index {index:?} does not lie in shape {:?}", self.shape());
        }
        let place: usize = index.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
        self.buffer.data()[self.offset + place]
    }

    /// The only number of a tensor with one element.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn item(&self) -> T {
        if self.len() != 1 {
            panic!("item: shape {:?} holds {} numbers, expected one", self.shape(), self.len());
        }
        self.buffer.data()[self.offset]
    }

    pub(crate) fn view(&self) -> View<'_, T> {
        // An empty view may start behind the end of its buffer (a slice at the end of an axis, say).
        let data = self.buffer.data().get(self.offset..).unwrap_or_default();
        View { data, shape: &self.shape, strides: &self.strides }
    }
}

/// Views: the same numbers seen in another order, shape or part.
impl<T: Scalar> Tensor<T> {
    fn with_layout(&self, offset: usize, shape: Shape, strides: Shape) -> Self {
        Tensor { buffer: self.buffer.clone(), offset, shape, strides }
    }

    /// The part `range` of `axis`.
    ///
    /// # Panics
    /// If there is no such axis or the range does not lie within it.
    #[track_caller]
    pub fn slice(&self, axis: usize, range: Range<usize>) -> Self {
        check_range("slice", &self.shape, axis, &range);
        let mut shape = self.shape.clone();
        shape[axis] = range.len();
        self.with_layout(self.offset + range.start * self.strides[axis], shape, self.strides.clone())
    }

    /// Position `at` of `axis`; the axis is gone.
    ///
    /// # Panics
    /// If there is no such axis or position.
    #[track_caller]
    pub fn index(&self, axis: usize, at: usize) -> Self {
        check_range("index", &self.shape, axis, &(at..at + 1));
        let (mut shape, mut strides) = (self.shape.clone(), self.strides.clone());
        shape.remove(axis);
        let stride = strides.remove(axis);
        self.with_layout(self.offset + at * stride, shape, strides)
    }

    /// The axes in the order `axes`: axis `k` of the result is axis `axes[k]` of this tensor.
    ///
    /// # Panics
    /// If `axes` does not name every axis once.
    #[track_caller]
    pub fn permute(&self, axes: &[usize]) -> Self {
        let once = (0..self.rank()).all(|axis| axes.contains(&axis));
        if axes.len() != self.rank() || !once {
            panic!("permute: {axes:?} does not name every axis of shape {:?} once", self.shape());
        }
        let shape = axes.iter().map(|&a| self.shape[a]).collect();
        let strides = axes.iter().map(|&a| self.strides[a]).collect();
        self.with_layout(self.offset, shape, strides)
    }

    /// The last two axes swapped.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    pub fn transpose(&self) -> Self {
        let rank = self.rank();
        if rank < 2 {
            panic!("transpose: shape {:?} has fewer than two axes", self.shape());
        }
        let (mut shape, mut strides) = (self.shape.clone(), self.strides.clone());
        shape.swap(rank - 2, rank - 1);
        strides.swap(rank - 2, rank - 1);
        self.with_layout(self.offset, shape, strides)
    }

    /// The tensor stretched to `shape` by the rules of broadcasting; nothing is copied.
    ///
    /// # Panics
    /// If this tensor's shape does not stretch to `shape`.
    #[track_caller]
    pub fn broadcast_to(&self, shape: &[usize]) -> Self {
        match broadcast_strides(&self.shape, &self.strides, shape) {
            Some(strides) => self.with_layout(self.offset, Shape::from_slice(shape), strides),
            None => shape::mismatch("broadcast_to", &[self.shape(), shape], "a length of 1 wherever they differ"),
        }
    }

    /// The same numbers in row-major order under another shape; copied only if they are not contiguous.
    ///
    /// # Panics
    /// If the number of elements differs.
    #[track_caller]
    pub fn reshape(&self, shape: &[usize]) -> Self {
        if element_count(shape) != self.len() {
            shape::mismatch("reshape", &[self.shape(), shape], "the same number of elements");
        }
        let whole = self.to_contiguous();
        whole.with_layout(whole.offset, Shape::from_slice(shape), row_major(shape))
    }

    /// This tensor with a new axis of length 1 at `axis`; nothing is copied.
    ///
    /// # Panics
    /// If `axis` is larger than the rank.
    #[track_caller]
    pub fn unsqueeze(&self, axis: usize) -> Self {
        if axis > self.rank() {
            panic!("unsqueeze: axis {axis} lies beyond shape {:?}", self.shape());
        }
        let (mut shape, mut strides) = (self.shape.clone(), self.strides.clone());
        shape.insert(axis, 1);
        strides.insert(axis, 0);
        self.with_layout(self.offset, shape, strides)
    }

    /// The same tensor with its numbers in row-major order without gaps; copied only if they are not.
    pub fn to_contiguous(&self) -> Self {
        if self.is_contiguous() { self.clone() } else { self.map(|x| x) }
    }
}

/// Arithmetic, as ops and optimisers need it. Differentiable arithmetic is that of [`Var`](crate::Var).
impl<T: Scalar> Tensor<T> {
    /// `f` of every element.
    pub fn map(&self, f: impl Fn(T) -> T) -> Self {
        Self::build(&self.shape, |to| elementwise::map(self.view(), to, f))
    }

    /// `f(from, to)` over slices: for functions that have a vectorised form.
    pub(crate) fn map_slices(&self, f: impl Fn(&[T], &mut [T])) -> Self {
        Self::build(&self.shape, |to| elementwise::map_slices(self.view(), to, f))
    }

    /// `f` of every pair of elements, with broadcasting.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn zip(&self, other: &Self, f: impl Fn(T, T) -> T) -> Self {
        if self.shape == other.shape {
            return Self::build(&self.shape, |to| elementwise::zip(self.view(), other.view(), to, f));
        }
        let shape = broadcast_or_panic("zip", &self.shape, &other.shape);
        let (a, b) = (self.broadcast_to(&shape), other.broadcast_to(&shape));
        Self::build(&shape, |to| elementwise::zip(a.view(), b.view(), to, f))
    }

    /// The numbers for writing. If another tensor shares them, or they are not contiguous, they are copied first.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if !self.buffer.is_unique() || !self.is_contiguous() {
            *self = self.map(|x| x);
        }
        let (offset, len) = (self.offset, self.len());
        &mut self.buffer.data_mut().expect("the numbers have one owner now")[offset..offset + len]
    }

    /// Adds `other`, which is stretched if need be, in place.
    ///
    /// # Panics
    /// If `other` does not stretch to this tensor's shape.
    #[track_caller]
    pub fn add_assign(&mut self, other: &Self) {
        let other = other.broadcast_to(&self.shape);
        let strides = row_major(&self.shape);
        elementwise::accumulate(self.as_mut_slice(), &strides, other.view(), |x, y| x + y);
    }

    /// Adds `piece` to the part of this tensor that starts at `start` of `axis`; everything else stays.
    pub(crate) fn add_region(&mut self, axis: usize, start: usize, piece: &Self) {
        let strides = row_major(&self.shape);
        let first = start * strides[axis];
        if !piece.is_empty() {
            elementwise::accumulate(&mut self.as_mut_slice()[first..], &strides, piece.view(), |x, y| x + y);
        }
    }

    /// Adds `wide`, summed down to this tensor's shape (the transpose of broadcasting), in place.
    pub(crate) fn add_summed(&mut self, wide: &Self) {
        let own = row_major(&self.shape);
        let strides = broadcast_strides(&self.shape, &own, wide.shape()).expect("a wide cotangent fits its input");
        elementwise::accumulate(self.as_mut_slice(), &strides, wide.view(), |x, y| x + y);
    }

    /// Sums down to `shape`: the transpose of [`broadcast_to`](Tensor::broadcast_to).
    ///
    /// # Panics
    /// If `shape` does not stretch to this tensor's shape.
    #[track_caller]
    pub fn sum_to(&self, shape: &[usize]) -> Self {
        if self.shape() == shape {
            return self.clone();
        }
        if broadcast_strides(shape, &row_major(shape), &self.shape).is_none() {
            shape::mismatch("sum_to", &[self.shape(), shape], "a length of 1 wherever they differ");
        }
        let mut out = Self::zeros(shape);
        out.add_summed(self);
        out
    }

    /// The sum of all elements, added pairwise.
    pub fn sum(&self) -> T {
        reduce::sum_slice(self.to_contiguous().as_slice().expect("contiguous by construction"))
    }

    /// The sum along `axis`, which is gone from the result.
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn sum_axis(&self, axis: usize) -> Self {
        check_axis("sum_axis", &self.shape, axis);
        let mut shape = self.shape.clone();
        shape.remove(axis);
        Self::build(&shape, |to| reduce::sum_axis(self.view(), axis, to))
    }

    /// Folds `axis` by `f` from `start`; the axis is gone from the result.
    pub(crate) fn fold_axis(&self, axis: usize, start: T, f: impl Fn(T, T) -> T) -> Self {
        let mut shape = self.shape.clone();
        shape.remove(axis);
        Self::build(&shape, |to| {
            to.fill(start);
            reduce::fold_axis(self.view(), axis, to, f);
        })
    }

    /// Pieces laid at `(axis, start)` of a tensor of `shape` that they cover without a gap.
    pub(crate) fn assemble<'a>(shape: &[usize], pieces: impl Iterator<Item = (&'a Self, usize, usize)>) -> Self {
        let strides = row_major(shape);
        Self::build(shape, |to| {
            for (piece, axis, start) in pieces.filter(|(piece, ..)| !piece.is_empty()) {
                elementwise::accumulate(&mut to[start * strides[axis]..], &strides, piece.view(), |_, x| x);
            }
        })
    }

    /// The positions `indices` of `axis`, in that order.
    pub(crate) fn gather(&self, axis: usize, indices: &[usize]) -> Self {
        let mut shape = self.shape.clone();
        shape[axis] = indices.len();
        let pieces: Vec<_> = indices.iter().map(|&i| self.slice(axis, i..i + 1)).collect();
        Self::assemble(&shape, pieces.iter().enumerate().map(|(to, piece)| (piece, axis, to)))
    }

    /// `a` where `mask` is not 0, `b` elsewhere, with broadcasting.
    pub(crate) fn choose(mask: &Self, a: &Self, b: &Self) -> Self {
        let shape = broadcast_or_panic("select", &broadcast_or_panic("select", a.shape(), b.shape()), mask.shape());
        let [mask, a, b] = [mask, a, b].map(|x| x.broadcast_to(&shape));
        Self::build(&shape, |to| {
            b.copy_to(to);
            let strides = row_major(&shape);
            elementwise::accumulate_where(to, &strides, mask.view(), a.view());
        })
    }

    /// Whether no element is infinite or NaN.
    pub fn all_finite(&self) -> bool {
        self.to_contiguous().as_slice().is_some_and(|xs| xs.iter().all(|x| x.is_finite()))
    }

    /// The 2-norm of all elements, √Σx².
    pub fn norm(&self) -> T {
        self.map(|x| x * x).sum().sqrt()
    }
}

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

impl<T: Scalar> PartialEq for Tensor<T> {
    /// The same shape and equal numbers.
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.to_vec() == other.to_vec()
    }
}

impl<T: Scalar> fmt::Debug for Tensor<T> {
    /// Shape and numbers, at most the first 32 of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        let numbers = self.to_vec();
        write!(f, "Tensor<{}> {:?} {:?}", T::NAME, self.shape(), &numbers[..numbers.len().min(SHOWN)])?;
        if numbers.len() > SHOWN { write!(f, " and {} more", numbers.len() - SHOWN) } else { Ok(()) }
    }
}
