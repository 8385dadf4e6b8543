//! Testing: what a model says of an image, and whether that is one of its captions.

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::image::Image;
use rewind_examples::{Figure, Metric, best_classes};
use rewind_rnn::Shards;

use crate::batch::{Batch, pairs};
use crate::dataset::Item;
use crate::model::{Captioner, patches};
use crate::train::summed_loss;
use crate::words::{MARK, MAX_LENGTH, Vocabulary};

/// Images that are described at once.
const TOGETHER: usize = 64;

/// What a test gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tested {
    /// The mean of -ln p of a word, over all captions.
    pub(crate) loss: f64,
    /// What the model says of each image.
    pub(crate) said: Vec<String>,
    /// Whether that is one of its captions.
    pub(crate) is_right: Vec<bool>,
}

impl Tested {
    /// The share of images whose answer is one of their captions.
    pub(crate) fn exact(&self) -> f64 {
        self.is_right.iter().filter(|&&right| right).count() as f64 / self.is_right.len() as f64
    }

    pub(crate) fn figure(&self, name: &str) -> Figure {
        Figure { name: name.to_owned(), metric: Metric::Exact, value: self.exact(), count: self.is_right.len() }
    }
}

/// Tests a model. A caption with an unknown word has no loss, and no answer is like it.
pub(crate) fn test(
    model: &Captioner<Tensor<f32>>,
    vocabulary: &Vocabulary,
    items: &[Item],
    shards: &Shards<f32>,
) -> Tested {
    let all = pairs(items, vocabulary);
    let all: Vec<_> = all.iter().collect();
    let batches: Vec<_> = all.chunks(TOGETHER).collect();
    let losses = shards.run(batches.len(), |i, _| {
        let (quiet, batch) = (Tape::quiet(), Batch::new(items, batches[i]));
        let on_tape = model.on(&quiet);
        let state = on_tape.look(quiet.constant(batch.patches.clone()));
        let logits = on_tape.logits(on_tape.write(&batch.before, batch.size, state).outputs());
        (f64::from(summed_loss(logits, &batch.targets).value().item()), batch.count())
    });
    let (loss, count) = losses.into_iter().fold((0.0, 0), |(a, m), (b, n)| (a + b, m + n));
    let images: Vec<_> = items.iter().map(|item| &item.image).collect();
    let said = describe(model, vocabulary, &images, shards);
    let is_right = items.iter().zip(&said).map(|(item, said)| is_caption(said, item)).collect();
    Tested { loss: loss / count as f64, said, is_right }
}

/// Whether a text has the words of one of the captions.
pub(crate) fn is_caption(said: &str, item: &Item) -> bool {
    item.captions.iter().any(|caption| caption.split_whitespace().eq(said.split_whitespace()))
}

/// What a model says of images: at each step the most probable word, up to the mark.
pub(crate) fn describe(
    model: &Captioner<Tensor<f32>>,
    vocabulary: &Vocabulary,
    images: &[&Image],
    shards: &Shards<f32>,
) -> Vec<String> {
    let batches: Vec<_> = images.chunks(TOGETHER).collect();
    let said = shards.run(batches.len(), |i, _| {
        let (quiet, batch) = (Tape::quiet(), batches[i].len());
        let on_tape = model.on(&quiet);
        let mut state = on_tape.look(quiet.constant(patches(batches[i].iter().copied())));
        let (mut words, mut said, mut has_ended) = (vec![MARK; batch], vec![Vec::new(); batch], vec![false; batch]);
        // What has no end after so many words is cut.
        for _ in 0..=MAX_LENGTH {
            let unrolled = on_tape.write(&words, batch, state);
            words = best_classes(&on_tape.logits(unrolled.outputs()).value());
            state = unrolled.states[0];
            for (b, &word) in words.iter().enumerate() {
                has_ended[b] |= word == MARK;
                if !has_ended[b] {
                    said[b].push(word);
                }
            }
            if has_ended.iter().all(|&ended| ended) {
                break;
            }
        }
        said.iter().map(|words| vocabulary.caption(words)).collect::<Vec<_>>()
    });
    said.concat()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;
    use crate::arguments::ModelKind;
    use crate::model::Design;
    use crate::scenes::draw;

    #[test]
    fn what_is_said_is_most_probable_word_by_word() {
        let items = draw(70, &mut ChaCha8Rng::seed_from_u64(3));
        let vocabulary =
            Vocabulary::of(items.iter().flat_map(|item| item.captions.iter().map(String::as_str))).unwrap();
        let (shards, images) = (Shards::new(2).unwrap(), items.iter().map(|item| &item.image).collect::<Vec<_>>());
        for kind in [ModelKind::Baseline, ModelKind::Tanh, ModelKind::Lstm, ModelKind::Gru] {
            let design = Design { kind, hidden: 9, words: vocabulary.len(), size: images[0].size };
            let mut model = Captioner::new(design, &mut ChaCha8Rng::seed_from_u64(7));
            // Some captions shall end soon.
            model.readout.weight = model.readout.weight.map(|w| 4.0 * w);
            let said = describe(&model, &vocabulary, &images, &shards);
            assert_eq!(said.len(), 70);
            for number in [0, 5, 64, 69] {
                let words = vocabulary.places(&said[number]).unwrap();
                let quiet = Tape::quiet();
                let on_tape = model.on(&quiet);
                let state = on_tape.look(quiet.constant(patches([images[number]])));
                let before: Vec<_> = std::iter::once(MARK).chain(words.iter().copied()).collect();
                let best = best_classes(&on_tape.logits(on_tape.write(&before, 1, state).outputs()).value());
                assert_eq!(best[..words.len()], words, "{kind:?} {number}");
                assert!(words.len() > MAX_LENGTH || best[words.len()] == MARK, "{kind:?} {number}");
            }
        }
    }

    #[test]
    fn any_caption_of_the_image_is_right() {
        let item = &draw(1, &mut ChaCha8Rng::seed_from_u64(3))[0];
        let item = Item { captions: vec!["a  b".to_owned(), "c".to_owned()], ..item.clone() };
        assert_eq!(["a b", "c", "a", ""].map(|said| is_caption(said, &item)), [true, true, false, false]);
    }
}
