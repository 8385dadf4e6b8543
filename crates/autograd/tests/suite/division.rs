//! A quotient is rounded once, and is finite wherever it is: with numbers on either side, and in the rules.

use rewind_autograd::{Scalar, Tape, Tensor, Var};

/// y and ∂Σy/∂x for one number x.
fn with_gradient<T: Scalar>(x: T, f: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>) -> (T, T) {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::from_vec(vec![x], &[1]));
    let y = f(x);
    let recorded = y.grad(&[x])[0].value().item();
    let gradient = y.sum().backward().get(x).item();
    assert!(gradient == recorded || gradient.is_nan() && recorded.is_nan(), "{gradient} and {recorded}, recorded");
    (y.value().item(), gradient)
}

#[test]
fn small_whole_numbers_divide_as_numbers_do() {
    for a in 0..=200_u16 {
        for b in 1..=200_u16 {
            let (x, c) = (f64::from(a), f64::from(b));
            assert_eq!(with_gradient(x, |x| x / c), (x / c, 1.0 / c), "{a} / {b}");
            assert_eq!(with_gradient(c, |c| c / c).0, 1.0);
            let tape = Tape::<f32>::quiet();
            let (x, c) = (f32::from(a), f32::from(b));
            let (numerator, denominator) = (tape.scalar(x), tape.scalar(c));
            for y in [numerator / c, numerator / denominator] {
                assert_eq!(y.value().item(), x / c, "{a} / {b}");
            }
        }
    }
    assert_eq!(with_gradient(49.0_f64, |x| x / 49.0).0, 1.0);
    assert_eq!(with_gradient(169.0_f32, |x| x / 13.0).0, 13.0);
}

#[test]
fn a_number_over_a_variable_divides() {
    for a in 1..=200_u16 {
        for b in 1..=200_u16 {
            let tape = Tape::<f64>::quiet();
            let (x, c) = (tape.scalar(f64::from(b)), f64::from(a));
            assert_eq!((c / x).value().item(), f64::from(a) / f64::from(b), "{a} / {b}");
        }
    }
    // y = 6/x at 2: y' = -6/4, y'' = 12/8.
    let tape = Tape::<f64>::new();
    let x = tape.leaf(Tensor::scalar(2.0));
    let slope = (6.0 / x).grad(&[x])[0];
    assert_eq!((slope.value().item(), slope.grad(&[x])[0].value().item()), (-1.5, 1.5));
}

#[test]
fn tiny_and_huge_divisors_are_divided_by() {
    // 1/1e-310 is infinite, 1/1.7e308 is not exact.
    let (tiny, huge) = (1e-310_f64, 1.7e308_f64);
    assert_eq!(with_gradient(0.0, |x| x / tiny).0, 0.0);
    assert_eq!(with_gradient(tiny, |x| x / tiny).0, 1.0);
    assert_eq!(with_gradient(-tiny, |x| x / tiny).0, -1.0);
    assert_eq!(with_gradient(huge, |x| x / huge), (1.0, 1.0 / huge));
    assert_eq!(with_gradient(tiny, |x| tiny / x).0, 1.0);
    assert_eq!(with_gradient(tiny, |x| 0.0 / x), (0.0, 0.0));
    assert_eq!(with_gradient(huge, |x| huge / x), (1.0, -1.0 / huge));
    let (tiny, huge) = (1e-40_f32, 3e38_f32);
    assert_eq!(with_gradient(0.0, |x| x / tiny).0, 0.0);
    assert_eq!(with_gradient(tiny, |x| x / tiny).0, 1.0);
    assert_eq!(with_gradient(tiny, |x| tiny / x).0, 1.0);
    assert_eq!(with_gradient(tiny, |x| 0.0 / x), (0.0, 0.0));
    assert_eq!(with_gradient(huge, |x| x / huge).0, 1.0);
}

#[test]
fn zero_infinity_and_nan_divide_as_numbers_do() {
    let ends = [0.0, -0.0, 1.0, -1.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let same = |found: f64, right: f64| found.to_bits() == right.to_bits() || found.is_nan() && right.is_nan();
    for a in ends {
        for b in ends {
            let tape = Tape::<f64>::quiet();
            let (x, y) = (tape.scalar(a), tape.scalar(b));
            for quotient in [x / y, x / b, a / y] {
                assert!(same(quotient.value().item(), a / b), "{a} / {b} gave {}", quotient.value().item());
            }
        }
    }
}

#[test]
fn the_gradient_of_a_quotient_is_finite_where_it_is() {
    // y = 0/1e-310: the cotangent over the divisor alone is infinite, and 0 times that is NaN.
    let tape = Tape::<f64>::new();
    let (a, b) = (tape.leaf(Tensor::scalar(0.0)), tape.leaf(Tensor::scalar(1e-310)));
    assert_eq!((a / b).backward().get(b).item(), 0.0);
    // y = 1e-5: the gradient is -1e-5/1e-310.
    let (a, b) = (tape.leaf(Tensor::scalar(1e-315)), tape.leaf(Tensor::scalar(1e-310)));
    let gradient = (a / b).backward().get(b).item();
    assert!((gradient / -1e305 - 1.0).abs() < 1e-8, "{gradient}");
}

#[test]
fn means_divide() {
    for n in 1..=200_usize {
        let tape = Tape::<f64>::new();
        let x = tape.leaf(Tensor::full(&[n, 1], 3.0));
        let (mean, along) = (x.mean(), x.mean_axis(0));
        assert_eq!((mean.value().item(), along.value().item()), (3.0, 3.0), "{n} numbers");
        assert_eq!(mean.backward().get(x).to_vec(), vec![1.0 / n as f64; n]);
    }
}
