//! Training.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::seq::SliceRandom;
use rewind_autograd::{Tensor, Var};
use rewind_examples::{Progress, Run, best_classes, memory};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::schedule::{cosine, warm_up};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::{Shards, clip};

use crate::batch::{Batch, Pair, pairs};
use crate::dataset::Item;
use crate::evaluate::{self, Tested};
use crate::model::{Captioner, Design};
use crate::words::{MAX_LENGTH, Vocabulary};

/// Shards of a batch, computed in parallel. Fixed, so that the number of threads changes no result.
const SHARDS: usize = 2;

/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// Everything that training depends on but the data and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) design: Design,
    pub(crate) epochs: usize,
    /// Captions in a batch.
    pub(crate) batch: usize,
    /// The highest learning rate: it rises linearly at first, then falls to 0 along half a cosine.
    pub(crate) rate: f64,
}

impl Recipe {
    /// Checks that training fits into memory: parameters, gradients of two shards and two moments, and the values of a
    /// batch on the tape, nine for each unit and word, and the images.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(crate) fn require_memory(&self) -> Result<(), String> {
        let Design { kind, hidden, size, words } = self.design;
        let of_image = 30 * size.width * size.height + MAX_LENGTH * (9 * hidden + 3 * words);
        let what = format!("training {} with {hidden} units", kind.name());
        let needed = 4 * (6 * self.design.parameter_count() + (self.batch * of_image) as u64);
        memory::require(&what, needed, "a smaller --hidden or --batch takes less")
    }
}

/// Trains `model` on `train`, from the start or from the file `from`. After every epoch it is tested on `test`, for the
/// learning curves only: no choice depends on the test. The result is the last test.
pub(crate) fn train(
    model: &mut Captioner<Tensor<f32>>,
    vocabulary: &Vocabulary,
    [train, test]: [&[Item]; 2],
    recipe: &Recipe,
    run: &mut Run,
    from: Option<&Path>,
    shards: &Shards<f32>,
) -> Result<Tested, Box<dyn Error>> {
    let mut optimizer = Adam::new(0.0);
    if let Some(from) = from {
        run.resume(from, model, &mut optimizer, vec![])?;
    }
    let pairs = pairs(train, vocabulary);
    let epochs = recipe.epochs as u64;
    let steps = pairs.len().div_ceil(recipe.batch);
    let mut progress = Progress::new(&run.history.name, run.history.metric, epochs, steps as u64, run.at.step());
    while run.at.epoch() < epochs {
        let mut order: Vec<&Pair> = pairs.iter().collect();
        order.shuffle(&mut run.at.epoch_rng(0));
        let batches: Vec<_> = order.chunks(recipe.batch).collect();
        for batch in run.at.rest(&batches)? {
            let (loss, exact, mut gradients) = gradients(model, train, batch, shards);
            clip::clip_norm(&mut gradients, CLIP)?;
            let (step, of) = (run.at.step(), epochs * steps as u64);
            optimizer.set_learning_rate(recipe.rate * warm_up(step, 50) * cosine(step, of));
            optimizer.step(model, &gradients)?;
            run.history.add(loss * batch.len() as f64, exact as f64, batch.len());
            progress.step(run.history.train_means());
            run.after_step(steps, model, &optimizer, &[])?;
        }
        progress.epoch(run.at.epoch(), run.history.train_means());
        let tested = evaluate::test(model, vocabulary, test, shards);
        run.after_epoch([tested.loss, tested.exact()], model, &optimizer, &[])?;
    }
    Ok(evaluate::test(model, vocabulary, test, shards))
}

/// The mean loss of a word in a batch, how many captions are right in every word, and the gradients.
fn gradients(
    model: &Captioner<Tensor<f32>>,
    items: &[Item],
    pairs: &[&Pair],
    shards: &Shards<f32>,
) -> (f64, usize, Captioner<Tensor<f32>>) {
    let exact = AtomicUsize::new(0);
    let parts: Vec<_> = pairs.chunks(pairs.len().div_ceil(SHARDS)).map(|part| Batch::new(items, part)).collect();
    let count: usize = parts.iter().map(Batch::count).sum();
    let step = shards.gradients(model, &parts, |tape, model, part| {
        let state = model.look(tape.constant(part.patches.clone()));
        let logits = model.logits(model.write(&part.before, part.size, state).outputs());
        exact.fetch_add(right(&logits.value(), part), Ordering::Relaxed);
        summed_loss(logits, &part.targets) / count as f32
    });
    (step.losses.iter().map(|&loss| f64::from(loss)).sum(), exact.into_inner(), step.gradients)
}

/// How many captions of a batch are right in every word. A network that goes on from its own words then writes the same.
fn right(logits: &Tensor<f32>, batch: &Batch) -> usize {
    let said = best_classes(logits);
    let mut is_right = vec![true; batch.size];
    for (row, target) in batch.targets.iter().enumerate() {
        is_right[row % batch.size] &= target.is_none_or(|target| said[row] == target);
    }
    is_right.into_iter().filter(|&right| right).count()
}

/// The sum of the cross-entropies of all words.
pub(crate) fn summed_loss<'t>(logits: Var<'t, f32>, targets: &[Option<usize>]) -> Var<'t, f32> {
    let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
    cross_entropy(logits, targets, settings).expect("every word is one of the vocabulary")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_is_right_in_every_word_or_wrong() {
        let batch = |targets: &[Option<usize>]| Batch {
            patches: Tensor::zeros(&[2, 1, 192]),
            before: vec![],
            targets: targets.to_vec(),
            size: 2,
        };
        // The network says 1 0, then 1 0, to the first caption and to the second.
        let logits = Tensor::from_vec(vec![0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0], &[4, 2]);
        let of = |targets| right(&logits, &batch(targets));
        assert_eq!(of(&[Some(1), Some(0), Some(1), Some(0)]), 2);
        assert_eq!(of(&[Some(1), Some(0), Some(1), None]), 2);
        assert_eq!(of(&[Some(1), Some(1), Some(1), Some(0)]), 1);
        assert_eq!(of(&[Some(0), Some(0), Some(1), Some(1)]), 0);
    }
}
