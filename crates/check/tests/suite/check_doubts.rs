//! Where differences cannot tell, and that wrong rules get no excuse from it.

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Op, Scalar, Site, Tape, Tensor, Term, Var};
use rewind_check::{self as check, Culprit, Doubt, Verdict};

fn numbers(numbers: &[f64]) -> Tensor<f64> {
    Tensor::from_vec(numbers.to_vec(), &[numbers.len()])
}

#[track_caller]
fn cannot_tell(report: &check::Report, why: Doubt) {
    assert_eq!(report.verdict, Verdict::CannotTell(why), "{report}");
}

/// The logistic map x ↦ 4x(1 - x), so many times: the slope doubles at every step, on average.
fn chaos<'t>(steps: usize, x: Var<'t, f64>) -> Var<'t, f64> {
    (0..steps).fold(x, |x, _| x * x.one_minus() * 4.0)
}

#[test]
fn an_unstable_recursion_is_right_while_differences_see_it_and_never_wrong() {
    for steps in 1..=20 {
        check::function(&[numbers(&[0.3])], |_, x| chaos(steps, x[0])).assert();
    }
    for steps in [40, 43, 60, 80, 120] {
        for check in [check::full(), check::fast()] {
            let report = check.function(&[numbers(&[0.3])], |_, x| chaos(steps, x[0]));
            cannot_tell(&report, Doubt::Unsettled);
        }
    }
    for (seed, steps) in (0..12).flat_map(|seed| [10, 25, 30, 35, 50].map(|steps| (seed, steps))) {
        let points = check::sample::<f64>(&[3], seed).map(|x| 0.5 + 0.3 * x);
        let report = check::full().orders(1).function(&[points], |_, x| chaos(steps, x[0]));
        assert!(!report.is_wrong(), "seed {seed}, {steps} steps: {report}");
    }
}

#[test]
fn waves_that_no_step_resolves_are_not_called_wrong() {
    for exponent in 0..=9 {
        check::function(&[numbers(&[10_f64.powi(exponent)])], |_, x| x[0].sin()).assert();
    }
    for exponent in [10, 12, 13] {
        let report = check::function(&[numbers(&[10_f64.powi(exponent)])], |_, x| x[0].sin());
        cannot_tell(&report, Doubt::Unsettled);
        assert!(report.to_string().contains("settle at no step"), "{report}");
    }
    for k in 0..1000 {
        let x = 10_f64.powf(10.0 + f64::from(k) / 500.0);
        let report = check::full().orders(1).function(&[numbers(&[x])], |_, x| x[0].sin());
        assert!(!report.is_wrong(), "{x}: {report}");
    }
}

#[test]
fn numbers_out_of_range_are_named_as_the_reason() {
    type Function = for<'t> fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64>;
    let square: Function = |_, x| x[0] * x[0];
    let power: Function = |_, x| x[0].powf(2.0);
    let logarithm: Function = |_, x| x[0].ln(); // its second derivative is -1/x²
    for exponent in [-160, -170, -200, -250, -300] {
        for f in [square, power, logarithm] {
            let report = check::function(&[numbers(&[10_f64.powi(exponent)])], f);
            cannot_tell(&report, Doubt::OutOfRange);
            assert_eq!((report.entries, report.checked), (2, 1), "the other order is right: {report}");
            assert!(report.to_string().contains("leave the range of numbers"), "{report}");
            assert!(!check::fast().function(&[numbers(&[10_f64.powi(exponent)])], f).is_wrong());
        }
    }
    // In single precision the range ends earlier.
    let report = check::full().orders(1).function(&[Tensor::scalar(1e-25_f32)], |_, x| x[0] * x[0]);
    cannot_tell(&report, Doubt::OutOfRange);
    // Well within it, and beside numbers of ordinary size, small numbers are no trouble.
    check::function(&[numbers(&[1e-140])], square).assert();
    check::function(&[numbers(&[1e-170, 1.0])], square).assert();
    check::function(&[numbers(&[1e150])], square).assert();
    // x² is infinite there.
    cannot_tell(&check::function(&[numbers(&[1e170])], square), Doubt::NonFinite);
}

