//! Training: batches of similar lengths, shards on threads, AdamW with clipping.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::seq::SliceRandom;
use rewind_autograd::Tensor;
use rewind_examples::labelled::Labelled;
use rewind_examples::{Answers, Progress, Run, best_classes};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::{AdamW, Optimizer};
use rewind_rnn::resume::Position;
use rewind_rnn::{Noise, Shards, clip};

use crate::evaluate::answer;
use crate::model::Classifier;
use crate::recipe::Recipe;
use crate::words::{MAX_WORDS, Reader, Words};

/// Shards of a batch, computed in parallel. Fixed, so that the number of threads changes no result.
const SHARDS: usize = 2;

/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// The parts that the training texts are divided into: the evidence in each is counted in the others.
const FOLDS: usize = 10;

/// A shard of a batch as the network reads it.
struct Shard {
    batch: PaddedBatch<f32>,
    classes: Vec<usize>,
    noise: Noise,
}

/// The training texts as the network reads them. Their evidence is counted in the texts of other parts, as that of a
/// test text is: a word that one text alone has would tell its class.
fn encode(reader: &Reader, train: &Labelled<Words>, at: &Position) -> Vec<Tensor<f32>> {
    if reader.pairs.is_none() {
        return train.items.iter().map(|text| reader.read(text, None)).collect();
    }
    let mut fold: Vec<usize> = (0..train.items.len()).map(|i| i % FOLDS).collect();
    fold.shuffle(&mut at.epoch_rng(1));
    let parts: Vec<_> = (0..FOLDS)
        .map(|k| {
            let own = || (0..fold.len()).filter(|&i| fold[i] == k);
            let texts: Vec<_> = own().map(|i| train.items[i].clone()).collect();
            reader.part(&texts, &own().map(|i| train.labels[i]).collect::<Vec<_>>())
        })
        .collect();
    train.items.iter().zip(&fold).map(|(text, &k)| reader.read(text, Some(&parts[k]))).collect()
}

/// Trains `model` on `train`, from the start or from the file `from`. After every epoch it is tested on `test`, for the
/// learning curves only: no choice depends on the test.
pub(crate) fn train(
    model: &mut Classifier<Tensor<f32>>,
    (reader, [train, test]): (&Reader, [&Labelled<Words>; 2]),
    recipe: &Recipe,
    run: &mut Run,
    from: Option<&Path>,
    shards: &Shards<f32>,
) -> Result<Answers, Box<dyn Error>> {
    let mut optimizer = AdamW::new(0.0).weight_decay(recipe.decay);
    if let Some(from) = from {
        run.resume(from, model, &mut optimizer, vec![])?;
    }
    let tested: Vec<_> = test.items.iter().map(|text| reader.read(text, None)).collect();
    let lengths: Vec<_> = train.items.iter().map(|text| text.len().min(MAX_WORDS)).collect();
    let (epochs, steps) = (recipe.epochs as u64, train.items.len().div_ceil(recipe.batch) as u64);
    let mut progress = Progress::new(&run.history.name, run.history.metric, epochs, steps, run.at.step());
    while run.at.epoch() < epochs {
        let texts = encode(reader, train, &run.at);
        let batches = plan(&lengths, recipe.batch, &mut run.at.epoch_rng(0))?;
        for batch in run.at.rest(&batches)? {
            // Every SHARDS-th text, since they are sorted by length: so the shards take equally long.
            let deal = |k| batch.iter().copied().skip(k).step_by(SHARDS).collect::<Vec<_>>();
            let shard = |k| -> rewind_rnn::Result<Shard> {
                let batch = PaddedBatch::gather(&texts, &deal(k))?;
                let classes = batch.in_order(&train.labels)?;
                Ok(Shard { batch, classes, noise: Noise::draw(&mut run.at.batch_rng(2 + k as u64)) })
            };
            let parts = (0..SHARDS.min(batch.len())).map(shard).collect::<Result<Vec<_>, _>>()?;
            let (mut gradients, loss, right) = gradients(model, &parts, batch.len() as f32, shards);
            clip::clip_norm(&mut gradients, CLIP)?;
            optimizer.set_learning_rate(recipe.rate_at(run.at.step(), epochs * steps));
            optimizer.step(model, &gradients)?;
            run.history.add(f64::from(loss) * batch.len() as f64, right as f64, batch.len());
            progress.step(run.history.train_means());
            run.after_step(batches.len(), model, &optimizer, &[])?;
        }
        progress.epoch(run.at.epoch(), run.history.train_means());
        let answers = answer(model, &tested, &test.labels, shards)?;
        run.after_epoch([answers.loss(), answers.accuracy()], model, &optimizer, &[])?;
    }
    Ok(answer(model, &tested, &test.labels, shards)?)
}

/// The gradients of a batch's mean loss, the loss, and how many answers were right.
fn gradients(
    model: &Classifier<Tensor<f32>>,
    parts: &[Shard],
    count: f32,
    shards: &Shards<f32>,
) -> (Classifier<Tensor<f32>>, f32, usize) {
    let right = AtomicUsize::new(0);
    let step = shards.gradients(model, parts, |_, model, shard| {
        let logits = model.logits(shard.batch.data(), shard.batch.lengths(), Some(shard.noise));
        let hits = best_classes(&logits.value()).into_iter().zip(&shard.classes).filter(|(a, b)| a == *b).count();
        right.fetch_add(hits, Ordering::Relaxed);
        let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
        cross_entropy(logits, &shard.classes, settings).expect("every class is one of the data set's") / count
    });
    (step.gradients, step.losses.iter().sum(), right.into_inner())
}
