//! What a network hears, and how wrong it is.

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::{Figure, Metric};
use rewind_rnn::Shards;
use rewind_rnn::batch::PaddedBatch;
use rewind_rnn::decode::{BeamSearch, ErrorRate, best_path, error_rate};
use rewind_rnn::loss::{Ctc, Reduction, ctc};

use crate::corpus::Clip;
use crate::model::Network;
use crate::phones::{BLANK, CLASSES, Pronunciations, least_steps, slashed};

/// Recordings that are heard at once, and their steps: a minute has 6,000.
const TOGETHER: usize = 32;
const STEPS_TOGETHER: usize = 40_000;
/// The prefixes that the beam search retains.
const BEAM: usize = 16;

/// What was heard in some clips, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// -ln p(phones) of the clips that are long enough for their phones, divided by the number of their phones; NaN if there are none.
    pub(crate) loss: f64,
    /// The phones of the best path.
    pub(crate) best: Vec<Vec<usize>>,
    /// ln p of the classes, `[L, C]`.
    pub(crate) log_p: Vec<Tensor<f32>>,
    /// The pronunciations of each clip.
    truth: Vec<Pronunciations>,
}

impl Heard {
    /// Hears `clips`.
    ///
    /// # Errors
    /// If the network gives values that are not finite.
    pub(crate) fn of(
        network: &Network<Tensor<f32>>,
        clips: &[Clip],
        shards: &Shards<f32>,
    ) -> rewind_rnn::Result<Heard> {
        let features: Vec<_> = clips.iter().map(|clip| clip.features.clone()).collect();
        let truth: Vec<_> = clips.iter().map(|clip| clip.pronunciations.clone()).collect();
        let length = |place: usize| features[place].shape()[0];
        let long_enough = clips.iter().filter(|clip| clip.features.shape()[0] >= clip.least_steps());
        let phones = long_enough.map(Clip::count).sum::<usize>();
        let batches = together(clips.len(), length).into_iter().map(|places| PaddedBatch::gather(&features, &places));
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        let results = shards.run(batches.len(), |i, _| {
            let (batch, quiet) = (&batches[i], Tape::quiet());
            let logits = network.on(&quiet).logits(quiet.constant(batch.data().clone()), batch.lengths(), None);
            let settings = Ctc { reduction: Reduction::Sum, zero_infinity: true, ..Ctc::default() };
            let log_p = logits.log_softmax(2).value();
            let said = likeliest(&log_p, &batch.in_order(&truth)?, batch.lengths())?;
            let loss = ctc(logits, &said, batch.lengths(), settings)?.total.value().item();
            let best = best_path(&log_p, batch.lengths(), BLANK)?;
            rewind_rnn::Result::Ok((f64::from(loss), log_p, best))
        });
        let mut heard = Heard {
            loss: if phones > 0 { 0.0 } else { f64::NAN },
            best: vec![Vec::new(); clips.len()],
            log_p: vec![Tensor::zeros(&[1, CLASSES]); clips.len()],
            truth: truth.clone(),
        };
        for (batch, result) in batches.iter().zip(results) {
            let (loss, log_p, best) = result?;
            heard.loss += loss / phones as f64;
            for (b, (decoded, &place)) in best.into_iter().zip(batch.indices()).enumerate() {
                heard.best[place] = decoded.labels;
                heard.log_p[place] = log_p.index(1, b).slice(0, 0..batch.lengths()[b]);
            }
        }
        Ok(heard)
    }

    /// The phone error rate of the best paths.
    pub(crate) fn error_rate(&self) -> ErrorRate {
        rate(&self.truth, &self.best)
    }

    /// The phone error rate of prefix beam search.
    ///
    /// # Errors
    /// As [`BeamSearch::run`].
    pub(crate) fn beam_error_rate(&self) -> rewind_rnn::Result<ErrorRate> {
        let one = |log_p: &Tensor<f32>| {
            let [steps, classes] = log_p.shape()[..] else { unreachable!("it is [L, C]") };
            let found = BeamSearch::new(BEAM).run(&log_p.reshape(&[steps, 1, classes]), &[steps])?;
            Ok(found[0].first().map_or(Vec::new(), |decoded| decoded.labels.clone()))
        };
        let found: Vec<_> = self.log_p.iter().map(one).collect::<rewind_rnn::Result<_>>()?;
        Ok(rate(&self.truth, &found))
    }

    /// The class of each step of a clip, as `/s/ /s/ /-/ /ih/`.
    pub(crate) fn frames(&self, clip: usize) -> String {
        let values = self.log_p[clip].to_vec();
        let best = |row: &[f32]| (1..CLASSES).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        values.chunks_exact(CLASSES).map(|row| slashed(best(row))).collect::<Vec<_>>().join(" ")
    }
}