#[test]
fn a_derivative_that_is_exactly_zero_is_right() {
    for x in [&[0.0][..], &[0.0, 0.0], &[0.0, 1.0]] {
        check::function(&[numbers(x)], |_, x| x[0] * x[0] * x[0]).assert();
        check::function(&[numbers(x)], |_, x| x[0].powf(3.0)).assert();
        check::function(&[numbers(x)], |_, x| x[0].powf(5.0)).assert();
    }
    // One that should be zero and is not is wrong, however small.
    for slope in [1.0, 1e-3, 1e-7] {
        let report = check::full().orders(1).function(&[numbers(&[0.0])], |tape, x| {
            let kept = tape.constant(x[0].value());
            x[0] * x[0] * x[0] + (x[0] - kept) * slope
        });
        assert!(report.is_wrong(), "{slope}: {report}");
    }
}

#[test]
fn a_gradient_that_is_not_finite_where_the_function_is_flat_is_wrong() {
    // √(x²) at 0 behind a mask: the value and its neighbours are 0, and the gradient is ∞·0.
    for check in [check::full(), check::fast()] {
        let report = check.function(&[numbers(&[0.0])], |_, x| (x[0] * x[0]).sqrt() * 0.0);
        assert!(report.is_wrong(), "{report}");
        let worst = report.worst.as_ref().expect("a worst entry");
        assert!(worst.analytic.is_nan() && worst.numeric == 0.0, "{report}");
        let beside = check
            .function(&[numbers(&[0.0, 0.7])], |tape, x| (x[0] * x[0]).sqrt() * tape.constant(numbers(&[0.0, 1.0])));
        assert!(beside.is_wrong(), "{beside}");
        assert_eq!(beside.worst.as_ref().map(|worst| worst.index.clone()), Some(vec![0]), "{beside}");
    }
    // At a kink the derivatives from both sides are finite, and the gradient is none of them.
    assert!(check::function(&[numbers(&[0.0])], |_, x| (x[0] * x[0]).sqrt()).is_wrong());
    // Where the function itself has no finite slope, it cannot be told.
    cannot_tell(&check::function(&[numbers(&[0.0])], |_, x| x[0].abs().sqrt()), Doubt::NonFinite);
}

/// y = sin x, with a slope that is `factor` times too large at one entry.
#[derive(Clone, Copy)]
struct Spot {
    at: usize,
    factor: f64,
}

impl Op<f64> for Spot {
    fn name(&self) -> &'static str {
        "spot"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].map(f64::sin)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let spot = Tensor::from_fn(&at.input(0).shape(), |k| if k == self.at { self.factor } else { 1.0 });
        Term::Dense(at.cotangent() * at.input(0).cos() * at.tape().constant(spot))
    }
}

#[test]
fn however_many_kinks_there_are_a_wrong_entry_is_wrong() {
    let (full, fast) = (check::full().orders(1), check::fast().projections(1));
    for (check, kinks, factor) in [
        (full, 250, 2.5),
        (full, 300, 2.5),
        (full, 3000, 2.5),
        (full, 3000, 1.0001),
        (fast, 250, 2.5),
        (fast, 2000, 2.5),
    ] {
        let x = [Tensor::from_fn(&[kinks + 1], |k| if k == kinks { 0.7 } else { 0.0 })];
        let report = check.function(&x, |tape, x| {
            let wrong = tape.apply(Spot { at: 0, factor }, &[x[0].slice(0, kinks..kinks + 1)]);
            concat(&[x[0].slice(0, 0..kinks).relu(), wrong], 0)
        });
        assert!(report.is_wrong(), "{kinks}: {report}");
        assert_eq!(report.worst.as_ref().map(|worst| worst.index.clone()), Some(vec![kinks]), "{report}");
        assert_eq!(report.suspect().map(|suspect| suspect.op), Some("spot"), "{report}");
        // Without it, the kinks are what cannot be told.
        let report = check.function(&x, |_, x| x[0].relu());
        cannot_tell(&report, Doubt::Kink);
    }
}

#[test]
fn a_wrong_rule_has_no_excuse_in_an_unstable_recursion() {
    let wrong = |steps: usize| {
        check::full()
            .orders(1)
            .function(&[numbers(&[0.3])], move |tape, x| chaos(steps, tape.apply(Spot { at: 0, factor: 1.5 }, x)))
    };
    for steps in [5, 40, 80] {
        let report = wrong(steps);
        assert!(report.is_wrong(), "{steps} steps: {report}");
        assert_eq!(report.suspect().map(|suspect| suspect.op), Some("spot"), "{report}");
    }
    let report = check::full().orders(1).function(&[numbers(&[0.3])], |_, x| chaos(80, x[0].sin() * x[0].detach()));
    assert!(matches!(report.culprit, Some(check::Culprit::OffTape(_))), "{report}");
}

