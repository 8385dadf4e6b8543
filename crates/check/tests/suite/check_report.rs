//! What a check says beyond right and wrong: doubt, invalid functions, where a mistake stands, and the smallest sizes.

use std::cell::Cell;

use rewind_autograd::ops::activation::Tanh;
use rewind_autograd::{Op, Scalar, Site, Tape, Tensor, Term, Var, checkpoint};
use rewind_check::{self as check, Culprit, Doubt, Invalid, Mode, Verdict};

fn x(shape: &[usize]) -> [Tensor<f64>; 1] {
    [check::sample(shape, 3)]
}

/// y = sin x with a slope that is `slope` times too large.
#[derive(Clone, Copy)]
struct Steep {
    slope: f64,
}

impl<T: Scalar> Op<T> for Steep {
    fn name(&self) -> &'static str {
        "steep"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(T::sin)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::Dense(at.cotangent() * at.input(0).cos() * T::from_f64(self.slope))
    }
}

#[test]
fn a_sum_over_a_softmax_is_not_called_right() {
    for check in [check::full(), check::fast()] {
        let report = check.function(&x(&[2, 3]), |_, x| x[0].softmax(1).sum());
        assert_eq!(report.verdict, Verdict::CannotTell(Doubt::IgnoresInput("0".to_owned())), "{report}");
        assert!(report.checked < report.entries, "{report}");
    }
}

#[test]
fn a_value_that_never_reached_the_tape_is_not_called_right() {
    let [kept] = x(&[3]);
    let report = check::function(&[kept.clone(), check::sample(&[3], 4)], |tape, x| {
        tape.leaf(kept.clone()).tanh() * x[1] // and x[0] is forgotten
    });
    assert_eq!(report.verdict, Verdict::CannotTell(Doubt::IgnoresInput("0".to_owned())), "{report}");
}

#[test]
fn at_a_kink_it_cannot_tell_and_beside_it_it_can() {
    let at = |x: f64| check::function(&[Tensor::from_vec(vec![x, 0.8, -1.2], &[3])], |_, x| x[0].relu() * x[0].cos());
    let report = at(0.0);
    assert_eq!(report.verdict, Verdict::CannotTell(Doubt::Kink), "{report}");
    // The two others at order one, and all at order two but the one on the kink.
    assert_eq!((report.entries, report.checked), (6, 4), "{report}");
    assert!((report.fraction() - 4.0 / 6.0).abs() < 1e-15);
    assert_eq!(report.worst.as_ref().map(|worst| worst.index.clone()), Some(vec![0]), "{report}");
    report.assert_not_wrong();
    assert!(std::panic::catch_unwind(|| report.assert()).is_err());
    at(1e-7).assert();
    at(-1e-7).assert();
}

#[test]
fn a_gradient_that_is_not_finite_where_the_function_is_smooth_is_wrong() {
    // The trap of `where`: 0·∞ on the side that was not chosen.
    let [mask] = [Tensor::from_vec(vec![1.0, 0.0], &[2])];
    let report = check::function(&[Tensor::from_vec(vec![0.7, 0.0], &[2])], |tape, x| {
        let safe = tape.constant(mask.clone());
        (x[0] * x[0]).sqrt() * safe + safe.one_minus() * x[0]
    });
    assert!(report.is_wrong(), "{report}");
    assert_eq!(report.worst.as_ref().map(|worst| worst.index.clone()), Some(vec![1]), "{report}");
}

#[test]
fn functions_that_are_none_are_invalid() {
    let calls = Cell::new(0.0);
    let random = check::function(&x(&[2]), |_, x| {
        calls.set(calls.get() + 1.0);
        x[0] * calls.get()
    });
    assert!(
        matches!(random.verdict, Verdict::Invalid(Invalid::NotDeterministic { difference }) if difference > 0.5),
        "{random}"
    );

    let growing = check::function(&x(&[3]), |_, x| {
        let many = if x[0].value().sum() == check::sample::<f64>(&[3], 3).sum() { 2 } else { 3 };
        x[0].slice(0, 0..many)
    });
    assert!(matches!(growing.verdict, Verdict::Invalid(Invalid::ShapeChanged { beside: 3, .. })), "{growing}");

    let panicking = check::function(&x(&[3]), |_, x| x[0].matmul(x[0]));
    let Verdict::Invalid(Invalid::Panicked(message)) = &panicking.verdict else { panic!("{panicking}") };
    assert!(message.contains("matmul: shapes [3] and [3]"), "{message}");
    for report in [random, growing, panicking] {
        assert!(report.to_string().contains("INVALID"), "{report}");
        assert!(std::panic::catch_unwind(|| report.assert_not_wrong()).is_err());
    }
}

