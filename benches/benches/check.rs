//! The gradient check of an LSTM: T = 8, B = 2, I = 3, H = 4, every parameter and the input, `f64`.

use criterion::{Criterion, criterion_group, criterion_main};
use rewind_autograd::{Tensor, parameters};
use rewind_check as check;
use rewind_rnn::{Lstm, unroll};

parameters! {
    /// All that a gradient is wanted for.
    struct Run<P> { cell: Lstm<P>, x: P }
}

fn lstm() -> Run<Tensor<f64>> {
    let cell = Lstm {
        weight_ih: check::sample(&[3, 16], 1),
        weight_hh: check::sample(&[4, 16], 2),
        bias: Some(check::sample(&[16], 3)),
        initial_hidden: Some(check::sample(&[4], 4)),
        initial_cell: Some(check::sample(&[4], 5)),
    };
    Run { cell, x: check::sample(&[8, 2, 3], 6) }
}

fn benchmarks(criterion: &mut Criterion) {
    let (run, mut group) = (lstm(), criterion.benchmark_group("check an LSTM"));
    for (name, check) in [
        ("full, order 1", check::full().orders(1)),
        ("full, orders 1 and 2", check::full()),
        ("fast, order 1", check::fast()),
        ("fast, orders 1 and 2", check::fast().orders(2)),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| check.module(&run, |_, run| unroll(&run.cell, run.x).outputs()).assert());
        });
    }
    group.bench_function("a cell in one line, orders 1 and 2", |bencher| {
        bencher.iter(|| rewind_rnn::check::cell(&run.cell, [8, 2, 3]).assert());
    });
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
