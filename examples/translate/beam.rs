//! Translating: the likeliest words in turn, or the best of several beginnings that grow side by side.

use rewind_autograd::{Tensor, Var};

use crate::model::{Encoded, Translator};
use crate::words::{MARK, MAX_LENGTH};

/// A translation by its places, without the mark, and where the decoder looked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Translation {
    pub(crate) places: Vec<usize>,
    /// For each word the weights of the positions of the source; empty without attention.
    pub(crate) weights: Vec<Vec<f32>>,
    /// ln of the probability of the words and the mark.
    pub(crate) log_probability: f64,
}

impl Translation {
    /// What translations of unlike lengths are compared by: ln p / ((5 + n) / 6)^0.6 for n words with the mark (Wu et al. 2016).
    fn score(&self) -> f64 {
        self.log_probability / ((6 + self.places.len()) as f64 / 6.0).powf(0.6)
    }
}

/// A beginning of a translation, and the row of its state.
struct Beginning {
    translation: Translation,
    row: usize,
}

/// The best translation of the one sentence in `encoded` that a beam of `width` finds; with 1, always the likeliest word. What does
/// not end after [`MAX_LENGTH`] words is cut.
pub(crate) fn search<'t>(model: &Translator<Var<'t, f32>>, encoded: &Encoded<'t>, width: usize) -> Translation {
    let mut beam = vec![Beginning { translation: Translation::default(), row: 0 }];
    let (mut states, mut ended) = (model.first_state(encoded), Vec::<Translation>::new());
    for _ in 0..=MAX_LENGTH {
        let heard: Vec<_> = beam.iter().map(|own| own.translation.places.last().copied().unwrap_or(MARK)).collect();
        let rows: Vec<_> = beam.iter().map(|own| own.row).collect();
        let step = model.step(encoded, &heard, states.index_select(0, &rows), None);
        states = step.state;
        let log_p = step.logits.value();
        let log_p: Vec<_> = (0..beam.len()).map(|row| log_softmax(&log_p.index(0, row).to_vec())).collect();
        let mut next: Vec<(f64, usize, usize)> = Vec::new();
        for (row, log_p) in log_p.iter().enumerate() {
            let so_far = beam[row].translation.log_probability;
            next.extend(best(log_p, width).into_iter().map(|place| (so_far + log_p[place], row, place)));
        }
        // Of equals, the earlier: a stable order.
        next.sort_by(|a, b| b.0.total_cmp(&a.0));
        next.truncate(width);
        let weights = step.weights.map(|weights| weights.value());
        let mut grown = Vec::with_capacity(width);
        for (log_probability, row, place) in next {
            let mut translation = Translation { log_probability, ..beam[row].translation.clone() };
            if place == MARK {
                ended.push(translation);
                continue;
            }
            translation.places.push(place);
            translation.weights.extend(weights.as_ref().map(|weights| column(weights, row)));
            grown.push(Beginning { translation, row });
        }
        // A longer one only becomes less probable, and no score is better than that of as many words as there may be.
        let best_ended = ended.iter().map(Translation::score).fold(f64::NEG_INFINITY, f64::max);
        let largest_penalty = ((6 + MAX_LENGTH) as f64 / 6.0).powf(0.6);
        grown.retain(|own| own.translation.log_probability / largest_penalty > best_ended);
        if grown.is_empty() || ended.len() >= width {
            break;
        }
        beam = grown;
    }
    ended.extend(beam.into_iter().map(|own| own.translation).filter(|own| own.places.len() > MAX_LENGTH));
    ended.into_iter().reduce(|best, own| if own.score() > best.score() { own } else { best }).unwrap_or_default()
}

/// The weights `[S]` of one translation.
fn column(weights: &Tensor<f32>, row: usize) -> Vec<f32> {
    let batch = weights.shape()[1];
    weights.to_vec().into_iter().skip(row).step_by(batch).collect()
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&x| f64::from(x - most).exp()).sum();
    logits.iter().map(|&x| f64::from(x - most) - total.ln()).collect()
}

/// The places of the largest values, at most `count`; of equal ones the first.
fn best(values: &[f64], count: usize) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::with_capacity(count + 1);
    for place in 0..values.len() {
        let rank = best.partition_point(|&other| values[other] >= values[place]);
        if rank < count {
            best.insert(rank, place);
            best.truncate(count);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use rewind_autograd::{OnTape, Tape};

    use super::*;
    use crate::model::tests::small;

    #[test]
    fn the_best_of_all_is_found() {
        assert_eq!(best(&[1.0, 3.0, 3.0, 2.0], 3), [1, 2, 3]);
        assert_eq!(best(&[f64::NEG_INFINITY, 0.0], 5), [1, 0]);
        let log_p = log_softmax(&[1e30, 0.0, -1e30]);
        assert_eq!(log_p[0], 0.0);
        assert!((log_softmax(&[0.0, 0.0])[1] + 2.0_f64.ln()).abs() < 1e-15);
    }

    /// ln p of a translation, by feeding its words.
    fn log_probability<'t>(model: &Translator<Var<'t, f32>>, encoded: &Encoded<'t>, places: &[usize]) -> f64 {
        let (mut state, mut heard, mut sum) = (model.first_state(encoded), MARK, 0.0);
        for &place in places.iter().chain([&MARK]) {
            let step = model.step(encoded, &[heard], state, None);
            sum += log_softmax(&step.logits.value().to_vec())[place];
            (state, heard) = (step.state, place);
        }
        sum
    }

    #[test]
    fn a_beam_finds_what_the_likeliest_words_miss() {
        let mut improved = 0;
        for attention in [true, false] {
            let mut model = small(attention, [9, 4]);
            // Sharp enough that words depend on those before, and translations end.
            model.readout.weight = model.readout.weight.map(|w| 6.0 * w);
            let tape = Tape::quiet();
            let on_tape = model.on(&tape);
            for source in [[2, 3, 4], [5, 6, 7], [8, 8, 2], [3, 5, 8]] {
                let encoded = on_tape.encode(&source, &[3], None);
                let [greedy, wide] = [1, 64].map(|width| search(&on_tape, &encoded, width));
                for found in [&greedy, &wide] {
                    assert_eq!(found.weights.len(), if attention { found.places.len() } else { 0 });
                    if found.places.len() <= MAX_LENGTH {
                        let expected = log_probability(&on_tape, &encoded, &found.places);
                        assert!((found.log_probability - expected).abs() < 1e-4, "{found:?} {expected}");
                    }
                }
                assert!(wide.score() >= greedy.score() - 1e-9, "{wide:?} {greedy:?}");
                improved += usize::from(wide.score() > greedy.score() + 1e-6);
            }
        }
        assert!(improved > 0, "no sentence where the beam matters: nothing is tested");
    }
}
