//! The two element types: `f32` to train, `f64` to check.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use crate::matrix::{AsMatrix, Matrix, Operand};
use crate::storage::Pooled;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point type that a [`Tensor`](crate::Tensor) can hold: `f32` or `f64`.
///
/// The trait is sealed. Train in `f32`, check gradients in `f64`: every op, cell and loss is generic over it.
///
/// ```
/// use rewind_autograd::Scalar;
/// fn logistic<T: Scalar>(x: T) -> T {
///     T::ONE / (T::ONE + (-x).exp())
/// }
/// assert_eq!(logistic(0.0_f32), 0.5);
/// assert_eq!(logistic(0.0_f64), 0.5);
/// assert_eq!(Scalar::to_f64(0.5_f32), 0.5);
/// assert!(Scalar::is_finite(0.5_f32) && Scalar::is_nan(f64::NAN));
/// ```
///
/// In code that is generic in `T`, a constant is made with [`from_f64`](Scalar::from_f64), and goes on the right of a
/// variable:
///
/// ```
/// use rewind_autograd::{Scalar, Tape, Tensor, Var};
/// fn halfway<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>) -> Var<'t, T> {
///     (a + b) * T::from_f64(0.5)
/// }
/// let tape = Tape::new();
/// let [a, b] = [1.0_f32, 4.0].map(|x| tape.leaf(Tensor::scalar(x)));
/// assert_eq!(halfway(a, b).value().item(), 2.5);
/// assert_eq!((0.5 * (a + b)).value().item(), 2.5); // on the left where the type is known
/// ```
///
/// Not on the left: by the orphan rule, `Mul<Var<T>>` cannot be implemented for a type parameter outside the crate of
/// `Mul`.
///
/// ```compile_fail,E0277
/// # use rewind_autograd::{Scalar, Var};
/// fn half<'t, T: Scalar>(a: Var<'t, T>) -> Var<'t, T> {
///     0.5 * a
/// }
/// ```
pub trait Scalar:
    sealed::Sealed
    + Copy
    + Default
    + Debug
    + Display
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + Pooled
    + Kernels
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// The nearest number of this type.
    fn from_f64(x: f64) -> Self;
    /// The same value as `f64`; exact.
    fn to_f64(self) -> f64;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Whether it is NaN.
    fn is_nan(self) -> bool;
    /// |x|.
    fn abs(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// e^x.
    fn exp(self) -> Self;
    /// e^x - 1, accurate near 0.
    fn exp_m1(self) -> Self;
    /// ln(1 + x), accurate near 0.
    fn ln_1p(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The sine.
    fn sin(self) -> Self;
    /// The cosine.
    fn cos(self) -> Self;
    /// The error function, 2/√π ∫₀ˣ exp(-t²) dt.
    fn erf(self) -> Self;
    /// The normal distribution function, ½·(1 + erf(x/√2)), accurate where it is close to 0.
    fn normal_cdf(self) -> Self;
    /// x^p for a real p.
    fn powf(self, p: Self) -> Self;
}

/// Loops written by hand for each element type: the interface to `kernels`, which implements them.
pub trait Kernels: Pooled {
    /// `to = a·b + beta·to + bias`, the bias a row, `beta` 0 or 1. Packed forms of `b` and prefetched products are
    /// cached with its buffer.
    fn product(
        a: Operand<'_, Self>,
        b: Operand<'_, Self>,
        beta: Self,
        bias: Option<Operand<'_, Self>>,
        to: &mut [Self],
    );
    /// `to = a·b`, where no other product with `b` is expected.
    fn single_product(a: Matrix<'_, Self>, b: Matrix<'_, Self>, to: &mut [Self]);
    /// `to = Σ xᵀ·g + beta·to` over the pairs (x, g), at least one.
    fn sum_of_products<M: AsMatrix<Self>>(pairs: &[(M, M)], beta: Self, to: &mut [Self]);
    /// `to[i] = exp(from[i])`.
    fn exp_slice(from: &[Self], to: &mut [Self]);
    /// `to[i] = tanh(from[i])`.
    fn tanh_slice(from: &[Self], to: &mut [Self]);
    /// `to[i] = 1 / (1 + exp(-from[i]))`.
    fn sigmoid_slice(from: &[Self], to: &mut [Self]);
    /// `to[i] = ln(1 + exp(from[i]))`.
    fn softplus_slice(from: &[Self], to: &mut [Self]);
}

macro_rules! scalar {
    ($t:ident, $erf:path) => {
        impl Scalar for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const EPSILON: Self = $t::EPSILON;
            const INFINITY: Self = $t::INFINITY;
            const NAME: &'static str = stringify!($t);

            #[inline]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline]
            fn to_f64(self) -> f64 {
                self.into()
            }
            #[inline]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline]
            fn exp(self) -> Self {
                self.exp()
            }
            #[inline]
            fn exp_m1(self) -> Self {
                self.exp_m1()
            }
            #[inline]
            fn ln_1p(self) -> Self {
                self.ln_1p()
            }
            #[inline]
            fn ln(self) -> Self {
                self.ln()
            }
            #[inline]
            fn tanh(self) -> Self {
                self.tanh()
            }
            #[inline]
            fn sin(self) -> Self {
                self.sin()
            }
            #[inline]
            fn cos(self) -> Self {
                self.cos()
            }
            #[inline]
            fn erf(self) -> Self {
                $erf(self)
            }
            #[inline]
            fn normal_cdf(self) -> Self {
                // In f64 for both types: in the tail, erfc amplifies the rounding of its argument by the square of the
                // argument.
                (0.5 * libm::erfc(-f64::from(self) * std::f64::consts::FRAC_1_SQRT_2)) as $t
            }
            #[inline]
            fn powf(self, p: Self) -> Self {
                self.powf(p)
            }
        }
    };
}

scalar!(f32, libm::erff);
scalar!(f64, libm::erf);
