//! Losses in their numerically safe forms, one number per row; what is averaged over is the caller's choice.

use super::select::{Weighted, weighted};
use crate::shape::mismatch;
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// -t·ln σ(x) - (1 - t)·ln(1 - σ(x)) for logits x and targets t, computed as w·|x| + ln(1 + e^-|x|), where w is what the target
/// gives to the class that x speaks against: no term cancels another. x̄ = ȳ·(σ(x) - t), t̄ = -ȳ·x.
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossEntropy;

impl<T: Scalar> Op<T> for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary_cross_entropy"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |x, t| {
            let against = if x > T::ZERO { T::ONE - t } else { t };
            weighted(against, x.abs()) + (-x.abs()).exp().ln_1p()
        })
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (x, t, g) = (at.input(0), at.input(1), at.cotangent());
        Term::dense(match input {
            0 => at.tape().apply(BinaryCrossEntropyVjp, &[x, t, g]),
            _ => -(g * x),
        })
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// ȳ·(σ(x) - t): the adjoint of the binary cross-entropy in one pass. Inputs x, t and g, cotangent c: x̄' = g·c·σ(x)·σ(-x),
/// t̄' = -g·c, ḡ' = c·(σ(x) - t).
///
/// Computed as (1 - t) - σ(-x) where x is positive: σ(x) - t would round the gradient of a confident prediction to 0.
#[derive(Clone, Copy, Debug)]
pub struct BinaryCrossEntropyVjp;

impl<T: Scalar> Op<T> for BinaryCrossEntropyVjp {
    fn name(&self) -> &'static str {
        "binary_cross_entropy_vjp"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let slope = inputs[0].zip(inputs[1], |x, t| {
            let e = (-x.abs()).exp();
            let small = e / (T::ONE + e); // σ(-|x|)
            if x > T::ZERO { (T::ONE - t) - small } else { small - t }
        });
        slope.zip(inputs[2], |slope, g| slope * g)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (x, g, c) = (at.input(0), at.input(2), at.cotangent());
        Term::dense(match input {
            0 => g * c * x.sigmoid() * (-x).sigmoid(),
            1 => -(g * c),
            _ => at.tape().apply(BinaryCrossEntropyVjp, &[x, at.input(1), c]),
        })
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// Softmax cross-entropy of logits `[…, C]` against `target`, a distribution over the C classes of the same shape:
    /// -Σ_c target_c · ln softmax(logits)_c → `[…]`.
    ///
    /// A row of zeros in `target` has loss 0 and gradient 0: that is how a target is ignored. Safe for logits of any size,
    /// and right, with its gradient, for predictions so confident that the softmax rounds to 1. The gradient with respect to
    /// the target is -ln softmax, also where the target is 0.
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

    /// Binary cross-entropy of logits against `target` in 0..=1, elementwise:
    /// -target·ln σ(x) - (1 - target)·ln(1 - σ(x)). Right, with its gradient, for logits of any size.
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
    #[track_caller]
    pub fn binary_cross_entropy(self, target: Var<'t, T>) -> Self {
        let (shape, wanted) = (self.shape(), target.shape());
        if shape != wanted {
            mismatch("binary_cross_entropy", &[&shape, &wanted], "logits and a target of the same shape");
        }
        self.tape().apply(BinaryCrossEntropy, &[self, target])
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
