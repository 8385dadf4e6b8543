//! Training and inference: padded batches, shards, accumulation, clipping, schedules, an average of the weights, early
//! stopping, and a run that is stopped in the middle of an epoch and resumed.
//!
//! The adding problem (Hochreiter and Schmidhuber 1997): a sequence of random numbers, two of them marked; the answer
//! is the sum of these two. The first is in the first half, so the network has to remember it over many steps.
//! `cargo run --example 09_train`

use std::error::Error;
use std::path::Path;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rewind_rnn::autograd::{OnTape, Parameters, Tape, Tensor, Var, parameters};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::file::{self, Metadata};
use rewind_rnn::loss::{Reduction, mean_squared_error};
use rewind_rnn::optim::schedule::{cosine, warm_up};
use rewind_rnn::optim::{Adam, Optimizer, Plateau};
use rewind_rnn::resume::{Part, Position};
use rewind_rnn::{Accumulator, Average, EarlyStopping, Gru, Linear, Recurrent, Shards, Stream, Unroll, clip};

const SEED: u64 = 1;
const EPOCHS: u64 = 20;
/// Sequences in a batch, and batches in a step of the optimiser: 2·10 sequences.
const BATCH: usize = 10;
const BATCHES: u64 = 2;
/// Shards of a batch, computed in parallel. More threads change no bit, more shards do.
const SHARDS: usize = 2;
/// Batches in all, for the schedule.
const STEPS: u64 = EPOCHS * 100;
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
        let answers = batch.in_order(&self.answers)?;
        let rows = answers.len();
        Ok((batch, Tensor::from_vec(answers, &[rows, 1])))
    }
}

/// Everything that a resumed run needs.
struct Run {
    model: Adder<Tensor<f32>>,
    adam: Adam<f32>,
    sum: Accumulator<f32>,
    average: Average<f32>,
    plateau: Plateau,
    early: EarlyStopping<f32>,
    at: Position,
}

impl Run {
    fn new() -> Self {
        Run {
            model: Adder::new(&mut StdRng::seed_from_u64(SEED)),
            adam: Adam::new(RATE),
            sum: Accumulator::new(),
            average: Average::new(0.98),
            plateau: Plateau::new(0.5, 2).min_change(1e-4),
            early: EarlyStopping::new(5).min_change(1e-4),
            at: Position::new(SEED),
        }
    }

    fn save(&self, path: &Path) -> rewind_rnn::Result<()> {
        let Run { model, adam, sum, average, plateau, early, at } = self;
        let parts: [(&str, &dyn Part<f32>); 5] =
            [("sum", sum), ("average", average), ("plateau", plateau), ("early", early), ("position", at)];
        file::save_run(path, model, adam, &parts, &Metadata::new())
    }

    fn load(&mut self, path: &Path) -> rewind_rnn::Result<()> {
        let Run { model, adam, sum, average, plateau, early, at } = self;
        let parts: &mut [(&str, &mut dyn Part<f32>)] =
            &mut [("sum", sum), ("average", average), ("plateau", plateau), ("early", early), ("position", at)];
        file::load_run(path, model, adam, parts)?;
        println!("resumed in epoch {} at batch {}", at.epoch() + 1, at.batch());
        Ok(())
    }

    /// Trains until `until` batches are done in all, or the run ends.
    fn train(&mut self, until: u64, data: &Sums, test: &Sums) -> Result<(), Box<dyn Error>> {
        let shards = Shards::new(2)?;
        while self.at.epoch() < EPOCHS && !self.early.exhausted() {
            let batches = plan(&data.lengths(), BATCH, &mut self.at.epoch_rng(0))?;
            for batch in self.at.rest(&batches)? {
                if self.at.step() == until {
                    return Ok(());
                }
                let gradients = gradients(&self.model, batch, data, &shards)?;
                self.sum.add_sum(&gradients, batch.len())?;
                if self.sum.batches() == BATCHES {
                    let mut mean = self.sum.take_mean(&self.model)?;
                    clip::clip_norm(&mut mean, 1.0)?;
                    let factor = warm_up(self.at.step(), 40) * cosine(self.at.step(), STEPS) * self.plateau.factor();
                    self.adam.set_learning_rate(RATE * factor);
                    self.adam.step(&mut self.model, &mean)?;
                    self.average.update(&self.model)?;
                }
                self.at.advance(batches.len());
            }
            let averaged = self.average.of(&self.model)?;
            let tested = error(&averaged, test)?;
            let progress = self.early.observe(tested.into(), &averaged)?;
            self.plateau.observe(tested.into())?;
            let factor = self.plateau.factor();
            println!("  epoch {:>2}  plateau {factor}  test {progress}", self.at.epoch());
        }
        Ok(())
    }
}

