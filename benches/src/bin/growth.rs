//! Time and memory as the sequence grows: `cargo run --release -p rewind-benches --bin growth`.

use std::error::Error;
use std::process::Command;

use clap::Parser;
use rewind_benches::timing::{median, nanoseconds};
use rewind_benches::{CellKind, Shape, resident, segmented_step, training_step};

/// Measures a training step of the LSTM at growing numbers of time steps: both columns a step should stay the same.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Time steps; if left out, 100 to 100000, each in a process of its own.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// In segments of √T steps, which are computed again in the sweep; if --steps is left out, both ways are measured.
    #[arg(long)]
    segments: bool,
    /// Training steps that are timed, after those that memory is measured on; the median is printed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { steps, segments, runs } = Arguments::parse();
    if let Some(steps) = steps {
        return measure(steps.try_into()?, segments, runs.into());
    }
    // What a long sequence leaves behind would serve the next one: only a new process shows what it takes.
    let program = std::env::current_exe()?;
    for segments in [false, true] {
        for steps in [100, 1_000, 10_000, 100_000] {
            let mut command = Command::new(&program);
            command.args([format!("--steps={steps}"), format!("--runs={runs}")]).args(segments.then_some("--segments"));
            let status = command.status()?;
            if !status.success() {
                return Err(format!("growth: T={steps} ended with {status}").into());
            }
        }
    }
    Ok(())
}

fn measure(steps: usize, segments: bool, runs: usize) -> Result<(), Box<dyn Error>> {
    let shape = Shape { name: "growth", steps, batch: 4, inputs: 32, hidden: 64 };
    let Shape { batch, inputs, hidden, .. } = shape;
    let mut step = if segments { segmented_step(shape) } else { training_step(CellKind::Lstm, shape, 1) };
    let cell = if segments { "segments" } else { "lstm" };
    let peak: u64 = resident::growth(2, || assert!(step().is_finite()))?.iter().sum();
    let time = median(nanoseconds(0, runs, || assert!(step().is_finite())));
    println!(
        "{cell} growth T={steps} B={batch} I={inputs} H={hidden} threads=1 median_ms={:.2} ns_per_step={:.0} \
         peak_mb={:.1} kb_per_step={:.2}",
        time / 1e6,
        time / steps as f64,
        peak as f64 / 1e6,
        peak as f64 / 1e3 / steps as f64,
    );
    Ok(())
}
