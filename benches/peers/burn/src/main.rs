//! The training step and its memory in burn, on its backend for CPUs.
//!
//! The cells are those of burn-nn, with its own loop over time. It has no tanh-RNN.

use std::hint::black_box;

use burn::module::{Initializer, Module, ModuleVisitor, Param};
use burn::nn::{GruConfig, LstmConfig};
use burn::tensor::{Device, Distribution, Gradients, Tensor};
use clap::Parser;
use rewind_benches::command::{Cases, TimedCases};
use rewind_benches::{CellKind, Shape, Step};

const CELLS: [CellKind; 2] = [CellKind::Lstm, CellKind::Gru];

/// The training step and its memory in burn.
#[derive(Parser)]
#[command(version, rename_all = "snake_case")]
enum Arguments {
    /// Times one training step, as the binary of this name does.
    TrainingStep {
        #[command(flatten)]
        cases: TimedCases,
    },
    /// Measures the memory of a training step, as the binary of this name does.
    Memory {
        #[command(flatten)]
        case: Cases,
    },
}

fn main() -> Result<(), String> {
    let arguments = Arguments::parse();
    let threads = match &arguments {
        Arguments::TrainingStep { cases } => cases.cases.sizes.threads(),
        Arguments::Memory { case } => case.sizes.threads(),
    };
    if std::env::var("RAYON_NUM_THREADS") != Ok(threads.to_string()) {
        return Err(format!("burn takes its number of threads from outside: set RAYON_NUM_THREADS={threads}"));
    }
    match arguments {
        Arguments::TrainingStep { cases } => {
            cases.print_times(&CELLS, make);
            Ok(())
        }
        Arguments::Memory { case } => case.print_memory(make),
    }
}

/// The training step of `kind`. The number of threads is set for the whole process.
fn make(kind: CellKind, shape: Shape, _threads: usize) -> Step {
    let device = Device::flex().autodiff();
    let Shape { inputs, hidden, .. } = shape;
    let bound = 1.0 / (hidden as f64).sqrt();
    let init = Initializer::Uniform { min: -bound, max: bound };
    match kind {
        CellKind::Lstm => {
            let lstm = LstmConfig::new(inputs, hidden, true).with_initializer(init).init(&device);
            step_of(lstm, |lstm, x| lstm.forward(x, None).0, shape, &device)
        }
        CellKind::Gru => {
            let gru = GruConfig::new(inputs, hidden, true).with_initializer(init).init(&device);
            step_of(gru, |gru, x| gru.forward(x, None), shape, &device)
        }
        CellKind::Tanh | CellKind::Custom => panic!("burn: no cell {}; it has lstm and gru", kind.name()),
    }
}

fn step_of<M: Module + 'static>(cell: M, forward: fn(&M, Tensor<3>) -> Tensor<3>, shape: Shape, device: &Device) -> Step {
    let Shape { steps, batch, inputs, .. } = shape;
    let x = Tensor::<3>::random([batch, steps, inputs], Distribution::Uniform(-1.0, 1.0), device);
    Box::new(move || {
        let loss = forward(&cell, x.clone()).square().mean();
        let gradients = loss.backward();
        let mut without = WithoutGradient { gradients: &gradients, count: 0 };
        cell.visit(&mut without);
        assert_eq!(without.count, 0, "burn: parameters without a gradient");
        black_box(&gradients);
        loss.into_scalar::<f32>()
    })
}

/// How many parameters have no gradient.
struct WithoutGradient<'g> {
    gradients: &'g Gradients,
    count: usize,
}

impl ModuleVisitor for WithoutGradient<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.count += usize::from(parameter.val().grad(self.gradients).is_none());
    }
}
