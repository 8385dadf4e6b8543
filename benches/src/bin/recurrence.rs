//! Times a linear recurrence in one node and in nodes for each time step, in turn, in one process:
//! `cargo run --release -p rewind-benches --bin recurrence`.

use std::hint::black_box;
use std::time::Duration;

use rewind_autograd::Tape;
use rewind_benches::recurrence::{Operands, SHAPES};
use rewind_benches::timing::{median, nanoseconds_in_turn};

fn main() {
    const TURNS: usize = 30;
    for shape in SHAPES {
        let operands = Operands::of(shape);
        let (mut by_steps, mut by_op) = (Tape::new(), Tape::new());
        let mut steps = || {
            black_box(operands.by_steps(&mut by_steps));
        };
        let mut op = || {
            black_box(operands.by_op(&mut by_op));
        };
        let work: &mut [&mut dyn FnMut()] = &mut [&mut steps, &mut op];
        let times = nanoseconds_in_turn(Duration::from_millis(20), TURNS, work);
        let of = |f: fn(&[f64]) -> f64| median(times.iter().map(|turn| f(turn)).collect());
        let [t, b, h] = shape;
        println!(
            "recurrence T={t} B={b} H={h} steps_ms={:.4} op_ms={:.4} ratio={:.1}",
            of(|turn| turn[0] / 1e6),
            of(|turn| turn[1] / 1e6),
            of(|turn| turn[0] / turn[1]),
        );
    }
}
