//! Training: excerpts drawn and transposed at random, batches of similar lengths, shards on threads, AdamW with
//! clipping.

use std::error::Error;
use std::path::Path;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::{Tensor, Var};
use rewind_examples::{Answers, Progress, Run, best_classes};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::{AdamW, Optimizer};
use rewind_rnn::resume::{Commit, Part, Saved};
use rewind_rnn::{Shards, clip};

use crate::dataset::Dataset;
use crate::evaluate::answer;
use crate::model::Classifier;
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

/// The excerpts that an epoch draws from a score: all of it where it is no longer than one.
fn excerpts_of(score: &Score, recipe: &Recipe) -> usize {
    if score.steps() <= recipe.design.max_steps { 1 } else { recipe.excerpts }
}

/// The excerpts of one epoch: windows at random places, each moved to a random key.
fn draw(data: &Dataset, recipe: &Recipe, rng: &mut ChaCha8Rng) -> (Vec<Tensor<f32>>, Vec<usize>) {
    let (mut excerpts, mut classes) = (Vec::new(), Vec::new());
    for piece in &data.pieces {
        let spare = piece.score.steps().saturating_sub(recipe.design.max_steps);
        for _ in 0..excerpts_of(&piece.score, recipe) {
            let window = piece.score.window(rng.random_range(0..=spare), recipe.design.max_steps);
            let moved = window.transposed(rng.random_range(-5..=6));
            excerpts.push(encoded(&moved, recipe.design.encoding));
            classes.push(piece.class);
        }
    }
    (excerpts, classes)
}

/// Where the generator is at the start of an epoch, which a run saves: the words that were drawn.
struct EpochStart(u128);

impl Part<f32> for EpochStart {
    fn saved(&self) -> Saved<f32> {
        Saved::new("EpochStart").value("words", self.0)
    }

    fn resume<'a>(&'a mut self, saved: &Saved<f32>) -> rewind_rnn::Result<Commit<'a>> {
        let words = saved.number("words")?;
        Ok(Box::new(move || self.0 = words))
    }
}

/// Trains `model` on `train`, from the start or from the file `from`. After every epoch it is tested on `test`, for the
/// learning curves only: no choice depends on the test.
pub(crate) fn train(
    model: &mut Classifier<Tensor<f32>>,
    [train, test]: [&Dataset; 2],
    recipe: &Recipe,
    run: &mut Run,
    (seed, from): (u64, Option<&Path>),
    shards: &Shards<f32>,
) -> Result<Answers, Box<dyn Error>> {
    let (mut rng, mut start) = (ChaCha8Rng::seed_from_u64(seed), EpochStart(0));
    let mut optimizer = AdamW::new(0.0).weight_decay(recipe.weight_decay);
    if let Some(from) = from {
        run.resume(from, model, &mut optimizer, vec![("start", &mut start)])?;
        rng.set_word_pos(start.0);
    }
    let epochs = recipe.epochs as u64;
    let drawn: usize = train.pieces.iter().map(|piece| excerpts_of(&piece.score, recipe)).sum();
    let steps = drawn.div_ceil(recipe.batch) as u64;
    let mut progress = Progress::new(&run.history.name, run.history.metric, epochs, steps, run.at.step());
    while run.at.epoch() < epochs {
        let (excerpts, classes) = draw(train, recipe, &mut rng);
        let lengths: Vec<_> = excerpts.iter().map(|x| x.shape()[0]).collect();
        let batches = plan(&lengths, recipe.batch, &mut rng)?;
        for batch in run.at.rest(&batches)? {
            // Every SHARDS-th excerpt, since they are sorted by length: so the shards take equally long.
            let deal = |k| batch.iter().copied().skip(k).step_by(SHARDS).collect::<Vec<_>>();
            let parts = (0..SHARDS.min(batch.len())).map(|k| Shard::new(&excerpts, &classes, &deal(k)));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let count = batch.len() as f32;
            let (mut gradients, loss, right) = gradients(model, &parts, count, shards);
            clip::clip_norm(&mut gradients, CLIP)?;
            optimizer.set_learning_rate(recipe.rate_at(run.at.step(), epochs * steps));
            optimizer.step(model, &gradients)?;
            run.history.add(f64::from(loss * count), right as f64, batch.len());
            progress.step(run.history.train_means());
            run.after_step(batches.len(), model, &optimizer, &[("start", &start)])?;
        }
        start = EpochStart(rng.get_word_pos());
        progress.epoch(run.at.epoch(), run.history.train_means());
        let answers = answer(model, test, shards)?;
        run.after_epoch([answers.loss(), answers.accuracy()], model, &optimizer, &[("start", &start)])?;
    }
    Ok(answer(model, test, shards)?)
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
