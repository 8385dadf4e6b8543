//! How each phone sounds: what its source is and where its resonances are.

/// A part of a phone in which the mouth holds one position. Formants move from part to part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Its length in milliseconds, for a speaker of mean rate.
    pub(super) ms: f64,
    /// The resonances of the mouth in Hz, for a mean man.
    pub(super) formants: [f64; 3],
    /// The loudness of the voice.
    pub(super) voice: f64,
    /// The loudness of the noise, and the middle and the width of its band in Hz.
    pub(super) noise: f64,
    pub(super) band: [f64; 2],
    /// Whether the nose is open: it damps the resonances.
    pub(super) nasal: bool,
}

/// A mouth in rest, in silence.
const REST: Part =
    Part { ms: 0.0, formants: [500.0, 1500.0, 2500.0], voice: 0.0, noise: 0.0, band: [2000.0, 1000.0], nasal: false };

fn voiced(ms: f64, voice: f64, formants: [f64; 3]) -> Part {
    Part { ms, formants, voice, ..REST }
}

fn nasal(formants: [f64; 3]) -> Vec<Part> {
    vec![Part { nasal: true, ..voiced(80.0, 0.5, formants) }]
}

/// Noise, and the voice with it for those of the voiced ones.
fn fricative(ms: f64, noise: f64, band: [f64; 2], voice: f64, formants: [f64; 3]) -> Vec<Part> {
    vec![Part { ms, formants, voice, noise, band, nasal: false }]
}

/// A closure, a burst, and for the voiceless ones a breath after it.
fn stop(closed: f64, bar: f64, burst: [f64; 2], breath: f64, formants: [f64; 3]) -> Vec<Part> {
    let shut = Part { ms: closed, formants: [200.0, formants[1], formants[2]], voice: bar, ..REST };
    let burst = Part { ms: 12.0, formants, noise: 0.9, band: burst, ..REST };
    let breath = Part { ms: breath, formants, noise: 0.15, band: [1500.0, 1500.0], ..REST };
    if breath.ms > 0.0 { vec![shut, burst, breath] } else { vec![shut, burst] }
}

/// The vowels of one position, with the formants of men in Hz (Peterson and Barney 1952).
pub(super) const VOWELS: [(&str, [f64; 3]); 9] = [
    ("IY", [270.0, 2290.0, 3010.0]),
    ("IH", [390.0, 1990.0, 2550.0]),
    ("EH", [530.0, 1840.0, 2480.0]),
    ("AE", [660.0, 1720.0, 2410.0]),
    ("AH", [640.0, 1190.0, 2390.0]),
    ("AA", [730.0, 1090.0, 2440.0]),
    ("UH", [440.0, 1020.0, 2240.0]),
    ("UW", [300.0, 870.0, 2240.0]),
    ("ER", [490.0, 1350.0, 1690.0]),
];

/// The vowels that move from one position to another.
pub(super) const DIPHTHONGS: [(&str, [[f64; 3]; 2]); 5] = [
    ("EY", [[490.0, 1880.0, 2500.0], [310.0, 2200.0, 2900.0]]),
    ("AY", [[720.0, 1150.0, 2440.0], [370.0, 2050.0, 2600.0]]),
    ("AW", [[710.0, 1230.0, 2440.0], [400.0, 900.0, 2240.0]]),
    ("OW", [[530.0, 950.0, 2350.0], [350.0, 780.0, 2240.0]]),
    ("OY", [[530.0, 850.0, 2400.0], [370.0, 2000.0, 2600.0]]),
];

/// The parts of a phone. Consonants are after Klatt (1980); above 4 kHz there is nothing, as on a telephone.
pub(super) fn parts(phone: &str) -> Vec<Part> {
    if let Some((_, formants)) = VOWELS.iter().find(|(name, _)| *name == phone) {
        return vec![voiced(110.0, 1.0, *formants)];
    }
    if let Some((_, [from, to])) = DIPHTHONGS.iter().find(|(name, _)| *name == phone) {
        return vec![voiced(80.0, 1.0, *from), voiced(80.0, 0.9, *to)];
    }
    let (lips, ridge, soft) = ([350.0, 900.0, 2200.0], [350.0, 1700.0, 2600.0], [350.0, 1900.0, 2200.0]);
    let (hiss, hush, teeth, lip) = ([3700.0, 500.0], [2500.0, 500.0], [2900.0, 2500.0], [1300.0, 2500.0]);
    match phone {
        "W" => vec![voiced(70.0, 0.6, [290.0, 610.0, 2150.0])],
        "Y" => vec![voiced(70.0, 0.6, [260.0, 2200.0, 3020.0])],
        "R" => vec![voiced(75.0, 0.6, [330.0, 1060.0, 1380.0])],
        "L" => vec![voiced(75.0, 0.6, [360.0, 1050.0, 2880.0])],
        "M" => nasal([250.0, 900.0, 2200.0]),
        "N" => nasal([250.0, 1500.0, 2500.0]),
        "NG" => nasal([250.0, 2000.0, 2300.0]),
        "S" => fricative(100.0, 0.5, hiss, 0.0, ridge),
        "Z" => fricative(85.0, 0.35, hiss, 0.25, ridge),
        "SH" => fricative(100.0, 0.5, hush, 0.0, ridge),
        "F" => fricative(95.0, 0.15, lip, 0.0, lips),
        "V" => fricative(65.0, 0.1, lip, 0.3, lips),
        "TH" => fricative(95.0, 0.15, teeth, 0.0, ridge),
        "DH" => fricative(55.0, 0.08, teeth, 0.3, ridge),
        "HH" => fricative(70.0, 0.2, [1500.0, 1500.0], 0.0, REST.formants),
        "P" => stop(65.0, 0.0, [700.0, 700.0], 30.0, lips),
        "T" => stop(60.0, 0.0, [3500.0, 700.0], 30.0, ridge),
        "K" => stop(60.0, 0.0, [1800.0, 500.0], 35.0, soft),
        "B" => stop(60.0, 0.12, [700.0, 700.0], 0.0, lips),
        "D" => stop(55.0, 0.12, [3500.0, 700.0], 0.0, ridge),
        "G" => stop(55.0, 0.12, [1800.0, 500.0], 0.0, soft),
        "DX" => vec![voiced(25.0, 0.2, [250.0, 1700.0, 2600.0])],
        "CH" => [stop(55.0, 0.0, hush, 0.0, ridge), fricative(70.0, 0.5, hush, 0.0, ridge)].concat(),
        "JH" => [stop(50.0, 0.12, hush, 0.0, ridge), fricative(50.0, 0.35, hush, 0.2, ridge)].concat(),
        // A pause.
        _ => vec![Part { ms: 130.0, ..REST }],
    }
}
