//! A page that shows a gradient travelling through time, for the built-in cells and one of our own.
//!
//! `cargo run --release --example explorer -- --out explorer.html` writes it.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use rand::Rng;
use rewind_explorer::{Cells, Page};
use rewind_rnn::autograd::{Scalar, Tensor, Var, ops, parameters};
use rewind_rnn::{Cell, init};

parameters! {
    /// A cell of our own, with one gate and without recurrence in its candidate: f = sigmoid(x·W_f + h·U_f + b), n = tanh(x·W_n),
    /// h' = f ∘ h + (1 - f) ∘ n. W_* `[I, H]`, U_f `[H, H]`, b `[H]`.
    #[derive(PartialEq)]
    struct Keeper<P> { w_f: P, u_f: P, b: P, w_n: P }
}

const EQUATIONS: &[&str] = &["f = sigmoid(x·W_f + h·U_f + b)", "n = tanh(x·W_n)", "h' = f ∘ h + (1 - f) ∘ n"];

impl<T: Scalar> Keeper<Tensor<T>> {
    fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let mut drawn = |shape: &[usize]| init::uniform_hidden(shape, hidden, rng);
        let [w_f, u_f, w_n] = [[inputs, hidden], [hidden, hidden], [inputs, hidden]].map(|shape| drawn(&shape));
        Keeper { w_f, u_f, b: drawn(&[hidden]), w_n }
    }
}

impl<'t, T: Scalar> Cell<'t, T> for Keeper<Var<'t, T>> {
    type State = Var<'t, T>;

    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let f = (x.matmul(self.w_f) + h.matmul(self.u_f) + self.b).sigmoid();
        let n = x.matmul(self.w_n).tanh();
        n + f * (h - n)
    }

    fn initial(&self, batch: usize) -> Var<'t, T> {
        self.u_f.tape().zeros(&[batch, self.u_f.shape()[0]])
    }

    fn features(&self) -> Option<usize> {
        Some(self.w_f.shape()[0])
    }
}

ops! {
    /// The op below with its docs, for the page.
    const OPS: [(name, docs)];

    /// y = tanh x; x̄ = ȳ·(1 + y²), which is wrong on purpose: 1 - y² is right.
    fn wrong_tanh = WrongTanh(x) -> y {
        value: x.map(|x| x.tanh()),
        x: |g, y| g * (y * y + T::ONE),
    }
}

parameters! {
    /// A tanh-RNN with the wrong op: h' = wrong_tanh(x·W + h·U + b).
    #[derive(PartialEq)]
    struct Mistaken<P> { w: P, u: P, b: P }
}

impl<T: Scalar> Mistaken<Tensor<T>> {
    fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let mut drawn = |shape: &[usize]| init::uniform_hidden(shape, hidden, rng);
        Mistaken { w: drawn(&[inputs, hidden]), u: drawn(&[hidden, hidden]), b: drawn(&[hidden]) }
    }
}

impl<'t, T: Scalar> Cell<'t, T> for Mistaken<Var<'t, T>> {
    type State = Var<'t, T>;

    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        wrong_tanh(x.matmul(self.w) + h.matmul(self.u) + self.b)
    }

    fn initial(&self, batch: usize) -> Var<'t, T> {
        self.u.tape().zeros(&[batch, self.u.shape()[0]])
    }

    fn features(&self) -> Option<usize> {
        Some(self.w.shape()[0])
    }
}

/// Writes the page, or serves it.
#[derive(Parser)]
struct Arguments {
    /// The file to write.
    #[arg(long, default_value = "explorer.html", value_name = "FILE")]
    out: PathBuf,
    /// Adds a cell with a wrong derivative, which the check finds.
    #[arg(long)]
    mistake: bool,
}

fn cells(mistake: bool) -> Cells {
    let cells =
        Cells::built_in().with("own", "Keeper", EQUATIONS, |inputs, hidden, rng| Keeper::new(inputs, hidden, rng));
    if !mistake {
        return cells;
    }
    cells.with("mistake", "With a mistake", &[], |inputs, hidden, rng| Mistaken::new(inputs, hidden, rng)).ops(OPS)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let page = Page::lecture(&cells(arguments.mistake))?;
    page.write(&arguments.out)?;
    println!("{}: {} kB", arguments.out.display(), page.html().len().div_ceil(1000));
    Ok(())
}
