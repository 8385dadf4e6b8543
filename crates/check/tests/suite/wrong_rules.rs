//! The checker itself: rules made wrong on purpose must be caught, in every op.

use rewind_autograd::{Op, Scalar, Site, Tape, Tensor, Term, Var};
use rewind_check::{self as check, Doubt, Verdict};

use crate::naive::Array;
use crate::op_table::{FLAT, Row, rows};

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// One per cent too large.
    Scaled,
    /// The wrong sign.
    Negated,
    /// No contribution to any input.
    Missing,
    /// The right number, computed outside the tape: only the second order is wrong.
    Detached,
    /// Something flows where nothing should.
    Leaking,
}

/// An op with a fault in its rule.
struct Faulty {
    op: Box<dyn Op<f64>>,
    fault: Fault,
}

impl Op<f64> for Faulty {
    fn name(&self) -> &'static str {
        self.op.name()
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        self.op.forward(inputs)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        // Rules are linear in the cotangent: what is done to it is done to the result.
        let g = at.cotangent();
        let instead = match self.fault {
            Fault::Scaled => g * 1.01,
            Fault::Negated => -g,
            Fault::Detached => g.detach(),
            Fault::Missing => return Term::Zero,
            Fault::Leaking => return Term::Dense(g),
        };
        self.op.vjp(input, &at.with_cotangent(instead))
    }
}

/// Puts `fault` into every recorded op of that name; says how many there were.
fn spoil(tape: &Tape<f64>, op: &str, fault: Fault) -> usize {
    let nodes: Vec<_> = (0..tape.len()).filter(|&i| tape.node(i).name == op).collect();
    for &node in &nodes {
        tape.wrap_op(node, |op| Faulty { op, fault });
    }
    nodes.len()
}

/// Checks the square of a row's function with a fault in `op`. Squared, so that the cotangent depends on the inputs and
/// a detached one is wrong at the second order.
fn check_with_fault(row: &Row, op: &str, fault: Fault) -> check::Report {
    let inputs: Vec<_> = row.inputs.iter().map(|x| x.tensor()).collect();
    check::function(&inputs, |tape, v| {
        let y = (row.build)(tape, v);
        assert!(spoil(tape, op, fault) > 0, "{} records no {op}", row.name());
        y * y
    })
}

fn assert_caught(fault: Fault) {
    for row in rows() {
        for op in row.ops.iter().filter(|op| FLAT.contains(*op) == (fault == Fault::Leaking)) {
            let report = check_with_fault(&row, op, fault);
            assert!(!report.passed(), "{fault:?} {op} in {}: not caught: {report}", row.name());
            assert!(report.to_string().contains("WRONG"), "{report}");
            assert_eq!(report.suspect().map(|suspect| suspect.op), Some(*op), "{fault:?} in {}: {report}", row.name());
        }
    }
}

#[test]
fn every_rule_scaled_by_a_hundredth_is_caught() {
    assert_caught(Fault::Scaled);
}

#[test]
fn every_rule_with_the_wrong_sign_is_caught() {
    assert_caught(Fault::Negated);
}

#[test]
fn every_missing_rule_is_caught() {
    assert_caught(Fault::Missing);
}

#[test]
fn every_flat_op_that_leaks_is_caught() {
    assert_caught(Fault::Leaking);
}

#[test]
fn every_rule_computed_outside_the_tape_is_caught_at_the_second_order() {
    for row in rows() {
        for op in row.ops.iter().filter(|op| !FLAT.contains(*op)) {
            let report = check_with_fault(&row, op, Fault::Detached);
            assert!(!report.passed(), "{op} in {}: not caught: {report}", row.name());
            assert_eq!(report.worst.as_ref().map(|worst| worst.order), Some(2), "{op}: {report}");
            assert_eq!(report.suspect().map(|suspect| suspect.op), Some(*op), "in {}: {report}", row.name());
        }
    }
}

#[test]
fn the_same_rows_without_a_fault_pass() {
    for row in rows() {
        let inputs: Vec<_> = row.inputs.iter().map(|x| x.tensor()).collect();
        let report = check::function(&inputs, |tape, v| {
            let y = (row.build)(tape, v);
            y * y
        });
        // sign² is 1 wherever it has a derivative: the check is not to be fooled by that.
        if row.ops == ["sign"] {
            assert_eq!(report.verdict, Verdict::CannotTell(Doubt::IgnoresInput("0".to_owned())), "{report}");
        } else {
            assert!(report.passed(), "{}: {report}", row.name());
        }
    }
}

