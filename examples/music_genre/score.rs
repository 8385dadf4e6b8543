//! A score: notes on a grid of sixteenth notes, and the vectors that a network reads.
//!
//! Time is counted in *steps* of one sixteenth note, a bar of 4/4 is [`STEPS_PER_BAR`] steps. A note that sounds at
//! all sounds for at least one step.

/// Steps in a bar of 4/4.
pub(crate) const STEPS_PER_BAR: u32 = 16;

/// One note of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Note {
    /// The step at which the note begins, counted from the start of the score.
    pub(crate) onset: u32,
    /// MIDI pitch, 0 to 127; 60 is middle C.
    pub(crate) pitch: u8,
    /// Length in steps, at least 1.
    pub(crate) duration: u32,
    /// MIDI velocity, 1 to 127.
    pub(crate) velocity: u8,
}

impl Note {
    /// The step at which the note no longer sounds.
    pub(crate) fn end(&self) -> u32 {
        self.onset.saturating_add(self.duration)
    }
}

/// The input features of a time step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encoding {
    /// 12 values: entry p is 1 if any note of pitch class p sounds (0 = C, 1 = C sharp, and so on to 11 = B), else 0.
    #[default]
    #[value(help = "12 values a step: which pitch classes sound")]
    PitchClasses,
    /// [`Encoding::PitchClasses`] and what it hides. 32 values:
    ///
    /// | entries | meaning |
    /// |---|---|
    /// | 0 to 11 | pitch classes that sound, 0 or 1 |
    /// | 12 to 23 | pitch classes of the notes that *begin* in this step, 0 or 1: a repeated note shows |
    /// | 24 | number of pitches that sound, divided by 8 |
    /// | 25 | number of notes that begin, divided by 4, at most 4 |
    /// | 26, 27, 28 | mean, lowest and highest pitch that sounds, (pitch - 60) / 24; 0 in silence |
    /// | 29 | mean velocity of the notes that begin, divided by 127; 0 if none does |
    /// | 30 | where notes begin: log2(1 + steps since notes last began) / 4; 0 elsewhere and the first time |
    /// | 31 | where notes begin: the share of their pitches that also began the last time; 0 elsewhere |
    #[value(help = "32 values a step: also which pitch classes begin, how densely, in what register and how loudly")]
    Detailed,
}

impl Encoding {
    /// How many values describe one step.
    pub(crate) fn width(self) -> usize {
        match self {
            Encoding::PitchClasses => 12,
            Encoding::Detailed => 32,
        }
    }
}

/// A named piece of music. The notes are sorted by onset, then pitch, and end within [`Score::steps`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Score {
    name: String,
    notes: Vec<Note>,
    steps: u32,
}

impl Score {
    /// A score of `steps` steps. Notes are sorted; what is beyond `steps` is cut off, a length of 0 becomes 1, and
    /// pitch and velocity are clipped to 127.
    pub(crate) fn new(name: impl Into<String>, steps: u32, notes: Vec<Note>) -> Score {
        let mut notes: Vec<Note> = notes
            .into_iter()
            .filter(|note| note.onset < steps)
            .map(|note| Note {
                duration: note.duration.clamp(1, steps - note.onset),
                pitch: note.pitch.min(127),
                velocity: note.velocity.clamp(1, 127),
                ..note
            })
            .collect();
        notes.sort_unstable();
        Score { name: name.into(), notes, steps }
    }

    /// The name of the score: a file name, or the style and number of a composed one.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The notes, sorted by onset, then pitch.
    pub(crate) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The length T in steps.
    pub(crate) fn steps(&self) -> usize {
        self.steps as usize
    }

