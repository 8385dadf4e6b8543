//! Times the CTC loss with its gradient: `cargo run --release -p rewind-benches --bin ctc -- --shape batch --threads 2`.

use std::time::Duration;

use clap::Parser;
use rewind_benches::ctc::{SHAPES, step};
use rewind_benches::timing::{median, nanoseconds_for};

/// Times the CTC loss of a batch and its gradient by the logits, in f32.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The sizes by name; all of them if it is left out.
    #[arg(long)]
    shape: Option<String>,
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
        let mut step = step(shape, given.threads.into());
        let loss = step();
        let time = Duration::from_millis(given.milliseconds);
        let took = median(nanoseconds_for(time, 2, 7, || assert!(step().is_finite()))) / 1e6;
        println!(
            "ctc {} T={} B={} C={} L={} threads={} loss={loss} median_ms={took:.3}",
            shape.name, shape.steps, shape.batch, shape.classes, shape.labels, given.threads
        );
    }
}
