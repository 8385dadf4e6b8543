//! Texts, and their characters.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/char_model/corpus.rs"]
mod corpus;
#[path = "../../examples/char_model/nested.rs"]
mod nested;

use std::sync::LazyLock;

use corpus::{Alphabet, Source};
use libfuzzer_sys::fuzz_target;
use rewind_fuzz::large::{SIZE, large, numbered};
use rewind_fuzz::{Bound, Folder, seed};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

fuzz_target!(init: seeds(), |data: &[u8]| {
    let source = Source { data: Some(FOLDER.file("a.txt", data)), test: None, seed: 1 };
    Bound::TEN.check(data.len(), || {
        let Ok([train, test]) = source.read(true).map_err(|error| error.to_string()) else { return };
        let alphabet = Alphabet::of(&train).expect("an input has fewer characters");
        assert_eq!(Alphabet::of(&alphabet.text()).as_ref(), Ok(&alphabet));
        let places = alphabet.places(&test, source.first_line(&train));
        assert!(places.iter().all(|&place| place < alphabet.len()));
    });
});

fn seeds() {
    let text = "({[one \"two\" é]} 3)\n".repeat(8);
    seed("brackets", &text);
    seed("windows", format!("\u{feff}{}", text.replace('\n', "\r\n")));
    // As many as an alphabet may have, nearly.
    large("characters", || {
        numbered(SIZE, |number| char::from_u32(0x1_0000 + (number % 9000) as u32).map_or(" ".into(), String::from))
    });
}
