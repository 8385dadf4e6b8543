//! Speech of the program's own: a source (pulses of the glottis, or noise) through resonators for the formants (Klatt 1980).

mod sounds;
#[cfg(test)]
mod tests;

use std::f64::consts::PI;

use rand::Rng;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_distr::{Distribution, StandardNormal};

use crate::audio::RATE;
use crate::phones::{PHONES, class_of};
use sounds::{DIPHTHONGS, Part, VOWELS, parts};

/// Time constants in seconds: how fast the mouth moves, and how fast a source swells.
const MOUTH: f64 = 0.012;
const SWELL: f64 = 0.004;
/// The widths of the resonances in Hz, and the place and the width of a fourth one, which does not move.
const WIDTHS: [f64; 3] = [60.0, 90.0, 140.0];
const FOURTH: [f64; 2] = [3600.0, 250.0];
/// What an open nose adds to each width.
const NASAL: f64 = 120.0;
/// The time of silence before and after an utterance, in ms.
const SILENCE: f64 = 60.0;

/// Who speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaker {
    /// The pitch in Hz.
    pub(crate) pitch: f64,
    /// What formants are multiplied by: a shorter throat has higher ones.
    pub(crate) scale: f64,
    /// What durations are divided by.
    pub(crate) rate: f64,
    /// The deviation of the noise of the room, for a voice of about 0.1.
    pub(crate) noise: f64,
}

impl Speaker {
    /// Men, women and children: with a higher pitch, the formants are higher.
    pub(crate) fn draw(rng: &mut impl Rng) -> Speaker {
        let height = rng.random_range(0.0..1.0);
        Speaker {
            pitch: 90.0 * (1.0 + 1.6 * height) * rng.random_range(0.92..1.08),
            scale: 0.94 + 0.22 * height + rng.random_range(-0.03..0.03),
            rate: rng.random_range(0.85..1.3),
            noise: rng.random_range(5e-4..6e-3),
        }
    }
}

/// A resonator of two poles with gain 1 at 0 Hz: y_n = a·x_n + b·y_(n-1) + c·y_(n-2), where c = -exp(-2π·width/rate),
/// b = 2·exp(-π·width/rate)·cos(2π·middle/rate) and a = 1 - b - c (Klatt 1980).
#[derive(Clone, Copy, Default)]
struct Resonator {
    last: [f64; 2],
}

impl Resonator {
    fn step(&mut self, x: f64, middle: f64, width: f64) -> f64 {
        let rate = f64::from(RATE);
        let radius = (-PI * width / rate).exp();
        let (b, c) = (2.0 * radius * (2.0 * PI * middle / rate).cos(), -radius * radius);
        let y = (1.0 - b - c) * x + b * self.last[0] + c * self.last[1];
        self.last = [y, self.last[0]];
        y
    }
}

/// The samples of phones, in [-1, 1] or a little beyond, as this speaker says them.
pub(crate) fn speak(phones: &[usize], speaker: Speaker, rng: &mut impl Rng) -> Vec<f32> {
    let pause = |ms| Part { ms, ..parts("SIL")[0] };
    let spoken = phones.iter().flat_map(|&class| {
        let stretch = rng.random_range(0.8..1.25) / speaker.rate;
        parts(PHONES[class - 1]).into_iter().map(move |part| Part { ms: part.ms * stretch, ..part })
    });
    let mut all: Vec<Part> = [pause(SILENCE)].into_iter().chain(spoken).collect();
    all.push(pause(SILENCE));
    let length = all.iter().map(|part| part.ms).sum::<f64>() / 1000.0;
    let mut throat = Throat::new(all[1], speaker);
    let mut samples = Vec::new();
    let (mut time, mut end) = (0.0, 0.0);
    for part in all {
        end += part.ms / 1000.0;
        while time < end {
            // The voice falls by a fifth in an utterance.
            samples.push(throat.step(&part, 1.1 - 0.2 * time / length, rng) as f32);
            time += 1.0 / f64::from(RATE);
        }
    }
    samples
}

