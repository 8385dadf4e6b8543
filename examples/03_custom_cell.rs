//! A custom recurrent cell: written, unrolled, differentiated, checked and trained.
//!
//! `cargo run --example 03_custom_cell`

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use rewind_rnn::autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var, parameters};
use rewind_rnn::{Cell, Linear, Unroll, check, init, unroll};

parameters! {
    /// Minimal gated unit (Zhou et al. 2016): x `[B, I]`, h `[B, H]`; w_* `[I, H]`, u_* `[H, H]`, b_* `[H]`.
    ///
    /// ```text
    /// f = sigmoid(x·W_f + h·U_f + b_f)          forget gate
    /// n = tanh(x·W_n + (f ∘ h)·U_n + b_n)       candidate
    /// h' = (1 - f) ∘ h + f ∘ n
    /// ```
    struct Mgu<P> { w_f: P, u_f: P, b_f: P, w_n: P, u_n: P, b_n: P }
}

impl<'t, T: Scalar> Cell<'t, T> for Mgu<Var<'t, T>> {
    type State = Var<'t, T>;

    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let f = (x.matmul(self.w_f) + h.matmul(self.u_f) + self.b_f).sigmoid();
        let n = (x.matmul(self.w_n) + (f * h).matmul(self.u_n) + self.b_n).tanh();
        h + f * (n - h)
    }

    fn initial(&self, batch: usize) -> Var<'t, T> {
        self.u_f.tape().zeros(&[batch, self.u_f.shape()[0]])
    }

    fn features(&self) -> Option<usize> {
        Some(self.w_f.shape()[0])
    }
}

impl<T: Scalar> Mgu<Tensor<T>> {
    /// All parameters uniform in ±1/√H.
    fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let mut uniform = |shape: &[usize]| init::uniform_hidden(shape, hidden, rng);
        let (w, u, b) = ([inputs, hidden], [hidden, hidden], [hidden]);
        Mgu {
            w_f: uniform(&w),
            u_f: uniform(&u),
            b_f: uniform(&b),
            w_n: uniform(&w),
            u_n: uniform(&u),
            b_n: uniform(&b),
        }
    }
}

parameters! {
    /// A cell and its first state: the inputs to differentiate with respect to.
    struct Run<P> { cell: Mgu<P>, h_0: P }
}

/// Four time steps from a state that is not zero: the gradient of every parameter, printed, then checked.
fn differentiate(rng: &mut StdRng) {
    let run = Run { cell: Mgu::<Tensor<f64>>::new(2, 3, rng), h_0: init::uniform(&[5, 3], 1.0, rng) };
    let x = init::uniform(&[4, 5, 2], 1.0, rng); // T = 4, B = 5, I = 2; H = 3
    fn outputs<'t>(run: &Run<Var<'t, f64>>, x: Var<'t, f64>) -> Var<'t, f64> {
        Unroll::new().run_from(&run.cell, x, run.h_0).outputs()
    }

    let tape = Tape::new();
    let on_tape = run.on(&tape);
    let h = outputs(&on_tape, tape.constant(x.clone()));
    println!("The mean of h² over 4 steps, its gradient by parameter:");
    (h * h).mean().backward().of(&on_tape).visit(|name, gradient| {
        println!("  {name:<9} {:<7} norm {:.6}", format!("{:?}", gradient.shape()), gradient.norm());
    });

    let report = check::module(&run, |tape, run| outputs(run, tape.constant(x.clone())));
    println!("\n{report}\n");
    report.assert();
}

parameters! {
    /// The cell and its readout: the module that is trained.
    struct Recall<P> { cell: Mgu<P>, readout: Linear<P> }
}

/// Steps between reading a bit and repeating it.
const DELAY: usize = 3;

/// Random bits `[T, B, 1]` as ±1, T = 12 and B = 32, and the bits to repeat from step DELAY on, `[T - DELAY, B, 1]` as 0 or 1.
fn bits(rng: &mut StdRng) -> (Tensor<f32>, Tensor<f32>) {
    let x = Tensor::from_fn(&[12, 32, 1], |_| if rng.random() { 1.0 } else { -1.0 });
    let target = x.slice(0, 0..12 - DELAY).map(|bit| (bit + 1.0) / 2.0);
    (x, target)
}

/// Trains the cell to repeat every bit DELAY steps later, by plain gradient descent.
fn train(rng: &mut StdRng) {
    let mut model = Recall { cell: Mgu::<Tensor<f32>>::new(1, 16, rng), readout: Linear::new(16, 1, rng) };
    println!("Repeat every bit {DELAY} steps later: cross-entropy of a bit (guessing: ln 2 = 0.693)");
    for step in 0..=200 {
        let (x, target) = bits(rng);
        let tape = Tape::new();
        let on_tape = model.on(&tape);
        let outputs = unroll(&on_tape.cell, tape.constant(x)).outputs();
        let logits = on_tape.readout.forward(outputs.slice(0, DELAY..12));
        let loss = logits.binary_cross_entropy(tape.constant(target)).mean();
        if step % 25 == 0 {
            println!("  step {step:>3}  loss {:.4}", loss.value().item());
        }
        let gradients = loss.backward().of(&on_tape);
        model = model.zip(&gradients, |_name, p, g| p.zip(g, |p, g| p - 2.0 * g));
    }
}

fn main() {
    let rng = &mut StdRng::seed_from_u64(1);
    differentiate(rng);
    train(rng);
}
