//! Files made by hand, byte by byte, and files broken by chance.

mod odd;

use proptest::prelude::*;

use super::*;
use crate::compose::{Style, compose};
use crate::score::Note;

/// A file of the given format and division, one chunk for each track.
fn file(format: u8, division: [u8; 2], tracks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0".to_vec();
    bytes.extend([format, 0, tracks.len() as u8]);
    bytes.extend(division);
    for track in tracks {
        bytes.extend(b"MTrk");
        bytes.extend((track.len() as u32).to_be_bytes());
        bytes.extend(*track);
    }
    bytes
}

/// Onset, duration and pitch of every note.
fn notes(bytes: &[u8]) -> Vec<(u32, u32, u8)> {
    let score = decode("test", bytes).unwrap().score;
    score.notes().iter().map(|note| (note.onset, note.duration, note.pitch)).collect()
}

fn message(bytes: &[u8]) -> String {
    decode("test", bytes).unwrap_err().to_string()
}

/// 96 ticks per quarter note: 24 ticks are a step.
const TICKS_96: [u8; 2] = [0, 96];
const END: [u8; 4] = [0, 0xFF, 0x2F, 0];
/// Middle C for two steps.
const C: &[u8] = &[0, 0x90, 60, 64, 48, 0x80, 60, 0, 0, 0xFF, 0x2F, 0];

#[test]
fn running_status_and_velocity_zero() {
    let track = [&[0, 0x90, 60, 64, 24, 60, 0, 0, 62, 64, 24, 62, 0][..], &END].concat();
    assert_eq!(notes(&file(0, TICKS_96, &[&track])), [(0, 1, 60), (1, 1, 62)]);
}

#[test]
fn running_status_goes_on_after_a_tempo_change() {
    let tempo = [0, 0xFF, 0x51, 3, 7, 0xA1, 0x20];
    let track = [&[0, 0x90, 60, 64][..], &tempo, &[24, 60, 0], &END].concat();
    assert_eq!(notes(&file(0, TICKS_96, &[&track])), [(0, 1, 60)]);
}

#[test]
fn rounding_keeps_short_notes() {
    // 5 ticks long, beginning 13 ticks (more than half a step) after the first.
    let track = [&[0, 0x90, 60, 64, 13, 64, 64, 5, 64, 0, 30, 60, 0][..], &END].concat();
    assert_eq!(notes(&file(0, TICKS_96, &[&track])), [(0, 2, 60), (1, 1, 64)]);
}

#[test]
fn drums_are_left_out() {
    let drums = [&[0, 0x99, 36, 64, 24, 36, 0][..], &END].concat();
    assert_eq!(notes(&file(1, TICKS_96, &[&drums, C])), [(0, 2, 60)]);
    assert_eq!(message(&file(1, TICKS_96, &[&drums])), "has no note outside the drum channel");
}

#[test]
fn parallel_tracks_share_time_and_patterns_follow_each_other() {
    assert_eq!(notes(&file(1, TICKS_96, &[C, C])), [(0, 2, 60), (0, 2, 60)]);
    assert_eq!(notes(&file(2, TICKS_96, &[C, C])), [(0, 2, 60), (2, 2, 60)]);
}

#[test]
fn overlapping_notes_of_one_pitch_end_in_order() {
    let track = [&[0, 0x90, 60, 64, 24, 60, 64, 24, 60, 0, 24, 60, 0][..], &END].concat();
    assert_eq!(notes(&file(0, TICKS_96, &[&track])), [(0, 2, 60), (1, 2, 60)]);
}

#[test]
fn a_note_never_released_lasts_a_step() {
    let track = [&[0, 0x90, 60, 64, 96, 62, 64, 24, 62, 0][..], &END].concat();
    assert_eq!(notes(&file(0, TICKS_96, &[&track])), [(0, 1, 60), (4, 1, 62)]);
}

#[test]
fn data_bytes_over_127_are_clipped() {
    // A velocity of 128 with its top bit masked off would be 0, and the note lost.
    let track = [&[0, 0x90, 60, 128, 24, 0x80, 60, 0][..], &END].concat();
    assert_eq!(decode("", &file(0, TICKS_96, &[&track])).unwrap().score.notes()[0].velocity, 127);
}

#[test]
fn bytes_after_the_last_track_and_after_an_end_mark_are_ignored() {
    let mut bytes = file(0, TICKS_96, &[&[C, &[1, 2, 3]].concat()]);
    bytes.extend(b"\0\0garbage");
    assert_eq!(notes(&bytes), [(0, 2, 60)]);
}

