//! Times the matrix products of a training step alone: `cargo run --release -p rewind-benches --bin kernel`.

use clap::{Parser, ValueEnum};
use rewind_benches::command::TimedCases;
use rewind_benches::kernel::{operations, products_of_step, weight_bytes};
use rewind_benches::{CellKind, peak};

/// Times the matrix products of one training step, and nothing else: the limit of what a training step can reach. Prints which
/// percentage they reach of the peak of as many cores, measured after each; and how fast the time steps read the recurrent weights, beside
/// how fast these cores read an array as large.
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
        let cores = threads.min(shape.shards().len());
        let percent = 100.0 * operations(kind, shape) / milliseconds / 1e6 / peak::of_cores(cores, 50);
        let array = shape.hidden * kind.gates() * shape.hidden * size_of::<f32>();
        let (read, readable) = (weight_bytes(kind, shape) / milliseconds / 1e6, peak::reads_of_cores(cores, array, 50));
        format!(" percent_of_peak={percent:.1} read_gb_s={read:.0} readable_gb_s={readable:.0}")
    });
}
