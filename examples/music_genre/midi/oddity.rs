//! What is odd in a file that can be read all the same: every kind by name, and how often.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A way in which files in the wild depart from the standard. Displays as the thing that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Oddity {
    /// The header's own length leads to no chunk.
    HeaderLength,
    /// Fewer tracks than the header announces.
    FewerTracks,
    /// More tracks than the header announces.
    MoreTracks,
    /// The header counts chunks of other kinds as tracks.
    ForeignChunkCounted,
    /// A chunk that is no track.
    ForeignChunk,
    /// A track's length in its chunk is not where its events end.
    TrackLength,
    /// A track beyond the announced ones that cannot be read.
    UnreadableExtraTrack,
    /// Bytes between chunks that belong to none.
    StrayBytes,
    /// Bytes behind the last track.
    TrailingBytes,
    /// Letters of a track in the bytes behind the last one: as a rule what was in the writer's buffer before.
    TrackInTrailingBytes,
    /// A second MIDI file behind the first one.
    SecondFile,
    /// A track without an end mark.
    MissingEndMark,
    /// Events behind a track's end mark, up to another one.
    EventsAfterEndMark,
    /// Bytes behind a track's end mark that are no events.
    BytesAfterEndMark,
    /// Clock, start, stop, active sensing and the like: bytes F8 to FE.
    RealTime,
    /// Bytes F1 to F6 and their data.
    SystemCommon,
    /// Running status that goes on behind a meta event, a sysex or a system-common message.
    RunningStatus,
    /// A data byte over 127, which counts as 127.
    DataByte,
    /// A meta event whose length is not the one of its kind.
    MetaLength,
    /// A key signature, SMPTE offset or time signature that does not exist.
    MetaValue,
    /// A sysex whose length runs past the end of its track, but which has an end of its own.
    SysexLength,
    /// A channel message inside an escape event (F7), which is not played.
    EscapedMessage,
    /// A note that nothing ends.
    NeverReleased,
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Oddity::HeaderLength => "length of the header that leads to no chunk",
            Oddity::FewerTracks => "fewer tracks than the header announces",
            Oddity::MoreTracks => "more tracks than the header announces",
            Oddity::ForeignChunkCounted => "foreign chunk that the header counts as a track",
            Oddity::ForeignChunk => "foreign chunk",
            Oddity::TrackLength => "track length that is not where the events end",
            Oddity::UnreadableExtraTrack => "unreadable track beyond those that the header announces, left out",
            Oddity::StrayBytes => "bytes between chunks",
            Oddity::TrailingBytes => "bytes behind the last track",
            Oddity::TrackInTrailingBytes => "track in the bytes behind the last track, left out",
            Oddity::SecondFile => "second MIDI file behind the first, left out",
            Oddity::MissingEndMark => "track without an end mark",
            Oddity::EventsAfterEndMark => "events behind an end mark",
            Oddity::BytesAfterEndMark => "bytes behind an end mark",
            Oddity::RealTime => "real-time byte",
            Oddity::SystemCommon => "system-common message",
            Oddity::RunningStatus => "running status behind a meta event or a system message",
            Oddity::DataByte => "data byte over 127, read as 127",
            Oddity::MetaLength => "meta event of unexpected length",
            Oddity::MetaValue => "meta event with a value that does not exist",
            Oddity::SysexLength => "sysex longer than its track, read to its end byte",
            Oddity::EscapedMessage => "channel message in an escape event, not played",
            Oddity::NeverReleased => "note that is never released, read as one step",
        })
    }
}

/// How often each oddity was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Oddities(BTreeMap<Oddity, usize>);

impl Oddities {
    /// One more of a kind.
    pub(super) fn add(&mut self, oddity: Oddity) {
        *self.0.entry(oddity).or_default() += 1;
    }

    /// The kinds that were met, and how often each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Oddity, usize)> + '_ {
        self.0.iter().map(|(&oddity, &count)| (oddity, count))
    }

    /// Whether the file is as the standard wants it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One line for every kind that was met in the files: how often, in how many, and one of them.
pub(crate) fn summary<'a>(files: impl IntoIterator<Item = (&'a Path, &'a Oddities)>) -> Vec<String> {
    let mut kinds: BTreeMap<Oddity, (usize, usize, PathBuf)> = BTreeMap::new();
    for (path, oddities) in files {
        for (oddity, count) in oddities.iter() {
            let (total, files, _) = kinds.entry(oddity).or_insert_with(|| (0, 0, path.to_owned()));
            *total += count;
            *files += 1;
        }
    }
    let line = |(oddity, (total, files, first)): (Oddity, (usize, usize, PathBuf))| match files {
        1 => format!("{oddity}: {total} in {}", first.display()),
        _ => format!("{oddity}: {total} in {files} files, among them {}", first.display()),
    };
    kinds.into_iter().map(line).collect()
}
