//! Gradient descent with momentum, RMSProp and Adagrad.

use rewind_autograd::{Parameters, Scalar, Tensor};

use super::{Memory, Moments, Optimizer, Settings, fraction, not_negative, setting, settings, state_methods};
use crate::Result;

/// Stochastic gradient descent, with L2 decay λ, momentum μ (Polyak 1964) and Nesterov's look-ahead (Sutskever et al.
/// 2013):
///
/// g ← g + λ·w; v ← μ·v + g; w ← w - rate·v, or w ← w - rate·(g + μ·v) with Nesterov.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::optim::{Optimizer, Sgd};
///
/// parameters! { struct One<P> { w: P } }
///
/// let (mut one, gradient) = (One { w: Tensor::scalar(1.0_f64) }, One { w: Tensor::scalar(2.0) });
/// let mut optimizer = Sgd::new(0.1).momentum(0.9).nesterov(true);
/// optimizer.step(&mut one, &gradient)?;
/// assert!((one.w.item() - 0.62).abs() < 1e-6);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sgd<T: Scalar> {
    learning_rate: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    memory: Memory<T, 1>,
    /// Without momentum, only the number of steps is kept.
    plain: Memory<T, 0>,
}

impl<T: Scalar> Sgd<T> {
    /// Plain descent: w ← w - rate·g.
    pub fn new(learning_rate: f64) -> Self {
        Sgd {
            learning_rate,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            memory: Memory::new(["momentum"]),
            plain: Memory::new([]),
        }
    }

    /// With momentum μ in [0, 1).
    pub fn momentum(self, momentum: f64) -> Self {
        Sgd { momentum, ..self }
    }

    /// With Nesterov's form of the momentum, μ > 0.
    pub fn nesterov(self, nesterov: bool) -> Self {
        Sgd { nesterov, ..self }
    }

    /// With L2 decay λ, added to the gradient.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Sgd { weight_decay, ..self }
    }

    fn has_momentum(&self) -> bool {
        self.momentum != 0.0
    }
}

impl<T: Scalar> Optimizer<T> for Sgd<T> {
    fn step<M: Parameters<Tensor<T>>>(&mut self, parameters: &mut M, gradients: &M) -> Result<()> {
        not_negative::<T>("the learning rate", self.learning_rate)?;
        not_negative::<T>("the weight decay", self.weight_decay)?;
        fraction::<T>("the momentum", self.momentum)?;
        if self.nesterov && !self.has_momentum() {
            return Err(setting("the momentum", self.momentum, "a number in (0, 1) with Nesterov"));
        }
        let [rate, decay, momentum] = [self.learning_rate, self.weight_decay, self.momentum].map(T::from_f64);
        let nesterov = self.nesterov;
        if !self.has_momentum() {
            return self.plain.step(parameters, gradients, |_, w, g, []| (w - rate * (g + decay * w), []));
        }
        self.memory.step(parameters, gradients, |_, w, g, [v]| {
            let g = g + decay * w;
            let v = momentum * v + g;
            (w - rate * if nesterov { g + momentum * v } else { v }, [v])
        })
    }

    fn settings(&self) -> Settings {
        let Sgd { momentum, nesterov, weight_decay, .. } = self;
        settings(&[("momentum", momentum), ("nesterov", nesterov), ("weight_decay", weight_decay)])
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }
    fn moments(&self) -> Moments<T> {
        if self.has_momentum() { self.memory.moments() } else { self.plain.moments() }
    }
    fn load_moments(&mut self, moments: &Moments<T>) -> Result<()> {
        if self.has_momentum() { self.memory.load(moments) } else { self.plain.load(moments) }
    }
}

/// RMSProp (Tieleman and Hinton 2012, lecture 6.5), with L2 decay λ:
///
/// g ← g + λ·w; s ← α·s + (1 - α)·g²; w ← w - rate·g/(√s + eps).
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::optim::{Optimizer, RmsProp};
///
/// parameters! { struct One<P> { w: P } }
///
/// let (mut one, gradient) = (One { w: Tensor::scalar(1.0_f64) }, One { w: Tensor::scalar(2.0) });
/// let mut optimizer = RmsProp::new(0.01).alpha(0.75);
/// optimizer.step(&mut one, &gradient)?;
/// assert!((one.w.item() - 0.98).abs() < 1e-6);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RmsProp<T: Scalar> {
    learning_rate: f64,
    alpha: f64,
    eps: f64,
    weight_decay: f64,
    memory: Memory<T, 1>,
}

