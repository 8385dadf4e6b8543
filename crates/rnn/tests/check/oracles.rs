//! Four nearly independent ways to compute the gradient of an unrolled cell, which agree:
//!
//! - backpropagation through time: one reverse pass over the tape;
//! - forward mode through time (real-time recurrent learning: Williams and Zipser 1989): ∂s_t/∂θ carried from step to step,
//!   with the Jacobians of one step at a time;
//! - the complex step (Squire and Trapp 1998): Im f(x + ih)/h with h = 1e-30, which has no
//!   cancellation, of the equations written again in complex numbers, without the engine;
//! - central differences, by the check.

use std::ops::{Add, Div, Mul, Neg, Sub};

use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var};
use rewind_rnn::{Cell, Reset, State, Unroll, check};

use crate::common::{gru, lstm, random, tanh};

const STEPS: usize = 4;
const BATCH: usize = 2;
const INPUTS: usize = 2;
const HIDDEN: usize = 3;

/// Every variable of a state, or its values.
fn parts<'t, S: State<'t, f64>>(state: &S) -> Vec<Var<'t, f64>> {
    let mut parts = Vec::new();
    state.clone().zip(state.clone(), &mut |part, _| {
        parts.push(part);
        part
    });
    parts
}

/// The weights of E = Σ_t Σ weight_t ∘ h_t.
fn weight(t: usize) -> Tensor<f64> {
    random(&[BATCH, HIDDEN], 40 + t as u64)
}

fn x() -> Tensor<f64> {
    random(&[STEPS, BATCH, INPUTS], 30)
}

/// dE/dθ for all parameters in one row, by the tape of the whole sequence.
fn by_bptt<M>(module: &M) -> Vec<f64>
where
    M: Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
{
    let tape = Tape::new();
    let cell = module.on(&tape);
    let unrolled = Unroll::new().run(&cell, tape.constant(x()));
    let mut loss = tape.scalar(0.0);
    for t in 0..STEPS {
        loss = loss + (unrolled.output(t) * tape.constant(weight(t))).sum();
    }
    let gradients = loss.backward();
    cell.leaves().into_iter().flat_map(|&p| gradients.get(p).to_vec()).collect()
}

/// The rows ∂y/∂v of one variable with respect to some others, one after the other in a row.
fn jacobian(y: Var<'_, f64>, of: &[Var<'_, f64>]) -> Vec<Vec<f64>> {
    let row = |k: usize| {
        let seed = Tensor::from_fn(&y.shape(), |i| if i == k { 1.0 } else { 0.0 });
        let gradients = y.backward_from(&seed);
        of.iter().flat_map(|&v| gradients.get(v).to_vec()).collect()
    };
    (0..y.element_count()).map(row).collect()
}

/// The same forward in time: each step on a separate tape.
fn by_rtrl<M>(module: &M) -> Vec<f64>
where
    M: Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
{
    // The first state and how it depends on the parameters (it may be learned).
    let (mut values, mut influence) = {
        let tape = Tape::new();
        let cell = module.on(&tape);
        let parameters: Vec<_> = cell.leaves().into_iter().copied().collect();
        let first = parts(&cell.initial(BATCH));
        let values: Vec<Tensor<f64>> = first.iter().map(|part| part.value()).collect();
        let influence: Vec<Vec<f64>> = first.iter().flat_map(|&part| jacobian(part, &parameters)).collect();
        (values, influence)
    };
    let count = influence[0].len();
    let mut total = vec![0.0; count];
    for t in 0..STEPS {
        let tape = Tape::new();
        let cell = module.on(&tape);
        let parameters: Vec<_> = cell.leaves().into_iter().copied().collect();
        let mut leaves = Vec::new();
        let own = cell.initial(BATCH);
        let state = own.clone().zip(own, &mut |_, _| {
            leaves.push(tape.leaf(values[leaves.len()].clone()));
            leaves[leaves.len() - 1]
        });
        let next = cell.step(tape.constant(x().index(0, t)), state);
        let mut carried = Vec::new();
        for part in parts(&next) {
            let (direct, through) = (jacobian(part, &parameters), jacobian(part, &leaves));
            for (mut row, through) in direct.into_iter().zip(through) {
                for (slope, before) in through.iter().zip(&influence) {
                    row.iter_mut().zip(before).for_each(|(to, before)| *to += slope * before);
                }
                carried.push(row);
            }
        }
        values = parts(&next).iter().map(|part| part.value()).collect();
        influence = carried;
        // The rows of the output follow those of the parts before it.
        let output = next.output().position();
        let before = parts(&next).into_iter().take_while(|part| part.position() != output);
        let start: usize = before.map(|part| part.element_count()).sum();
        for (k, w) in weight(t).to_vec().into_iter().enumerate() {
            total.iter_mut().zip(&influence[start + k]).for_each(|(to, slope)| *to += w * slope);
        }
    }
    total
}

