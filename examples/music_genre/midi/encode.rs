//! From a [`Score`] to a MIDI file that any player can play.

use std::io;
use std::path::Path;

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};

use crate::score::Score;
use rewind_examples::files::{WriteError, write_whole};

/// Ticks of a sixteenth note in the files that are written: 480 per quarter note, as most sequencers do.
const TICKS_PER_STEP: u32 = 120;

impl Score {
    /// The score as the bytes of a MIDI file of format 0, played by a piano at `quarters_per_minute`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the tempo is 0 or too slow for a MIDI file (under 4 a minute), or if a rest is longer than a
    /// MIDI file can say (2 million steps).
    pub(crate) fn to_midi(&self, quarters_per_minute: u32) -> io::Result<Vec<u8>> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
        let tempo = 60_000_000u32
            .checked_div(quarters_per_minute)
            .and_then(u24::try_from)
            .ok_or_else(|| invalid("a tempo must be at least 4 quarter notes a minute"))?;
        let meta = |message| TrackEvent { delta: u28::from(0), kind: TrackEventKind::Meta(message) };
        let mut events = vec![meta(MetaMessage::TrackName(self.name().as_bytes())), meta(MetaMessage::Tempo(tempo))];
        let mut now = 0;
        for (step, message) in self.messages() {
            let delta = u64::from(step - now) * u64::from(TICKS_PER_STEP);
            let delta = u32::try_from(delta)
                .ok()
                .and_then(u28::try_from)
                .ok_or_else(|| invalid("a rest is too long for a MIDI file"))?;
            events.push(TrackEvent { delta, kind: TrackEventKind::Midi { channel: u4::from(0), message } });
            now = step;
        }
        events.push(meta(MetaMessage::EndOfTrack));
        let timing = Timing::Metrical(u15::from(4 * TICKS_PER_STEP as u16));
        let file = Smf { header: Header::new(Format::SingleTrack, timing), tracks: vec![events] };
        let mut bytes = Vec::new();
        file.write_std(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes [`Score::to_midi`] at 120 quarter notes a minute to `path`, which is replaced only by a whole file.
    ///
    /// # Errors
    ///
    /// Those of [`Score::to_midi`], and what the file system answers.
    pub(crate) fn write_midi(&self, path: &Path) -> Result<(), WriteError> {
        let bytes = self.to_midi(120).map_err(|source| WriteError::file(path, source))?;
        write_whole(path, &bytes)
    }

    /// Note-ons and note-offs with their steps, in order of time; a note ends before the next one begins.
    fn messages(&self) -> Vec<(u32, MidiMessage)> {
        let mut messages: Vec<(u32, bool, MidiMessage)> = Vec::with_capacity(2 * self.notes().len());
        for note in self.notes() {
            let key = u7::from(note.pitch);
            let vel = u7::from(note.velocity);
            messages.push((note.onset, true, MidiMessage::NoteOn { key, vel }));
            messages.push((note.end(), false, MidiMessage::NoteOff { key, vel: u7::from(0) }));
        }
        messages.sort_by_key(|&(step, is_on, _)| (step, is_on));
        messages.into_iter().map(|(step, _, message)| (step, message)).collect()
    }
}
