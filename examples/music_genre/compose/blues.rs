//! The blues: twelve bars, dominant sevenths on I, IV and V, shuffled eighths, a walking or boogie bass, and a melody
//! in the form call, call, answer (AAB) with blue notes.

use super::page::{Page, Part};
use super::theory::{BLUES_SCALE, Chord, Feel, MAJOR_BLUES_SCALE, MINOR_PENTATONIC, Quality, chord, degree};
use crate::score::STEPS_PER_BAR;
use Quality::{DiminishedSeventh, Dominant, MinorSeventh};

const I: Chord = chord(0, Dominant);
const IV: Chord = chord(5, Dominant);
const V: Chord = chord(7, Dominant);
const MINOR_I: Chord = chord(0, MinorSeventh);
const MINOR_IV: Chord = chord(5, MinorSeventh);

/// The plain form, the one with a quick change, the jazz blues with its ii-V, the minor blues.
const FORMS: [[Chord; 12]; 4] = [
    [I, I, I, I, IV, IV, I, I, V, IV, I, V],
    [I, IV, I, I, IV, IV, I, I, V, IV, I, V],
    [I, IV, I, I, IV, chord(6, DiminishedSeventh), I, chord(9, Dominant), chord(2, MinorSeventh), V, I, V],
    [MINOR_I, MINOR_I, MINOR_I, MINOR_I, MINOR_IV, MINOR_IV, MINOR_I, MINOR_I, chord(8, Dominant), V, MINOR_I, V],
];

#[derive(Clone, Copy)]
enum Bass {
    /// A note a beat: root, third or fifth, and a step of a semitone into the next root.
    Walking,
    /// Eighths up and down the chord: 1 3 5 6 b7 6 5 3.
    Boogie,
    /// Two eighths on each note: 1 1 3 3 5 5 6 6.
    Doubled,
    /// The guitarist's fifth and sixth over the root.
    Shuffle,
}

#[derive(Clone, Copy)]
enum Comping {
    /// On one and on the "and" of two.
    Charleston,
    /// On two and four, each with a pick-up before it.
    Backbeat,
    /// Short, on every off-beat.
    OffBeats,
    /// Long chords, struck again on off-beats, the last of which pushes into the next bar.
    Held,
}

/// Writes a blues.
pub(super) fn write(page: &mut Page) {
    let feel = if page.chance(97) { Feel::Long } else { Feel::Straight };
    let form = page.pick(&FORMS);
    let bass = page.pick(&[Bass::Walking, Bass::Boogie, Bass::Doubled, Bass::Shuffle]);
    let comping = page.pick(&[Comping::Charleston, Comping::Backbeat, Comping::OffBeats, Comping::Held]);
    let bars = page.bars();
    for bar in 0..bars {
        let now = form[bar as usize % 12];
        let next = form[(bar as usize + 1) % 12];
        let start = bar * STEPS_PER_BAR;
        if page.ensemble.bass {
            write_bass(page, bass, feel, start, now, next);
        }
        if page.ensemble.chords {
            comp(page, comping, feel, start, now);
        }
    }
    if page.ensemble.melody {
        sing(page, feel, bars, form[0].third() == 3);
    }
}

fn write_bass(page: &mut Page, bass: Bass, feel: Feel, start: u32, now: Chord, next: Chord) {
    let third = now.third();
    let root = now.root;
    match bass {
        Bass::Walking => {
            // Into the next root from a semitone above or below.
            let target = if next.root > root + 6 { next.root - 12 } else { next.root };
            let approach = target + page.pick(&[-1, 1]);
            let inner = page.pick(&[[third, 7], [7, 9], [7, third], [2, third], [12, 10]]);
            let line = [root, root + inner[0], root + inner[1], approach];
            for (beat, pitch) in (0..).zip(line) {
                page.play(Part::Bass, start + 4 * beat, 3, pitch);
                // A skipped note: the off-beat eighth between two beats.
                if page.chance(75) {
                    let (onset, length) = feel.eighth(2 * beat + 1);
                    page.play(Part::Bass, start + onset, length, root + 7);
                }
            }
        }
        Bass::Boogie => {
            for (i, interval) in (0..).zip([0, third, 7, 9, 10, 9, 7, third]) {
                let (onset, length) = feel.eighth(i);
                page.play(Part::Bass, start + onset, length.min(2), root + interval);
            }
        }
        Bass::Doubled => {
            for (i, interval) in (0..).zip([0, 0, third, third, 7, 7, 9, 9]) {
                let (onset, length) = feel.eighth(i);
                page.play(Part::Bass, start + onset, length.min(2), root + interval);
            }
        }
        Bass::Shuffle => {
            for (i, interval) in (0..).zip([7, 7, 9, 9, 7, 7, 10, 9]) {
                let (onset, length) = feel.eighth(i);
                page.strike(Part::Bass, start + onset, length.min(2), &[root, root + interval]);
            }
        }
    }
}

