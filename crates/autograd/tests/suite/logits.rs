//! Softmax, ln Σ e^x and the losses of logits where they are hard: large logits, confident predictions, infinities, targets
//! of 0.

use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::{Scalar, Tape, Tensor, Var};

fn row<T: Scalar>(numbers: &[f64]) -> Tensor<T> {
    Tensor::from_vec(numbers.iter().map(|&x| T::from_f64(x)).collect(), &[numbers.len()])
}

fn one_hot<T: Scalar>(classes: usize, class: usize) -> Tensor<T> {
    Tensor::from_fn(&[classes], |c| if c == class { T::ONE } else { T::ZERO })
}

fn numbers<T: Scalar>(x: &Tensor<T>) -> Vec<f64> {
    x.to_vec().into_iter().map(Scalar::to_f64).collect()
}

#[track_caller]
fn assert_near<T: Scalar>(found: &Tensor<T>, expected: &[f64]) {
    let found = numbers(found);
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        let near = (f - e).abs() <= 16.0 * T::EPSILON.to_f64() * e.abs();
        assert!(near || f == e || (f.is_nan() && e.is_nan()), "{} found {found:?}, expected {expected:?}", T::NAME);
    }
}

/// Loss and gradients of the cross-entropy with a target that is a variable too.
fn cross_entropy<T: Scalar>(logits: &[f64], target: Tensor<T>) -> [Tensor<T>; 3] {
    let tape = Tape::new();
    let (x, t) = (tape.leaf(row(logits)), tape.leaf(target));
    let loss = x.cross_entropy(t);
    let gradients = loss.backward();
    [loss.value(), gradients.get(x), gradients.get(t)]
}

fn binary_cross_entropy<T: Scalar>(logit: f64, target: f64) -> [f64; 3] {
    let tape = Tape::new();
    let (x, t) = (tape.leaf(Tensor::scalar(T::from_f64(logit))), tape.leaf(Tensor::scalar(T::from_f64(target))));
    let loss = x.binary_cross_entropy(t);
    let gradients = loss.backward();
    [loss.value(), gradients.get(x), gradients.get(t)].map(|x| x.item().to_f64())
}

fn equal_logits_of_any_size<T: Scalar>(largest: f64) {
    let mut size = 1.0;
    while size < largest {
        for m in [size, -size] {
            let tape = Tape::<T>::new();
            let x = tape.leaf(row(&[m, m]));
            assert_eq!(numbers(&x.softmax(0).value()), [0.5, 0.5], "softmax of two logits of {m:e}");
            assert_near(&x.log_softmax(0).value(), &[-std::f64::consts::LN_2; 2]);
            let [loss, by_logits, _] = cross_entropy(&[m, m], one_hot::<T>(2, 0));
            assert_near(&loss, &[std::f64::consts::LN_2]);
            assert_eq!(numbers(&by_logits), [-0.5, 0.5], "{m:e}");
        }
        size *= 10.0;
    }
}

#[test]
fn equal_logits_share_the_probability_whatever_their_size() {
    equal_logits_of_any_size::<f32>(3e38);
    equal_logits_of_any_size::<f64>(1e308);
}

/// Rows of `classes` logits around `size`, 1/8 apart at least where the type can tell that.
fn sums_to_one<T: Scalar>(size: f64, classes: usize) {
    let apart = (size * T::EPSILON.to_f64()).max(0.125);
    let logits: Vec<_> = (0..classes).map(|c| size + (c * 37 % 64) as f64 * apart).collect();
    let tape = Tape::<T>::new();
    let x = tape.leaf(Tensor::from_fn(&[2, classes], |i| T::from_f64(logits[i % classes])));
    let eps = T::EPSILON.to_f64();
    for sum in numbers(&x.softmax(1).sum_axis(1).value()) {
        assert!((sum - 1.0).abs() <= 8.0 * eps, "{} logits of {size:e} in {}: sum {sum}", classes, T::NAME);
    }
    // The same along the first axis.
    let down = x.transpose().softmax(0).value();
    assert_eq!(numbers(&down.transpose()), numbers(&x.softmax(1).value()));
    let target = one_hot(classes, classes / 2);
    let [_, gradient, _] = cross_entropy::<T>(&logits, target);
    let gradient = numbers(&gradient);
    // In pairs: one by one, the test would add more rounding than it looks for.
    let total = row::<f64>(&gradient).sum();
    let magnitude: f64 = gradient.iter().map(|g| g.abs()).sum();
    assert!(
        total.abs() <= 8.0 * eps * magnitude,
        "{classes} logits of {size:e} in {}: {total:e} of {magnitude:e}",
        T::NAME
    );
}

