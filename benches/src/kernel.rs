//! The time of the matrix kernel in a training step: only the products of the step.
//!
//! Forward, each time step multiplies `[B, I]·[I, G·H]` and `[B, H]·[H, G·H]`; backward, `[B, G·H]·[G·H, H]`. Weights and
//! their transposes are packed beforehand. The gradient of a weight is one product over the rows of all time steps. The
//! input and the first state are constants, so they get no gradient. The batch is in the shards of the training step, on
//! the same threads.
//!
//! The kernel is called as the library provides it. Since the engine is faster in places (it transposes the operand of a
//! weight's gradient, multiplies the last four rows together, prefetches input products), a step can take less time than
//! its products here.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_rnn::Shards;
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};

use crate::{CellKind, Shape, Step};

thread_local! {
    static EXECUTOR: GemmExecutor = GemmExecutor::new();
}

/// Makes the products of a training step of `kind` at `shape` on `threads` threads; their "loss" has no meaning.
///
/// # Panics
/// If the threads cannot be started.
pub fn products_of_step(kind: CellKind, shape: Shape, threads: usize) -> Step {
    let mut rng = StdRng::seed_from_u64(1);
    let shards: Vec<_> = shape.shards().into_iter().map(|batch| Products::new(kind, shape, batch, &mut rng)).collect();
    let shards: Vec<_> = shards.into_iter().map(Mutex::new).collect();
    let workers = Shards::<f32>::new(threads).expect("threads can be started");
    Box::new(move || {
        let one = |shard: usize| shards[shard].lock().unwrap_or_else(PoisonError::into_inner).run();
        workers.run(shards.len(), |shard, _| one(shard)).iter().sum()
    })
}

/// The widths of the weights of the hidden state, in units of H: the GRU has a separate weight for its third gate.
fn recurrent_weights(kind: CellKind) -> &'static [usize] {
    match kind {
        CellKind::Lstm | CellKind::Custom => &[4],
        CellKind::Gru => &[2, 1],
        CellKind::Tanh => &[1],
    }
}

/// A weight `[K, N]` and the operands of its products.
struct Weight {
    forward: PackedBMatrix<f32>,
    /// The transpose; `None` where the input needs no gradient.
    backward: Option<PackedBMatrix<f32>>,
    /// The inputs of all time steps, `[T·B, K]`.
    inputs: NdTensor<f32, 2>,
    /// The N columns among the G·H of all gates.
    columns: Range<usize>,
    output: Vec<f32>,
    input_gradient: Vec<f32>,
    gradient: Vec<f32>,
}

impl Weight {
    fn new(inputs: NdTensor<f32, 2>, columns: Range<usize>, batch: usize, backward: bool, rng: &mut StdRng) -> Self {
        let (rows, width) = (inputs.size(1), columns.len());
        let values = uniform([rows, width], rng);
        let pack = |b: NdTensorView<f32, 2>| EXECUTOR.with(|executor| executor.prepack_b(b));
        Weight {
            forward: pack(values.view()),
            backward: backward.then(|| pack(values.transposed())),
            inputs,
            columns,
            output: vec![0.0; batch * width],
            input_gradient: vec![0.0; batch * rows],
            gradient: vec![0.0; rows * width],
        }
    }
}

/// The products of one shard.
struct Products {
    batch: usize,
    /// The cotangents of the gates of all time steps, `[T·B, G·H]`.
    cotangents: NdTensor<f32, 2>,
    weights: Vec<Weight>,
}

impl Products {
    fn new(kind: CellKind, shape: Shape, batch: usize, rng: &mut StdRng) -> Self {
        let Shape { steps, inputs, hidden, .. } = shape;
        let width = kind.gates() * hidden;
        let x = uniform([steps * batch, inputs], rng);
        let mut weights = vec![Weight::new(x, 0..width, batch, false, rng)];
        let mut first = 0;
        for gates in recurrent_weights(kind) {
            let h = uniform([steps * batch, hidden], rng);
            let columns = first..first + gates * hidden;
            first = columns.end;
            weights.push(Weight::new(h, columns, batch, true, rng));
        }
        Products { batch, cotangents: uniform([steps * batch, width], rng), weights }
    }

    fn run(&mut self) -> f32 {
        let Products { batch, ref cotangents, ref mut weights } = *self;
        let rows = |t: usize| t * batch..(t + 1) * batch;
        let steps = cotangents.size(0) / batch;
        for t in 0..steps {
            for w in weights.iter_mut() {
                multiply(w.inputs.slice(rows(t)), GemmInputB::Packed(&w.forward), &mut w.output);
            }
        }
        // The first state is a constant, so no gradient flows past the first time step.
        for t in (1..steps).rev() {
            for w in weights.iter_mut() {
                if let Some(transpose) = &w.backward {
                    let cotangents = cotangents.slice((rows(t), w.columns.clone()));
                    multiply(cotangents, GemmInputB::Packed(transpose), &mut w.input_gradient);
                }
            }
        }
        for w in weights.iter_mut() {
            let cotangents = cotangents.slice((.., w.columns.clone()));
            multiply(w.inputs.transposed(), GemmInputB::Unpacked(cotangents), &mut w.gradient);
        }
        weights.iter().map(|w| w.output[0] + w.input_gradient[0] + w.gradient[0]).sum()
    }
}

fn multiply(a: NdTensorView<f32, 2>, b: GemmInputB<f32>, c: &mut [f32]) {
    EXECUTOR
        .with(|executor| executor.gemm(c, GemmInputA::Unpacked(a), b, GemmOptions::default()))
        .expect("the shapes of the products fit");
}

fn uniform(shape: [usize; 2], rng: &mut StdRng) -> NdTensor<f32, 2> {
    NdTensor::from_simple_fn(shape, || rng.random_range(-1.0..1.0))
}
