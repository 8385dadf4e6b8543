//! Labels without alignments: a bidirectional LSTM reads noisy sequences of symbols and is trained by CTC, which is told which symbols
//! there are and not when. Best path and beam search decode, with a bigram model too.
//!
//! `cargo run --example 11_label_sequences`; `docs/label_sequences.md` explains it.

use std::error::Error;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rewind_rnn::autograd::{OnTape, Tape, Tensor};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::decode::{BeamSearch, Decoded, ErrorRate, best_path, error_rate};
use rewind_rnn::loss::{Ctc, ctc};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::{Bidirectional, ErrorKind, Linear, Lstm, Recurrent, Unroll, clip, init};

/// Symbols 1 to 6; class 0 is the blank of CTC.
const SYMBOLS: usize = 6;
const BLANK: usize = 0;
/// The standard deviation of the noise on every feature.
const NOISE: f64 = 0.5;
const HIDDEN: usize = 24;
const BATCH: usize = 16;
const EPOCHS: usize = 10;

/// Sequences `[L, SYMBOLS]` and the symbols in each. When a symbol begins and ends is not in the data.
struct Data {
    inputs: Vec<Tensor<f32>>,
    labels: Vec<Vec<usize>>,
}

impl Data {
    /// Each sequence has 2 to 9 symbols. A symbol lasts 2 to 4 time steps with 1 in its feature, and 1 or 2 steps of 0 separate it from the next;
    /// noise is added to all. With a grammar, three symbols in four are followed by the next in the alphabet; without, all by any.
    fn draw(count: usize, seed: u64, grammar: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut inputs, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut symbols: Vec<usize> = Vec::new();
            let mut steps = vec![BLANK];
            for _ in 0..rng.random_range(2..=9) {
                let symbol = match symbols.last() {
                    Some(last) if grammar && rng.random_range(0..4) > 0 => last % SYMBOLS + 1,
                    _ => rng.random_range(1..=SYMBOLS),
                };
                symbols.push(symbol);
                steps.extend(vec![symbol; rng.random_range(2..=4)]);
                steps.extend(vec![BLANK; rng.random_range(1..=2)]);
            }
            let noise: Tensor<f32> = init::normal(&[steps.len(), SYMBOLS], NOISE, &mut rng);
            let clean = Tensor::from_fn(noise.shape(), |i| f32::from(steps[i / SYMBOLS] == i % SYMBOLS + 1));
            inputs.push(clean.zip(&noise, |x, noise| x + noise));
            labels.push(symbols);
        }
        Data { inputs, labels }
    }

    fn lengths(&self) -> Vec<usize> {
        self.inputs.iter().map(|input| input.shape()[0]).collect()
    }
}

/// x `[T, B, SYMBOLS]` to logits `[T, B, 1 + SYMBOLS]`.
type Network<P> = (Bidirectional<P, Recurrent<Lstm<P>>, Recurrent<Lstm<P>>>, Linear<P>);

fn network(rng: &mut StdRng) -> Network<Tensor<f32>> {
    let both = Bidirectional::cells(Lstm::new(SYMBOLS, HIDDEN, rng), Lstm::new(SYMBOLS, HIDDEN, rng));
    (both, Linear::new(2 * HIDDEN, 1 + SYMBOLS, rng))
}

fn train(network: &mut Network<Tensor<f32>>, data: &Data, rng: &mut StdRng) -> rewind_rnn::Result<()> {
    let mut adam = Adam::new(1e-2);
    let mut tape = Tape::new();
    for epoch in 1..=EPOCHS {
        let batches = plan(&data.lengths(), BATCH, rng)?;
        let mut sum = 0.0;
        for indices in &batches {
            let batch = PaddedBatch::gather(&data.inputs, indices)?;
            let targets = batch.in_order(&data.labels)?;
            let mut gradients = {
                let on_tape = network.on(&tape);
                let x = tape.constant(batch.data().clone());
                let logits = Unroll::new().lengths(batch.lengths()).through(&on_tape, x).outputs;
                let loss = ctc(logits, &targets, batch.lengths(), Ctc::default())?.total;
                sum += loss.value().item();
                loss.backward().of(&on_tape)
            };
            tape.clear();
            clip::clip_norm(&mut gradients, 1.0)?;
            adam.step(network, &gradients)?;
        }
        if epoch == 1 || epoch % 5 == 0 {
            println!("  epoch {epoch:>2}  -ln p of a labeling {:.3}", sum / batches.len() as f32);
        }
    }
    Ok(())
}

/// ln softmax of the outputs, `[T, B, C]`. A quiet tape records nothing.
fn log_probabilities(network: &Network<Tensor<f32>>, batch: &PaddedBatch<f32>) -> Tensor<f32> {
    let tape = Tape::quiet();
    let x = tape.constant(batch.data().clone());
    Unroll::new().lengths(batch.lengths()).through(&network.on(&tape), x).outputs.log_softmax(2).value()
}

