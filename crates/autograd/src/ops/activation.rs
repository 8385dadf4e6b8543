//! Activations: the functions that gates and hidden states pass through.

use super::unary_ops;
use crate::shape::{broadcast, mismatch};
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
        value: |x| x.map(|x| if x > T::ZERO { x } else { x.exp_m1() }),
        reads: INPUTS,
        vjp: |at| {
            // e^min(x, 0). y + 1 would do as well, if it did not round e^x away where y is next to -1.
            at.cotangent() * (-((-at.input(0)).relu())).exp()
        },
    }

    /// The normal distribution function, y = Φ(x) = ½·(1 + erf(x/√2)), exact where it is next to 0;
    /// x̄ = ȳ·exp(-x²/2)/√(2π).
    normal_cdf = NormalCdf {
        value: |x| x.map(T::normal_cdf),
        reads: INPUTS,
        vjp: |at| {
            let density = (at.input(0).square() * T::from_f64(-0.5)).exp();
            at.cotangent() * density * T::from_f64(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 / 2.0)
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

impl<'t, T: Scalar> Var<'t, T> {
    /// The sigmoid linear unit, x·sigmoid x (Hendrycks and Gimpel 2016).
    #[track_caller]
    pub fn silu(self) -> Self {
        self * self.sigmoid()
    }

    /// The Gaussian error linear unit, x·Φ(x) = x·½·(1 + erf(x/√2)) (Hendrycks and Gimpel 2016).
    #[track_caller]
    pub fn gelu(self) -> Self {
        self * self.normal_cdf()
    }

    /// Layer normalisation over the last axis: (x - mean)/√(variance + eps)·gain + bias, the variance that of the
    /// population (Ba et al. 2016). x `[…, n]`, gain and bias `[n]`. Numbers whose squares overflow are normalised as all others.
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
        let normalised = match units(&centred.value()) {
            None => {
                let variance = centred.square().mean_axis(axis).unsqueeze(axis);
                centred / (variance + eps).sqrt()
            }
            // Both sides of the quotient in a unit in which squares do not overflow. It cancels, so it is a constant.
            Some(units) => {
                let eps = self.tape().constant(units.map(|unit| eps / unit / unit));
                let centred = centred / self.tape().constant(units);
                let variance = centred.square().mean_axis(axis).unsqueeze(axis);
                centred / (variance + eps).sqrt()
            }
        };
        normalised * gain + bias
    }
}

/// For every row of `x` a power of two next to its largest number if that is so large that squares may overflow, else 1;
/// `None` if all are 1.
fn units<T: Scalar>(x: &Tensor<T>) -> Option<Tensor<T>> {
    const LARGE: f64 = 1e15;
    let axis = x.rank() - 1;
    let largest = x.fold_axis(axis, T::ZERO, |a, b| if b.abs() > a { b.abs() } else { a });
    let unit = |largest: T| {
        let largest = largest.to_f64();
        if largest > LARGE && largest.is_finite() { T::from_f64(largest.log2().floor().exp2()) } else { T::ONE }
    };
    let units = largest.map(unit);
    units.to_vec().iter().any(|&unit| unit != T::ONE).then(|| units.unsqueeze(axis))
}