impl<T: Scalar> RmsProp<T> {
    /// With α = 0.99, eps = 1e-8 and no decay.
    pub fn new(learning_rate: f64) -> Self {
        RmsProp { learning_rate, alpha: 0.99, eps: 1e-8, weight_decay: 0.0, memory: Memory::new(["square_avg"]) }
    }

    /// With α in [0, 1) for the running mean of squares.
    pub fn alpha(self, alpha: f64) -> Self {
        RmsProp { alpha, ..self }
    }

    /// With another eps, added to the root.
    pub fn eps(self, eps: f64) -> Self {
        RmsProp { eps, ..self }
    }

    /// With L2 decay λ, added to the gradient.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        RmsProp { weight_decay, ..self }
    }
}

impl<T: Scalar> Optimizer<T> for RmsProp<T> {
    fn step<M: Parameters<Tensor<T>>>(&mut self, parameters: &mut M, gradients: &M) -> Result<()> {
        not_negative::<T>("the learning rate", self.learning_rate)?;
        not_negative::<T>("the weight decay", self.weight_decay)?;
        not_negative::<T>("eps", self.eps)?;
        fraction::<T>("alpha", self.alpha)?;
        let [rate, decay, alpha, rest, eps] =
            [self.learning_rate, self.weight_decay, self.alpha, 1.0 - self.alpha, self.eps].map(T::from_f64);
        self.memory.step(parameters, gradients, |_, w, g, [s]| {
            let g = g + decay * w;
            let s = alpha * s + rest * g * g;
            (w - rate * quotient(g, s.sqrt() + eps), [s])
        })
    }

    fn settings(&self) -> Settings {
        let RmsProp { alpha, eps, weight_decay, .. } = self;
        settings(&[("alpha", alpha), ("eps", eps), ("weight_decay", weight_decay)])
    }

    state_methods!(T);
}

/// Adagrad (Duchi, Hazan and Singer 2011), with L2 decay λ:
///
/// g ← g + λ·w; s ← s + g²; w ← w - rate·g/(√s + eps).
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::optim::{Optimizer, Adagrad};
///
/// parameters! { struct One<P> { w: P } }
///
/// let (mut one, gradient) = (One { w: Tensor::scalar(1.0_f64) }, One { w: Tensor::scalar(2.0) });
/// let mut optimizer = Adagrad::new(0.1);
/// optimizer.step(&mut one, &gradient)?;
/// assert!((one.w.item() - 0.9).abs() < 1e-6);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adagrad<T: Scalar> {
    learning_rate: f64,
    eps: f64,
    weight_decay: f64,
    memory: Memory<T, 1>,
}

impl<T: Scalar> Adagrad<T> {
    /// With eps = 1e-10 and no decay.
    pub fn new(learning_rate: f64) -> Self {
        Adagrad { learning_rate, eps: 1e-10, weight_decay: 0.0, memory: Memory::new(["sum"]) }
    }

    /// With another eps, added to the root.
    pub fn eps(self, eps: f64) -> Self {
        Adagrad { eps, ..self }
    }

    /// With L2 decay λ, added to the gradient.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Adagrad { weight_decay, ..self }
    }
}

impl<T: Scalar> Optimizer<T> for Adagrad<T> {
    fn step<M: Parameters<Tensor<T>>>(&mut self, parameters: &mut M, gradients: &M) -> Result<()> {
        not_negative::<T>("the learning rate", self.learning_rate)?;
        not_negative::<T>("the weight decay", self.weight_decay)?;
        not_negative::<T>("eps", self.eps)?;
        let [rate, decay, eps] = [self.learning_rate, self.weight_decay, self.eps].map(T::from_f64);
        self.memory.step(parameters, gradients, |_, w, g, [s]| {
            let g = g + decay * w;
            let s = s + g * g;
            (w - rate * quotient(g, s.sqrt() + eps), [s])
        })
    }

    fn settings(&self) -> Settings {
        settings(&[("eps", &self.eps), ("weight_decay", &self.weight_decay)])
    }

    state_methods!(T);
}

/// a / b, and 0 where a is 0: with eps = 0 a weight that never had a gradient does not move.
pub(super) fn quotient<T: Scalar>(a: T, b: T) -> T {
    if a == T::ZERO { T::ZERO } else { a / b }
}