/// ln p(symbol | the one before it), by the counts in `labels` and one more of each; row 0 is for the first symbol.
fn bigrams(labels: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let mut counts = vec![vec![1.0; 1 + SYMBOLS]; 1 + SYMBOLS];
    for symbols in labels {
        for (k, &symbol) in symbols.iter().enumerate() {
            counts[if k == 0 { 0 } else { symbols[k - 1] }][symbol] += 1.0;
        }
    }
    let normalised = |row: Vec<f64>| {
        let total: f64 = row[1..].iter().sum();
        row.into_iter().map(|count| (count / total).ln()).collect()
    };
    counts.into_iter().map(normalised).collect()
}

/// What the time steps say without a network: the largest feature of each if it is above ½, and then what lasts for two steps at least.
fn without_network(input: &Tensor<f32>) -> Vec<usize> {
    let class = |step: &[f32]| {
        let largest = (1..SYMBOLS).fold(0, |best, k| if step[k] > step[best] { k } else { best });
        if step[largest] > 0.5 { largest + 1 } else { BLANK }
    };
    let path: Vec<_> = input.to_vec().chunks_exact(SYMBOLS).map(class).collect();
    let runs = path.chunk_by(|a, b| a == b).filter(|run| run.len() >= 2 && run[0] != BLANK);
    runs.map(|run| run[0]).collect()
}

fn rate(references: &[Vec<usize>], found: &[Vec<usize>]) -> ErrorRate {
    error_rate(references.iter().map(Vec::as_slice).zip(found.iter().map(Vec::as_slice)))
}

/// The symbols as letters.
fn letters(symbols: &[usize]) -> String {
    symbols.iter().map(|&symbol| char::from(b'`' + symbol as u8)).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let rng = &mut StdRng::seed_from_u64(1);
    // The network is trained without the grammar, which only the language model is to know: from labels without inputs.
    let (data, text, test) = (Data::draw(1000, 2, false), Data::draw(400, 3, true).labels, Data::draw(200, 4, true));
    let mut network = network(rng);
    println!("A bidirectional LSTM reads {} sequences of noisy symbols, without alignments:", data.labels.len());
    train(&mut network, &data, rng)?;

    let batch = PaddedBatch::new(&test.inputs)?;
    let references = batch.in_order(&test.labels)?;
    let log_p = log_probabilities(&network, &batch);
    let best = best_path(&log_p, batch.lengths(), BLANK)?;
    let bigrams = bigrams(&text);
    let model = |before: &[usize], symbol: usize| bigrams[before.last().copied().unwrap_or(0)][symbol];
    let search = BeamSearch::new(8);
    let beam = search.run(&log_p, batch.lengths())?;
    let guided = search.language_model(1.0, &model).length_bonus(1.4).run(&log_p, batch.lengths())?;

    let alone: Vec<_> = batch.in_order(&test.inputs)?.iter().map(without_network).collect();
    let best: Vec<_> = best.into_iter().map(|decoded| decoded.labels).collect();
    let first = |found: &[Vec<Decoded>]| -> Vec<_> { found.iter().map(|beam| beam[0].labels.clone()).collect() };
    let (beam, guided) = (first(&beam), first(&guided));
    println!("\n{} sequences that it has not seen:", references.len());
    let rates = [&alone, &best, &beam, &guided].map(|found| rate(&references, found));
    let names = ["without a network", "best path", "beam of 8", "beam of 8, bigrams"];
    for (name, rate) in names.iter().zip(rates) {
        println!("  {name:<25} {rate}");
    }
    let [alone_rate, best_rate, _, guided_rate] = rates.map(ErrorRate::rate);
    assert!(best_rate < 0.7 * alone_rate, "best path {best_rate}, without a network {alone_rate}");
    assert!(guided_rate < 0.7 * best_rate, "with bigrams {guided_rate}, best path {best_rate}");

    println!("\n  in the data  without a network     best path    with bigrams");
    for k in (0..references.len()).filter(|&k| best[k] != guided[k]).take(3) {
        let [truth, alone, best, guided] = [&references, &alone, &best, &guided].map(|all| letters(&all[k]));
        println!("  {truth:<12} {alone:<21} {best:<12} {guided}");
    }
    Ok(impossible_targets()?)
}

/// A target that needs more time steps than there are has probability 0, and its loss is infinite.
fn impossible_targets() -> rewind_rnn::Result<()> {
    let tape = Tape::<f64>::new();
    let logits = tape.zeros(&[2, 2, 1 + SYMBOLS]);
    let targets = [vec![3, 3], vec![3, 4]]; // two equal symbols need a blank between them: three steps
    let error = ctc(logits, &targets, &[2, 2], Ctc::default()).expect_err("the first target does not fit");
    assert!(matches!(error.kind(), ErrorKind::Target));
    println!("\n{error}");
    let left_out = Ctc { zero_infinity: true, ..Ctc::default() };
    let losses = ctc(logits, &targets, &[2, 2], left_out)?.per_sequence.value().to_vec();
    assert!(losses[0] == 0.0 && losses[1] > 0.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_learns_to_label_sequences() {
        super::main().expect("every claim of the example holds");
    }
}
