//! Lines `label<TAB>item`: texts, and series of values.

#![no_main]
#![allow(dead_code, reason = "modules of programs, of which the target uses what reads")]

#[path = "../../examples/heartbeat/series.rs"]
mod series;
#[path = "../../examples/text_class/words.rs"]
mod words;

use std::cell::Cell;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rewind_examples::labelled;
use rewind_fuzz::large::{SIZE, large, numbered, repeated};
use rewind_fuzz::{Bound, Folder, seed};
use words::{Reader, Vocabulary};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

fuzz_target!(init: seeds(), |data: &[u8]| {
    let path = FOLDER.file("a.tsv", data);
    let length = Cell::new(None);
    let series = Bound::TEN.check(data.len(), || labelled::read(&path, None, |text| series::parse(text, &length)));
    for values in series.map(|series| series.items).unwrap_or_default() {
        assert!(values.iter().all(|x| x.is_finite()));
        assert_eq!(series::steps(&values, 3).shape(), [values.len().div_ceil(3), 3]);
    }
    let texts = Bound::TEN.check(data.len(), || {
        labelled::read(&path, None, |text| Ok(Some(words::of(text)).filter(|words| !words.is_empty())))
            .map_err(|error| error.to_string())
    });
    let known = ["a".to_owned(), "b".to_owned()];
    let _ = labelled::read(&path, Some(&known), |text| Ok(Some(text.to_owned()))).map_err(|error| error.to_string());
    let Ok(texts) = texts else { return };
    let words = Vocabulary::new(&texts.items, &texts.labels, texts.classes.len(), 1);
    assert_eq!(Vocabulary::parse(&words.text(), texts.classes.len()).as_ref(), Some(&words));
    let reader = Reader { words, pairs: None };
    let text = &texts.items[0];
    assert_eq!(reader.read(text, None).shape(), [text.len().min(words::MAX_WORDS), 1]);
});

fn seeds() {
    seed("texts", "good\tIt's NOT 'bad', é!! call 0871-22\nbad\tnot good\n\ngood\t \n");
    seed("series", "a\t1\t-2.5e0\t3\nb\t2\t1e300\t-7\na\t0.5\t0.25\t1\n");
    seed("windows", "\u{feff}a\tx\r\nb\ty\r\n");
    large("short", || repeated(b"a\tb\nb\tb\n", SIZE));
    large("empty", || [&b"a\tb\nb\tb\n"[..], &repeated(b"a\t\n", SIZE)].concat());
    large("long", || [&b"a\tb\nb\t"[..], &repeated(b"x ", SIZE)].concat());
    large("signs", || [&b"a\tb\nb\t"[..], &repeated(b".", SIZE)].concat());
    large("words", || numbered(SIZE, |number| format!("{}\t{number:b}\n", number % 3).replace('1', "i")));
    large("labels", || numbered(SIZE, |number| format!("{number:x}\tx\n")));
    large("values", || [&b"a\t1"[..], &repeated(b"\t0", SIZE / 2), b"\nb\t2", &repeated(b"\t1", SIZE / 2)].concat());
    large("series", || repeated(b"a\t1\t2\nb\t2\t1\n", SIZE));
}
