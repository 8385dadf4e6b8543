//! Files that depart from the standard as files in the wild do, byte by byte, each with the notes that are in it.

use super::*;
use crate::midi::Oddity;
use crate::midi::Oddity::*;

/// The notes (onset, duration, pitch) and what was odd, how often.
type Found = (Vec<(u32, u32, u8)>, Vec<(Oddity, usize)>);

fn read(bytes: &[u8]) -> Found {
    (notes(bytes), decode("test", bytes).unwrap().oddities.iter().collect())
}

/// A file of one track with these events and an end mark.
fn track(events: &[&[u8]]) -> Vec<u8> {
    file(0, TICKS_96, &[&[&events.concat()[..], &END].concat()])
}

/// Middle C from step 0 to step 1 and D from 1 to 3, with `between` where an event may stand in the middle of each.
fn around(between: &[u8]) -> Vec<u8> {
    track(&[&[0, 0x90, 60, 64], between, &[24, 60, 0], &[0, 62, 64], between, &[48, 62, 0]])
}
const TWO: [(u32, u32, u8); 2] = [(0, 1, 60), (1, 2, 62)];

/// A chunk with the length that it says it has.
fn chunk(kind: &[u8; 4], length: usize, data: &[u8]) -> Vec<u8> {
    [&kind[..], &(length as u32).to_be_bytes(), data].concat()
}

/// A header of format 1 that announces a number of tracks.
fn header(tracks: u8) -> Vec<u8> {
    chunk(b"MThd", 6, &[0, 1, 0, tracks, 0, 96])
}

/// Note number `pitch` for one step.
fn one(pitch: u8) -> Vec<u8> {
    [&[0, 0x90, pitch, 64, 24, pitch, 0][..], &END].concat()
}

fn good(pitch: u8) -> Vec<u8> {
    let data = one(pitch);
    chunk(b"MTrk", data.len(), &data)
}

#[test]
fn a_file_as_it_should_be_has_nothing_odd() {
    assert_eq!(read(&file(1, TICKS_96, &[C, C])), (vec![(0, 2, 60), (0, 2, 60)], vec![]));
    assert_eq!(read(&around(&[])), (TWO.to_vec(), vec![]));
}

#[test]
fn real_time_bytes_between_events_are_passed_over() {
    // They end no running status, by the standard of the wire.
    for byte in 0xF8..=0xFE {
        assert_eq!(read(&around(&[0, byte])), (TWO.to_vec(), vec![(RealTime, 2)]), "{byte:X}");
    }
    // Their delta counts: the D begins a step later.
    let late = track(&[&[0, 0x90, 60, 64, 24, 60, 0], &[24, 0xF8], &[0, 0x90, 62, 64, 24, 62, 0]]);
    assert_eq!(read(&late).0, [(0, 1, 60), (2, 1, 62)]);
}

#[test]
fn system_common_bytes_between_events_are_passed_over() {
    let messages: [&[u8]; 6] = [&[0, 0xF1, 9], &[0, 0xF2, 1, 2], &[0, 0xF3, 1], &[0, 0xF4], &[0, 0xF5], &[0, 0xF6]];
    for message in messages {
        let expected = (TWO.to_vec(), vec![(SystemCommon, 2), (RunningStatus, 2)]);
        assert_eq!(read(&around(message)), expected, "{message:X?}");
    }
}

