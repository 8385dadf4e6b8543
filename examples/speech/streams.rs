//! Streams of speech: recordings one after the other, with quiet before, between and after them, as a microphone hears them.
//!
//! A network that listens is never told when a word begins. If all that it is trained on is single words, its state is new at
//! the first step of each, and it has not learned to hear a word after another one.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::audio::RATE;
use crate::corpus::{Clip, Recording};
use crate::features::FrontEnd;
use crate::phones::Pronunciations;

/// The most recordings in a stream.
const MOST: usize = 5;
/// The length of what is in a stream, in s, beyond which nothing is added: training keeps the values of all its steps.
const LONGEST: usize = 20;
/// The most pronunciations of a stream: training computes the loss of each.
const PRONUNCIATIONS: usize = 8;
/// The length of quiet, in s.
const QUIET: [f64; 2] = [0.1, 0.5];
/// How far the noise in quiet is below the recording before it, in bels of power.
const BELOW: [f64; 2] = [3.0, 7.0];

/// Streams of recordings, each of which is in one stream. Those of a stream are of one speaker, and drawn at random.
pub(crate) fn streams(recordings: &[Recording], rng: &mut impl Rng) -> Vec<Clip> {
    let front_end = FrontEnd::new();
    let mut order: Vec<&Recording> = recordings.iter().collect();
    order.shuffle(rng);
    order.sort_by(|a, b| a.speaker.cmp(&b.speaker));
    let mut left = &order[..];
    let mut streams = Vec::new();
    while !left.is_empty() {
        let (own, others) = left.split_at(together(left, rng.random_range(2..=MOST)));
        let features = front_end.features(&samples(own, rng)).expect("there is quiet of more than a window");
        let name = own.iter().map(|recording| &*recording.clip.name).collect::<Vec<_>>().join(" + ");
        streams.push(Clip { name, features, pronunciations: pronunciations(own) });
        left = others;
    }
    streams
}

/// How many recordings from the first on are a stream: `most`, or fewer if they are not of one speaker, are long, or have too many
/// pronunciations.
fn together(recordings: &[&Recording], most: usize) -> usize {
    let mut count = 1;
    let (mut ways, mut length) = (recordings[0].clip.pronunciations.len(), recordings[0].samples.len());
    for recording in recordings.iter().take(most).skip(1) {
        ways = ways.saturating_mul(recording.clip.pronunciations.len());
        length += recording.samples.len();
        let is_long = length > LONGEST * RATE as usize;
        if recording.speaker != recordings[0].speaker || ways > PRONUNCIATIONS || is_long {
            break;
        }
        count += 1;
    }
    count
}

/// Every pronunciation of recordings that are said one after the other; the usual one first.
fn pronunciations(recordings: &[&Recording]) -> Pronunciations {
    let all = recordings.iter().fold(vec![Vec::new()], |before, recording| {
        let of_this = |phones: &Vec<usize>| {
            recording.clip.pronunciations.iter().map(|own| [&phones[..], own].concat()).collect::<Vec<_>>()
        };
        before.iter().flat_map(of_this).collect()
    });
    all.into()
}

/// The samples of a stream.
fn samples(recordings: &[&Recording], rng: &mut impl Rng) -> Vec<f32> {
    let mut samples = quiet(recordings[0], rng);
    for recording in recordings {
        samples.extend(&recording.samples);
        samples.extend(quiet(recording, rng));
    }
    samples
}

