//! The front end: what the network reads of a recording, 123 numbers every 10 ms (Graves, Mohamed and Hinton 2013).

use std::f32::consts::PI;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};
use rewind_autograd::Tensor;

use crate::audio::RATE;

/// Samples of a window of 25 ms, and from one window to the next, 10 ms.
pub(crate) const WINDOW: usize = RATE as usize / 40;
pub(crate) const HOP: usize = RATE as usize / 100;
/// The length of the Fourier transform: the window, filled up with zeros, so that every filter has a frequency.
const TRANSFORM: usize = 512;
/// Filters.
pub(crate) const BANDS: usize = 40;
/// The filters and the energy.
const STATIC: usize = BANDS + 1;
/// I, the values of a time step: these, their first and their second differences.
pub(crate) const FEATURES: usize = 3 * STATIC;
/// What is normalised together: the bands, the energy, and the differences of each.
const GROUPS: usize = 6;
/// Energies below are taken for this: far below the noise of 16 bits.
const FLOOR: f32 = 1e-10;
/// Steps to each side that a difference is taken over.
const REACH: usize = 2;

/// The front end with what it computes once.
pub(crate) struct FrontEnd {
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    filters: Vec<Vec<f32>>,
}

impl FrontEnd {
    pub(crate) fn new() -> FrontEnd {
        let hann = |n: usize| 0.5 - 0.5 * (2.0 * PI * n as f32 / WINDOW as f32).cos();
        FrontEnd {
            transform: RealFftPlanner::new().plan_fft_forward(TRANSFORM),
            window: (0..WINDOW).map(hann).collect(),
            filters: filters(),
        }
    }

    /// The features `[L, FEATURES]` of samples at [`RATE`], normalised; `None` if they do not fill a window.
    pub(crate) fn features(&self, samples: &[f32]) -> Option<Tensor<f32>> {
        let statics = self.statics(samples);
        if statics.is_empty() {
            return None;
        }
        let first = differences(&statics);
        let second = differences(&first);
        let rows = statics.iter().zip(&first).zip(&second).flat_map(|((a, b), c)| [&a[..], b, c].concat());
        let tensor = Tensor::from_vec(rows.collect(), &[statics.len(), FEATURES]);
        Some(normalised(&tensor))
    }

    /// The logarithms of the filters and of the energy of each window: ln Σ_f w_k(f)·|X(f)|², and ln Σ_n x_n².
    pub(crate) fn statics(&self, samples: &[f32]) -> Vec<Vec<f32>> {
        let (mut buffer, mut spectrum) = (self.transform.make_input_vec(), self.transform.make_output_vec());
        let one = |frame: &[f32]| {
            buffer.fill(0.0);
            buffer.iter_mut().zip(frame.iter().zip(&self.window)).for_each(|(to, (x, w))| *to = x * w);
            self.transform.process(&mut buffer, &mut spectrum).expect("the buffers are the transform's own");
            let power: Vec<f32> = spectrum.iter().map(|x| x.norm_sqr()).collect();
            let log = |energy: f32| energy.max(FLOOR).ln();
            let band = |filter: &Vec<f32>| log(filter.iter().zip(&power).map(|(w, p)| w * p).sum());
            let energy = log(frame.iter().map(|x| x * x).sum());
            self.filters.iter().map(band).chain([energy]).collect()
        };
        samples.windows(WINDOW).step_by(HOP).map(one).collect()
    }
}

/// Triangular filters, at equal distances on the mel scale from 0 to half the rate: m(f) = 2595·log₁₀(1 + f / 700)
/// (O'Shaughnessy 1987). Each rises from the middle of the one below to 1 in its own middle.
fn filters() -> Vec<Vec<f32>> {
    let top = 2595.0 * (1.0 + f64::from(RATE) / 2.0 / 700.0).log10();
    let edge = |k: usize| 700.0 * (10f64.powf(top * k as f64 / (BANDS + 1) as f64 / 2595.0) - 1.0);
    let frequency = |bin: usize| bin as f64 * f64::from(RATE) / TRANSFORM as f64;
    let filter = |k: usize| {
        let (low, middle, high) = (edge(k), edge(k + 1), edge(k + 2));
        let weight = |f: f64| ((f - low) / (middle - low)).min((high - f) / (high - middle)).max(0.0);
        (0..=TRANSFORM / 2).map(|bin| weight(frequency(bin)) as f32).collect()
    };
    (0..BANDS).map(filter).collect()
}