#[test]
fn meta_events_of_unexpected_length_or_value_are_passed_over() {
    let lengths: [&[u8]; 6] = [
        &[0, 0xFF, 0x59, 0],
        &[0, 0xFF, 0x59, 3, 0, 0, 0],
        &[0, 0xFF, 0x54, 4, 0, 0, 0, 0],
        &[0, 0xFF, 0x54, 6, 0, 0, 0, 0, 0, 0],
        &[0, 0xFF, 0x51, 2, 7, 0xA1],
        &[0, 0xFF, 0x58, 2, 4, 2],
    ];
    for meta in lengths {
        assert_eq!(read(&around(meta)), (TWO.to_vec(), vec![(RunningStatus, 2), (MetaLength, 2)]), "{meta:X?}");
    }
    let values: [&[u8]; 5] = [
        &[0, 0xFF, 0x59, 2, 8, 0],
        &[0, 0xFF, 0x59, 2, 0, 7],
        &[0, 0xFF, 0x54, 5, 24, 0, 0, 0, 0],
        &[0, 0xFF, 0x54, 5, 0, 60, 0, 0, 0],
        &[0, 0xFF, 0x54, 5, 255, 255, 255, 255, 255],
    ];
    for meta in values {
        assert_eq!(read(&around(meta)), (TWO.to_vec(), vec![(RunningStatus, 2), (MetaValue, 2)]), "{meta:X?}");
    }
    // B flat minor, 30 frames a second, a kind that nobody knows: nothing of it is odd but what runs on after it.
    let ordinary: [&[u8]; 3] =
        [&[0, 0xFF, 0x59, 2, 0xFB, 1], &[0, 0xFF, 0x54, 5, 0x77, 59, 59, 29, 99], &[0, 0xFF, 0x66, 1, 0]];
    for meta in ordinary {
        assert_eq!(read(&around(meta)), (TWO.to_vec(), vec![(RunningStatus, 2)]), "{meta:X?}");
    }
}

#[test]
fn running_status_goes_on_after_a_sysex() {
    let expected = (TWO.to_vec(), vec![(RunningStatus, 2)]);
    assert_eq!(read(&around(&[0, 0xF0, 3, 0x7E, 9, 0xF7])), expected);
    assert_eq!(read(&around(&[0, 0xF7, 2, 0xF3, 1])), expected);
    let again = track(&[&[0, 0x90, 60, 64], &[0, 0xF0, 1, 0xF7], &[24, 0x90, 60, 0]]);
    assert_eq!(read(&again), (vec![(0, 1, 60)], vec![]), "a status of its own");
}

#[test]
fn a_sysex_without_a_length_is_read_to_its_end() {
    let sysex = [0, 0xF0, 0x7E, 0x7F, 9, 1, 0xF7];
    assert_eq!(read(&around(&sysex)), (TWO.to_vec(), vec![(RunningStatus, 2), (SysexLength, 2)]));
    let escaped = [0, 0xF7, 3, 0x90, 70, 64];
    assert_eq!(read(&around(&escaped)), (TWO.to_vec(), vec![(RunningStatus, 2), (EscapedMessage, 2)]));
}

#[test]
fn a_track_length_that_is_too_short_is_not_believed() {
    let data = one(60);
    for missing in 1..data.len() {
        let bytes = [header(2), chunk(b"MTrk", data.len() - missing, &data), good(62)].concat();
        assert_eq!(read(&bytes), (vec![(0, 1, 60), (0, 1, 62)], vec![(TrackLength, 1)]), "{missing} too short");
        let last = [header(2), good(62), chunk(b"MTrk", data.len() - missing, &data)].concat();
        assert_eq!(
            read(&last),
            (vec![(0, 1, 60), (0, 1, 62)], vec![(TrackLength, 1)]),
            "{missing} too short, at the end"
        );
    }
}

#[test]
fn a_track_length_that_is_too_long_is_not_believed() {
    let data = one(60);
    // Into the next track, exactly over it, and beyond the end of the file.
    for more in [1, 8, 12, good(62).len(), good(62).len() + 1, 1000, 0xFFFF_FF00] {
        let bytes = [header(2), chunk(b"MTrk", data.len() + more, &data), good(62)].concat();
        assert_eq!(read(&bytes), (vec![(0, 1, 60), (0, 1, 62)], vec![(TrackLength, 1)]), "{more} too long");
    }
    let last = [header(1), chunk(b"MTrk", data.len() + 5, &data)].concat();
    assert_eq!(read(&last), (vec![(0, 1, 60)], vec![(TrackLength, 1)]));
}