/// The complex arithmetic that cells need.
#[derive(Clone, Copy, Debug)]
struct Complex {
    re: f64,
    im: f64,
}

fn real(re: f64) -> Complex {
    Complex { re, im: 0.0 }
}

impl Add for Complex {
    type Output = Complex;
    fn add(self, b: Complex) -> Complex {
        Complex { re: self.re + b.re, im: self.im + b.im }
    }
}

impl Neg for Complex {
    type Output = Complex;
    fn neg(self) -> Complex {
        Complex { re: -self.re, im: -self.im }
    }
}

impl Sub for Complex {
    type Output = Complex;
    fn sub(self, b: Complex) -> Complex {
        self + -b
    }
}

impl Mul for Complex {
    type Output = Complex;
    fn mul(self, b: Complex) -> Complex {
        Complex { re: self.re * b.re - self.im * b.im, im: self.re * b.im + self.im * b.re }
    }
}

impl Div for Complex {
    type Output = Complex;
    fn div(self, b: Complex) -> Complex {
        let size = b.re * b.re + b.im * b.im;
        let (re, im) = (self.re * b.re + self.im * b.im, self.im * b.re - self.re * b.im);
        Complex { re: re / size, im: im / size }
    }
}

impl Complex {
    fn exp(self) -> Complex {
        let size = self.re.exp();
        Complex { re: size * self.im.cos(), im: size * self.im.sin() }
    }
    fn sigmoid(self) -> Complex {
        real(1.0) / (real(1.0) + (-self).exp())
    }
    fn tanh(self) -> Complex {
        real(1.0) - real(2.0) / ((self + self).exp() + real(1.0))
    }
}

/// The parameters of a cell by name, in complex numbers.
struct Named {
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    numbers: Vec<Vec<Complex>>,
}

impl Named {
    fn of(module: &impl Parameters<Tensor<f64>>) -> Self {
        let leaves = module.leaves();
        Named {
            names: module.names(),
            shapes: leaves.iter().map(|p| p.shape().to_vec()).collect(),
            numbers: leaves.iter().map(|p| p.to_vec().into_iter().map(real).collect()).collect(),
        }
    }
    fn get(&self, name: &str) -> (&[Complex], usize) {
        let k = self.names.iter().position(|n| n == name).expect("a parameter of that name");
        (&self.numbers[k], *self.shapes[k].last().expect("an axis"))
    }
    /// Σ_k v_k·w[k, column].
    fn dot(&self, v: &[Complex], name: &str, column: usize) -> Complex {
        let (w, width) = self.get(name);
        v.iter().enumerate().fold(real(0.0), |sum, (k, &v)| sum + v * w[k * width + column])
    }
    fn at(&self, name: &str, k: usize) -> Complex {
        self.get(name).0[k]
    }
}

/// A step of one sequence, in equations: x and the state before, to the state after; the output comes first.
type Step = fn(&Named, &[Complex], &[Vec<Complex>]) -> Vec<Vec<Complex>>;

fn units(f: impl Fn(usize) -> Complex) -> Vec<Complex> {
    (0..HIDDEN).map(f).collect()
}

fn tanh_equations(p: &Named, x: &[Complex], state: &[Vec<Complex>]) -> Vec<Vec<Complex>> {
    vec![units(|j| (p.dot(x, "weight_ih", j) + p.dot(&state[0], "weight_hh", j) + p.at("bias", j)).tanh())]
}

fn lstm_equations(p: &Named, x: &[Complex], state: &[Vec<Complex>]) -> Vec<Vec<Complex>> {
    let (h, c) = (&state[0], &state[1]);
    let gate = |g: usize, j: usize| {
        let j = g * HIDDEN + j;
        p.dot(x, "weight_ih", j) + p.dot(h, "weight_hh", j) + p.at("bias", j)
    };
    let c = units(|j| gate(1, j).sigmoid() * c[j] + gate(0, j).sigmoid() * gate(2, j).tanh());
    vec![units(|j| gate(3, j).sigmoid() * c[j].tanh()), c]
}

