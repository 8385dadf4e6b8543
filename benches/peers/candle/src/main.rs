//! The training step, its memory and the chain of small nodes in candle.
//!
//! The cells are those of candle-nn, with its own loop over time. It has no tanh-RNN.

use std::hint::black_box;
use std::thread;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Init, RNN, VarBuilder, VarMap};
use clap::Parser;
use rewind_benches::command::{Cases, TimedCases};
use rewind_benches::timing::{median, nanoseconds};
use rewind_benches::{CellKind, Shape, Step, chain};

const CELLS: [CellKind; 2] = [CellKind::Lstm, CellKind::Gru];

/// candle drops a graph by recursion; at the shape `long` the usual stack does not hold it.
const STACK: usize = 1 << 30;

/// The training step, its memory and the chain of small nodes in candle.
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
    /// Times a node of the graph on small tensors.
    Chain {
        /// Chains that are timed each way; the medians are printed.
        #[arg(long, default_value_t = 500)]
        runs: usize,
    },
}

fn main() -> std::result::Result<(), String> {
    let arguments = Arguments::parse();
    let threads = match &arguments {
        Arguments::TrainingStep { cases } => cases.cases.sizes.threads(),
        Arguments::Memory { case } => case.sizes.threads(),
        Arguments::Chain { .. } => 1,
    };
    if candle_core::utils::get_num_threads() != threads {
        return Err(format!("candle takes its number of threads from outside: set RAYON_NUM_THREADS={threads}"));
    }
    let run = move || match arguments {
        Arguments::TrainingStep { cases } => {
            cases.print_times(&CELLS, make);
            Ok(())
        }
        Arguments::Memory { case } => case.print_memory(make),
        Arguments::Chain { runs } => print_chain(runs).map_err(|error| error.to_string()),
    };
    let worker = thread::Builder::new().stack_size(STACK).spawn(run).map_err(|error| error.to_string())?;
    worker.join().map_err(|_| "candle: the measurement panicked".to_string())?
}

/// The training step of `kind`. The number of threads is set for the whole process.
fn make(kind: CellKind, shape: Shape, _threads: usize) -> Step {
    let parameters = VarMap::new();
    let builder = VarBuilder::from_varmap(&parameters, DType::F32, &Device::Cpu);
    let Shape { inputs, hidden, .. } = shape;
    let bound = 1.0 / (hidden as f64).sqrt();
    let init = Init::Uniform { lo: -bound, up: bound };
    match kind {
        CellKind::Lstm => {
            let config = candle_nn::LSTMConfig {
                w_ih_init: init,
                w_hh_init: init,
                b_ih_init: Some(init),
                b_hh_init: Some(init),
                ..Default::default()
            };
            let lstm = candle_nn::lstm(inputs, hidden, config, builder).expect("the sizes are right");
            step_of(lstm, |state| state.h().clone(), parameters, shape)
        }
        CellKind::Gru => {
            let config =
                candle_nn::GRUConfig { w_ih_init: init, w_hh_init: init, b_ih_init: Some(init), b_hh_init: Some(init) };
            let gru = candle_nn::gru(inputs, hidden, config, builder).expect("the sizes are right");
            step_of(gru, |state| state.h().clone(), parameters, shape)
        }
        CellKind::Tanh | CellKind::Custom => panic!("candle: no cell {}; it has lstm and gru", kind.name()),
    }
}

fn step_of<C: RNN + Send + 'static>(cell: C, output: fn(&C::State) -> Tensor, parameters: VarMap, shape: Shape) -> Step {
    let Shape { steps, batch, inputs, .. } = shape;
    let x = Tensor::rand(-1f32, 1f32, (batch, steps, inputs), &Device::Cpu).expect("a random input");
    let step = move || -> Result<f32> {
        // Stacked by the states' own output: `states_to_tensor` lays those of the GRU side by side.
        let outputs: Vec<_> = cell.seq(&x)?.iter().map(output).collect();
        let loss = Tensor::stack(&outputs, 0)?.sqr()?.mean_all()?;
        let gradients = loss.backward()?;
        let missing = parameters.all_vars().iter().filter(|parameter| gradients.get(parameter).is_none()).count();
        assert_eq!(missing, 0, "candle: parameters without a gradient");
        black_box(&gradients);
        loss.to_scalar()
    };
    Box::new(move || step().expect("candle computes the step"))
}

fn print_chain(runs: usize) -> Result<()> {
    let leaf = || Var::from_tensor(&Tensor::rand(-1f32, 1f32, &chain::SHAPE[..], &Device::Cpu)?);
    let (x, y) = (leaf()?, leaf()?);
    let forward = || -> Result<Tensor> {
        let mut z = x.as_tensor().clone();
        for _ in 0..chain::ROUNDS {
            z = ((&z * y.as_tensor())? + y.as_tensor())?.tanh()?;
        }
        Ok(z)
    };
    let recorded = forward()?;
    let forward = nanoseconds(runs / 10, runs, || {
        black_box(forward().expect("candle computes the chain"));
    });
    // Of a result that is no scalar, candle seeds the sweep with ones.
    let backward = nanoseconds(runs / 10, runs, || {
        black_box(recorded.backward().expect("candle sweeps the chain"));
    });
    println!("{}", chain::line(median(forward), median(backward)));
    Ok(())
}