#[test]
fn a_track_without_an_end_mark_ends_where_the_next_begins() {
    let data = &one(60)[..7];
    let bytes = [header(2), chunk(b"MTrk", data.len(), data), good(62)].concat();
    assert_eq!(read(&bytes), (vec![(0, 1, 60), (0, 1, 62)], vec![(MissingEndMark, 1)]));
    let long = [header(2), chunk(b"MTrk", data.len() + 9, data), good(62)].concat();
    assert_eq!(read(&long), (vec![(0, 1, 60), (0, 1, 62)], vec![(TrackLength, 1), (MissingEndMark, 1)]));
}

#[test]
fn all_tracks_are_read_whatever_the_header_counts() {
    let three = |announced| [header(announced), good(60), good(62), good(64)].concat();
    let all = vec![(0, 1, 60), (0, 1, 62), (0, 1, 64)];
    assert_eq!(read(&three(3)), (all.clone(), vec![]));
    assert_eq!(read(&three(1)), (all.clone(), vec![(MoreTracks, 1)]));
    assert_eq!(read(&three(0)), (all.clone(), vec![(MoreTracks, 1)]));
    assert_eq!(read(&three(4)), (all.clone(), vec![(FewerTracks, 1)]));
    // What is beyond the announced tracks and cannot be read costs nothing that is before it.
    let broken = [three(3), chunk(b"MTrk", 4, &[0, 60, 64, 0])].concat();
    assert_eq!(read(&broken), (all.clone(), vec![(MoreTracks, 1), (UnreadableExtraTrack, 1)]));
    let cut = [three(3), chunk(b"MTrk", 40, &[0, 0x90, 60, 64])].concat();
    assert_eq!(read(&cut), (all, vec![(UnreadableExtraTrack, 1)]));
}

#[test]
fn foreign_chunks_cost_no_track() {
    let foreign = chunk(b"XFIH", 3, &[1, 2, 3]);
    let both = vec![(0, 1, 60), (0, 1, 62)];
    let between = |announced| [header(announced), good(60), foreign.clone(), good(62)].concat();
    assert_eq!(read(&between(2)), (both.clone(), vec![(ForeignChunk, 1)]));
    assert_eq!(read(&between(3)), (both.clone(), vec![(ForeignChunkCounted, 1), (ForeignChunk, 1)]));
    let endless = [header(2), good(60), chunk(b"XFIH", 1000, &[1, 2, 3]), good(62)].concat();
    assert_eq!(read(&endless), (both.clone(), vec![(StrayBytes, 1)]), "a foreign length beyond the end of the file");
    let after = [header(3), good(60), good(62), foreign].concat();
    assert_eq!(read(&after), (both, vec![(ForeignChunkCounted, 1), (ForeignChunk, 1)]));
}

#[test]
fn bytes_between_and_after_tracks() {
    let between = [header(2), good(60), vec![0; 5], good(62)].concat();
    assert_eq!(read(&between), (vec![(0, 1, 60), (0, 1, 62)], vec![(StrayBytes, 1)]));
    let after = [header(1), good(60), vec![0; 5]].concat();
    assert_eq!(read(&after), (vec![(0, 1, 60)], vec![(TrailingBytes, 1)]));
    // The rest of a block that was not cleared: tracks of what was there before.
    let stale = [after, good(62)].concat();
    assert_eq!(read(&stale), (vec![(0, 1, 60)], vec![(TrackInTrailingBytes, 1)]));
    let second = [header(1), good(60), header(1), good(62)].concat();
    assert_eq!(read(&second), (vec![(0, 1, 60)], vec![(SecondFile, 1)]));
    let wide = [chunk(b"MThd", 8, &[0, 1, 0, 1, 0, 96, 0, 0]), good(60)].concat();
    assert_eq!(read(&wide), (vec![(0, 1, 60)], vec![]), "a longer header is one of a later standard");
    let wrong = [chunk(b"MThd", 9, &[0, 1, 0, 1, 0, 96]), good(60)].concat();
    assert_eq!(read(&wrong), (vec![(0, 1, 60)], vec![(HeaderLength, 1)]));
}