fn comp(page: &mut Page, comping: Comping, feel: Feel, start: u32, now: Chord) {
    // A shell: third and seventh, now and then with the root, the fifth or the ninth.
    let mut voicing = vec![now.tone(1), now.tone(3)];
    match page.below(4) {
        0 => voicing.push(now.root + 14),
        1 => voicing.push(now.tone(2)),
        _ => {}
    }
    let off_beat = |beat: u32| feel.eighth(2 * beat + 1).0;
    let hits: &[(u32, u32)] = match comping {
        Comping::Charleston => &[(0, 4), (off_beat(1), 3)],
        Comping::Backbeat => &[(off_beat(0), 1), (4, 2), (off_beat(2), 1), (12, 2)],
        Comping::OffBeats => &[(off_beat(0), 1), (off_beat(1), 1), (off_beat(2), 1), (off_beat(3), 1)],
        Comping::Held => &[(0, 7), (off_beat(1), 4), (off_beat(3), 1)],
    };
    for &(onset, length) in hits {
        page.strike(Part::Chords, start + onset, length, &voicing);
    }
}

/// A melody in two-bar phrases: a call, silence or a short echo, the call again, and an answer.
fn sing(page: &mut Page, feel: Feel, bars: u32, minor: bool) {
    let scale = if minor {
        page.pick(&[MINOR_PENTATONIC, BLUES_SCALE])
    } else {
        page.pick(&[BLUES_SCALE, MAJOR_BLUES_SCALE, BLUES_SCALE])
    };
    let call = phrase(page, scale, 14);
    let answer = phrase(page, scale, 14);
    let echo = phrase(page, scale, 6);
    for (pair, start) in (0..bars.div_ceil(2)).map(|pair| (pair, pair * 2 * STEPS_PER_BAR)) {
        match pair % 6 {
            0 | 2 => sing_phrase(page, feel, start, scale, &call),
            4 => sing_phrase(page, feel, start, scale, &answer),
            5 => turn_around(page, feel, start),
            _ => sing_phrase(page, feel, start, scale, &echo),
        }
    }
}

/// A note of a phrase: eighth in the phrase, degree of the scale, whether a semitone slides into it.
type SungNote = (u32, i32, bool);

/// A phrase within the first `eighths` of two bars.
fn phrase(page: &mut Page, scale: &[i32], eighths: u32) -> Vec<SungNote> {
    let mut notes = Vec::new();
    let mut at = page.pick(&[0, 0, 1, 2]);
    let mut place = page.between(0, scale.len() as i32 + 1);
    while at < eighths {
        notes.push((at, place, page.chance(15)));
        at += page.pick(&[1, 1, 1, 2, 2, 3]);
        place = (place + page.pick(&[-2, -1, -1, 1, 1, 2])).clamp(-2, scale.len() as i32 + 3);
    }
    // Phrases come home: the last note is the tonic.
    if let Some(last) = notes.last_mut() {
        last.1 = 0;
    }
    notes
}

fn sing_phrase(page: &mut Page, feel: Feel, start: u32, scale: &[i32], notes: &[SungNote]) {
    for (i, &(at, place, slides)) in notes.iter().enumerate() {
        let (onset, length) = feel.eighth(at);
        let until = notes.get(i + 1).map_or(onset + 4, |next| feel.eighth(next.0).0);
        let pitch = degree(scale, place);
        let length = (until - onset).min(length + 2);
        if slides && length > 1 {
            page.play(Part::Melody, start + onset, 1, pitch - 1);
            page.play(Part::Melody, start + onset + 1, length - 1, pitch);
        } else {
            page.play(Part::Melody, start + onset, length, pitch);
        }
    }
}

/// The descent from the seventh to the fifth by semitones that leads back to the top.
fn turn_around(page: &mut Page, feel: Feel, start: u32) {
    page.play(Part::Melody, start, 4, 12);
    for (beat, pitch) in (1..).zip([10, 9, 8]) {
        for half in 0..2 {
            let (onset, length) = feel.eighth(2 * beat + half);
            page.play(Part::Melody, start + onset, length, if half == 0 { pitch } else { 12 });
        }
    }
    page.play(Part::Melody, start + STEPS_PER_BAR, 8, 7);
}
