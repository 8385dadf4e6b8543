//! Testing: the cross-entropy of a text, and samples.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::{Tape, Tensor};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::{Shards, Stream};

use crate::corpus::Alphabet;
use crate::model::{Model, input};

/// A long text is read as streams of this many characters at least.
const STREAM: usize = 2000;
/// The most streams.
const STREAMS: usize = 32;
/// Characters that a stream reads before the first that counts, so that it has a past.
const PAST: usize = 200;
/// Streams that run together on a thread, and steps between two looks at the outputs.
const TOGETHER: usize = 16;
const PIECE: usize = 250;

/// The mean of -ln p over all characters of `text` but the first, in nats.
///
/// A long text is read as several streams at the same time, which begin with the last characters of the stream before.
/// All but those of the first are read without being counted; every character counts once.
pub(crate) fn loss(model: &Model<Tensor<f32>>, text: &[usize], shards: &Shards<f32>) -> f64 {
    let predicted = text.len() - 1;
    let streams = (predicted / STREAM).clamp(1, STREAMS);
    let past = if streams == 1 { 0 } else { PAST };
    // Stream k reads from k·new on, and all but the first count their last `new` characters.
    let new = (predicted - past).div_ceil(streams);
    let jobs = streams.div_ceil(TOGETHER);
    let sums = shards.run(jobs, |job, _| {
        let first = job * TOGETHER;
        let count = TOGETHER.min(streams - first);
        // A place at the end of the text that is no more is never counted; any will do.
        let at = |t: usize, b: usize| text.get((first + b) * new + t).copied();
        let counts = |t: usize, b: usize| (first + b == 0 || t >= past) && at(t + 1, b).is_some();
        let mut stream = Stream::new(model.clone(), count);
        let mut sum = 0.0;
        for start in (0..past + new).step_by(PIECE) {
            let steps = PIECE.min(past + new - start);
            let logits = stream.steps(&input(steps, count, |t, b| at(start + t, b).unwrap_or(0)));
            let rows = (0..steps).flat_map(|t| (0..count).map(move |b| (start + t, b)));
            let targets: Vec<_> = rows.map(|(t, b)| at(t + 1, b).filter(|_| counts(t, b))).collect();
            if targets.iter().all(Option::is_none) {
                continue;
            }
            let quiet = Tape::quiet();
            let logits = quiet.constant(logits.reshape(&[steps * count, logits.shape()[2]]));
            let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
            let loss = cross_entropy(logits, &targets, settings).expect("every target is a character");
            sum += f64::from(loss.value().item());
        }
        sum
    });
    sums.iter().sum::<f64>() / predicted as f64
}

/// The places of the text that a sample begins with.
///
/// # Errors
///
/// If it is empty, or has a character that the training text does not have.
pub(crate) fn beginning(alphabet: &Alphabet, start: &str) -> Result<Vec<usize>, String> {
    let place = |c: char| {
        let missing = || format!("a sample cannot begin with {start:?}: the training text has no {c:?}");
        alphabet.place(c).ok_or_else(missing)
    };
    match start {
        "" => Err("a sample begins with a text of one character at least".to_owned()),
        _ => start.chars().map(place).collect(),
    }
}

/// `length` characters that the model writes after `start`, drawn from its probabilities at a temperature.
///
/// # Errors
///
/// As [`beginning`].
pub(crate) fn sample(
    model: &Model<Tensor<f32>>,
    alphabet: &Alphabet,
    start: &str,
    (length, temperature): (usize, f64),
    rng: &mut ChaCha8Rng,
) -> Result<String, String> {
    let places = beginning(alphabet, start)?;
    let mut stream = Stream::new(model.clone(), 1);
    let mut logits = stream.steps(&input(places.len(), 1, |t, _| places[t])).index(0, places.len() - 1).to_vec();
    let mut written = String::new();
    for _ in 0..length {
        let next = draw(&logits, temperature, rng.random_range(0.0..1.0));
        written.push(alphabet.character(next));
        logits = stream.step(&Tensor::from_vec(vec![next as f32], &[1, 1])).to_vec();
    }
    Ok(written)
}

/// The place where the cumulated probabilities softmax(logits / temperature) pass `share`.
fn draw(logits: &[f32], temperature: f64, share: f64) -> usize {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|x| (f64::from(x - highest) / temperature).exp()).collect();
    let mut left = share * weights.iter().sum::<f64>();
    let passes = |&weight: &f64| {
        left -= weight;
        left < 0.0
    };
    weights.iter().position(passes).unwrap_or(logits.len() - 1)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rewind_autograd::OnTape;
    use rewind_examples::CellKind;
    use rewind_rnn::Unroll;

    use super::*;
    use crate::model::Design;

    fn model(kind: CellKind) -> Model<Tensor<f32>> {
        let design = Design { kind, characters: 5, hidden: 7, dropout: 0.3, recurrent_dropout: 0.2 };
        design.model(&mut ChaCha8Rng::seed_from_u64(1))
    }

    /// The mean over one unrolled sequence.
    fn at_once(model: &Model<Tensor<f32>>, text: &[usize]) -> f64 {
        let tape = Tape::quiet();
        let x = tape.constant(input(text.len() - 1, 1, |t, _| text[t]));
        let logits = Unroll::new().through(&model.on(&tape), x).outputs.reshape(&[text.len() - 1, 5]);
        cross_entropy(logits, &text[1..], CrossEntropy::default()).unwrap().value().item().into()
    }

    #[test]
    fn streams_count_every_character_once() {
        let shards = Shards::new(2).unwrap();
        for kind in [CellKind::Tanh, CellKind::Lstm, CellKind::Gru] {
            let model = model(kind);
            for length in [2, 3, 250, 4000, 4001, 6007] {
                let text: Vec<usize> = (0..length).map(|i| (i * i / 7 + i) % 5).collect();
                let (one, all) = (at_once(&model, &text), loss(&model, &text, &shards));
                // Streams have a past of 200 characters and not all: these cells forget faster.
                assert!((one - all).abs() < 1e-5, "{kind:?} {length}: {one} {all}");
            }
        }
    }

    #[test]
    fn a_draw_is_in_proportion() {
        let logits = [1.0_f32, 3.0, 0.0].map(f32::ln);
        let at = |share| draw(&logits, 1.0, share);
        assert_eq!([0.0, 0.24, 0.26, 0.99].map(at), [0, 0, 1, 1]);
        assert_eq!(draw(&logits, 0.01, 0.01), 1);
        // Of weights 1 and 9 instead of 1 and 3.
        assert_eq!([0.09, 0.11].map(|share| draw(&logits, 0.5, share)), [0, 1]);
        assert_eq!(draw(&[0.0, 0.0], 1.0, 1.0), 1);
    }

    #[test]
    fn a_sample_goes_on_from_the_text() {
        let alphabet = Alphabet::of("abcde").unwrap();
        let model = model(CellKind::Gru);
        let write = |start, seed| sample(&model, &alphabet, start, (20, 1.0), &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(write("abc", 1).unwrap().chars().count(), 20);
        assert_eq!(write("abc", 1), write("abc", 1));
        assert_ne!(write("abc", 1), write("abc", 2));
        assert_eq!(write("xa", 1).unwrap_err(), "a sample cannot begin with \"xa\": the training text has no 'x'");
        assert_eq!(write("", 1).unwrap_err(), "a sample begins with a text of one character at least");
    }
}
