//! Another rate, for a whole recording or for samples that come piece by piece.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side of its middle.
const CROSSINGS: f64 = 16.0;
/// The edge of the low-pass filter, as a share of half the lower rate.
const EDGE: f64 = 0.92;

/// Samples that are resampled at once.
const PIECE: usize = 1 << 12;

/// The samples at another rate. Beyond their ends they are taken for 0.
pub(crate) fn resampled(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let mut resampler = Resampler::new(from, to);
    let mut found = Vec::with_capacity((samples.len() as u64 * u64::from(to)).div_ceil(from.into()) as usize);
    // The resampler keeps a copy of what it is given at once.
    for piece in samples.chunks(PIECE) {
        found.extend(resampler.push(piece));
    }
    found.extend(resampler.finish());
    found
}

/// Samples at another rate, by a low-pass filter: a sinc in a Hann window (Smith, Digital Audio Resampling, 2002),
///
/// y(t) = Σ_n x_n·h(t - n) with h(s) = c·sinc(c·s)·cos²(π·s·c / (2·CROSSINGS)),
///
/// where c is the edge of the filter as a share of half the rate of x. What comes out does not depend on how x is cut into pieces.
#[derive(Debug)]
pub(crate) struct Resampler {
    /// The distance of two samples of y in those of x.
    step: f64,
    c: f64,
    /// Samples of x to each side that the filter sees.
    reach: f64,
    /// The end of x, without the first `dropped`, which no later sample of y needs.
    samples: Vec<f32>,
    dropped: usize,
    /// The number of the next sample of y.
    next: usize,
}

impl Resampler {
    pub(crate) fn new(from: u32, to: u32) -> Resampler {
        let step = f64::from(from) / f64::from(to);
        let c = EDGE * (1.0 / step).min(1.0);
        let reach = if from == to { 0.0 } else { CROSSINGS / c };
        Resampler { step, c, reach, samples: Vec::new(), dropped: 0, next: 0 }
    }

    /// The samples of y that depend on no later sample of x.
    pub(crate) fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.samples.extend(samples);
        let end = self.end();
        let mut found = Vec::new();
        while ((self.at() + self.reach) as usize) < end {
            found.push(self.take());
        }
        let needed = ((self.at() - self.reach).max(0.0) as usize).min(end);
        self.samples.drain(..needed - self.dropped);
        self.dropped = needed;
        found
    }

    /// The samples of y that are left at the end.
    pub(crate) fn finish(&mut self) -> Vec<f32> {
        let count = (self.end() as f64 / self.step).ceil() as usize;
        (self.next..count).map(|_| self.take()).collect()
    }

    /// How many samples wait for more.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.samples.len()
    }

    /// The number of samples of x so far.
    fn end(&self) -> usize {
        self.dropped + self.samples.len()
    }

    /// The place of the next sample of y, in samples of x.
    fn at(&self) -> f64 {
        self.next as f64 * self.step
    }

    fn take(&mut self) -> f32 {
        let t = self.at();
        self.next += 1;
        let sample = |n: usize| self.samples[n - self.dropped];
        // At the same rate there is nothing to filter.
        if self.reach == 0.0 {
            return sample(t as usize);
        }
        let (first, last) =
            ((t - self.reach).ceil().max(0.0) as usize, ((t + self.reach) as usize).min(self.end() - 1));
        (first..=last).map(|n| f64::from(sample(n)) * self.filter(t - n as f64)).sum::<f64>() as f32
    }

    /// h(s).
    fn filter(&self, s: f64) -> f64 {
        let x = PI * self.c * s;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        self.c * sinc * (PI * s / (2.0 * self.reach)).cos().powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_above_half_the_rate_is_removed() {
        let tone =
            |f: f64| (0..9600).map(|n| (2.0 * PI * f * f64::from(n) / 48_000.0).sin() as f32).collect::<Vec<_>>();
        let loudest = |x: &[f32]| x[100..1500].iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(loudest(&resampled(&tone(3000.0), 48_000, 8000)) > 0.98);
        // It would be heard as a tone of 3,000 Hz.
        assert!(loudest(&resampled(&tone(5000.0), 48_000, 8000)) < 2e-3);
    }

    #[test]
    fn pieces_of_any_length_give_the_bits_of_the_whole() {
        let samples: Vec<f32> = (0..9000).map(|n| (n as f32 * 0.37).sin()).collect();
        for rate in [8000, 11_025, 16_000, 44_100, 48_000] {
            for length in [0, 1, 5, 300, 9000] {
                let whole = resampled(&samples[..length], rate, 8000);
                assert_eq!(whole.len(), (length * 8000).div_ceil(rate as usize), "{rate} Hz");
                for piece in [1, 7, 33, 160, 4096] {
                    let mut resampler = Resampler::new(rate, 8000);
                    let pieces = samples[..length].chunks(piece);
                    let mut found: Vec<f32> = pieces.flat_map(|piece| resampler.push(piece)).collect();
                    assert!(resampler.waiting() < 250, "{rate} Hz: {}", resampler.waiting());
                    found.extend(resampler.finish());
                    assert_eq!(found, whole, "{rate} Hz, {length} samples in pieces of {piece}");
                }
            }
        }
        assert_eq!(resampled(&samples, 8000, 8000), samples);
    }
}
