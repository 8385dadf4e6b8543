//! What one core can do at most: `cargo run --release -p rewind-benches --bin peak`.

use std::hint::black_box;

use clap::Parser;
use rewind_benches::peak::multiply_adds;
use rewind_benches::timing::{median, nanoseconds};

/// Prints the operations on f32 that one core can do in a second, if nothing but multiplying and adding is to be done.
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
