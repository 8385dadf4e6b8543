//! Lines `source<TAB>target`, and the languages that they give.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/translate/dataset.rs"]
mod dataset;
#[path = "../../examples/translate/numbers.rs"]
mod numbers;
#[path = "../../examples/translate/words.rs"]
mod words;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rewind_fuzz::large::{SIZE, large, numbered, repeated};
use rewind_fuzz::{Bound, Folder, seed};
use words::{Language, Unit};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

/// A line of five bytes is a sentence, its list of translations with one of them, and an entry in two indexes.
const BOUND: Bound = Bound { ratio: 40, ..Bound::TEN };

fuzz_target!(init: seeds(), |data: &[u8]| {
    let path = FOLDER.file("a.tsv", data);
    for unit in [Unit::Words, Unit::Characters] {
        let read = BOUND.check(data.len(), || dataset::read(&path, unit).map_err(|error| error.to_string()));
        let Ok(sentences) = read else { return };
        let targets = || sentences.iter().flat_map(|sentence| &sentence.targets);
        let Ok(language) = Language::of(targets().map(String::as_str), unit, 1) else { continue };
        assert_eq!(Language::parse(&language.json()).as_ref(), Some(&language));
        for target in targets() {
            let words = language.split(target);
            assert!(words.len() <= words::MAX_LENGTH);
            // What is put together is cut into the same words again.
            assert_eq!(unit.split(&unit.join(&words)).concat(), words.concat());
        }
    }
});

fn seeds() {
    let [train, _] = numbers::make(1);
    let lines: String =
        train[..4].iter().map(|sentence| format!("{}\t{}\n", sentence.source, sentence.targets[0])).collect();
    seed("numbers", lines);
    seed("languages", "Go.\tVa !\nI'm 7.5 (well-known)\tJ’ai \"7,5\" peut-être…\tfrom a page\n");
    large("sources", || numbered(SIZE, |number| format!("{}\ty\n", letters(number))));
    large("targets", || numbered(SIZE, |number| format!("x\t{}\n", letters(number))));
    large("equal", || repeated(b"x\ty\n", SIZE));
    large("long", || [&b"x\ty\nx\t"[..], &repeated(b"y ", SIZE)].concat());
    large("names", || numbered(SIZE, |number| format!("x\ty {}\n", letters(number).to_uppercase())));
}

/// A word for each number.
fn letters(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    if number < 26 { letter.into() } else { letters(number / 26 - 1) + letter.encode_utf8(&mut [0; 4]) }
}
