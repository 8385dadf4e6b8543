//! The baseline: logistic regression on how often each pitch class sounds. It knows nothing of order or rhythm.

use std::error::Error;

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::Answers;
use rewind_rnn::Linear;
use rewind_rnn::loss::{CrossEntropy, cross_entropy};
use rewind_rnn::optim::{AdamW, Optimizer};

use crate::dataset::Dataset;

/// Full-batch steps: enough to converge.
const STEPS: usize = 1000;
const RATE: f64 = 0.05;
/// The decay of AdamW.
const DECAY: f64 = 1e-2;

/// The shares of the 12 pitch classes in every piece, `[N, 12]`, standardised by the mean and deviation of `reference`.
fn features(data: &Dataset, reference: &Dataset) -> Tensor<f32> {
    let shares =
        |data: &Dataset| -> Vec<[f32; 12]> { data.pieces.iter().map(|p| p.score.pitch_class_shares()).collect() };
    let known = shares(reference);
    let n = known.len() as f32;
    let mean: [f32; 12] = std::array::from_fn(|k| known.iter().map(|row| row[k]).sum::<f32>() / n);
    let deviation: [f32; 12] = std::array::from_fn(|k| {
        let variance = known.iter().map(|row| (row[k] - mean[k]).powi(2)).sum::<f32>() / n;
        variance.sqrt().max(1e-6)
    });
    let rows = shares(data);
    Tensor::from_fn(&[rows.len(), 12], |i| (rows[i / 12][i % 12] - mean[i % 12]) / deviation[i % 12])
}

/// Trains on `train` and answers for `test`.
pub(crate) fn baseline(train: &Dataset, test: &Dataset) -> Result<Answers, Box<dyn Error>> {
    let classes = train.classes.len();
    let x = features(train, train);
    let wanted: Vec<_> = train.pieces.iter().map(|piece| piece.class).collect();
    // The problem is convex: where it starts does not matter.
    let mut model = Linear { weight: Tensor::zeros(&[12, classes]), bias: Some(Tensor::zeros(&[classes])) };
    let mut optimizer = AdamW::new(RATE).weight_decay(DECAY);
    let mut tape = Tape::new();
    for step in 0..STEPS {
        let gradients = {
            let on_tape = model.on(&tape);
            let logits = on_tape.forward(tape.constant(x.clone()));
            let loss = cross_entropy(logits, &wanted, CrossEntropy::default())?;
            loss.backward().of(&on_tape)
        };
        tape.clear();
        optimizer.set_learning_rate(RATE * (1.0 - step as f64 / STEPS as f64));
        optimizer.step(&mut model, &gradients)?;
    }
    let quiet = Tape::quiet();
    let logits = model.on(&quiet).forward(quiet.constant(features(test, train)));
    let truth = test.pieces.iter().map(|piece| piece.class).collect();
    Ok(Answers { probabilities: logits.softmax(1).value(), truth })
}
