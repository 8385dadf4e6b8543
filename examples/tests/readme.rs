//! The README shows the check report of its cell with a wrong sign in a custom op.
//!
//! `cargo test -p rewind-examples --test readme -- --nocapture` prints it.

use rewind_autograd::{Op, Scalar, Site, Tensor, Term, Var, parameters};
use rewind_check::{self as check, Report};
use rewind_rnn::{Cell, unroll};

/// y = tanh x. The derivative is 1 - y², and this rule says 1 + y².
#[derive(Clone, Copy)]
struct MyTanh;

impl<T: Scalar> Op<T> for MyTanh {
    fn name(&self) -> &'static str {
        "my_tanh"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| x.tanh())
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let y = at.output();
        Term::Dense(at.cotangent() * (y * y + T::from_f64(1.0)))
    }
}

#[track_caller]
fn my_tanh<'t, T: Scalar>(x: Var<'t, T>) -> Var<'t, T> {
    x.tape().apply(MyTanh, &[x])
}

parameters! {
    /// Minimal gated unit, as in the README. x `[B, I]`, h `[B, H]`; w_* `[I, H]`, u_* `[H, H]`.
    struct Mgu<P> { w_f: P, u_f: P, w_n: P, u_n: P }
}

impl<'t, T: Scalar> Cell<'t, T> for Mgu<Var<'t, T>> {
    type State = Var<'t, T>;
    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let f = (x.matmul(self.w_f) + h.matmul(self.u_f)).sigmoid();
        let n = my_tanh(x.matmul(self.w_n) + (f * h).matmul(self.u_n));
        h + f * (n - h)
    }
    fn initial(&self, batch: usize) -> Var<'t, T> {
        self.u_f.tape().zeros(&[batch, self.u_f.shape()[0]])
    }
}

/// T = 7, B = 2, I = 3, H = 5.
fn report() -> Report {
    let x = check::sample(&[7, 2, 3], 1);
    let w = |seed| check::sample(&[3, 5], seed);
    let u = |seed| check::sample(&[5, 5], seed);
    let mgu = Mgu { w_f: w(22), u_f: u(23), w_n: w(24), u_n: u(25) };
    check::module(&mgu, |tape, cell| unroll(cell, tape.constant(x.clone())).outputs())
}

#[test]
fn the_readme_shows_this_report() {
    let report = report();
    println!("{report}");
    assert!(report.is_wrong() && report.suspect().is_some_and(|suspect| suspect.op == "my_tanh"));
    let text = format!("```text\n{report}\n```\n");
    assert!(include_str!("../../README.md").contains(&text), "the README has another report than\n{text}");
}
