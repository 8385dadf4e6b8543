//! Electrocardiograms that the program makes itself: the dynamical model of McSharry, Clifford, Tarassenko and Smith
//! ("A dynamical model for generating synthetic electrocardiogram signals", IEEE Trans. Biomed. Eng. 50, 2003).
//!
//! A point runs round the unit circle, once a beat. On the circle, the first two of the model's three equations are
//! θ' = ω with ω = 2π / RR, where RR is the time from the last R wave to the next. The third is the signal, which the waves P, Q, R, S and
//! T attract and repel as the point passes their angles θ_i:
//!
//! z' = -Σ_i a_i Δθ_i exp(-Δθ_i² / (2 b_i²)) - (z - z_0), Δθ_i = θ - θ_i within (-π, π],
//!
//! where z_0 is the slow wandering of the baseline. Angles, heights a and widths b are those of the paper's table 1. A
//! rhythm is what changes them, and the times between beats.

use std::f64::consts::{PI, TAU};

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use rewind_examples::labelled::Labelled;

use crate::series::{normal, normalised};

/// Strips for training and for testing.
const COUNTS: [usize; 2] = [2000, 500];
/// Values of a strip, and values a second.
pub(crate) const VALUES: usize = 160;
const RATE: f64 = 50.0;
/// Steps of the integration for each value.
const STEPS: usize = 8;
/// The deviation of the noise of the electrodes, in deviations of the signal.
const NOISE: f64 = 0.1;

/// The wave of a beat: angle, height, width.
#[derive(Clone, Copy, Debug)]
struct Wave {
    angle: f64,
    height: f64,
    width: f64,
}

const fn wave(angle: f64, height: f64, width: f64) -> Wave {
    Wave { angle, height, width }
}

/// P, Q, R, S and T.
const WAVES: [Wave; 5] = [
    wave(-PI / 3.0, 1.2, 0.25),
    wave(-PI / 12.0, -5.0, 0.1),
    wave(0.0, 30.0, 0.1),
    wave(PI / 12.0, -7.5, 0.1),
    wave(PI / 2.0, 0.75, 0.4),
];
/// A beat that begins in a ventricle: no P, a broad R, a T that points the other way.
const VENTRICULAR: [Wave; 5] = [
    wave(-PI / 3.0, 0.0, 0.25),
    wave(-PI / 12.0, 0.0, 0.1),
    wave(0.0, 9.0, 0.25),
    wave(PI / 6.0, -3.0, 0.25),
    wave(PI / 2.0, -1.5, 0.4),
];

/// What is found in a strip, in the order of [`CLASSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rhythm {
    Normal,
    /// One beat of the atria comes early.
    Atrial,
    /// One beat of a ventricle comes early, and a pause follows.
    Ventricular,
    /// One P wave that no beat follows (second-degree block).
    Block,
    /// Beats at irregular times, without P waves.
    Fibrillation,
}

const RHYTHMS: [Rhythm; 5] = [Rhythm::Normal, Rhythm::Atrial, Rhythm::Ventricular, Rhythm::Block, Rhythm::Fibrillation];
/// The names of the classes.
pub(crate) const CLASSES: [&str; 5] = ["normal", "atrial", "ventricular", "block", "fibrillation"];

/// A beat: its waves, and the seconds from its R wave to the next.
#[derive(Clone, Copy, Debug)]
struct Beat {
    waves: [Wave; 5],
    rr: f64,
}

/// The beats of a rhythm, of which number `event` is the one that is not as the others.
fn beats(rhythm: Rhythm, count: usize, event: usize, rng: &mut impl Rng) -> Vec<Beat> {
    let mean = rng.random_range(0.55..0.85);
    // The breath and chance change the time of a beat a little.
    let mut regular = || mean * (1.0 + 0.03 * normal(rng));
    let mut beats: Vec<_> = (0..count).map(|_| Beat { waves: WAVES, rr: regular() }).collect();
    match rhythm {
        Rhythm::Normal => {}
        Rhythm::Atrial => beats[event - 1].rr *= 0.65,
        Rhythm::Ventricular => {
            beats[event - 1].rr *= 0.65;
            beats[event].waves = VENTRICULAR;
            beats[event].rr *= 1.35;
        }
        Rhythm::Block => beats[event].waves[1..].iter_mut().for_each(|wave| wave.height = 0.0),
        Rhythm::Fibrillation => {
            for beat in &mut beats {
                beat.waves[0].height = 0.0;
                beat.rr = mean * rng.random_range(0.65..1.45);
            }
        }
    }
    beats
}

