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

use std::sync::LazyLock;

use finished::{Finished, Row};
use libfuzzer_sys::fuzz_target;
use rewind_fuzz::{Bound, Folder, seed};

static FOLDERS: LazyLock<[Folder; 2]> = LazyLock::new(Default::default);

/// A tab makes a cell.
const BOUND: Bound = Bound { ratio: 128, fixed: 128 << 10 };

// A manifest, and after an empty line a lexicon.
fuzz_target!(init: seeds(), |data: &[u8]| {
    let [alone, both] = &*FOLDERS;
    let border = data.windows(2).position(|pair| pair == b"\n\n");
    alone.file(manifest::MANIFEST, data);
    both.file(manifest::MANIFEST, border.map_or(data, |end| &data[..=end]));
    both.file("words_phones.tsv", border.map_or(data, |end| &data[end + 2..]));
    for (folder, other) in [(alone, None), (alone, Some(both)), (both, None)] {
        let rows = BOUND.check(data.len(), || {
            manifest::read(folder.path(), other.map(Folder::path)).map_err(|error| error.to_string())
        });
        for row in rows.unwrap_or_default() {
            assert!(row.pronunciations.iter().all(|phones| !phones.is_empty() && phones::least_steps(phones) > 0));
        }
    }
    let path = alone.file("finished.tsv", data);
    let read = BOUND.check(data.len(), || Finished::read(path, "short".to_owned()).map_err(|error| error.to_string()));
    let rates = read.map(|finished| finished.rows().iter().map(Row::rate).collect::<Vec<_>>());
    assert!(rates.unwrap_or_default().into_iter().all(f64::is_finite));
});

fn seeds() {
    seed("phones", "file\tsplit\tspeaker\tphones\na.wav\ttrain\tx\tS IH1 K S\nb.wav\ttest\ty\tq ah h#\n");
    seed("lexicon", "file\tword\na.wav\tsix\nb.wav\ttwo\n\nword\tphones\nsix\tS IH K S\ntwo\tT UW\ntwo\tT UH\n");
    let row = "lstm\t1\t5000\t3\t25\t100\t0.2500\tshort\n";
    seed("finished", format!("network\tseed\tparameters\tepochs\tedits\tphones\tper\trecipe\n{row}"));
}