#[test]
fn smpte_time_is_read_at_120_quarters_a_minute() {
    // 25 frames a second and 40 ticks a frame: 1000 ticks a second, 125 a step.
    let track = [&[0, 0x90, 60, 64, 0x81, 0x7A, 60, 0][..], &END].concat();
    assert_eq!(notes(&file(0, [(-25i8) as u8, 40], &[&track])), [(0, 2, 60)]);
}

#[test]
fn silent_bars_before_the_first_note_are_dropped() {
    // 17 steps of silence: one bar and a step.
    let track = [&[0x83, 0x18, 0x90, 60, 64, 24, 60, 0][..], &END].concat();
    assert_eq!(notes(&file(0, TICKS_96, &[&track])), [(1, 1, 60)]);
}

#[test]
fn a_riff_wrapper_is_taken_off() {
    let inner = file(0, TICKS_96, &[C]);
    let mut bytes = b"RIFF\0\0\0\0RMIDLIST\x01\0\0\0x\0data".to_vec();
    bytes.extend((inner.len() as u32).to_le_bytes());
    bytes.extend(&inner);
    assert_eq!(notes(&bytes), [(0, 2, 60)]);
}

#[test]
fn what_is_no_midi_file_says_what_it_found() {
    assert_eq!(
        message(b"These are the lyrics"),
        "is not a MIDI file: expected it to begin with \"MThd\", found \"These ar\""
    );
    assert_eq!(message(b""), "is not a MIDI file: expected it to begin with \"MThd\", found nothing");
}

#[test]
fn a_cut_file_says_where() {
    let whole = file(1, TICKS_96, &[C, C]);
    assert_eq!(
        message(&whole[..whole.len() - 3]),
        "is cut short: track 2 of 2 should have 12 bytes, but the file ends after 51 bytes"
    );
    assert_eq!(message(&whole[..36]), "is cut short: track 2 of 2 was expected, but the file ends after 36 bytes");
    // Only where the first track is whole and nothing follows, the header may as well have counted wrongly.
    for length in (0..whole.len()).filter(|&length| length != 34) {
        assert!(decode("", &whole[..length]).is_err(), "{length} bytes of {}", whole.len());
    }
    assert_eq!(message(&whole[..14]), "is cut short: track 1 of 2 was expected, but the file ends after 14 bytes");
}

#[test]
fn headers_without_a_unit_of_time() {
    let unit = |division| message(&file(0, division, &[C]));
    assert_eq!(unit([0, 0]), "has no usable time unit in its header: 0 ticks per quarter note");
    assert_eq!(unit([0xE8, 0]), "has no usable time unit in its header: 0 ticks per SMPTE frame");
    assert!(unit([0x80, 40]).ends_with("SMPTE frames per second other than 24, 25, 29 and 30"));
    assert_eq!(message(&file(3, TICKS_96, &[C])), "has format 3 in its header, expected 0, 1 or 2");
}

#[test]
fn unreadable_events_are_told_by_track_and_byte() {
    // A delta has four bytes at most.
    let track = [&[0, 0x90, 60, 64][..], &[0x80, 0x80, 0x80, 0x80, 0], &END].concat();
    assert_eq!(
        message(&file(1, TICKS_96, &[C, &track])),
        "has no readable event at byte 4 of track 2 (counted from 1)"
    );
    // A data byte before any status.
    assert_eq!(
        message(&file(0, TICKS_96, &[&[&[0, 60, 64][..], &END].concat()])),
        "has no readable event at byte 0 of track 1 (counted from 1)"
    );
}

#[test]
fn absurd_lengths_are_refused_before_memory_is_taken() {
    let held = [&[0, 0x90, 60, 64, 0xFF, 0xFF, 0xFF, 0x7F, 60, 0][..], &END].concat();
    assert_eq!(
        message(&file(0, [0, 1], &[&held])),
        "lasts 1073741820 sixteenth notes, more than the 65536 that are read"
    );
    // A silence of the same length before the first note is harmless.
    let late = [&[0xFF, 0xFF, 0xFF, 0x7F, 0x90, 60, 64, 1, 60, 0][..], &END].concat();
    assert_eq!(decode("", &file(0, [0, 1], &[&late])).unwrap().score.steps(), 16);
}