/// The places of `count` recordings, those of one batch together: of like lengths, and few of them if they are long.
fn together(count: usize, length: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut order: Vec<_> = (0..count).collect();
    order.sort_by_key(|&place| std::cmp::Reverse(length(place)));
    let mut left = &order[..];
    let mut batches = Vec::new();
    while let Some(&longest) = left.first() {
        let most = (STEPS_TOGETHER / length(longest).max(1)).clamp(1, TOGETHER);
        let (own, others) = left.split_at(most.min(left.len()));
        batches.push(own.to_vec());
        left = others;
    }
    batches
}

/// The pronunciation of each sequence that is the likeliest under a network, the usual one of equals. `log_p` is `[T, B, C]`.
///
/// # Errors
/// As [`ctc`].
pub(crate) fn likeliest(
    log_p: &Tensor<f32>,
    said: &[Pronunciations],
    lengths: &[usize],
) -> rewind_rnn::Result<Vec<Vec<usize>>> {
    let most = said.iter().map(|all| all.len()).max().unwrap_or(0);
    let mut best: Vec<_> = said.iter().map(|pronunciations| (f32::INFINITY, &pronunciations[0])).collect();
    for number in 0..if most > 1 { most } else { 0 } {
        let these: Vec<_> = said.iter().map(|all| all.get(number).unwrap_or(&all[0])).collect();
        let quiet = Tape::quiet();
        let settings = Ctc { reduction: Reduction::Sum, zero_infinity: true, ..Ctc::default() };
        let losses = ctc(quiet.constant(log_p.clone()), &these, lengths, settings)?.per_sequence.value().to_vec();
        for (b, (phones, loss)) in these.into_iter().zip(losses).enumerate() {
            // What is too short for a pronunciation has the loss 0.
            if least_steps(phones) <= lengths[b] && loss < best[b].0 {
                best[b] = (loss, phones);
            }
        }
    }
    Ok(best.into_iter().map(|(_, phones)| phones.clone()).collect())
}

/// The error rate against the pronunciation of each clip that is closest to what was found, the usual one of equals.
fn rate(truth: &[Pronunciations], found: &[Vec<usize>]) -> ErrorRate {
    let edits = |phones: &[usize], found: &[usize]| error_rate([(phones, found)]).edits.total();
    let closest = |(said, found): (&'_ Pronunciations, &Vec<usize>)| {
        said.iter().min_by_key(|phones| edits(phones, found)).cloned().unwrap_or_default()
    };
    let truth: Vec<_> = truth.iter().zip(found).map(closest).collect();
    error_rate(truth.iter().map(Vec::as_slice).zip(found.iter().map(Vec::as_slice)))
}

/// The line of an error rate: n are the phones of the truth.
pub(crate) fn figure(name: &str, rate: ErrorRate) -> Figure {
    Figure { name: name.to_owned(), metric: Metric::Per, value: rate.rate(), count: rate.reference_labels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_recordings_are_not_heard_together() {
        let lengths = [7, 100_000, 33, 30_000, 8_000, 1];
        assert_eq!(together(6, |place| lengths[place]), [vec![1], vec![3], vec![4, 2, 0, 5]]);
        assert_eq!(together(70, |_| 100).iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 6]);
        assert_eq!(together(0, |_| 1), Vec::<Vec<usize>>::new());
    }

    /// ln p `[T, 1, CLASSES]` of a network that is sure of a class at each step.
    fn sure(classes: &[usize]) -> Tensor<f32> {
        let logit = |i: usize| if i % CLASSES == classes[i / CLASSES] { 0.0 } else { -9.0 };
        Tensor::from_fn(&[classes.len(), 1, CLASSES], logit)
    }

    #[test]
    fn the_likeliest_pronunciation_is_learned() {
        let said = [[vec![1, 2, 3], vec![1, 4, 3], vec![1, 4]].into()];
        let of = |classes: &[usize]| likeliest(&sure(classes), &said, &[classes.len()]).unwrap().remove(0);
        assert_eq!(of(&[1, 2, 0, 3]), [1, 2, 3]);
        assert_eq!(of(&[1, 4, 4, 3]), [1, 4, 3]);
        assert_eq!(of(&[1, 0, 4, 4]), [1, 4]);
        // Two steps are too few for three phones.
        assert_eq!(of(&[1, 2]), [1, 4]);
        assert_eq!(of(&[1]), [1, 2, 3]);
        // Both are as likely.
        assert_eq!(of(&[1, 5, 3]), [1, 2, 3]);
        assert_eq!(likeliest(&sure(&[5]), &[[vec![1]].into()], &[1]).unwrap(), [[1]]);
    }

    #[test]
    fn the_closest_pronunciation_is_judged_by() {
        let truth = [vec![vec![1, 2, 3], vec![1, 4, 3, 5]], vec![vec![6]]].map(Pronunciations::from);
        let of = |found: &[usize]| {
            let rate = rate(&truth, &[found.to_vec(), vec![6]]);
            (rate.edits.total(), rate.reference_labels)
        };
        assert_eq!([of(&[1, 2, 3]), of(&[1, 4, 3, 5]), of(&[1, 4, 3]), of(&[])], [(0, 4), (0, 5), (1, 4), (3, 4)]);
    }
}
