//! Ops that choose: steps, signs, clamping, masks. The chosen side gets the gradient.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let x = tape.leaf(Tensor::from_vec(vec![-2.0, 0.0, 0.5], &[3]));
//! assert_eq!(x.relu().value().to_vec(), [0.0, 0.0, 0.5]);
//! assert_eq!(x.heaviside().value().to_vec(), [0.0, 0.5, 1.0]);
//! assert_eq!(x.sign().value().to_vec(), [-1.0, 0.0, 1.0]);
//! assert_eq!(x.clamp(-1.0, 1.0).value().to_vec(), [-1.0, 0.0, 0.5]);
//! let mask = tape.constant(Tensor::from_vec(vec![1.0, 0.0, 1.0], &[3]));
//! let padded = mask.select(x, tape.scalar(7.0));
//! assert_eq!(padded.value().to_vec(), [-2.0, 7.0, 0.5]);
//! assert_eq!(padded.sum().backward().get(x).to_vec(), [1.0, 0.0, 1.0]);
//! ```

use crate::shape::broadcast_or_panic;
use crate::{Scalar, Tensor, Term, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// y = 0, ½ or 1 where x is negative, zero or positive; NaN where it is NaN. Piecewise constant, so x̄ = 0: no
    /// gradient flows through it.
    pub method heaviside = Heaviside(x) {
        value: x.map(|x| above(x, T::ZERO)),
        x: |_g| Term::Zero,
    }

    /// y = -1, 0 or 1 where x is negative, zero or positive; NaN where it is NaN. Piecewise constant, so x̄ = 0: no
    /// gradient flows through it.
    pub method sign = Sign(x) {
        value: x.map(sign),
        x: |_g| Term::Zero,
    }

    /// y = 1 where lo <= x <= hi, 0 elsewhere, NaN where x is NaN; piecewise constant, so x̄ = 0.
    pub op within = Within<T>(x; lo: T, hi: T) {
        value: x.map(|x| within(x, lo, hi)),
        x: |_g| Term::Zero,
    }

    /// y = 1, ½ or 0 where a is larger than b, equal, or smaller, broadcast; NaN where one is NaN; piecewise constant,
    /// so ā = b̄ = 0.
    ///
    /// Not the Heaviside step of a - b, which is NaN for two equal infinities.
    pub op above = Above(a, b) {
        value: a.zip(b, above),
        a: |_g| Term::Zero,
        b: |_g| Term::Zero,
    }

    /// y = min(max(x, lo), hi); x̄ = ȳ inside, 0 outside.
    ///
    /// # Panics
    /// If `lo > hi` or one of them is NaN.
    pub method clamp = Clamp<T>(x; lo: T, hi: T) {
        check: check_bounds(lo, hi),
        value: x.map(|x| clamp(x, lo, hi)),
        x: |g, x| {
            let inside = g.tape().apply(Within { lo, hi }, &[x]);
            g.tape().apply(Weighted, &[inside, g])
        },
    }

    /// y = a where mask is 1, b where it is 0; ā = mask·ȳ, b̄ = (1 - mask)·ȳ. Selects rather than multiplies, so that a
    /// NaN on the other side has no effect.
    pub op where = Where(mask, a, b) {
        value: Tensor::choose(mask, a, b),
        mask: |_g| Term::Zero,
        a: |g, mask| Term::Summed(mask.select(g, g.tape().scalar(T::ZERO))),
        b: |g, mask| Term::Summed(mask.select(g.tape().scalar(T::ZERO), g)),
    }

    /// y = w·x elementwise, broadcast, and 0 where w is 0, whatever x is there; w̄ = ȳ·x, x̄ = the same of w and ȳ. For masks: what is
    /// not chosen gets no gradient, not even that of an infinite cotangent, which times 0 would be NaN.
    pub op weighted = Weighted(w, x) {
        value: w.zip(x, weighted),
        w: |g, x| Term::Summed(g * x),
        x: |g, w| Term::Summed(g.tape().apply(Weighted, &[w, g])),
    }

    /// The rectifier, y = max(x, 0); x̄ = ȳ where x > 0, 0 elsewhere.
    pub method relu = Relu(x) -> y {
        value: x.map(|x| if x > T::ZERO || x.is_nan() { x } else { T::ZERO }),
        x: |g, y| g.tape().apply(Weighted, &[y.sign(), g]),
    }
}

fn sign<T: Scalar>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x // ±0 or NaN
    }
}

fn within<T: Scalar>(x: T, lo: T, hi: T) -> T {
    if x >= lo && x <= hi {
        T::ONE
    } else if x.is_nan() {
        x
    } else {
        T::ZERO
    }
}

fn above<T: Scalar>(a: T, b: T) -> T {
    if a > b {
        T::ONE
    } else if a < b {
        T::ZERO
    } else if a == b {
        T::from_f64(0.5)
    } else {
        a + b // NaN
    }
}

#[track_caller]
fn check_bounds<T: Scalar>(lo: T, hi: T) {
    if lo > hi || lo.is_nan() || hi.is_nan() {
        panic!("clamp: {lo} to {hi} is no range");
    }
}

fn clamp<T: Scalar>(x: T, lo: T, hi: T) -> T {
    if x < lo {
        lo
    } else if x > hi {
        hi
    } else {
        x
    }
}

pub(super) fn weighted<T: Scalar>(weight: T, x: T) -> T {
    if weight == T::ZERO { T::ZERO } else { weight * x }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// With `self` as the mask (1 or 0): `a` where it is 1 (or anything else but 0), `b` where it is 0, with broadcasting.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn select(self, a: Var<'t, T>, b: Var<'t, T>) -> Self {
        let both = broadcast_or_panic("select", &a.shape(), &b.shape());
        broadcast_or_panic("select", &self.shape(), &both);
        self.tape().apply(Where, &[self, a, b])
    }
}
