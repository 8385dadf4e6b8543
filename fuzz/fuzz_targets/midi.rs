//! MIDI files.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/music_genre/midi/mod.rs"]
mod midi;
#[path = "../../examples/music_genre/score.rs"]
mod score;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rewind_fuzz::{Bound, Folder, seed};
use score::{Encoding, Note, Score};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

/// A note takes three bytes of a file at least.
const BOUND: Bound = Bound { ratio: 40, fixed: 128 << 10 };

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
}
