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

/// What the first and the second training step over `steps` time steps allocate.
fn first_and_second_step<M>(module: M, steps: usize) -> [AllocationInfo; 2]
where
    M: Parameters<Tensor<f32>> + Send + 'static,
    for<'t> M::With<Var<'t, f32>>: Cell<'t, f32>,
{
    let counted = std::thread::spawn(move || {
        let x = Tensor::from_fn(&[steps, 4, 16], |i| (i as f32).sin());
        let mut tape = Tape::new();
        let mut one = || measure(|| step(&mut tape, &module, &x));
        [one(), one()]
    });
    counted.join().expect("the step ends well")
}

#[test]
fn a_training_step_allocates_nothing_after_the_first() {
    let rng = &mut StdRng::seed_from_u64(1);
    let cells = |rng: &mut StdRng, steps| {
        [
            ("lstm", first_and_second_step(Lstm::new(16, 32, rng), steps)),
            ("gru", first_and_second_step(Gru::new(16, 32, rng), steps)),
            ("tanh", first_and_second_step(TanhRnn::new(16, 32, rng), steps)),
        ]
    };
    for steps in [20, 500] {
        for (cell, [first, second]) in cells(rng, steps) {
            assert!(
                first.count_total > steps as u64,
                "{cell}, {steps} steps: each has values that need memory at first"
            );
            assert_eq!(second.count_total, 0, "{cell}, {steps} steps: so many allocations");
        }
    }
}