#[test]
fn a_softmax_sums_to_one_and_its_gradient_to_zero() {
    for classes in [1, 2, 7, 33, 5_000] {
        for size in [0.0, 1.0, 1e4, 1e6, 1e7, 1e8, 1e12, 1e30] {
            sums_to_one::<f32>(size, classes);
            sums_to_one::<f64>(size, classes);
            sums_to_one::<f64>(-size, classes);
        }
    }
}

fn confident<T: Scalar>(gap: f64) {
    let probability_of_the_other = (-gap).exp() / (1.0 + (-gap).exp());
    let loss_expected = (-gap).exp().ln_1p();
    let [loss, by_logits, by_target] = cross_entropy(&[gap, 0.0], one_hot::<T>(2, 0));
    assert_near(&loss, &[loss_expected]);
    assert_near(&by_logits, &[-probability_of_the_other, probability_of_the_other]);
    assert_near(&by_target, &[loss_expected, gap + loss_expected]);
    for (logit, target) in [(gap, 1.0), (-gap, 0.0)] {
        let [loss, by_logit, by_target] = binary_cross_entropy::<T>(logit, target);
        let sign = if target == 1.0 { -1.0 } else { 1.0 };
        assert_near(&row::<T>(&[loss]), &[loss_expected]);
        assert_near(&row::<T>(&[by_logit]), &[sign * probability_of_the_other]);
        assert_eq!(by_target, -logit);
    }
    // The other answer.
    let [loss, by_logit, _] = binary_cross_entropy::<T>(gap, 0.0);
    assert_near(&row::<T>(&[loss, by_logit]), &[gap + loss_expected, 1.0 - probability_of_the_other]);
}

#[test]
fn the_losses_of_confident_predictions_keep_their_digits() {
    for gap in [0.0, 1e-6, 0.5, 10.0, 12.0, 15.0, 17.0, 20.0, 40.0, 80.0] {
        // A gap that both types hold exactly.
        let gap = f64::from(gap as f32);
        confident::<f32>(gap);
        confident::<f64>(gap);
    }
    confident::<f64>(700.0);
}

#[test]
fn a_target_of_zero_has_a_gradient() {
    // -ln softmax, whatever the target is.
    for target in [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.2, 0.3, 0.5]] {
        let [_, _, by_target] = cross_entropy::<f64>(&[0.5, -1.0, 2.0], row(&target));
        let ln = [0.5_f64, -1.0, 2.0].iter().map(|x| x.exp()).sum::<f64>().ln();
        assert_near(&by_target, &[ln - 0.5, ln + 1.0, ln - 2.0]);
    }
    // An impossible class: its target has an infinite price, and at a target of 0 nobody pays it.
    let [loss, by_logits, by_target] = cross_entropy::<f64>(&[f64::NEG_INFINITY, 0.0], row(&[0.0, 1.0]));
    assert_eq!(
        (loss.item(), numbers(&by_logits), numbers(&by_target)),
        (0.0, vec![0.0, 0.0], vec![f64::INFINITY, 0.0])
    );
}

#[test]
fn a_row_without_a_target_is_ignored() {
    let [loss, by_logits, _] = cross_entropy::<f32>(&[1e38, -1e38, f64::NEG_INFINITY], row(&[0.0; 3]));
    assert_eq!((loss.item(), numbers(&by_logits)), (0.0, vec![0.0; 3]));
}

#[test]
fn nan_in_a_target_or_in_logits_is_not_hidden() {
    let [loss, by_logits, _] = cross_entropy::<f64>(&[0.5, -1.0, 2.0], row(&[0.0, f64::NAN, 1.0]));
    assert!(loss.item().is_nan() && numbers(&by_logits).iter().any(|g| g.is_nan()));
    let [loss, by_logits, _] = cross_entropy::<f64>(&[0.5, f64::NAN, 2.0], row(&[0.0, 0.0, 1.0]));
    assert!(loss.item().is_nan() && numbers(&by_logits).iter().all(|g| g.is_nan()));
    assert!(binary_cross_entropy::<f64>(0.5, f64::NAN)[0].is_nan());
    assert!(binary_cross_entropy::<f32>(f64::NAN, 0.0).iter().all(|x| x.is_nan()));
}

#[test]
fn an_ignored_row_of_nan_has_no_gradient() {
    let [loss, by_logits, _] = cross_entropy::<f64>(&[f64::NAN, 1.0, 2.0], row(&[0.0; 3]));
    assert_eq!((loss.item(), numbers(&by_logits)), (0.0, vec![0.0; 3]));
    assert!(loss.item().is_sign_positive(), "a loss of 0 prints as 0");
}

