//! Training and testing.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::{Answers, Progress, Run, best_classes};
use rewind_rnn::batch::plan;
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::schedule::{cosine, warm_up};
use rewind_rnn::optim::{AdamW, Optimizer};
use rewind_rnn::{Shards, clip};

use crate::images::Images;
use crate::model::Classifier;

/// Images in a batch, of training and of testing.
const BATCH: usize = 32;
const TEST_BATCH: usize = 100;
/// Shards of a batch, computed in parallel. Fixed, so that the number of threads changes no result.
const SHARDS: usize = 2;
/// The highest learning rate: it rises linearly at first, then falls to 0 along half a cosine.
const RATE: f64 = 4e-3;
const DECAY: f64 = 1e-2;
/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// The images at `places` as a model reads them, `[R, B, I]`, and their classes.
fn batch(images: &Images, places: &[usize]) -> (Tensor<f32>, Vec<usize>) {
    let Images { rows, columns, pixels, labels, .. } = images;
    let at =
        |i: usize| pixels[places[i / columns % places.len()]][i / (columns * places.len()) * columns + i % columns];
    let x = Tensor::from_fn(&[*rows, places.len(), *columns], at);
    (x, places.iter().map(|&place| labels[place]).collect())
}

/// Trains `model` on `train`, from the start or from the file `from`. After every epoch it is tested on `test`, for the
/// learning curves only: no choice depends on the test.
pub(crate) fn train(
    model: &mut Classifier<Tensor<f32>>,
    [train, test]: [&Images; 2],
    epochs: usize,
    run: &mut Run,
    from: Option<&Path>,
    threads: &Shards<f32>,
) -> Result<Answers, Box<dyn Error>> {
    let mut optimizer = AdamW::new(0.0).weight_decay(DECAY);
    if let Some(from) = from {
        run.resume(from, model, &mut optimizer, vec![])?;
    }
    let (epochs, per_epoch) = (epochs as u64, train.labels.len().div_ceil(BATCH) as u64);
    let mut progress = Progress::new(&run.history.name, run.history.metric, epochs, per_epoch, run.at.step());
    while run.at.epoch() < epochs {
        let batches = plan(&vec![train.rows; train.labels.len()], BATCH, &mut run.at.epoch_rng(0))?;
        for places in run.at.rest(&batches)? {
            let parts: Vec<_> = places.chunks(places.len().div_ceil(SHARDS)).map(|part| batch(train, part)).collect();
            let right = AtomicUsize::new(0);
            let step = threads.gradients(model, &parts, |tape, model, (x, classes)| {
                let logits = model.forward(tape.constant(x.clone()));
                let hits = best_classes(&logits.value()).iter().zip(classes).filter(|(a, b)| a == b).count();
                right.fetch_add(hits, Ordering::Relaxed);
                let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
                let loss = cross_entropy(logits, classes, settings).expect("every label is a class");
                loss / places.len() as f32
            });
            let mut gradients = step.gradients;
            clip::clip_norm(&mut gradients, CLIP)?;
            let at = run.at.step();
            optimizer.set_learning_rate(RATE * warm_up(at, 50) * cosine(at, epochs * per_epoch));
            optimizer.step(model, &gradients)?;
            let loss: f64 = step.losses.iter().map(|&loss| f64::from(loss)).sum();
            run.history.add(loss * places.len() as f64, right.into_inner() as f64, places.len());
            progress.step(run.history.train_means());
            run.after_step(batches.len(), model, &optimizer, &[])?;
        }
        progress.epoch(run.at.epoch(), run.history.train_means());
        let answers = answer(model, test, threads);
        run.after_epoch([answers.loss(), answers.accuracy()], model, &optimizer, &[])?;
    }
    Ok(answer(model, test, threads))
}

/// The answers of `model` for all images.
pub(crate) fn answer(model: &Classifier<Tensor<f32>>, images: &Images, threads: &Shards<f32>) -> Answers {
    let places: Vec<usize> = (0..images.labels.len()).collect();
    let batches: Vec<_> = places.chunks(TEST_BATCH).collect();
    let rows = threads.run(batches.len(), |i, _| {
        let quiet = Tape::quiet();
        let x = quiet.constant(batch(images, batches[i]).0);
        model.on(&quiet).forward(x).softmax(1).value().to_vec()
    });
    let probabilities = Tensor::from_vec(rows.concat(), &[images.labels.len(), images.classes.len()]);
    Answers { probabilities, truth: images.labels.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_the_rows_of_its_images_as_time_steps() {
        let images = Images {
            classes: vec!["a".to_owned(), "b".to_owned()],
            rows: 3,
            columns: 2,
            pixels: (0..4).map(|n| (0..6).map(|i| (10 * n + i) as f32).collect()).collect(),
            labels: vec![0, 1, 1, 0],
        };
        let (x, classes) = batch(&images, &[2, 0]);
        assert_eq!((x.shape(), classes), (&[3, 2, 2][..], vec![1, 0]));
        assert_eq!(x.to_vec(), [20.0, 21.0, 0.0, 1.0, 22.0, 23.0, 2.0, 3.0, 24.0, 25.0, 4.0, 5.0]);
    }
}
