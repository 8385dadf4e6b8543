//! One training step of each cell at two sizes, on two threads. The binary `training_step` measures all six sizes.

use std::hint::black_box;
use std::time::Duration;

use clap::ValueEnum;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rewind_benches::{CellKind, Shape, training_step};

const THREADS: usize = 2;

fn training(c: &mut Criterion) {
    for name in ["small", "medium"] {
        let shape = Shape::named(name).expect("the shape is in the list");
        let mut group = c.benchmark_group(format!("training step, {name}"));
        for &cell in CellKind::value_variants() {
            group.throughput(Throughput::Elements(shape.flops(cell) as u64));
            let mut step = training_step(cell, shape, THREADS);
            group.bench_function(BenchmarkId::from_parameter(cell.name()), |b| b.iter(|| black_box(step())));
        }
        group.finish();
    }
}

criterion_group! {
    name = steps;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(10);
    targets = training
}
criterion_main!(steps);
