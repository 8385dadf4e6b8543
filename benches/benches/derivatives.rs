//! What each kind of derivative costs beside the function itself: an LSTM over T = 20 steps, B = 8, I = 16, H = 32, and a
//! loss, on one thread.
//!
//! `cargo bench -p rewind-benches --bench derivatives`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var, derive};
use rewind_rnn::{Lstm, init, unroll};

const BATCH: usize = 8;

/// The loss of every sequence, `[B]`.
fn losses<'t>(lstm: &Lstm<Var<'t, f64>>, x: &Tensor<f64>) -> Var<'t, f64> {
    let outputs = unroll(lstm, lstm.weight_hh.tape().constant(x.clone())).outputs();
    (outputs * outputs).sum_axis(0).sum_axis(1)
}

fn derivatives(c: &mut Criterion) {
    let rng = &mut StdRng::seed_from_u64(1);
    let lstm = Lstm::<Tensor<f64>>::new(16, 32, rng);
    let x = init::uniform(&[20, BATCH, 16], 1.0, rng);
    let direction: Lstm<Tensor<f64>> = lstm.map(|_, p| p.map(|p| p * 0.5));
    let mut group = c.benchmark_group("derivatives of an LSTM, T=20 B=8 I=16 H=32 f64");
    group.bench_function("f", |b| {
        b.iter(|| {
            let tape = Tape::new();
            black_box(losses(&lstm.on(&tape), &x).sum().value())
        });
    });
    group.bench_function("gradient", |b| b.iter(|| black_box(derive::gradient(&lstm, |_, p| losses(p, &x).sum()))));
    group.bench_function("jvp", |b| b.iter(|| black_box(derive::jvp(&lstm, &direction, |_, p| losses(p, &x)))));
    group.bench_function("hvp", |b| b.iter(|| black_box(derive::hvp(&lstm, &direction, |_, p| losses(p, &x).sum()))));
    for batch in [BATCH, 8 * BATCH] {
        let x = init::uniform(&[20, batch, 16], 1.0, rng);
        let samples: Vec<_> = (0..batch).map(|b| x.slice(1, b..b + 1)).collect();
        group.bench_function(format!("per sample, B={batch}"), |b| {
            b.iter(|| black_box(derive::per_sample(&lstm, &samples, |_, p, x| losses(p, x).sum())));
        });
        group.bench_function(format!("per sample as a jacobian, B={batch}"), |b| {
            b.iter(|| black_box(derive::jacobian(&lstm, |_, p| losses(p, &x))));
        });
    }
    group.finish();
}

criterion_group! {
    name = costs;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2));
    targets = derivatives
}
criterion_main!(costs);
