//! Elementary functions of one variable.

use super::unary_ops;
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

unary_ops! {
    /// The exponential, y = e^x; x̄ = ȳ·y.
    exp = Exp {
        value: |x| x.map_slices(T::exp_slice),
        reads: OUTPUT,
        vjp: |at| at.cotangent() * at.output(),
    }

    /// The natural logarithm, y = ln x; x̄ = ȳ/x.
    ln = Ln {
        value: |x| x.map(T::ln),
        reads: INPUTS,
        vjp: |at| at.cotangent() / at.input(0),
    }

    /// y = e^x - 1, exact near 0; x̄ = ȳ·e^x.
    exp_m1 = ExpM1 {
        value: |x| x.map(T::exp_m1),
        reads: INPUTS,
        vjp: |at| at.cotangent() * at.input(0).exp(),
    }

    /// y = ln(1 + x), exact near 0; x̄ = ȳ/(1 + x).
    ln_1p = Ln1p {
        value: |x| x.map(T::ln_1p),
        reads: INPUTS,
        vjp: |at| at.cotangent() / (at.input(0) + T::ONE),
    }

    /// The square, y = x²; x̄ = 2·x·ȳ.
    square = Square {
        value: |x| x.map(|x| x * x),
        reads: INPUTS,
        vjp: |at| at.tape().apply(SquareVjp, &[at.input(0), at.cotangent()]),
    }

    /// The square root, y = √x; x̄ = ȳ/(2y).
    sqrt = Sqrt {
        value: |x| x.map(T::sqrt),
        reads: OUTPUT,
        vjp: |at| at.cotangent() / (at.output() * T::from_f64(2.0)),
    }

    /// y = 1/x; x̄ = -ȳ·y².
    reciprocal = Reciprocal {
        value: |x| x.map(|x| T::ONE / x),
        reads: OUTPUT,
        vjp: |at| {
            let y = at.output();
            -(at.cotangent() * y * y)
        },
    }

    /// y = sin x; x̄ = ȳ·cos x.
    sin = Sin {
        value: |x| x.map(T::sin),
        reads: INPUTS,
        vjp: |at| at.cotangent() * at.input(0).cos(),
    }

    /// y = cos x; x̄ = -ȳ·sin x.
    cos = Cos {
        value: |x| x.map(T::cos),
        reads: INPUTS,
        vjp: |at| -(at.cotangent() * at.input(0).sin()),
    }

    /// The error function, y = 2/√π ∫₀ˣ exp(-t²) dt; x̄ = ȳ · 2/√π · exp(-x²).
    erf = Erf {
        value: |x| x.map(T::erf),
        reads: INPUTS,
        vjp: |at| {
            let x = at.input(0);
            at.cotangent() * (-x.square()).exp() * T::from_f64(std::f64::consts::FRAC_2_SQRT_PI)
        },
    }

    /// y = |x|; x̄ = ȳ·sign x, and 0 at x = 0.
    abs = Abs {
        value: |x| x.map(T::abs),
        reads: INPUTS,
        vjp: |at| at.cotangent() * at.input(0).sign(),
    }
}

/// 2·x·ȳ: the adjoint of the square in one pass, an op like any other. Inputs x and g; x̄' = 2·g·c, ḡ' = 2·x·c.
#[derive(Clone, Copy, Debug)]
pub struct SquareVjp;

impl<T: Scalar> Op<T> for SquareVjp {
    fn name(&self) -> &'static str {
        "square_vjp"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        // Doubled last: 2x may be infinite where g is 0.
        inputs[0].zip(inputs[1], |x, g| x * g + x * g)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.tape().apply(SquareVjp, &[at.input(1 - input), at.cotangent()]))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// y = x^p for a fixed real p; x̄ = ȳ·p·x^(p-1).
#[derive(Clone, Copy, Debug)]
pub struct Powf<T>(T);

impl<T: Scalar> Op<T> for Powf<T> {
    fn name(&self) -> &'static str {
        "powf"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let p = self.0;
        // The platform's power of -∞ is a number for every p.
        let defined = |x: T| x >= T::ZERO || p.to_f64().fract() == 0.0 || !p.is_finite();
        inputs[0].map(|x| if defined(x) { x.powf(p) } else { T::from_f64(f64::NAN) })
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        if self.0 == T::ZERO {
            return Term::zero(); // x^0 is 1 everywhere; 0·x^(-1) would be NaN at 0
        }
        Term::dense(at.cotangent() * at.input(0).powf(self.0 - T::ONE) * self.0)
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// x^p for a fixed real p. Where x < 0 and p is no whole number, the value is NaN.
    #[track_caller]
    pub fn powf(self, p: T) -> Self {
        self.tape().apply(Powf(p), &[self])
    }
}
