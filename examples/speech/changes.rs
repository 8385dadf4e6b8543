//! Recordings are changed at random in training, so that the network learns phones and not recordings.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use rewind_autograd::Tensor;

use crate::features::{BANDS, FEATURES};

/// How much is changed, 0 for nothing, where 1 is:
/// - time is stretched by up to a tenth (as by Ko et al. 2015);
/// - bands are moved as by a throat up to a twentieth longer or shorter (Jaitly and Hinton 2013);
/// - up to 4 bands and up to 4 steps become 0, the mean (Park et al. 2019);
/// - normal noise of deviation 0.1 is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changes(pub(crate) f64);

impl Changes {
    /// The features `[L, FEATURES]` of a recording, changed; no fewer than `least` steps.
    pub(crate) fn draw(self, features: &Tensor<f32>, least: usize, rng: &mut impl Rng) -> Tensor<f32> {
        let Changes(much) = self;
        if much <= 0.0 {
            return features.clone();
        }
        let steps = features.shape()[0];
        let [faster, longer] = [0.1, 0.05].map(|most: f64| 1.0 + (most * much).min(0.5) * rng.random_range(-1.0..=1.0));
        let stretched = ((steps as f64 * faster).round() as usize).max(least).max(1);
        let [bands, silence] = [BANDS, stretched].map(|all| mask(all, (4.0 * much) as usize, rng));
        let values = features.to_vec();
        let at = |t: usize, feature: usize| values[t * FEATURES + feature];
        let value = |t: usize, feature: usize| {
            let (group, band) = (feature / (BANDS + 1), feature % (BANDS + 1));
            if silence.contains(&t) || bands.contains(&band) {
                return 0.0;
            }
            let (t, share) = between(t as f64 * (steps - 1) as f64 / (stretched.max(2) - 1) as f64, steps);
            // The energy is not a band.
            let (band, part) = if band == BANDS { (band, 0.0) } else { between(band as f64 * longer, BANDS) };
            let place = group * (BANDS + 1) + band;
            let along = |t: usize| if part > 0.0 { mix(at(t, place), at(t, place + 1), part) } else { at(t, place) };
            if share > 0.0 { mix(along(t), along(t + 1), share) } else { along(t) }
        };
        let deviation = (0.1 * much) as f32;
        Tensor::from_fn(&[stretched, FEATURES], |i| {
            let noise: f32 = StandardNormal.sample(rng);
            value(i / FEATURES, i % FEATURES) + deviation * noise
        })
    }
}

/// A run of up to `most` of `all` places, a third of them at most.
fn mask(all: usize, most: usize, rng: &mut impl Rng) -> std::ops::Range<usize> {
    let length = rng.random_range(0..=most.min(all / 3));
    let from = rng.random_range(0..=all - length);
    from..from + length
}

/// The place before `x` and the share of the one after it, within `count` places.
fn between(x: f64, count: usize) -> (usize, f32) {
    let x = x.min((count - 1) as f64);
    (x as usize, x.fract() as f32)
}

fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + share * (b - a)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn nothing_is_changed_without_changes() {
        let x = Tensor::from_fn(&[7, FEATURES], |i| i as f32);
        assert_eq!(Changes(0.0).draw(&x, 1, &mut StdRng::seed_from_u64(1)), x);
    }

    #[test]
    fn recordings_of_any_length_are_changed_and_stay_long_enough() {
        let rng = &mut StdRng::seed_from_u64(1);
        for much in [1.0, 7.0] {
            for steps in [1, 2, 7, 33] {
                // Each feature is its own number: it moves along the bands and does not leave its group.
                let x = Tensor::from_fn(&[steps, FEATURES], |i| (i % FEATURES) as f32 + 1.0);
                let mut lengths = std::collections::BTreeSet::new();
                for _ in 0..50 {
                    let y = Changes(much).draw(&x, steps, rng);
                    lengths.insert(y.shape()[0]);
                    assert!(y.shape()[0] >= steps && y.shape()[1] == FEATURES);
                    for (i, y) in y.to_vec().into_iter().enumerate() {
                        let feature = i % FEATURES + 1;
                        let noise = 0.6 * much as f32;
                        let moved = (0.05 * much as f32).min(0.5) * BANDS as f32;
                        let is_moved = (y - feature as f32).abs() < moved + noise;
                        assert!(is_moved || y.abs() < noise, "{feature}: {y}");
                    }
                }
                assert!(steps < 7 || lengths.len() > 1, "{lengths:?}");
            }
        }
    }
}
