//! Times one training step: `cargo run --release -p rewind-benches --bin training_step -- --cell lstm --shape all`.

use std::time::Instant;

use clap::{Parser, ValueEnum, builder::PossibleValuesParser};
use rewind_benches::{CellKind, SHAPES, Shape, training_step};

/// Times one training step: forward over the whole sequence, mean of squares of all outputs, backward, in f32.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The cell; all of them if it is left out.
    #[arg(long, value_enum)]
    cell: Option<CellKind>,
    /// The sizes T, B, I, H by name.
    #[arg(long, default_value = "all", value_parser = PossibleValuesParser::new(
        ["tiny", "small", "mnistrow", "medium", "zaremba", "large", "all"]))]
    shape: String,
    /// Threads that share the batch.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Steps that are timed, after a warm-up; the median is printed.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

fn main() {
    let arguments = Arguments::parse();
    let shapes = Shape::named(&arguments.shape).map_or(SHAPES.to_vec(), |shape| vec![shape]);
    let cells = arguments.cell.map_or(CellKind::value_variants().to_vec(), |cell| vec![cell]);
    for shape in shapes {
        for &cell in &cells {
            let milliseconds = median(&mut times(cell, shape, arguments.threads.into(), arguments.runs.into()));
            let Shape { name, steps, batch, inputs, hidden } = shape;
            println!(
                "{} {name} T={steps} B={batch} I={inputs} H={hidden} threads={} median_ms={milliseconds:.2} gflops={:.1}",
                cell.name(),
                arguments.threads,
                shape.flops(cell) / milliseconds / 1e6,
            );
        }
    }
}

/// Milliseconds of `runs` steps, after two that are not counted.
fn times(cell: CellKind, shape: Shape, threads: usize, runs: usize) -> Vec<f64> {
    let mut step = training_step(cell, shape, threads);
    for _ in 0..2 {
        step();
    }
    let mut timed = || {
        let start = Instant::now();
        let loss = step();
        let time = start.elapsed().as_secs_f64() * 1e3;
        assert!(loss.is_finite(), "the loss of {} at {} is {loss}", cell.name(), shape.name);
        time
    };
    (0..runs).map(|_| timed()).collect()
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let (low, high) = (times[(times.len() - 1) / 2], times[times.len() / 2]);
    (low + high) / 2.0
}
