//! From the bytes of a MIDI file to a [`Score`]. The rules are told in the [parent module](super).

use std::collections::{BTreeMap, VecDeque};

use midly::live::LiveEvent;
use midly::num::u28;
use midly::{EventIter, Fps, MetaMessage, MidiMessage, TrackEvent, TrackEventKind};

use super::{MAX_STEPS, MidiError};
use crate::score::{Note, STEPS_PER_BAR, Score};

/// Channel 10, counted from 0.
const DRUMS: u8 = 9;

/// Reads the bytes of a MIDI file into a score called `name`.
///
/// # Errors
///
/// A [`MidiError`] of any kind but `Io` and `TooLarge`.
pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Score, MidiError> {
    let file = split(bytes)?;
    let mut notes = Vec::new();
    let mut offset = 0;
    for (index, data) in file.tracks.iter().enumerate() {
        let track = read_track(data, index + 1)?;
        notes.extend(track.notes.into_iter().map(|note| note.later(offset)));
        if file.one_after_the_other {
            offset += track.ticks;
        }
    }
    place(name, &notes, &file.grid)
}

/// Rounds notes to the grid and drops the silence before the first.
fn place(name: &str, notes: &[TickNote], grid: &Grid) -> Result<Score, MidiError> {
    let bar = u128::from(STEPS_PER_BAR);
    let first = notes.iter().map(|note| grid.step(note.start)).min().ok_or(MidiError::NoNotes)?;
    let origin = first - first % bar;
    let spans: Vec<(u128, u128)> = notes
        .iter()
        .map(|note| {
            let start = grid.step(note.start);
            let end = note.end.map_or(0, |end| grid.step(end)).max(start + 1);
            (start - origin, end - origin)
        })
        .collect();
    let steps = spans.iter().map(|span| span.1).max().unwrap_or(0);
    if steps > u128::from(MAX_STEPS) {
        return Err(MidiError::TooLong { steps });
    }
    // From here on every number fits: it is at most MAX_STEPS.
    let notes = spans
        .into_iter()
        .zip(notes)
        .map(|((start, end), note)| Note {
            onset: start as u32,
            duration: (end - start) as u32,
            pitch: note.pitch,
            velocity: note.velocity,
        })
        .collect();
    Ok(Score::new(name, steps as u32, notes))
}

/// How many steps a tick is, as a fraction.
struct Grid {
    numerator: u128,
    denominator: u128,
}

impl Grid {
    /// From the header's division: ticks per quarter note, or (top bit set) minus the frames per second and the ticks
    /// per frame.
    fn from_division(division: [u8; 2]) -> Result<Grid, MidiError> {
        let [high, low] = division;
        if high & 0x80 == 0 {
            return match u16::from_be_bytes(division) {
                0 => Err(MidiError::NoTimeUnit("0 ticks per quarter note")),
                ticks => Ok(Grid { numerator: 4, denominator: ticks.into() }),
            };
        }
        // 29 stands for 30 / 1.001 frames a second.
        let (frames, seconds) = match Fps::from_int(high.wrapping_neg()) {
            Some(Fps::Fps29) => (30_000, 1001),
            Some(fps) => (u128::from(fps.as_int()), 1),
            None => return Err(MidiError::NoTimeUnit("SMPTE frames per second other than 24, 25, 29 and 30")),
        };
        match low {
            0 => Err(MidiError::NoTimeUnit("0 ticks per SMPTE frame")),
            // 120 quarter notes a minute: eight sixteenths a second.
            ticks => Ok(Grid { numerator: 8 * seconds, denominator: frames * u128::from(ticks) }),
        }
    }

    /// The step nearest to a tick.
    fn step(&self, tick: u64) -> u128 {
        (u128::from(tick) * self.numerator + self.denominator / 2) / self.denominator
    }
}

/// The parts of a MIDI file.
struct File<'a> {
    grid: Grid,
    one_after_the_other: bool,
    tracks: Vec<&'a [u8]>,
}

/// Takes a file apart. midly could do this too, but does not tell a whole track from one that is cut short.
fn split(bytes: &[u8]) -> Result<File<'_>, MidiError> {
    let mut chunks = Chunks { rest: unwrap_riff(bytes), bytes: bytes.len() };
    if !chunks.rest.starts_with(b"MThd") {
        let start = &chunks.rest[..chunks.rest.len().min(8)];
        let found = if start.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", start.escape_ascii()) };
        return Err(MidiError::NotMidi { found });
    }
    let header = chunks.next("a header")?.1;
    let &[f0, f1, t0, t1, d0, d1, ..] = header else {
        return Err(MidiError::Truncated {
            announced: format!("a header of 6 bytes was expected and {} are announced", header.len()),
            bytes: bytes.len(),
        });
    };
    let format = u16::from_be_bytes([f0, f1]);
    if format > 2 {
        return Err(MidiError::UnknownFormat(format));
    }
    let grid = Grid::from_division([d0, d1])?;
    let announced = usize::from(u16::from_be_bytes([t0, t1]));
    let mut tracks = Vec::new();
    while tracks.len() < announced {
        let expected = format!("track {} of {announced}", tracks.len() + 1);
        let (kind, data) = chunks.next(&expected)?;
        // Chunks of other kinds may stand between the tracks.
        if kind == b"MTrk" {
            tracks.push(data);
        }
    }
    Ok(File { grid, one_after_the_other: format == 2, tracks })
}

/// The chunks of a MIDI file: four letters, a length, and as many bytes.
struct Chunks<'a> {
    rest: &'a [u8],
    /// Length of the whole file, for messages.
    bytes: usize,
}

