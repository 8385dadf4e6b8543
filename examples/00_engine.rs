//! Reverse-mode autodiff in a hundred lines: a tape of scalars, a rule for each input of an op, and a loop that reads the
//! tape backwards.
//!
//! The engine needs only the standard library. It differentiates a tanh-RNN that is unrolled in time, shows what each
//! time step adds to the gradient of a weight that all steps share, and takes second derivatives by the same rules.
//! Rewind does the same with arrays, and must find the same values. `cargo run --example 00_engine`

use std::array::from_fn;
use std::cell::RefCell;
use std::ops::{Add, Mul, Sub};

use rewind_autograd as rewind;

// ---- The engine ----------------------------------------------------------------------------------------------------

/// Every computed value, in order. The inputs of a node always precede it.
#[derive(Default)]
struct Tape {
    nodes: RefCell<Vec<Node>>,
}

/// A value, the op that computed it, and the positions of the op's inputs.
#[derive(Clone)]
struct Node {
    value: f64,
    op: &'static Op,
    inputs: Vec<usize>,
}

/// A position on a tape. It is `Copy`, so formulas read as formulas.
#[derive(Clone, Copy)]
struct Var<'t> {
    tape: &'t Tape,
    at: usize,
}

/// What an op computes, and for each input x_i the rule of its derivative (a vector-Jacobian product, vjp).
///
/// A rule gets the inputs x, the output y and the cotangent g = dL/dy, and returns g·∂y/∂x_i. It computes with
/// variables, so what it computes is recorded, too, and can be differentiated again.
struct Op {
    value: fn(&[f64]) -> f64,
    rules: &'static [Rule],
}

type Rule = for<'t> fn(x: &[Var<'t>], y: Var<'t>, g: Var<'t>) -> Var<'t>;

static LEAF: Op = Op { value: |x| x[0], rules: &[] };
static ADD: Op = Op { value: |x| x[0] + x[1], rules: &[|_, _, g| g, |_, _, g| g] };
static SUB: Op = Op { value: |x| x[0] - x[1], rules: &[|_, _, g| g, |_, _, g| g * -1.0] };
static MUL: Op = Op { value: |x| x[0] * x[1], rules: &[|x, _, g| g * x[1], |x, _, g| g * x[0]] };
static TANH: Op = Op { value: |x| x[0].tanh(), rules: &[|_, y, g| g - g * y * y] };

impl Tape {
    /// A leaf: a given value, not a computed one.
    fn leaf(&self, value: f64) -> Var<'_> {
        self.push(value, &LEAF, Vec::new())
    }

    fn apply(&self, op: &'static Op, inputs: &[Var<'_>]) -> Var<'_> {
        let values: Vec<f64> = inputs.iter().map(|x| x.value()).collect();
        self.push((op.value)(&values), op, inputs.iter().map(|x| x.at).collect())
    }

    fn push(&self, value: f64, op: &'static Op, inputs: Vec<usize>) -> Var<'_> {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { value, op, inputs });
        Var { tape: self, at: nodes.len() - 1 }
    }
}

impl<'t> Var<'t> {
    fn value(self) -> f64 {
        self.tape.nodes.borrow()[self.at].value
    }

    fn tanh(self) -> Var<'t> {
        self.tape.apply(&TANH, &[self])
    }

    /// Reads the tape backwards from L = `self`. The result has a list for each node: the terms of dL/d(node), one for
    /// each use of the node, the last use first.
    fn backward(self) -> Vec<Vec<Var<'t>>> {
        let tape = self.tape;
        let mut terms = vec![Vec::new(); self.at + 1];
        terms[self.at].push(tape.leaf(1.0)); // dL/dL
        for at in (0..=self.at).rev() {
            // Every use of a node comes after it, so no term is missing here.
            let Some(g) = sum(&terms[at]) else { continue };
            let Node { op, inputs, .. } = tape.nodes.borrow()[at].clone();
            let x: Vec<_> = inputs.iter().map(|&at| Var { tape, at }).collect();
            for (rule, &input) in op.rules.iter().zip(&inputs) {
                terms[input].push(rule(&x, Var { tape, at }, g));
            }
        }
        terms
    }
}

/// The sum of the terms; `None` if L does not depend on the node.
fn sum<'t>(terms: &[Var<'t>]) -> Option<Var<'t>> {
    terms.iter().copied().reduce(Var::add)
}