/// Source and filter as they are at one moment.
struct Throat {
    speaker: Speaker,
    formants: [f64; 3],
    voice: f64,
    noise: f64,
    extra: f64,
    /// The phase of the glottis, 0 to 1, and its pulse.
    phase: f64,
    jitter: f64,
    pulse: f64,
    resonators: [Resonator; 4],
    hiss: Resonator,
}

impl Throat {
    fn new(first: Part, speaker: Speaker) -> Throat {
        Throat {
            speaker,
            formants: first.formants,
            voice: 0.0,
            noise: 0.0,
            extra: 0.0,
            phase: 0.0,
            jitter: 1.0,
            pulse: 0.0,
            resonators: [Resonator::default(); 4],
            hiss: Resonator::default(),
        }
    }

    /// The next sample: everything moves towards what the part asks for. `fall` multiplies the pitch.
    fn step(&mut self, part: &Part, fall: f64, rng: &mut impl Rng) -> f64 {
        let rate = f64::from(RATE);
        let towards = |value: &mut f64, goal: f64, time: f64| *value += (goal - *value) / (time * rate);
        for (formant, goal) in self.formants.iter_mut().zip(part.formants) {
            towards(formant, goal, MOUTH);
        }
        towards(&mut self.voice, part.voice, SWELL);
        towards(&mut self.noise, part.noise, SWELL);
        towards(&mut self.extra, if part.nasal { NASAL } else { 0.0 }, SWELL);

        self.phase += self.speaker.pitch * fall * self.jitter / rate;
        if self.phase >= 1.0 {
            self.phase -= 1.0;
            self.jitter = rng.random_range(0.98..1.02);
            self.pulse += 1.0;
        }
        // A pulse of which the spectrum falls by 6 dB an octave, the sound that leaves the lips included.
        self.pulse *= 0.8;
        let white: [f64; 2] = [StandardNormal.sample(rng), StandardNormal.sample(rng)];
        let mut sound = self.voice * self.pulse;
        let places = self.formants.iter().zip(WIDTHS).map(|(f, width)| [f * self.speaker.scale, width + self.extra]);
        for (resonator, [middle, width]) in self.resonators.iter_mut().zip(places.chain([FOURTH])) {
            sound = resonator.step(sound, middle.min(0.49 * rate), width);
        }
        // Its gain at its middle is about a / (width·…): the loudness of noise does not depend on its band.
        let [middle, width] = [part.band[0].min(0.48 * rate), part.band[1]];
        let gain = (width / rate).sqrt() / (1.0 - (2.0 * PI * middle / rate).cos()).max(0.05);
        let hiss = gain * self.hiss.step(white[0], middle, width);
        0.3 * sound + 0.2 * self.noise * hiss + self.speaker.noise * white[1]
    }
}

/// Consonants that begin a syllable, and those that end one.
const ONSETS: [&str; 22] = [
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z",
];
const CODAS: [&str; 19] =
    ["B", "CH", "D", "F", "G", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "Z"];

/// The classes of an utterance: a word of one or two syllables, and sometimes a pause and a second word.
pub(crate) fn words(rng: &mut impl Rng) -> Vec<usize> {
    let mut names: Vec<&str> = Vec::new();
    let vowels: Vec<&str> =
        VOWELS.iter().map(|(name, _)| *name).chain(DIPHTHONGS.iter().map(|(name, _)| *name)).collect();
    let any = |among: &[&'static str], rng: &mut _| *among.choose(rng).expect("there are some");
    for word in 0..if rng.random_bool(0.25) { 2 } else { 1 } {
        if word > 0 {
            names.push("SIL");
        }
        for syllable in 0..rng.random_range(1..=2) {
            // A flap is only between vowels.
            let flap = syllable > 0 && rng.random_bool(0.2);
            if flap {
                names.push("DX");
            } else if syllable > 0 || rng.random_bool(0.8) {
                names.push(any(&ONSETS, rng));
            }
            names.push(vowels.choose(rng).expect("there are some"));
        }
        if rng.random_bool(0.7) {
            names.push(any(&CODAS, rng));
        }
    }
    names.iter().map(|name| class_of(name).expect("it is a phone")).collect()
}