/// The slopes of a regression line over 2·REACH + 1 steps: d_t = Σ_k k·(x_(t+k) - x_(t-k)) / (2·Σ_k k²), where the first and
/// the last step are repeated beyond the ends (Young et al., The HTK Book, 2006).
fn differences(rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let divisor = 2.0 * (1..=REACH).map(|k| (k * k) as f32).sum::<f32>();
    let slope = |t: usize| {
        let pair = |k: usize| (k as f32, &rows[(t + k).min(rows.len() - 1)], &rows[t.saturating_sub(k)]);
        let of = |i: usize| (1..=REACH).map(pair).map(|(k, after, before)| k * (after[i] - before[i])).sum::<f32>();
        (0..rows[t].len()).map(|i| of(i) / divisor).collect()
    };
    (0..rows.len()).map(slope).collect()
}

/// Each of the groups with mean 0 and deviation 1 over the recording: its
/// loudness no longer shows. Bands keep their means, which in a short word tell its phones. A group that does not change
/// becomes 0.
fn normalised(rows: &Tensor<f32>) -> Tensor<f32> {
    let values = rows.to_vec();
    let group = |feature: usize| 2 * (feature / STATIC) + usize::from(feature % STATIC == BANDS);
    let scales: Vec<(f64, f64)> = (0..GROUPS)
        .map(|number| {
            let own = || (0..values.len()).filter(|at| group(at % FEATURES) == number).map(|at| f64::from(values[at]));
            let count = own().count() as f64;
            let mean = own().sum::<f64>() / count;
            let deviation = (own().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
            (mean, if deviation > 1e-6 { 1.0 / deviation } else { 0.0 })
        })
        .collect();
    Tensor::from_fn(rows.shape(), |at| {
        let (mean, scale) = scales[group(at % FEATURES)];
        ((f64::from(values[at]) - mean) * scale) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signal of `fixtures/features.py`.
    fn signal() -> Vec<f32> {
        let mut state = 1_u64;
        let tone = |f: f64, rise: f64, t: f64| (2.0 * std::f64::consts::PI * (f + rise * t) * t).sin();
        let mut sample = |n: usize| {
            state = (1_103_515_245 * state + 12_345) % (1 << 31);
            let noise = state as f64 / f64::from(1_u32 << 31) - 0.5;
            let t = n as f64 / f64::from(RATE);
            (0.3 * tone(300.0, 2000.0, t) + 0.1 * tone(1500.0, 9000.0, t) + 0.02 * noise) as f32
        };
        (0..700).map(&mut sample).collect()
    }

    #[test]
    fn features_are_those_of_librosa() {
        let statics = FrontEnd::new().statics(&signal());
        let first = differences(&statics);
        let second = differences(&first);
        let expected: Vec<Vec<f32>> = include_str!("fixtures/features.txt")
            .lines()
            .map(|line| line.split(' ').map(|x| x.parse().unwrap()).collect())
            .collect();
        assert_eq!((statics.len(), expected[0].len()), (expected.len(), FEATURES));
        for (t, expected) in expected.iter().enumerate() {
            let found = [&statics[t][..], &first[t], &second[t]].concat();
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert!((found - expected).abs() < 1e-4, "step {t}, feature {i}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn every_filter_has_a_frequency_and_is_1_at_most() {
        for (k, filter) in filters().iter().enumerate() {
            let most = filter.iter().copied().fold(0.0, f32::max);
            assert!(most > 0.4 && most <= 1.0, "filter {k}: {most}");
        }
    }

    #[test]
    fn features_are_normalised_whatever_the_loudness() {
        let front_end = FrontEnd::new();
        let loud = front_end.features(&signal()).unwrap();
        assert_eq!(loud.shape(), [7, FEATURES]);
        let quiet: Vec<f32> = signal().iter().map(|x| 0.01 * x).collect();
        for (a, b) in loud.to_vec().iter().zip(front_end.features(&quiet).unwrap().to_vec()) {
            assert!((a - b).abs() < 0.01, "{a} {b}");
        }
        for (first, width) in [(0, BANDS), (BANDS, 1), (STATIC, BANDS), (FEATURES - 1, 1)] {
            let group = loud.slice(1, first..first + width).to_vec();
            let mean = group.iter().sum::<f32>() / group.len() as f32;
            let variance = group.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / group.len() as f32;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{first}: {mean} {variance}");
        }
        // A window is the least; one step does not change.
        assert!(front_end.features(&signal()[..WINDOW - 1]).is_none());
        let one = front_end.features(&signal()[..WINDOW]).unwrap();
        assert_eq!(one.shape(), [1, FEATURES]);
        assert_eq!(one.slice(1, BANDS..FEATURES), Tensor::zeros(&[1, FEATURES - BANDS]));
        // Silence has a logarithm.
        assert!(front_end.features(&[0.0; 400]).unwrap().to_vec().iter().all(|x| x.is_finite()));
    }
}
