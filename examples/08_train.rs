//! Training and inference: padded batches, shards, clipping, a schedule, and a run that is stopped and resumed.
//!
//! The adding problem (Hochreiter and Schmidhuber 1997): a sequence of random numbers, two of them marked; the answer
//! is the sum of these two. The first is in the first half, so the network has to remember it over many steps.
//! `cargo run --example 08_train`

use std::error::Error;
use std::path::Path;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var, parameters};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::file::{self, Metadata};
use rewind_rnn::loss::{Reduction, mean_squared_error};
use rewind_rnn::optim::schedule::{cosine, warm_up};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::{Cell, Gru, Linear, Shards, Unroll, clip};

const SEED: u64 = 1;
const EPOCHS: u64 = 20;
const BATCH: usize = 20;
/// Shards of a batch, computed in parallel. More threads change no bit, more shards do.
const SHARDS: usize = 2;
const RATE: f64 = 1e-2;

parameters! {
    /// A cell and a readout of its last state: x `[T, B, 2]` to `[B, 1]`.
    struct Adder<P> { cell: Gru<P>, readout: Linear<P> }
}

impl Adder<Tensor<f32>> {
    fn new(rng: &mut StdRng) -> Self {
        Adder { cell: Gru::new(2, 32, rng), readout: Linear::new(32, 1, rng) }
    }
}

impl<'t> Adder<Var<'t, f32>> {
    fn forward(&self, batch: &PaddedBatch<f32>) -> Var<'t, f32> {
        let x = self.readout.weight.tape().constant(batch.data().clone());
        let unrolled = Unroll::new().lengths(batch.lengths()).run(&self.cell, x);
        self.readout.forward(unrolled.last_output())
    }
}

/// Sequences `[L, 2]` of numbers in [0, 1) and marks, L from 10 to 30, and the sum of the marked ones.
struct Sums {
    sequences: Vec<Tensor<f32>>,
    answers: Vec<f32>,
}

impl Sums {
    fn draw(count: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut sequences, mut answers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let length = rng.random_range(10..=30);
            let numbers: Vec<f32> = (0..length).map(|_| rng.random_range(0.0..1.0)).collect();
            let marked = [rng.random_range(0..length / 2), rng.random_range(length / 2..length)];
            let step = |t: usize| [numbers[t], if marked.contains(&t) { 1.0 } else { 0.0 }];
            sequences.push(Tensor::from_vec((0..length).flat_map(step).collect(), &[length, 2]));
            answers.push(marked.map(|t| numbers[t]).iter().sum());
        }
        Sums { sequences, answers }
    }

    fn lengths(&self) -> Vec<usize> {
        self.sequences.iter().map(|sequence| sequence.shape()[0]).collect()
    }

    /// The sequences at `places` as a batch, the longest first, and their answers `[B, 1]` in the same order.
    fn batch(&self, places: &[usize]) -> Result<(PaddedBatch<f32>, Tensor<f32>), Box<dyn Error>> {
        let batch = PaddedBatch::gather(&self.sequences, places)?;
        let answers: Vec<f32> = batch.indices().iter().map(|&i| self.answers[i]).collect();
        let rows = answers.len();
        Ok((batch, Tensor::from_vec(answers, &[rows, 1])))
    }
}

/// One epoch; returns the mean squared error over its batches.
fn epoch(
    model: &mut Adder<Tensor<f32>>,
    adam: &mut Adam<f32>,
    data: &Sums,
    shards: &Shards<f32>,
    epoch: u64,
) -> Result<f32, Box<dyn Error>> {
    // Seeded by the number of the epoch, so a resumed run draws the same batches.
    let batches = plan(&data.lengths(), BATCH, &mut StdRng::seed_from_u64(SEED + epoch))?;
    let steps_an_epoch = batches.len() as u64;
    let mut sum = 0.0;
    for (batch, first_step) in batches.iter().zip(epoch * steps_an_epoch..) {
        // Every SHARDS-th sequence, since they are sorted by length: so the shards take equally long.
        let deal = |k| batch.iter().copied().skip(k).step_by(SHARDS).collect::<Vec<_>>();
        let parts = (0..SHARDS.min(batch.len())).map(|k| data.batch(&deal(k))).collect::<Result<Vec<_>, _>>()?;
        let count = batch.len() as f32;
        let mut step = shards.gradients(model, &parts, |_tape, model, (batch, answers)| {
            let loss = mean_squared_error(model.forward(batch), answers, Reduction::Sum);
            loss.expect("one finite answer a sequence") / count
        });
        sum += step.losses.iter().sum::<f32>() * count;

        clip::clip_norm(&mut step.gradients, 1.0)?;
        adam.set_learning_rate(RATE * warm_up(first_step, 20) * cosine(first_step, EPOCHS * steps_an_epoch));
        adam.step(model, &step.gradients)?;
    }
    Ok(sum / data.answers.len() as f32)
}