    /// For each of the T steps the set of pitches that sound: bit p is set if pitch p does.
    pub(crate) fn piano_roll(&self) -> Vec<u128> {
        let mut roll = vec![0u128; self.steps()];
        // Up to where each pitch is filled, so that notes over each other are filled once.
        let mut filled = [0; 128];
        for note in &self.notes {
            let end = &mut filled[usize::from(note.pitch)];
            for cell in roll.iter_mut().take(note.end() as usize).skip(note.onset.max(*end) as usize) {
                *cell |= 1 << note.pitch;
            }
            *end = note.end().max(*end);
        }
        roll
    }

    /// The score as a network reads it: `[T, encoding.width()]`, row-major, one row a step.
    pub(crate) fn encode(&self, encoding: Encoding) -> Vec<f32> {
        let width = encoding.width();
        let mut rows = vec![0.0; self.steps() * width];
        let roll = self.piano_roll();
        for (row, &cell) in rows.chunks_exact_mut(width).zip(&roll) {
            for pitch in pitches(cell) {
                row[pitch % 12] = 1.0;
            }
        }
        if encoding == Encoding::Detailed {
            self.add_details(&mut rows, &roll);
        }
        rows
    }

    /// Fills entries 12 to 31 of [`Encoding::Detailed`].
    fn add_details(&self, rows: &mut [f32], roll: &[u128]) {
        let width = Encoding::Detailed.width();
        let register = |pitch: f32| (pitch - 60.0) / 24.0;
        for (row, &cell) in rows.chunks_exact_mut(width).zip(roll) {
            if cell != 0 {
                let count = cell.count_ones() as f32;
                let (low, high) = (cell.trailing_zeros(), 127 - cell.leading_zeros());
                row[24] = count / 8.0;
                row[26] = register(pitches(cell).sum::<usize>() as f32 / count);
                row[27] = register(low as f32);
                row[28] = register(high as f32);
            }
        }
        let mut last: Option<(u32, u128)> = None;
        for notes in self.notes.chunk_by(|a, b| a.onset == b.onset) {
            let onset = notes[0].onset;
            let row = &mut rows[onset as usize * width..][..width];
            let beginning = notes.iter().fold(0u128, |set, note| set | 1 << note.pitch);
            for pitch in pitches(beginning) {
                row[12 + pitch % 12] = 1.0;
            }
            row[25] = (notes.len() as f32 / 4.0).min(4.0);
            let velocities: u32 = notes.iter().map(|note| u32::from(note.velocity)).sum();
            row[29] = velocities as f32 / (127.0 * notes.len() as f32);
            if let Some((before, began)) = last {
                row[30] = (1.0 + (onset - before) as f32).log2() / 4.0;
                row[31] = (beginning & began).count_ones() as f32 / beginning.count_ones() as f32;
            }
            last = Some((onset, beginning));
        }
    }

    /// For each pitch class the share of steps in which it sounds, 0 to 1: counts that do not depend on the length.
    /// All 0 for a score of no steps.
    pub(crate) fn pitch_class_shares(&self) -> [f32; 12] {
        let mut shares = [0.0; 12];
        for row in self.encode(Encoding::PitchClasses).chunks_exact(12) {
            for (share, sounds) in shares.iter_mut().zip(row) {
                *share += sounds;
            }
        }
        shares.map(|share| share / self.steps.max(1) as f32)
    }

    /// The score moved by `semitones`. A note that would leave the range 0 to 127 is moved by octaves back into it, so
    /// that its pitch class is always the transposed one.
    pub(crate) fn transposed(&self, semitones: i32) -> Score {
        let move_pitch = |pitch: u8| {
            let moved = i64::from(pitch) + i64::from(semitones);
            match moved {
                0..=127 => moved as u8,
                // 0 to 11 below and 116 to 127 above hold every pitch class once.
                ..0 => moved.rem_euclid(12) as u8,
                _ => (116 + (moved - 116).rem_euclid(12)) as u8,
            }
        };
        let notes = self.notes.iter().map(|note| Note { pitch: move_pitch(note.pitch), ..*note }).collect();
        Score::new(self.name.clone(), self.steps, notes)
    }

