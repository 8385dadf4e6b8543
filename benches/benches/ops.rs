//! Single ops, forward and backward, at the sizes that recurrent steps use.
//!
//! `forward` records and computes; `backward` is one sweep over a tape that was recorded before.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Tape, Tensor, Var};
use rewind_benches::chain;

/// Values in ±1 without a pattern.
fn sample(shape: &[usize]) -> Tensor<f32> {
    Tensor::from_fn(shape, |i| (i as f32 * 12.9898).sin())
}

/// Measures `build` of leaves of `shapes`, and the sweep from the sum of its result, per time the work is repeated.
fn measure<F>(c: &mut Criterion, name: &str, repeats: u64, shapes: &[&[usize]], build: F)
where
    F: for<'t> Fn(&[Var<'t, f32>]) -> Var<'t, f32>,
{
    let inputs: Vec<_> = shapes.iter().map(|shape| sample(shape)).collect();
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(repeats));
    group.bench_function(BenchmarkId::from_parameter("forward"), |b| {
        let mut tape = Tape::new();
        b.iter(|| {
            let leaves: Vec<_> = inputs.iter().map(|x| tape.leaf(x.clone())).collect();
            black_box(build(&leaves).value());
            tape.clear();
        });
    });
    group.bench_function(BenchmarkId::from_parameter("backward"), |b| {
        let tape = Tape::new();
        let leaves: Vec<_> = inputs.iter().map(|x| tape.leaf(x.clone())).collect();
        let result = build(&leaves);
        let seed = Tensor::full(&result.shape(), 1.0);
        b.iter(|| black_box(result.backward_from(&seed)));
    });
    group.finish();
}

/// Ops on eight elements, where the cost of a node shows: throughput is in nodes.
fn small_nodes(c: &mut Criterion) {
    let name = format!("chain of {} nodes on [1, 8]", chain::NODES);
    measure(c, &name, chain::NODES as u64, &[&chain::SHAPE, &chain::SHAPE], |v| chain::of(v[0], v[1]));
}

fn elementwise(c: &mut Criterion) {
    let shape: &[usize] = &[16, 256];
    measure(c, "tanh [16, 256]", 16 * 256, &[shape], |v| v[0].tanh());
    measure(c, "sigmoid [16, 256]", 16 * 256, &[shape], |v| v[0].sigmoid());
    measure(c, "mul [16, 256]", 16 * 256, &[shape, shape], |v| v[0] * v[1]);
    measure(c, "mul [16, 256] by [256]", 16 * 256, &[shape, &[256]], |v| v[0] * v[1]);
}

/// One weight at 16 time steps, packed once, its gradient one product: throughput is in arithmetic of one direction,
/// so backward, which has two products a step, can reach half of the number at best.
fn matmul(c: &mut Criterion) {
    const STEPS: usize = 16;
    let (m, k, n) = (32, 256, 1024);
    let flops = (2 * STEPS * m * k * n) as u64;
    measure(c, "matmul 32x256x1024, 16 times by one weight", flops, &[&[STEPS, m, k], &[k, n]], |v| {
        let steps: Vec<_> = (0..STEPS).map(|t| v[0].index(0, t).matmul(v[1])).collect();
        concat(&steps, 0)
    });
}

/// Four gates taken apart and put together again: what views and slices cost.
fn layout(c: &mut Criterion) {
    measure(c, "split and concat [32, 1024]", 32 * 1024, &[&[32, 1024]], |v| {
        let [i, f, g, o] = v[0].split(1);
        concat(&[o, g, f, i], 1)
    });
}

criterion_group! {
    name = ops;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = small_nodes, elementwise, matmul, layout
}
criterion_main!(ops);
