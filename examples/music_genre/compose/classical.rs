//! The classical style: phrases of four bars with functional harmony (I-IV-V-I, ii-V-I, falling fifths, secondary
//! dominants, inversions) that end in a half or a full cadence, an Alberti bass or another broken accompaniment, and
//! a melody of scales, arpeggios and suspensions.

use super::page::{Page, Part};
use super::theory::{Chord, Feel, HARMONIC_MINOR, MAJOR, NATURAL_MINOR, Quality, chord, degree, nearest_degree};
use crate::score::STEPS_PER_BAR;
use Quality::{Diminished, Dominant, Major, Minor};

/// Half a bar of harmony: the chord, and which of its notes is in the bass.
type Half = (Chord, i32);

/// Two halves a bar, four bars a phrase.
type Phrase = [Half; 8];

const T: Chord = chord(0, Major);
const S: Chord = chord(5, Major);
const D: Chord = chord(7, Major);
const D7: Chord = chord(7, Dominant);
const II: Chord = chord(2, Minor);
const VI: Chord = chord(9, Minor);

const MAJOR_OPENINGS: [Phrase; 5] = [
    [(T, 0), (T, 0), (D7, 2), (D7, 1), (T, 0), (S, 0), (T, 2), (D, 0)],
    [(T, 0), (T, 1), (S, 0), (S, 0), (II, 1), (II, 0), (D, 0), (D, 0)],
    [(T, 0), (D, 1), (VI, 0), (T, 1), (S, 0), (chord(2, Dominant), 1), (D, 0), (D, 0)],
    [(T, 0), (T, 0), (VI, 0), (VI, 0), (II, 0), (II, 1), (D, 0), (D7, 0)],
    [(T, 0), (chord(0, Dominant), 1), (S, 0), (chord(5, Minor), 0), (T, 2), (VI, 0), (chord(2, Dominant), 0), (D, 0)],
];

const MAJOR_CLOSINGS: [Phrase; 3] = [
    [(T, 0), (T, 1), (S, 0), (II, 1), (T, 2), (D7, 0), (T, 0), (T, 0)],
    [(VI, 0), (II, 0), (D7, 0), (T, 0), (II, 1), (D7, 0), (T, 0), (T, 0)],
    [(S, 0), (T, 1), (chord(9, Dominant), 1), (II, 0), (T, 2), (D7, 0), (T, 0), (T, 0)],
];

const T_: Chord = chord(0, Minor);
const S_: Chord = chord(5, Minor);
const MEDIANT: Chord = chord(3, Major);
const SUBMEDIANT: Chord = chord(8, Major);
const SUBTONIC: Chord = chord(10, Major);
const II_: Chord = chord(2, Diminished);

const MINOR_OPENINGS: [Phrase; 4] = [
    [(T_, 0), (T_, 0), (D7, 1), (D7, 2), (T_, 0), (S_, 0), (D, 0), (D, 0)],
    [(T_, 0), (S_, 0), (SUBTONIC, 0), (MEDIANT, 0), (SUBMEDIANT, 0), (II_, 1), (D, 0), (D7, 0)],
    // The lament: the bass falls from the tonic to the dominant.
    [(T_, 0), (T_, 0), (chord(7, Minor), 1), (chord(7, Minor), 1), (S_, 1), (S_, 1), (D, 0), (D, 0)],
    [(T_, 0), (D7, 1), (T_, 0), (chord(0, Dominant), 1), (S_, 0), (II_, 1), (T_, 2), (D, 0)],
];

const MINOR_CLOSINGS: [Phrase; 2] = [
    [(T_, 0), (T_, 1), (S_, 0), (II_, 1), (T_, 2), (D7, 0), (T_, 0), (T_, 0)],
    [(SUBMEDIANT, 0), (S_, 0), (chord(1, Major), 1), (D7, 0), (T_, 2), (D7, 0), (T_, 0), (T_, 0)],
];

#[derive(Clone, Copy)]
enum Accompaniment {
    /// Low, high, middle, high in eighths.
    Alberti,
    /// The same in sixteenths.
    FastAlberti,
    /// Up and down the chord in sixteenths.
    Harp,
    /// Bass note, then the rest of the chord, in quarters.
    AfterBeats,
    /// The whole chord in repeated eighths.
    Repeated,
}

/// Writes a classical piece.
pub(super) fn write(page: &mut Page) {
    let minor = page.chance(50);
    // Dotted rhythms, as in an overture, look like a shuffle.
    let feel = if page.chance(3) { Feel::Long } else { Feel::Straight };
    let (opening, closing, scale) = if minor {
        (page.pick(&MINOR_OPENINGS), page.pick(&MINOR_CLOSINGS), page.pick(&[HARMONIC_MINOR, NATURAL_MINOR]))
    } else {
        (page.pick(&MAJOR_OPENINGS), page.pick(&MAJOR_CLOSINGS), MAJOR)
    };
    let accompaniment = page.pick(&[
        Accompaniment::Alberti,
        Accompaniment::Alberti,
        Accompaniment::Alberti,
        Accompaniment::Harp,
        Accompaniment::Alberti,
        Accompaniment::FastAlberti,
        Accompaniment::FastAlberti,
        Accompaniment::Harp,
        Accompaniment::AfterBeats,
        Accompaniment::Repeated,
    ]);
    let motif = [page.below(FIGURES), page.below(FIGURES)];
    let mut line = Line { scale, place: page.between(2, 7), feel };
    for bar in 0..page.bars() {
        let start = bar * STEPS_PER_BAR;
        let phrase = if bar / 4 % 2 == 0 { opening } else { closing };
        let halves = [phrase[bar as usize % 4 * 2], phrase[bar as usize % 4 * 2 + 1]];
        let closes = bar % 8 == 7;
        for (at, half) in [(start, halves[0]), (start + 8, halves[1])] {
            if page.ensemble.bass {
                page.play(Part::Bass, at, bass_length(accompaniment), half.0.tone(half.1));
            }
            if page.ensemble.chords {
                accompany(page, accompaniment, feel, at, half, closes && at > start);
            }
        }
        if page.ensemble.melody {
            // The motif of the first two bars comes back in the third and fourth, at another height.
            line.sing(page, start, halves, motif[bar as usize % 2], bar % 4 == 3);
        }
    }
}

