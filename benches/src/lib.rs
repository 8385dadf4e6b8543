//! The training step of a recurrent layer that the benches measure, at fixed shapes.
//!
//! A step is the whole sequence forward from a zero state, loss = mean of the squares of all outputs, and backward to
//! all parameters, in `f32`. The batch is cut into shards, whatever the number of threads.

pub mod chain;
pub mod command;
pub mod ctc;
pub mod custom;
pub mod kernel;
pub mod pairs;
pub mod peak;
pub mod pointwise;
pub mod recurrence;
pub mod resident;
pub mod timing;
pub mod xlstm;

use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};
use rewind_rnn::{Cell, Gru, Layer, Lstm, Recurrent, Shards, Stream, TanhRnn, Unroll, unroll};

use custom::CustomLstm;

/// Sizes of a training step.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The name on the command line.
    pub name: &'static str,
    /// Time steps, T.
    pub steps: usize,
    /// Sequences, B.
    pub batch: usize,
    /// Features, I.
    pub inputs: usize,
    /// Units, H.
    pub hidden: usize,
}

/// The shapes that are measured, small to large.
pub const SHAPES: [Shape; 6] = [
    Shape { name: "tiny", steps: 32, batch: 1, inputs: 32, hidden: 32 },
    Shape { name: "small", steps: 64, batch: 16, inputs: 64, hidden: 128 },
    Shape { name: "mnistrow", steps: 28, batch: 128, inputs: 28, hidden: 128 },
    Shape { name: "medium", steps: 100, batch: 32, inputs: 128, hidden: 256 },
    Shape { name: "zaremba", steps: 35, batch: 20, inputs: 650, hidden: 650 },
    Shape { name: "large", steps: 50, batch: 64, inputs: 256, hidden: 512 },
];

/// A long sequence, to measure memory.
pub const LONG: Shape = Shape { name: "long", steps: 2000, batch: 8, inputs: 64, hidden: 128 };

/// Sequences that come one step at a time, for inference. A run of 1,000 steps takes as many milliseconds as a step microseconds.
pub const STEP_BY_STEP: [Shape; 2] = [
    Shape { name: "step128", steps: 1000, batch: 1, inputs: 128, hidden: 128 },
    Shape { name: "step512", steps: 1000, batch: 1, inputs: 512, hidden: 512 },
];

/// One training step of a cell: a call runs it and returns its loss.
pub type Step = Box<dyn FnMut() -> f32 + Send>;

/// The cells that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CellKind {
    /// [`Lstm`].
    Lstm,
    /// [`Gru`].
    Gru,
    /// [`TanhRnn`].
    Tanh,
    /// [`CustomLstm`]: an LSTM as a user would write it.
    Custom,
}

impl CellKind {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CellKind::Lstm => "lstm",
            CellKind::Gru => "gru",
            CellKind::Tanh => "tanh",
            CellKind::Custom => "custom",
        }
    }

    /// G, the number of products of `[B, I + H]` by `[I + H, H]` in a step of the cell.
    pub fn gates(self) -> usize {
        match self {
            CellKind::Lstm | CellKind::Custom => 4,
            CellKind::Gru => 3,
            CellKind::Tanh => 1,
        }
    }
}

impl Shape {
    /// All shapes.
    pub fn all() -> impl Iterator<Item = Shape> {
        SHAPES.into_iter().chain([LONG]).chain(STEP_BY_STEP)
    }

    /// The shape of that name.
    pub fn named(name: &str) -> Option<Shape> {
        Shape::all().find(|shape| shape.name == name)
    }

    /// Multiplications and additions of a training step's matrix products: 6·T·B·(I + H)·G·H.
    ///
    /// The gradient of the input, which is not computed here, is counted with the rest: the figure is a common unit.
    pub fn flops(&self, kind: CellKind) -> f64 {
        let products = self.steps * self.batch * (self.inputs + self.hidden) * kind.gates() * self.hidden;
        6.0 * products as f64
    }

    /// Sequences of each shard of the batch: two shards where each gets four sequences at least, and one elsewhere.
    pub fn shards(&self) -> Vec<usize> {
        if self.batch < 8 { vec![self.batch] } else { vec![self.batch / 2, self.batch - self.batch / 2] }
    }

    /// The batch `[T, B, I]` in shards along B.
    fn data<T: Scalar>(&self, rng: &mut StdRng) -> Vec<Tensor<T>> {
        let number = |_| T::from_f64(rng.random_range(-1.0..1.0));
        let x = Tensor::from_fn(&[self.steps, self.batch, self.inputs], number);
        let mut first = 0;
        let mut shard = |rows| {
            first += rows;
            x.slice(1, first - rows..first).to_contiguous()
        };
        self.shards().into_iter().map(&mut shard).collect()
    }
}

/// Makes a training step of `kind` at `shape` on `threads` threads.
///
/// # Panics
/// If the threads cannot be started.
pub fn training_step(kind: CellKind, shape: Shape, threads: usize) -> Step {
    training_step_in::<f32>(kind, shape, threads)
}

/// [`training_step`] in either precision.
///
/// # Panics
/// If the threads cannot be started.
pub fn training_step_in<T: Scalar>(kind: CellKind, shape: Shape, threads: usize) -> Step {
    let rng = &mut StdRng::seed_from_u64(1);
    let Shape { inputs, hidden, .. } = shape;
    match kind {
        CellKind::Lstm => step_of(Lstm::<Tensor<T>>::new(inputs, hidden, rng), shape, threads),
        CellKind::Gru => step_of(Gru::<Tensor<T>>::new(inputs, hidden, rng), shape, threads),
        CellKind::Tanh => step_of(TanhRnn::<Tensor<T>>::new(inputs, hidden, rng), shape, threads),
        CellKind::Custom => step_of(CustomLstm::<Tensor<T>>::new(inputs, hidden, rng), shape, threads),
    }
}

