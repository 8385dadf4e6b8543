//! Adam and AdamW: one rule, two kinds of weight decay.

use rewind_autograd::{Parameters, Scalar, Tensor};

use super::rules::quotient;
use super::{Memory, Optimizer, Settings, fraction, not_negative, settings, state_methods};
use crate::Result;

/// The kind of weight decay.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Decay {
    /// Added to the gradient, and so part of the moments: L2.
    Gradient,
    /// Applied to the weight: decoupled.
    Weight,
}

/// The settings and the rule of both.
#[derive(Clone, Debug)]
struct Rule {
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    decay: Decay,
}

fn moments<T: Scalar>() -> Memory<T, 2> {
    Memory::new(["exp_avg", "exp_avg_sq"])
}

impl Rule {
    fn step<T: Scalar, M: Parameters<Tensor<T>>>(
        &self,
        learning_rate: f64,
        memory: &mut Memory<T, 2>,
        parameters: &mut M,
        gradients: &M,
    ) -> Result<()> {
        not_negative::<T>("the learning rate", learning_rate)?;
        not_negative::<T>("the weight decay", self.weight_decay)?;
        not_negative::<T>("eps", self.eps)?;
        let [beta1, beta2] = self.betas;
        fraction::<T>("beta1", beta1)?;
        fraction::<T>("beta2", beta2)?;
        let power = i32::try_from(memory.steps() + 1).unwrap_or(i32::MAX);
        // 1 - β^t: the bias correction of a running mean that starts at 0.
        let [filled1, filled2] = [beta1, beta2].map(|beta| 1.0 - beta.powi(power));
        let [b1, rest1, b2, rest2] = [beta1, 1.0 - beta1, beta2, 1.0 - beta2].map(T::from_f64);
        let [rate, root, eps] = [learning_rate / filled1, filled2.sqrt(), self.eps].map(T::from_f64);
        let (l2, shrink) = match self.decay {
            Decay::Gradient => (self.weight_decay, 1.0),
            Decay::Weight => (0.0, 1.0 - learning_rate * self.weight_decay),
        };
        let [l2, shrink] = [l2, shrink].map(T::from_f64);
        memory.step(parameters, gradients, |_, w, g, [m, s]| {
            let g = g + l2 * w;
            let m = b1 * m + rest1 * g;
            let s = b2 * s + rest2 * g * g;
            (shrink * w - rate * quotient(m, s.sqrt() / root + eps), [m, s])
        })
    }
}

macro_rules! adam {
    ($(#[$doc:meta])* $name:ident, $decay:expr, $weight_decay:literal, $new:literal, $decayed:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<T: Scalar> {
            learning_rate: f64,
            rule: Rule,
            memory: Memory<T, 2>,
        }

        impl<T: Scalar> $name<T> {
            #[doc = $new]
            pub fn new(learning_rate: f64) -> Self {
                let rule = Rule { betas: [0.9, 0.999], eps: 1e-8, weight_decay: $weight_decay, decay: $decay };
                $name { learning_rate, rule, memory: moments() }
            }

            /// With other factors of the running means of g and of g², each in [0, 1).
            pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
                self.rule.betas = [beta1, beta2];
                self
            }

            /// With another eps, added to the root.
            pub fn eps(mut self, eps: f64) -> Self {
                self.rule.eps = eps;
                self
            }

            #[doc = $decayed]
            pub fn weight_decay(mut self, weight_decay: f64) -> Self {
                self.rule.weight_decay = weight_decay;
                self
            }
        }

        impl<T: Scalar> Optimizer<T> for $name<T> {
            fn step<M: Parameters<Tensor<T>>>(&mut self, parameters: &mut M, gradients: &M) -> Result<()> {
                self.rule.step(self.learning_rate, &mut self.memory, parameters, gradients)
            }

            fn settings(&self) -> Settings {
                let Rule { betas: [beta1, beta2], eps, weight_decay, decay: _ } = &self.rule;
                settings(&[("beta1", beta1), ("beta2", beta2), ("eps", eps), ("weight_decay", weight_decay)])
            }

            state_methods!(T);
        }
    };
}

adam! {
    /// Adam (Kingma and Ba 2015), with L2 decay λ; t counts the steps from 1:
    ///
    /// g ← g + λ·w; m ← β1·m + (1 - β1)·g; s ← β2·s + (1 - β2)·g²;
    /// w ← w - rate · m/(1 - β1^t) / (√(s/(1 - β2^t)) + eps).
    ///
    /// ```
    /// use rewind_autograd::{Tensor, parameters};
    /// use rewind_rnn::optim::{Optimizer, Adam};
    ///
    /// parameters! { struct One<P> { w: P } }
    ///
    /// let (mut one, gradient) = (One { w: Tensor::scalar(1.0_f64) }, One { w: Tensor::scalar(2.0) });
    /// let mut optimizer = Adam::new(0.1);
    /// optimizer.step(&mut one, &gradient)?;
    /// assert!((one.w.item() - 0.9).abs() < 1e-6);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    Adam, Decay::Gradient, 0.0,
    "With β1 = 0.9, β2 = 0.999, eps = 1e-8 and no decay.",
    "With L2 decay λ, added to the gradient."
}

adam! {
    /// Adam with decoupled decay λ (Loshchilov and Hutter 2019); t counts the steps from 1:
    ///
    /// m ← β1·m + (1 - β1)·g; s ← β2·s + (1 - β2)·g²;
    /// w ← (1 - rate·λ)·w - rate · m/(1 - β1^t) / (√(s/(1 - β2^t)) + eps).
    ///
    /// ```
    /// use rewind_autograd::{Tensor, parameters};
    /// use rewind_rnn::optim::{Optimizer, AdamW};
    ///
    /// parameters! { struct One<P> { w: P } }
    ///
    /// let (mut one, gradient) = (One { w: Tensor::scalar(1.0_f64) }, One { w: Tensor::scalar(2.0) });
    /// let mut optimizer = AdamW::new(0.1).weight_decay(0.5);
    /// optimizer.step(&mut one, &gradient)?;
    /// assert!((one.w.item() - 0.85).abs() < 1e-6);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    AdamW, Decay::Weight, 0.01,
    "With β1 = 0.9, β2 = 0.999, eps = 1e-8 and λ = 0.01.",
    "With decoupled decay λ."
}
