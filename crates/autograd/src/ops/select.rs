//! Ops that choose: steps, signs, clamping, masks. The chosen side gets the gradient.

use super::unary_ops;
use crate::shape::broadcast_or_panic;
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// y = 0, ½ or 1 where x is negative, zero or positive, NaN where it is NaN; flat, so x̄ = 0.
#[derive(Clone, Copy, Debug)]
pub struct Heaviside;

impl<T: Scalar> Op<T> for Heaviside {
    fn name(&self) -> &'static str {
        "heaviside"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| above(x, T::ZERO))
    }
    fn vjp<'t>(&self, _input: usize, _at: &Site<'t, T>) -> Term<'t, T> {
        Term::zero()
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = -1, 0 or 1 where x is negative, zero or positive, NaN where it is NaN; flat, so x̄ = 0.
#[derive(Clone, Copy, Debug)]
pub struct Sign;

impl<T: Scalar> Op<T> for Sign {
    fn name(&self) -> &'static str {
        "sign"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| {
            if x > T::ZERO {
                T::ONE
            } else if x < T::ZERO {
                -T::ONE
            } else {
                x // ±0 or NaN
            }
        })
    }
    fn vjp<'t>(&self, _input: usize, _at: &Site<'t, T>) -> Term<'t, T> {
        Term::zero()
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = 1 where lo <= x <= hi, 0 elsewhere, NaN where x is NaN; flat, so x̄ = 0.
#[derive(Clone, Copy, Debug)]
pub struct Within<T> {
    lo: T,
    hi: T,
}

impl<T: Scalar> Op<T> for Within<T> {
    fn name(&self) -> &'static str {
        "within"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let Within { lo, hi } = *self;
        inputs[0].map(|x| {
            if x >= lo && x <= hi {
                T::ONE
            } else if x.is_nan() {
                x
            } else {
                T::ZERO
            }
        })
    }
    fn vjp<'t>(&self, _input: usize, _at: &Site<'t, T>) -> Term<'t, T> {
        Term::zero()
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

/// y = 1, ½ or 0 where a is larger than b, equal, or smaller, broadcast; NaN where one is NaN; flat, so ā = b̄ = 0.
///
/// Not a step of a - b, which is NaN for two equal infinities.
#[derive(Clone, Copy, Debug)]
pub struct Above;

impl<T: Scalar> Op<T> for Above {
    fn name(&self) -> &'static str {
        "above"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], above)
    }
    fn vjp<'t>(&self, _input: usize, _at: &Site<'t, T>) -> Term<'t, T> {
        Term::zero()
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
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

/// y = min(max(x, lo), hi); x̄ = ȳ inside, 0 outside.
#[derive(Clone, Copy, Debug)]
pub struct Clamp<T> {
    lo: T,
    hi: T,
}

impl<T: Scalar> Op<T> for Clamp<T> {
    fn name(&self) -> &'static str {
        "clamp"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let Clamp { lo, hi } = *self;
        inputs[0].map(|x| {
            if x < lo {
                lo
            } else if x > hi {
                hi
            } else {
                x
            }
        })
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let inside = at.tape().apply(Within { lo: self.lo, hi: self.hi }, &[at.input(0)]);
        Term::dense(at.tape().apply(Weighted, &[inside, at.cotangent()]))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// y = a where mask is 1, b where it is 0; ā = mask·ȳ, b̄ = (1 - mask)·ȳ. Chooses rather than multiplies, so that a NaN
/// on the side not chosen does not come through.
#[derive(Clone, Copy, Debug)]
pub struct Where;

impl<T: Scalar> Op<T> for Where {
    fn name(&self) -> &'static str {
        "where"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let [mask, a, b] = inputs else { unreachable!("where has three inputs") };
        Tensor::choose(mask, a, b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (mask, g) = (at.input(0), at.cotangent());
        let zero = at.tape().scalar(T::ZERO);
        match input {
            0 => Term::zero(),
            1 => Term::summed(mask.select(g, zero)),
            _ => Term::summed(mask.select(zero, g)),
        }
    }
    fn reads(&self) -> Reads {
        Reads::input(0)
    }
}

/// y = w·x elementwise, broadcast, and 0 where w is 0, whatever x is there; w̄ = ȳ·x, x̄ = the same of w and ȳ. For masks: what is
/// not chosen gets no gradient, not even that of an infinite cotangent, which times 0 would be NaN.
#[derive(Clone, Copy, Debug)]
pub struct Weighted;

impl<T: Scalar> Op<T> for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], weighted)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (weight, x, g) = (at.input(0), at.input(1), at.cotangent());
        Term::summed(if input == 0 { g * x } else { at.tape().apply(Weighted, &[weight, g]) })
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

pub(super) fn weighted<T: Scalar>(weight: T, x: T) -> T {
    if weight == T::ZERO { T::ZERO } else { weight * x }
}

unary_ops! {
    /// The rectifier, y = max(x, 0); x̄ = ȳ where x > 0, 0 elsewhere.
    relu = Relu {
        value: |x| x.map(|x| if x > T::ZERO || x.is_nan() { x } else { T::ZERO }),
        reads: OUTPUT,
        vjp: |at| at.tape().apply(Weighted, &[at.output().sign(), at.cotangent()]),
    }
}

impl<'t, T: Scalar> Var<'t, T> {
    /// 0, ½ or 1 where x is negative, zero or positive; NaN where it is NaN. No gradient flows through it.
    #[track_caller]
    pub fn heaviside(self) -> Self {
        self.tape().apply(Heaviside, &[self])
    }

    /// -1, 0 or 1 where x is negative, zero or positive; NaN where it is NaN. No gradient flows through it.
    #[track_caller]
    pub fn sign(self) -> Self {
        self.tape().apply(Sign, &[self])
    }

    /// min(max(x, lo), hi); the gradient is cut outside.
    ///
    /// # Panics
    /// If `lo > hi` or one of them is NaN.
    #[track_caller]
    pub fn clamp(self, lo: T, hi: T) -> Self {
        if lo > hi || lo.is_nan() || hi.is_nan() {
            panic!("clamp: {lo} to {hi} is no range");
        }
        self.tape().apply(Clamp { lo, hi }, &[self])
    }

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
