//! Splits a MIDI file into its header and its tracks, by what is there rather than by what is announced.

use super::MidiError;
use super::events::{Event, Events};
use super::oddity::{Oddities, Oddity};

const TRACK: &[u8] = b"MTrk";
const HEADER: &[u8] = b"MThd";
/// The letters and the length before the data of a chunk.
const HEAD: usize = 8;
/// How many times the bytes of a file are searched for end marks, at most. Tracks of the right length are searched once.
const MOST_SEARCHES: usize = 4;

/// The parts of a MIDI file.
pub(super) struct Parts<'a> {
    /// 0, 1 or 2.
    pub(super) format: u16,
    /// The unit of time, as in the header.
    pub(super) division: [u8; 2],
    /// The events of every track.
    pub(super) tracks: Vec<&'a [u8]>,
    /// How many tracks the header announces.
    pub(super) announced: usize,
}

/// Splits a file.
///
/// Lengths and counts are trusted where they lead to the next chunk. Elsewhere the events show where a track ends. A
/// track whose events end with the file, before their end mark, is an error: the file is truncated.
pub(super) fn take_apart<'a>(bytes: &'a [u8], oddities: &mut Oddities) -> Result<Parts<'a>, MidiError> {
    let bytes = unwrap_riff(bytes);
    if !bytes.starts_with(HEADER) {
        let start = &bytes[..bytes.len().min(8)];
        let found = if start.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", start.escape_ascii()) };
        return Err(MidiError::NotMidi { found });
    }
    let mut chunks = Chunks { bytes, at: 0, searched: 0 };
    let truncated = |announced: String| MidiError::Truncated { announced, bytes: bytes.len() };
    let (_, length) = chunks.head(0).ok_or_else(|| truncated("a header was expected".to_owned()))?;
    if length < 6 {
        return Err(truncated(format!("a header of 6 bytes was expected and {length} are announced")));
    }
    let Some(&[f0, f1, t0, t1, d0, d1]) = bytes.get(HEAD..HEAD + 6) else {
        return Err(truncated(format!("a header should have {length} bytes")));
    };
    let format = u16::from_be_bytes([f0, f1]);
    if format > 2 {
        return Err(MidiError::UnknownFormat(format));
    }
    let announced = usize::from(u16::from_be_bytes([t0, t1]));
    let end = HEAD.saturating_add(length);
    chunks.at = if length == 6 || chunks.is_border(end) {
        end
    } else {
        oddities.add(Oddity::HeaderLength);
        HEAD + 6
    };
    let (mut tracks, mut foreign) = (Vec::new(), 0);
    while chunks.at < bytes.len() {
        let expected = || format!("track {} of {announced}", tracks.len() + 1);
        let is_announced = tracks.len() < announced;
        match chunks.next(is_announced, oddities) {
            Next::Track(data) => tracks.push(data),
            Next::Foreign => foreign += 1,
            Next::Nothing => break,
            Next::Cut { length: Some(length) } if is_announced => {
                return Err(truncated(format!("{} should have {length} bytes", expected())));
            }
            Next::Cut { length: None } if is_announced => {
                return Err(truncated(format!("{} was expected", expected())));
            }
            Next::Cut { .. } => {
                oddities.add(Oddity::UnreadableExtraTrack);
                break;
            }
        }
    }
    if tracks.is_empty() && announced > 0 {
        return Err(truncated(format!("track 1 of {announced} was expected")));
    }
    match tracks.len() {
        found if found > announced => oddities.add(Oddity::MoreTracks),
        found if found == announced => {}
        found if found + foreign >= announced => oddities.add(Oddity::ForeignChunkCounted),
        _ => oddities.add(Oddity::FewerTracks),
    }
    Ok(Parts { format, division: [d0, d1], tracks, announced })
}

/// What comes next in a file.
enum Next<'a> {
    /// The events of a track.
    Track(&'a [u8]),
    /// A chunk of another kind.
    Foreign,
    /// No chunk.
    Nothing,
    /// A track that the file ends in: the length in its head, if that is whole.
    Cut { length: Option<usize> },
}

struct Chunks<'a> {
    bytes: &'a [u8],
    /// Where the next chunk should begin.
    at: usize,
    /// How many bytes were read in search of end marks. Where lengths reach over many tracks, each search would read them all.
    searched: usize,
}

impl<'a> Chunks<'a> {
    /// The letters and the length of a chunk that begins at `at`.
    fn head(&self, at: usize) -> Option<(&'a [u8], usize)> {
        let head = self.bytes.get(at..)?.first_chunk::<HEAD>()?;
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        Some((&self.bytes[at..at + 4], usize::try_from(length).unwrap_or(usize::MAX)))
    }

    fn is_track(&self, at: usize) -> bool {
        self.head(at).is_some_and(|(kind, _)| kind == TRACK)
    }

