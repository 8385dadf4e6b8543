//! Training: series that are changed at random, shards of a batch on threads, AdamW with clipping.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rewind_autograd::Tensor;
use rewind_examples::labelled::Labelled;
use rewind_examples::{Answers, Progress, Run, best_classes};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::{AdamW, Optimizer};
use rewind_rnn::resume::Position;
use rewind_rnn::{Noise, Shards, clip};

use crate::answer;
use crate::model::Classifier;
use crate::recipe::Recipe;
use crate::series::steps;

/// Shards of a batch, computed in parallel. Fixed, so that the number of threads changes no result.
const SHARDS: usize = 2;

/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// A shard of a batch as the network reads it.
struct Shard {
    batch: PaddedBatch<f32>,
    classes: Vec<usize>,
    noise: Noise,
}

impl Shard {
    /// Number `k` of the shards of a batch of series, each changed at random.
    fn new(
        train: &Labelled<Vec<f32>>,
        places: &[usize],
        k: usize,
        recipe: &Recipe,
        at: &Position,
    ) -> rewind_rnn::Result<Shard> {
        let rng = &mut at.batch_rng(k as u64);
        let own: Vec<usize> = places.iter().copied().skip(k).step_by(SHARDS).collect();
        let changed = |&i: &usize| steps(&recipe.changes.draw(&train.items[i], rng), recipe.design.per_step);
        let batch = PaddedBatch::new(&own.iter().map(changed).collect::<Vec<_>>())?;
        let classes = batch.indices().iter().map(|&row| train.labels[own[row]]).collect();
        Ok(Shard { batch, classes, noise: Noise::draw(rng) })
    }
}

/// Trains `model` on `train`, from the start or from the file `from`. After every epoch it is tested on `test`, for the
/// learning curves only: no choice depends on the test.
pub(crate) fn train(
    model: &mut Classifier<Tensor<f32>>,
    [train, test]: [&Labelled<Vec<f32>>; 2],
    recipe: &Recipe,
    run: &mut Run,
    from: Option<&Path>,
    shards: &Shards<f32>,
) -> Result<Answers, Box<dyn Error>> {
    let mut optimizer = AdamW::new(0.0).weight_decay(recipe.decay);
    if let Some(from) = from {
        run.resume(from, model, &mut optimizer, vec![])?;
    }
    let lengths = vec![recipe.design.values; train.items.len()];
    let (epochs, steps) = (recipe.epochs as u64, train.items.len().div_ceil(recipe.batch) as u64);
    let mut progress = Progress::new(&run.history.name, run.history.metric, epochs, steps, run.at.step());
    while run.at.epoch() < epochs {
        let batches = plan(&lengths, recipe.batch, &mut run.at.epoch_rng(0))?;
        for batch in run.at.rest(&batches)? {
            let parts = (0..SHARDS.min(batch.len())).map(|k| Shard::new(train, batch, k, recipe, &run.at));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            let (mut gradients, loss, right) = gradients(model, &parts, batch.len() as f32, shards);
            clip::clip_norm(&mut gradients, CLIP)?;
            optimizer.set_learning_rate(recipe.rate_at(run.at.step(), epochs * steps));
            optimizer.step(model, &gradients)?;
            run.history.add(f64::from(loss) * batch.len() as f64, right as f64, batch.len());
            progress.step(run.history.train_means());
            run.after_step(batches.len(), model, &optimizer, &[])?;
        }
        progress.epoch(run.at.epoch(), run.history.train_means());
        let answers = answer(model, test, shards)?;
        run.after_epoch([answers.loss(), answers.accuracy()], model, &optimizer, &[])?;
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
    let right = AtomicUsize::new(0);
    let step = shards.gradients(model, parts, |tape, model, shard| {
        let x = tape.constant(shard.batch.data().clone());
        let logits = model.logits(x, shard.batch.lengths(), Some(shard.noise));
        let hits = best_classes(&logits.value()).into_iter().zip(&shard.classes).filter(|(a, b)| a == *b).count();
        right.fetch_add(hits, Ordering::Relaxed);
        let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
        cross_entropy(logits, &shard.classes, settings).expect("every class is one of the data set's") / count
    });
    (step.gradients, step.losses.iter().sum(), right.into_inner())
}
