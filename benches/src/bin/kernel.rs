//! Times the matrix products of a training step alone: `cargo run --release -p rewind-benches --bin kernel`.

use clap::{Parser, ValueEnum};
use rewind_benches::CellKind;
use rewind_benches::command::TimedCases;
use rewind_benches::kernel::products_of_step;

/// Times the matrix products of one training step, and nothing else: the limit of what a training step can reach.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    cases: TimedCases,
}

fn main() {
    Arguments::parse().cases.print_times(CellKind::value_variants(), products_of_step);
}
