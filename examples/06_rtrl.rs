//! Forward mode through time: real-time recurrent learning gives the gradient that backpropagation through time gives.
//!
//! RTRL (Williams and Zipser 1989) carries the *influence* of every parameter on the state, ∂s_t/∂θ, from step to step:
//!
//! ```text
//! s_t      = step(θ, x_t, s_(t-1))
//! ∂s_t/∂θ  = ∂⁺s_t/∂θ + ∂s_t/∂s_(t-1) · ∂s_(t-1)/∂θ
//! dE/dθ    = Σ_t ∂E_t/∂s_t · ∂s_t/∂θ
//! ```
//!
//! with ∂⁺ the immediate derivative: s_(t-1) is held fixed. RTRL runs forward only, so its memory does not grow with T; BPTT
//! keeps all steps, and takes a single sweep. `cargo run --release --example 06_rtrl`

use std::time::Instant;

use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var, derive, parameters};
use rewind_rnn::{Cell, Lstm, LstmState, Unroll, init};

/// One sequence, I features, H units.
const INPUTS: usize = 3;
const HIDDEN: usize = 4;

parameters! {
    /// The variables that a time step depends on: the cell, and the state s = (h, c) before it, `[1, 2H]`.
    struct Step<P> { cell: Lstm<P>, state: P }
}

/// The state after reading `x` `[1, I]`, in one variable.
fn step<'t>(at: &Step<Var<'t, f64>>, x: Var<'t, f64>) -> Var<'t, f64> {
    let [hidden, cell] = at.state.split(1);
    let next = at.cell.step(x, LstmState { hidden, cell });
    concat(&[next.hidden, next.cell], 1)
}

/// The gradient by one of the two methods, and its cost.
struct Learned {
    gradient: Lstm<Tensor<f64>>,
    sweeps: usize,
    /// The length of the tape: of one step, or of all.
    nodes: usize,
    /// The elements that are carried from step to step.
    carried: usize,
    seconds: f64,
}

/// `[2H, parameters of the leaf]` from `[1, 2H, shape of the leaf…]`.
fn rows(block: &Tensor<f64>) -> Tensor<f64> {
    block.reshape(&[2 * HIDDEN, block.len() / (2 * HIDDEN)])
}

/// The gradient of E = Σ_t ½·|h_t - y_t|² by RTRL: forward only, one time step after another.
fn rtrl(lstm: &Lstm<Tensor<f64>>, first: &Tensor<f64>, x: &Tensor<f64>, y: &Tensor<f64>) -> Learned {
    let start = Instant::now();
    let steps = x.shape()[0];
    let mut state = first.clone();
    // The first state is a constant: no parameter influences it.
    let mut influence = lstm.map(|_, p| Tensor::zeros(&[2 * HIDDEN, p.len()]));
    let mut gradient = lstm.map(|_, p| Tensor::zeros(&[1, p.len()]));
    for t in 0..steps {
        let at = Step { cell: lstm.clone(), state };
        let (next, jacobian) = derive::jacobian(&at, |tape, at| step(at, tape.constant(x.index(0, t))));
        let through = rows(&jacobian.state);
        influence = influence.zip(&jacobian.cell, |_, old, direct| {
            let mut new = through.matmul(old);
            new.add_assign(&rows(direct));
            new
        });
        // ∂E_t/∂s_t: the error of h_t; E_t does not depend on c_t.
        let error = next.slice(1, 0..HIDDEN).zip(&y.index(0, t), |h, y| h - y);
        let error = Tensor::from_fn(&[1, 2 * HIDDEN], |i| if i < HIDDEN { error.at(&[0, i]) } else { 0.0 });
        gradient = gradient.zip(&influence, |_, sum, influence| sum.zip(&error.matmul(influence), |a, b| a + b));
        state = next;
    }
    let carried = influence.leaves().iter().map(|p| p.len()).sum::<usize>() + state.len();
    let seconds = start.elapsed().as_secs_f64();
    // One step on a separate tape, to measure its length.
    let tape = Tape::new();
    step(&Step { cell: lstm.clone(), state }.on(&tape), tape.constant(x.index(0, 0)));
    let gradient = gradient.zip(lstm, |_, g, p| g.reshape(p.shape()));
    Learned { gradient, sweeps: 2 * HIDDEN * steps, nodes: tape.len(), carried, seconds }
}

/// The same gradient by BPTT: one tape over all steps, read backwards once.
fn bptt(lstm: &Lstm<Tensor<f64>>, first: &Tensor<f64>, x: &Tensor<f64>, y: &Tensor<f64>) -> Learned {
    let start = Instant::now();
    let tape = Tape::new();
    let cell = lstm.on(&tape);
    let [hidden, memory] = tape.constant(first.clone()).split(1);
    let state = LstmState { hidden, cell: memory };
    let h = Unroll::new().run_from(&cell, tape.constant(x.clone()), state).outputs();
    let error = h.squared_error(tape.constant(y.clone())).sum() * 0.5;
    let gradient = error.backward().of(&cell);
    let seconds = start.elapsed().as_secs_f64();
    Learned { gradient, sweeps: 1, nodes: tape.len(), carried: 0, seconds }
}

/// The fastest of five runs.
fn fastest(run: impl Fn() -> Learned) -> Learned {
    let runs = (0..5).map(|_| run());
    runs.min_by(|a, b| a.seconds.total_cmp(&b.seconds)).expect("there are five")
}

/// The largest |a - b| over all parameters, relative to the largest |b|.
fn difference(a: &Lstm<Tensor<f64>>, b: &Lstm<Tensor<f64>>) -> f64 {
    let largest =
        |m: &Lstm<Tensor<f64>>| m.leaves().iter().flat_map(|p| p.to_vec()).fold(0.0, |most: f64, x| most.max(x.abs()));
    largest(&a.zip(b, |_, a, b| a.zip(b, |a, b| a - b))) / largest(b)
}

fn main() {
    let rng = &mut StdRng::seed_from_u64(1);
    let lstm = Lstm::<Tensor<f64>>::new(INPUTS, HIDDEN, rng).with_forget_bias(1.0);
    let first = init::uniform(&[1, 2 * HIDDEN], 1.0, rng);
    println!("An LSTM of {} parameters, {} numbers of state.\n", lstm.parameter_count(), 2 * HIDDEN);
    println!("            RTRL                                 BPTT                         difference  time");
    println!("     T    sweeps  nodes a step  carried        sweeps     nodes               of gradients  RTRL / BPTT");
    for steps in [10, 100, 1000] {
        let x = init::uniform(&[steps, 1, INPUTS], 1.0, rng);
        let y = init::uniform(&[steps, 1, HIDDEN], 1.0, rng);
        let forward = fastest(|| rtrl(&lstm, &first, &x, &y));
        let back = fastest(|| bptt(&lstm, &first, &x, &y));
        let off = difference(&forward.gradient, &back.gradient);
        println!(
            "{steps:>6}  {:>8}  {:>12}  {:>7}        {:>6}  {:>8}               {off:>10.1e}  {:>8.0}",
            forward.sweeps,
            forward.nodes,
            forward.carried,
            back.sweeps,
            back.nodes,
            forward.seconds / back.seconds,
        );
        assert!(off < 1e-11, "RTRL and BPTT must give the same gradient");
    }
    println!("\nRTRL has the gradient of everything so far after every step and its memory does not grow with T.");
    let (h, parameters) = (256, 4 * 256 * (256 + 256 + 1));
    let numbers = 2 * h * parameters / 1_000_000;
    println!("It carries a number for every pair of a state and a parameter: {numbers} million for I = H = {h}.");
}
