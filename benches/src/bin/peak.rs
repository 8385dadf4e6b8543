//! The peak of one core: `cargo run --release -p rewind-benches --bin peak`.

use clap::Parser;
use rewind_benches::peak::of_cores;

/// Prints the f32 operations per second of one core that only multiplies and adds in registers.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How often to measure; the median counts.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

fn main() {
    println!("peak gflops={:.1}", of_cores(1, Arguments::parse().runs.into()));
}