/// Normal noise that is so much softer than a recording, of some length.
fn quiet(beside: &Recording, rng: &mut impl Rng) -> Vec<f32> {
    let power = beside.samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / beside.samples.len().max(1) as f64;
    let deviation = (power * 10_f64.powf(-rng.random_range(BELOW[0]..=BELOW[1]))).sqrt();
    let count = (rng.random_range(QUIET[0]..=QUIET[1]) * f64::from(RATE)) as usize;
    let noise = |_| {
        let x: f64 = StandardNormal.sample(rng);
        (deviation * x) as f32
    };
    (0..count).map(noise).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::features::HOP;
    use rewind_autograd::Tensor;

    /// A second of a recording that says its number, in `ways` ways.
    fn recording(number: usize, speaker: &str, ways: usize) -> Recording {
        let clip = Clip {
            name: number.to_string(),
            features: Tensor::zeros(&[1, 1]),
            pronunciations: (0..ways).map(|way| vec![number, 100 + way]).collect(),
        };
        let samples = (0..RATE).map(|i| (i as f32 * 0.7).sin()).collect();
        Recording { clip, samples, speaker: speaker.to_owned() }
    }

    #[test]
    fn each_recording_is_in_one_stream_of_its_speaker() {
        for count in [1, 2, 7, 33] {
            let recordings: Vec<_> = (0..count).map(|i| recording(i, ["a", "b"][i % 2], 1 + i % 3)).collect();
            let streams = streams(&recordings, &mut StdRng::seed_from_u64(1));
            let mut found = Vec::new();
            for stream in &streams {
                let own: Vec<usize> = stream.name.split(" + ").map(|name| name.parse().unwrap()).collect();
                assert!(own.len() <= MOST && own.iter().all(|i| i % 2 == own[0] % 2), "{own:?}");
                let ways: usize = own.iter().map(|i| 1 + i % 3).product();
                assert!(stream.pronunciations.len() == ways && ways <= PRONUNCIATIONS, "{own:?}");
                let usual: Vec<usize> = own.iter().flat_map(|&i| [i, 100]).collect();
                assert_eq!(stream.pronunciations[0], usual);
                // A second for each recording, and quiet around.
                let seconds = stream.features.shape()[0] as f64 * HOP as f64 / f64::from(RATE);
                let [least, most] = QUIET.map(|quiet| own.len() as f64 + (own.len() + 1) as f64 * quiet);
                assert!((least - 0.05..most + 0.05).contains(&seconds), "{seconds} s of {own:?}");
                found.extend(own);
            }
            assert!(count < 7 || streams.len() < count, "some are joined");
            found.sort();
            assert_eq!(found, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_word_with_many_pronunciations_is_alone() {
        let recordings = [recording(0, "a", 9), recording(1, "a", 9), recording(2, "a", 1)];
        for seed in 0..5 {
            let streams = streams(&recordings, &mut StdRng::seed_from_u64(seed));
            let nine = streams.iter().filter(|stream| stream.pronunciations.len() == 9).count();
            assert_eq!(nine, 2, "each pronunciation of both is there, and no product of them");
        }
    }

    #[test]
    fn long_recordings_are_not_joined() {
        let long = |seconds: usize| Recording { samples: vec![0.1; seconds * RATE as usize], ..recording(0, "a", 1) };
        let [nine, twelve, hour] = [9, 12, 3600].map(long);
        assert_eq!(together(&[&nine, &nine, &nine], 5), 2);
        assert_eq!([together(&[&nine, &twelve], 5), together(&[&hour, &nine], 5)], [1, 1]);
    }

    #[test]
    fn quiet_is_softer_than_what_is_said() {
        let rng = &mut StdRng::seed_from_u64(1);
        let root_mean_square = |x: &[f32]| (x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32).sqrt();
        for _ in 0..20 {
            let quiet = root_mean_square(&quiet(&recording(0, "", 1), rng));
            // 30 to 70 decibels below 1/√2, with the spread of an estimate from 800 numbers.
            assert!((0.9 * 0.707 * 10_f32.powf(-3.5)..1.1 * 0.707 * 10_f32.powf(-1.5)).contains(&quiet), "{quiet}");
        }
        let silent = Recording { samples: Vec::new(), ..recording(0, "", 1) };
        assert!(super::quiet(&silent, rng).iter().all(|&x| x == 0.0));
    }
}
