//! The answers of a classifier.

use rewind_autograd::Tensor;

use crate::{Figure, Metric};

/// The answers of a model for the items of a data set.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_examples::Answers;
///
/// let probabilities = Tensor::from_vec(vec![0.75, 0.25, 0.5, 0.5, 0.25, 0.75], &[3, 2]);
/// let answers = Answers { probabilities, truth: vec![0, 1, 1] };
/// assert_eq!(answers.classes(), [0, 0, 1]); // the first of equal ones
/// assert_eq!(answers.figure("gru").to_string(), "gru test accuracy 0.667 (n=3)");
/// ```
#[derive(Clone, Debug)]
pub struct Answers {
    /// `[N, C]`: for each item the probability of each class.
    pub probabilities: Tensor<f32>,
    /// The right classes, `[N]`.
    pub truth: Vec<usize>,
}

impl Answers {
    /// The most probable class of every item.
    pub fn classes(&self) -> Vec<usize> {
        best_classes(&self.probabilities)
    }

    /// The share of right answers.
    pub fn accuracy(&self) -> f64 {
        let right = self.classes().iter().zip(&self.truth).filter(|(a, b)| a == b).count();
        right as f64 / self.truth.len() as f64
    }

    /// The mean of -ln p of the right class, in nats.
    pub fn loss(&self) -> f64 {
        let of =
            |(i, &class): (usize, &usize)| -f64::from(self.probabilities.at(&[i, class]).max(f32::MIN_POSITIVE)).ln();
        self.truth.iter().enumerate().map(of).sum::<f64>() / self.truth.len() as f64
    }

    /// The accuracy of the model `name`.
    pub fn figure(&self, name: &str) -> Figure {
        Figure { name: name.to_owned(), metric: Metric::Accuracy, value: self.accuracy(), count: self.truth.len() }
    }
}

/// The class with the largest value of every row of `[B, C]`, the first of equal ones.
pub fn best_classes(rows: &Tensor<f32>) -> Vec<usize> {
    let classes = rows.shape()[1];
    rows.to_vec()
        .chunks_exact(classes)
        .map(|row| (1..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certain_mistake_has_a_finite_loss() {
        let of = |row: [f32; 2], class| {
            Answers { probabilities: Tensor::from_vec(row.to_vec(), &[1, 2]), truth: vec![class] }.loss()
        };
        assert!((of([0.25, 0.75], 0) - 4.0_f64.ln()).abs() < 1e-12);
        assert!((of([1.0, 0.0], 1) - 87.3).abs() < 0.1);
    }
}
