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
use rewind_fuzz::large;
use rewind_fuzz::networks::{Program, large_of, seed_of};

static PROGRAM: LazyLock<Program<arguments::Arguments>> = LazyLock::new(Program::default);

fuzz_target!(init: seeds(), |data: &[u8]| PROGRAM.check(data, saved::Saved::load));

fn seeds() {
    for pairs in [false, true] {
        let saved = saved(&[words::of("not good"), words::of("bad")], pairs);
        seed_of::<arguments::Arguments>(if pairs { "pairs" } else { "words" }, &saved.model, saved.metadata());
    }
    if large::are_wanted() {
        let many = |first: usize| (first..first + 6000).map(|number| format!("{number:x}")).collect();
        let saved = saved(&[many(0), many(6000)], true);
        large_of::<arguments::Arguments>("vocabulary", &saved.model, saved.metadata());
    }
}

/// A classifier of two texts, one of each class.
fn saved(texts: &[words::Words; 2], with_pairs: bool) -> saved::Saved {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let source = rewind_examples::labelled::Source { data: None, test: None, seed: 3 };
    let table = |texts: &[words::Words]| words::Vocabulary::new(texts, &[0, 1], 2, 1);
    let pairs = with_pairs.then(|| table(&texts.each_ref().map(words::pairs)));
    let reader = words::Reader { words: table(texts), pairs };
    let design = model::Design {
        kind: rewind_examples::CellKind::Tanh,
        both_ways: with_pairs,
        words: reader.words.len(),
        evidence: reader.evidence_width(),
        embedding: 2,
        hidden: 2,
        classes: 2,
        read_out: rewind_examples::ReadOut::Mean,
        dropout: 0.25,
    };
    let classes = ["a", "b"].map(str::to_owned).to_vec();
    saved::Saved { model: model::Classifier::new(design, rng), reader, classes, source }
}