#[test]
fn the_line_of_the_op_at_fault_is_named() {
    let line = line!() + 4;
    let report = check::function(&x(&[2, 3]), |tape, x| {
        let mut h = x[0];
        for _ in 0..3 {
            h = tape.apply(Steep { slope: 2.0 }, &[h * 0.7]).tanh() + x[0];
        }
        h
    });
    let suspect = report.suspect().expect("an op is at fault");
    assert_eq!((suspect.op, suspect.location.line(), suspect.nodes), ("steep", line, 3), "{report}");
    assert!(suspect.location.file().ends_with("check_report.rs"));
    assert_eq!(suspect.node, 2, "the first of the three: leaf, times 0.7, steep");
    let worst = suspect.worst.as_ref().expect("a worst entry");
    assert!((worst.analytic / worst.numeric - 2.0).abs() < 1e-6 && (worst.relative() - 0.5).abs() < 1e-6, "{report}");
    assert!(worst.ulps() > 1e12, "{report}");
    let text = report.to_string();
    for words in [
        "WRONG",
        "the first op at fault: steep, recorded at",
        "wrong nodes of this name: 3",
        "2 times what it should be",
        "step  ",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
}

#[test]
fn the_error_of_a_wrong_rule_does_not_move_with_the_step() {
    let report = check::op(Steep { slope: 1.1 }, &x(&[3]));
    assert!(report.steps.len() > 4, "{report}");
    let errors: Vec<f64> = report.steps[1..5].iter().map(|s| s.error).collect();
    assert!(report.steps[1].step > 500.0 * report.steps[4].step, "{report}");
    assert!(errors.iter().all(|e| (e / errors[0] - 1.0).abs() < 1e-2), "{errors:?}");
}

#[test]
fn a_detached_value_is_found_where_it_left_the_tape() {
    let line = line!() + 2;
    let report = check::function(&x(&[2, 3]), |_, x| {
        let h = x[0].tanh().detach();
        h * x[0].sin()
    });
    let Some(Culprit::OffTape(off)) = &report.culprit else { panic!("{report}") };
    assert_eq!((off.location.line(), off.rule_of), (line, None), "{report}");
    assert!(report.to_string().contains("a value left the tape"), "{report}");
}

#[test]
fn an_error_in_one_direction_cannot_cancel_in_another() {
    // Two errors of opposite sign and the same size: their sum is 0, their projections are not.
    struct Opposite;
    impl Op<f64> for Opposite {
        fn name(&self) -> &'static str {
            "opposite"
        }
        fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
            inputs[0].clone()
        }
        fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
            let off = at.tape().constant(Tensor::from_vec(vec![0.01, -0.01], &[2]));
            Term::Dense(at.cotangent() + off)
        }
    }
    for seed in 0..20 {
        let report = check::fast().projections(1).seed(seed).function(&x(&[2]), |tape, x| tape.apply(Opposite, x));
        assert!(report.is_wrong() && report.mode == Mode::Fast { projections: 1 }, "seed {seed}: {report}");
        assert_eq!(report.suspect().map(|suspect| suspect.op), Some("opposite"), "{report}");
    }
}

#[test]
fn single_precision_says_what_it_can() {
    let point = [check::sample::<f32>(&[2, 3], 1), check::sample(&[3, 2], 2)];
    let report = check::full().function(&point, |_, x| x[0].matmul(x[1]).tanh());
    assert!(report.passed() && report.precision == "f32", "{report}");
    // Honest: far from what double precision would have seen, and not worse than a few per cent.
    assert!(report.resolution > 1e-4 && report.resolution < 5e-2, "{report}");
    let fine = [check::sample::<f64>(&[2, 3], 1), check::sample(&[3, 2], 2)];
    assert!(check::full().function(&fine, |_, x| x[0].matmul(x[1]).tanh()).resolution < 1e-4);
    for (slope, wrong) in [(1.1, true), (0.0, true), (-1.0, true), (1.0, false)] {
        let report = check::full().function(&point[..1], |tape, x| tape.apply(Steep { slope }, x).exp());
        assert_eq!((report.is_wrong(), report.passed()), (wrong, !wrong), "{slope}: {report}");
        let fast = check::fast().function(&point[..1], |tape, x| tape.apply(Steep { slope }, x).exp());
        assert_eq!((fast.is_wrong(), fast.passed()), (wrong, !wrong), "{slope}: {fast}");
    }
    // A hundred thousandth is below what single precision sees, and is not called wrong; in double precision it is.
    let tiny = Steep { slope: 1.00001 };
    check::full().op(tiny, &point[..1]).assert_not_wrong();
    let seen = check::op(tiny, &fine[..1]);
    assert!(seen.is_wrong(), "{seen}");
}

#[test]
fn any_order_is_compared() {
    let report = check::full().orders(3).function(&x(&[4]), |_, x| x[0].tanh() * x[0]);
    assert_eq!((report.entries, report.orders), (12, 3));
    report.assert();
    check::fast().orders(3).function(&x(&[4]), |_, x| x[0].sigmoid()).assert();
    check::op(Tanh, &x(&[2, 2])).assert();
}

