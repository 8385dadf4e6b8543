//! Files of runs of `char_model`.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/char_model/arguments.rs"]
mod arguments;
#[path = "../../examples/char_model/corpus.rs"]
mod corpus;
#[path = "../../examples/char_model/model.rs"]
mod model;
#[path = "../../examples/char_model/nested.rs"]
mod nested;
#[path = "../../examples/char_model/saved.rs"]
mod saved;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_fuzz::networks::{Program, seed_of};

static PROGRAM: LazyLock<Program<arguments::Arguments>> = LazyLock::new(Program::default);

fuzz_target!(init: seeds(), |data: &[u8]| PROGRAM.check(data, saved::Trained::load));

fn seeds() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let alphabet = corpus::Alphabet::of("ab é\n").expect("there are characters");
    let source = corpus::Source { data: None, test: None, seed: 3 };
    for kind in [rewind_examples::CellKind::Tanh, rewind_examples::CellKind::Gru] {
        let design =
            model::Design { kind, characters: alphabet.len(), hidden: 2, dropout: 0.25, recurrent_dropout: 0.0 };
        let (model, alphabet) = (design.model(rng), alphabet.clone());
        let trained = saved::Trained { model, design, alphabet, source: source.clone() };
        seed_of::<arguments::Arguments>("lstm", &trained.model, trained.metadata());
    }
}
