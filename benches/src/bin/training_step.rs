//! Times one training step: `cargo run --release -p rewind-benches --bin training_step -- --cell lstm --shape all`.

use clap::{Parser, ValueEnum};
use rewind_benches::command::TimedCases;
use rewind_benches::{CellKind, training_step};

/// Times one training step: forward over the whole sequence, mean of squares of all outputs, backward, in f32.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    cases: TimedCases,
}

fn main() {
    Arguments::parse().cases.print_times(CellKind::value_variants(), training_step);
}
