//! Sums, differences, products and quotients, with broadcasting as in NumPy, and the operators `+ - * /`.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::<f64>::new();
//! let x = tape.leaf(Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]));
//! let row = tape.leaf(Tensor::from_vec(vec![10.0, -1.0], &[2]));
//! assert_eq!((x + row).value().to_vec(), [11.0, 1.0, 13.0, 3.0]); // the row is broadcast
//! assert_eq!((x * row - x / row).value().to_vec(), [9.9, 0.0, 29.7, 0.0]);
//! assert_eq!((2.0 * x - 1.0).value().to_vec(), [1.0, 3.0, 5.0, 7.0]);
//! assert_eq!(x.scale_shift(2.0, -1.0).value().to_vec(), [1.0, 3.0, 5.0, 7.0]); // the same in one node
//! assert_eq!(x.one_minus().value().to_vec(), [0.0, -1.0, -2.0, -3.0]);
//! assert_eq!(x.maximum(row).value().to_vec(), [10.0, 2.0, 10.0, 4.0]);
//! assert_eq!((x * row).sum().backward().get(row).to_vec(), [4.0, 6.0]); // summed to the shape of the row
//! ```

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::select::{Above, Weighted};
use crate::shape::{broadcast_or_panic, stretches_to};
use crate::{Scalar, Term, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// y = a + b, broadcast; ā = ȳ, b̄ = ȳ, each summed to its shape.
    pub op add = AddOp(a, b) {
        value: a.zip(b, |a, b| a + b),
        a: |g| Term::Summed(g),
        b: |g| Term::Summed(g),
    }

    /// y = a - b, broadcast; ā = ȳ, b̄ = -ȳ.
    pub op sub = SubOp(a, b) {
        value: a.zip(b, |a, b| a - b),
        a: |g| Term::Summed(g),
        b: |g| Term::Summed(-g),
    }

    /// y = a·b elementwise, broadcast; ā = ȳ·b, b̄ = ȳ·a.
    pub op mul = MulOp(a, b) {
        value: a.zip(b, |a, b| a * b),
        a: |g, b| Term::Summed(g * b),
        b: |g, a| Term::Summed(g * a),
    }

    /// y = a / b elementwise, broadcast; ā = ȳ/b, b̄ = -ȳ·(y/b): where b is tiny, ȳ/b may be infinite and y be 0.
    pub op div = DivOp(a, b) -> y {
        value: a.zip(b, |a, b| a / b),
        a: |g, b| Term::Summed(g / b),
        b: |g, y, b| Term::Summed(-(g * (y / b))),
    }

    /// y = x / c for a constant c; x̄ = ȳ/c. Not x·(1/c), which is rounded twice, and infinite or 0 where 1/c is.
    pub op div_by_number = DivByNumber<T>(x; c: T) {
        value: x.map(|x| x / c),
        x: |g| g / c,
    }

    /// y = c / x for a constant c; x̄ = -ȳ·(y/x).
    pub op number_div = NumberDiv<T>(x; c: T) -> y {
        value: x.map(|x| c / x),
        x: |g, y, x| -(g * (y / x)),
    }

    /// y = scale·x + shift with two constants, in one pass; x̄ = scale·ȳ.
    pub method scale_shift = ScaleShift<T>(x; scale: T, shift: T) {
        value: x.map(|x| scale * x + shift),
        x: |g| g * scale,
    }

    /// y = max(a, b) elementwise, broadcast, NaN where one is NaN; ȳ goes to the larger one, half to each where they are equal.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    pub method maximum = Maximum(a, b) {
        check: broadcast_or_panic("maximum", &a.shape(), &b.shape()),
        value: a.zip(b, |a, b| if a > b || a.is_nan() { a } else { b }),
        a: |g, a, b| where_above(a, b, g),
        b: |g, a, b| where_above(b, a, g),
    }
}

/// g where a > b, half of it where they are equal.
fn where_above<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>, g: Var<'t, T>) -> Term<'t, T> {
    let above = g.tape().apply(Above, &[a, b]);
    Term::Summed(g.tape().apply(Weighted, &[above, g]))
}

impl<'t, T: Scalar> Var<'t, T> {
    /// 1 - x, in one pass: the weight of the previous state under an update gate x.
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
            /// If the shapes do not broadcast, or to more elements than a tensor may have, or the variables live on
            /// different tapes.
            #[track_caller]
            fn $method(self, other: Var<'t, T>) -> Var<'t, T> {
                // `apply` refuses variables of different tapes. Where one shape broadcasts to the other, the result is
                // no larger than that.
                if std::ptr::eq(self.tape(), other.tape())
                    && !self.tensor().same_shape(&other.tensor())
                    && !stretches_to(self.tensor().shape(), other.tensor().shape())
                    && !stretches_to(other.tensor().shape(), self.tensor().shape())
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
        self.scale_shift(-T::ONE, -T::ZERO) // -0 preserves the sign of a zero
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
        self.tape().apply(DivByNumber { c: by }, &[self])
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
                v.tape().apply(NumberDiv { c: self }, &[v])
            }
        }
    )*};
}

number_on_the_left!(f32 f64);