/// A strip of a rhythm: [`VALUES`] values that begin anywhere in a beat.
fn strip(rhythm: Rhythm, rng: &mut impl Rng) -> Vec<f32> {
    // At 0.55 s a beat and 0.65 of that for some, a strip ends before the beats do.
    let count = 14;
    // The event is within the strip: 3.2 s hold the second beat after the first whole one at any rate.
    let beats = beats(rhythm, count, rng.random_range(2..4), rng);
    let (height, phase) = (rng.random_range(0.8..1.2), rng.random_range(0.0..TAU));
    let mut angle = rng.random_range(-PI..PI);
    let (mut beat, mut z, mut values) = (0, 0.0, vec![0.0; VALUES]);
    let dt = 1.0 / (RATE * STEPS as f64);
    for step in 0..VALUES * STEPS {
        // A value is the mean over its time, so that no R wave is lost between two.
        values[step / STEPS] += z / STEPS as f64;
        let baseline = 0.005 * (TAU * 0.25 * step as f64 * dt + phase).sin();
        // The midpoint method.
        let waves = beats[beat].waves;
        // From one R wave, at the angle 0, to the next.
        let omega = TAU / beats[if angle < 0.0 { beat.saturating_sub(1) } else { beat }].rr;
        let slope = |z: f64, angle: f64| {
            let pull = |wave: &Wave| {
                let away = (angle - wave.angle + PI).rem_euclid(TAU) - PI;
                -height * wave.height * away * (-away * away / (2.0 * wave.width * wave.width)).exp()
            };
            waves.iter().map(pull).sum::<f64>() - (z - baseline)
        };
        let middle = z + 0.5 * dt * slope(z, angle);
        z += dt * slope(middle, angle + 0.5 * dt * omega);
        angle += dt * omega;
        if angle >= PI {
            angle -= TAU;
            beat += 1;
        }
    }
    let mean = values.iter().sum::<f64>() / VALUES as f64;
    let deviation = (values.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / VALUES as f64).sqrt();
    values.iter().map(|z| (z + NOISE * deviation * normal(rng)) as f32).collect()
}

/// The training part and the test part of a seed, normalised, every class equally often.
pub(crate) fn make(seed: u64) -> [Labelled<Vec<f32>>; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    COUNTS.map(|count| {
        let labels: Vec<_> = (0..count).map(|i| i % CLASSES.len()).collect();
        let mut item = |&label: &usize| {
            let values: Vec<_> = strip(RHYTHMS[label], &mut rng).into_iter().map(f64::from).collect();
            normalised(values).expect("the beats of a strip change it")
        };
        let items = labels.iter().map(&mut item).collect();
        Labelled { classes: CLASSES.map(str::to_owned).into(), items, labels }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of the R waves: they are the only ones that are over within 40 ms.
    fn peaks(values: &[f32]) -> Vec<usize> {
        let sharp: Vec<f32> = values.windows(5).map(|five| five[2] - (five[0] + five[4]) / 2.0).collect();
        let highest = sharp.iter().copied().fold(f32::MIN, f32::max);
        let is_peak = |&t: &usize| {
            let around = &sharp[t.saturating_sub(6)..(t + 7).min(sharp.len())];
            sharp[t] > highest / 2.0 && around.iter().all(|&other| other <= sharp[t])
        };
        (0..sharp.len()).filter(is_peak).collect()
    }

    fn gaps(rhythm: Rhythm, seed: u64) -> Vec<f64> {
        let values = strip(rhythm, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(values.len(), VALUES);
        peaks(&values).windows(2).map(|pair| (pair[1] - pair[0]) as f64 / RATE).collect()
    }

    /// The longest gap by the shortest, in the mean over some strips.
    fn spread(rhythm: Rhythm) -> f64 {
        let one = |seed| {
            let gaps = gaps(rhythm, seed);
            gaps.iter().copied().fold(0.0, f64::max) / gaps.iter().copied().fold(f64::MAX, f64::min)
        };
        (0..20).map(one).sum::<f64>() / 20.0
    }

    #[test]
    fn rhythms_differ_in_the_times_between_beats() {
        for seed in 0..20 {
            let gaps = gaps(Rhythm::Normal, seed);
            assert!(gaps.len() >= 2 && gaps.iter().all(|gap| (0.45..1.0).contains(gap)), "{gaps:?}");
        }
        let normal = spread(Rhythm::Normal);
        assert!((1.0..1.2).contains(&normal), "{normal}");
        for rhythm in [Rhythm::Atrial, Rhythm::Ventricular, Rhythm::Block, Rhythm::Fibrillation] {
            assert!(spread(rhythm) > 1.3, "{rhythm:?}: {}", spread(rhythm));
        }
    }

    #[test]
    fn a_seed_decides_the_strips() {
        let [train, test] = make(3);
        assert_eq!(test.summary(), "100 normal, 100 atrial, 100 ventricular, 100 block, 100 fibrillation");
        assert_eq!(train.items.len(), COUNTS[0]);
        assert!(train.items.iter().flatten().all(|z| z.is_finite()));
        assert_ne!(train.items[0], test.items[0]);
        assert_eq!(make(3), [train, test.clone()]);
        assert_ne!(make(4)[1], test);
    }
}