    /// The score without the silence before its first and after its last note. Leading silence goes in multiples of
    /// `grain` steps: 1 removes all of it, [`STEPS_PER_BAR`] only whole bars, which keeps an upbeat an upbeat.
    ///
    /// # Panics
    ///
    /// If `grain` is 0.
    #[cfg(test)]
    pub(crate) fn trimmed(&self, grain: u32) -> Score {
        assert!(grain > 0, "trimmed: the grain must be at least one step");
        let Some(first) = self.notes.first() else {
            return Score::new(self.name.clone(), 0, Vec::new());
        };
        let start = first.onset - first.onset % grain;
        let end = self.notes.iter().map(Note::end).max().unwrap_or(start);
        self.part(start, end)
    }

    /// The steps `start..end` as a score. A note that is held across a border sounds on both sides of it,
    /// and begins anew on the right one.
    fn part(&self, start: u32, end: u32) -> Score {
        let notes = self
            .notes
            .iter()
            .filter(|note| note.onset < end && note.end() > start)
            .map(|note| {
                let onset = note.onset.max(start);
                Note { onset: onset - start, duration: note.end() - onset, ..*note }
            })
            .collect();
        Score::new(self.name.clone(), end - start, notes)
    }

    /// `steps` steps from `start` on, or as many as there are.
    pub(crate) fn window(&self, start: usize, steps: usize) -> Score {
        let start = u32::try_from(start).unwrap_or(u32::MAX).min(self.steps);
        let end = start.saturating_add(u32::try_from(steps).unwrap_or(u32::MAX)).min(self.steps);
        self.part(start, end)
    }

    /// The score cut into excerpts of at most `max_steps`. A score that is short enough stays whole; any other is cut
    /// into few parts of nearly equal length, so that none is short: the shortest has at least a third of `max_steps`.
    /// Borders lie on bar lines, unless `max_steps` is under two bars. A score of no steps has no excerpts.
    ///
    /// # Panics
    ///
    /// If `max_steps` is 0.
    pub(crate) fn excerpts(&self, max_steps: usize) -> Vec<Score> {
        assert!(max_steps > 0, "excerpts: max_steps must be at least one step");
        let max_steps = u32::try_from(max_steps).unwrap_or(u32::MAX);
        if self.steps <= max_steps {
            return if self.steps == 0 { Vec::new() } else { vec![self.clone()] };
        }
        let unit = if max_steps >= 2 * STEPS_PER_BAR { STEPS_PER_BAR } else { 1 };
        let units = self.steps.div_ceil(unit);
        let count = units.div_ceil(max_steps / unit);
        let border = |i: u32| {
            let units_before = u64::from(i) * u64::from(units) / u64::from(count);
            (units_before as u32).saturating_mul(unit).min(self.steps)
        };
        (0..count).map(|i| self.part(border(i), border(i + 1))).collect()
    }
}