#[test]
fn files_are_read_by_name_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tune.mid");
    std::fs::write(&path, file(0, TICKS_96, &[C])).unwrap();
    assert_eq!(read_file(&path).unwrap().score.name(), "tune");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
    assert!(matches!(read_file(&path), Err(MidiError::TooLarge { .. })));
    assert!(matches!(read_file(&folder.path().join("none.mid")), Err(MidiError::Io(_))));
    // Its length is 0, and it has no end.
    #[cfg(unix)]
    assert_eq!(
        read_file(Path::new("/dev/zero")).unwrap_err().to_string(),
        "cannot be read: it is a device; expected a regular file"
    );
}

#[test]
fn impossible_tempos_are_errors() {
    let score = Score::new("", 1, vec![]);
    assert!(score.to_midi(0).is_err());
    assert!(score.to_midi(3).is_err());
    assert!(score.to_midi(4).is_ok());
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        raw in prop::collection::vec((0u32..500, 1u32..20, 0u8..128, 1u8..128), 1..60)
    ) {
        // One note a pitch, so that no two overlap.
        let mut notes: Vec<Note> = raw
            .into_iter()
            .map(|(onset, duration, pitch, velocity)| Note { onset, pitch, duration, velocity })
            .collect();
        notes.sort_by_key(|note| note.pitch);
        notes.dedup_by_key(|note| note.pitch);
        let score = Score::new("x", 600, notes);
        let read = decode("x", &score.to_midi(90).unwrap()).unwrap().score;
        let expected = score.trimmed(crate::score::STEPS_PER_BAR);
        prop_assert_eq!(read.notes(), expected.notes());
    }

    #[test]
    fn a_good_file_has_the_events_that_midly_reads(seed in 0u64..50, style in 0usize..3) {
        let bytes = compose(Style::ALL[style], seed, 0).to_midi(120).unwrap();
        let smf = midly::Smf::parse(&bytes).unwrap();
        let data = bytes.len() - 22;
        let mut events = events::Events::new(&bytes[22..]);
        for theirs in &smf.tracks[0] {
            let (delta, ours) = events.next().unwrap().unwrap();
            prop_assert_eq!(delta, theirs.delta.as_int());
            let expected = match theirs.kind {
                midly::TrackEventKind::Midi { channel, message: midly::MidiMessage::NoteOn { key, vel } } => {
                    events::Event::NoteOn { channel: channel.as_int(), pitch: key.as_int(), velocity: vel.as_int() }
                }
                midly::TrackEventKind::Midi { channel, message: midly::MidiMessage::NoteOff { key, .. } } => {
                    events::Event::NoteOff { channel: channel.as_int(), pitch: key.as_int() }
                }
                midly::TrackEventKind::Meta(midly::MetaMessage::EndOfTrack) => events::Event::EndOfTrack,
                _ => events::Event::Other,
            };
            prop_assert_eq!(ours, expected);
        }
        prop_assert_eq!(events.at(), data);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode("", &bytes);
    }

    #[test]
    fn no_mutation_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let tempo = [0, 0xFF, 0x51, 3, 7, 0xA1, 0x20];
        let smpte = [0, 0xFF, 0x54, 5, 0x21, 2, 3, 4, 5];
        let sysex = [10, 0xF0, 3, 1, 2, 0xF7];
        let track = [&tempo[..], &smpte, &[0, 0x90, 60, 64], &sysex, &[24, 0x80, 60, 0, 3, 0xC0, 4], &END].concat();
        let mut bytes = file(1, TICKS_96, &[&track, C]);
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        if let Ok(Reading { score, .. }) = decode("", &bytes) {
            prop_assert!(score.steps() <= MAX_STEPS as usize && !score.notes().is_empty());
        }
    }

    #[test]
    fn no_mutation_of_a_whole_piece_makes_it_panic(
        number in 0u64..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..12),
    ) {
        let mut bytes = compose(Style::ALL[number as usize % 3], 1, number).to_midi(120).unwrap();
        for (index, byte, what) in changes {
            let index = index.index(bytes.len());
            match what {
                0 => bytes[index] = byte,
                1 => bytes.insert(index, byte),
                _ => drop(bytes.remove(index)),
            }
        }
        if let Ok(Reading { score, .. }) = decode("", &bytes) {
            prop_assert!(score.steps() <= MAX_STEPS as usize && !score.notes().is_empty());
        }
    }
}
