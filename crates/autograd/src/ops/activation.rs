//! Activations: the functions that gates and hidden states pass through, and softmax in its safe forms.

use super::unary_ops;
use crate::shape::{broadcast, check_axis, mismatch};
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

unary_ops! {
    /// The hyperbolic tangent, y = tanh x; x̄ = ȳ·(1 - y²).
    tanh = Tanh {
        value: |x| x.map_slices(T::tanh_slice),
        reads: OUTPUT,
        vjp: |at| at.tape().apply(TanhVjp, &[at.output(), at.cotangent()]),
    }

    /// The logistic function, y = 1/(1 + e^-x); x̄ = ȳ·y·(1 - y).
    sigmoid = Sigmoid {
        value: |x| x.map_slices(T::sigmoid_slice),
        reads: OUTPUT,
        vjp: |at| at.tape().apply(SigmoidVjp, &[at.output(), at.cotangent()]),
    }

    /// y = ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|), which neither overflows nor loses small values;
    /// x̄ = ȳ·sigmoid x.
    softplus = Softplus {
        value: |x| x.map(|x| (if x > T::ZERO { x } else { T::ZERO }) + (-x.abs()).exp().ln_1p()),
        reads: INPUTS,
        vjp: |at| at.cotangent() * at.input(0).sigmoid(),
    }

    /// The exponential linear unit, y = x where x > 0, e^x - 1 elsewhere; x̄ = ȳ, or ȳ·e^x (Clevert et al. 2016).
    elu = Elu {
        value: |x| x.map(|x| if x > T::ZERO { x } else { x.exp() - T::ONE }),
        reads: OUTPUT,
        vjp: |at| {
            // y + 1 = e^x where x <= 0; min(y, 0) + 1 is 1 where x > 0.
            at.cotangent() * (-((-at.output()).relu()) + T::ONE)
        },
    }
}

/// ȳ·(1 - y²): the adjoint of tanh in one pass, an op like any other. Inputs y and g; ȳ' = -2·y·g·c, ḡ' = (1 - y²)·c.
#[derive(Clone, Copy, Debug)]
pub struct TanhVjp;

impl<T: Scalar> Op<T> for TanhVjp {
    fn name(&self) -> &'static str {
        "tanh_vjp"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |y, g| g * (T::ONE - y * y))
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (y, g, c) = (at.input(0), at.input(1), at.cotangent());
        Term::dense(match input {
            0 => y * g * c * T::from_f64(-2.0),
            _ => at.tape().apply(TanhVjp, &[y, c]),
        })
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// ȳ·y·(1 - y): the adjoint of the logistic function in one pass. Inputs y and g; ȳ' = (1 - 2y)·g·c, ḡ' = y·(1 - y)·c.
#[derive(Clone, Copy, Debug)]
pub struct SigmoidVjp;

impl<T: Scalar> Op<T> for SigmoidVjp {
    fn name(&self) -> &'static str {
        "sigmoid_vjp"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |y, g| g * y * (T::ONE - y))
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (y, g, c) = (at.input(0), at.input(1), at.cotangent());
        Term::dense(match input {
            0 => y.scale_shift(T::from_f64(-2.0), T::ONE) * g * c,
            _ => at.tape().apply(SigmoidVjp, &[y, c]),
        })
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// y = x - ln Σ e^x along an axis, with the largest x taken out first; x̄ = ȳ - e^y·Σȳ.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax {
    axis: usize,
}

impl<T: Scalar> Op<T> for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let x = inputs[0];
        let norm = x.log_sum_exp(self.axis).unsqueeze(self.axis);
        x.zip(&norm, |x, norm| x - norm)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (y, g) = (at.output(), at.cotangent());
        Term::dense(g - y.exp() * g.sum_axis(self.axis).unsqueeze(self.axis))
    }
    fn reads(&self) -> Reads {
        Reads::OUTPUT
    }
}

/// y = e^x / Σ e^x along an axis; x̄ = y·(ȳ - Σ y·ȳ).
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    axis: usize,
}

impl<T: Scalar> Op<T> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let x = inputs[0];
        let norm = x.log_sum_exp(self.axis).unsqueeze(self.axis);
        x.zip(&norm, |x, norm| (x - norm).exp())
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (y, g) = (at.output(), at.cotangent());
        Term::dense(y * (g - (y * g).sum_axis(self.axis).unsqueeze(self.axis)))
    }
    fn reads(&self) -> Reads {
        Reads::OUTPUT
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// e^x / Σ e^x along `axis`.
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn softmax(self, axis: usize) -> Self {
        check_axis("softmax", &self.shape(), axis);
        self.tape().apply(Softmax { axis }, &[self])
    }

    /// ln softmax along `axis`, without a logarithm of a rounded 0: safe for logits of hundreds.
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn log_softmax(self, axis: usize) -> Self {
        check_axis("log_softmax", &self.shape(), axis);
        self.tape().apply(LogSoftmax { axis }, &[self])
    }

    /// The sigmoid linear unit, x·sigmoid x (Hendrycks and Gimpel 2016).
    #[track_caller]
    pub fn silu(self) -> Self {
        self * self.sigmoid()
    }

    /// The Gaussian error linear unit, x·Φ(x) = x·½·(1 + erf(x/√2)) (Hendrycks and Gimpel 2016).
    #[track_caller]
    pub fn gelu(self) -> Self {
        self * (self * T::from_f64(std::f64::consts::FRAC_1_SQRT_2))
            .erf()
            .scale_shift(T::from_f64(0.5), T::from_f64(0.5))
    }

    /// Layer normalisation over the last axis: (x - mean)/√(variance + eps)·gain + bias, the variance that of the
    /// population (Ba et al. 2016). x `[…, n]`, gain and bias `[n]`.
    ///
    /// # Panics
    /// If x is a scalar, or gain or bias do not broadcast to its shape.
    #[track_caller]
    pub fn layer_norm(self, gain: Var<'t, T>, bias: Var<'t, T>, eps: T) -> Self {
        let shape = self.shape();
        let axis = match shape.len() {
            0 => panic!("layer_norm: shape [] has no axis to normalise over"),
            rank => rank - 1,
        };
        let stretches = |v: Var<'t, T>| broadcast(&v.shape(), &shape).is_some_and(|both| both == shape);
        if !stretches(gain) || !stretches(bias) {
            mismatch("layer_norm", &[&shape, &gain.shape(), &bias.shape()], "gain and bias that stretch to x");
        }
        let centred = self - self.mean_axis(axis).unsqueeze(axis);
        let variance = centred.square().mean_axis(axis).unsqueeze(axis);
        centred / (variance + eps).sqrt() * gain + bias
    }
}
