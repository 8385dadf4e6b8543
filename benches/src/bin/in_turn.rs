//! Times two steps in turn: `cargo run --release -p rewind-benches --bin in_turn -- --pair custom --shape tiny`.

use clap::Parser;
use rewind_benches::command::TimedPairs;

/// Times two training steps of ours in turn, in one process, and prints the ratio of the first to the second.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    pairs: TimedPairs,
}

fn main() {
    Arguments::parse().pairs.print_ratios();
}
