//! What it costs that nodes know their scope: a time step recorded with its number and without, on the smallest of
//! shapes, where nothing else hides it.
//!
//! `cargo bench -p rewind-benches --bench scopes`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_rnn::{Cell, Lstm, State, TanhRnn};

const STEPS: usize = 1000;

fn unrolled<M>(c: &mut Criterion, name: &str, module: &M)
where
    M: OnTape<f32>,
    for<'t> M::With<rewind_autograd::Var<'t, f32>>: Cell<'t, f32>,
{
    let mut group = c.benchmark_group(format!("scopes/{name}, {STEPS} steps of [1, 8]"));
    for scopes in [false, true] {
        let mut tape = Tape::new();
        group.bench_function(if scopes { "with a scope a step" } else { "without" }, |b| {
            b.iter(|| {
                {
                    let cell = module.on(&tape);
                    let x = tape.constant(Tensor::full(&[1, 8], 0.5));
                    let mut state = cell.initial(1);
                    for t in 0..STEPS {
                        let _step = scopes.then(|| tape.numbered_scope("t", t));
                        state = cell.step(x, state);
                    }
                    black_box(state.output().value());
                }
                tape.clear();
            });
        });
    }
    group.finish();
}

fn scopes(c: &mut Criterion) {
    let rng = &mut StdRng::seed_from_u64(1);
    unrolled(c, "tanh", &TanhRnn::<Tensor<f32>>::new(8, 8, rng));
    unrolled(c, "lstm", &Lstm::<Tensor<f32>>::new(8, 8, rng));
}

criterion_group!(benches, scopes);
criterion_main!(benches);
