//! Times a node of the tape on small tensors: `cargo run --release -p rewind-benches --bin chain`.

use std::hint::black_box;

use clap::Parser;
use rewind_autograd::{Tape, Tensor};
use rewind_benches::chain;
use rewind_benches::timing::{median, nanoseconds};

/// Times a node of the tape: a chain of elementwise ops on eight elements. Forward records it on a tape that was used
/// before; backward is one sweep over a recorded tape.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Chains that are timed each way; the medians are printed.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

fn main() {
    let runs = Arguments::parse().runs.into();
    println!("{}", chain::line(median(forward(runs)), median(backward(runs))));
}

/// The two leaves: values in ±1 without a pattern.
fn leaves() -> [Tensor<f32>; 2] {
    [1.0, 2.0].map(|phase| Tensor::from_fn(&chain::SHAPE, |i| (i as f32 * 12.9898 + phase).sin()))
}

fn forward(runs: usize) -> Vec<f64> {
    let leaves = leaves();
    let mut tape = Tape::new();
    nanoseconds(runs / 10, runs, || {
        let [x, y] = leaves.clone().map(|leaf| tape.leaf(leaf));
        black_box(chain::of(x, y).value());
        tape.clear();
    })
}

fn backward(runs: usize) -> Vec<f64> {
    let tape = Tape::new();
    let [x, y] = leaves().map(|leaf| tape.leaf(leaf));
    let result = chain::of(x, y);
    let seed = Tensor::full(&chain::SHAPE, 1.0);
    nanoseconds(runs / 10, runs, || {
        black_box(result.backward_from(&seed));
    })
}
