//! Training steps of the cells of xLSTM, as [`training_step`](crate::training_step) has them of the others.

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{Parameters, Tape, Tensor, Var};
use rewind_rnn::{InChunks, MLstm, SLstm, Shards, Unroll, unroll};

use crate::{Shape, Step};

/// The shapes that are measured, with four heads.
pub const SHAPES: [Shape; 2] = [
    Shape { name: "narrow", steps: 64, batch: 8, inputs: 32, hidden: 32 },
    Shape { name: "wide", steps: 100, batch: 16, inputs: 128, hidden: 128 },
];

/// N.
pub const HEADS: usize = 4;

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// [`SLstm`] in heads.
    Slstm,
    /// [`MLstm`] step by step.
    Mlstm,
    /// [`MLstm`] in chunks.
    Chunks,
}

impl Kind {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Slstm => "slstm",
            Kind::Mlstm => "mlstm",
            Kind::Chunks => "chunks",
        }
    }
}

/// Makes a training step of `kind` at `shape` on `threads` threads; `every` is the number of time steps in a chunk.
///
/// # Panics
/// If the threads cannot be started.
pub fn training_step(kind: Kind, shape: Shape, every: usize, threads: usize) -> Step {
    let rng = &mut StdRng::seed_from_u64(1);
    let Shape { inputs, hidden, .. } = shape;
    match kind {
        Kind::Slstm => {
            step_of(SLstm::new(inputs, hidden, rng).with_heads(HEADS, rng), shape, threads, |tape, cell, x| {
                unroll(cell, tape.constant(x.clone())).outputs()
            })
        }
        Kind::Mlstm => step_of(MLstm::new(inputs, hidden, HEADS, rng), shape, threads, |tape, cell, x| {
            unroll(cell, tape.constant(x.clone())).outputs()
        }),
        Kind::Chunks => {
            step_of(InChunks::new(MLstm::new(inputs, hidden, HEADS, rng), every), shape, threads, |tape, cell, x| {
                Unroll::new().through(cell, tape.constant(x.clone())).outputs
            })
        }
    }
}

fn step_of<M, F>(module: M, shape: Shape, threads: usize, outputs: F) -> Step
where
    M: Parameters<Tensor<f32>> + Send + Sync + 'static,
    F: for<'t> Fn(&'t Tape<f32>, &M::With<Var<'t, f32>>, &Tensor<f32>) -> Var<'t, f32> + Send + Sync + 'static,
{
    let data = shape.data(&mut StdRng::seed_from_u64(2));
    let workers = Shards::<f32>::new(threads).expect("threads can be started");
    let count = (shape.steps * shape.batch * shape.hidden) as f32;
    Box::new(move || {
        let step = workers.gradients(&module, &data, |tape, cell, x| outputs(tape, cell, x).square().sum() / count);
        std::hint::black_box(&step.gradients);
        step.losses.iter().sum()
    })
}