    /// The end of a chunk of another kind that begins at `at`: four letters, and a length that fits.
    fn foreign(&self, at: usize) -> Option<usize> {
        let (kind, length) = self.head(at)?;
        let end = at.checked_add(HEAD)?.checked_add(length)?;
        let has_letters = kind.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        (has_letters && kind != TRACK && kind != HEADER && end <= self.bytes.len()).then_some(end)
    }

    /// Whether a chunk may end at `at`: there the file ends too, or another chunk begins.
    fn is_border(&self, at: usize) -> bool {
        at == self.bytes.len() || self.is_track(at) || self.foreign(at).is_some()
    }

    /// The next chunk. Bytes that belong to none are skipped only if another track `is_announced`.
    fn next(&mut self, is_announced: bool, oddities: &mut Oddities) -> Next<'a> {
        if self.is_track(self.at) {
            return self.track(oddities);
        }
        if let Some(end) = self.foreign(self.at) {
            oddities.add(Oddity::ForeignChunk);
            self.at = end;
            return Next::Foreign;
        }
        let rest = &self.bytes[self.at..];
        if rest.starts_with(HEADER) {
            oddities.add(Oddity::SecondFile);
            return Next::Nothing;
        }
        if rest.len() < HEAD && (rest.starts_with(TRACK) || TRACK.starts_with(rest)) {
            return Next::Cut { length: None };
        }
        let skipped = match rest.windows(TRACK.len()).position(|letters| letters == TRACK) {
            Some(skipped) if is_announced => skipped,
            found => {
                oddities.add(if found.is_some() { Oddity::TrackInTrailingBytes } else { Oddity::TrailingBytes });
                return Next::Nothing;
            }
        };
        oddities.add(Oddity::StrayBytes);
        self.at += skipped;
        if self.is_track(self.at) { self.track(oddities) } else { Next::Cut { length: None } }
    }

    /// The track that begins here.
    fn track(&mut self, oddities: &mut Oddities) -> Next<'a> {
        let start = self.at + HEAD;
        let Some((_, length)) = self.head(self.at) else { return Next::Nothing };
        let declared = start.checked_add(length).filter(|&end| end <= self.bytes.len());
        let mark = declared.and_then(|end| self.end_mark(start, end));
        let end = match (declared, mark) {
            // The length reaches into the next track, or over it.
            (Some(end), Some(mark)) if mark < end && (self.is_track(mark) || !self.is_border(end)) => mark,
            (Some(end), Some(_)) => end,
            (Some(end), None) if self.is_border(end) => end,
            (Some(end), None) => self.end_of_events(start).unwrap_or(end),
            (None, _) => match self.end_of_events(start) {
                Some(end) => end,
                None => return Next::Cut { length: Some(length) },
            },
        };
        if declared != Some(end) {
            oddities.add(Oddity::TrackLength);
        }
        self.at = end;
        Next::Track(&self.bytes[start..end])
    }

    /// Where the first end mark from `start` on ends, if there is one before `end`. Not looked for where the searches before have read the file
    /// many times over.
    fn end_mark(&mut self, start: usize, end: usize) -> Option<usize> {
        if self.searched > MOST_SEARCHES * self.bytes.len() {
            return None;
        }
        let mut events = Events::new(&self.bytes[start..end]);
        let mark = events.by_ref().map_while(Result::ok).find(|&(_, event)| event == Event::EndOfTrack);
        self.searched += events.at();
        mark.map(|_| start + events.at())
    }

    /// Where the events that begin at `start` end, whatever the length says: after an end mark, or where the next track
    /// begins.
    fn end_of_events(&self, start: usize) -> Option<usize> {
        let mut events = Events::new(&self.bytes[start..]);
        while !self.is_track(start + events.at()) {
            let (_, event) = events.next()?.ok()?;
            if event == Event::EndOfTrack {
                break;
            }
        }
        Some(start + events.at())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each track claims all tracks after it, and its events go through them: their heads are notes to it.
    #[test]
    fn tracks_that_claim_the_next_ones_are_read_a_few_times() {
        const COUNT: usize = 25_000;
        let size = 14 + 12 * COUNT;
        let mut bytes = b"MThd\0\0\0\x06\0\x01".to_vec();
        bytes.extend((COUNT as u16).to_be_bytes());
        bytes.extend([1, 224]);
        for _ in 0..COUNT {
            // A length whose lower half is the rest of a time when it is read as events.
            let rest = size - bytes.len() - HEAD;
            let length = rest.checked_sub(0x8082).map_or([0, 0, 0, 4], |over| [0, (over >> 16) as u8, 0x80, 0x81]);
            bytes.extend(TRACK.iter().chain(&length).chain(&[0, 0x90, b'<', b'@']));
        }
        let mut chunks = Chunks { bytes: &bytes, at: 14, searched: 0 };
        let mut tracks = 0;
        while let Next::Track(_) = chunks.next(true, &mut Oddities::default()) {
            tracks += 1;
        }
        assert!(tracks > 1, "{tracks}");
        let most = (MOST_SEARCHES + 1) * bytes.len();
        assert!(chunks.searched > bytes.len() && chunks.searched <= most, "{} of {most} bytes", chunks.searched);
    }
}
