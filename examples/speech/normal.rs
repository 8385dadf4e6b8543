//! Features with mean 0 and deviation 1, over each recording or over the training part.

use rewind_autograd::Tensor;
use rewind_rnn::file::Metadata;

use crate::features::{BANDS, FEATURES, STATIC};

/// What is normalised together in a recording: the bands, the energy, and the differences of each.
const GROUPS: usize = 6;
/// The keys of the means and the deviations in the metadata of a network.
const KEYS: [&str; 2] = ["feature_means", "feature_deviations"];
/// What deviates less does not change, and becomes 0.
const LEAST: f64 = 1e-6;

/// How the features of a network are normalised.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Normal {
    /// Each of the groups over the recording: its loudness no longer shows. Bands keep their means, which in a short word tell its
    /// phones.
    Recording,
    /// Each feature over the training part (Graves et al. 2013). It needs no sample that comes later, so that a network of one direction
    /// can listen.
    Training(Scales),
}

/// The mean and the deviation of each feature.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scales {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Scales {
    /// Those of recordings `[L, FEATURES]`.
    pub(crate) fn of<'a>(recordings: impl IntoIterator<Item = &'a Tensor<f32>>) -> Scales {
        let recordings: Vec<Vec<f32>> = recordings.into_iter().map(Tensor::to_vec).collect();
        let values =
            |feature: usize| recordings.iter().flat_map(move |rows| rows.iter().skip(feature).step_by(FEATURES));
        let (means, deviations) = (0..FEATURES).map(|feature| moments(values(feature))).unzip();
        Scales { means, deviations }
    }

    /// A row, or several one after another.
    pub(crate) fn apply(&self, rows: &mut [f32]) {
        for (at, x) in rows.iter_mut().enumerate() {
            *x = scaled(*x, self.means[at % FEATURES], self.deviations[at % FEATURES]);
        }
    }
}

impl Normal {
    /// Rows `[L, FEATURES]` of the front end as a network reads them.
    pub(crate) fn apply(&self, rows: &Tensor<f32>) -> Tensor<f32> {
        let mut values = rows.to_vec();
        match self {
            Normal::Recording => by_groups(&mut values),
            Normal::Training(scales) => scales.apply(&mut values),
        }
        Tensor::from_vec(values, rows.shape())
    }

    /// As the file of a network has it.
    pub(crate) fn metadata(&self) -> Metadata {
        let Normal::Training(Scales { means, deviations }) = self else { return Metadata::new() };
        // `{:?}` writes the shortest text that reads back to the same number.
        let text = |values: &Vec<f64>| values.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(" ");
        KEYS.map(str::to_owned).into_iter().zip([means, deviations].map(text)).collect()
    }

    /// Of the metadata of a network; or the key that is damaged.
    pub(crate) fn of_metadata(metadata: &Metadata) -> Result<Normal, &'static str> {
        if KEYS.iter().all(|key| !metadata.contains_key(*key)) {
            return Ok(Normal::Recording);
        }
        let numbers = |key: &'static str| {
            let text = metadata.get(key).ok_or(key)?;
            let numbers: Option<Vec<f64>> =
                text.split_whitespace().map(|x| x.parse().ok().filter(|x: &f64| x.is_finite())).collect();
            numbers.filter(|numbers| numbers.len() == FEATURES).ok_or(key)
        };
        let [means, deviations] = KEYS;
        Ok(Normal::Training(Scales { means: numbers(means)?, deviations: numbers(deviations)? }))
    }
}

/// The mean and the deviation of values.
fn moments<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> (f64, f64) {
    let values = values.map(|&x| f64::from(x));
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, (values.map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt())
}

fn scaled(x: f32, mean: f64, deviation: f64) -> f32 {
    if deviation > LEAST { ((f64::from(x) - mean) / deviation) as f32 } else { 0.0 }
}

/// Each of the groups over the rows of a recording.
fn by_groups(values: &mut [f32]) {
    let group = |at: usize| 2 * (at % FEATURES / STATIC) + usize::from(at % STATIC == BANDS);
    let of = |number: usize| {
        let own: Vec<f32> = (0..values.len()).filter(|&at| group(at) == number).map(|at| values[at]).collect();
        moments(own.iter())
    };
    let scales: Vec<_> = (0..GROUPS).map(of).collect();
    for (at, x) in values.iter_mut().enumerate() {
        let (mean, deviation) = scales[group(at)];
        *x = scaled(*x, mean, deviation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FrontEnd;

    fn features(loudness: f32) -> Tensor<f32> {
        // With noise in all bands, or the quiet one falls below the floor of the logarithm.
        let noise = |n: usize| (n * 7919 % 997) as f32 / 997.0 - 0.5;
        let sample = |n: usize| loudness * ((0.05 * (1.0 + n as f32 / 2000.0) * n as f32).sin() + noise(n));
        FrontEnd::new().features(&(0..900).map(sample).collect::<Vec<_>>()).unwrap()
    }

    /// The mean and the variance of these features.
    fn of(rows: &Tensor<f32>, features: std::ops::Range<usize>) -> [f64; 2] {
        let (mean, deviation) = moments(rows.slice(1, features).to_vec().iter());
        [mean, deviation.powi(2)]
    }

    #[test]
    fn a_recording_is_normalised_whatever_its_loudness() {
        let [loud, quiet] = [0.5, 0.005].map(|loudness| Normal::Recording.apply(&features(loudness)));
        for (a, b) in loud.to_vec().iter().zip(quiet.to_vec()) {
            assert!((a - b).abs() < 0.01, "{a} {b}");
        }
        for (first, width) in [(0, BANDS), (BANDS, 1), (STATIC, BANDS), (FEATURES - 1, 1)] {
            let [mean, variance] = of(&loud, first..first + width);
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{first}: {mean} {variance}");
        }
        let one = Normal::Recording.apply(&features(0.5).slice(0, 0..1));
        assert_eq!(one.slice(1, BANDS..STATIC).to_vec(), [0.0]); // the energy of one step
    }

    #[test]
    fn scales_are_those_of_all_recordings_and_are_saved_to_the_last_bit() {
        let recordings = [0.5, 0.05].map(features);
        let normal = Normal::Training(Scales::of(&recordings));
        let all: Vec<f32> = recordings.iter().flat_map(|rows| normal.apply(rows).to_vec()).collect();
        let all = Tensor::from_vec(all, &[2 * recordings[0].shape()[0], FEATURES]);
        for feature in 0..FEATURES {
            let [mean, variance] = of(&all, feature..feature + 1);
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{feature}: {mean} {variance}");
        }
        // A part of a recording is normalised as it is in the whole.
        let part = normal.apply(&recordings[0].slice(0, 0..3));
        assert_eq!(part, normal.apply(&recordings[0]).slice(0, 0..3));

        let metadata = normal.metadata();
        assert_eq!(Normal::of_metadata(&metadata), Ok(normal));
        assert_eq!(Normal::of_metadata(&Normal::Recording.metadata()), Ok(Normal::Recording));
        for (key, value) in [(KEYS[0], "1 2"), (KEYS[1], "x")] {
            let mut damaged = metadata.clone();
            damaged.insert(key.to_owned(), value.to_owned());
            assert_eq!(Normal::of_metadata(&damaged), Err(key));
            damaged.remove(key);
            assert_eq!(Normal::of_metadata(&damaged), Err(key));
        }
    }
}
