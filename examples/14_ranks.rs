//! One training on several processes or machines: shards over the ranks of an MPI job, with the bits of one process.
//!
//! Eight noisy waves are read side by side, in windows of 20 steps with the state carried on. Each rank computes the gradients of
//! its shards. Rank 0 writes the file of the run, and any number of ranks goes on with it.
//!
//! `cargo build --release --example 14_ranks --features mpi && mpirun -n 2 target/release/examples/14_ranks`

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rewind_rnn::autograd::Tensor;
use rewind_rnn::file::{self, Metadata};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::resume::{Commit, Part, Position, Saved};
use rewind_rnn::{Gru, Linear, Noise, Ranks, Recurrent, TruncatedBptt, Unroll, clip};

const WAVES: usize = 8;
const LENGTH: usize = 2000;
const WINDOW: usize = 20;
/// Steps from file to file.
const SAVE_EVERY: u64 = 25;

type Model = (Recurrent<Gru<Tensor<f32>>>, Linear<Tensor<f32>>);

/// Waves that one rank reads: x `[T, B, 1]`, and the state that is carried.
struct Shard {
    x: Tensor<f32>,
    truncated: std::sync::Mutex<TruncatedBptt<f32>>,
    noise: Noise,
}

impl Shard {
    /// The waves dealt to so many shards.
    fn all(count: usize, seed: u64) -> rewind_rnn::Result<Vec<Shard>> {
        let mut rng = StdRng::seed_from_u64(seed);
        let waves = Tensor::from_fn(&[LENGTH, WAVES, 1], |i| {
            let (t, wave) = (i / WAVES, i % WAVES);
            (0.1 * (wave + 1) as f32 * t as f32).sin() + rng.random_range(-0.1..0.1)
        });
        let deal = |k: usize| {
            let own: Vec<_> = (k..WAVES).step_by(count).collect();
            Ok(Shard {
                x: Tensor::from_fn(&[LENGTH, own.len(), 1], |i| waves.at(&[i / own.len(), own[i % own.len()], 0])),
                truncated: TruncatedBptt::new(WINDOW, WINDOW, own.len())?.into(),
                noise: Noise::new(seed.wrapping_add(k as u64)),
            })
        };
        (0..count).map(deal).collect()
    }
}

impl Part<f32> for Shard {
    fn saved(&self) -> Saved<f32> {
        self.truncated.lock().expect("no step has panicked").saved()
    }
    fn resume<'a>(&'a mut self, saved: &Saved<f32>) -> rewind_rnn::Result<Commit<'a>> {
        self.truncated.get_mut().expect("no step has panicked").resume(saved)
    }
}

#[derive(Parser)]
struct Arguments {
    /// The seed of the data and the weights.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shards of the waves; more change the last bits.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=WAVES as i64))]
    shards: u16,
    /// Threads of each rank.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Passes over the waves, in all.
    #[arg(long, default_value_t = 3)]
    epochs: u64,
    /// The file of the run. If it is there, the run goes on from it.
    #[arg(long, default_value = "target/ranks.safetensors")]
    file: PathBuf,
}

fn train(ranks: &Ranks, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let &Arguments { seed, shards: count, threads, epochs, ref file } = arguments;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut model: Model = (Recurrent(Gru::new(1, 32, &mut rng)), Linear::new(32, 1, &mut rng));
    let mut adam = Adam::new(3e-3);
    let mut at = Position::new(seed);
    let mut waves = Shard::all(count.into(), seed)?;
    let names: Vec<_> = (0..waves.len()).map(|k| format!("shard{k}")).collect();
    if file.exists() {
        let mut parts: Vec<(&str, &mut dyn Part<f32>)> = vec![("position", &mut at)];
        parts.extend(names.iter().zip(&mut waves).map(|(name, shard)| (name.as_str(), shard as &mut dyn Part<f32>)));
        file::load_run(file, &mut model, &mut adam, &mut parts)?;
        for shard in &mut waves {
            let truncated = shard.truncated.get_mut().expect("no step has panicked");
            truncated.check_resumed(&model, at.batch().saturating_mul(WINDOW))?;
        }
    }
    if at.epoch() >= epochs && ranks.rank() == 0 {
        println!("{}: complete after {} epochs; more --epochs go on from it", file.display(), at.epoch());
    }
    let shards = ranks.shards(threads.into())?; // instead of `Shards::new(threads.into())?`
    // The last step of a wave is only predicted.
    let windows = vec![(); (LENGTH - 1) / WINDOW];
    while at.epoch() < epochs {
        for () in at.rest(&windows)? {
            let mut step = shards.gradients(&model, &waves, |tape, on_tape, Shard { x, truncated, noise }| {
                let mut truncated = truncated.lock().expect("no step has panicked");
                let window = truncated.window_with(Unroll::new().noise(*noise), &model, on_tape, tape, x);
                let next = tape.constant(x.clone()).slice(0, window.steps.start + 1..window.steps.end + 1);
                (window.outputs - next).square().sum() / (WAVES * WINDOW) as f32
            });
            clip::clip_norm(&mut step.gradients, 1.0)?;
            adam.step(&mut model, &step.gradients)?;
            at.advance(windows.len());
            if at.batch() == 0 {
                waves = Shard::all(count.into(), seed)?; // with the state 0
            }
            if at.step().is_multiple_of(SAVE_EVERY) || at.epoch() == epochs {
                // The states of all shards, for the file.
                ranks.share(&mut waves)?;
                if ranks.rank() == 0 {
                    println!("step {}: loss {:.6}", at.step(), step.losses.iter().sum::<f32>());
                    let mut parts: Vec<(&str, &dyn Part<f32>)> = vec![("position", &at)];
                    parts
                        .extend(names.iter().zip(&waves).map(|(name, shard)| (name.as_str(), shard as &dyn Part<f32>)));
                    file::save_run(file, &model, &adam, &parts, &Metadata::new())?;
                }
            }
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    Ok(Ranks::run(|ranks| train(ranks, &arguments))?)
}
