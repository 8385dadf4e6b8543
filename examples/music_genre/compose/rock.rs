//! Rock: short loops of power chords (I-bVII-IV and its kin), riffs repeated note for note, driving or syncopated
//! eighths cut short, chords pushed ahead of the bar line, and pentatonic licks.

use super::page::{Page, Part};
use super::theory::{
    Chord, Feel, MAJOR_PENTATONIC, MINOR_PENTATONIC, MIXOLYDIAN, NATURAL_MINOR, Quality, chord, degree,
};
use crate::score::STEPS_PER_BAR;
use Quality::{Major, Minor, Power, Suspended};

/// Loops of four bars: Mixolydian, Aeolian, major, and the minor pentatonic in chords.
const LOOPS: [[Chord; 4]; 12] = [
    [chord(0, Major), chord(10, Major), chord(5, Major), chord(0, Major)],
    [chord(0, Major), chord(10, Major), chord(5, Major), chord(5, Major)],
    [chord(0, Major), chord(7, Major), chord(9, Minor), chord(5, Major)],
    [chord(0, Major), chord(5, Major), chord(7, Major), chord(5, Major)],
    [chord(0, Minor), chord(8, Major), chord(3, Major), chord(10, Major)],
    [chord(0, Minor), chord(10, Major), chord(8, Major), chord(7, Major)],
    [chord(0, Minor), chord(3, Major), chord(5, Major), chord(0, Minor)],
    [chord(0, Major), chord(3, Major), chord(5, Major), chord(10, Major)],
    [chord(9, Minor), chord(5, Major), chord(0, Major), chord(7, Major)],
    [chord(0, Major), chord(2, Major), chord(5, Major), chord(0, Major)],
    [chord(0, Major), chord(4, Minor), chord(5, Major), chord(7, Major)],
    [chord(0, Minor), chord(7, Major), chord(0, Minor), chord(10, Major)],
];

/// Onsets in the bar and lengths. Cut short, or repeated notes would run together.
type Rhythm = &'static [(u32, u32)];

const DRIVE: Rhythm = &[(0, 1), (2, 1), (4, 1), (6, 1), (8, 1), (10, 1), (12, 1), (14, 1)];
const GALLOP: Rhythm = &[(0, 1), (2, 1), (3, 1), (4, 1), (6, 1), (7, 1), (8, 1), (10, 1), (11, 1), (12, 1), (14, 1)];
const THREES: Rhythm = &[(0, 2), (3, 2), (6, 1), (8, 2), (11, 2), (14, 1)];
const PUSHED: Rhythm = &[(0, 3), (4, 1), (6, 4), (12, 1), (14, 2)];
const STABS: Rhythm = &[(0, 2), (6, 2), (8, 1), (10, 3), (14, 1)];
const ANTHEM: Rhythm = &[(0, 5), (6, 7), (14, 1)];

/// The rhythms of the chords, of the bass and of riffs.
const RHYTHMS: [Rhythm; 6] = [DRIVE, GALLOP, THREES, PUSHED, STABS, ANTHEM];

/// A riff: onsets, lengths, and semitones above the chord's root.
type Riff = Vec<(u32, u32, i32)>;

/// Writes a rock piece.
pub(super) fn write(page: &mut Page) {
    // A few rock songs do shuffle.
    let feel = if page.chance(3) { Feel::Long } else { Feel::Straight };
    let harmony = page.pick(&LOOPS);
    let minor = harmony.iter().any(|chord| chord.root == 3 || chord.root == 8);
    let scale = if minor { MINOR_PENTATONIC } else { page.pick(&[MAJOR_PENTATONIC, MINOR_PENTATONIC]) };
    let rhythm = page.pick(&RHYTHMS);
    // A held chord has eighths going on beneath it.
    let bass_rhythm = if rhythm == ANTHEM || page.chance(40) { DRIVE } else { rhythm };
    let full = page.pick(&[Some(Power), Some(Power), None, None]);
    let riff = make_riff(page, minor);
    let riffing = page.pick(&[0, 4, 8]);
    let moves_along = page.chance(60);
    for bar in 0..page.bars() {
        let start = bar * STEPS_PER_BAR;
        let now = harmony[bar as usize % 4];
        let next = harmony[(bar as usize + 1) % 4];
        let root = low(now.root);
        // The riff replaces the chords in some sections of four bars.
        if bar % 8 < riffing {
            let from = if moves_along { root } else { 0 };
            let part = if page.ensemble.chords { Part::Chords } else { Part::Bass };
            for &(onset, length, pitch) in &riff {
                let (onset, length) = swing(feel, onset, length);
                page.play(part, start + onset, length, from + pitch);
                if page.ensemble.bass && page.ensemble.chords {
                    page.play(Part::Bass, start + onset, length, from + pitch);
                }
            }
            continue;
        }
        if page.ensemble.chords {
            let quality = full.unwrap_or(now.quality);
            strum(page, feel, start, rhythm, chord(root, quality), next);
        }
        if page.ensemble.bass {
            drive(page, feel, start, bass_rhythm, root, low(next.root));
        }
    }
    if page.ensemble.melody {
        solo(page, feel, scale);
    }
}