fn gru_gates(p: &Named, x: &[Complex], h: &[Complex], g: usize) -> Vec<Complex> {
    let column = |j: usize| g * HIDDEN + j;
    let sum = |j: usize| p.dot(x, "weight_ih", column(j)) + p.dot(h, "weight_hh", column(j)) + p.at("bias", column(j));
    units(|j| sum(j).sigmoid())
}

fn gru_equations(p: &Named, x: &[Complex], state: &[Vec<Complex>], reset: Reset) -> Vec<Vec<Complex>> {
    let h = &state[0];
    let (r, z) = (gru_gates(p, x, h, 0), gru_gates(p, x, h, 1));
    let gated = units(|k| r[k] * h[k]);
    let recurrent = |j: usize| match reset {
        Reset::AfterProduct => r[j] * (p.dot(h, "weight_hn", j) + p.at("bias_hn", j)),
        Reset::BeforeProduct => p.dot(&gated, "weight_hn", j) + p.at("bias_hn", j),
    };
    let n = units(|j| (p.dot(x, "weight_ih", 2 * HIDDEN + j) + p.at("bias", 2 * HIDDEN + j) + recurrent(j)).tanh());
    vec![units(|j| (real(1.0) - z[j]) * n[j] + z[j] * h[j])]
}

/// E in complex numbers, by the equations alone.
fn equations(p: &Named, step: Step, first: &[&str]) -> Complex {
    let x = x();
    let mut sum = real(0.0);
    for b in 0..BATCH {
        let mut state: Vec<Vec<Complex>> = first.iter().map(|name| p.get(name).0.to_vec()).collect();
        for t in 0..STEPS {
            let now: Vec<_> = (0..INPUTS).map(|k| real(x.at(&[t, b, k]))).collect();
            state = step(p, &now, &state);
            for (j, &h) in state[0].iter().enumerate() {
                sum = sum + h * real(weight(t).at(&[b, j]));
            }
        }
    }
    sum
}

/// dE/dθ from one evaluation for every parameter, its imaginary part moved.
fn by_complex_step(module: &impl Parameters<Tensor<f64>>, step: Step, first: &[&str]) -> Vec<f64> {
    const H: f64 = 1e-30;
    let mut parameters = Named::of(module);
    let mut gradient = Vec::new();
    for leaf in 0..parameters.numbers.len() {
        for k in 0..parameters.numbers[leaf].len() {
            parameters.numbers[leaf][k].im = H;
            gradient.push(equations(&parameters, step, first).im / H);
            parameters.numbers[leaf][k].im = 0.0;
        }
    }
    gradient
}

#[track_caller]
fn assert_agree<M>(module: &M, step: Step, first: &[&str])
where
    M: Parameters<Tensor<f64>, With<Tensor<f64>> = M>,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
{
    let bptt = by_bptt(module);
    let size = bptt.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    for (name, other) in [("RTRL", by_rtrl(module)), ("the complex step", by_complex_step(module, step, first))] {
        assert_eq!(bptt.len(), other.len());
        for (k, (a, b)) in bptt.iter().zip(&other).enumerate() {
            assert!((a - b).abs() < 1e-13 * size, "parameter {k}: {a} by BPTT, {b} by {name}");
        }
    }
    assert!(bptt.iter().all(|x| x.abs() > 1e-9), "every parameter matters: {bptt:?}");
    check::cell(module, [STEPS, BATCH, INPUTS]).assert();
}

#[test]
fn four_ways_agree_for_the_tanh_rnn() {
    assert_agree(&tanh(INPUTS, HIDDEN), tanh_equations, &["initial"]);
}

#[test]
fn four_ways_agree_for_the_lstm() {
    assert_agree(&lstm(INPUTS, HIDDEN), lstm_equations, &["initial_hidden", "initial_cell"]);
}

#[test]
fn four_ways_agree_for_both_grus() {
    let after: Step = |p, x, s| gru_equations(p, x, s, Reset::AfterProduct);
    let before: Step = |p, x, s| gru_equations(p, x, s, Reset::BeforeProduct);
    assert_agree(&gru(INPUTS, HIDDEN, Reset::AfterProduct), after, &["initial"]);
    assert_agree(&gru(INPUTS, HIDDEN, Reset::BeforeProduct), before, &["initial"]);
    // The oracles do disagree where they should: one form of the cell against the other.
    let wrong = by_complex_step(&gru(INPUTS, HIDDEN, Reset::AfterProduct), before, &["initial"]);
    let right = by_rtrl(&gru(INPUTS, HIDDEN, Reset::AfterProduct));
    assert!(wrong.iter().zip(&right).any(|(a, b)| (a - b).abs() > 1e-3));
}
