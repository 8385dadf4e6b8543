//! The peak of one core: `cargo run --release -p rewind-benches --bin peak`.

use std::hint::black_box;

use clap::Parser;
use rewind_benches::peak::multiply_adds;
use rewind_benches::timing::{median, nanoseconds};

/// Prints the f32 operations per second of one core that only multiplies and adds in registers.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How often to measure; the median counts.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

fn main() {
    let runs = Arguments::parse().runs.into();
    let times = nanoseconds(runs / 4, runs, || {
        black_box(multiply_adds());
    });
    println!("peak gflops={:.1}", multiply_adds() as f64 / median(times));
}
