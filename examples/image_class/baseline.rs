//! The baseline: the nearest mean. Each class is one picture, the mean of its training images.

use rewind_autograd::Tensor;
use rewind_examples::Answers;

use crate::dataset::Dataset;

/// p(c | x) ∝ exp(-|x - m_c|² / 2s²), where m_c is the mean of class c and s² the mean squared distance of a training image
/// to the mean of its class, by the number of pixels: images as points with equal noise on each pixel.
pub(crate) fn baseline(train: &Dataset, test: &Dataset) -> Answers {
    let (classes, pixels) = (train.classes.len(), train.items[0].0.bytes.len());
    let counts = train.class_counts();
    let mut means = vec![vec![0.0; pixels]; classes];
    for (image, class) in &train.items {
        let share = 1.0 / counts[*class] as f64;
        means[*class].iter_mut().zip(&image.bytes).for_each(|(mean, &v)| *mean += share * f64::from(v));
    }
    let distance = |bytes: &[u8], class: usize| -> f64 {
        bytes.iter().zip(&means[class]).map(|(&v, mean)| (f64::from(v) - mean).powi(2)).sum()
    };
    let spread: f64 = train.items.iter().map(|(image, class)| distance(&image.bytes, *class)).sum();
    let variance = (spread / (train.items.len() * pixels) as f64).max(1e-9);
    let row = |bytes: &[u8]| {
        let scores: Vec<f64> = (0..classes).map(|class| -distance(bytes, class) / (2.0 * variance)).collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(move |weight| (weight / total) as f32)
    };
    let rows = test.items.iter().flat_map(|(image, _)| row(&image.bytes)).collect();
    Answers { probabilities: Tensor::from_vec(rows, &[test.items.len(), classes]), truth: test.labels() }
}

#[cfg(test)]
mod tests {
    use rewind_examples::image::{Channels, Image, Size};

    use super::*;

    #[test]
    fn the_nearest_mean_answers() {
        let image = |bytes: &[u8]| Image {
            size: Size { width: 2, height: 1 },
            channels: Channels::Grey,
            bytes: bytes.to_vec(),
        };
        let data = |items: &[(&[u8], usize)]| Dataset {
            classes: vec!["a".into(), "b".into()],
            items: items.iter().map(|(bytes, class)| (image(bytes), *class)).collect(),
        };
        // Means (1, 0) and (10, 0); the squared distances are 1, 1 and 0, over 6 pixels: s² = 1/3.
        let train = data(&[(&[0, 0], 0), (&[2, 0], 0), (&[10, 0], 1)]);
        let answers = baseline(&train, &data(&[(&[1, 0], 0), (&[9, 3], 0), (&[6, 0], 1)]));
        assert_eq!(answers.classes(), [0, 1, 1]);
        // Of the last: distances 25 and 16, so ln p(b) / p(a) = 9 / (2/3).
        let odds = f64::from(answers.probabilities.at(&[2, 1]) / answers.probabilities.at(&[2, 0])).ln();
        assert!((odds - 13.5).abs() < 1e-4, "{odds}");
    }
}
