//! Losses in their numerically safe forms, one number per row; what is averaged over is the caller's choice.

use crate::shape::mismatch;
use crate::{Scalar, Var};

impl<'t, T: Scalar> Var<'t, T> {
    /// Softmax cross-entropy of logits `[…, C]` against `target`, a distribution over the C classes of the same shape:
    /// -Σ_c target_c · ln softmax(logits)_c → `[…]`.
    ///
    /// A row of zeros in `target` has loss 0 and gradient 0: that is how a target is ignored. Safe for logits of
    /// hundreds: the softmax is never computed on its own.
    ///
    /// # Panics
    /// If the shapes differ or there is no axis of classes.
    #[track_caller]
    pub fn cross_entropy(self, target: Var<'t, T>) -> Self {
        let (shape, wanted) = (self.shape(), target.shape());
        if shape != wanted || shape.is_empty() {
            mismatch("cross_entropy", &[&shape, &wanted], "logits […, C] and a target of the same shape");
        }
        let axis = shape.len() - 1;
        // Where the target is 0 the product is chosen to be 0, since ln softmax may be -∞ there.
        let counted = target.sign().select(self.log_softmax(axis) * target, self.tape().scalar(T::ZERO));
        -counted.sum_axis(axis)
    }

    /// Binary cross-entropy of logits against `target` in 0..=1, elementwise: softplus(x) - x·target.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn binary_cross_entropy(self, target: Var<'t, T>) -> Self {
        let (shape, wanted) = (self.shape(), target.shape());
        if shape != wanted {
            mismatch("binary_cross_entropy", &[&shape, &wanted], "logits and a target of the same shape");
        }
        self.softplus() - self * target
    }

    /// (x - target)², elementwise.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn squared_error(self, target: Var<'t, T>) -> Self {
        let (shape, wanted) = (self.shape(), target.shape());
        if shape != wanted {
            mismatch("squared_error", &[&shape, &wanted], "two variables of the same shape");
        }
        let difference = self - target;
        difference * difference
    }
}
