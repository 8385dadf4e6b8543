//! Sums, differences, products and quotients, with broadcasting as in NumPy, and the operators `+ - * /`.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::select::{Above, Weighted};
use crate::shape::{broadcast_or_panic, stretches_to};
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// y = a + b, broadcast; ā = ȳ, b̄ = ȳ, each summed to its shape.
#[derive(Clone, Copy, Debug)]
pub struct AddOp;

impl<T: Scalar> Op<T> for AddOp {
    fn name(&self) -> &'static str {
        "add"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |a, b| a + b)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::summed(at.cotangent())
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = a - b, broadcast; ā = ȳ, b̄ = -ȳ.
#[derive(Clone, Copy, Debug)]
pub struct SubOp;

impl<T: Scalar> Op<T> for SubOp {
    fn name(&self) -> &'static str {
        "sub"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |a, b| a - b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let g = at.cotangent();
        Term::summed(if input == 0 { g } else { -g })
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = a·b elementwise, broadcast; ā = ȳ·b, b̄ = ȳ·a.
#[derive(Clone, Copy, Debug)]
pub struct MulOp;

impl<T: Scalar> Op<T> for MulOp {
    fn name(&self) -> &'static str {
        "mul"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |a, b| a * b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::summed(at.cotangent() * at.input(1 - input))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// y = a / b elementwise, broadcast; ā = ȳ/b, b̄ = -ȳ·(y/b): where b is tiny, ȳ/b may be infinite and y be 0.
#[derive(Clone, Copy, Debug)]
pub struct DivOp;

impl<T: Scalar> Op<T> for DivOp {
    fn name(&self) -> &'static str {
        "div"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |a, b| a / b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (g, b) = (at.cotangent(), at.input(1));
        Term::summed(if input == 0 { g / b } else { -(g * (at.output() / b)) })
    }
}

/// y = x / c for a fixed number c; x̄ = ȳ/c. Not x·(1/c), which is rounded twice, and infinite or 0 where 1/c is.
#[derive(Clone, Copy, Debug)]
pub struct DivByNumber<T>(T);

impl<T: Scalar> Op<T> for DivByNumber<T> {
    fn name(&self) -> &'static str {
        "div_by_number"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let by = self.0;
        inputs[0].map(|x| x / by)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.cotangent() / self.0)
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = c / x for a fixed number c; x̄ = -ȳ·(y/x).
#[derive(Clone, Copy, Debug)]
pub struct NumberDiv<T>(T);

impl<T: Scalar> Op<T> for NumberDiv<T> {
    fn name(&self) -> &'static str {
        "number_div"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let number = self.0;
        inputs[0].map(|x| number / x)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(-(at.cotangent() * (at.output() / at.input(0))))
    }
}

/// y = scale·x + shift with two fixed numbers; x̄ = scale·ȳ.
#[derive(Clone, Copy, Debug)]
pub struct ScaleShift<T> {
    scale: T,
    shift: T,
}

impl<T: Scalar> Op<T> for ScaleShift<T> {
    fn name(&self) -> &'static str {
        "scale_shift"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let ScaleShift { scale, shift } = *self;
        inputs[0].map(|x| scale * x + shift)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.cotangent() * self.scale)
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = max(a, b) elementwise, broadcast; ȳ goes to the larger one, half to each where they are equal.
#[derive(Clone, Copy, Debug)]
pub struct Maximum;

