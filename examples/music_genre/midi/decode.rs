//! From the bytes of a MIDI file to a [`Score`]. The [parent module](super) gives the rules.

use std::collections::{BTreeMap, VecDeque};

use midly::Fps;

use super::chunks::take_apart;
use super::events::{Event, Events};
use super::oddity::{Oddities, Oddity};
use super::{MAX_STEPS, MidiError, Reading};
use crate::score::{Note, STEPS_PER_BAR, Score};

/// Channel 10, counted from 0.
const DRUMS: u8 = 9;

/// Reads the bytes of a MIDI file into a score called `name`.
///
/// # Errors
///
/// A [`MidiError`] of any kind but `Io` and `TooLarge`.
pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Reading, MidiError> {
    let mut oddities = Oddities::default();
    let parts = take_apart(bytes, &mut oddities)?;
    let grid = Grid::from_division(parts.division)?;
    let one_after_the_other = parts.format == 2;
    // A note may take three bytes of the file: room that is doubled would be many times the file.
    let count = |is_counted: fn(Event) -> bool| {
        let events = parts.tracks.iter().flat_map(|data| Events::new(data).map_while(Result::ok));
        events.filter(|&(_, event)| is_counted(event)).count()
    };
    let mut notes = Vec::with_capacity(count(|event| matches!(event, Event::NoteOn { .. })));
    let mut all_off = Vec::with_capacity(count(|event| matches!(event, Event::AllOff { .. })));
    let mut offset = 0;
    for (index, data) in parts.tracks.iter().enumerate() {
        let end = match end_of_music(data, &mut oddities) {
            Ok(end) => end,
            Err(byte) if index < parts.announced => return Err(MidiError::BadEvent { track: index + 1, byte }),
            Err(_) => {
                oddities.add(Oddity::UnreadableExtraTrack);
                continue;
            }
        };
        let mut track = Track { notes: &mut notes, ticks: offset, held: BTreeMap::new(), all_off: &mut all_off };
        let mut events = Events::new(&data[..end]);
        for (delta, event) in events.by_ref().map_while(Result::ok) {
            track.ticks += u64::from(delta);
            track.take(event);
        }
        oddities.extend(events.oddities);
        if one_after_the_other {
            offset = track.ticks;
            // They end no notes of other tracks.
            all_off.clear();
        }
    }
    end_across_tracks(&mut notes, &mut all_off);
    notes.iter().filter(|note| note.end == HELD).for_each(|_| oddities.add(Oddity::NeverReleased));
    Ok(Reading { score: place(name, &notes, &grid)?, oddities })
}

/// Rounds notes to the grid and drops the silence before the first.
fn place(name: &str, notes: &[TickNote], grid: &Grid) -> Result<Score, MidiError> {
    let bar = u128::from(STEPS_PER_BAR);
    let first = notes.iter().map(|note| grid.step(note.start)).min().ok_or(MidiError::NoNotes)?;
    let origin = first - first % bar;
    let spans = notes.iter().map(|note| {
        let start = grid.step(note.start);
        let end = if note.end == HELD { 0 } else { grid.step(note.end) }.max(start + 1);
        (start - origin, end - origin)
    });
    let steps = spans.clone().map(|span| span.1).max().unwrap_or(0);
    if steps > u128::from(MAX_STEPS) {
        return Err(MidiError::TooLong { steps });
    }
    // From here on every number fits: it is at most MAX_STEPS.
    let notes = spans
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

/// The end of a note that is not released: no file is that long.
const HELD: u64 = u64::MAX;

/// A note in the file's own time.
struct TickNote {
    channel: u8,
    start: u64,
    end: u64,
    pitch: u8,
    velocity: u8,
}

/// A track while it is read.
struct Track<'a> {
    /// Those of all tracks so far.
    notes: &'a mut Vec<TickNote>,
    ticks: u64,
    /// For each channel and pitch the notes of this track that sound, as indices into the notes, the earliest first. A file of
    /// [`MAX_BYTES`](super::MAX_BYTES) has fewer notes than 32 bits can say.
    held: BTreeMap<(u8, u8), VecDeque<u32>>,
    /// When all notes of a channel were ended: channel and tick.
    all_off: &'a mut Vec<(u8, u64)>,
}

impl Track<'_> {
    fn take(&mut self, event: Event) {
        match event {
            Event::NoteOn { channel, pitch, velocity } if channel != DRUMS => {
                let held = self.held.entry((channel, pitch)).or_default();
                // What All Notes Off has ended no longer waits for a release. It ends all that are held, so these come
                // first.
                while held.front().is_some_and(|&index| self.notes[index as usize].end != HELD) {
                    held.pop_front();
                }
                held.push_back(self.notes.len() as u32);
                self.notes.push(TickNote { channel, start: self.ticks, end: HELD, pitch, velocity });
            }
            Event::NoteOff { channel, pitch } => {
                if let Some(index) = self.held.get_mut(&(channel, pitch)).and_then(VecDeque::pop_front) {
                    self.notes[index as usize].end = self.ticks;
                }
            }
            Event::AllOff { channel } => {
                self.all_off.push((channel, self.ticks));
                // They stay held: if the key is released before it is struck again, that is where they end.
                for (_, held) in self.held.range((channel, 0)..=(channel, 127)) {
                    for &index in held.iter().rev() {
                        let end = &mut self.notes[index as usize].end;
                        if *end != HELD {
                            break; // and so have all before it
                        }
                        *end = self.ticks;
                    }
                }
            }
            _ => {}
        }
    }
}

/// Where the events of a track end: at its last end mark. What follows an end mark counts only if it has one of its
/// own; a track without any is read to its last byte.
fn end_of_music(data: &[u8], oddities: &mut Oddities) -> Result<usize, usize> {
    let mut events = Events::new(data);
    let (mut last_mark, mut unreadable) = (None, None);
    while let Some(event) = events.next() {
        match event {
            Ok((_, Event::EndOfTrack)) => {
                if last_mark.replace(events.at()).is_some() {
                    oddities.add(Oddity::EventsAfterEndMark);
                }
            }
            Ok(_) => {}
            Err(byte) => unreadable = Some(byte),
        }
    }
    match (last_mark, unreadable) {
        (Some(end), _) => {
            if end < data.len() {
                oddities.add(Oddity::BytesAfterEndMark);
            }
            Ok(end)
        }
        (None, Some(byte)) => Err(byte),
        (None, None) => {
            oddities.add(Oddity::MissingEndMark);
            Ok(data.len())
        }
    }
}

/// Ends the notes that their own track does not end when another track ends all notes of their channel.
fn end_across_tracks(notes: &mut [TickNote], all_off: &mut [(u8, u64)]) {
    all_off.sort_unstable();
    for note in notes.iter_mut().filter(|note| note.end == HELD) {
        let next = all_off.partition_point(|&off| off <= (note.channel, note.start));
        let off = all_off.get(next).filter(|(channel, _)| *channel == note.channel);
        note.end = off.map_or(HELD, |&(_, tick)| tick);
    }
}
