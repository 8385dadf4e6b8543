//! Vectorised tanh, logistic function and softplus of `f32`: every element of a gate goes through one of them at each time step.
//!
//! Each takes about 16 operations per vector. The library's functions use its general exponential and select among
//! several branches, which takes 36 to 52. The coefficients are those of `tests/fixtures/activation/fit.py`.

use rten_simd::ops::{BitOps, FloatOps, IntOps, NumOps};
use rten_simd::{Isa, Simd, SimdUnaryOp};

/// tanh x as x·P(x²)/Q(x²), with an error of at most 6 ulp; exactly x where x is small, and exactly ±1 from |x| = 10
/// on.
pub(super) struct Tanh;

impl Tanh {
    /// P and Q, the constant term first: the least relative error (2·10⁻⁸) of two polynomials of degree four for |x| up
    /// to 9.02, where tanh rounds to 1.
    const P: [f32; 5] = [1.0, 0.133_797_11, 3.494_026_6e-3, 2.058_334_6e-5, 1.331_888e-8];
    const Q: [f32; 5] = [1.0, 0.467_130_27, 2.587_104_2e-2, 3.283_079_4e-4, 7.761_942e-7];
    /// From here on the quotient exceeds 1 by more than its rounding, so clamping it gives exactly 1.
    const END: f32 = 10.0;
}

impl SimdUnaryOp<f32> for Tanh {
    #[inline(always)]
    fn eval<I: Isa>(&self, isa: I, x: I::F32) -> I::F32 {
        let x = bounded(isa, x, [-Self::END, Self::END]);
        let square = isa.f32().mul(x, x);
        let above = isa.f32().mul(polynomial(isa, square, &Self::P), x);
        let tanh = isa.f32().div(above, polynomial(isa, square, &Self::Q));
        bounded(isa, tanh, [-1.0, 1.0])
    }
}

/// 1/(1 + e^-x), with an error of at most 3 ulp wherever it is a normal number, 0 from x = -88.4 down.
///
/// e^-x = 2^k·e^-r with k the integer nearest to -x/ln 2, so that |r| ≤ ln 2/2 (Cody and Waite 1980).
pub(super) struct Sigmoid;

impl Sigmoid {
    /// e^-r for |r| ≤ ln 2/2, the constant term first; relative error 3·10⁻⁹.
    const EXP: [f32; 7] = [1.0, -1.0, 0.499_999_94, -0.166_665_2, 4.166_839_3e-2, -8.368_781e-3, 1.381_446_7e-3];
    /// ln 2 in two parts: products of the first with a k are exact.
    const LN_2: [f32; 2] = [0.693_145_75, 1.428_606_8e-6];
    /// 1.5·2^23: added to a small number, it leaves the nearest integer in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    /// Here k is 128 and -127: 2^k is infinite, and 0.
    const ENDS: [f32; 2] = [-89.0, 88.0];
}

impl SimdUnaryOp<f32> for Sigmoid {
    #[inline(always)]
    fn eval<I: Isa>(&self, isa: I, x: I::F32) -> I::F32 {
        let (ops, ints) = (isa.f32(), isa.i32());
        let x = bounded(isa, x, Self::ENDS);
        let rounding = ops.splat(Self::ROUNDING);
        let shifted = ops.mul_add(x, ops.splat(-std::f32::consts::LOG2_E), rounding);
        let k = ops.sub(shifted, rounding);
        let [high, low] = Self::LN_2;
        let r = ops.mul_add(k, ops.splat(low), ops.mul_add(k, ops.splat(high), x));
        // k + 127 as the exponent of a float.
        let bits = ints.shift_left::<23>(shifted.reinterpret_cast());
        let power: I::F32 = ints.add(bits, ints.splat(f32::to_bits(1.0) as i32)).reinterpret_cast();
        let exp = ops.mul(polynomial(isa, r, &Self::EXP), power);
        ops.reciprocal(ops.add(ops.one(), exp))
    }
}

/// ln(1 + e^x) as max(x, 0) + ln(1 + u) with u = e^-|x|, with an error of at most 4 ulp wherever it is a normal number.
///
/// ln(1 + u) = 2·artanh(s) with s = u/(2 + u), which is at most 1/3: so that a small u is not lost.
pub(super) struct Softplus;

impl Softplus {
    /// artanh(√w)/√w for w up to 1/9, the constant term first; relative error 2·10⁻⁸.
    const ARTANH: [f32; 5] = [1.0, 0.333_333_2, 0.200_038_36, 0.141_169_79, 0.134_337_74];
}

impl SimdUnaryOp<f32> for Softplus {
    #[inline(always)]
    fn eval<I: Isa>(&self, isa: I, x: I::F32) -> I::F32 {
        let ops = isa.f32();
        let u = rten_vecmath::Exp {}.eval(isa, ops.neg(ops.abs(x)));
        let s = ops.div(u, ops.add(u, ops.splat(2.0)));
        let logarithm = ops.mul(ops.add(s, s), polynomial(isa, ops.mul(s, s), &Self::ARTANH));
        // NaN stays NaN: of unordered operands, the second is returned.
        ops.add(ops.max(ops.zero(), x), logarithm)
    }
}

