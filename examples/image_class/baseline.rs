//! The baseline: which class has a mean image most like this one? It learns no features.

use rewind_autograd::{Tape, Tensor};
use rewind_examples::Answers;

use crate::images::Images;

/// Nearest mean: the class whose mean training image has the least squared distance. The probabilities are
/// softmax(-distance²·P / (2·s)), where s is the mean squared distance of a training image to its own mean and P the
/// number of pixels: those of Gaussians of one variance.
pub(crate) fn nearest_mean(train: &Images, test: &Images) -> Answers {
    let (classes, size) = (train.classes.len(), train.rows * train.columns);
    let mut means = vec![vec![0.0_f64; size]; classes];
    let mut counts = vec![0.0_f64; classes];
    for (image, &label) in train.pixels.iter().zip(&train.labels) {
        counts[label] += 1.0;
        means[label].iter_mut().zip(image).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    for (mean, &count) in means.iter_mut().zip(&counts) {
        mean.iter_mut().for_each(|sum| *sum /= count.max(1.0));
    }
    let distance =
        |image: &[f32], mean: &[f64]| -> f64 { image.iter().zip(mean).map(|(&x, m)| (f64::from(x) - m).powi(2)).sum() };
    let own = train.pixels.iter().zip(&train.labels).map(|(image, &label)| distance(image, &means[label]));
    let spread = (own.sum::<f64>() / train.labels.len() as f64).max(1e-12);
    // A class without a training image has no mean to be near to.
    let of = |image: &[f32], class: usize| match counts[class] {
        0.0 => f32::NEG_INFINITY,
        _ => (-distance(image, &means[class]) * size as f64 / (2.0 * spread)) as f32,
    };
    let logits = test.pixels.iter().flat_map(|image| (0..classes).map(|class| of(image, class))).collect();
    let quiet = Tape::quiet();
    let logits = quiet.constant(Tensor::from_vec(logits, &[test.labels.len(), classes]));
    Answers { probabilities: logits.softmax(1).value(), truth: test.labels.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mean_is_the_answer() {
        let images = |pixels: &[[f32; 2]], labels: &[usize]| Images {
            classes: ["a", "b", "none"].map(str::to_owned).to_vec(),
            rows: 1,
            columns: 2,
            pixels: pixels.iter().map(|row| row.to_vec()).collect(),
            labels: labels.to_vec(),
        };
        let train = images(&[[0.0, 0.0], [0.0, 1.0], [1.0, 0.5]], &[0, 0, 1]);
        let answers = nearest_mean(&train, &images(&[[0.4, 0.5], [0.6, 0.5]], &[0, 0]));
        assert_eq!((answers.classes(), answers.accuracy()), (vec![0, 1], 0.5));
        assert_eq!(answers.probabilities.at(&[0, 2]), 0.0);
        // Distances² 0.16 and 0.36; 2 pixels; s = (0.25 + 0.25 + 0)/3.
        let odds = answers.probabilities.at(&[0, 0]) / answers.probabilities.at(&[0, 1]);
        assert!((odds.ln() - 0.2 * 2.0 / (2.0 / 6.0)).abs() < 1e-5, "{odds}");
    }
}
