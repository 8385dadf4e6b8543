//! The baselines, which have no memory: they compare values at the same place of series of the same length.

use std::error::Error;

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::Answers;
use rewind_examples::labelled::Labelled;
use rewind_rnn::Linear;
use rewind_rnn::loss::{CrossEntropy, cross_entropy};
use rewind_rnn::optim::{AdamW, Optimizer};

/// Full-batch steps: enough to converge.
const STEPS: usize = 400;
const RATE: f64 = 0.02;
/// The decay of AdamW.
const DECAY: f64 = 0.1;

/// The probability of the class of the nearest neighbour; the other classes share the rest. It is for the loss alone.
const SURE: f32 = 0.9;

fn rows(series: &Labelled<Vec<f32>>) -> Tensor<f32> {
    let width = series.items.first().map_or(0, Vec::len);
    Tensor::from_vec(series.items.concat(), &[series.items.len(), width])
}

/// Logistic regression on the values.
pub(crate) fn linear(train: &Labelled<Vec<f32>>, test: &Labelled<Vec<f32>>) -> Result<Answers, Box<dyn Error>> {
    let (x, classes) = (rows(train), train.classes.len());
    // The problem is convex: where it starts does not matter.
    let weight = Tensor::zeros(&[x.shape()[1], classes]);
    let mut model = Linear { weight, bias: Some(Tensor::zeros(&[classes])) };
    let mut optimizer = AdamW::new(RATE).weight_decay(DECAY);
    let mut tape = Tape::new();
    for step in 0..STEPS {
        let gradients = {
            let on_tape = model.on(&tape);
            let logits = on_tape.forward(tape.constant(x.clone()));
            let loss = cross_entropy(logits, &train.labels, CrossEntropy::default())?;
            loss.backward().of(&on_tape)
        };
        tape.clear();
        optimizer.set_learning_rate(RATE * (1.0 - step as f64 / STEPS as f64));
        optimizer.step(&mut model, &gradients)?;
    }
    let quiet = Tape::quiet();
    let logits = model.on(&quiet).forward(quiet.constant(rows(test)));
    Ok(Answers { probabilities: logits.softmax(1).value(), truth: test.labels.clone() })
}

/// The class of the training series at the least Euclidean distance, the first of equally near ones.
pub(crate) fn nearest(train: &Labelled<Vec<f32>>, test: &Labelled<Vec<f32>>) -> Answers {
    let classes = train.classes.len();
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from((x - y) * (x - y))).sum::<f64>();
    let class_of = |series: &Vec<f32>| {
        let near = train.items.iter().zip(&train.labels).map(|(other, &label)| (distance(series, other), label));
        near.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, label)| label)
    };
    let rest = (1.0 - SURE) / (classes - 1) as f32;
    let row = |series| {
        let class = class_of(series);
        (0..classes).map(move |c| if c == class { SURE } else { rest })
    };
    let probabilities = Tensor::from_vec(test.items.iter().flat_map(row).collect(), &[test.items.len(), classes]);
    Answers { probabilities, truth: test.labels.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(rows: &[([f32; 3], usize)]) -> Labelled<Vec<f32>> {
        let (items, labels) = rows.iter().map(|(row, label)| (row.to_vec(), *label)).unzip();
        Labelled { classes: vec!["a".to_owned(), "b".to_owned()], items, labels }
    }

    #[test]
    fn the_nearest_series_gives_the_class() {
        let train = labelled(&[([0.0, 0.0, 0.0], 0), ([1.0, 1.0, 1.0], 1), ([9.0, 0.0, 0.0], 0)]);
        let test = labelled(&[([0.4, 0.4, 0.4], 0), ([0.9, 0.8, 0.7], 0), ([8.0, 1.0, 1.0], 0)]);
        let answers = nearest(&train, &test);
        assert_eq!((answers.classes(), answers.truth), (vec![0, 1, 0], vec![0; 3]));
    }

    #[test]
    fn a_linear_model_tells_what_is_linear() {
        let row = |i: usize| ([i as f32 / 20.0 - 1.0, 0.5, (i % 7) as f32 / 3.0 - 1.0], usize::from(i > 20));
        let all: Vec<_> = (0..41).map(row).collect();
        let answers = linear(&labelled(&all), &labelled(&all)).unwrap();
        assert!(answers.accuracy() > 0.9, "{}", answers.accuracy());
        // What is not linear it does not tell.
        let both: Vec<_> = (0..40)
            .map(|i| {
                (
                    [if i % 2 == 0 { 1.0 } else { -1.0 }, if i % 4 < 2 { 1.0 } else { -1.0 }, 0.0],
                    usize::from(i % 4 == 1 || i % 4 == 2),
                )
            })
            .collect();
        assert!(linear(&labelled(&both), &labelled(&both)).unwrap().accuracy() < 0.8);
    }
}
