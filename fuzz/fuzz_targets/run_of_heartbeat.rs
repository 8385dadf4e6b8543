//! Files of runs of `heartbeat`.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/heartbeat/arguments.rs"]
mod arguments;
#[path = "../../examples/heartbeat/model.rs"]
mod model;
#[path = "../../examples/heartbeat/saved.rs"]
mod saved;

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
    for (kind, both_ways) in [(rewind_examples::CellKind::Tanh, false), (rewind_examples::CellKind::Gru, true)] {
        let design = model::Design {
            kind,
            both_ways,
            per_step: 2,
            values: 7,
            hidden: 2,
            classes: 2,
            read_out: rewind_examples::ReadOut::Mean,
            dropout: 0.25,
        };
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        let saved = saved::Saved { model: model::Classifier::new(design, rng), classes, source: source.clone() };
        seed_of::<arguments::Arguments>(kind.name(), &saved.model, saved.metadata());
    }
}