impl<'a> Chunks<'a> {
    fn next(&mut self, expected: &str) -> Result<(&'a [u8], &'a [u8]), MidiError> {
        let truncated = |announced: String| MidiError::Truncated { announced, bytes: self.bytes };
        let (head, rest) =
            self.rest.split_first_chunk::<8>().ok_or_else(|| truncated(format!("{expected} was expected")))?;
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let (data, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length))
            .ok_or_else(|| truncated(format!("{expected} should have {length} bytes")))?;
        let kind = &self.rest[..4];
        self.rest = rest;
        Ok((kind, data))
    }
}

/// The MIDI file inside a RIFF file (`.rmi`); any other file as it is.
fn unwrap_riff(bytes: &[u8]) -> &[u8] {
    if !(bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"RMID")) {
        return bytes;
    }
    let mut rest = &bytes[12..];
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if head.starts_with(b"data") {
            // A length that runs past the end is left to the chunks inside, which know what is missing.
            return &after[..length.min(after.len())];
        }
        // Chunks of odd length are padded by a byte.
        let Some(next) = after.get(length.saturating_add(length % 2)..) else { break };
        rest = next;
    }
    bytes
}

/// A note in the file's own time.
struct TickNote {
    start: u64,
    /// `None` if it is never released.
    end: Option<u64>,
    pitch: u8,
    velocity: u8,
}

impl TickNote {
    fn later(self, ticks: u64) -> TickNote {
        TickNote { start: self.start + ticks, end: self.end.map(|end| end + ticks), ..self }
    }
}

/// What a track holds, and how long it is.
struct Track {
    notes: Vec<TickNote>,
    ticks: u64,
}

/// Reads the events of a track, which is the `number`-th of its file.
fn read_track(data: &[u8], number: usize) -> Result<Track, MidiError> {
    let mut events = Events { inner: EventIter::new(data), length: data.len() };
    let mut track = Track { notes: Vec::new(), ticks: 0 };
    // For each channel and pitch the notes that sound, as indices into the notes, the earliest first.
    let mut held: BTreeMap<(u8, u8), VecDeque<usize>> = BTreeMap::new();
    while let Some(event) = events.next().map_err(|byte| MidiError::BadEvent { track: number, byte })? {
        track.ticks += u64::from(event.delta.as_int());
        let (channel, message) = match event.kind {
            TrackEventKind::Midi { channel, message } => (channel.as_int(), message),
            TrackEventKind::Meta(MetaMessage::EndOfTrack) => break,
            _ => continue,
        };
        let (pitch, velocity) = match message {
            MidiMessage::NoteOn { key, vel } => (key.as_int(), vel.as_int()),
            MidiMessage::NoteOff { key, .. } => (key.as_int(), 0),
            _ => continue,
        };
        if channel == DRUMS {
            continue;
        }
        let sounding = held.entry((channel, pitch)).or_default();
        if velocity > 0 {
            sounding.push_back(track.notes.len());
            track.notes.push(TickNote { start: track.ticks, end: None, pitch, velocity });
        } else if let Some(index) = sounding.pop_front() {
            track.notes[index].end = Some(track.ticks);
        }
    }
    Ok(track)
}

/// midly's events, read on where it stops: at data bytes over 127, and at running status after a meta event.
struct Events<'a> {
    inner: EventIter<'a>,
    /// Length of the track's data.
    length: usize,
}

impl<'a> Events<'a> {
    /// The next event, `None` at the end of the track, or the offset of an event that cannot be read.
    fn next(&mut self) -> Result<Option<TrackEvent<'a>>, usize> {
        let before = self.inner.unread();
        let status = self.inner.running_status();
        if before.is_empty() {
            return Ok(None);
        }
        // Without its feature `strict`, midly ends a track silently where it cannot read on.
        let Some(Ok(event)) = self.inner.next() else {
            let (event, status, rest) = clipped(before, status).ok_or(self.length - before.len())?;
            self.inner = EventIter::new(rest);
            *self.inner.running_status_mut() = Some(status);
            return Ok(Some(event));
        };
        if matches!(event.kind, TrackEventKind::Meta(_)) {
            *self.inner.running_status_mut() = status;
        }
        Ok(Some(event))
    }
}

/// Reads a channel message whose data bytes may be over 127. Returns the event, its status byte and what follows.
fn clipped<'a>(data: &'a [u8], running: Option<u8>) -> Option<(TrackEvent<'a>, u8, &'a [u8])> {
    // A delta has seven bits a byte, at most four bytes, and the top bit set in all but the last.
    let last = data.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    let delta = data[..=last].iter().fold(0, |delta, byte| delta << 7 | u32::from(byte & 0x7F));
    let rest = &data[last + 1..];
    let (status, rest) = match rest {
        [status @ 0x80..=0xEF, rest @ ..] => (*status, rest),
        [0..=0x7F, ..] => (running?, rest),
        _ => return None,
    };
    let is_short = matches!(status >> 4, 0xC | 0xD);
    let (values, rest) = rest.split_at_checked(if is_short { 1 } else { 2 })?;
    let mut message = vec![status];
    message.extend(values.iter().map(|&byte| byte.min(127)));
    match LiveEvent::parse(&message) {
        Ok(LiveEvent::Midi { channel, message }) => {
            let kind = TrackEventKind::Midi { channel, message };
            Some((TrackEvent { delta: u28::new(delta), kind }, status, rest))
        }
        _ => None,
    }
}
