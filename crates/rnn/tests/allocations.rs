//! What a training step asks the allocator for once its buffers are there, counted.
//!
//! A binary of its own, because the counter replaces the allocator.

use allocation_counter::{AllocationInfo, measure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};
use rewind_rnn::{Cell, Gru, Lstm, TanhRnn, unroll};

fn step<T: Scalar, M>(tape: &mut Tape<T>, module: &M, x: &Tensor<T>)
where
    M: Parameters<Tensor<T>>,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    {
        let cell = module.on(tape);
        let y = unroll(&cell, tape.constant(x.clone())).outputs();
        let loss = (y * y).mean();
        drop(loss.backward().of(&cell));
    }
    tape.clear();
}

/// What the third training step over `steps` time steps allocates.
fn third_step<M>(module: M, steps: usize) -> AllocationInfo
where
    M: Parameters<Tensor<f32>> + Send + 'static,
    for<'t> M::With<Var<'t, f32>>: Cell<'t, f32>,
{
    let counted = std::thread::spawn(move || {
        let x = Tensor::from_fn(&[steps, 4, 16], |i| (i as f32).sin());
        let mut tape = Tape::new();
        step(&mut tape, &module, &x);
        step(&mut tape, &module, &x);
        measure(|| step(&mut tape, &module, &x))
    });
    counted.join().expect("the step ends well")
}

/// The list of states that the caller gets, and that of the outputs to stack: handles that borrow the tape, so their memory cannot
/// outlive the recording. Whatever the length; no numbers among it, and nothing of the tape's or the sweep's.
const LISTS: u64 = 2;

#[test]
fn a_training_step_allocates_no_values_after_the_first() {
    let rng = &mut StdRng::seed_from_u64(1);
    let cells = |rng: &mut StdRng, steps| {
        [
            ("lstm", third_step(Lstm::new(16, 32, rng), steps)),
            ("gru", third_step(Gru::new(16, 32, rng), steps)),
            ("tanh", third_step(TanhRnn::new(16, 32, rng), steps)),
        ]
    };
    for steps in [20, 500] {
        for (cell, counted) in cells(rng, steps) {
            assert_eq!(counted.count_total, LISTS, "{cell}, {steps} steps: so many allocations");
            // A list entry of a few bytes a node; the values alone would be 4·32·4 bytes a node.
            let bytes = counted.bytes_total / (steps as u64 + 100);
            assert!(bytes < 512, "{cell}, {steps} steps: {bytes} bytes a step");
        }
    }
}
