//! What `lens::itemised` costs: `cargo run --release -p rewind-benches --bin lens -- lstm 8` for a cell and a batch, with T = 200
//! time steps, H = 64 units and a loss at each step.

use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::Tensor;
use rewind_benches::resident::growth;
use rewind_rnn::{LayerModule, Lstm, Recurrent, TanhRnn, Unroll, lens};

const STEPS: usize = 200;
const INPUTS: usize = 16;
const HIDDEN: usize = 64;

fn measure<M: LayerModule<f64>>(name: &str, layer: &M, batch: usize) {
    let x = Tensor::from_fn(&[STEPS, batch, INPUTS], |i| (0.7 * i as f64).sin());
    let work = || {
        let start = Instant::now();
        let items = lens::itemised(layer, |tape, layer| {
            let outputs = Unroll::new().through(layer, tape.constant(x.clone())).outputs;
            (0..STEPS).map(|t| outputs.index(0, t).square().sum()).collect()
        });
        let recorded = start.elapsed().as_secs_f64();
        let table = items.table("weight_hh");
        let with_table = start.elapsed().as_secs_f64();
        let (residual, norm) = (items.residual("weight_hh"), table.gradient);
        println!(
            "{name}, B = {batch}: {recorded:.2} s; with a table {with_table:.2} s; residual {residual:.1e} of {norm:.1e}"
        );
    };
    match growth(1, work) {
        Ok(grown) => println!("peak over the start: {} MB", grown[0] >> 20),
        Err(error) => println!("peak unknown: {error}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cell, batch] = &arguments[..] else { panic!("usage: lens lstm|tanh BATCH") };
    let batch = batch.parse().expect("BATCH is a number");
    let rng = &mut StdRng::seed_from_u64(1);
    match cell.as_str() {
        "lstm" => measure("LSTM", &Recurrent(Lstm::new(INPUTS, HIDDEN, rng)), batch),
        "tanh" => measure("tanh", &Recurrent(TanhRnn::new(INPUTS, HIDDEN, rng)), batch),
        other => panic!("cell {other}; expected lstm or tanh"),
    }
}