#[test]
fn events_after_an_end_mark_count_if_they_end_in_one() {
    let twice = [&one(60)[..], &one(62)].concat();
    let bytes = file(0, TICKS_96, &[&twice]);
    assert_eq!(read(&bytes), (vec![(0, 1, 60), (1, 1, 62)], vec![(EventsAfterEndMark, 1)]));
    let bytes = file(0, TICKS_96, &[&[C, &[0, 62, 64, 0]].concat()]);
    assert_eq!(read(&bytes), (vec![(0, 2, 60)], vec![(BytesAfterEndMark, 1)]));
}

#[test]
fn all_notes_off_ends_the_notes_of_its_channel() {
    // C and E on channel 1, G on channel 2; after four steps channel 1 falls silent, after six the G is released.
    for controller in [120, 123, 124, 127] {
        let bytes =
            track(&[&[0, 0x90, 60, 64, 0, 64, 64, 0, 0x91, 67, 64], &[96, 0xB0, controller, 0], &[48, 0x81, 67, 0]]);
        assert_eq!(read(&bytes), (vec![(0, 4, 60), (0, 4, 64), (0, 6, 67)], vec![]), "controller {controller}");
    }
    let volume = track(&[&[0, 0x90, 60, 64], &[96, 0xB0, 7, 0]]);
    assert_eq!(read(&volume), (vec![(0, 1, 60)], vec![(NeverReleased, 1)]), "another controller ends nothing");
}

#[test]
fn a_note_that_is_struck_again_after_all_notes_off_has_its_own_release() {
    let bytes = track(&[&[0, 0x90, 60, 64], &[48, 0xB0, 123, 0], &[48, 0x90, 60, 64, 24, 60, 0]]);
    assert_eq!(read(&bytes), (vec![(0, 2, 60), (4, 1, 60)], vec![]));
    // A release that comes before the key is struck again is the note's own.
    let released = track(&[&[0, 0x90, 60, 64], &[48, 0xB0, 123, 0], &[48, 0x90, 60, 0]]);
    assert_eq!(read(&released), (vec![(0, 4, 60)], vec![]));
}

#[test]
fn all_notes_off_reaches_other_tracks_but_no_other_pattern() {
    let held = [&[0, 0x90, 60, 64][..], &[96, 0xFF, 0x2F, 0]].concat();
    let off = [&[72, 0xB0, 123, 0][..], &END].concat();
    assert_eq!(read(&file(1, TICKS_96, &[&held, &off])), (vec![(0, 3, 60)], vec![]));
    assert_eq!(read(&file(2, TICKS_96, &[&held, &off])), (vec![(0, 1, 60)], vec![(NeverReleased, 1)]));
    let other = [&[72, 0xB1, 123, 0][..], &END].concat();
    assert_eq!(read(&file(1, TICKS_96, &[&held, &other])), (vec![(0, 1, 60)], vec![(NeverReleased, 1)]));
}

#[test]
fn a_summary_has_a_line_for_each_kind() {
    let first = decode("", &around(&[0, 0xF8])).unwrap().oddities;
    let second = decode("", &around(&[0, 0xF6])).unwrap().oddities;
    let files = [(Path::new("a.mid"), &first), (Path::new("b.mid"), &second), (Path::new("c.mid"), &first)];
    assert_eq!(
        summary(files),
        [
            "real-time byte: 4 in 2 files, among them a.mid",
            "system-common message: 2 in b.mid",
            "running status after a meta event or a system message: 2 in b.mid",
        ]
    );
}