/// y = a·b with one of several rules for b that look right.
#[derive(Clone, Copy)]
enum Product {
    Right,
    /// b̄ has the right shape for square matrices, and lies on its side.
    TransposedGradient,
    /// Only the first of two terms.
    HalfOfTheSum,
    /// Numbers taken out of the tape.
    FromNumbers,
}

impl<T: Scalar> Op<T> for Product {
    fn name(&self) -> &'static str {
        "product"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].matmul(inputs[1])
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (a, b, g) = (at.input(0), at.input(1), at.cotangent());
        if input == 0 {
            return Term::Dense(g.matmul(b.transpose()));
        }
        match self {
            Product::Right => Term::Product(a, g),
            Product::TransposedGradient => Term::Dense(g.transpose().matmul(a)),
            Product::HalfOfTheSum => Term::Product(a.slice(0, 0..1), g.slice(0, 0..1)),
            Product::FromNumbers => Term::Product(a.detach(), g),
        }
    }
}

fn check_product(rule: Product) -> check::Report {
    let inputs = [0, 1].map(|stream| Array::sample(&[3, 3], stream).tensor());
    check::function(&inputs, |tape, v| {
        let y = tape.apply(rule, &[v[0].tanh(), v[1]]);
        y * y
    })
}

/// The worst entry of a report that found something wrong.
#[track_caller]
fn fault_found(report: &check::Report) -> &check::Entry {
    assert!(!report.passed(), "not caught: {report}");
    report.worst.as_ref().expect("a worst entry")
}

#[test]
fn a_wrong_rule_for_one_input_is_named() {
    check_product(Product::Right).assert();
    for rule in [Product::TransposedGradient, Product::HalfOfTheSum] {
        let report = check_product(rule);
        assert_eq!((fault_found(&report).order, fault_found(&report).input.as_str()), (1, "1"), "{report}");
    }
    let report = check_product(Product::FromNumbers);
    assert_eq!(fault_found(&report).order, 2, "{report}");
}

rewind_autograd::parameters! {
    struct Layer<P> { weight: P, bias: P }
}
rewind_autograd::parameters! {
    struct Net<P> { layers: Vec<Layer<P>>, scale: P }
}

#[test]
fn a_wrong_rule_in_a_module_is_named_with_its_parameter() {
    let layer = |stream| Layer {
        weight: Array::sample(&[2, 2], stream).tensor(),
        bias: Array::sample(&[2], stream + 1).tensor::<f64>(),
    };
    let net = Net { layers: vec![layer(1), layer(3)], scale: Array::sample(&[2], 9).tensor() };
    let run = |fault: Option<&'static str>| {
        check::module(&net, |tape, net| {
            let mut x = tape.constant(Array::sample(&[3, 2], 20).tensor());
            for layer in &net.layers {
                x = x.affine(layer.weight, Some(layer.bias)).tanh();
            }
            let wrong = x * net.scale;
            if let Some(op) = fault {
                let last = (0..tape.len()).rev().find(|&i| tape.node(i).name == op).expect("the op is recorded");
                tape.wrap_op(last, |op| OneInput { op, input: 1 });
            }
            wrong
        })
    };
    run(None).assert();
    for (op, input) in [("mul", "scale"), ("affine", "layers.1.weight")] {
        let report = run(Some(op));
        let worst = fault_found(&report);
        assert_eq!((worst.order, worst.input.as_str()), (1, input), "{report}");
        assert!(report.to_string().contains(&format!("input {input}, index")), "{report}");
    }
}

/// An op whose rule is wrong for one input only.
struct OneInput {
    op: Box<dyn Op<f64>>,
    input: usize,
}

impl Op<f64> for OneInput {
    fn name(&self) -> &'static str {
        self.op.name()
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        self.op.forward(inputs)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let g = at.cotangent();
        self.op.vjp(input, &if input == self.input { at.with_cotangent(g * -3.0) } else { at.with_cotangent(g) })
    }
}

