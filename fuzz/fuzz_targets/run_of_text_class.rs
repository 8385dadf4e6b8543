//! Files of runs of `text_class`.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/text_class/arguments.rs"]
mod arguments;
#[path = "../../examples/text_class/model.rs"]
mod model;
#[path = "../../examples/text_class/saved.rs"]
mod saved;
#[path = "../../examples/text_class/words.rs"]
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
    let texts = [words::of("not good"), words::of("bad")];
    let table = |texts: &[Vec<String>]| words::Vocabulary::new(texts, &[0, 1], 2, 1);
    let of_pairs = || table(&texts.each_ref().map(|text| words::pairs(text)));
    for pairs in [None, Some(of_pairs())] {
        let name = if pairs.is_some() { "pairs" } else { "words" };
        let reader = words::Reader { words: table(&texts), pairs };
        let design = model::Design {
            kind: rewind_examples::CellKind::Tanh,
            both_ways: reader.pairs.is_some(),
            words: reader.words.len(),
            evidence: reader.evidence_width(),
            embedding: 2,
            hidden: 2,
            classes: 2,
            read_out: rewind_examples::ReadOut::Mean,
            dropout: 0.25,
        };
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        let saved =
            saved::Saved { model: model::Classifier::new(design, rng), reader, classes, source: source.clone() };
        seed_of::<arguments::Arguments>(name, &saved.model, saved.metadata());
    }
}
