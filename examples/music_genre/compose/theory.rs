//! What the three styles share: chords, scales, and how a beat is divided. Pitches are in semitones above the tonic.

/// The kind of a chord, as semitones above its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quality {
    /// Root and fifth.
    Power,
    /// Major triad.
    Major,
    /// Minor triad.
    Minor,
    /// Diminished triad.
    Diminished,
    /// Suspended fourth.
    Suspended,
    /// Dominant seventh.
    Dominant,
    /// Minor seventh.
    MinorSeventh,
    /// Diminished seventh.
    DiminishedSeventh,
}

/// A chord; its root in semitones above the tonic, 0 to 11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chord {
    pub(super) root: i32,
    pub(super) quality: Quality,
}

/// Shorthand for tables of chords.
pub(super) const fn chord(root: i32, quality: Quality) -> Chord {
    Chord { root, quality }
}

impl Chord {
    /// The chord's notes above its root.
    fn shape(self) -> &'static [i32] {
        match self.quality {
            Quality::Power => &[0, 7],
            Quality::Major => &[0, 4, 7],
            Quality::Minor => &[0, 3, 7],
            Quality::Diminished => &[0, 3, 6],
            Quality::Suspended => &[0, 5, 7],
            Quality::Dominant => &[0, 4, 7, 10],
            Quality::MinorSeventh => &[0, 3, 7, 10],
            Quality::DiminishedSeventh => &[0, 3, 6, 9],
        }
    }

    /// How many different notes the chord has.
    pub(super) fn size(self) -> i32 {
        self.shape().len() as i32
    }

    /// The `index`-th note: 0 is the root, `size` the root an octave above, -1 the highest note an octave below.
    pub(super) fn tone(self, index: i32) -> i32 {
        self.root + degree(self.shape(), index)
    }

    /// The interval of the chord's third, or of the note in its place.
    pub(super) fn third(self) -> i32 {
        self.shape()[1]
    }
}

/// 1 2 3 4 5 6 7
pub(super) const MAJOR: &[i32] = &[0, 2, 4, 5, 7, 9, 11];
/// 1 2 b3 4 5 b6 7
pub(super) const HARMONIC_MINOR: &[i32] = &[0, 2, 3, 5, 7, 8, 11];
/// 1 2 b3 4 5 b6 b7
pub(super) const NATURAL_MINOR: &[i32] = &[0, 2, 3, 5, 7, 8, 10];
/// 1 2 3 4 5 6 b7
pub(super) const MIXOLYDIAN: &[i32] = &[0, 2, 4, 5, 7, 9, 10];
/// 1 b3 4 5 b7
pub(super) const MINOR_PENTATONIC: &[i32] = &[0, 3, 5, 7, 10];
/// 1 2 3 5 6
pub(super) const MAJOR_PENTATONIC: &[i32] = &[0, 2, 4, 7, 9];
/// 1 b3 4 b5 5 b7
pub(super) const BLUES_SCALE: &[i32] = &[0, 3, 5, 6, 7, 10];
/// 1 2 b3 3 5 6
pub(super) const MAJOR_BLUES_SCALE: &[i32] = &[0, 2, 3, 4, 7, 9];

/// The `index`-th degree of a scale (0 is its first note), in semitones; degrees go on into other octaves.
pub(super) fn degree(scale: &[i32], index: i32) -> i32 {
    let size = scale.len() as i32;
    12 * index.div_euclid(size) + scale[index.rem_euclid(size) as usize]
}

/// The degree of `scale` that is nearest to `pitch`, the lower one of two.
pub(super) fn nearest_degree(scale: &[i32], pitch: i32) -> i32 {
    let octave = pitch.div_euclid(12) * scale.len() as i32;
    let candidates = octave - 1..=octave + scale.len() as i32;
    candidates.min_by_key(|&index| (degree(scale, index) - pitch).abs()).unwrap_or(octave)
}

/// How a beat is halved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feel {
    /// Two steps and two.
    Straight,
    /// Three steps and one: the nearest that a grid of sixteenths comes to a shuffle, and exactly a dotted rhythm.
    Long,
}

impl Feel {
    /// Onset in its bar and length of the `index`-th eighth note; indices over 7 run into the following bars.
    pub(super) fn eighth(self, index: u32) -> (u32, u32) {
        let beat = index / 2 * 4;
        match (self, index % 2) {
            (Feel::Straight, half) => (beat + 2 * half, 2),
            (Feel::Long, 0) => (beat, 3),
            (Feel::Long, _) => (beat + 3, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_and_tones_go_on_into_other_octaves() {
        assert_eq!([-1, 0, 6, 7].map(|i| degree(MAJOR, i)), [-1, 0, 11, 12]);
        let dominant = chord(7, Quality::Dominant);
        assert_eq!([-1, 0, 1, 4].map(|i| dominant.tone(i)), [5, 7, 11, 19]);
        assert_eq!(nearest_degree(MAJOR, 11), 6);
        assert_eq!(nearest_degree(MINOR_PENTATONIC, -1), -1);
        assert_eq!(nearest_degree(MINOR_PENTATONIC, 22), 9);
    }

    #[test]
    fn eighths_fill_the_bar() {
        for feel in [Feel::Straight, Feel::Long] {
            let mut end = 0;
            for index in 0..16 {
                let (onset, length) = feel.eighth(index);
                assert_eq!(onset, end);
                end = onset + length;
            }
            assert_eq!(end, 32);
        }
    }
}
