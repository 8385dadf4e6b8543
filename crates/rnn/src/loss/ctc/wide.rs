//! Positive numbers m·2^e with the exponent in a float of its own.
//!
//! The weight of a path of a thousand steps may be e^-10000, and weights that are added may be that far apart. Logarithms hold such
//! numbers, too, but a sum then costs two exponentials and a logarithm, and its relative error grows with the size of the logarithm.
//! Here a sum is a shift and an addition, and the error is that of `f64`.

/// 2⁵² + 1023: added to a whole number k, it leaves k + 1023 in the lowest bits, which is the exponent field of 2^k.
const BIASED: f64 = 4_503_599_627_370_496.0 + 1023.0;
/// The exponent field of 1.
const ONE: u64 = 1023 << 52;
/// The bits of the fraction.
const FRACTION: u64 = (1 << 52) - 1;
/// ln 2 in two parts: whole multiples of the first are exact (those of fdlibm).
const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

/// 2^k for a whole number k of 1023 at most; 0 below -1022 and for NaN, the difference of two exponents of 0.
#[inline(always)]
pub(super) fn power_of_two(k: f64) -> f64 {
    let k = if k > -1023.0 { k } else { -1023.0 };
    f64::from_bits((k + BIASED).to_bits() << 52)
}

/// m in [1, 2) and a whole number e with x = m·2^e, for a normal x > 0; 0 and some number for 0.
#[inline(always)]
pub(super) fn split(x: f64) -> (f64, f64) {
    let bits = x.to_bits();
    let exponent = f64::from_bits((bits >> 52) | 4_503_599_627_370_496.0_f64.to_bits()) - BIASED;
    let mantissa = f64::from_bits((bits & FRACTION) | ONE);
    (if x == 0.0 { 0.0 } else { mantissa }, exponent)
}

/// e^y as m·2^e; 0 is 0·2^-∞. `y` is not NaN or +∞.
pub(super) fn exp(y: f64) -> (f64, f64) {
    if y == f64::NEG_INFINITY {
        return (0.0, y);
    }
    let exponent = (y * std::f64::consts::LOG2_E).floor();
    if exponent.abs() > 1.0 / f64::EPSILON {
        // y has no fraction left, nor a unit.
        return (1.0, exponent);
    }
    (((y - exponent * LN_2[0]) - exponent * LN_2[1]).exp(), exponent)
}

/// ln(m·2^e), -∞ for 0. Accurate near 1.
pub(super) fn ln(mantissa: f64, exponent: f64) -> f64 {
    if mantissa == 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mantissa, more) = split(mantissa);
    let exponent = exponent + more;
    let (mantissa, exponent) =
        if mantissa > std::f64::consts::SQRT_2 { (mantissa / 2.0, exponent + 1.0) } else { (mantissa, exponent) };
    exponent * LN_2[0] + (exponent * LN_2[1] + mantissa.ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_exact_and_vanish_below_the_normal_range() {
        for k in [-1022, -77, -1, 0, 1, 52, 1023] {
            assert_eq!(power_of_two(f64::from(k)), 2.0_f64.powi(k), "2^{k}");
        }
        for k in [-1023.0, -1e300, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(power_of_two(k), 0.0, "2^{k}");
        }
    }

    #[test]
    fn numbers_are_split_without_error() {
        for x in [1.0, 1.5, 2.0, 0.1, 6.0, f64::MIN_POSITIVE, f64::MAX] {
            let (m, e) = split(x);
            assert!((1.0..2.0).contains(&m), "{x}: {m}");
            assert_eq!(m * 2.0_f64.powf(e), x);
        }
        assert_eq!(split(0.0).0, 0.0);
    }

    #[test]
    fn logarithm_and_exponential_are_inverse_at_every_size() {
        for y in [0.0, -1e-300, -1e-16, -0.3, -std::f64::consts::LN_2, -700.0, -1e4, -123_456.789, -1e12, -1e30, -1e308]
        {
            let (m, e) = exp(y);
            let back = ln(m, e);
            assert!((back - y).abs() <= 4e-16 * y.abs() + 2e-16, "{y}: {back}");
        }
        assert_eq!(exp(f64::NEG_INFINITY), (0.0, f64::NEG_INFINITY));
        assert_eq!(ln(0.0, -3.0), f64::NEG_INFINITY);
        assert_eq!(ln(2.0, -1.0), 0.0);
        // 1 - 2^-21, and its neighbour above 1: no digit is lost beside ln 2.
        for (m, e, near) in
            [(2.0 - 2.0_f64.powi(-20), -1.0, -2.0_f64.powi(-21)), (1.0 + 2.0_f64.powi(-21), 0.0, 2.0_f64.powi(-21))]
        {
            let off = ln(m, e) / near.ln_1p() - 1.0;
            assert!(off.abs() < 1e-14, "ln(1 + {near:e}): off by {off:e}");
        }
    }
}
