//! Times one training step in f64: `cargo run --release -p rewind-benches --bin double -- --cell lstm --shape medium`.

use clap::{Parser, ValueEnum};
use rewind_benches::command::TimedCases;
use rewind_benches::{CellKind, training_step_in};

/// Times one training step, as `training_step` does, in double precision.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    cases: TimedCases,
}

fn main() {
    Arguments::parse().cases.print_times(CellKind::value_variants(), training_step_in::<f64>);
}
