//! Times the cell state of an LSTM by ops and by hand: `cargo run --release -p rewind-benches --bin pointwise`.
//!
//! `saved_percent` is how much of a whole training step, with a thread for each shard, the loop by hand would save.

use std::hint::black_box;

use rewind_autograd::Tape;
use rewind_benches::pointwise::{ByHand, Gates};
use rewind_benches::timing::{median, nanoseconds};
use rewind_benches::{CellKind, SHAPES, training_step};

fn main() {
    for shape in SHAPES {
        let gates = Gates::of(shape);
        let (mut tape, mut memory) = (Tape::new(), ByHand::default());
        let mut step = training_step(CellKind::Lstm, shape, shape.shards().len());
        let milliseconds = |work: &mut dyn FnMut()| median(nanoseconds(5, 30, work)) / 1e6;
        let by_ops = milliseconds(&mut || {
            black_box(gates.by_ops(&mut tape));
        });
        let by_hand = milliseconds(&mut || {
            black_box(gates.by_hand(&mut memory));
        });
        let step = milliseconds(&mut || {
            black_box(step());
        });
        let saved = 100.0 * (by_ops - by_hand) / step;
        println!(
            "pointwise {} ops_ms={by_ops:.3} hand_ms={by_hand:.3} step_ms={step:.3} saved_percent={saved:.1}",
            shape.name
        );
    }
}