#[test]
fn elementwise_ops_are_right_to_the_third_order() {
    type Elementwise = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
    let ops: [Elementwise; 20] = [
        |x| x.exp(),
        |x| x.abs().ln(),
        |x| x.abs().sqrt(),
        |x| x.reciprocal(),
        |x| x.sin(),
        |x| x.cos(),
        |x| x.erf(),
        |x| x.abs() * x,
        |x| x.powf(3.0),
        |x| x.tanh(),
        |x| x.sigmoid(),
        |x| x.softplus(),
        |x| x.elu() * x,
        |x| x.relu() * x,
        |x| x.clamp(-0.9, 0.9).sin(),
        |x| x.gelu(),
        |x| x.silu(),
        |x| x * x,
        |x| x / (x * x + 1.0),
        |x| x.maximum(x * 0.5).exp(),
    ];
    for (k, op) in ops.into_iter().enumerate() {
        let report = check::full().orders(3).function(&x(&[5]), |_, x| op(x[0]));
        assert!(report.passed(), "number {k}: {report}");
    }
}

/// y = Σ of the rows, with a rule that forgets all rows but the first two.
#[derive(Clone, Copy)]
struct TwoRows;

impl Op<f64> for TwoRows {
    fn name(&self) -> &'static str {
        "two_rows"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].sum_axis(0)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let (rows, columns) = (at.input(0).shape()[0], at.input(0).shape()[1]);
        let some = rows.min(2);
        Term::Slice { part: at.cotangent().unsqueeze(0).broadcast_to(&[some, columns]), axis: 0, start: 0 }
    }
}

#[test]
fn the_smallest_sizes_that_fail_are_found() {
    let run = |sizes: &[usize]| {
        check::full().seed(5).shrink(sizes, |sizes| x(sizes).to_vec(), |tape, x| tape.apply(TwoRows, x))
    };
    let report = run(&[7, 5]);
    assert_eq!(report.sizes, Some(vec![3, 1]), "{report}");
    assert_eq!((report.shapes.clone(), report.seed), (vec![vec![3, 1]], 5));
    assert!(
        report.to_string().ends_with("smallest sizes that fail: [3, 1]\n  inputs of shapes [[3, 1]], seed 5"),
        "{report}"
    );
    let right = run(&[2, 5]);
    assert!(right.passed() && right.sizes.is_none(), "{right}");
}

#[test]
fn rules_for_one_op_do_not_hide_behind_its_last_value() {
    // The report looks at every rule before it computes any value again.
    let report = check::function(&x(&[2]), |tape: &Tape<f64>, x: &[Var<'_, f64>]| tape.apply(Steep { slope: 1.5 }, x));
    assert_eq!(report.suspect().map(|suspect| (suspect.examined, suspect.nodes)), Some((1, 1)), "{report}");
}

#[test]
fn an_op_inside_a_checkpoint_is_named_and_not_the_checkpoint() {
    let report = check::function(&x(&[2, 3]), |tape, x| {
        let _encoder = tape.scope("encoder");
        (0..3).fold(x[0].cos(), |h, _segment| {
            checkpoint(&[h], |tape, v| {
                let _step = tape.numbered_scope("t", 2);
                tape.apply(Steep { slope: 1.5 }, &[v[0].tanh()])
            })
        })
    });
    let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
    assert_eq!((suspect.op, suspect.scope.as_str(), suspect.nodes), ("steep", "encoder/t=2", 1), "{report}");
    assert!(suspect.location.file().ends_with("check_report.rs"), "{report}");
    assert!(matches!(suspect.pattern, Some(check::Pattern::Factor(k)) if (k - 1.5).abs() < 1e-4), "{report}");
}

#[test]
fn a_value_that_leaves_the_tape_inside_a_checkpoint_is_found_there() {
    let report = check::full().orders(1).function(&x(&[2, 3]), |_, x| {
        checkpoint(&[x[0].cos()], |tape, v| {
            let mask = tape.constant(Tensor::full(&[2, 3], 0.5)); // a constant that follows nothing
            v[0].tanh() * v[0].detach() * mask
        })
    });
    let line = line!() - 3;
    let Some(Culprit::OffTape(off)) = &report.culprit else { panic!("{report}") };
    assert_eq!((off.location.file(), off.location.line(), off.rule_of), (file!(), line, None), "{report}");
}

#[test]
fn a_wrong_shape_is_told_from_a_panic_that_speaks_of_one() {
    /// y = x; the rule panics, or gives a cotangent with an axis too many.
    #[derive(Clone, Copy)]
    enum Odd {
        Panics,
        Unsqueezes,
    }
    impl Op<f64> for Odd {
        fn name(&self) -> &'static str {
            "odd"
        }
        fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
            inputs[0].clone()
        }
        fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
            match self {
                Odd::Panics => panic!("odd: the rule for input 0 is not written yet"),
                Odd::Unsqueezes => Term::Dense(at.cotangent().unsqueeze(0)),
            }
        }
    }
    for (op, pattern) in [(Odd::Panics, None), (Odd::Unsqueezes, Some(check::Pattern::WrongShape))] {
        let report = check::function(&x(&[2]), |tape, x| tape.apply(op, &[x[0].sin()]).cos());
        let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
        assert_eq!((suspect.op, &suspect.pattern), ("odd", &pattern), "{report}");
        assert!(suspect.panic.as_ref().is_some_and(|message| message.contains("the rule for input 0")), "{report}");
    }
}
