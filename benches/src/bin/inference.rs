//! Times a trained layer step by step: `cargo run --release -p rewind-benches --bin inference -- --cell lstm --shape step128`.

use clap::{Parser, ValueEnum};
use rewind_benches::command::TimedCases;
use rewind_benches::{CellKind, inference};

/// Times a trained layer over a sequence that comes one time step at a time, without gradients, on one thread.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    cases: TimedCases,
}

fn main() {
    Arguments::parse().cases.print_times(CellKind::value_variants(), inference);
}
