//! Standard MIDI files, read into a [`Score`] and written from one.
//!
//! Reading is lenient where no note is in doubt, and strict elsewhere:
//!
//! - formats 0, 1 and 2; the tracks of format 2 are independent patterns and follow one another;
//! - a step is a sixteenth of the file's quarter note, so tempo changes do not matter; a file timed in SMPTE frames has
//!   no quarter notes and is read as if played at 120 quarter notes a minute (a step is an eighth of a second);
//! - both ends of a note are rounded to the nearest step, and a note lasts at least one;
//! - a note-on of velocity 0 is a note-off; of two notes of one pitch and channel that overlap, the earlier one ends
//!   first; a note without a release ends at the next All Notes Off or All Sound Off of its channel; a note
//!   that nothing ends lasts one step, for its length is unknown; the sustain pedal is ignored;
//! - drums (channel 10) are ignored;
//! - what departs from the standard and leaves no doubt about the notes is read, and counted as an [`oddity::Oddity`];
//! - silence before the first note is dropped in whole bars;
//! - a file that ends in the middle of a track, or has an event that cannot be read, is an error: half a piece would be
//!   mistaken for a whole one.

mod chunks;
mod decode;
mod encode;
mod events;
mod oddity;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use rewind_rnn::file;

use crate::score::Score;
pub(crate) use decode::decode;
#[cfg(test)]
pub(crate) use oddity::Oddity;
pub(crate) use oddity::{Oddities, summary};

/// The longest piece that is read, in steps: 4096 bars. A file of a few bytes can claim silences of centuries, and the
/// memory of a piano roll grows with them.
pub(crate) const MAX_STEPS: u32 = 1 << 16;

/// The largest file that is read, in bytes. Scores have tens of kilobytes.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// What was read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The music.
    pub(crate) score: Score,
    /// What was odd in the file.
    pub(crate) oddities: Oddities,
}

/// Why a file is not a readable score. The messages do not name the file; the caller does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MidiError {
    /// An error of the file system.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file is longer than [`MAX_BYTES`].
    #[error("has {bytes} bytes, more than the {MAX_BYTES} that a score may have")]
    TooLarge {
        /// The length of the file.
        bytes: u64,
    },
    /// The file does not begin as a MIDI file does.
    #[error("is not a MIDI file: expected it to begin with \"MThd\", found {found}")]
    NotMidi {
        /// The first bytes, escaped, or the word `nothing`.
        found: String,
    },
    /// The file ends in the middle of what it announces.
    #[error("is cut short: {announced}, but the file ends after {bytes} bytes")]
    Truncated {
        /// What was expected.
        announced: String,
        /// The length of the file.
        bytes: usize,
    },
    /// A format that does not exist.
    #[error("has format {0} in its header, expected 0, 1 or 2")]
    UnknownFormat(u16),
    /// A header that gives time no unit.
    #[error("has no usable time unit in its header: {0}")]
    NoTimeUnit(&'static str),
    /// Bytes that are no MIDI event.
    #[error("has no readable event at byte {byte} of track {track} (counted from 1)")]
    BadEvent {
        /// The track, counted from 1.
        track: usize,
        /// The offset in the track's data at which the event should begin.
        byte: usize,
    },
    /// Only drums, or nothing at all.
    #[error("has no note outside the drum channel")]
    NoNotes,
    /// Longer than [`MAX_STEPS`].
    #[error("lasts {steps} sixteenth notes, more than the {MAX_STEPS} that are read")]
    TooLong {
        /// The length in steps.
        steps: u128,
    },
}

/// Reads a file; the score is named after it, without the ending.
///
/// # Errors
///
/// A [`MidiError`] of any kind.
pub(crate) fn read_file(path: &Path) -> Result<Reading, MidiError> {
    // The length of a device or a pipe says nothing.
    file::expect_regular(path)?;
    let bytes = std::fs::metadata(path)?.len();
    if bytes > MAX_BYTES {
        return Err(MidiError::TooLarge { bytes });
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    decode(&name, &std::fs::read(path)?)
}