/// The pitches in a set, lowest first.
fn pitches(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let pitch = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(pitch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roll_has_all_notes_however_they_overlap() {
        let note =
            |n: u32| Note { onset: n * 7 % 50, pitch: (60 + n % 3) as u8, duration: 1 + n * 11 % 30, velocity: 64 };
        let score = Score::new("", 60, (0..40).map(note).collect());
        let mut expected = vec![0u128; 60];
        for note in score.notes() {
            (note.onset..note.end()).for_each(|step| expected[step as usize] |= 1 << note.pitch);
        }
        assert_eq!(score.piano_roll(), expected);
    }
    use proptest::prelude::*;

    fn note(onset: u32, duration: u32, pitch: u8) -> Note {
        Note { onset, pitch, duration, velocity: 64 }
    }

    #[test]
    fn pitch_classes_say_what_sounds() {
        let score = Score::new("c, then c and g", 4, vec![note(1, 2, 60), note(2, 0, 67)]);
        let rows = score.encode(Encoding::PitchClasses);
        let sounding: Vec<Vec<usize>> =
            rows.chunks(12).map(|row| (0..12).filter(|&p| row[p] == 1.0).collect()).collect();
        assert_eq!(sounding, [vec![], vec![0], vec![0, 7], vec![]]);
        assert_eq!(score.pitch_class_shares()[0], 0.5);
    }

    #[test]
    fn details_tell_repeated_notes_and_register() {
        let notes = vec![note(0, 3, 48), note(0, 1, 76), note(2, 1, 76), note(2, 1, 79)];
        let score = Score::new("repeated e over c", 3, notes);
        let rows = score.encode(Encoding::Detailed);
        let [first, held, last] = [0, 1, 2].map(|t| &rows[t * 32..(t + 1) * 32]);
        assert_eq!((first[12], first[16]), (1.0, 1.0), "c and e begin");
        assert_eq!((held[0], held[12], held[25]), (1.0, 0.0, 0.0), "the c is held, nothing begins");
        assert_eq!((last[12], last[16], last[19]), (0.0, 1.0, 1.0), "only e and g begin");
        assert_eq!((last[24], last[25]), (3.0 / 8.0, 2.0 / 4.0));
        let register = |pitch: f32| (pitch - 60.0) / 24.0;
        assert_eq!((last[26], last[27], last[28]), (register(203.0 / 3.0), register(48.0), register(79.0)));
        assert_eq!(last[29], 64.0 / 127.0);
        assert_eq!((first[30], first[31]), (0.0, 0.0), "nothing began before");
        assert_eq!((last[30], last[31]), (3_f32.log2() / 4.0, 0.5), "two steps since, and the e again");
    }

    #[test]
    fn trimming_keeps_an_upbeat_in_its_bar() {
        let score = Score::new("late", 60, vec![note(35, 4, 60)]);
        let all = score.trimmed(1);
        assert_eq!((all.notes()[0].onset, all.steps()), (0, 4));
        let bars = score.trimmed(STEPS_PER_BAR);
        assert_eq!((bars.notes()[0].onset, bars.steps()), (3, 7));
        assert_eq!(Score::new("silence", 9, vec![]).trimmed(1).steps(), 0);
    }

    #[test]
    fn a_held_note_sounds_on_both_sides_of_a_cut() {
        let score = Score::new("held", 64, vec![note(30, 4, 60)]);
        let parts = score.excerpts(32);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].notes(), [note(30, 2, 60)]);
        assert_eq!(parts[1].notes(), [note(0, 2, 60)]);
    }

    #[test]
    fn no_steps_no_excerpts() {
        assert!(Score::new("", 0, vec![note(0, 1, 60)]).excerpts(100).is_empty());
    }

    proptest! {
        #[test]
        fn excerpts_cover_the_score_without_crumbs(steps in 1u32..3000, max_steps in 1usize..300) {
            let notes = (0..steps).map(|s| note(s, 1, (s % 128) as u8)).collect();
            let score = Score::new("every step", steps, notes);
            let parts = score.excerpts(max_steps);
            let joined: Vec<f32> = parts.iter().flat_map(|p| p.encode(Encoding::PitchClasses)).collect();
            prop_assert_eq!(joined, score.encode(Encoding::PitchClasses));
            prop_assert!(parts.iter().all(|p| p.steps() <= max_steps));
            if parts.len() > 1 {
                prop_assert!(parts.iter().all(|p| 3 * p.steps() >= max_steps), "{:?}",
                    parts.iter().map(Score::steps).collect::<Vec<_>>());
            }
        }

        #[test]
        fn transposing_rotates_the_pitch_classes(pitch in 0u8..128, by in -300i32..300) {
            let moved = Score::new("", 1, vec![note(0, 1, pitch)]).transposed(by);
            let expected = (i32::from(pitch) + by).rem_euclid(12);
            prop_assert_eq!(i32::from(moved.notes()[0].pitch) % 12, expected);
        }
    }
}