#[test]
fn a_wrong_rule_has_no_excuse_in_small_numbers() {
    let report = check::full().orders(1).function(&[numbers(&[1e-200])], |tape, x| {
        let y = tape.apply(Spot { at: 0, factor: 1.5 }, x);
        y * y
    });
    assert!(report.is_wrong(), "{report}");
    assert_eq!(report.suspect().map(|suspect| suspect.op), Some("spot"), "{report}");
}

/// x² elementwise, with a rule that is 1 % off.
#[derive(Clone)]
struct Off;

impl<T: Scalar> Op<T> for Off {
    fn name(&self) -> &'static str {
        "off"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| x * x)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::Dense(at.input(0) * at.cotangent() * T::from_f64(2.02))
    }
}

fn off_at<T: Scalar>(size: f64) {
    let x = Tensor::from_vec([1.0, -0.7, 0.4].map(|x| T::from_f64(size * x)).to_vec(), &[3]);
    for check in [check::full(), check::fast(), check::full().orders(1)] {
        let report = check.op(Off, std::slice::from_ref(&x));
        assert_eq!(report.verdict, Verdict::Wrong, "{} at {size:e}: {report}", T::NAME);
        assert!(matches!(&report.culprit, Some(Culprit::Op(suspect)) if suspect.op == "off"), "{size:e}: {report}");
        let sum = check.function(std::slice::from_ref(&x), |tape, x| tape.apply(Off, x).sum());
        assert_eq!(sum.verdict, Verdict::Wrong, "the sum, {} at {size:e}: {sum}", T::NAME);
    }
}

#[test]
fn a_wrong_rule_is_wrong_whatever_the_size_of_the_numbers() {
    for size in [1.0, 1e-1, 1e-2, 1e-3, 1e-5, 1e3, 1e5] {
        off_at::<f32>(size);
    }
    for size in [1.0, 1e-3, 1e-8, 1e-12, 1e-20, 1e-50, 1e8, 1e50, 1e100, 1e150] {
        off_at::<f64>(size);
    }
}

/// x + k·b elementwise, with no gradient for b.
#[derive(Clone)]
struct Forgets(f64);

impl<T: Scalar> Op<T> for Forgets {
    fn name(&self) -> &'static str {
        "forgets"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |x, b| x + T::from_f64(self.0) * b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        if input == 0 { Term::Dense(at.cotangent()) } else { Term::Zero }
    }
}

fn forgets<T: Scalar>(small: f64) {
    let [x, b] = [0.3, -0.8].map(|x| Tensor::from_vec(vec![T::from_f64(x), T::from_f64(x + 1.7)], &[2]));
    let report = check::full().op(Forgets(small), &[x.clone(), b.clone()]);
    assert_eq!(report.verdict, Verdict::Wrong, "{} {small:e}: {report}", T::NAME);
    let detached = check::full()
        .function(&[x, b], |tape, v| v[0].tanh() + (tape.constant(v[1].value()) * T::from_f64(small)).sin());
    assert_eq!(detached.verdict, Verdict::Wrong, "{} {small:e}: {detached}", T::NAME);
}

#[test]
fn a_missing_gradient_is_wrong_though_what_it_adds_is_rounded_away_at_the_smallest_steps() {
    for small in [1.0, 1e-3, 1e-5, 1e-6] {
        forgets::<f64>(small);
    }
    for small in [1.0, 1e-2, 1e-3] {
        forgets::<f32>(small);
    }
}

#[test]
fn numbers_next_to_nothing_end_in_an_answer() {
    let at = |x: Vec<f64>| Tensor::from_vec(x, &[2]);
    for x in [at(vec![1e-160, -1e-160]), at(vec![1e-320, -1e-320]), at(vec![1.0, 1e-313])] {
        let x = std::slice::from_ref(&x);
        assert!(!check::function(x, |_, x| x[0] * x[0] * x[0]).is_wrong());
        assert!(!check::function(x, |_, x| x[0].square()).is_wrong());
        assert!(!check::function(x, |_, x| x[0].abs()).is_wrong());
        assert!(!check::function(x, |_, x| x[0].relu()).is_wrong());
    }
}

