//! Elementwise functions and their derivatives over all magnitudes, in both types, against values of 60 digits.
//!
//! What is allowed is a few roundings of the result, `ROUNDINGS`·eps·|y|, and two losses that have a name below.

use rewind_autograd::{Scalar, Tape, Tensor, Var};

use crate::op_table::Build;
use crate::reference::Case;

/// Of the value, its derivative and the second one.
const ROUNDINGS: [f64; 3] = [8.0, 16.0, 64.0];

/// Rules that read an output next to ±1, so that 1 - y² and 1 - y keep the rounding of y: off by as much as an eps of the
/// largest derivative, as PyTorch's and JAX's are.
const FROM_THE_OUTPUT: [&str; 4] = ["tanh", "sigmoid", "softplus", "silu"];

/// Functions that take e^(-x²) of a rounded square: what rounding x would do as well, eps·|x·y'|.
const GAUSSIAN: [&str; 3] = ["erf", "normal_cdf", "gelu"];

struct Function {
    name: &'static str,
    wide: Build<f64>,
    narrow: Build<f32>,
}

macro_rules! functions {
    ($($name:literal => |$x:ident| $value:expr;)*) => {
        [$(Function { name: $name, wide: |_, v| { let $x = v[0]; $value }, narrow: |_, v| { let $x = v[0]; $value } }),*]
    };
}

fn functions() -> [Function; 19] {
    functions! {
        "exp" => |x| x.exp();
        "exp_m1" => |x| x.exp_m1();
        "ln" => |x| x.ln();
        "ln_1p" => |x| x.ln_1p();
        "square" => |x| x.square();
        "sqrt" => |x| x.sqrt();
        "reciprocal" => |x| x.reciprocal();
        "sin" => |x| x.sin();
        "cos" => |x| x.cos();
        "erf" => |x| x.erf();
        "normal_cdf" => |x| x.normal_cdf();
        "tanh" => |x| x.tanh();
        "sigmoid" => |x| x.sigmoid();
        "softplus" => |x| x.softplus();
        "elu" => |x| x.elu();
        "silu" => |x| x.silu();
        "gelu" => |x| x.gelu();
        "powf_3" => |x| x.powf(3.0);
        "powf_-1.5" => |x| x.powf(-1.5);
    }
}

/// Value, derivative and second derivative of an elementwise function at `x`.
fn derivatives<T: Scalar>(build: Build<T>, x: &[f64]) -> [Vec<f64>; 3] {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::from_fn(&[x.len()], |i| T::from_f64(x[i])));
    let value = build(&tape, &[x]);
    let ones = tape.constant(Tensor::full(&x.shape(), T::ONE));
    let first = value.grad_from(ones, &[x])[0];
    let second = first.grad_from(ones, &[x])[0];
    let numbers = |v: Var<'_, T>| v.value().to_vec().into_iter().map(Scalar::to_f64).collect();
    [value, first, second].map(numbers)
}

fn check<T: Scalar>(case: &Case, name: &str, build: Build<T>, smallest: f64) -> Vec<String> {
    let (x, y) = (case.tensor(&format!("{name}.{}.x", T::NAME)), case.tensor(&format!("{name}.{}.y", T::NAME)));
    let count = x.data.len();
    let exact = |order: usize, i: usize| y.data[order * count + i];
    let eps = T::EPSILON.to_f64();
    let mut wrong = Vec::new();
    for (order, found) in derivatives(build, &x.data).iter().enumerate() {
        for (i, (&x, &found)) in x.data.iter().zip(found).enumerate() {
            let expected = exact(order, i);
            let mut allowed = ROUNDINGS[order] * (eps * expected.abs() + smallest);
            if GAUSSIAN.contains(&name) {
                allowed += ROUNDINGS[order] * eps * (x * exact(order + 1, i)).abs();
            }
            if order > 0 && FROM_THE_OUTPUT.contains(&name) {
                allowed += ROUNDINGS[order] * eps * x.abs().max(1.0);
            }
            let right = if expected.is_finite() { (found - expected).abs() <= allowed } else { found == expected };
            if !right {
                wrong.push(format!("{name} {} order {order} at {x:e}: {found:e}, exact {expected:e}", T::NAME));
            }
        }
    }
    wrong
}

