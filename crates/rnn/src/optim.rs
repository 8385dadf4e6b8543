//! Optimisers, by PyTorch's definitions: parameters θ, gradients g, learning rate η.

use rewind_autograd::{Parameters, Scalar, Tensor};
use thiserror::Error;

use crate::clip::{NonFinite, check_finite};

/// Why a step was refused. The parameters are what they were.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StepError {
    /// A gradient that is infinite or NaN.
    #[error(transparent)]
    NonFinite(#[from] NonFinite),
    /// Parameters that are not those of the steps before, or gradients that are not theirs.
    #[error("parameter {parameter} has shape {found:?}; its gradient or its moments have shape {expected:?}")]
    Shape {
        /// The dotted name.
        parameter: String,
        /// The parameter's shape.
        found: Vec<usize>,
        /// The shape of what should fit it.
        expected: Vec<usize>,
    },
    /// Another number of parameters.
    #[error("{found} parameters; their gradients or moments are {expected}")]
    Count {
        /// How many parameters there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
}

/// How one number changes: `update(rule, step, θ, g, moments)`.
///
/// A rule is a small struct of settings; [`Optimizer`] keeps its moments and walks over the parameters.
pub trait Rule<T: Scalar> {
    /// How many numbers are kept for every parameter from step to step.
    const MOMENTS: usize;

    /// Prepares the numbers that are the same for all parameters of step `step` (the first is 1).
    fn begin(&mut self, step: i32);

    /// The new value of a parameter `x` with gradient `g`; its moments are updated.
    fn update(&self, rate: T, x: T, g: T, moments: [&mut T; 2]) -> T;
}

/// An optimiser: a rule, its learning rate, and its moments in the order of the parameters.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::{Linear, optim::Optimizer, optim::Sgd};
/// let mut model = Linear { weight: Tensor::full(&[1, 1], 1.0_f64), bias: None };
/// let gradient = Linear { weight: Tensor::full(&[1, 1], 0.5), bias: None };
/// let mut optimizer = Optimizer::new(0.1, Sgd::default());
/// optimizer.step(&mut model, &gradient).unwrap();
/// assert_eq!(model.weight.item(), 0.95);
/// ```
#[derive(Clone, Debug)]
pub struct Optimizer<T: Scalar, R> {
    /// η. It may be changed between steps.
    pub rate: T,
    rule: R,
    steps: i32,
    moments: Vec<[Tensor<T>; 2]>,
}

impl<T: Scalar, R: Rule<T>> Optimizer<T, R> {
    /// An optimiser with learning rate `rate`; its moments are made at the first step.
    pub fn new(rate: T, rule: R) -> Self {
        Optimizer { rate, rule, steps: 0, moments: Vec::new() }
    }

    /// Changes every parameter by its gradient, in place.
    ///
    /// # Errors
    /// If a gradient is not finite, or does not belong to these parameters; nothing is changed then.
    pub fn step<M: Parameters<Tensor<T>>>(&mut self, parameters: &mut M, gradients: &M) -> Result<(), StepError> {
        let gradients_by_place = gradients.leaves();
        self.check(parameters, &gradients_by_place)?;
        check_finite(gradients)?;
        if self.moments.is_empty() {
            let zeros = |g: &&Tensor<T>| {
                let of = |needed| Tensor::zeros(if needed { g.shape() } else { &[0] });
                [of(R::MOMENTS > 0), of(R::MOMENTS > 1)]
            };
            self.moments = gradients_by_place.iter().map(zeros).collect();
        }
        self.steps += 1;
        self.rule.begin(self.steps);
        let (rate, rule) = (self.rate, &self.rule);
        let mut places = gradients_by_place.iter().zip(&mut self.moments);
        parameters.visit_mut(|_, parameter| {
            let (gradient, [first, second]) = places.next().expect("the number of parameters has been checked");
            let gradient = gradient.to_contiguous();
            let (mut unused_1, mut unused_2) = (T::ZERO, T::ZERO);
            let (mut first, mut second) = (first.as_mut_slice().iter_mut(), second.as_mut_slice().iter_mut());
            for (x, &g) in parameter.as_mut_slice().iter_mut().zip(gradient.as_slice().unwrap_or_default()) {
                let moments = [first.next().unwrap_or(&mut unused_1), second.next().unwrap_or(&mut unused_2)];
                *x = rule.update(rate, *x, g, moments);
            }
        });
        Ok(())
    }

    fn check<M: Parameters<Tensor<T>>>(&self, parameters: &M, gradients: &[&Tensor<T>]) -> Result<(), StepError> {
        let mut shapes = Vec::new();
        parameters.visit(|name, p| shapes.push((name.to_owned(), p.shape().to_vec())));
        let counts = [gradients.len(), self.moments.len()];
        for &expected in &counts[..if self.steps > 0 { 2 } else { 1 }] {
            if shapes.len() != expected {
                return Err(StepError::Count { found: shapes.len(), expected });
            }
        }
        for (i, (name, found)) in shapes.into_iter().enumerate() {
            let kept = self.moments.get(i).filter(|_| R::MOMENTS > 0).map(|[first, _]| first.shape());
            for expected in [Some(gradients[i].shape()), kept].into_iter().flatten() {
                if found != expected {
                    return Err(StepError::Shape { parameter: name, found, expected: expected.to_vec() });
                }
            }
        }
        Ok(())
    }
}

/// Stochastic gradient descent: v = μ·v + g, θ = θ - η·v; with Nesterov's look ahead θ = θ - η·(g + μ·v)
/// (Nesterov 1983; Sutskever et al. 2013). g includes decay·θ. The first v is g.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sgd<T> {
    /// μ, 0 for none.
    pub momentum: T,
    /// Nesterov's form of the momentum.
    pub nesterov: bool,
    /// The L2 penalty that is added to the gradient.
    pub weight_decay: T,
}

