//! Counts the allocations of a training step after the first ones, and the bytes that a file takes while it is opened.
//!
//! A separate binary, because the counter replaces the allocator.

use allocation_counter::measure;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};
use rewind_rnn::file::TensorFile;
use rewind_rnn::optim::{Adam, Optimizer, Sgd};
use rewind_rnn::{Cell, Gru, Lstm, TanhRnn, unroll};

fn step<T: Scalar, M>(tape: &mut Tape<T>, module: &mut M, x: &Tensor<T>, optimizer: &mut impl Optimizer<T>)
where
    M: Parameters<Tensor<T>>,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    let gradients = {
        let cell = module.on(tape);
        let y = unroll(&cell, tape.constant(x.clone())).outputs();
        let loss = (y * y).mean();
        loss.backward().of(&cell)
    };
    tape.clear();
    optimizer.step(module, &gradients).expect("the gradients are finite");
}

/// The allocations of each of the first three training steps over `steps` time steps, with the updates of the weights.
fn three_steps<M>(mut module: M, steps: usize, mut optimizer: impl Optimizer<f32> + Send + 'static) -> [u64; 3]
where
    M: Parameters<Tensor<f32>> + Send + 'static,
    for<'t> M::With<Var<'t, f32>>: Cell<'t, f32>,
{
    // A new thread: its free list of buffers is empty, so that every allocation is counted.
    let counted = std::thread::spawn(move || {
        let x = Tensor::from_fn(&[steps, 4, 16], |i| (i as f32).sin());
        let mut tape = Tape::new();
        [(); 3].map(|()| measure(|| step(&mut tape, &mut module, &x, &mut optimizer)).count_total)
    });
    counted.join().expect("the step ends well")
}

fn cells(
    steps: usize,
    optimizer: impl Optimizer<f32> + Clone + Send + 'static,
) -> impl Iterator<Item = (String, [u64; 3])> {
    let rng = &mut StdRng::seed_from_u64(1);
    [
        ("lstm", three_steps(Lstm::new(16, 32, rng), steps, optimizer.clone())),
        ("gru", three_steps(Gru::new(16, 32, rng), steps, optimizer.clone())),
        ("tanh", three_steps(TanhRnn::new(16, 32, rng), steps, optimizer)),
    ]
    .into_iter()
    .map(move |(cell, counts)| (format!("{cell}, {steps} steps"), counts))
}

// A single test: a second one in parallel could take buffers that were dropped on its threads.
#[test]
fn a_training_step_allocates_nothing_after_the_first() {
    for steps in [20, 500] {
        for (what, [first, second, third]) in cells(steps, Sgd::new(0.01)) {
            assert!(first > steps as u64, "{what}: each has values that need memory at first");
            assert_eq!([second, third], [0, 0], "{what}: so many allocations");
        }
        // Moments take buffers that the first step has released, so the second may have to allocate as many.
        for (what, [_, second, third]) in cells(steps, Adam::new(0.01)) {
            assert!(second <= 8, "{what}: {second} allocations; expected one for each moment at most");
            assert_eq!(third, 0, "{what}: so many allocations after Adam has its moments");
        }
    }
}

/// A tree of the values of a header takes 25 times its length.
#[test]
fn a_header_of_a_megabyte_takes_ten_at_most() {
    let entry = |k: usize| format!("\"{k:x}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let header = format!("{{{}}}", (0..20_000).map(entry).collect::<Vec<_>>().join(","));
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    assert!(bytes.len() > 1_000_000, "{}", bytes.len());
    let path = std::env::temp_dir().join(format!("rewind-header-{}.safetensors", std::process::id()));
    std::fs::write(&path, &bytes).expect("a writable folder for temporary files");
    let taken =
        measure(|| assert_eq!(TensorFile::open(&path).expect("a whole file").tensors().len(), 20_000)).bytes_max;
    std::fs::remove_file(&path).ok();
    assert!(taken <= 10 * bytes.len() as u64, "{taken} bytes for {}", bytes.len());
}
