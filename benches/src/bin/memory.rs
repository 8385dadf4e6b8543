//! Measures the memory of a training step:
//! `cargo run --release -p rewind-benches --bin memory -- --cell lstm --shape long`.

use std::process::ExitCode;

use clap::Parser;
use rewind_benches::command::Cases;
use rewind_benches::training_step;

/// Prints by how many megabytes (10^6 bytes) a training step raises the peak of the resident set: the first step over
/// the resident set before it, the second and the third over the peak so far.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    case: Cases,
}

fn main() -> ExitCode {
    match Arguments::parse().case.print_memory(training_step) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
