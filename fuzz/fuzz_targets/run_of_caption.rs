//! Files of runs of `caption`.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/caption/arguments.rs"]
mod arguments;
#[path = "../../examples/caption/dataset.rs"]
mod dataset;
#[path = "../../examples/caption/model.rs"]
mod model;
#[path = "../../examples/caption/saved.rs"]
mod saved;
#[path = "../../examples/caption/scenes.rs"]
mod scenes;
#[path = "../../examples/caption/words.rs"]
mod words;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_fuzz::large;
use rewind_fuzz::networks::{Program, large_of, seed_of};

static PROGRAM: LazyLock<Program<arguments::Arguments>> = LazyLock::new(Program::default);

fuzz_target!(init: seeds(), |data: &[u8]| PROGRAM.check(data, saved::Trained::load));

fn seeds() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let vocabulary = words::Vocabulary::of(["a red cross"]).expect("there are words");
    let size = rewind_examples::image::Size { width: 9, height: 8 };
    let (source, words) = (dataset::Source { data: None, test: None, seed: 3 }, vocabulary.len());
    for kind in [arguments::ModelKind::Baseline, arguments::ModelKind::Lstm] {
        let model = model::Captioner::new(model::Design { kind, hidden: 2, words, size }, rng);
        let trained = saved::Trained { model, vocabulary: vocabulary.clone(), source: source.clone() };
        seed_of::<arguments::Arguments>(kind.name(), &trained.model, trained.metadata());
    }
    if large::are_wanted() {
        let many: String = (0..words::MAX_WORDS).map(|number| format!("{number:x} ")).collect();
        let vocabulary = words::Vocabulary::of([many.as_str()]).expect("there are words");
        let (kind, words) = (arguments::ModelKind::Lstm, vocabulary.len());
        let model = model::Captioner::new(model::Design { kind, hidden: 2, words, size }, rng);
        let trained = saved::Trained { model, vocabulary, source };
        large_of::<arguments::Arguments>("vocabulary", &trained.model, trained.metadata());
    }
}