/// x clamped to two bounds. NaN stays NaN: of unordered operands, the second is returned.
#[inline(always)]
fn bounded<I: Isa>(isa: I, x: I::F32, [low, high]: [f32; 2]) -> I::F32 {
    let ops = isa.f32();
    ops.max(ops.splat(low), ops.min(ops.splat(high), x))
}

/// Σ coefficients[i]·x^i.
///
/// A loop: a closure inside an iterator is not compiled for the instruction set.
#[inline(always)]
fn polynomial<I: Isa, const N: usize>(isa: I, x: I::F32, coefficients: &[f32; N]) -> I::F32 {
    let ops = isa.f32();
    let mut sum = ops.splat(coefficients[N - 1]);
    for i in (0..N - 1).rev() {
        sum = ops.mul_add(sum, x, ops.splat(coefficients[i]));
    }
    sum
}

#[cfg(test)]
mod tests {
    use crate::scalar::Kernels;

    /// Floats of every magnitude and sign, a prime number of patterns apart, NaN and infinity among them.
    fn floats() -> Vec<f32> {
        (0..=u32::MAX).step_by(4_093).map(f32::from_bits).collect()
    }

    /// The largest distance of `f` from `exact`, in units of the last place of what is exact, and where.
    fn worst(f: fn(&[f32], &mut [f32]), exact: fn(f64) -> f64, places: Vec<f32>) -> (f64, f32) {
        let mut got = vec![0.0; places.len()];
        f(&places, &mut got);
        let off = places.iter().zip(&got).filter(|(x, _)| !x.is_nan()).map(|(&x, &y)| {
            let exact = exact(x.into());
            let nearest = (exact as f32).abs();
            let unit = match nearest.is_normal() {
                true => f32::from_bits(nearest.to_bits() + 1) - nearest,
                false => f32::MIN_POSITIVE,
            };
            let unit = f64::from(unit);
            ((f64::from(y) - exact).abs() / unit, x)
        });
        off.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are floats")
    }

    fn near(ends: [f32; 2]) -> Vec<f32> {
        (0..=1 << 20).map(|i| ends[0] + (ends[1] - ends[0]) * i as f32 / (1 << 20) as f32).collect()
    }

    #[test]
    fn tanh_is_right_to_six_units_in_the_last_place() {
        for places in [floats(), near([-11.0, 11.0])] {
            let (units, x) = worst(f32::tanh_slice, f64::tanh, places);
            assert!(units <= 6.0, "tanh({x}) is {units} units off");
        }
    }

    #[test]
    fn sigmoid_is_right_to_three_units_in_the_last_place() {
        let exact = |x: f64| 1.0 / (1.0 + (-x).exp());
        for places in [floats(), near([-90.0, 20.0])] {
            let (units, x) = worst(f32::sigmoid_slice, exact, places);
            assert!(units <= 3.0, "sigmoid({x}) is {units} units off");
        }
    }

    #[test]
    fn softplus_is_right_to_four_units_in_the_last_place() {
        let exact = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        for places in [floats(), near([-104.0, 20.0]), near([-1e-3, 1e-3])] {
            let (units, x) = worst(f32::softplus_slice, exact, places);
            assert!(units <= 4.0, "softplus({x}) is {units} units off");
        }
    }

    #[test]
    fn the_ends_are_exact() {
        let places = [f32::NEG_INFINITY, f32::MIN, -1000.0, -89.0, -0.0, 0.0, 1e-40, 1e-4, 89.0, 1000.0, f32::INFINITY];
        let mut y = [0.0; 11];
        f32::tanh_slice(&places, &mut y);
        assert_eq!(y, [-1.0, -1.0, -1.0, -1.0, 0.0, 0.0, 1e-40, 1e-4, 1.0, 1.0, 1.0]);
        assert!(y[4].is_sign_negative() && y[5].is_sign_positive(), "the sign of zero");
        f32::sigmoid_slice(&places, &mut y);
        assert_eq!(y[..6], [0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
        assert_eq!(y[8..], [1.0, 1.0, 1.0]);
        f32::softplus_slice(&places, &mut y);
        assert_eq!(y[..3], [0.0, 0.0, 0.0]);
        assert_eq!(y[8..], [89.0, 1000.0, f32::INFINITY]);
    }

    #[test]
    fn nan_stays_nan() {
        // Of every sign and payload: a payload must not end as an exponent.
        let nans: Vec<_> = floats().into_iter().filter(|x| x.is_nan()).collect();
        assert!(nans.len() > 1000);
        for f in [f32::tanh_slice, f32::sigmoid_slice, f32::softplus_slice] {
            let mut y = vec![0.0; nans.len()];
            f(&nans, &mut y);
            assert!(y.iter().all(|y| y.is_nan()));
        }
    }

    #[test]
    fn a_number_has_the_same_bits_wherever_it_stands() {
        for f in [f32::tanh_slice, f32::sigmoid_slice, f32::softplus_slice] {
            let x: Vec<_> = (0..67).map(|i| (i as f32 - 33.0) / 3.0).collect();
            let mut whole = vec![0.0; x.len()];
            f(&x, &mut whole);
            for len in [0, 1, 7, 8, 17, 33] {
                let mut part = vec![0.0; len];
                f(&x[5..5 + len], &mut part);
                assert_eq!(part, whole[5..5 + len], "{len} numbers");
            }
        }
    }
}
