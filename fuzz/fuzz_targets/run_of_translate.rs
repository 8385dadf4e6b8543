//! Files of runs of `translate`.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/translate/arguments.rs"]
mod arguments;
#[path = "../../examples/translate/model.rs"]
mod model;
#[path = "../../examples/translate/saved.rs"]
mod saved;
#[path = "../../examples/translate/words.rs"]
mod words;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_fuzz::large;
use rewind_fuzz::networks::{Program, large_of, seed_of};

static PROGRAM: LazyLock<Program<arguments::Arguments>> = LazyLock::new(Program::default);

fuzz_target!(init: seeds(), |data: &[u8]| PROGRAM.check(data, saved::Saved::load));

fn seeds() {
    for attention in [false, true] {
        let saved = saved(["one two", "12"], attention);
        seed_of::<arguments::Arguments>(saved.model.design.name(), &saved.model, saved.metadata());
    }
    if large::are_wanted() {
        let many: String = (0..40_000).map(|number| format!("{number:x} ")).collect();
        let saved = saved([&many, "12"], false);
        large_of::<arguments::Arguments>("vocabulary", &saved.model, saved.metadata());
    }
}

/// A translator from the words of one text into the characters of another.
fn saved(texts: [&str; 2], attention: bool) -> saved::Saved {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let source = rewind_examples::labelled::Source { data: None, test: None, seed: 3 };
    let [from, to] = texts;
    let languages = [(from, words::Unit::Words), (to, words::Unit::Characters)]
        .map(|(text, unit)| words::Language::of([text].into_iter(), unit, 1).expect("there are words"));
    let words = languages.each_ref().map(words::Language::len);
    let design = model::Design { attention, words, embedding: 2, hidden: 2, dropout: 0.25 };
    saved::Saved { model: model::Translator::new(design, rng), languages, source }
}
