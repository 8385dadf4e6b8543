//! MIDI files.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/music_genre/midi/mod.rs"]
mod midi;
#[path = "../../examples/music_genre/score.rs"]
mod score;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rewind_fuzz::large::{SIZE, large, repeated};
use rewind_fuzz::{Bound, Folder, seed};
use score::{Encoding, Note, Score};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

/// A note of three bytes is one of 24 with the ticks of its start and end; beside it is its place among those that are held, in a list that
/// doubles, or after that a note of a score, of 12 bytes.
const BOUND: Bound = Bound { ratio: 14, ..Bound::TEN };

fuzz_target!(init: seeds(), |data: &[u8]| {
    let path = FOLDER.file("a.mid", data);
    let read = BOUND.check(data.len(), || {
        let read = midi::read_file(&path).map_err(|error| error.to_string());
        read.inspect(|reading| drop(midi::summary([(path.as_path(), &reading.oddities)].into_iter())))
    });
    let Ok(midi::Reading { score, .. }) = read else { return };
    assert!(!score.notes().is_empty() && score.steps() <= midi::MAX_STEPS as usize);
    // What a network reads of it has a size of its own, that of the steps.
    let excerpts = score.excerpts(200);
    let steps: usize = excerpts.iter().map(Score::steps).sum();
    assert_eq!(steps, score.steps());
    assert!(excerpts[0].encode(Encoding::Detailed).iter().all(|x| x.is_finite()));
});

fn seeds() {
    let note = |onset, pitch| Note { onset, pitch, duration: 2, velocity: 64 };
    let notes = (0..16).map(|k| note(2 * k, 48 + (7 * k % 24) as u8)).collect();
    let bytes = Score::new("a scale", 40, notes).to_midi(120).expect("a usual tempo");
    seed("written", &bytes);
    let riff = [&b"RIFF\0\0\0\0RMIDdata"[..], &(bytes.len() as u32).to_le_bytes(), &bytes].concat();
    seed("riff", &riff);
    // All that means something: notes with running status, All Notes Off, a system exclusive message, and meta events with fixed lengths.
    let track = [
        &[0, 0x90, 60, 64, 0x30, 62, 64, 0x30, 0xB0, 123, 0, 0, 0xF0, 2, 1, 0xF7, 0, 0xFF, 0x51, 3, 7, 1, 2][..],
        &[0, 0xFF, 0x54, 5, 1, 2, 3, 4, 5, 0, 0xFF, 0x58, 4, 3, 2, 24, 8, 0, 0xFF, 0x59, 2, 1, 0, 0, 0xFF, 0x2F, 0],
    ]
    .concat();
    for format in 0..3 {
        let header = [&b"MThd\0\0\0\x06\0"[..], &[format, 0, 2, 0xE7, 40]].concat();
        let one = [&b"MTrk"[..], &(track.len() as u32).to_be_bytes(), &track].concat();
        seed(&format!("format-{format}"), [&header[..], &one, &one].concat());
    }
    let track = |events: &[u8]| [&b"MTrk"[..], &(events.len() as u32).to_be_bytes(), events].concat();
    let file = |tracks: u16, rest: &[u8]| {
        let count = tracks.to_be_bytes();
        [&b"MThd\0\0\0\x06\0\x01"[..], &count, &[1, 0xE0], rest].concat()
    };
    // Notes of three bytes: never released, and each released after the longest time.
    let held = [&[0, 0x90, 60, 64][..], &repeated(&[0, 60, 64], SIZE)].concat();
    large("held", || file(1, &track(&[&held[..], &[0, 0xFF, 0x2F, 0]].concat())));
    large("long-notes", || {
        let released = [&[0x83, 0xDF, 0xFF, 0x7F, 60, 0][..], &repeated(&[0, 60, 0], SIZE)].concat();
        file(1, &track(&[&held[..], &released, &[0, 0xFF, 0x2F, 0]].concat()))
    });
    large("short-notes", || {
        file(1, &track(&[&[0, 0x90, 60, 64, 0, 60, 0][..], &repeated(&[0, 60, 64, 0, 60, 0], SIZE)].concat()))
    });
    large("all-off", || file(1, &track(&[&held[..], &repeated(&[0, 0xB0, 123, 0], SIZE)].concat())));
    large("tracks", || file(u16::MAX, &repeated(&track(&[0, 0x90, 60, 64]), SIZE)));
    large("empty-tracks", || file(u16::MAX, &[&track(&held)[..], &repeated(&track(&[]), SIZE)].concat()));
    // Each claims one byte; its events lead through the heads of those behind it.
    large("short-tracks", || file(u16::MAX, &repeated(b"MTrk\0\0\0\x01\0\x90<@", SIZE)));
    large("letters", || file(u16::MAX, &repeated(b"MTrk\xF1\0MTr", SIZE)));
}
