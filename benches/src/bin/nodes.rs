//! A tape of very many nodes: `cargo run --release -p rewind-benches --bin nodes`.

use std::error::Error;
use std::time::Instant;

use clap::Parser;
use rewind_autograd::{Tape, Tensor};
use rewind_benches::resident;

/// Records x·c·c·… in `f64`, sweeps it and drops it; prints the time of each, and the peak of the resident set. The gradient must be
/// that of the formula.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Products, a node each.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let nodes = Arguments::parse().nodes;
    let (mut seconds, mut found) = ([0.0; 3], [0.0; 2]);
    let peak = resident::growth(1, || (seconds, found) = chain(nodes))?[0];
    let n = f64::from(nodes);
    let slopes = [C.powf(n), X * n * C.powf(n - 1.0)];
    for (found, slope) in found.into_iter().zip(slopes) {
        assert!((found / slope - 1.0).abs() < 1e-9, "the gradient is {found:e}; expected {slope:e}");
    }
    let [record, sweep, drop] = seconds;
    let (peak_mb, bytes) = (peak as f64 / 1e6, peak as f64 / n);
    println!(
        "nodes={nodes} record_s={record:.2} sweep_s={sweep:.2} drop_s={drop:.2} peak_mb={peak_mb:.0} bytes_per_node={bytes:.0}"
    );
    Ok(())
}

const X: f64 = 0.5;
const C: f64 = 0.999_999_9;

/// The seconds to record, sweep and drop, and the gradients of x and c.
fn chain(nodes: u32) -> ([f64; 3], [f64; 2]) {
    let mut start = Instant::now();
    let mut lap = || std::mem::replace(&mut start, Instant::now()).elapsed().as_secs_f64();
    let tape = Tape::new();
    let (record, found) = {
        let [x, c] = [X, C].map(|number| tape.leaf(Tensor::scalar(number)));
        let y = (0..nodes).fold(x, |y, _| y * c);
        let record = lap();
        let gradients = y.backward();
        (record, [x, c].map(|leaf| gradients.get(leaf).item()))
    };
    let sweep = lap();
    drop(tape);
    ([record, sweep, lap()], found)
}