/// The gradient of the cross-entropy of one logit above 32 others, with a target that is spread a little.
fn smoothed<T: Scalar>(gap: f64, smoothing: f64) {
    let classes = 33;
    let logits: Vec<f64> = (0..classes).map(|c| if c == 0 { gap } else { 0.0 }).collect();
    let share = T::from_f64(smoothing / classes as f64);
    let own = T::ONE - T::from_f64(smoothing) + share;
    let target = Tensor::from_fn(&[classes], |c| if c == 0 { own } else { share });
    let [_, gradient, _] = cross_entropy(&logits, target);
    let gradient = numbers(&gradient);
    // p·Σt - t, with what the type holds of the target; p of the others is e^-gap next to 0.
    let other = (-gap).exp() / (1.0 + 32.0 * (-gap).exp());
    let (share, own) = (share.to_f64(), own.to_f64());
    let expected = 32.0 * ((1.0 - 32.0 * other) * share - other * own);
    let near = |found: f64, expected: f64| (found - expected).abs() <= 32.0 * T::EPSILON.to_f64() * expected.abs();
    assert!(near(gradient[0], expected), "{} {smoothing:e}: {:e}, expected {expected:e}", T::NAME, gradient[0]);
    let magnitude: f64 = gradient.iter().map(|g| g.abs()).sum();
    let total = row::<f64>(&gradient).sum();
    assert!(total.abs() <= 32.0 * T::EPSILON.to_f64() * magnitude, "{} {smoothing:e}: sum {total:e}", T::NAME);
}

#[test]
fn the_gradient_of_a_smoothed_target_keeps_its_digits() {
    for smoothing in [0.1, 1e-3, 1e-5, 1e-6] {
        smoothed::<f32>(60.0, smoothing);
        smoothed::<f64>(60.0, smoothing);
    }
    smoothed::<f64>(100.0, 1e-12);
}

/// The derivatives of a softmax of two logits, of which number `likely` is larger by `gap`.
fn confident_softmax<T: Scalar>(gap: f64, likely: usize) {
    let (tape, other) = (Tape::<T>::new(), 1 - likely);
    let mut logits = [0.0; 2];
    logits[likely] = gap;
    let x = tape.leaf(row(&logits));
    let in_order = |likely_first: [f64; 2]| [likely_first[likely], likely_first[other]];
    let product = (-gap).exp() / (1.0 + (-gap).exp()).powi(2);
    let gradient = x.softmax(0).index(0, likely).backward().get(x);
    assert_near(&gradient, &in_order([product, -product]));
    let second = {
        let ones = tape.scalar(T::ONE);
        let first = x.softmax(0).index(0, other).grad_from(ones, &[x])[0];
        first.index(0, likely).backward().get(x)
    };
    // With p of the likely one and q of the other, q'' by the likely logit twice is p·q·(p - q), away from a gap of 0.
    let expected = product * (1.0 - 2.0 / (1.0 + gap.exp()));
    if gap > 0.0 {
        assert_near(&second, &in_order([expected, -expected]));
    }
}

#[test]
fn the_gradient_of_a_confident_softmax_keeps_its_digits() {
    for gap in [0.0, 1.0, 10.0, 17.0, 20.0, 40.0, 80.0] {
        for likely in [0, 1] {
            confident_softmax::<f32>(gap, likely);
            confident_softmax::<f64>(gap, likely);
        }
    }
}

fn curvature<T: Scalar>(x: f64, target: f64) -> [f64; 2] {
    let tape = Tape::<T>::new();
    let leaf = tape.leaf(Tensor::scalar(T::from_f64(x)));
    let loss = leaf.binary_cross_entropy(tape.scalar(T::from_f64(target)));
    let first = loss.grad(&[leaf])[0];
    [first.value().item().to_f64(), first.backward().get(leaf).item().to_f64()]
}

#[test]
fn the_curvature_of_the_binary_cross_entropy_is_that_of_the_logistic_function_whatever_the_target() {
    for x in [0.0, 0.5, -3.0, 17.0, 17.5, -30.0, 40.0, -80.0, 86.0] {
        let e = f64::exp(-f64::abs(x));
        let expected = e / ((1.0 + e) * (1.0 + e));
        for target in [0.0, 0.3, 1.0, -0.5] {
            assert_near(&row::<f32>(&[curvature::<f32>(x, target)[1]]), &[expected]);
            assert_near(&row::<f64>(&[curvature::<f64>(x, target)[1]]), &[expected]);
        }
    }
    // Down to the smallest numbers of the type.
    let [first, _] = curvature::<f32>(95.0, 1.0);
    assert!((first / -(-95.0_f64).exp() - 1.0).abs() < 1e-3, "{first:e}");
}

/// The gradient of `f` of some numbers.
fn gradient_of(x: &[f64], f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>) -> Vec<f64> {
    let tape = Tape::new();
    let x = tape.leaf(row(x));
    numbers(&f(x).sum().backward().get(x))
}

