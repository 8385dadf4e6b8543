//! Activations: the functions that gates and hidden states pass through.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let x = tape.leaf(Tensor::from_vec(vec![-1.0, 0.0, 2.0], &[3]));
//! let close = |y: Tensor<f64>, expected: [f64; 3]| y.to_vec().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
//! assert!(close(x.tanh().value(), [-0.761594, 0.0, 0.964028]));
//! assert!(close(x.sigmoid().value(), [0.268941, 0.5, 0.880797]));
//! assert!(close(x.softplus().value(), [0.313262, 0.693147, 2.126928]));
//! assert!(close(x.elu().value(), [-0.632121, 0.0, 2.0]));
//! assert!(close(x.silu().value(), [-0.268941, 0.0, 1.761594]));
//! assert!(close(x.normal_cdf().value(), [0.158655, 0.5, 0.977250]));
//! assert!(close(x.gelu().value(), [-0.158655, 0.0, 1.954500]));
//! let (gain, bias) = (tape.leaf(Tensor::full(&[3], 1.0)), tape.leaf(Tensor::zeros(&[3])));
//! assert!(close(x.layer_norm(gain, bias, 0.0).value(), [-1.069045, -0.267261, 1.336306]));
//! ```

use crate::shape::{broadcast, mismatch};
use crate::{Scalar, Tensor, Var, ops};

ops! {
    pub(super) const NAMES;

    /// The hyperbolic tangent, y = tanh x; x̄ = ȳ·(1 - y²).
    pub method tanh = Tanh(x) -> y {
        value: x.map_slices(T::tanh_slice),
        x: |g, y| g.tape().apply(TanhVjp, &[y, g]),
    }

    /// ȳ·(1 - y²): the adjoint of tanh in one pass. Inputs y and g; ȳ' = -2·y·g·c, ḡ' = (1 - y²)·c.
    pub op tanh_vjp = TanhVjp(y, g) {
        value: y.zip(g, |y, g| g * (T::ONE - y * y)),
        y: |c, y, g| y * g * c * T::from_f64(-2.0),
        g: |c, y| c.tape().apply(TanhVjp, &[y, c]),
    }

    /// The logistic function, y = 1/(1 + e^-x); x̄ = ȳ·y·(1 - y).
    pub method sigmoid = Sigmoid(x) -> y {
        value: x.map_slices(T::sigmoid_slice),
        x: |g, y| g.tape().apply(SigmoidVjp, &[y, g]),
    }

    /// ȳ·y·(1 - y): the adjoint of the logistic function in one pass. Inputs y and g; ȳ' = (1 - 2y)·g·c, ḡ' = y·(1 - y)·c.
    pub op sigmoid_vjp = SigmoidVjp(y, g) {
        value: y.zip(g, |y, g| g * y * (T::ONE - y)),
        y: |c, y, g| y.scale_shift(T::from_f64(-2.0), T::ONE) * g * c,
        g: |c, y| c.tape().apply(SigmoidVjp, &[y, c]),
    }

    /// y = ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|), which neither overflows nor loses small values;
    /// x̄ = ȳ·sigmoid x.
    pub method softplus = Softplus(x) {
        value: x.map_slices(T::softplus_slice),
        x: |g, x| g * x.sigmoid(),
    }

    /// The exponential linear unit, y = x where x > 0, e^x - 1 elsewhere; x̄ = ȳ, or ȳ·e^x (Clevert et al. 2016).
    pub method elu = Elu(x) {
        value: x.map(|x| if x > T::ZERO { x } else { x.exp_m1() }),
        // e^min(x, 0), and not y + 1, which rounds e^x away where y is close to -1.
        x: |g, x| g * (-((-x).relu())).exp(),
    }

    /// The normal distribution function, y = Φ(x) = ½·(1 + erf(x/√2)), accurate where it is close to 0; x̄ =
    /// ȳ·exp(-x²/2)/√(2π).
    pub method normal_cdf = NormalCdf(x) {
        value: x.map(T::normal_cdf),
        x: |g, x| {
            let density = (x.square() * T::from_f64(-0.5)).exp();
            g * density * T::from_f64(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 / 2.0)
        },
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
    /// population (Ba et al. 2016). x `[…, n]`, gain and bias `[n]`. Elements whose squares overflow are normalised
    /// correctly too.
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
            // Numerator and denominator are scaled so that squares do not overflow. The scale cancels, so it is a
            // constant.
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

/// A scale for every row of `x`: a power of two close to its largest element if squares may overflow, else 1; `None` if
/// all are 1.
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
