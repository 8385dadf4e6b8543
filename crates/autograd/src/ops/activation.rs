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
    pub(super) const OPS: [(name, docs)];

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
    ///
    /// Far below 0, the value and its derivative have as many digits as sigmoid x. In `f32` that is 0 from x = -127.5·ln 2 ≈ -88.38 down, and so
    /// are they, where the true ones are -3.7·10⁻³⁷ and closer to 0. In `f64` it is subnormal from -708.4 down: they are off by
    /// (1 + |x|)·4.9·10⁻³²⁴ at most, and 0 from -745.2 down.
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
    /// population (Ba et al. 2016). x `[…, n]`, gain and bias `[n]`. Rows whose mean is much larger than their deviations
    /// are normalised correctly too, and so are rows whose sums or squares overflow.
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
        let normalised = match units(&self.value()) {
            None => {
                let centred = self.centred(axis);
                let variance = centred.square().mean_axis(axis).unsqueeze(axis);
                centred / (variance + eps).sqrt()
            }
            // Numerator and denominator are scaled so that neither sums nor squares overflow. The scale cancels, so it is
            // a constant: first that of the row, then that of its deviations.
            Some(units) => {
                let centred = (self / self.tape().constant(units.clone())).centred(axis);
                let sizes = largest(&centred.value());
                let scale = |size: T, unit: T| power_of_two((size.to_f64() * unit.to_f64()).min(f64::MAX));
                let to_scale = sizes.zip(&units, |size, unit| T::from_f64(unit.to_f64() / scale(size, unit)));
                let eps = sizes.zip(&units, |size, unit| {
                    let scale = scale(size, unit);
                    T::from_f64(eps.to_f64() / scale / scale)
                });
                let centred = centred * self.tape().constant(to_scale);
                let variance = centred.square().mean_axis(axis).unsqueeze(axis);
                centred / (variance + self.tape().constant(eps)).sqrt()
            }
        };
        normalised * gain + bias
    }

    /// x minus its mean over `axis`, the last one.
    ///
    /// The mean of x itself would be rounded to the precision of x, and be wrong by as much in every deviation. So the first
    /// element is subtracted before; as a constant, since no deviation depends on it.
    #[track_caller]
    fn centred(self, axis: usize) -> Self {
        let x = self.value();
        if x.shape()[axis] == 0 {
            return self;
        }
        let shifted = self - self.tape().constant(x.part(axis, 0..1).to_contiguous());
        shifted - shifted.mean_axis(axis).unsqueeze(axis)
    }
}

/// A scale for every row of `x`; `None` if all are 1.
fn units<T: Scalar>(x: &Tensor<T>) -> Option<Tensor<T>> {
    let units = largest(x).map(|largest| T::from_f64(power_of_two(largest.to_f64())));
    units.to_vec().iter().any(|&unit| unit != T::ONE).then_some(units)
}

/// The largest magnitude of every row, with an axis of length 1.
fn largest<T: Scalar>(x: &Tensor<T>) -> Tensor<T> {
    let axis = x.rank() - 1;
    x.fold_axis(axis, T::ZERO, |a, b| if b.abs() > a { b.abs() } else { a }).unsqueeze(axis)
}

/// A power of two close to a magnitude whose square may overflow; else 1.
fn power_of_two(magnitude: f64) -> f64 {
    const LARGE: f64 = 1e15;
    let largest_exponent = f64::from(f64::MAX_EXP - 1);
    if magnitude > LARGE && magnitude.is_finite() { magnitude.log2().floor().min(largest_exponent).exp2() } else { 1.0 }
}