#[test]
fn the_report_names_the_entry() {
    let x = Tensor::from_vec(vec![0.5, -1.0, 2.0, 0.25], &[2, 2]);
    /// y = x, and a rule that is wrong in one place.
    struct Spot;
    impl Op<f64> for Spot {
        fn name(&self) -> &'static str {
            "spot"
        }
        fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
            inputs[0].clone()
        }
        fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
            let spot = at.tape().constant(Tensor::from_vec(vec![1.0, 1.0, 1.5, 1.0], &[2, 2]));
            Term::Dense(at.cotangent() * spot)
        }
    }
    let report = check::function(&[x], |tape, v| tape.apply(Spot, v));
    let worst = fault_found(&report);
    assert_eq!((worst.index.as_slice(), worst.order), (&[1, 0][..], 1), "{report}");
    assert!((worst.analytic / worst.numeric - 1.5).abs() < 1e-6, "{report}");
    assert!(report.to_string().contains("input 0, index [1, 0]"), "{report}");
}

#[test]
fn a_check_without_inputs_does_not_pass() {
    let report = check::function(&[], |tape, _| tape.scalar(1.0));
    assert_eq!(report.verdict, Verdict::CannotTell(Doubt::Nothing), "{report}");
    assert!(report.entries == 0 && report.fraction() == 0.0);
    assert!(report.to_string().contains("nothing was compared"), "{report}");
    assert!(std::panic::catch_unwind(|| report.assert()).is_err());
}

#[test]
fn empty_inputs_are_right_and_say_that_they_are_empty() {
    for check in [check::full(), check::fast(), check::full().orders(3)] {
        for shape in [&[0][..], &[0, 3], &[2, 0]] {
            let report = check.function(&[Tensor::<f64>::zeros(shape)], |_, v| (v[0].tanh() * v[0]).sum());
            report.assert();
            assert!(report.entries == 0 && report.fraction() == 1.0, "{report}");
            assert!(report.to_string().contains("the inputs are empty"), "{report}");
        }
    }
    // Beside others they are no matter, and what cannot be computed is not right.
    let beside = check::function(&[Tensor::zeros(&[0, 3]), Array::sample(&[3], 1).tensor()], |_, v| {
        v[0].sum_axis(0) + v[1].tanh()
    });
    assert_eq!((beside.passed(), beside.entries), (true, 6), "{beside}");
    let invalid = check::function(&[Tensor::zeros(&[0, 3])], |_, v| v[0].matmul(v[0]));
    assert!(matches!(invalid.verdict, Verdict::Invalid(_)), "{invalid}");
}

#[test]
fn numbers_that_are_not_finite_do_not_pass() {
    let nan = check::function(&[Tensor::scalar(-1.0)], |_, v| v[0].sqrt());
    let infinite = check::function(&[Tensor::scalar(1000.0)], |_, v| v[0].exp());
    let one_sided = check::function(&[Tensor::scalar(0.0)], |_, v| v[0].sqrt());
    let one_of_many = check::function(&[Tensor::from_vec(vec![1.0, f64::NAN, 2.0], &[3])], |_, v| v[0].sin());
    for (report, checked) in [(nan, 0), (infinite, 0), (one_sided, 0), (one_of_many, 4)] {
        assert_eq!(report.verdict, Verdict::CannotTell(Doubt::NonFinite), "{report}");
        assert_eq!(report.checked, checked, "{report}");
        assert!(report.worst.as_ref().expect("the place is named").absolute().is_infinite(), "{report}");
        assert!(report.to_string().contains("CANNOT TELL: infinite or NaN"), "{report}");
        assert!(std::panic::catch_unwind(|| report.assert()).is_err());
    }
}

#[test]
fn a_function_that_takes_gradients_itself_is_checked() {
    // A penalty on the gradient of a small network: order one of the check is order two of the ops.
    let inputs = [Array::sample(&[3, 2], 1).tensor(), Array::sample(&[2, 2], 2).tensor()];
    let penalty = |wrong: f64| {
        check::function(&inputs, move |tape: &Tape<f64>, v: &[Var<'_, f64>]| {
            let slope = v[0].matmul(v[1]).tanh().sum().grad(&[v[0]])[0];
            let detached = tape.constant(slope.value());
            (slope * slope).sum() + (detached * detached).sum() * wrong
        })
    };
    penalty(0.0).assert();
    assert!(!penalty(1.0).passed());
}
