//! Mistakes that hide: in one entry of many, beside larger gradients, where a variable comes twice, in a second call.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use rewind_autograd::{Op, Site, Tensor, Term, checkpoint};
use rewind_check::{self as check, Culprit, Invalid, Pattern, Verdict};

/// y = a∘b, with a rule that is wrong only where a and b are the same variable.
#[derive(Clone, Copy)]
enum Product {
    /// 0.7 times what it should be.
    Smaller,
    /// Counted once.
    Once,
    /// Right, with a number off the tape.
    Frozen,
}

impl Op<f64> for Product {
    fn name(&self) -> &'static str {
        "product"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].zip(inputs[1], |a, b| a * b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let (other, g) = (at.input(1 - input), at.cotangent());
        if at.input(0).position() != at.input(1).position() {
            return Term::Dense(g * other);
        }
        match self {
            Product::Smaller => Term::Dense(g * other * 0.7),
            Product::Once if input == 0 => Term::Dense(g * other),
            Product::Once => Term::Zero,
            Product::Frozen => Term::Dense(g * other.detach()),
        }
    }
}

#[test]
fn an_op_that_is_wrong_for_the_same_variable_twice_is_named() {
    let x = [check::sample(&[3], 1)];
    for (rule, order) in [(Product::Smaller, 1), (Product::Once, 1), (Product::Frozen, 2)] {
        let report = check::function(&x, |tape, x| {
            let h = x[0].sin();
            tape.apply(rule, &[h, h]) + tape.apply(rule, &[h, x[0]])
        });
        let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
        let worst = suspect.worst.as_ref().expect("a worst entry");
        assert_eq!((suspect.op, suspect.nodes, worst.order), ("product", 1, order), "{report}");
        assert_eq!((worst.input.as_str(), &suspect.pattern), ("0 and 1", &Some(Pattern::SameVariable)), "{report}");
    }
}

/// y = x·w + 0.001·b, with a gradient of b that is `factor` times too large.
#[derive(Clone, Copy)]
struct Dense {
    factor: f64,
}

impl Op<f64> for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        let product = inputs[0].matmul(inputs[1]);
        product.zip(&inputs[2].broadcast_to(product.shape()), |p, b| p + 1e-3 * b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let g = at.cotangent();
        match input {
            0 => Term::Dense(g.matmul(at.input(1).transpose())),
            1 => Term::Product(at.input(0), g),
            _ => Term::Summed(g * (1e-3 * self.factor)),
        }
    }
}

#[test]
fn a_small_gradient_is_not_drowned_by_the_others() {
    let x = [check::sample(&[3, 4], 1), check::sample(&[4, 5], 2), check::sample(&[5], 3)];
    for check in [check::full(), check::fast()] {
        check.function(&x, |tape, x| tape.apply(Dense { factor: 1.0 }, x).tanh()).assert();
        for (factor, digits) in [(1.0002, "1.000200"), (1.0000433, "1.0000433"), (0.9998, "0.999800")] {
            let report = check.function(&x, |tape, x| tape.apply(Dense { factor }, x).tanh());
            let suspect = report.suspect().unwrap_or_else(|| panic!("{factor}: {report}"));
            assert_eq!(suspect.op, "dense", "{report}");
            assert_eq!(suspect.worst.as_ref().map(|worst| worst.input.as_str()), Some("2"), "{report}");
            // With the digits that tell it from 1.
            let words = format!("a factor: {digits} times what it should be");
            assert!(report.to_string().contains(&words), "{report}");
        }
    }
}

#[test]
fn one_entry_of_many_that_is_a_little_wrong_is_named() {
    /// y = x, with one slope that is 1.00001.
    struct Spot;
    impl Op<f64> for Spot {
        fn name(&self) -> &'static str {
            "spot"
        }
        fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
            inputs[0].clone()
        }
        fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
            let spot = Tensor::from_fn(&[20, 20], |k| if k == 123 { 1.00001 } else { 1.0 });
            Term::Dense(at.cotangent() * at.tape().constant(spot))
        }
    }
    let report = check::full()
        .orders(1)
        .function(&[check::sample(&[20, 20], 1)], |tape, x| tape.apply(Spot, &[x[0] * 0.8]).tanh());
    let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
    assert_eq!((suspect.op, suspect.nodes), ("spot", 1), "{report}");
    assert_eq!(suspect.worst.as_ref().map(|worst| worst.index.clone()), Some(vec![6, 3]), "{report}");
}