/// Trains to the end of epoch `until`, from the file at `path` if there is one, and saves there after every epoch.
fn train(path: &Path, until: u64, data: &Sums, test: &Sums) -> Result<Adder<Tensor<f32>>, Box<dyn Error>> {
    let mut model = Adder::new(&mut StdRng::seed_from_u64(SEED));
    let mut adam = Adam::new(RATE);
    let mut done = 0;
    if path.exists() {
        let metadata = file::load_training(path, &mut model, &mut adam)?;
        done = metadata.get("epoch").ok_or("the file has no epoch")?.parse()?;
        println!("resumed after epoch {done}");
    }
    let shards = Shards::new(2)?;
    for number in done..until {
        let trained = epoch(&mut model, &mut adam, data, &shards, number)?;
        println!("  epoch {:>2}  error {trained:.4}  test {:.4}", number + 1, error(&model, test)?);
        let metadata = Metadata::from([("epoch".to_owned(), (number + 1).to_string())]);
        file::save_training(path, &model, &adam, &metadata)?;
    }
    Ok(model)
}

/// The mean squared error on data that training does not see. A quiet tape records nothing.
fn error(model: &Adder<Tensor<f32>>, test: &Sums) -> Result<f32, Box<dyn Error>> {
    let (batch, answers) = test.batch(&(0..test.answers.len()).collect::<Vec<_>>())?;
    let tape = Tape::quiet();
    Ok(mean_squared_error(model.on(&tape).forward(&batch), &answers, Reduction::Mean)?.value().item())
}

/// A trained model in use: it reads one time step at a time and has an answer after each.
struct Stream {
    model: Adder<Tensor<f32>>,
    tape: Tape<f32>,
    /// h after the last step, `[1, H]`; none before the first.
    state: Option<Tensor<f32>>,
}

impl Stream {
    fn new(model: Adder<Tensor<f32>>) -> Self {
        Stream { model, tape: Tape::quiet(), state: None }
    }

    fn read(&mut self, x: &[f32]) -> f32 {
        let (state, answer) = {
            let model = self.model.on(&self.tape); // copies no elements
            let x = self.tape.constant(Tensor::from_vec(x.to_vec(), &[1, x.len()]));
            let before = match &self.state {
                Some(state) => self.tape.constant(state.clone()),
                None => model.cell.initial(1),
            };
            let state = model.cell.step(x, before);
            (state.value(), model.readout.forward(state).value().item())
        };
        self.tape.clear(); // the memory of a stream does not grow
        self.state = Some(state);
        answer
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (data, test) = (Sums::draw(1000, SEED), Sums::draw(200, SEED + 1_000_000));
    let mean = data.answers.iter().sum::<f32>() / data.answers.len() as f32;
    let guess = test.answers.iter().map(|y| (y - mean).powi(2)).sum::<f32>() / test.answers.len() as f32;
    println!("Adding two of 10 to 30 numbers; mean squared error (always saying {mean:.2}: {guess:.4})");

    let folder = tempfile::tempdir()?;
    let (whole, stopped) = (folder.path().join("whole.safetensors"), folder.path().join("stopped.safetensors"));
    let model = train(&whole, EPOCHS, &data, &test)?;
    println!("the same run, stopped after epoch 8");
    train(&stopped, 8, &data, &test)?;
    let resumed = train(&stopped, EPOCHS, &data, &test)?;
    assert_eq!(resumed.leaves(), model.leaves(), "a resumed run must come to the same bits");
    println!("resumed to the same bits");

    // A program that needs only the parameters loads them from the same file.
    let mut model = Adder::new(&mut StdRng::seed_from_u64(0));
    file::load(&stopped, &mut model)?;
    let error = error(&model, &test)?;
    assert!(error < guess / 20.0, "error {error}, guessing {guess}");

    let (sequence, answer) = (&test.sequences[2], test.answers[2]);
    println!("\nin use, step by step:  number  mark  answer if it ended here");
    let mut stream = Stream::new(model);
    let mut last = 0.0;
    for (t, x) in sequence.to_vec().chunks_exact(2).enumerate() {
        last = stream.read(x);
        if x[1] == 1.0 || t + 1 == sequence.shape()[0] {
            println!("              step {t:>2}    {:.2}     {}  {last:.2}", x[0], x[1]);
        }
    }
    println!("the sum is {answer:.2}");

    // Step by step gives the same result as the whole sequence at once.
    let tape = Tape::quiet();
    let at_once = stream.model.on(&tape).forward(&test.batch(&[2])?.0).value().item();
    assert!((last - at_once).abs() < 1e-5, "step by step {last}, at once {at_once}");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_learns_resumes_to_the_same_bits_and_streams() {
        super::main().expect("every claim of the example holds");
    }
}