/// Makes a pass of a trained layer over sequences of `shape` that come one time step at a time, on the caller's thread.
pub fn inference(kind: CellKind, shape: Shape, _threads: usize) -> Step {
    let rng = &mut StdRng::seed_from_u64(1);
    let Shape { inputs, hidden, .. } = shape;
    match kind {
        CellKind::Lstm => stream_of(Recurrent(Lstm::new(inputs, hidden, rng)), shape),
        CellKind::Gru => stream_of(Recurrent(Gru::new(inputs, hidden, rng)), shape),
        CellKind::Tanh => stream_of(Recurrent(TanhRnn::new(inputs, hidden, rng)), shape),
        CellKind::Custom => stream_of(Recurrent(CustomLstm::new(inputs, hidden, rng)), shape),
    }
}

fn stream_of<M>(module: M, shape: Shape) -> Step
where
    M: Parameters<Tensor<f32>> + Send + 'static,
    for<'t> M::With<Var<'t, f32>>: Layer<'t, f32>,
{
    let x = Tensor::from_fn(&[shape.steps, shape.batch, shape.inputs], |i| (i as f32).sin());
    let mut stream = Stream::new(module, shape.batch);
    Box::new(move || {
        stream.restart();
        let outputs = (0..shape.steps).map(|t| stream.step(&x.index(0, t)));
        outputs.last().map_or(0.0, |last| last.to_vec().iter().sum())
    })
}

/// Makes a training step of the LSTM at `shape` in segments of √T time steps, of which only the last state is kept (see
/// [`Unroll::through_in_segments`]), on the caller's thread.
pub fn segmented_step(shape: Shape) -> Step {
    let lstm = Recurrent(Lstm::new(shape.inputs, shape.hidden, &mut StdRng::seed_from_u64(1)));
    let x = Tensor::from_fn(&[shape.steps, shape.batch, shape.inputs], |i| (i as f32).sin());
    let (every, mut tape) = (shape.steps.isqrt(), Tape::new());
    let outputs = (shape.steps * shape.batch * shape.hidden) as f32;
    Box::new(move || {
        let loss = {
            let (layer, x) = (lstm.on(&tape), tape.constant(x.clone()));
            let how = Unroll::new();
            let loss =
                how.through_in_segments(every, &lstm, &layer, x, move |_, _, y| y.square().sum() / outputs).loss();
            let gradient = loss.backward().of(&layer);
            assert!(gradient.leaves().iter().all(|leaf| leaf.all_finite()), "a gradient is not finite");
            loss.value().item()
        };
        tape.clear();
        loss
    })
}

/// The shards of the LSTM's training step at `shape` as independent steps, without shared weights or a sum of gradients, on
/// `threads` threads. A call runs several steps of each shard where they are short, and no shard waits for another.
///
/// Compared on one thread and on several, it shows the gain of more threads on a machine.
///
/// # Panics
/// If the threads cannot be started.
pub fn separate_steps(shape: Shape, threads: usize) -> Step {
    let kind = CellKind::Lstm;
    // So that starting and ending do not count: 10 ms or more on a core with 100 GFLOP/s, except at tiny.
    let repeats = (2e9 / shape.flops(kind)).ceil().min(8.0) as usize;
    let one = |x: Tensor<f32>| {
        let lstm = Lstm::new(shape.inputs, shape.hidden, &mut StdRng::seed_from_u64(1));
        Mutex::new(step_on(lstm, vec![x], shape.hidden, 1))
    };
    let steps: Vec<_> = shape.data(&mut StdRng::seed_from_u64(2)).into_iter().map(one).collect();
    let workers = Shards::<f32>::new(threads).expect("threads can be started");
    Box::new(move || {
        let repeated = |shard: usize| {
            let mut step = steps[shard].lock().unwrap_or_else(PoisonError::into_inner);
            (0..repeats).map(|_| step()).sum::<f32>()
        };
        workers.run(steps.len(), |shard, _| repeated(shard)).iter().sum()
    })
}

fn step_of<T, M>(module: M, shape: Shape, threads: usize) -> Step
where
    T: Scalar,
    M: Parameters<Tensor<T>> + Send + Sync + 'static,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    step_on(module, shape.data(&mut StdRng::seed_from_u64(2)), shape.hidden, threads)
}

/// A step over shards `[T, B, I]`.
fn step_on<T, M>(module: M, data: Vec<Tensor<T>>, hidden: usize, threads: usize) -> Step
where
    T: Scalar,
    M: Parameters<Tensor<T>> + Send + Sync + 'static,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    let workers = Shards::<T>::new(threads).expect("threads can be started");
    let rows: usize = data.iter().map(|x| x.shape()[0] * x.shape()[1]).sum();
    let outputs = T::from_f64((rows * hidden) as f64);
    Box::new(move || {
        let step = workers.gradients(&module, &data, |tape, cell, x| {
            let y = unroll(cell, tape.constant(x.clone())).outputs();
            y.square().sum() / outputs
        });
        std::hint::black_box(&step.gradients);
        step.losses.iter().map(|loss| loss.to_f64() as f32).sum()
    })
}
