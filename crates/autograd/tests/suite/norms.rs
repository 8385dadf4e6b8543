//! Norms over all magnitudes: neither squares nor their sum may leave the range of numbers where the norm does not.

use rewind_autograd::{Scalar, Tensor};

/// Norms are computed in `f64`: those of `f32` are rounded once, those of `f64` are as exact as sums are.
#[track_caller]
fn assert_norm<T: Scalar>(x: &Tensor<T>, right: f64) {
    let off = x.norm().to_f64() / right - 1.0;
    let tolerance = f64::max(0.51 * T::EPSILON.to_f64(), 8.0 * f64::EPSILON);
    assert!(off.abs() <= tolerance, "{} instead of {right}, off by {off:e}", x.norm());
}

#[test]
fn equal_numbers_of_all_magnitudes() {
    assert_norm(&Tensor::full(&[128], 1e19_f32), 128_f64.sqrt() * f64::from(1e19_f32));
    assert_norm(&Tensor::full(&[128], 1e-25_f32), 128_f64.sqrt() * f64::from(1e-25_f32));
    for count in [1, 7, 33, 1000] {
        for exponent in -37..=36 {
            let x = 10_f32.powi(exponent);
            assert_norm(&Tensor::full(&[count], x), (count as f64).sqrt() * f64::from(x));
        }
        for exponent in -307..=306 {
            let x = 10_f64.powi(exponent);
            assert_norm(&Tensor::full(&[count], x), (count as f64).sqrt() * x);
        }
    }
    // Powers of two are exact, down to the smallest number there is.
    assert_eq!(Tensor::full(&[4], f32::from_bits(1)).norm(), f32::from_bits(2));
    assert_eq!(Tensor::full(&[4], f64::from_bits(1)).norm(), f64::from_bits(2));
    assert_eq!(Tensor::full(&[4], f64::MAX / 4.0).norm(), f64::MAX / 2.0);
    assert_eq!(Tensor::full(&[4], f32::MAX).norm(), f32::INFINITY, "twice the largest number");
}

#[test]
fn mixed_magnitudes_views_and_nothing() {
    assert_norm(&Tensor::from_vec(vec![3e200, 4e200, 1e-200], &[3]), 5e200);
    assert_norm(&Tensor::from_vec(vec![3e-200, 4e-200, 1e-300], &[3]), 5e-200);
    assert_eq!(Tensor::<f32>::zeros(&[0, 7]).norm(), 0.0);
    assert_eq!(Tensor::<f64>::zeros(&[33]).norm(), 0.0);
    let x = Tensor::from_fn(&[7, 33], |i| (i as f64).sin());
    assert_eq!(x.transpose().slice(0, 1..4).norm(), x.transpose().slice(0, 1..4).to_contiguous().norm());
    assert_eq!(Tensor::scalar(-2.0_f32).broadcast_to(&[4, 4]).norm(), 8.0);
}

#[test]
fn where_squares_begin_to_vanish_or_to_overflow() {
    for exponent in (-172..=-130).chain(130..=160) {
        let x = 10_f64.powi(exponent);
        // The squares of the small ones vanish beside the large one, or are half of the sum.
        assert_norm(&Tensor::from_fn(&[1001], |i| if i == 500 { x } else { x * 1e-12 }), x);
        assert_norm(&Tensor::from_fn(&[1025], |i| if i == 0 { 32.0 * x } else { x }), 2048_f64.sqrt() * x);
    }
    let subnormal = f64::from_bits(3 << 20);
    assert_norm(&Tensor::full(&[1 << 20], subnormal), 1024.0 * subnormal);
}

#[test]
fn many_numbers_are_added_pairwise() {
    assert_norm(&Tensor::full(&[10_000_000], 0.1_f32), f64::from(0.1_f32) * 1e7_f64.sqrt());
    assert_norm(&Tensor::full(&[3_000_000], 0.1_f64), 0.1 * 3e6_f64.sqrt());
}

#[test]
fn infinities_and_nan_stay() {
    for (numbers, right) in [(vec![1.0, f64::INFINITY], f64::INFINITY), (vec![f64::NEG_INFINITY], f64::INFINITY)] {
        let n = numbers.len();
        assert_eq!(Tensor::from_vec(numbers, &[n]).norm(), right);
    }
    for numbers in [vec![f64::NAN, 1.0], vec![f64::INFINITY, f64::NAN], vec![f64::NAN, f64::INFINITY]] {
        let n = numbers.len();
        assert!(Tensor::from_vec(numbers, &[n]).norm().is_nan());
    }
}

#[test]
fn the_norm_of_several_tensors_is_that_of_one_with_all_numbers() {
    let (a, b) = (Tensor::from_fn(&[7, 3], |i| i as f32), Tensor::from_fn(&[33], |i| -(i as f32)));
    let all = Tensor::from_vec([a.to_vec(), b.to_vec()].concat(), &[54]);
    assert_eq!(Tensor::joint_norm([&a, &b]) as f32, all.norm());
    assert_eq!(Tensor::<f64>::joint_norm([]), 0.0);
}

#[test]
fn the_norm_of_no_number_is_positive_zero() {
    assert_eq!(Tensor::<f32>::zeros(&[0]).norm().to_bits(), 0);
    assert_eq!(Tensor::<f64>::zeros(&[3, 0]).norm().to_bits(), 0);
    assert_eq!(Tensor::<f64>::joint_norm([]).to_bits(), 0);
    assert_eq!(Tensor::joint_norm([&Tensor::<f32>::zeros(&[0, 2]), &Tensor::zeros(&[0])]).to_bits(), 0);
    // The same holds for sums.
    assert_eq!(Tensor::<f64>::zeros(&[0]).sum().to_bits(), 0);
    assert_eq!(
        Tensor::<f64>::zeros(&[0, 2]).sum_axis(0).to_vec().into_iter().map(f64::to_bits).collect::<Vec<_>>(),
        [0, 0]
    );
}