/// Roots lie within a sixth of the tonic, above or below.
fn low(root: i32) -> i32 {
    if root > 7 { root - 12 } else { root }
}

/// Bends a straight rhythm to the feel: what falls on an off-beat eighth comes a step later.
fn swing(feel: Feel, onset: u32, length: u32) -> (u32, u32) {
    if feel == Feel::Long && onset % 4 == 2 { (onset + 1, 1) } else { (onset, length) }
}

fn strum(page: &mut Page, feel: Feel, start: u32, rhythm: Rhythm, now: Chord, next: Chord) {
    let pushes = page.chance(35);
    for &(onset, length) in rhythm {
        // The last eighth may already belong to the next bar's chord.
        let here = if pushes && onset == 14 { chord(low(next.root), now.quality) } else { now };
        // A suspended fourth resolves within the bar.
        let here =
            if here.quality == Major && onset == 6 && page.chance(25) { chord(here.root, Suspended) } else { here };
        let (onset, length) = swing(feel, onset, length);
        for index in 0..here.size() {
            page.play(Part::Chords, start + onset, length, here.tone(index));
        }
    }
}

fn drive(page: &mut Page, feel: Feel, start: u32, rhythm: Rhythm, root: i32, next: i32) {
    let walks_up = page.chance(30);
    for &(onset, length) in rhythm {
        let pitch = match onset {
            14 if walks_up => next - 2,
            12 if walks_up => root + 7,
            _ => root,
        };
        let (onset, length) = swing(feel, onset, length);
        page.play(Part::Bass, start + onset, length, pitch);
    }
}

/// A bar of riff in which the root comes back again and again.
fn make_riff(page: &mut Page, minor: bool) -> Riff {
    let scale =
        if minor { page.pick(&[MINOR_PENTATONIC, NATURAL_MINOR]) } else { page.pick(&[MINOR_PENTATONIC, MIXOLYDIAN]) };
    let rhythm = page.pick(&RHYTHMS[..5]);
    let mut place = 0;
    rhythm
        .iter()
        .map(|&(onset, length)| {
            place = if onset % 8 == 0 || page.chance(35) {
                0
            } else {
                (place + page.pick(&[-1, 1, 1, 2])).clamp(-2, scale.len() as i32)
            };
            (onset, length, degree(scale, place))
        })
        .collect()
}

/// Licks of half a bar, repeated, with bent and held notes between them.
fn solo(page: &mut Page, feel: Feel, scale: &[i32]) {
    let lick = [0; 4].map(|_| page.between(0, 2 + scale.len() as i32));
    let sung = [(0, 3), (4, 1), (6, 4), (12, 1), (14, 1)];
    let mut place = 2;
    for bar in 0..page.bars() {
        let start = bar * STEPS_PER_BAR;
        match page.below(7) {
            // The lick in running sixteenths, again and again.
            0 => {
                for (i, &at) in (0..16).zip(lick.iter().cycle()) {
                    page.play(Part::Melody, start + i, 1, degree(scale, at));
                }
            }
            // A whole tone bent up and held.
            1 | 2 => {
                let target = degree(scale, page.between(2, 4));
                page.play(Part::Melody, start, 1, target - 2);
                page.play(Part::Melody, start + 1, 6, target);
                page.play(Part::Melody, start + 8, 5, degree(scale, lick[0]));
            }
            // A sung line.
            3 | 4 => {
                for (onset, length) in sung {
                    place = (place + page.between(-1, 1)).clamp(0, 6);
                    let (onset, length) = swing(feel, onset, length);
                    page.play(Part::Melody, start + onset, length, degree(scale, place));
                }
            }
            // The lick in eighths, then a rest.
            _ => {
                for (i, &at) in (0..4).zip(&lick) {
                    let (onset, _) = feel.eighth(i);
                    page.play(Part::Melody, start + onset, 1, degree(scale, at));
                }
            }
        }
    }
}
