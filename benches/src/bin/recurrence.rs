//! Times a linear recurrence in one node and in nodes for each time step, and a training step of the minGRU whole and unrolled, in
//! turn, in one process: `cargo run --release -p rewind-benches --bin recurrence`.

use std::hint::black_box;
use std::time::Duration;

use rewind_autograd::Tape;
use rewind_benches::recurrence::{Operands, SHAPES, min_gru_step};
use rewind_benches::timing::{median, nanoseconds_in_turn};

fn main() {
    for shape in SHAPES {
        let operands = Operands::of(shape);
        let (mut by_steps, mut by_op) = (Tape::new(), Tape::new());
        print_ratio(
            "recurrence",
            shape,
            || black_box(operands.by_steps(&mut by_steps)),
            || black_box(operands.by_op(&mut by_op)),
        );
        let [mut unrolled, mut whole] = [false, true].map(|whole| min_gru_step(shape, whole));
        print_ratio("min_gru", shape, &mut unrolled, &mut whole);
    }
}

fn print_ratio<R>(what: &str, [t, b, h]: [usize; 3], mut by_steps: impl FnMut() -> R, mut in_one: impl FnMut() -> R) {
    const TURNS: usize = 30;
    let mut by_steps = || drop(by_steps());
    let mut in_one = || drop(in_one());
    let work: &mut [&mut dyn FnMut()] = &mut [&mut by_steps, &mut in_one];
    let times = nanoseconds_in_turn(Duration::from_millis(20), TURNS, work);
    let of = |f: fn(&[f64]) -> f64| median(times.iter().map(|turn| f(turn)).collect());
    // On a busy machine, long work is interrupted more often than short work: the shortest turns are fairer.
    let shortest = |which: usize| times.iter().map(|turn| turn[which]).fold(f64::INFINITY, f64::min);
    println!(
        "{what} T={t} B={b} H={h} steps_ms={:.4} whole_ms={:.4} ratio={:.1} of_shortest={:.1}",
        of(|turn| turn[0] / 1e6),
        of(|turn| turn[1] / 1e6),
        of(|turn| turn[0] / turn[1]),
        shortest(0) / shortest(1),
    );
}