impl<T: Scalar> Rule<T> for Sgd<T> {
    const MOMENTS: usize = 1;
    fn begin(&mut self, _step: i32) {}
    fn update(&self, rate: T, x: T, g: T, [v, _]: [&mut T; 2]) -> T {
        let g = g + self.weight_decay * x;
        // v starts at 0, so the first v is g.
        *v = self.momentum * *v + g;
        x - rate * if self.nesterov { g + self.momentum * *v } else { *v }
    }
}

/// RMSProp (Tieleman and Hinton 2012): s = α·s + (1 - α)·g², θ = θ - η·g/(√s + ε).
#[derive(Clone, Copy, Debug)]
pub struct RmsProp<T> {
    /// α.
    pub alpha: T,
    /// ε.
    pub eps: T,
}

impl<T: Scalar> Default for RmsProp<T> {
    /// α = 0.99, ε = 1e-8.
    fn default() -> Self {
        RmsProp { alpha: T::from_f64(0.99), eps: T::from_f64(1e-8) }
    }
}

impl<T: Scalar> Rule<T> for RmsProp<T> {
    const MOMENTS: usize = 1;
    fn begin(&mut self, _step: i32) {}
    fn update(&self, rate: T, x: T, g: T, [s, _]: [&mut T; 2]) -> T {
        *s = self.alpha * *s + (T::ONE - self.alpha) * g * g;
        x - rate * g / (s.sqrt() + self.eps)
    }
}

/// Adagrad (Duchi et al. 2011): s = s + g², θ = θ - η·g/(√s + ε).
#[derive(Clone, Copy, Debug)]
pub struct Adagrad<T> {
    /// ε.
    pub eps: T,
}

impl<T: Scalar> Default for Adagrad<T> {
    /// ε = 1e-10.
    fn default() -> Self {
        Adagrad { eps: T::from_f64(1e-10) }
    }
}

impl<T: Scalar> Rule<T> for Adagrad<T> {
    const MOMENTS: usize = 1;
    fn begin(&mut self, _step: i32) {}
    fn update(&self, rate: T, x: T, g: T, [s, _]: [&mut T; 2]) -> T {
        *s += g * g;
        x - rate * g / (s.sqrt() + self.eps)
    }
}

/// Adam (Kingma and Ba 2015) and, with a weight decay, AdamW (Loshchilov and Hutter 2019):
///
/// ```text
/// m = β₁·m + (1 - β₁)·g,  v = β₂·v + (1 - β₂)·g²
/// θ = θ - η·decay·θ - η·(m/(1 - β₁ᵗ)) / (√(v/(1 - β₂ᵗ)) + ε)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Adam<T> {
    /// β₁ and β₂.
    pub betas: (T, T),
    /// ε.
    pub eps: T,
    /// The decay of AdamW, apart from the gradient; 0 for Adam.
    pub weight_decay: T,
    corrections: (T, T),
}

impl<T: Scalar> Default for Adam<T> {
    /// β = 0.9, 0.999; ε = 1e-8; no decay.
    fn default() -> Self {
        Adam::with_decay(T::ZERO)
    }
}

impl<T: Scalar> Adam<T> {
    /// AdamW: the default settings with a weight decay.
    pub fn with_decay(weight_decay: T) -> Self {
        let betas = (T::from_f64(0.9), T::from_f64(0.999));
        Adam { betas, eps: T::from_f64(1e-8), weight_decay, corrections: (T::ONE, T::ONE) }
    }
}

impl<T: Scalar> Rule<T> for Adam<T> {
    const MOMENTS: usize = 2;
    fn begin(&mut self, step: i32) {
        let correction = |beta: T| T::from_f64(1.0 - beta.to_f64().powi(step));
        self.corrections = (correction(self.betas.0), correction(self.betas.1));
    }
    fn update(&self, rate: T, x: T, g: T, [m, v]: [&mut T; 2]) -> T {
        let (b1, b2) = self.betas;
        *m = b1 * *m + (T::ONE - b1) * g;
        *v = b2 * *v + (T::ONE - b2) * g * g;
        let decayed = x - rate * self.weight_decay * x;
        decayed - rate * (*m / self.corrections.0) / ((*v / self.corrections.1).sqrt() + self.eps)
    }
}
