//! Elementary functions of one variable, elementwise.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let x = tape.leaf(Tensor::from_vec(vec![0.25, 4.0], &[2]));
//! assert_eq!(x.square().value().to_vec(), [0.0625, 16.0]);
//! assert_eq!(x.sqrt().value().to_vec(), [0.5, 2.0]);
//! assert_eq!(x.reciprocal().value().to_vec(), [4.0, 0.25]);
//! assert_eq!(x.powf(-0.5).value().to_vec(), [2.0, 0.5]);
//! assert_eq!((-x).abs().value().to_vec(), [0.25, 4.0]);
//! let close = |a: f64, b: f64| (a - b).abs() < 1e-14;
//! assert!(close(x.ln().exp().value().at(&[1]), 4.0));
//! assert!(close(x.exp_m1().ln_1p().value().at(&[1]), 4.0));
//! assert!(close((x.sin().square() + x.cos().square()).value().at(&[1]), 1.0));
//! assert!(close(x.erf().sum().backward().get(x).at(&[0]), 1.0600141293761143)); // 2/√π·exp(-x²)
//! ```

use crate::{Scalar, Term, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// The exponential, y = e^x; x̄ = ȳ·y.
    pub method exp = Exp(x) -> y {
        value: x.map_slices(T::exp_slice),
        x: |g, y| g * y,
    }

    /// The natural logarithm, y = ln x; x̄ = ȳ/x.
    pub method ln = Ln(x) {
        value: x.map(T::ln),
        x: |g, x| g / x,
    }

    /// y = e^x - 1, accurate near 0; x̄ = ȳ·e^x.
    pub method exp_m1 = ExpM1(x) {
        value: x.map(T::exp_m1),
        x: |g, x| g * x.exp(),
    }

    /// y = ln(1 + x), accurate near 0; x̄ = ȳ/(1 + x).
    pub method ln_1p = Ln1p(x) {
        value: x.map(T::ln_1p),
        x: |g, x| g / (x + T::ONE),
    }

    /// The square, y = x²; x̄ = 2·x·ȳ.
    pub method square = Square(x) {
        value: x.map(|x| x * x),
        x: |g, x| g.tape().apply(SquareVjp, &[x, g]),
    }

    /// 2·x·ȳ: the adjoint of the square in one pass. Inputs x and g; x̄' = 2·g·c, ḡ' = 2·x·c.
    pub op square_vjp = SquareVjp(x, g) {
        // Doubled last: 2x may be infinite where g is 0.
        value: x.zip(g, |x, g| x * g + x * g),
        x: |c, g| c.tape().apply(SquareVjp, &[g, c]),
        g: |c, x| c.tape().apply(SquareVjp, &[x, c]),
    }

    /// The square root, y = √x; x̄ = ȳ/(2y).
    pub method sqrt = Sqrt(x) -> y {
        value: x.map(T::sqrt),
        x: |g, y| g / (y * T::from_f64(2.0)),
    }

    /// y = 1/x; x̄ = -ȳ·y².
    pub method reciprocal = Reciprocal(x) -> y {
        value: x.map(|x| T::ONE / x),
        x: |g, y| -(g * y * y),
    }

    /// y = sin x; x̄ = ȳ·cos x.
    pub method sin = Sin(x) {
        value: x.map(T::sin),
        x: |g, x| g * x.cos(),
    }

    /// y = cos x; x̄ = -ȳ·sin x.
    pub method cos = Cos(x) {
        value: x.map(T::cos),
        x: |g, x| -(g * x.sin()),
    }

    /// The error function, y = 2/√π ∫₀ˣ exp(-t²) dt; x̄ = ȳ · 2/√π · exp(-x²).
    pub method erf = Erf(x) {
        value: x.map(T::erf),
        x: |g, x| g * (-x.square()).exp() * T::from_f64(std::f64::consts::FRAC_2_SQRT_PI),
    }

    /// y = |x|; x̄ = ȳ·sign x, and 0 at x = 0.
    pub method abs = Abs(x) {
        value: x.map(T::abs),
        x: |g, x| g * x.sign(),
    }

    /// y = x^p for a fixed real p; x̄ = ȳ·p·x^(p-1). Where x < 0 and p is not an integer, y is NaN.
    pub method powf = Powf<T>(x; p: T) {
        value: x.map(|x| power(x, p)),
        x: |g, x| if p == T::ZERO {
            Term::Zero // x^0 is 1 everywhere; 0·x^(-1) would be NaN at 0
        } else {
            Term::Dense(g * x.powf(p - T::ONE) * p)
        },
    }
}

/// x^p, and NaN where it is not defined: the platform's power of -∞ is not NaN for any p.
fn power<T: Scalar>(x: T, p: T) -> T {
    let defined = x >= T::ZERO || p.to_f64().fract() == 0.0 || !p.is_finite();
    if defined { x.powf(p) } else { T::from_f64(f64::NAN) }
}
