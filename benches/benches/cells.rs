//! One time step of each cell, forward and backward to its parameters, on one thread.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var};
use rewind_benches::custom::CustomLstm;
use rewind_rnn::{Cell, Gru, Lstm, State, TanhRnn};

/// B sequences, I features, H units: those of the shape `medium`.
const BATCH: usize = 32;
const INPUTS: usize = 128;
const HIDDEN: usize = 256;

/// The output of one step from the cell's first state, `[B, H]`.
fn forward<'t>(cell: &impl Cell<'t, f32>, tape: &'t Tape<f32>, x: &Tensor<f32>) -> Var<'t, f32> {
    cell.step(tape.constant(x.clone()), cell.initial(BATCH)).output()
}

fn measure<M>(c: &mut Criterion, name: &str, module: &M)
where
    M: Parameters<Tensor<f32>>,
    for<'t> M::With<Var<'t, f32>>: Cell<'t, f32>,
{
    let x = Tensor::from_fn(&[BATCH, INPUTS], |i| (i as f32 * 12.9898).sin());
    let seed = Tensor::full(&[BATCH, HIDDEN], 1.0);
    let mut group = c.benchmark_group("step of a cell, B=32 I=128 H=256");
    group.bench_function(BenchmarkId::new(name, "forward"), |b| {
        let mut tape = Tape::new();
        b.iter(|| {
            black_box(forward(&module.on(&tape), &tape, &x).value());
            tape.clear();
        });
    });
    group.bench_function(BenchmarkId::new(name, "forward and backward"), |b| {
        let mut tape = Tape::new();
        b.iter(|| {
            {
                let cell = module.on(&tape);
                black_box(forward(&cell, &tape, &x).backward_from(&seed).of(&cell));
            }
            tape.clear();
        });
    });
    group.finish();
}

fn cells(c: &mut Criterion) {
    let rng = &mut StdRng::seed_from_u64(1);
    measure(c, "tanh", &TanhRnn::new(INPUTS, HIDDEN, rng));
    measure(c, "gru", &Gru::new(INPUTS, HIDDEN, rng));
    measure(c, "lstm", &Lstm::new(INPUTS, HIDDEN, rng));
    measure(c, "custom", &CustomLstm::new(INPUTS, HIDDEN, rng));
}

criterion_group! {
    name = steps;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = cells
}
criterion_main!(steps);
