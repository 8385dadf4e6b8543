//! Times training steps of the cells of xLSTM: `cargo run --release -p rewind-benches --bin xlstm -- --cell slstm --shape wide`.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use rewind_benches::timing::{median, nanoseconds_for};
use rewind_benches::xlstm::{HEADS, Kind, SHAPES, training_step};

/// Times one training step: forward over the whole sequence, mean of squares of all outputs, backward, in f32, with four heads.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// What to train; all of them if it is left out.
    #[arg(long, value_enum)]
    cell: Option<Kind>,
    /// The sizes by name; all of them if it is left out.
    #[arg(long)]
    shape: Option<String>,
    /// Time steps in a chunk.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// Threads that share the batch.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Milliseconds for which steps are timed, after a third as many that are not.
    #[arg(long, default_value_t = 300)]
    milliseconds: u64,
}

fn main() {
    let given = Arguments::parse();
    let asked = |name: &str| given.shape.as_deref().is_none_or(|shape| shape == name);
    for shape in SHAPES.into_iter().filter(|shape| asked(shape.name)) {
        for &kind in given.cell.as_ref().map_or(Kind::value_variants(), std::slice::from_ref) {
            let mut step = training_step(kind, shape, given.every.into(), given.threads.into());
            assert!(step().is_finite(), "the loss of {} is not finite", kind.name());
            let time = Duration::from_millis(given.milliseconds);
            let took = median(nanoseconds_for(time, 2, 7, || assert!(step().is_finite()))) / 1e6;
            println!(
                "{} {} T={} B={} I={} H={} heads={HEADS} threads={} median_ms={took:.3}",
                kind.name(),
                shape.name,
                shape.steps,
                shape.batch,
                shape.inputs,
                shape.hidden,
                given.threads
            );
        }
    }
}