#[test]
fn functions_are_right_over_all_magnitudes() {
    let case = Case::fixture("accuracy/accuracy.safetensors");
    let mut wrong = Vec::new();
    for function in functions() {
        wrong.extend(check::<f64>(&case, function.name, function.wide, f64::MIN_POSITIVE));
        wrong.extend(check::<f32>(&case, function.name, function.narrow, f32::MIN_POSITIVE.into()));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// At the end of the range of its sigmoid, silu loses what its docs say and no more.
#[test]
fn silu_far_below_zero_is_as_its_docs_say() {
    // f32: as exact as anywhere down to -127.5·ln 2, and 0 from there.
    let x: Vec<f64> = (0..20_000).map(|i| -80.0 - f64::from(i) / 512.0).collect();
    let [value, slope, _] = derivatives::<f32>(|_, v| v[0].silu(), &x);
    let end = -127.5 * std::f64::consts::LN_2;
    for (i, &x) in x.iter().enumerate() {
        let sigmoid = 1.0 / (1.0 + (-x).exp());
        for (order, (found, exact)) in
            [(value[i], x * sigmoid), (slope[i], sigmoid * (1.0 + x * (1.0 - sigmoid)))].into_iter().enumerate()
        {
            if x > end {
                let allowed = ROUNDINGS[order] * f64::from(f32::EPSILON) * exact.abs();
                assert!((found - exact).abs() <= allowed, "order {order} at {x}: {found:e}, exact {exact:e}");
            } else {
                assert!(found == 0.0 && exact.abs() < 3.7e-37, "order {order} at {x}: {found:e}, exact {exact:e}");
            }
        }
    }
    // f64: all numbers 2^300 times as large, so that what is exact is no subnormal number. Here 1 - sigmoid x is 1.
    let x: Vec<f64> = (0..20_000).map(|i| -700.0 - f64::from(i) / 256.0).collect();
    let [value, slope, _] = derivatives::<f64>(|_, v| v[0].silu(), &x);
    let large = 2f64.powi(300);
    for (i, &x) in x.iter().enumerate() {
        let exp = (x / 2.0).exp() * ((x / 2.0).exp() * large);
        for (order, (found, exact)) in [(value[i], x * exp), (slope[i], (1.0 + x) * exp)].into_iter().enumerate() {
            let lost = (1.0 + x.abs()) * (f64::from_bits(1) * large);
            let allowed = ROUNDINGS[order] * f64::EPSILON * exact.abs() + lost;
            assert!(
                (found * large - exact).abs() <= allowed,
                "order {order} at {x}: {found:e}, exact {exact:e} / 2^300"
            );
            assert!(found == 0.0 || x > -745.2, "order {order} at {x}: {found:e}");
        }
    }
}

#[test]
fn naive_forms_are_found_wrong() {
    let case = Case::fixture("accuracy/accuracy.safetensors");
    let naive = functions! {
        "exp_m1" => |x| x.exp() - 1.0;
        "ln_1p" => |x| (x + 1.0).ln();
        "elu" => |x| x.relu() + (-(-x).relu()).exp() - 1.0;
        "softplus" => |x| (x.exp() + 1.0).ln();
        "normal_cdf" => |x| ((x / (x * 0.0 + 2.0).sqrt()).erf() + 1.0) * 0.5;
        "sigmoid" => |x| x.exp() / (x.exp() + 1.0);
    };
    for Function { name, wide, narrow } in naive {
        assert!(!check::<f64>(&case, name, wide, f64::MIN_POSITIVE).is_empty(), "{name} in f64");
        assert!(!check::<f32>(&case, name, narrow, f32::MIN_POSITIVE.into()).is_empty(), "{name} in f32");
    }
}

/// Layer norm of rows that are `size` times as large as [1, -2, 4] and [0.5, 0.25, -3], and its gradient.
fn layer_norm<T: Scalar>(sizes: [f64; 2]) -> [Vec<f64>; 2] {
    let tape = Tape::<T>::new();
    let rows = [[1.0, -2.0, 4.0], [0.5, 0.25, -3.0]];
    let x = tape.leaf(Tensor::from_fn(&[2, 3], |i| T::from_f64(sizes[i / 3] * rows[i / 3][i % 3])));
    let [gain, bias] = [1.5, 0.25].map(|x| tape.constant(Tensor::full(&[3], T::from_f64(x))));
    let y = x.layer_norm(gain, bias, T::ZERO);
    let gradient = y.square().sum().backward().get(x);
    [y.value(), gradient].map(|x| x.to_vec().into_iter().map(Scalar::to_f64).collect())
}

/// Without eps, larger rows have the same normal form and a gradient that is as much smaller.
fn layer_norm_of_large_rows<T: Scalar>(sizes: [f64; 2]) {
    let [plain, slope] = layer_norm::<T>([1.0, 1.0]);
    let [large, large_slope] = layer_norm::<T>(sizes);
    let near = |a: f64, b: f64, scale: f64| (a - b).abs() <= 64.0 * T::EPSILON.to_f64() * scale;
    for i in 0..6 {
        assert!(near(large[i], plain[i], 1.0), "{} {sizes:?}: {large:?}, expected {plain:?}", T::NAME);
        let found = large_slope[i] * sizes[i / 3];
        assert!(near(found, slope[i], 4.0), "{} {sizes:?}: {found} at {i}, expected {slope:?}", T::NAME);
    }
}

#[test]
fn layer_norm_does_not_overflow_where_its_result_does_not() {
    for size in [1e10, 1e15, 1e18, 1e20, 1e30, 3e37] {
        layer_norm_of_large_rows::<f32>([size, 1.0]);
        layer_norm_of_large_rows::<f32>([0.125, size]);
        layer_norm_of_large_rows::<f64>([size, size]);
    }
    layer_norm_of_large_rows::<f64>([1e200, 3.0]);
    layer_norm_of_large_rows::<f64>([1e300, 1e160]);
}

/// Layer norm of mean + deviations and the gradient of the sum of its squares, which do not depend on the mean.
fn layer_norm_around<T: Scalar>(mean: f64, deviations: &[f64], eps: f64) -> [Vec<f64>; 2] {
    let (tape, width) = (Tape::<T>::new(), deviations.len());
    let x = tape.leaf(Tensor::from_fn(&[1, width], |i| T::from_f64(mean + deviations[i])));
    let gain = tape.constant(Tensor::from_fn(&[width], |i| T::from_f64(1.0 + (i as f64).sin())));
    let y = x.layer_norm(gain, tape.constant(Tensor::zeros(&[width])), T::from_f64(eps));
    let gradient = y.square().sum().backward().get(x);
    [y.value(), gradient].map(|x| x.to_vec().into_iter().map(Scalar::to_f64).collect())
}

fn layer_norm_ignores_the_mean<T: Scalar>(means: &[f64]) {
    for width in [2, 7, 33, 257] {
        // Multiples of 1/8: their sums with these means are exact.
        let deviations: Vec<_> = (0..width).map(|i| f64::from(i * 37 % 19 - 9) / 8.0).collect();
        let expected = layer_norm_around::<f64>(0.0, &deviations, 1e-5);
        for &mean in means {
            let found = layer_norm_around::<T>(mean, &deviations, 1e-5);
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                let near = (found - expected).abs() <= 64.0 * T::EPSILON.to_f64();
                assert!(near, "{} around {mean}, {width} wide: {found}, expected {expected}", T::NAME);
            }
        }
    }
}

#[test]
fn layer_norm_of_rows_far_from_0_has_the_precision_of_those_around_0() {
    layer_norm_ignores_the_mean::<f32>(&[0.0, 1.0, 1e3, -1e4, 123_456.0, 1e6]);
    layer_norm_ignores_the_mean::<f64>(&[0.0, 1.0, 1e3, -1e6, 1e9, 1e14]);
}

/// A row that is s times as large, with s²·eps, has the same normal form, whether its squares are in range or not.
fn layer_norm_keeps_eps<T: Scalar>(exponents: &[i32]) {
    let row = [1.0, -2.0, 4.0, 0.5];
    let [expected, expected_slope] = layer_norm_around::<f64>(0.0, &row, 0.25);
    for &exponent in exponents {
        let size = 2_f64.powi(exponent);
        let [found, slope] = layer_norm_around::<T>(0.0, &row.map(|x| x * size), 0.25 * size * size);
        for i in 0..row.len() {
            let near = |a: f64, b: f64| (a - b).abs() <= 32.0 * T::EPSILON.to_f64();
            assert!(near(found[i], expected[i]), "{} 2^{exponent}: {found:?}, expected {expected:?}", T::NAME);
            let found = slope[i] * size;
            assert!(near(found, expected_slope[i]), "{} 2^{exponent}: slope {found}, not {expected_slope:?}", T::NAME);
        }
    }
}

#[test]
fn layer_norm_of_large_rows_keeps_its_eps() {
    layer_norm_keeps_eps::<f32>(&[0, 20, 48, 55, 60]);
    layer_norm_keeps_eps::<f64>(&[0, 20, 48, 60, 200, 500]);
}

#[test]
fn layer_norm_of_equal_elements_is_0() {
    for value in [1e-30, 0.1, 123_456.7, 1e15, 1e17, 3e38] {
        for width in [1, 7, 33, 129] {
            let zeros = vec![0.0; width];
            assert_eq!(layer_norm_around::<f32>(value, &zeros, 1e-5)[0], zeros, "f32 {value}, {width} wide");
            assert_eq!(layer_norm_around::<f64>(value, &zeros, 1e-5)[0], zeros, "f64 {value}, {width} wide");
        }
    }
    let [y, _] = layer_norm_around::<f64>(f64::MAX, &[0.0; 7], 1e-5);
    assert_eq!(y, [0.0; 7]);
}

#[test]
fn layer_norm_of_rows_whose_sum_overflows() {
    fn close<T: Scalar>(unit: f64) {
        for row in [[1.0, 2.0, 3.0], [3.0, -3.0, -3.0], [-3.4, 0.0, 3.4]] {
            let scaled = row.map(|x| x * unit);
            let [found, slope] = layer_norm_around::<T>(0.0, &scaled, 1e-5);
            let [expected, expected_slope] = layer_norm_around::<f64>(0.0, &row, 0.0);
            let near = |a: f64, b: f64| (a - b).abs() <= 32.0 * T::EPSILON.to_f64();
            assert!(found.iter().zip(&expected).all(|(a, b)| near(*a, *b)), "{scaled:?}: {found:?}, not {expected:?}");
            // The gradient is as much smaller as the row is larger, and so may be subnormal.
            let absolute = 1e-6;
            let near = slope.iter().zip(&expected_slope).all(|(a, b)| (a * unit - b).abs() <= absolute);
            assert!(near, "{scaled:?}: gradient {slope:?}, not {expected_slope:?} / {unit}");
        }
    }
    close::<f32>(1e38);
    close::<f64>(5e307);
}

#[test]
fn the_tail_of_the_normal_distribution_is_right_to_the_last_place_in_single_precision() {
    let tape = Tape::<f32>::new();
    for x in [-3.3_f32, -7.7, -12.7, -12.9] {
        let found = tape.scalar(x).normal_cdf().value().item();
        let exact = f64::from(x).normal_cdf();
        assert!((f64::from(found) / exact - 1.0).abs() < 2.0 * f64::from(f32::EPSILON), "{x}: {found:e}, {exact:e}");
    }
}

#[test]
fn a_power_of_infinity_is_that_of_the_platform() {
    let tape = Tape::<f64>::new();
    let power = |x: f64, p: f64| tape.scalar(x).powf(p).value().item();
    assert_eq!([power(-0.5, f64::INFINITY), power(-2.0, f64::NEG_INFINITY)], [0.0, 0.0]);
    assert_eq!([power(-2.0, 3.0), power(f64::NEG_INFINITY, 3.0)], [-8.0, f64::NEG_INFINITY]);
    assert!(power(-2.0, 0.5).is_nan() && power(f64::NEG_INFINITY, 0.5).is_nan());
}
