//! The time of the matrix kernel in a training step: only the products of the step.
//!
//! Forward, each time step multiplies `[B, I]·[I, G·H]` and `[B, H]·[H, G·H]`; backward, `[B, G·H]·[G·H, H]`. Weights and
//! their transposes are packed beforehand. The gradient of a weight is one product over the rows of all time steps. The
//! input and the first state are constants, so they get no gradient. The batch is in the shards of the training step, on
//! the same threads.
//!
//! The input products of the next time steps are prefetched here too, where the engine does.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::Tensor;
use rewind_rnn::Shards;

use crate::{CellKind, Shape, Step};

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

/// The multiplications and additions of these products.
pub fn operations(kind: CellKind, shape: Shape) -> f64 {
    let Shape { steps, batch, inputs, hidden, .. } = shape;
    let forward = steps * (inputs + hidden);
    let to_states = (steps - 1) * hidden;
    let to_weights = forward;
    (2 * batch * kind.gates() * hidden * (forward + to_states + to_weights)) as f64
}

/// The bytes of packed weights that the time steps of all shards read: the recurrent weights and their transposes. Those of the inputs
/// are read once for many steps where they are large.
pub fn weight_bytes(kind: CellKind, shape: Shape) -> f64 {
    let weights = shape.hidden * kind.gates() * shape.hidden * size_of::<f32>();
    (shape.shards().len() * (2 * shape.steps - 1) * weights) as f64
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
    weight: Tensor<f32>,
    /// Whether the input needs a gradient.
    backward: bool,
    /// The inputs of all time steps, `[T·B, K]`.
    inputs: Tensor<f32>,
    /// The N columns among the G·H of all gates.
    columns: Range<usize>,
}

impl Weight {
    fn new(inputs: Tensor<f32>, columns: Range<usize>, backward: bool, rng: &mut StdRng) -> Self {
        let weight = uniform([inputs.shape()[1], columns.len()], rng);
        Weight { weight, backward, inputs, columns }
    }
}

/// The products of one shard.
struct Products {
    batch: usize,
    /// The cotangents of the gates of all time steps, `[T·B, G·H]`.
    cotangents: Tensor<f32>,
    weights: Vec<Weight>,
}

impl Products {
    fn new(kind: CellKind, shape: Shape, batch: usize, rng: &mut StdRng) -> Self {
        let Shape { steps, inputs, hidden, .. } = shape;
        let width = kind.gates() * hidden;
        let x = uniform([steps * batch, inputs], rng);
        let mut weights = vec![Weight::new(x, 0..width, false, rng)];
        let mut first = 0;
        for gates in recurrent_weights(kind) {
            let h = uniform([steps * batch, hidden], rng);
            let columns = first..first + gates * hidden;
            first = columns.end;
            weights.push(Weight::new(h, columns, true, rng));
        }
        Products { batch, cotangents: uniform([steps * batch, width], rng), weights }
    }

    fn run(&mut self) -> f32 {
        let Products { batch, ref cotangents, ref weights } = *self;
        let rows = |t: usize| t * batch..(t + 1) * batch;
        let steps = cotangents.shape()[0] / batch;
        let mut sum = 0.0;
        for t in 0..steps {
            for w in weights {
                sum += first(&w.inputs.slice(0, rows(t)).matmul(&w.weight));
            }
        }
        // The first state is a constant, so no gradient flows past the first time step.
        for t in (1..steps).rev() {
            for w in weights.iter().filter(|w| w.backward) {
                sum += first(&cotangents.slice(0, rows(t)).slice(1, w.columns.clone()).matmul_transposed(&w.weight));
            }
        }
        for w in weights {
            sum += first(&w.inputs.transpose().matmul(&cotangents.slice(1, w.columns.clone())));
        }
        sum
    }
}

fn first(x: &Tensor<f32>) -> f32 {
    x.slice(0, 0..1).slice(1, 0..1).item()
}

fn uniform(shape: [usize; 2], rng: &mut StdRng) -> Tensor<f32> {
    Tensor::from_fn(&shape, |_| rng.random_range(-1.0..1.0))
}
