//! The page that a style writes on: notes in a key, and random choices.

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

use crate::score::{Note, STEPS_PER_BAR, Score};

/// Which parts play. Drawn in the same way for every style, so that their number gives no hint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ensemble {
    pub(super) bass: bool,
    pub(super) chords: bool,
    pub(super) melody: bool,
}

/// The register of a part: the MIDI pitch of the C that its pitches are counted from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Bass = 36,
    Chords = 48,
    Melody = 60,
}

/// A score being written.
pub(super) struct Page {
    rng: ChaCha8Rng,
    notes: Vec<Note>,
    steps: u32,
    key: i32,
    /// Which parts play.
    pub(super) ensemble: Ensemble,
}

impl Page {
    /// An empty page of `steps` steps in a random key for random parts.
    pub(super) fn new(mut rng: ChaCha8Rng, steps: u32) -> Page {
        let key = rng.random_range(0..12);
        let absent = *[0, 0, 0, 0, 1, 2, 3].choose(&mut rng).unwrap_or(&0);
        let ensemble = Ensemble { bass: absent != 1, chords: absent != 2, melody: absent != 3 };
        Page { rng, notes: Vec::new(), steps, key, ensemble }
    }

    /// How many bars there are to fill, the last one perhaps in part.
    pub(super) fn bars(&self) -> u32 {
        self.steps.div_ceil(STEPS_PER_BAR)
    }

    /// True with probability `percent` / 100.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    /// One of the items, which must not be none.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }

    /// A number from 0 to `end - 1`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        self.rng.random_range(0..end)
    }

    /// A number in `low..=high`.
    pub(super) fn between(&mut self, low: i32, high: i32) -> i32 {
        self.rng.random_range(low..=high)
    }

    /// Writes a note; `pitch` is in semitones above the tonic in the part's register. What is beyond the end of the
    /// page is cut off.
    pub(super) fn play(&mut self, part: Part, onset: u32, duration: u32, pitch: i32) {
        let pitch = part as i32 + self.key + pitch;
        let accent = match onset % STEPS_PER_BAR {
            0 => 24,
            8 => 16,
            4 | 12 => 12,
            _ => 0,
        };
        let velocity = 64 + accent + (self.rng.next_u32() % 16) as u8;
        self.notes.push(Note { onset, pitch: pitch.clamp(0, 127) as u8, duration: duration.max(1), velocity });
    }

    /// Writes several notes at once.
    pub(super) fn strike(&mut self, part: Part, onset: u32, duration: u32, pitches: &[i32]) {
        for &pitch in pitches {
            self.play(part, onset, duration, pitch);
        }
    }

    /// The finished score.
    pub(super) fn finish(self, name: String) -> Score {
        Score::new(name, self.steps, self.notes)
    }
}
