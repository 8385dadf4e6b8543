//! Losses in their numerically safe forms, one value per row; what is averaged over is the caller's choice.

use super::select::{Weighted, weighted};
use crate::shape::mismatch;
use crate::{Scalar, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// Binary cross-entropy of logits x against targets t in 0..=1, elementwise: -t·ln σ(x) - (1 - t)·ln(1 - σ(x)); x̄
    /// = ȳ·(σ(x) - t), t̄ = -ȳ·x. Value and gradient are accurate for logits of any size.
    ///
    /// Computed as w·|x| + ln(1 + e^-|x|), where w is the target's share of the class that x votes against: no terms
    /// cancel.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let logit = tape.leaf(Tensor::scalar(20.0_f32));
    /// let loss = logit.binary_cross_entropy(tape.scalar(1.0));
    /// assert!((loss.value().item() / 2.0611537e-9 - 1.0).abs() < 1e-6);
    /// assert!((loss.backward().get(logit).item() / -2.0611537e-9 - 1.0).abs() < 1e-6);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    pub method binary_cross_entropy = BinaryCrossEntropy(x, t) {
        check: check_same("binary_cross_entropy", x, t, "logits and a target of the same shape"),
        value: x.zip(t, |x, t| {
            let against = if x > T::ZERO { T::ONE - t } else { t };
            weighted(against, x.abs()) + (-x.abs()).exp().ln_1p()
        }),
        x: |g, x, t| g.tape().apply(BinaryCrossEntropyVjp, &[x, t, g]),
        t: |g, x| -(g * x),
    }

    /// ȳ·(σ(x) - t): the adjoint of the binary cross-entropy in one pass. Inputs x, t and g, cotangent c: x̄' = g·c·σ(x)·σ(-x),
    /// t̄' = -g·c, ḡ' = c·(σ(x) - t).
    ///
    /// Computed as (1 - t) - σ(-x) where x is positive: σ(x) - t would round the gradient of a confident prediction to 0.
    pub op binary_cross_entropy_vjp = BinaryCrossEntropyVjp(x, t, g) {
        value: x.zip(t, slope).zip(g, |slope, g| slope * g),
        x: |c, x, g| g * c * x.sigmoid() * (-x).sigmoid(),
        t: |c, g| -(g * c),
        g: |c, x, t| c.tape().apply(BinaryCrossEntropyVjp, &[x, t, c]),
    }
}

/// σ(x) - t, without cancellation.
fn slope<T: Scalar>(x: T, t: T) -> T {
    let e = (-x.abs()).exp();
    let small = e / (T::ONE + e); // σ(-|x|)
    if x > T::ZERO { (T::ONE - t) - small } else { small - t }
}

#[track_caller]
fn check_same<'t, T: Scalar>(op: &str, x: Var<'t, T>, target: Var<'t, T>, expected: &str) {
    let (shape, wanted) = (x.shape(), target.shape());
    if shape != wanted {
        mismatch(op, &[&shape, &wanted], expected);
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// Softmax cross-entropy of logits `[…, C]` against `target`, a distribution over the C classes of the same shape:
    /// -Σ_c target_c · ln softmax(logits)_c → `[…]`.
    ///
    /// A row of zeros in `target` has loss 0 and gradient 0: use it to ignore a target. Value and gradient are accurate
    /// for logits of any size, also for predictions so confident that the softmax rounds to 1. The gradient with
    /// respect to the target is -ln softmax, also where the target is 0.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let logits = tape.leaf(Tensor::from_vec(vec![20.0_f32, 0.0], &[1, 2]));
    /// let target = tape.leaf(Tensor::from_vec(vec![1.0, 0.0], &[1, 2]));
    /// let loss = logits.cross_entropy(target).sum();
    /// let gradients = loss.backward();
    /// assert!((loss.value().item() / 2.0611537e-9 - 1.0).abs() < 1e-6);
    /// assert!((gradients.get(logits).to_vec()[0] / -2.0611537e-9 - 1.0).abs() < 1e-6);
    /// assert_eq!(gradients.get(target).to_vec()[1], 20.0);
    /// ```
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
        // Where the target is 0, ln softmax may be -∞, and 0·∞ would be NaN.
        let terms = self.tape().apply(Weighted, &[target, self.log_softmax(axis)]);
        // A loss of 0 is 0, and not -0.
        terms.sum_axis(axis).scale_shift(-T::ONE, T::ZERO)
    }

    /// (x - target)², elementwise.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::from_vec(vec![1.0, 5.0], &[2]));
    /// let target = tape.constant(Tensor::from_vec(vec![2.0, 2.0], &[2]));
    /// assert_eq!(x.squared_error(target).value().to_vec(), [1.0, 9.0]);
    /// assert_eq!(x.squared_error(target).mean().backward().get(x).to_vec(), [-1.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn squared_error(self, target: Var<'t, T>) -> Self {
        check_same("squared_error", self, target, "two variables of the same shape");
        let difference = self - target;
        difference * difference
    }
}
