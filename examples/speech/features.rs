//! The front end: what the network reads of a recording, 123 numbers every 10 ms (Graves, Mohamed and Hinton 2013).

use std::collections::VecDeque;
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
pub(crate) const STATIC: usize = BANDS + 1;
/// I, the values of a time step: these, their first and their second differences.
pub(crate) const FEATURES: usize = 3 * STATIC;
/// Energies below are taken for this: far below the noise of 16 bits.
const FLOOR: f32 = 1e-10;
/// Steps to each side that a difference is taken over.
const REACH: usize = 2;
/// Windows after its own that a row depends on, by its second differences.
pub(crate) const AHEAD: usize = 2 * REACH;

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

    /// The features `[L, FEATURES]` of samples at [`RATE`]; `None` if they do not fill a window.
    pub(crate) fn features(&self, samples: &[f32]) -> Option<Tensor<f32>> {
        let mut stream = FeatureStream::new(self);
        let mut rows = stream.push(samples);
        rows.extend(stream.finish());
        let steps = rows.len();
        (steps > 0).then(|| Tensor::from_vec(rows.concat(), &[steps, FEATURES]))
    }

    /// The logarithms of the filters and of the energy of each window: ln Σ_f w_k(f)·|X(f)|², and ln Σ_n x_n².
    fn statics(&self, samples: &[f32]) -> Vec<Vec<f32>> {
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

/// The features of samples that come piece by piece: they are those of the whole, whatever the pieces are.
pub(crate) struct FeatureStream<'f> {
    front_end: &'f FrontEnd,
    /// From the beginning of the next window.
    samples: Vec<f32>,
    first: Differences,
    second: Differences,
}

impl FeatureStream<'_> {
    pub(crate) fn new(front_end: &FrontEnd) -> FeatureStream<'_> {
        FeatureStream { front_end, samples: Vec::new(), first: Differences::default(), second: Differences::default() }
    }

    /// The rows that are complete with these samples: each needs the [`AHEAD`] windows after its own.
    pub(crate) fn push(&mut self, samples: &[f32]) -> Vec<Vec<f32>> {
        self.samples.extend(samples);
        let statics = self.front_end.statics(&self.samples);
        self.samples.drain(..statics.len() * HOP);
        statics.into_iter().filter_map(|row| self.first.push(row)).filter_map(|row| self.second.push(row)).collect()
    }

    /// The rows that are left at the end. A window that is not full is none.
    pub(crate) fn finish(&mut self) -> Vec<Vec<f32>> {
        let rows: Vec<_> = self.first.finish().into_iter().filter_map(|row| self.second.push(row)).collect();
        rows.into_iter().chain(self.second.finish()).collect()
    }

    /// Samples and values that wait for more.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let values = |stage: &Differences| stage.rows.iter().map(Vec::len).sum::<usize>();
        self.samples.len() + values(&self.first) + values(&self.second)
    }
}

/// Appends to each row the differences of its last [`STATIC`] values: slopes of a regression line over 2·REACH + 1 steps,
///
/// d_t = Σ_k k·(x_(t+k) - x_(t-k)) / (2·Σ_k k²),
///
/// where the first and the last step are repeated beyond the ends (Young et al., The HTK Book, 2006).
#[derive(Default)]
struct Differences {
    /// The last rows, 2·REACH at most between two calls.
    rows: VecDeque<Vec<f32>>,
}

impl Differences {
    /// The row REACH steps before this one, if there is one, with its differences.
    fn push(&mut self, row: Vec<f32>) -> Option<Vec<f32>> {
        if self.rows.is_empty() {
            self.rows.extend(std::iter::repeat_n(row.clone(), REACH));
        }
        self.rows.push_back(row);
        if self.rows.len() <= 2 * REACH {
            return None;
        }
        let divisor = 2.0 * (1..=REACH).map(|k| (k * k) as f32).sum::<f32>();
        let pair = |k: usize| (k as f32, &self.rows[REACH + k], &self.rows[REACH - k]);
        let slope = |i: usize| (1..=REACH).map(pair).map(|(k, after, before)| k * (after[i] - before[i])).sum::<f32>();
        let mut row = self.rows[REACH].clone();
        row.extend((row.len() - STATIC..row.len()).map(|i| slope(i) / divisor));
        self.rows.pop_front();
        Some(row)
    }

    /// The rows that are left at the end.
    fn finish(&mut self) -> Vec<Vec<f32>> {
        let Some(last) = self.rows.back().cloned() else { return Vec::new() };
        (0..REACH).filter_map(|_| self.push(last.clone())).collect()
    }
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
        let found = FrontEnd::new().features(&signal()).unwrap();
        let expected: Vec<Vec<f32>> = include_str!("fixtures/features.txt")
            .lines()
            .map(|line| line.split(' ').map(|x| x.parse().unwrap()).collect())
            .collect();
        assert_eq!(found.shape(), [expected.len(), expected[0].len()]);
        for (t, expected) in expected.iter().enumerate() {
            let found = found.index(0, t).to_vec();
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
    fn pieces_of_any_length_give_the_bits_of_the_whole() {
        let front_end = FrontEnd::new();
        for length in [0, 1, WINDOW - 1, WINDOW, WINDOW + HOP, WINDOW + 4 * HOP + 3, 700] {
            let samples = &signal()[..length];
            let whole = front_end.features(samples).map_or(Vec::new(), |rows| rows.to_vec());
            for piece in [1, 7, 33, 160, 4096] {
                let mut stream = FeatureStream::new(&front_end);
                let mut rows: Vec<_> = samples.chunks(piece).flat_map(|piece| stream.push(piece)).collect();
                // All but those that the end completes came in time.
                let windows = (length + HOP).saturating_sub(WINDOW) / HOP;
                assert_eq!(rows.len(), windows.saturating_sub(AHEAD), "{length} samples");
                rows.extend(stream.finish());
                assert_eq!(rows.concat(), whole, "{length} samples in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_window_is_the_least() {
        let front_end = FrontEnd::new();
        assert!(front_end.features(&signal()[..WINDOW - 1]).is_none());
        let one = front_end.features(&signal()[..WINDOW]).unwrap();
        assert_eq!(one.shape(), [1, FEATURES]);
        // One step does not change.
        assert_eq!(one.slice(1, STATIC..FEATURES), Tensor::zeros(&[1, FEATURES - STATIC]));
        // Silence has a logarithm.
        assert!(front_end.features(&[0.0; 400]).unwrap().to_vec().iter().all(|x| x.is_finite()));
    }
}