impl<'t> Add for Var<'t> {
    type Output = Var<'t>;
    fn add(self, other: Var<'t>) -> Var<'t> {
        self.tape.apply(&ADD, &[self, other])
    }
}

impl<'t> Sub for Var<'t> {
    type Output = Var<'t>;
    fn sub(self, other: Var<'t>) -> Var<'t> {
        self.tape.apply(&SUB, &[self, other])
    }
}

impl<'t> Mul for Var<'t> {
    type Output = Var<'t>;
    fn mul(self, other: Var<'t>) -> Var<'t> {
        self.tape.apply(&MUL, &[self, other])
    }
}

impl<'t> Mul<f64> for Var<'t> {
    type Output = Var<'t>;
    fn mul(self, factor: f64) -> Var<'t> {
        self * self.tape.leaf(factor)
    }
}

// ---- Backpropagation through time ----------------------------------------------------------------------------------

/// One sequence of T = 3 inputs, and H = 2 units: h_t = tanh(x_t·W + h_(t-1)·U), L = Σ_t ½·|h_t - y_t|².
const T: usize = 3;
const X: [f64; T] = [0.8, -0.5, 0.3];
const Y: [[f64; 2]; T] = [[0.5, -0.2], [-0.4, 0.6], [0.9, 0.1]];
const W: [f64; 2] = [0.7, -0.3];
/// `[H, H]` by rows.
const U: [f64; 4] = [0.4, -0.6, 0.5, 0.3];
const H_0: [f64; 2] = [0.6, -0.9];

/// The loss of the unrolled network, and the variables U that every step uses.
fn unrolled(tape: &Tape, u: [f64; 4]) -> (Var<'_>, [Var<'_>; 4]) {
    let u = u.map(|u| tape.leaf(u));
    let w = W.map(|w| tape.leaf(w));
    let mut h = H_0.map(|h| tape.leaf(h));
    let mut loss = tape.leaf(0.0);
    for (x, y) in X.into_iter().zip(Y) {
        h = from_fn(|j| (w[j] * x + h[0] * u[j] + h[1] * u[2 + j]).tanh());
        for j in 0..2 {
            let error = h[j] - tape.leaf(y[j]);
            loss = loss + error * error * 0.5;
        }
    }
    (loss, u)
}

/// The derivatives of `result` by `u`.
fn gradient<'t>(result: Var<'t>, u: [Var<'t>; 4]) -> [Var<'t>; 4] {
    let terms = result.backward();
    u.map(|u| sum(&terms[u.at]).expect("every entry of U is used"))
}

/// The same with Rewind, where a node is an array: U `[2, 2]` is one variable, and a step uses it in one matrix
/// product.
///
/// What else makes it fast: first derivatives record nothing, the terms of a weight are summed in place, and the memory
/// of one training step serves the next. `docs/architecture.md` has the details.
fn unrolled_with_rewind(u: rewind::Var<'_, f64>) -> rewind::Var<'_, f64> {
    let tape = u.tape();
    let row = |values: &[f64]| tape.constant(rewind::Tensor::from_vec(values.to_vec(), &[1, values.len()]));
    let (w, mut h, mut loss) = (row(&W), row(&H_0), tape.scalar(0.0));
    for (x, y) in X.into_iter().zip(&Y) {
        h = (w * x + h.matmul(u)).tanh();
        let error = h - row(y);
        loss = loss + (error * error).sum() * 0.5;
    }
    loss
}

/// Central differences by each entry of U.
fn differences<const N: usize>(f: impl Fn([f64; 4]) -> [f64; N]) -> [[f64; N]; 4] {
    const STEP: f64 = 1e-5;
    from_fn(|i| {
        let [up, down] = [STEP, -STEP].map(|step| {
            let mut u = U;
            u[i] += step;
            f(u)
        });
        from_fn(|k| (up[k] - down[k]) / (2.0 * STEP))
    })
}

fn main() {
    let tape = Tape::default();
    let (loss, u) = unrolled(&tape, U);
    let terms = loss.backward();
    let first = gradient(loss, u);
    // The rules recorded what they computed, so the same rules differentiate the gradient.
    let second = first.map(|slope| gradient(slope, u));
    let (first, second) = (first.map(Var::value), second.map(|row| row.map(Var::value)).concat());

    let first_by_differences = differences(|u| [unrolled(&Tape::default(), u).0.value()]).concat();
    let second_by_differences = differences(|u| {
        let tape = Tape::default();
        let (loss, u) = unrolled(&tape, u);
        gradient(loss, u).map(Var::value)
    });

    let at = [rewind::Tensor::from_vec(U.to_vec(), &[2, 2])];
    let (_, [first_by_rewind]) = rewind::derive::gradient(&at, |_, &[u]| unrolled_with_rewind(u));
    let [[second_by_rewind]] = rewind::derive::hessian(&at, |_, &[u]| unrolled_with_rewind(u));

    println!("dL/dU of a tanh-RNN: each of the {T} steps uses U, and each use adds a term.\n");
    println!("                         U[1,1]        U[1,2]        U[2,1]        U[2,2]");
    let print = |name: &str, row: &[f64]| {
        println!("{name:<19}{}", row.iter().map(|x| format!("{x:>14.9}")).collect::<String>());
    };
    for (use_of_u, t) in (1..=T).rev().enumerate() {
        print(&format!("t = {t}"), &u.map(|u| terms[u.at][use_of_u].value()));
    }
    print("their sum", &first);
    print("central differences", &first_by_differences);
    print("Rewind", &first_by_rewind.to_vec());

    let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("\nlargest difference       of 4 first derivatives   of 16 second derivatives");
    for (name, limit, others) in [
        ("from central differences", 1e-9, [first_by_differences, second_by_differences.concat()]),
        ("from Rewind", 1e-12, [first_by_rewind.to_vec(), second_by_rewind.to_vec()]),
    ] {
        let found = [difference(&first, &others[0]), difference(&second, &others[1])];
        println!("{name:<24} {:<24.1e} {:.1e}", found[0], found[1]);
        assert!(found.iter().all(|&difference| difference < limit), "{name}: {found:?}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_agrees_with_differences_and_with_rewind() {
        super::main();
    }
}
