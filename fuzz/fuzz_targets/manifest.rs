//! The tables of recordings: a manifest, a lexicon of pronunciations, and the trainings that are done.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/speech/table/finished.rs"]
mod finished;
#[path = "../../examples/speech/manifest.rs"]
mod manifest;
#[path = "../../examples/speech/phones.rs"]
mod phones;
#[path = "../../examples/speech/tabs.rs"]
mod tabs;

use std::sync::{Arc, LazyLock};

use finished::Finished;
use libfuzzer_sys::fuzz_target;
use manifest::{Manifest, Row};
use rewind_fuzz::large::{SIZE, large, numbered, repeated};
use rewind_fuzz::{Bound, Folder, seed};

static FOLDERS: LazyLock<[Folder; 2]> = LazyLock::new(Default::default);

// A manifest, and after an empty line a lexicon.
fuzz_target!(init: seeds(), |data: &[u8]| {
    let [alone, both] = &*FOLDERS;
    let border = data.windows(2).position(|pair| pair == b"\n\n");
    alone.file(manifest::MANIFEST, data);
    both.file(manifest::MANIFEST, border.map_or(data, |end| &data[..=end]));
    both.file("words_phones.tsv", border.map_or(data, |end| &data[end + 2..]));
    for (folder, other) in [(alone, None), (alone, Some(both)), (both, None)] {
        let read = || Manifest::read(folder.path(), other.map(Folder::path)).map_err(|error| error.to_string());
        let Ok(manifest) = Bound::TEN.check(data.len(), read) else { continue };
        let mut before = None;
        for Row { pronunciations, .. } in manifest.rows() {
            // Rows of one word share them.
            if before.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &pronunciations)) {
                assert!(!pronunciations.is_empty());
                assert!(pronunciations.iter().all(|phones| !phones.is_empty() && phones::least_steps(phones) > 0));
            }
            before = Some(pronunciations);
        }
    }
    let path = alone.file("finished.tsv", data);
    let read = Bound::TEN.check(data.len(), || Finished::read(path, "short".to_owned()).map_err(|error| error.to_string()));
    let rates = read.map(|finished| finished.rows().iter().map(finished::Row::rate).collect::<Vec<_>>());
    assert!(rates.unwrap_or_default().into_iter().all(f64::is_finite));
});

fn seeds() {
    seed("phones", "file\tsplit\tspeaker\tphones\na.wav\ttrain\tx\tS IH1 K S\nb.wav\ttest\ty\tq ah h#\n");
    seed("lexicon", "file\tword\na.wav\tsix\nb.wav\ttwo\n\nword\tphones\nsix\tS IH K S\ntwo\tT UW\ntwo\tT UH\n");
    let row = "lstm\t1\t5000\t3\t25\t100\t0.2500\tshort\n";
    large("short", || [&b"file\tphones\n"[..], &repeated(b"\tS\n", SIZE)].concat());
    large("phones", || [&b"file\tphones\na\t"[..], &repeated(b"S ", SIZE)].concat());
    large("stresses", || [&b"file\tphones\n"[..], &numbered(SIZE, |number| format!("\tS{number}\n"))].concat());
    large("columns", || [&b"file\tphones"[..], &numbered(SIZE, |number| format!("\t{number}")), b"\na\tS\n"].concat());
    large("words", || {
        let [rows, words] = ["", "\tS"].map(|phones| numbered(SIZE / 2, |number| format!("{number:x}{phones}\n")));
        [&b"file\n"[..], &rows, b"\nfile\tphones\n", &words].concat()
    });
    large("pronunciations", || {
        let [rows, words] = [&b"\ta\n"[..], b"a\tS\n"].map(|line| repeated(line, SIZE / 2));
        [&b"file\tword\n"[..], &rows, b"\nword\tphones\n", &words].concat()
    });
    seed("finished", format!("network\tseed\tparameters\tepochs\tedits\tphones\tper\trecipe\n{row}"));
}