#[test]
fn a_checkpoint_that_computes_something_else_the_second_time_is_named() {
    let line = line!() + 3;
    let report = check::full().orders(1).function(&[check::sample(&[2], 1)], |_, x| {
        let calls = AtomicUsize::new(0);
        checkpoint(
            &[x[0] * 0.9],
            move |_, v| {
                if calls.fetch_add(1, Ordering::Relaxed) == 0 { v[0].sin() } else { v[0].cos() }
            },
        )
    });
    assert!(report.is_wrong(), "{report}");
    let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
    assert_eq!((suspect.op, suspect.location.line()), ("checkpoint", line), "{report}");
    assert!(matches!(suspect.pattern, Some(Pattern::Unsteady { difference }) if difference > 0.01), "{report}");
}

#[test]
fn an_op_whose_slope_is_infinite_is_named_where_a_gradient_is_not_a_number() {
    let report = check::function(&[Tensor::from_vec(vec![0.7, 0.0], &[2])], |tape, x| {
        (x[0] * x[0]).sqrt() * tape.constant(Tensor::from_vec(vec![1.0, 0.0], &[2]))
    });
    assert!(report.is_wrong(), "{report}");
    let suspect = report.suspect().unwrap_or_else(|| panic!("{report}"));
    assert_eq!((suspect.op, &suspect.pattern), ("sqrt", &Some(Pattern::NotFinite)), "{report}");
}

#[test]
fn a_value_that_alternates_from_call_to_call_is_not_deterministic() {
    for (period, by) in [2, 3, 4].into_iter().flat_map(|period| [1e-3, 1e-9, 3e-16].map(|by| (period, by))) {
        for check in [check::full(), check::fast()] {
            let calls = Cell::new(0);
            let report = check.function(&[Tensor::from_vec(vec![0.3, 0.5], &[2])], |_, x| {
                calls.set(calls.get() + 1);
                x[0].sin() * if calls.get() % period == 0 { 1.0 + by } else { 1.0 }
            });
            let Verdict::Invalid(Invalid::NotDeterministic { difference }) = report.verdict else {
                panic!("every {period} calls, by {by}: {report}")
            };
            assert!(difference > 0.2 * by && difference < by, "{report}");
        }
    }
    let calls = Cell::new(0);
    let report = check::function(&[check::sample(&[2], 1)], |_, x| {
        calls.set(calls.get() + 1);
        x[0] * if calls.get() % 3 == 0 { f64::NAN } else { 1.0 }
    });
    assert_eq!(report.verdict, Verdict::Invalid(Invalid::NotDeterministic { difference: f64::INFINITY }), "{report}");
}

/// y = x∘factor, where the factor is a value and no input.
struct Times {
    factor: Tensor<f64>,
}

impl Op<f64> for Times {
    fn name(&self) -> &'static str {
        "times"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].zip(&self.factor, |x, factor| x * factor)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        Term::Dense(at.cotangent() * at.tape().constant(self.factor.clone()))
    }
}

#[test]
fn an_op_that_holds_a_value_of_the_inputs_is_named_within_checkpoints_too() {
    let inputs = [check::sample(&[3], 1), check::sample(&[3], 2)];
    let fixed = check::sample(&[3], 3);
    check::function(&inputs, |tape, v| tape.apply(Times { factor: fixed.clone() }, &[v[0] * v[1]])).assert();
    let held = |report: &check::Report| match &report.culprit {
        Some(Culprit::OffTape(off)) => (off.held_by, off.scope.clone(), off.location.file().to_owned()),
        _ => panic!("{report}"),
    };
    for check in [check::full(), check::fast()] {
        let report = check.function(&inputs, |tape, v| {
            let _scope = tape.scope("inner");
            tape.apply(Times { factor: v[1].value() }, &[v[0].sin()]) + v[1]
        });
        assert_eq!((report.verdict.clone(), held(&report).0), (Verdict::Wrong, Some("times")), "{report}");
        assert_eq!(held(&report).1, "inner", "{report}");
        assert!(held(&report).2.ends_with("check_origins.rs"), "{report}");
        let text =
            "every op is right by itself, but times holds a value that depends on the inputs and is not among its own:";
        assert!(report.to_string().contains(text), "{report}");
        let report = check.function(&inputs, |_tape, v| {
            checkpoint(v, |tape, v| tape.apply(Times { factor: v[1].value() }, &[v[0].sin()]) + v[1])
        });
        assert_eq!((report.verdict.clone(), held(&report).0), (Verdict::Wrong, Some("times")), "{report}");
    }
}
