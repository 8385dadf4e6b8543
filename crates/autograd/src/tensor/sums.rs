//! Sums of elements. No more than a block is added sequentially, so the error grows with the logarithm of the number of
//! elements.

use std::iter;

use super::Tensor;
use crate::Scalar;
use crate::kernels::elementwise;
use crate::kernels::reduce::{self, BLOCK};
use crate::shape::{self, Shape, broadcast_strides, check_axis, row_major, stretches_to};

/// Sums and norms. Blocks of elements are added pairwise, so that the error grows with the logarithm of their number,
/// on any axis.
impl<T: Scalar> Tensor<T> {
    /// The sum of all elements, added pairwise.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::full(&[2, 3], 0.5).sum(), 3.0);
    /// ```
    pub fn sum(&self) -> T {
        reduce::sum_slice(self.to_contiguous().as_slice().expect("contiguous by construction"))
    }

    /// The sum along `axis`, which is removed; added pairwise.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// assert_eq!(x.sum_axis(0).to_vec(), [5.0, 7.0, 9.0]);
    /// assert_eq!(x.sum_axis(1).to_vec(), [6.0, 15.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn sum_axis(&self, axis: usize) -> Self {
        check_axis("sum_axis", self.shape(), axis);
        let mut shape = Shape::from_slice(self.shape());
        if axis + 1 == self.rank() && shape[axis] > 1 && self.strides()[axis] == 1 {
            shape.remove(axis);
            return Self::build(&shape, |to| reduce::sum_rows(self.view(), to));
        }
        shape[axis] = 1;
        let mut sum = Self::zeros(&shape);
        sum.add_halves(self);
        shape.remove(axis);
        sum.reshape(&shape)
    }

    /// Sums down to `shape`, pairwise: the transpose of [`broadcast_to`](Tensor::broadcast_to).
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let x = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// assert_eq!(x.sum_to(&[2, 1]).to_vec(), [6.0, 15.0]);
    /// ```
    ///
    /// # Panics
    /// If `shape` does not stretch to this tensor's shape.
    #[track_caller]
    pub fn sum_to(&self, shape: &[usize]) -> Self {
        if self.shape() == shape {
            return self.clone();
        }
        if !stretches_to(shape, self.shape()) {
            shape::mismatch("sum_to", &[self.shape(), shape], "a length of 1 wherever they differ");
        }
        let mut sum = Self::zeros(shape);
        sum.add_summed(self);
        sum
    }

    /// Adds `wide`, summed down to this tensor's shape (the transpose of broadcasting), in place. Returns how many
    /// elements were added sequentially to each of this tensor's.
    pub(crate) fn add_summed(&mut self, wide: &Self) -> usize {
        if let Some(from) = wide.as_slice()
            && wide.repeats(self)
            && from.len() <= BLOCK * self.len()
        {
            let to = self.as_mut_slice();
            return elementwise::rows(from, to.len()).map(|from| elementwise::add(to, from)).count();
        }
        let added = reduce::added_one_by_one(&self.strides_in(wide), wide.shape());
        if added <= BLOCK {
            self.add_halves(wide);
            return added;
        }
        let mut sum = Self::zeros(self.shape());
        sum.add_halves(wide);
        self.add_assign(&sum);
        1
    }

    /// Adds `wide`, summed down: a long axis in halves, each summed separately.
    fn add_halves(&mut self, wide: &Self) {
        if wide.is_empty() {
            return;
        }
        let strides = self.strides_in(wide);
        if let Some(from) = wide.as_slice()
            && reduce::sums_leading_axes(&strides, wide.shape())
        {
            return reduce::add_rows(self.as_mut_slice(), from);
        }
        if reduce::added_one_by_one(&strides, wide.shape()) <= BLOCK {
            return reduce::add_runs(self.as_mut_slice(), &strides, wide.view());
        }
        let summed = |axis: &usize| strides[*axis] == 0 && wide.shape()[*axis] > 1;
        let axis = (0..wide.rank()).find(summed).expect("many elements are added along some axis");
        let length = wide.shape()[axis];
        self.add_halves(&wide.part(axis, 0..length / 2));
        let mut second = Self::zeros(self.shape());
        second.add_halves(&wide.part(axis, length / 2..length));
        self.add_assign(&second);
    }

    /// The strides that map the elements of `wide` to those of this tensor, in row-major order, to which they are
    /// summed.
    fn strides_in(&self, wide: &Self) -> Shape {
        broadcast_strides(self.shape(), &row_major(self.shape()), wide.shape())
            .expect("a wide cotangent fits its input")
    }

    /// The sums of all positions up to each one along `axis`; from the last one on, if `reversed`.
    pub(crate) fn cumsum(&self, axis: usize, reversed: bool) -> Self {
        let (length, inner) = (self.shape()[axis], self.shape()[axis + 1..].iter().product::<usize>());
        self.build_like(|to| {
            self.copy_to(to);
            elementwise::rows_mut(to, length * inner)
                .for_each(|numbers| reduce::prefix_sums(numbers, length, inner, reversed));
        })
    }

    /// The 2-norm of all elements, √Σx²: ∞ only if it exceeds the range of the type, or an element is infinite.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// assert_eq!(Tensor::from_vec(vec![3e30_f32, 4e30], &[2]).norm(), 5e30); // the squares alone are infinite
    /// ```
    pub fn norm(&self) -> T {
        let numbers = self.to_contiguous();
        T::from_f64(reduce::norm(iter::once(numbers.as_slice().expect("contiguous by construction"))))
    }

    /// The 2-norm of the elements of all `tensors` together, √Σx², computed in `f64`: of the gradient of all parameters, say.
    /// NaN or ∞ if an element is.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// let (a, b) = (Tensor::full(&[3], 2.0_f32), Tensor::full(&[2, 2], 1.0));
    /// assert_eq!(Tensor::joint_norm([&a, &b]), 4.0);
    /// ```
    pub fn joint_norm<'a>(tensors: impl IntoIterator<Item = &'a Self>) -> f64 {
        let tensors: Vec<_> = tensors.into_iter().map(Self::to_contiguous).collect();
        reduce::norm(tensors.iter().map(|tensor| tensor.as_slice().expect("contiguous by construction")))
    }
}
