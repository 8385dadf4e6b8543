//! Rules that read a value of another time: kept from the last forward pass, or from when the op was made.

use std::sync::{Arc, Mutex};

use rewind_autograd::{Op, Site, Tape, Tensor, Term, Var};
use rewind_check as check;

use super::{Custom, Function, Kind, Mistake};

/// y = sin x, and a rule that reads the x of the last value computed, wherever on the tape that was.
#[derive(Clone)]
struct LastSeen {
    name: &'static str,
    seen: Arc<Mutex<Option<Tensor<f64>>>>,
}

impl Op<f64> for LastSeen {
    fn name(&self) -> &'static str {
        self.name
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        *self.seen.lock().expect("no panic before") = Some(inputs[0].clone());
        inputs[0].map(f64::sin)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let seen = self.seen.lock().expect("no panic before").clone().expect("the value comes first");
        Term::Dense(at.cotangent() * at.tape().constant(seen.map(f64::cos)))
    }
}

/// y = x², and a rule with the x of when the op was made: right at that point, and a constant of the tape.
struct Saved {
    name: &'static str,
    x: Tensor<f64>,
}

impl Op<f64> for Saved {
    fn name(&self) -> &'static str {
        self.name
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].map(|x| x * x)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        Term::Dense(at.cotangent() * at.tape().constant(self.x.map(|x| 2.0 * x)))
    }
}

fn stale(name: &'static str, order: usize, f: Function) -> Mistake {
    Mistake { kind: Kind::Stale, op: name, order, inputs: vec![check::sample(&[3], 90)], f }
}

/// Twice the same shared memory along a chain, as a cell unrolled in time has it.
fn chain(steps: usize, name: &'static str) -> Function {
    Box::new(move |tape: &Tape<f64>, v: &[Var<'_, f64>]| {
        let op = LastSeen { name, seen: Arc::default() };
        let mut h = v[0];
        for _ in 0..steps {
            h = tape.apply(op.clone(), &[h * 1.1]) + v[0] * 0.3;
        }
        h * h
    })
}

pub(crate) fn mistakes() -> Vec<Mistake> {
    let input_of_the_step = Custom {
        name: "output_for_input",
        value: |x| x[0].map(|x| x * x),
        rule: |_, at| Term::Dense(at.cotangent() * at.output() * 2.0),
    };
    vec![
        stale("last_of_two_steps", 1, chain(2, "last_of_two_steps")),
        stale("last_of_four_steps", 1, chain(4, "last_of_four_steps")),
        stale(
            "saved_when_made",
            2,
            Box::new(|tape, v| {
                let x = v[0] * 0.9;
                let y = tape.apply(Saved { name: "saved_when_made", x: x.value() }, &[x]);
                y * y
            }),
        ),
        stale(
            "saved_before_the_update",
            1,
            Box::new(|tape, v| {
                let x = v[0] * 0.9;
                let y = tape.apply(Saved { name: "saved_before_the_update", x: v[0].value() }, &[x]);
                y * y
            }),
        ),
        Mistake { kind: Kind::Stale, ..super::mistake(Kind::Stale, input_of_the_step, &[&[3]]) },
    ]
}