/// The gradient of the squared errors of a batch, summed.
fn gradients(
    model: &Adder<Tensor<f32>>,
    batch: &[usize],
    data: &Sums,
    shards: &Shards<f32>,
) -> Result<Adder<Tensor<f32>>, Box<dyn Error>> {
    // Every SHARDS-th sequence, since they are sorted by length: so the shards take equally long.
    let deal = |k| batch.iter().copied().skip(k).step_by(SHARDS).collect::<Vec<_>>();
    let parts = (0..SHARDS.min(batch.len())).map(|k| data.batch(&deal(k))).collect::<Result<Vec<_>, _>>()?;
    let step = shards.gradients(model, &parts, |_tape, model, (batch, answers)| {
        let loss = mean_squared_error(model.forward(batch), answers, Reduction::Sum);
        loss.expect("one finite answer a sequence")
    });
    Ok(step.gradients)
}

/// The mean squared error on data that training does not see. A quiet tape records nothing.
fn error(model: &Adder<Tensor<f32>>, test: &Sums) -> Result<f32, Box<dyn Error>> {
    let (batch, answers) = test.batch(&(0..test.answers.len()).collect::<Vec<_>>())?;
    let tape = Tape::quiet();
    Ok(mean_squared_error(model.on(&tape).forward(&batch), &answers, Reduction::Mean)?.value().item())
}

/// A cell and a readout as a stack of layers, with an answer after every time step.
type Answering<P> = (Recurrent<Gru<P>>, Linear<P>);

/// A trained model in use: it reads one time step at a time.
fn stream(model: Adder<Tensor<f32>>) -> Stream<f32, Answering<Tensor<f32>>> {
    Stream::new((Recurrent(model.cell), model.readout), 1) // one sequence
}

fn main() -> Result<(), Box<dyn Error>> {
    let (data, test) = (Sums::draw(1000, SEED), Sums::draw(200, SEED + 1_000_000));
    let mean = data.answers.iter().sum::<f32>() / data.answers.len() as f32;
    let guess = test.answers.iter().map(|y| (y - mean).powi(2)).sum::<f32>() / test.answers.len() as f32;
    println!("Adding two of 10 to 30 numbers; mean squared error (always saying {mean:.2}: {guess:.4})");

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("run.safetensors");
    let mut whole = Run::new();
    whole.train(u64::MAX, &data, &test)?;
    // In the middle of an epoch, and between the two batches of a step.
    let mut stopped = Run::new();
    println!("the same run, stopped after batch 751");
    stopped.train(751, &data, &test)?;
    stopped.save(&path)?;
    let mut resumed = Run::new();
    resumed.load(&path)?;
    resumed.train(u64::MAX, &data, &test)?;
    let best = whole.early.best(&whole.model)?;
    assert_eq!(resumed.model.leaves(), whole.model.leaves(), "a resumed run must come to the same bits");
    assert_eq!(resumed.early.best(&whole.model)?.leaves(), best.leaves(), "its best average too");
    println!("resumed to the same bits");

    // A program that uses the model needs only its parameters.
    file::save(&path, &best, &Metadata::new())?;
    let mut model = Adder::new(&mut StdRng::seed_from_u64(0));
    file::load(&path, &mut model)?;
    let error = error(&model, &test)?;
    assert!(error < guess / 20.0, "error {error}, guessing {guess}");

    let (sequence, answer) = (&test.sequences[2], test.answers[2]);
    println!("\nin use, step by step:  number  mark  answer if it ended here");
    let mut stream = stream(model.clone());
    let mut last = 0.0;
    for (t, x) in sequence.to_vec().chunks_exact(2).enumerate() {
        last = stream.step(&Tensor::from_vec(x.to_vec(), &[1, 2])).item(); // [B, I]
        if x[1] == 1.0 || t + 1 == sequence.shape()[0] {
            println!("              step {t:>2}    {:.2}     {}  {last:.2}", x[0], x[1]);
        }
    }
    println!("the sum is {answer:.2}");

    // Step by step gives the same result as the whole sequence at once.
    let tape = Tape::quiet();
    let at_once = model.on(&tape).forward(&test.batch(&[2])?.0).value().item();
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
