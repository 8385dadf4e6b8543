//! Times the matrix products of a training step alone: `cargo run --release -p rewind-benches --bin kernel`.

use clap::{Parser, ValueEnum};
use rewind_benches::command::TimedCases;
use rewind_benches::kernel::{operations, products_of_step};
use rewind_benches::{CellKind, peak};

/// Times the matrix products of one training step, and nothing else: the limit of what a training step can reach. Prints which
/// percentage they reach of the peak of as many cores, measured after each.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    cases: TimedCases,
}

fn main() {
    let cases = Arguments::parse().cases;
    let threads = cases.cases.sizes.threads();
    cases.print_times_and(CellKind::value_variants(), products_of_step, |kind, shape, milliseconds| {
        // A batch of one shard is on one core.
        let peak = peak::of_cores(threads.min(shape.shards().len()), 50);
        format!(" percent_of_peak={:.1}", 100.0 * operations(kind, shape) / milliseconds / 1e6 / peak)
    });
}
