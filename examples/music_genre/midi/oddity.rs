//! What is odd in a file that can be read all the same: each kind, and how often.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The kinds, a line each: name and text.
macro_rules! oddities {
    ($($kind:ident: $text:literal,)*) => {
        /// A way in which real files depart from the standard. Displays as what was found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Oddity {
            $(#[doc = $text] $kind,)*
        }

        impl fmt::Display for Oddity {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Oddity::$kind => $text,)*
                })
            }
        }
    };
}

oddities! {
    HeaderLength: "length of the header that leads to no chunk",
    FewerTracks: "fewer tracks than the header announces",
    MoreTracks: "more tracks than the header announces",
    ForeignChunkCounted: "foreign chunk that the header counts as a track",
    ForeignChunk: "foreign chunk",
    TrackLength: "track length that is not where the events end",
    UnreadableExtraTrack: "unreadable track beyond those that the header announces, left out",
    StrayBytes: "bytes between chunks",
    TrailingBytes: "bytes after the last track",
    // As a rule this is what was in the writer's buffer before.
    TrackInTrailingBytes: "track in the bytes after the last track, left out",
    SecondFile: "second MIDI file after the first, left out",
    MissingEndMark: "track without an end mark",
    // They are read up to another end mark.
    EventsAfterEndMark: "events after an end mark",
    BytesAfterEndMark: "bytes after an end mark",
    // Clock, start, stop, active sensing and the like: F8 to FE.
    RealTime: "real-time byte",
    // F1 to F6 and their data.
    SystemCommon: "system-common message",
    RunningStatus: "running status after a meta event or a system message",
    DataByte: "data byte over 127, read as 127",
    MetaLength: "meta event of unexpected length",
    // A key signature, SMPTE offset or time signature.
    MetaValue: "meta event with a value that does not exist",
    SysexLength: "sysex longer than its track, read to its end byte",
    EscapedMessage: "channel message in an escape event, not played",
    NeverReleased: "note that is never released, read as one step",
}

/// How often each oddity was met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Oddities(BTreeMap<Oddity, usize>);

impl Oddities {
    /// One more of a kind.
    pub(super) fn add(&mut self, oddity: Oddity) {
        *self.0.entry(oddity).or_default() += 1;
    }

    /// Adds what was met elsewhere.
    pub(super) fn extend(&mut self, others: Oddities) {
        for (oddity, count) in others.0 {
            *self.0.entry(oddity).or_default() += count;
        }
    }

    /// The kinds that were met, and how often each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Oddity, usize)> + '_ {
        self.0.iter().map(|(&oddity, &count)| (oddity, count))
    }

    /// Whether the file follows the standard.
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
