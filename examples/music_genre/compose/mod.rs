//! Scores in three styles, composed by rule and chance: the default data of the example, which needs no files.
//!
//! A score has 16 to 200 steps, starts at the beginning of its form, and is in any of the twelve keys. Counting pitch
//! classes should say little, so the same parts play in all styles, in the same registers, and the styles borrow from
//! each other: there are minor blues and jazz blues with leading tones, classical pieces in minor and with secondary
//! dominants, rock in major, Mixolydian and Aeolian; a few blues are straight, a few rock pieces shuffle, and a few
//! classical ones are dotted. What separates the styles is order: how the beat is divided, whether notes repeat or
//! circle through a chord, and which chord follows which.

mod blues;
mod classical;
mod page;
mod rock;
mod theory;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::dataset::{Dataset, Piece};
use crate::score::Score;
use page::Page;

/// The fewest steps of a composed score: one bar.
pub(crate) const MIN_STEPS: u32 = 16;
/// The most steps of a composed score: twelve bars and a half.
pub(crate) const MAX_STEPS: u32 = 200;

/// A style of music.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Twelve-bar blues.
    Blues,
    /// Riffs and power chords.
    Rock,
    /// Functional harmony in four-bar phrases.
    Classical,
}

impl Style {
    /// All styles; a style's place here is its class.
    pub(crate) const ALL: [Style; 3] = [Style::Blues, Style::Rock, Style::Classical];

    /// The name of the class.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Style::Blues => "blues",
            Style::Rock => "rock",
            Style::Classical => "classical",
        }
    }
}

/// Composes a score in a style and a random key. The length is random in [`MIN_STEPS`]..=[`MAX_STEPS`].
///
/// `seed` and `number` decide every note, on every machine; scores of one seed with different numbers are independent.
pub(crate) fn compose(style: Style, seed: u64, number: u64) -> Score {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    let steps = rng.random_range(MIN_STEPS..=MAX_STEPS);
    let mut page = Page::new(rng, steps);
    match style {
        Style::Blues => blues::write(&mut page),
        Style::Rock => rock::write(&mut page),
        Style::Classical => classical::write(&mut page),
    }
    page.finish(format!("{} {number:03}", style.name()))
}

/// Composes `count` scores, the styles in turn: 500 are 167 blues, 167 rock and 166 classical. The first scores of a
/// longer list are those of a shorter one.
pub(crate) fn compose_dataset(count: usize, seed: u64) -> Dataset {
    let piece = |number: usize| {
        let class = number % Style::ALL.len();
        Piece { score: compose(Style::ALL[class], seed, number as u64), class }
    };
    Dataset {
        classes: Style::ALL.iter().map(|style| style.name().to_owned()).collect(),
        pieces: (0..count).map(piece).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Note;
    use std::collections::BTreeSet;

    /// FNV-1a over every note of the scores.
    fn fingerprint(dataset: &Dataset) -> u64 {
        let numbers = dataset.pieces.iter().flat_map(|piece| {
            let length = piece.score.steps() as u32;
            let notes = piece.score.notes().iter();
            notes
                .flat_map(|n| [n.onset, n.duration, u32::from(n.pitch), u32::from(n.velocity)])
                .chain([length])
                .collect::<Vec<_>>()
        });
        let bytes = numbers.flat_map(u32::to_le_bytes);
        bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
    }

    fn of_style(dataset: &Dataset, style: Style) -> impl Iterator<Item = &Score> {
        let class = Style::ALL.iter().position(|&other| other == style).unwrap();
        dataset.pieces.iter().filter(move |piece| piece.class == class).map(|piece| &piece.score)
    }

    #[test]
    fn a_seed_gives_the_same_notes_on_every_machine() {
        assert_eq!(
            fingerprint(&compose_dataset(60, 1)),
            0x3385_5667_9F7E_7993,
            "the default data are not what they were"
        );
    }

    #[test]
    fn a_shorter_list_begins_a_longer_one_and_seeds_differ() {
        let long = compose_dataset(9, 5);
        assert_eq!(compose_dataset(4, 5).pieces, long.pieces[..4]);
        assert_ne!(compose_dataset(4, 6).pieces, long.pieces[..4]);
    }

    #[test]
    fn scores_are_as_long_and_as_many_as_promised() {
        let dataset = compose_dataset(500, 2);
        assert_eq!(dataset.classes, ["blues", "rock", "classical"]);
        assert_eq!(dataset.class_counts(), [167, 167, 166]);
        let lengths: BTreeSet<usize> = dataset.pieces.iter().map(|piece| piece.score.steps()).collect();
        assert!(lengths.first().is_some_and(|&t| (16..30).contains(&t)), "{lengths:?}");
        assert!(lengths.last().is_some_and(|&t| (190..=200).contains(&t)), "{lengths:?}");
        for piece in &dataset.pieces {
            let score = &piece.score;
            assert!(!score.notes().is_empty(), "{}", score.name());
            assert!(score.notes().iter().all(|note| note.end() as usize <= score.steps() && note.pitch < 108));
            assert!(score.notes().iter().any(|note| note.onset < 16), "{} begins late", score.name());
        }
    }

    #[test]
    fn every_style_is_in_every_key() {
        let dataset = compose_dataset(600, 3);
        for style in Style::ALL {
            let lowest = |score: &Score| score.notes().iter().map(|note| note.pitch).min();
            let keys: BTreeSet<u8> = of_style(&dataset, style).filter_map(lowest).map(|pitch| pitch % 12).collect();
            assert_eq!(keys.len(), 12, "{style:?}");
        }
    }

    #[test]
    fn counting_tells_little_and_rhythm_much() {
        let dataset = compose_dataset(600, 4);
        let mean = |style, of: &dyn Fn(&Score) -> f32| {
            let values: Vec<f32> = of_style(&dataset, style).map(of).collect();
            values.iter().sum::<f32>() / values.len() as f32
        };
        // Pitch classes that sound at a time: no style has twice as many as another.
        let density = |score: &Score| score.pitch_class_shares().iter().sum::<f32>();
        let densities = Style::ALL.map(|style| mean(style, &density));
        let (low, high) = densities.iter().fold((f32::MAX, 0f32), |(low, high), &d| (low.min(d), high.max(d)));
        assert!(high < 1.7 * low, "{densities:?}");
        // Notes on the last sixteenth of a beat rather than on its second half: the shuffle.
        let swung = |score: &Score| {
            let on = |step| score.notes().iter().filter(|note: &&Note| note.onset % 4 == step).count() as f32;
            on(3) / (on(2) + on(3)).max(1.0)
        };
        let shares = Style::ALL.map(|style| mean(style, &swung));
        assert!(shares[0] > 0.8 && shares[1] < 0.4 && shares[2] < 0.5, "{shares:?}");
    }

    #[test]
    fn a_composed_score_can_be_played_and_read_again() {
        let score = compose(Style::Classical, 1, 2);
        let read = crate::midi::decode(score.name(), &score.to_midi(100).unwrap()).unwrap().score;
        assert_eq!(read.notes().len(), score.notes().len());
        assert_eq!(read.piano_roll(), score.piano_roll()[..read.steps()]);
    }
}
