//! The randomness of one pass over a sequence: masks that can be drawn again.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rewind_autograd::{Scalar, Tensor};

/// The source of the masks of dropout and zoneout in one pass: a number, from which every mask is computed.
///
/// A mask depends on the seed, on the place of its layer in the network and on the time step, and on nothing else: not on the thread, nor
/// on what was drawn before. So a pass with the same noise has the same masks, in segments and step by step too, and a gradient check
/// works through them. Draw new noise for every training step, and for every shard of a batch.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::Noise;
///
/// let noise = Noise::draw(&mut StdRng::seed_from_u64(1));
/// let mask: Tensor<f32> = noise.part(0).mask(&[2, 3], 0.5); // 0, or 1 / (1 - 0.5) = 2
/// assert!(mask.to_vec().iter().all(|&m| m == 0.0 || m == 2.0));
/// assert_eq!(mask, noise.part(0).mask(&[2, 3], 0.5));
/// assert_ne!(noise.part(0).mask::<f32>(&[8, 8], 0.5), noise.part(1).mask(&[8, 8], 0.5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    sequence: u64,
    step: Option<u64>,
}

impl Noise {
    /// The noise of a seed.
    pub const fn new(seed: u64) -> Self {
        Noise { sequence: seed, step: None }
    }

    /// Noise with a seed from `rng`.
    pub fn draw(rng: &mut impl Rng) -> Self {
        Noise::new(rng.random())
    }

    /// The noise of part number `k` of a layer or of a wrapper, which is independent of that of the other parts. A layer that contains
    /// several gives each its own; otherwise they would have the same masks.
    pub fn part(self, k: usize) -> Self {
        Noise { sequence: mixed(self.sequence, k as u64), ..self }
    }

    /// The noise of time step `t`, counted from the start of the sequence.
    pub fn at_step(self, t: usize) -> Self {
        Noise { step: Some(t as u64), ..self }
    }

    /// The noise that is the same at every time step: for one mask a sequence.
    pub fn of_sequence(self) -> Self {
        Noise { step: None, ..self }
    }

    /// A mask for dropout: every element is 0 with probability `rate`, and otherwise 1/(1 - rate), so that the expected value is 1.
    ///
    /// # Panics
    /// If the rate is not in [0, 1).
    #[track_caller]
    pub fn mask<T: Scalar>(self, shape: &[usize], rate: f64) -> Tensor<T> {
        check_rate("mask", rate);
        let kept = T::from_f64(1.0 / (1.0 - rate));
        self.choose(shape, rate, T::ZERO, kept)
    }

    /// Every element `rare` with probability `rate`, and otherwise `other`.
    pub(crate) fn choose<T: Scalar>(self, shape: &[usize], rate: f64, rare: T, other: T) -> Tensor<T> {
        let mut rng = StdRng::seed_from_u64(self.step.map_or(self.sequence, |t| mixed(!self.sequence, t)));
        Tensor::from_fn(shape, |_| if rng.random::<f64>() < rate { rare } else { other })
    }
}

/// Panics at the caller's line unless a rate of dropout is in [0, 1).
#[track_caller]
pub(crate) fn check_rate(what: &str, rate: f64) {
    if !(0.0..1.0).contains(&rate) {
        panic!("{what}: rate {rate}; expected a probability in [0, 1)");
    }
}

/// A number from two, each bit of which depends on every bit of both (the finaliser of SplitMix64, Steele et al. 2014).
fn mixed(a: u64, b: u64) -> u64 {
    let mut z = a.rotate_left(32) ^ b.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for multiplier in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        z = (z ^ (z >> 30)).wrapping_mul(multiplier);
    }
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_parts_and_seeds_have_masks_of_their_own() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..8 {
            for k in 0..8 {
                let part = Noise::new(seed).part(k);
                seen.insert(part.mask::<f64>(&[64], 0.5).to_vec().iter().map(|&m| m as u8).collect::<Vec<_>>());
                for t in 0..8 {
                    let step = part.at_step(t);
                    seen.insert(step.mask::<f64>(&[64], 0.5).to_vec().iter().map(|&m| m as u8).collect());
                    assert_eq!(step.of_sequence(), part);
                }
            }
        }
        assert_eq!(seen.len(), 8 * 8 * 9);
    }

    #[test]
    fn elements_are_dropped_at_the_rate() {
        for rate in [0.0, 0.1, 0.5, 0.9] {
            let mask = Noise::new(7).mask::<f64>(&[100, 1000], rate).to_vec();
            let dropped = mask.iter().filter(|&&m| m == 0.0).count() as f64;
            // Four standard deviations.
            assert!((dropped - 1e5 * rate).abs() <= 4.0 * (1e5 * rate * (1.0 - rate)).sqrt(), "{rate}: {dropped}");
            assert!(mask.iter().all(|&m| m == 0.0 || m == 1.0 / (1.0 - rate)));
        }
    }
}
