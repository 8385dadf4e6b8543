//! The gradient in time: the lens on a tanh-RNN and an LSTM, in the order of a lecture on backpropagation through time.
//!
//! `cargo run --example 13_gradient_in_time` prints the tables; with `--out DIR` it also writes the pictures. `docs/gradient_in_time.md`
//! leads through them.

mod pictures;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{Tape, Tensor, Var};
use rewind_rnn::lens::{self, Cliff, Flow, Influence, Surface, Table, Truncation};
use rewind_rnn::{Lstm, State, TanhRnn, Unrolled, unroll};

/// The gradient in time: tables and pictures of backpropagation through time.
#[derive(Parser)]
struct Arguments {
    /// The folder for the pictures; none are written by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A sequence of one feature, `[T, 1, 1]`.
fn sequence(steps: usize) -> Tensor<f64> {
    Tensor::from_fn(&[steps, 1, 1], |t| (0.9 * t as f64).sin())
}

/// E_t = ½·|h_t - y_t|² for every step of an unrolled network, with y_t = cos(0.9·t) for every unit.
fn losses<'t, S: State<'t, f64>>(run: &Unrolled<'t, f64, S>) -> Vec<Var<'t, f64>> {
    let error = |t: usize| (run.output(t) - (0.9 * t as f64).cos()).square().sum() * 0.5;
    (0..run.states.len()).map(error).collect()
}

/// A tanh-RNN of four units, and its items over ten steps.
fn items() -> (TanhRnn<Tensor<f64>>, lens::Itemised<f64>) {
    let rnn = TanhRnn::new(1, 4, &mut StdRng::seed_from_u64(3));
    let x = sequence(10);
    let items = lens::itemised(&rnn, |tape, rnn| losses(&unroll(rnn, tape.constant(x))));
    (rnn, items)
}

/// The factors of the item of E_9 through step 2.
fn path(rnn: &TanhRnn<Tensor<f64>>) -> lens::Path<f64> {
    lens::path(rnn, "weight_hh", 9, 2, |tape, rnn| losses(&unroll(rnn, tape.constant(sequence(10)))))
}

/// How many steps the two networks are compared over.
const LONG: usize = 40;

/// A tanh-RNN whose recurrent weight has a spectral radius of 0.9.
fn plain() -> TanhRnn<Tensor<f64>> {
    let rnn = TanhRnn::new(1, 16, &mut StdRng::seed_from_u64(5));
    let radius = lens::spectral_radius(&rnn.weight_hh);
    TanhRnn { weight_hh: rnn.weight_hh.map(|u| 0.9 * u / radius), ..rnn }
}

/// An LSTM that remembers: its forget gates are open, as their bias is 4.
fn gated() -> Lstm<Tensor<f64>> {
    Lstm::new(1, 16, &mut StdRng::seed_from_u64(5)).with_forget_bias(4.0)
}

/// The loss of the last step alone, so that all of the gradient comes back from there.
fn last<'t, S: State<'t, f64>>(run: &Unrolled<'t, f64, S>) -> Vec<Var<'t, f64>> {
    losses(run).split_off(LONG - 1)
}

fn flows() -> [Flow; 2] {
    [
        lens::flow(&plain(), |tape, rnn| last(&unroll(rnn, tape.constant(sequence(LONG))))),
        lens::flow(&gated(), |tape, lstm| last(&unroll(lstm, tape.constant(sequence(LONG))))),
    ]
}

fn influences() -> [Influence; 2] {
    [
        lens::influence(&plain(), &sequence(LONG), |_, rnn, x| unroll(rnn, x).outputs()),
        lens::influence(&gated(), &sequence(LONG), |_, lstm, x| unroll(lstm, x).outputs()),
    ]
}

fn truncations() -> [Truncation; 2] {
    let of_last = |items: lens::Itemised<f64>| items.truncation("weight_hh", &[LONG - 1]);
    [
        of_last(lens::itemised(&plain(), |tape, rnn| last(&unroll(rnn, tape.constant(sequence(LONG)))))),
        of_last(lens::itemised(&gated(), |tape, lstm| last(&unroll(lstm, tape.constant(sequence(LONG)))))),
    ]
}

/// One step of the tanh-RNN as a graph, and three of them.
fn graph() -> lens::Dot {
    let rnn = TanhRnn::<Tensor<f64>>::new(1, 4, &mut StdRng::seed_from_u64(3));
    lens::dot(&rnn, |tape: &Tape<f64>, rnn| losses(&unroll(rnn, tape.constant(sequence(3)))))
}

/// What the example has computed.
struct Results {
    table: Table,
    residual: f64,
    path: lens::Path<f64>,
    flows: [Flow; 2],
    surface: Surface,
    influences: [Influence; 2],
    truncations: [Truncation; 2],
    graph: lens::Dot,
}

fn compute() -> Results {
    let (rnn, items) = items();
    Results {
        table: items.table("weight_hh"),
        residual: items.residual("weight_hh"),
        path: path(&rnn),
        flows: flows(),
        surface: lens::cliff(&Cliff::default()),
        influences: influences(),
        truncations: truncations(),
        graph: graph(),
    }
}

/// All that is printed.
fn report(results: &Results) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    writeln!(text, "{}", results.table)?;
    writeln!(text, "{}", results.path)?;
    let items = results.table.rows.iter().flatten().flatten().count();
    let verdict = if results.residual < 1e-12 { "to the gradient of the tape" } else { "to something else" };
    writeln!(text, "{items} items sum {verdict}\n")?;
    writeln!(text, "{}\n{}", lens::chain(10.0, 9), lens::chain(0.1, 9))?;
    writeln!(text, "{}", results.surface)?;
    for (name, flow) in ["tanh-RNN", "LSTM"].iter().zip(&results.flows) {
        writeln!(text, "{name}: {flow}")?;
    }
    for (name, influence) in ["tanh-RNN", "LSTM"].iter().zip(&results.influences) {
        writeln!(text, "{name}: {influence}")?;
    }
    for (name, truncation) in ["tanh-RNN", "LSTM"].iter().zip(&results.truncations) {
        let kept = truncation.keeps(0.9).map_or("no number of".to_owned(), |steps| steps.to_string());
        writeln!(text, "{name}: {kept} steps keep 90 % of the gradient\n{truncation}")?;
    }
    Ok(text)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let results = compute();
    print!("{}", report(&results)?);
    if let Some(folder) = arguments.out {
        let wrong = |error| format!("cannot write to {}: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(wrong)?;
        for (name, picture) in pictures::draw(&results)? {
            fs::write(folder.join(name), picture).map_err(wrong)?;
        }
        println!("wrote the pictures to {}", folder.display());
    }
    Ok(())
}
