//! Rules that misbehave: terms that cannot be, and a panic.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rewind_autograd::{Op, Scalar, Site, Tape, Tensor, Term};

use super::of;
use crate::refused::panic_of;

/// y = x, `[2, 3]`, with a rule that gives a term that cannot be.
struct Misfit(u8);

impl<T: Scalar> Op<T> for Misfit {
    fn name(&self) -> &'static str {
        "misfit"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].clone()
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let g = at.cotangent();
        match self.0 {
            0 => Term::Dense(g.sum_axis(1)),
            1 => Term::Summed(g.sum_axis(0)),
            2 => Term::Product(g, g),
            3 => Term::Slice { part: g, axis: 1, start: 1 },
            4 => Term::Slice { part: g, axis: 2, start: 0 },
            _ => Term::Product(g.slice(0, 0..1), g),
        }
    }
}

#[test]
fn terms_that_cannot_be() {
    let tape = Tape::new();
    let x = of(&tape, &[2, 3]);
    for (fault, message) in [
        (0, "a dense term of shape [2]"),
        (1, "a summed term of shape [3]"),
        (2, "a product term of shapes [2, 3] and [2, 3]"),
        (3, "a slice term of shape [2, 3] at 1 of axis 1"),
        (4, "a slice term of shape [2, 3] at 0 of axis 2"),
        (5, "a product term of shapes [1, 3] and [2, 3]"),
    ] {
        let expected = format!("misfit: the rule for input 0 gave {message} for an input of shape [2, 3]");
        let y = tape.apply(Misfit(fault), &[x]).sum();
        assert_eq!(panic_of(|| y.backward()).2, expected);
        let y = tape.apply(Misfit(fault), &[x]).sum();
        assert_eq!(panic_of(|| y.grad(&[x])).2, expected);
    }
}

/// y = 2x, whose rule panics when it is asked for the first time.
struct Moody(AtomicBool);

impl Op<f64> for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].map(|x| 2.0 * x)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        assert!(self.0.swap(true, Relaxed), "not yet");
        Term::Dense(at.cotangent() * 2.0)
    }
}

#[test]
fn a_tape_can_be_swept_again_after_a_rule_has_panicked() {
    for recorded in [false, true] {
        let tape = Tape::new();
        let x = tape.leaf(Tensor::from_vec(vec![1.0, -3.0], &[2]));
        let h = tape.apply(Moody(AtomicBool::new(false)), &[x.tanh()]);
        let loss = (h * h).sum();
        let sweep = || if recorded { loss.grad(&[x])[0].value() } else { loss.backward().get(x) };
        assert!(panic::catch_unwind(AssertUnwindSafe(sweep)).is_err());
        // d(4·tanh²x)/dx
        let right = |x: f64| 8.0 * x.tanh() * (1.0 - x.tanh() * x.tanh());
        let found = sweep().to_vec();
        assert!((found[0] - right(1.0)).abs() < 1e-14 && (found[1] - right(-3.0)).abs() < 1e-14, "{found:?}");
    }
}

/// y = x, whose rule asks for its own op.
struct Curious;

impl Op<f64> for Curious {
    fn name(&self) -> &'static str {
        "curious"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].clone()
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        assert!(at.tape().op(at.output().position()).is_some_and(|op| Op::<f64>::name(&op) == "curious"));
        Term::Dense(at.cotangent())
    }
}

#[test]
fn a_rule_has_no_ops_of_the_tape_in_a_first_order_sweep() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::scalar(3.0));
    let y = tape.apply(Curious, &[x]);
    let expected = "op: a sweep over this tape is under way; a rule cannot have the ops of its nodes";
    assert_eq!(panic_of(|| y.backward()).2, expected);
    // A recorded sweep shares them, once.
    for _ in 0..2 {
        assert_eq!(y.grad(&[x])[0].value().item(), 1.0);
    }
    assert_eq!(panic_of(|| y.backward()).2, expected);
}

/// y = a·b, whose rules look at all that is on the tape.
struct Nosy;

impl Op<f64> for Nosy {
    fn name(&self) -> &'static str {
        "nosy"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].zip(inputs[1], |a, b| a * b)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let term = at.cotangent() * at.input(1 - input);
        (0..at.tape().len()).for_each(|node| assert!(at.tape().node(node).value.all_finite()));
        Term::Dense(term)
    }
}

#[test]
fn a_rule_is_told_that_the_values_of_another_rule_are_gone() {
    let tape = Tape::new();
    let (a, b) = (tape.leaf(Tensor::scalar(3.0)), tape.leaf(Tensor::scalar(2.0)));
    let y = tape.apply(Nosy, &[a, b]);
    let expected =
        "node: the value at 4 is gone: an earlier rule of the same node computed it, and it is part of a cotangent";
    assert_eq!(panic_of(|| y.backward()).2, expected);
    assert_eq!(y.grad(&[a])[0].value().item(), 2.0, "a recorded sweep keeps all values");
    assert_eq!((a * b).backward().get(a).item(), 2.0, "the tape can be swept again");
}