#[test]
fn small_waves_on_a_trend_are_not_called_wrong() {
    for (height, turns) in [(1e-5_f32, 1e3_f32), (1e-3, 1e4), (1e-3, 1e6)] {
        for seed in 0..4 {
            let x = Tensor::from_vec(vec![0.3_f32, -0.8, 1.1], &[3]);
            let report = check::full().seed(seed).function(&[x], |_, x| (x[0] * turns).sin() * height + x[0]);
            assert!(!report.is_wrong(), "{height} {turns} {seed}: {report}");
        }
    }
    for height in [1e-3, 1e-6, 1e-9] {
        let x = Tensor::from_vec(vec![0.3, -0.8, 1.1], &[3]);
        let report = check::function(&[x], |_, x| (x[0] * 1e15).sin() * height + x[0]);
        assert!(!report.is_wrong(), "{height}: {report}");
    }
}

#[test]
fn a_gradient_below_the_numbers_of_its_type_is_not_called_wrong() {
    for size in [1e30_f32, 1e37] {
        let x = Tensor::from_vec([1.0_f32, -0.7, 0.4].map(|x| size * x).to_vec(), &[3]);
        let positive = x.map(f32::abs);
        for check in [check::full(), check::fast(), check::fast().orders(2)] {
            for report in [
                check.function(std::slice::from_ref(&x), |_, x| x[0].reciprocal()),
                check.function(std::slice::from_ref(&positive), |_, x| x[0].ln()),
                check.function(std::slice::from_ref(&positive), |_, x| x[0].sqrt()),
            ] {
                assert!(!report.is_wrong(), "{size:e}: {report}");
            }
        }
    }
}

/// relu elementwise, with a gradient that is missing at one entry.
#[derive(Clone)]
struct MissesOne(usize);

impl Op<f64> for MissesOne {
    fn name(&self) -> &'static str {
        "misses_one"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].map(|x| x.max(0.0))
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let x = at.input(0);
        let here = Tensor::from_fn(&x.shape(), |i| if i == self.0 { 0.0 } else { 1.0 });
        Term::Dense(x.heaviside() * at.tape().constant(here) * at.cotangent())
    }
}

#[test]
fn the_fast_mode_finds_a_wrong_entry_among_thousands_of_kinks() {
    // An odd place, which every second entry would not see.
    let x = Tensor::from_fn(&[3001], |i| if i == 1501 { 0.7 } else { 0.0 });
    let report = check::fast().op(MissesOne(1501), &[x]);
    assert_eq!(report.verdict, Verdict::Wrong, "{report}");
    assert_eq!(report.worst.expect("an entry is wrong").index, [1501]);
}

/// x + b over rows of x, with a slope of b that is off by so much.
#[derive(Clone, Copy)]
struct SlightlyOff(f64);

impl<T: Scalar> Op<T> for SlightlyOff {
    fn name(&self) -> &'static str {
        "slightly_off"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |x, b| x + b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let g = at.cotangent();
        if input == 0 { Term::Dense(g) } else { Term::Summed(g * T::from_f64(1.0 + self.0)) }
    }
}

#[test]
fn a_small_mistake_beside_large_numbers_is_wrong_at_its_op() {
    let b = check::sample::<f64>(&[3], 2);
    for (size, error) in [(1e3, 1e-5), (1e6, 1e-4), (1e6, 1e-3), (1e8, 1e-2)] {
        let x = check::sample::<f64>(&[2, 3], 1).map(|x| size * x);
        for check in [check::full(), check::fast(), check::full().orders(1)] {
            let inputs = [x.clone(), b.clone()];
            check.op(SlightlyOff(0.0), &inputs).assert();
            for report in [
                check.op(SlightlyOff(error), &inputs),
                check.function(&inputs, |tape, x| tape.apply(SlightlyOff(error), x).sum()),
            ] {
                assert_eq!(report.verdict, Verdict::Wrong, "{error:e} beside {size:e}: {report}");
                assert_eq!(report.suspect().map(|suspect| suspect.op), Some("slightly_off"), "{report}");
            }
        }
    }
}
