//! What the program says is measured: formants, pitch, bands of noise.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const PLAIN: Speaker = Speaker { pitch: 100.0, scale: 1.0, rate: 1.0, noise: 1e-4 };

fn class(name: &str) -> usize {
    class_of(name).unwrap()
}

/// The middle 60 ms of one phone.
fn middle_of(name: &str, speaker: Speaker) -> Vec<f64> {
    let samples = speak(&[class(name)], speaker, &mut StdRng::seed_from_u64(3));
    let from = samples.len() / 2 - 240;
    samples[from..from + 480].iter().map(|&x| f64::from(x)).collect()
}

/// The coefficients of linear prediction, x_n ≈ -Σ_k a_k·x_(n-k), by the covariance method (Atal and Hanauer 1971), after a
/// difference that undoes the slope of the source.
fn prediction(x: &[f64], order: usize) -> Vec<f64> {
    let x: Vec<f64> = x.windows(2).map(|pair| pair[1] - 0.8 * pair[0]).collect();
    let product = |i: usize, j: usize| (order..x.len()).map(|n| x[n - i] * x[n - j]).sum::<f64>();
    // A little on the diagonal: the rows may be almost dependent.
    let entry = |i: usize, j: usize| product(i, j) + if i == j { 1e-9 * product(0, 0) } else { 0.0 };
    let mut rows: Vec<Vec<f64>> =
        (1..=order).map(|i| (1..=order).map(|j| entry(i, j)).chain([-product(i, 0)]).collect()).collect();
    for k in 0..order {
        let pivot = rows[k].clone();
        for row in rows.iter_mut().enumerate().filter(|(i, _)| *i != k).map(|(_, row)| row) {
            let factor = row[k] / pivot[k];
            row.iter_mut().zip(&pivot).for_each(|(x, p)| *x -= factor * p);
        }
    }
    (0..order).map(|k| rows[k][order] / rows[k][k]).collect()
}

/// Where the spectrum of the prediction, 1 / |1 + Σ a_k·e^(-iωk)|, has its peaks, in Hz.
fn peaks(x: &[f64]) -> Vec<f64> {
    let a = prediction(x, 10);
    let power = |f: f64| {
        let angle = |k: usize| 2.0 * PI * f * k as f64 / f64::from(RATE);
        let sums =
            (1..).zip(&a).fold((1.0, 0.0), |(re, im), (k, a)| (re + a * angle(k).cos(), im - a * angle(k).sin()));
        1.0 / (sums.0 * sums.0 + sums.1 * sums.1)
    };
    (12..390)
        .map(|k| 10.0 * f64::from(k))
        .filter(|&f| power(f) > power(f - 10.0) && power(f) > power(f + 10.0))
        .collect()
}

#[test]
fn vowels_have_their_formants_where_they_should_be() {
    for scale in [1.0, 1.1] {
        for (name, formants) in VOWELS {
            let found = peaks(&middle_of(name, Speaker { scale, ..PLAIN }));
            for formant in formants {
                let near = found.iter().map(|f| (f - scale * formant).abs()).fold(f64::INFINITY, f64::min);
                assert!(near < 40.0 + 0.03 * formant, "{name}: {formant} times {scale}, found {found:?}");
            }
        }
    }
}

/// The share of the power between two frequencies.
fn share(x: &[f64], [low, high]: [f64; 2]) -> f64 {
    let power = |f: f64| {
        let (re, im) = x.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, x)| {
            let angle = 2.0 * PI * f * n as f64 / f64::from(RATE);
            (re + x * angle.cos(), im + x * angle.sin())
        });
        re * re + im * im
    };
    let all: Vec<f64> = (1..80).map(|k| 50.0 * f64::from(k)).collect();
    all.iter().filter(|&&f| f >= low && f <= high).map(|&f| power(f)).sum::<f64>()
        / all.iter().map(|&f| power(f)).sum::<f64>()
}

#[test]
fn fricatives_are_noise_in_their_bands() {
    assert!(share(&middle_of("S", PLAIN), [3200.0, 4000.0]) > 0.8);
    assert!(share(&middle_of("SH", PLAIN), [2000.0, 3000.0]) > 0.7);
    assert!(share(&middle_of("M", PLAIN), [0.0, 600.0]) > 0.7);
}

#[test]
fn the_pitch_is_that_of_the_speaker() {
    for pitch in [100.0, 180.0] {
        let x = middle_of("AH", Speaker { pitch, ..PLAIN });
        let correlation = |lag: usize| x.iter().zip(&x[lag..]).map(|(a, b)| a * b).sum::<f64>();
        let best = (32..110).max_by(|&a, &b| correlation(a).total_cmp(&correlation(b))).unwrap();
        let found = f64::from(RATE) / best as f64;
        assert!((found / pitch - 1.0).abs() < 0.06, "{found} for {pitch}");
    }
}

#[test]
fn every_phone_is_in_some_word_and_sounds_and_is_not_too_loud() {
    let rng = &mut StdRng::seed_from_u64(5);
    let said: std::collections::BTreeSet<usize> = (0..400).flat_map(|_| words(rng)).collect();
    assert_eq!(said.into_iter().collect::<Vec<_>>(), (1..=PHONES.len()).collect::<Vec<_>>());
    for phone in PHONES {
        let loudest = speak(&[class(phone)], PLAIN, rng).iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        let least = if phone == "SIL" { 0.0 } else { 0.005 };
        assert!(loudest > least && loudest < 1.0, "{phone}: {loudest}");
    }
}

#[test]
fn a_seed_says_the_same() {
    let say = |seed| {
        let rng = &mut StdRng::seed_from_u64(seed);
        let (speaker, phones) = (Speaker::draw(rng), words(rng));
        speak(&phones, speaker, rng)
    };
    assert_eq!(say(7), say(7));
    assert_ne!(say(7), say(8));
}