/// A held bass under moving notes, a short one under chords that are struck.
fn bass_length(accompaniment: Accompaniment) -> u32 {
    match accompaniment {
        Accompaniment::AfterBeats | Accompaniment::Repeated => 3,
        _ => 7,
    }
}

fn accompany(page: &mut Page, accompaniment: Accompaniment, feel: Feel, at: u32, half: Half, rests: bool) {
    let (now, inversion) = half;
    let [low, middle, high] = [0, 1, 2].map(|i| now.tone(inversion + i));
    if rests {
        // After the full cadence the chord is struck once.
        page.strike(Part::Chords, at, 4, &[low, middle, high]);
        return;
    }
    match accompaniment {
        Accompaniment::Alberti => {
            for (i, pitch) in (0..).zip([low, high, middle, high]) {
                let (onset, length) = feel.eighth(i);
                page.play(Part::Chords, at + onset, length, pitch);
            }
        }
        Accompaniment::FastAlberti => {
            for (i, pitch) in (0..).zip([low, high, middle, high, low, high, middle, high]) {
                page.play(Part::Chords, at + i, 1, pitch);
            }
        }
        Accompaniment::Harp => {
            let top = now.tone(inversion + 3);
            for (i, pitch) in (0..).zip([low, middle, high, top, high, middle, low, middle]) {
                page.play(Part::Chords, at + i, 1, pitch);
            }
        }
        Accompaniment::AfterBeats => {
            page.play(Part::Chords, at, 3, low);
            page.strike(Part::Chords, at + 4, 2, &[middle, high]);
        }
        Accompaniment::Repeated => {
            for i in 0..4 {
                page.strike(Part::Chords, at + feel.eighth(i).0, 1, &[low, middle, high]);
            }
        }
    }
}

/// How many figures [`Line::sing`] knows.
const FIGURES: u32 = 5;

/// The melody: where it is, and in which scale.
struct Line {
    scale: &'static [i32],
    place: i32,
    feel: Feel,
}

impl Line {
    /// Plays the degree at which the line is.
    fn play(&self, page: &mut Page, at: u32, length: u32) {
        page.play(Part::Melody, at, length, degree(self.scale, self.place));
    }

    /// Moves the line to a note of the chord that is not far.
    fn onto(&mut self, page: &mut Page, now: Chord) {
        let octave = 12 * i32::from(self.place > 5);
        let pitch = now.tone(page.between(0, 2)) % 12 + octave;
        self.place = nearest_degree(self.scale, pitch).clamp(-1, 11);
    }

    /// A bar of melody.
    fn sing(&mut self, page: &mut Page, start: u32, halves: [Half; 2], figure: u32, ends: bool) {
        if ends {
            return self.close(page, start, halves);
        }
        for (at, (now, _)) in [(start, halves[0]), (start + 8, halves[1])] {
            self.onto(page, now);
            let direction = if self.place > 5 { -1 } else { 1 };
            match figure {
                // A scale in sixteenths.
                0 => {
                    for i in 0..8 {
                        self.play(page, at + i, 1);
                        self.place += direction;
                    }
                }
                // A scale in eighths.
                1 => {
                    for i in 0..4 {
                        let (onset, length) = self.feel.eighth(i);
                        self.play(page, at + onset, length);
                        self.place += direction;
                    }
                }
                // A quarter and a turn around it.
                2 => {
                    self.play(page, at, 4);
                    for (i, step) in (4..).zip([1, -1, -1, 1]) {
                        self.place += step;
                        self.play(page, at + i, 1);
                    }
                }
                // An appoggiatura: the note above leans on the chord.
                3 => {
                    self.place += 1;
                    self.play(page, at, 3);
                    self.place -= 1;
                    self.play(page, at + 3, 4);
                }
                // The chord, broken, in eighths.
                _ => {
                    for (i, index) in (0..).zip([0, 1, 2, 1]) {
                        let (onset, length) = self.feel.eighth(i);
                        page.play(Part::Melody, at + onset, length, now.tone(index));
                    }
                }
            }
        }
    }

    /// The bar that ends a phrase: a trill into a held note.
    fn close(&mut self, page: &mut Page, start: u32, [(first, _), (last, _)]: [Half; 2]) {
        self.onto(page, first);
        if page.chance(50) {
            for i in 0..4 {
                self.play(page, start + 2 * i, 1);
                page.play(Part::Melody, start + 2 * i + 1, 1, degree(self.scale, self.place + 1));
            }
        } else {
            self.play(page, start, 6);
        }
        self.onto(page, last);
        self.play(page, start + 8, 6);
    }
}
