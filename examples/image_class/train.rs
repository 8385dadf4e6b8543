//! Training and testing.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::seq::SliceRandom;
use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::image::Image;
use rewind_examples::{Answers, Progress, Run, best_classes};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::{Shards, clip};

use crate::dataset::Dataset;
use crate::model::{Classifier, input};
use crate::recipe::Recipe;

/// Shards of a batch, computed in parallel. Fixed, so that the number of threads changes no result.
const SHARDS: usize = 2;

/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// Images that are tested at once.
const TOGETHER: usize = 64;

/// Trains `model` on `train`, from the start or from the file `from`. After every epoch it is tested on `test`, for the
/// learning curves only: no choice depends on the test. The result is the last test.
pub(crate) fn train(
    model: &mut Classifier<Tensor<f32>>,
    [train, test]: [&Dataset; 2],
    recipe: &Recipe,
    run: &mut Run,
    from: Option<&Path>,
    shards: &Shards<f32>,
) -> Result<Answers, Box<dyn Error>> {
    let mut optimizer = Adam::new(0.0);
    if let Some(from) = from {
        run.resume(from, model, &mut optimizer, vec![])?;
    }
    let epochs = recipe.epochs as u64;
    let steps = train.items.len().div_ceil(recipe.batch);
    let mut progress = Progress::new(&run.history.name, run.history.metric, epochs, steps as u64, run.at.step());
    while run.at.epoch() < epochs {
        let mut order: Vec<_> = train.items.iter().collect();
        order.shuffle(&mut run.at.epoch_rng(0));
        let batches: Vec<_> = order.chunks(recipe.batch).collect();
        for batch in run.at.rest(&batches)? {
            let (loss, right, mut gradients) = gradients(model, batch, shards);
            clip::clip_norm(&mut gradients, CLIP)?;
            optimizer.set_learning_rate(recipe.rate_at(run.at.step(), epochs * steps as u64));
            optimizer.step(model, &gradients)?;
            run.history.add(loss, right as f64, batch.len());
            progress.step(run.history.train_means());
            run.after_step(steps, model, &optimizer, &[])?;
        }
        progress.epoch(run.at.epoch(), run.history.train_means());
        let answers = answer(model, test, shards);
        run.after_epoch([answers.loss(), answers.accuracy()], model, &optimizer, &[])?;
    }
    Ok(answer(model, test, shards))
}

/// The summed loss of a batch, how many answers are right, and the gradients of the mean loss.
fn gradients(
    model: &Classifier<Tensor<f32>>,
    batch: &[&(Image, usize)],
    shards: &Shards<f32>,
) -> (f64, usize, Classifier<Tensor<f32>>) {
    let right = AtomicUsize::new(0);
    let parts: Vec<_> = batch.chunks(batch.len().div_ceil(SHARDS)).collect();
    let step = shards.gradients(model, &parts, |tape, model, part| {
        let logits = model.forward(tape.constant(input(part.iter().map(|(image, _)| image))));
        let classes: Vec<_> = part.iter().map(|(_, class)| *class).collect();
        let hits = best_classes(&logits.value()).iter().zip(&classes).filter(|(a, b)| a == b).count();
        right.fetch_add(hits, Ordering::Relaxed);
        let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
        cross_entropy(logits, &classes, settings).expect("every class is one of the data set's") / batch.len() as f32
    });
    let mean: f64 = step.losses.iter().map(|&loss| f64::from(loss)).sum();
    (mean * batch.len() as f64, right.into_inner(), step.gradients)
}

/// The answers of `model` for `data`.
pub(crate) fn answer(model: &Classifier<Tensor<f32>>, data: &Dataset, shards: &Shards<f32>) -> Answers {
    let batches: Vec<_> = data.items.chunks(TOGETHER).collect();
    let rows = shards.run(batches.len(), |i, _| {
        let quiet = Tape::quiet();
        let x = quiet.constant(input(batches[i].iter().map(|(image, _)| image)));
        model.on(&quiet).forward(x).softmax(1).value().to_vec()
    });
    let probabilities = Tensor::from_vec(rows.concat(), &[data.items.len(), data.classes.len()]);
    Answers { probabilities, truth: data.labels() }
}
