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
use rewind_fuzz::networks::{Program, seed_of};

static PROGRAM: LazyLock<Program<arguments::Arguments>> = LazyLock::new(Program::default);

fuzz_target!(init: seeds(), |data: &[u8]| PROGRAM.check(data, saved::Saved::load));

fn seeds() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let source = rewind_examples::labelled::Source { data: None, test: None, seed: 3 };
    let languages = [("one two", words::Unit::Words), ("12", words::Unit::Characters)]
        .map(|(text, unit)| words::Language::of([text].into_iter(), unit, 1).expect("there are words"));
    for attention in [false, true] {
        let words = languages.each_ref().map(words::Language::len);
        let design = model::Design { attention, words, embedding: 2, hidden: 2, dropout: 0.25 };
        let model = model::Translator::new(design, rng);
        let saved = saved::Saved { model, languages: languages.clone(), source: source.clone() };
        seed_of::<arguments::Arguments>(design.name(), &saved.model, saved.metadata());
    }
}
