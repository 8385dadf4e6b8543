//! Training: excerpts drawn and transposed at random, batches of similar lengths, shards on threads, AdamW with
//! clipping.

use std::error::Error;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::{Tensor, Var};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::{AdamW, Optimizer};
use rewind_rnn::{Shards, clip};

use crate::dataset::Dataset;
use crate::evaluate::{Answers, answer};
use crate::model::Classifier;
use crate::plot::LearningCurve;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::score::{Encoding, Score};

/// Shards of a batch, computed in parallel. Fixed, so that the number of threads changes no result.
const SHARDS: usize = 2;

/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// A shard of a batch as the network reads it.
pub(crate) struct Shard {
    pub(crate) batch: PaddedBatch<f32>,
    /// The class of every sequence of the batch.
    pub(crate) classes: Vec<usize>,
}

impl Shard {
    /// The excerpts `[T, I]` at `places`, with their classes.
    pub(crate) fn new(excerpts: &[Tensor<f32>], classes: &[usize], places: &[usize]) -> rewind_rnn::Result<Shard> {
        let batch = PaddedBatch::gather(excerpts, places)?;
        let classes = batch.indices().iter().map(|&i| classes[i]).collect();
        Ok(Shard { batch, classes })
    }
}

/// A score as a network reads it, `[T, I]`.
pub(crate) fn encoded(score: &Score, encoding: Encoding) -> Tensor<f32> {
    Tensor::from_vec(score.encode(encoding), &[score.steps(), encoding.width()])
}

/// The excerpts of one epoch: from every score `recipe.excerpts` windows at random places (the whole score where it is
/// no longer than one), each moved to a random key.
fn draw(data: &Dataset, recipe: &Recipe, rng: &mut ChaCha8Rng) -> (Vec<Tensor<f32>>, Vec<usize>) {
    let (mut excerpts, mut classes) = (Vec::new(), Vec::new());
    for piece in &data.pieces {
        let spare = piece.score.steps().saturating_sub(recipe.design.max_steps);
        let count = if spare == 0 { 1 } else { recipe.excerpts };
        for _ in 0..count {
            let window = piece.score.window(rng.random_range(0..=spare), recipe.design.max_steps);
            let moved = window.transposed(rng.random_range(-5..=6));
            excerpts.push(encoded(&moved, recipe.design.encoding));
            classes.push(piece.class);
        }
    }
    (excerpts, classes)
}

/// Trains `model` on `train`. After every epoch it is tested on `test`, for the learning curves only: no choice depends
/// on the test.
pub(crate) fn train(
    model: &mut Classifier<Tensor<f32>>,
    [train, test]: [&Dataset; 2],
    recipe: &Recipe,
    seed: u64,
    shards: &Shards<f32>,
) -> Result<(LearningCurve, Answers), Box<dyn Error>> {
    let name = recipe.design.kind.name();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut optimizer = AdamW::new(0.0).weight_decay(recipe.weight_decay);
    let mut curve = LearningCurve { name: name.to_owned(), ..LearningCurve::default() };
    let (mut excerpts, mut classes) = draw(train, recipe, &mut rng);
    let batches_an_epoch = excerpts.len().div_ceil(recipe.batch) as u64;
    let mut progress = Progress::new(name, recipe.epochs as u64, batches_an_epoch);
    let mut step = 0;
    for epoch in 1..=recipe.epochs {
        let lengths: Vec<_> = excerpts.iter().map(|x| x.shape()[0]).collect();
        let (mut loss, mut right) = (0.0, 0);
        for batch in plan(&lengths, recipe.batch, &mut rng)? {
            // Every SHARDS-th excerpt, since they are sorted by length: so the shards take equally long.
            let deal = |k| batch.iter().copied().skip(k).step_by(SHARDS).collect::<Vec<_>>();
            let parts = (0..SHARDS.min(batch.len())).map(|k| Shard::new(&excerpts, &classes, &deal(k)));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let count = batch.len() as f32;
            let (mut gradients, batch_loss, batch_right) = gradients(model, &parts, count, shards);
            loss += f64::from(batch_loss * count);
            right += batch_right;
            clip::clip_norm(&mut gradients, CLIP)?;
            optimizer.set_learning_rate(recipe.rate_at(step, recipe.epochs as u64 * batches_an_epoch));
            optimizer.step(model, &gradients)?;
            step += 1;
            progress.batch();
        }
        let (loss, accuracy) = (loss / excerpts.len() as f64, right as f64 / excerpts.len() as f64);
        let answers = answer(model, test, shards)?;
        curve.train_loss.push(loss);
        curve.train_accuracy.push(accuracy);
        curve.test_loss.push(answers.loss());
        curve.test_accuracy.push(answers.accuracy());
        progress.epoch(epoch as u64, loss, accuracy);
        if epoch == recipe.epochs {
            progress.finish();
            return Ok((curve, answers));
        }
        (excerpts, classes) = draw(train, recipe, &mut rng);
    }
    unreachable!("there is one epoch at least")
}

/// The gradients of a batch's mean loss, the loss, and how many answers were right.
fn gradients(
    model: &Classifier<Tensor<f32>>,
    parts: &[Shard],
    count: f32,
    shards: &Shards<f32>,
) -> (Classifier<Tensor<f32>>, f32, usize) {
    let right = std::sync::atomic::AtomicUsize::new(0);
    let step = shards.gradients(model, parts, |tape, model, shard| {
        let (_, logits) = model.forward(tape.constant(shard.batch.data().clone()), shard.batch.lengths());
        let hits = best_classes(&logits.value()).into_iter().zip(&shard.classes).filter(|(a, b)| a == *b).count();
        right.fetch_add(hits, std::sync::atomic::Ordering::Relaxed);
        summed_loss(logits, &shard.classes) / count
    });
    (step.gradients, step.losses.iter().sum(), right.into_inner())
}

/// The sum of the cross-entropies of all sequences.
pub(crate) fn summed_loss<'t>(logits: Var<'t, f32>, classes: &[usize]) -> Var<'t, f32> {
    let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
    cross_entropy(logits, classes, settings).expect("every class is one of the data set's")
}

/// The class with the largest value of every row of `[B, C]`, the first of equal ones.
pub(crate) fn best_classes(rows: &Tensor<f32>) -> Vec<usize> {
    let classes = rows.shape()[1];
    rows.to_vec()
        .chunks_exact(classes)
        .map(|row| (1..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best }))
        .collect()
}
