//! The events of a track, read as leniently as their bytes allow.
//!
//! The crate midly ends a track at the first event that the standard does not define. Here unknown bytes between events are
//! skipped and counted, so no later note is lost.

use super::oddity::{Oddities, Oddity};

/// What an event means to a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A key is struck, with a velocity of 1 to 127.
    NoteOn { channel: u8, pitch: u8, velocity: u8 },
    /// A key is released: a note-off, or a note-on of velocity 0.
    NoteOff { channel: u8, pitch: u8 },
    /// All notes of a channel end: controllers 120 (All Sound Off), 123 (All Notes Off), and 124 to 127, which imply
    /// it.
    AllOff { channel: u8 },
    /// The end mark.
    EndOfTrack,
    /// Anything else.
    Other,
}

/// The events of a track, in order: the ticks since the event before, and the event; or the offset at which an event
/// should begin and none can be read. There is nothing after such an error.
pub(super) struct Events<'a> {
    bytes: &'a [u8],
    at: usize,
    running: Option<u8>,
    /// Whether something has come since the last channel message that ends running status by the standard.
    interrupted: bool,
    /// What was odd so far.
    pub(super) oddities: Oddities,
}

impl Iterator for Events<'_> {
    type Item = Result<(u32, Event), usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        if start == self.bytes.len() {
            return None;
        }
        let event = self.read().ok_or(start);
        if event.is_err() {
            self.at = self.bytes.len();
        }
        Some(event)
    }
}

impl<'a> Events<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Events<'a> {
        Events { bytes, at: 0, running: None, interrupted: false, oddities: Oddities::default() }
    }

    /// Where the next event begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn read(&mut self) -> Option<(u32, Event)> {
        let delta = self.number()?;
        let status = match *self.bytes.get(self.at)? {
            status @ 0x80.. => {
                self.at += 1;
                status
            }
            _ => {
                if std::mem::take(&mut self.interrupted) {
                    self.oddities.add(Oddity::RunningStatus);
                }
                self.running?
            }
        };
        let event = match status {
            0xFF => self.meta()?,
            0xF0 | 0xF7 => self.sysex(status)?,
            0xF1..=0xF6 => {
                self.oddities.add(Oddity::SystemCommon);
                // Quarter frame, song position, song select; F4 and F5 are undefined, F6 has no data.
                self.take([1, 2, 1, 0, 0, 0][usize::from(status - 0xF1)])?;
                Event::Other
            }
            0xF8..=0xFE => {
                self.oddities.add(Oddity::RealTime);
                return Some((delta, Event::Other));
            }
            _ => {
                self.running = Some(status);
                self.interrupted = false;
                return Some((delta, self.channel_message(status)?));
            }
        };
        self.interrupted = true;
        Some((delta, event))
    }

    fn channel_message(&mut self, status: u8) -> Option<Event> {
        let is_short = matches!(status >> 4, 0xC | 0xD);
        let data = self.take(if is_short { 1 } else { 2 })?;
        data.iter().filter(|&&byte| byte > 127).for_each(|_| self.oddities.add(Oddity::DataByte));
        let [first, second] = [0, 1].map(|i| data.get(i).map_or(0, |&byte| byte.min(127)));
        let channel = status & 0x0F;
        Some(match status >> 4 {
            0x8 | 0x9 if status < 0x90 || second == 0 => Event::NoteOff { channel, pitch: first },
            0x9 => Event::NoteOn { channel, pitch: first, velocity: second },
            0xB if matches!(first, 120 | 123..=127) => Event::AllOff { channel },
            _ => Event::Other,
        })
    }

    fn meta(&mut self) -> Option<Event> {
        let kind = self.take(1)?[0];
        let length = self.number()? as usize;
        let data = self.take(length)?;
        let fits = match kind {
            0x00 => matches!(length, 0 | 2),
            0x20 | 0x21 => length == 1,
            0x2F => length == 0,
            0x51 => length == 3,
            0x54 => length == 5,
            0x58 => length == 4,
            0x59 => length == 2,
            _ => true,
        };
        if !fits {
            self.oddities.add(Oddity::MetaLength);
        }
        let exists = match (kind, data) {
            // The top bits of the hour say how many frames a second has.
            (0x54, &[hour, minute, second, frame, part]) => {
                hour & 0x9F < 24 && minute < 60 && second < 60 && frame < 30 && part < 100
            }
            (0x58, &[count, unit, ..]) => count > 0 && unit < 8,
            (0x59, &[sharps, mode]) => (-7..=7).contains(&sharps.cast_signed()) && mode < 2,
            _ => true,
        };
        if !exists {
            self.oddities.add(Oddity::MetaValue);
        }
        Some(if kind == 0x2F { Event::EndOfTrack } else { Event::Other })
    }

    fn sysex(&mut self, status: u8) -> Option<Event> {
        let length = self.number()? as usize;
        match self.take(length) {
            Some(data) if status == 0xF7 && data.first().is_some_and(|byte| (0x80..0xF0).contains(byte)) => {
                self.oddities.add(Oddity::EscapedMessage);
            }
            Some(_) => {}
            None => {
                let end = self.bytes[self.at..].iter().position(|&byte| byte == 0xF7)?;
                self.oddities.add(Oddity::SysexLength);
                self.take(end + 1)?;
            }
        }
        Some(Event::Other)
    }

    /// A number of at most four bytes, seven bits a byte, with the top bit set in all but the last.
    fn number(&mut self) -> Option<u32> {
        let rest = &self.bytes[self.at..];
        let last = rest.iter().take(4).position(|byte| byte & 0x80 == 0)?;
        self.at += last + 1;
        Some(rest[..=last].iter().fold(0, |number, byte| number << 7 | u32::from(byte & 0x7F)))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..count)?;
        self.at += count;
        Some(taken)
    }
}