#[test]
fn what_is_not_chosen_gets_no_gradient_not_even_of_an_infinite_cotangent() {
    assert_eq!(gradient_of(&[-1.0, 4.0], |x| x.relu().sqrt()), [0.0, 0.25]);
    assert_eq!(gradient_of(&[-1.0, 2.0], |x| x.clamp(0.0, 1.0).ln()), [0.0, 0.0]);
    assert_eq!(gradient_of(&[-1.0, 4.0], |x| x.maximum(x.tape().scalar(0.0)).sqrt()), [0.0, 0.25]);
    assert_eq!(gradient_of(&[0.0, -1.0], |x| x.max_axis(0).sqrt()), [INF, 0.0]);
}

#[test]
fn both_bounds_of_a_clamp_belong_to_its_inside() {
    assert_eq!(gradient_of(&[-1.0, 0.5, 2.0, 2.5], |x| x.clamp(-1.0, 2.0)), [1.0, 1.0, 1.0, 0.0]);
    // A range of one number is a range.
    let tape = Tape::new();
    assert_eq!(tape.leaf(row::<f64>(&[-1.0, 0.5, 2.0])).clamp(0.5, 0.5).value().to_vec(), [0.5; 3]);
}

const INF: f64 = f64::INFINITY;

/// ln Σ e^x, its gradient, softmax and log-softmax of a row.
fn in_log_space<T: Scalar>(x: &[f64]) -> [Vec<f64>; 4] {
    let tape = Tape::<T>::new();
    let x = tape.leaf(row(x));
    let y = x.log_sum_exp(0);
    [y.value(), y.backward().get(x), x.softmax(0).value(), x.log_softmax(0).value()].map(|x| numbers(&x))
}

fn infinities<T: Scalar>() {
    let nothing = in_log_space::<T>(&[-INF, -INF]);
    assert_eq!(nothing, [vec![-INF], vec![0.0, 0.0], vec![0.0, 0.0], vec![-INF, -INF]]);
    let one = in_log_space::<T>(&[-INF, 3.0]);
    assert_eq!(one, [vec![3.0], vec![0.0, 1.0], vec![0.0, 1.0], vec![-INF, 0.0]]);
    let certain = in_log_space::<T>(&[1.0, INF, -INF]);
    assert_eq!(certain, [vec![INF], vec![0.0, 1.0, 0.0], vec![0.0, 1.0, 0.0], vec![-INF, 0.0, -INF]]);
    let two = in_log_space::<T>(&[INF, INF]);
    assert_eq!((&two[0], &two[1], &two[2]), (&vec![INF], &vec![0.5, 0.5], &vec![0.5, 0.5]));
    for row in [[f64::NAN, -INF], [f64::NAN, 1.0], [INF, f64::NAN], [f64::NAN, f64::NAN]] {
        assert!(in_log_space::<T>(&row).iter().flatten().all(|x| x.is_nan()), "{row:?} in {}", T::NAME);
    }
    assert_eq!(in_log_space::<T>(&[]), [vec![-INF], vec![], vec![], vec![]]);
}

#[test]
fn infinities_in_log_space_have_gradients() {
    infinities::<f32>();
    infinities::<f64>();
}

#[test]
fn a_recursion_that_begins_with_the_impossible_has_finite_gradients_of_both_orders() {
    // The forward recursion of CTC: two of three paths cannot begin.
    let tape = Tape::<f64>::new();
    let emissions = tape.leaf(Tensor::from_fn(&[4, 3], |i| -0.5 - i as f64 / 7.0));
    let mut alpha = tape.constant(row(&[0.0, -INF, -INF]));
    let mut impossible = tape.constant(row(&[-INF, -INF, -INF]));
    for t in 0..4 {
        let next = |paths| stack(&[paths, shifted(paths)], 0).log_sum_exp(0) + emissions.index(0, t);
        (alpha, impossible) = (next(alpha), next(impossible));
    }
    assert!(numbers(&impossible.value()).iter().all(|&x| x == -INF));
    let total = concat(&[alpha, impossible], 0).log_sum_exp(0);
    let ones = tape.scalar(1.0);
    let first = total.grad_from(ones, &[emissions])[0];
    // Every path emits once at each step.
    assert_near(&first.sum_axis(1).value(), &[1.0; 4]);
    let second = first.square().sum().grad_from(ones, &[emissions])[0];
    assert!(second.value().all_finite(), "{:?}", second.value());
    assert!(second.value().norm() > 0.0);
}

/// Every path moved on by one state; nothing comes into the first.
fn shifted(alpha: Var<'_, f64>) -> Var<'_, f64> {
    let nothing = alpha.tape().constant(row::<f64>(&[-INF]));
    concat(&[nothing, alpha.slice(0, 0..2)], 0)
}