impl<T: Scalar> Op<T> for Maximum {
    fn name(&self) -> &'static str {
        "maximum"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        // NaN on either side stays NaN.
        inputs[0].zip(inputs[1], |a, b| if a > b || a.is_nan() { a } else { b })
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let larger = at.tape().apply(Above, &[at.input(input), at.input(1 - input)]);
        Term::summed(at.tape().apply(Weighted, &[larger, at.cotangent()]))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// The larger of two values, elementwise with broadcasting; at equal values each gets half of the gradient.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn maximum(self, other: Var<'t, T>) -> Self {
        broadcast_or_panic("maximum", &self.shape(), &other.shape());
        self.tape().apply(Maximum, &[self, other])
    }

    /// scale·x + shift with two fixed numbers, in one pass.
    #[track_caller]
    pub fn scale_shift(self, scale: T, shift: T) -> Self {
        self.tape().apply(ScaleShift { scale, shift }, &[self])
    }

    /// 1 - x, in one pass: what an update gate leaves of the old state.
    #[track_caller]
    pub fn one_minus(self) -> Self {
        self.scale_shift(-T::ONE, T::ONE)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr, $name:literal) => {
        impl<'t, T: Scalar> $trait for Var<'t, T> {
            type Output = Var<'t, T>;
            /// Elementwise, with broadcasting.
            ///
            /// # Panics
            /// If the shapes do not broadcast, or to more numbers than a tensor may have, or the variables live on two tapes.
            #[track_caller]
            fn $method(self, other: Var<'t, T>) -> Var<'t, T> {
                // Two tapes are refused by `apply`. Where one stretches to the other, the result is no larger than that.
                if std::ptr::eq(self.tape(), other.tape())
                    && !self.has_shape_of(other)
                    && !self.with_shapes(other, |a, b| stretches_to(a, b) || stretches_to(b, a))
                {
                    broadcast_or_panic($name, &self.shape(), &other.shape());
                }
                self.tape().apply($op, &[self, other])
            }
        }
    };
}

operator!(Add, add, AddOp, "add");
operator!(Sub, sub, SubOp, "sub");
operator!(Mul, mul, MulOp, "mul");
operator!(Div, div, DivOp, "div");

impl<'t, T: Scalar> Neg for Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn neg(self) -> Var<'t, T> {
        self.scale_shift(-T::ONE, -T::ZERO) // -0, so that the sign of a zero is kept
    }
}

impl<'t, T: Scalar> Add<T> for Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn add(self, shift: T) -> Var<'t, T> {
        self.scale_shift(T::ONE, shift)
    }
}

impl<'t, T: Scalar> Sub<T> for Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn sub(self, shift: T) -> Var<'t, T> {
        self.scale_shift(T::ONE, -shift)
    }
}

impl<'t, T: Scalar> Mul<T> for Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn mul(self, scale: T) -> Var<'t, T> {
        self.scale_shift(scale, -T::ZERO)
    }
}

impl<'t, T: Scalar> Div<T> for Var<'t, T> {
    type Output = Var<'t, T>;
    #[track_caller]
    fn div(self, by: T) -> Var<'t, T> {
        self.tape().apply(DivByNumber(by), &[self])
    }
}

/// `number + v`, `number - v`, `number * v`, `number / v`.
macro_rules! number_on_the_left {
    ($($t:ident)*) => {$(
        impl<'t> Add<Var<'t, $t>> for $t {
            type Output = Var<'t, $t>;
            #[track_caller]
            fn add(self, v: Var<'t, $t>) -> Var<'t, $t> {
                v.scale_shift(1.0, self)
            }
        }
        impl<'t> Sub<Var<'t, $t>> for $t {
            type Output = Var<'t, $t>;
            #[track_caller]
            fn sub(self, v: Var<'t, $t>) -> Var<'t, $t> {
                v.scale_shift(-1.0, self)
            }
        }
        impl<'t> Mul<Var<'t, $t>> for $t {
            type Output = Var<'t, $t>;
            #[track_caller]
            fn mul(self, v: Var<'t, $t>) -> Var<'t, $t> {
                v.scale_shift(self, -0.0)
            }
        }
        impl<'t> Div<Var<'t, $t>> for $t {
            type Output = Var<'t, $t>;
            #[track_caller]
            fn div(self, v: Var<'t, $t>) -> Var<'t, $t> {
                v.tape().apply(NumberDiv(self), &[v])
            }
        }
    )*};
}

number_on_the_left!(f32 f64);
