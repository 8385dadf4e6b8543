//! Files of runs of `music_genre`.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/music_genre/arguments.rs"]
mod arguments;
#[path = "../../examples/music_genre/compose/mod.rs"]
mod compose;
#[path = "../../examples/music_genre/corpus.rs"]
mod corpus;
#[path = "../../examples/music_genre/dataset.rs"]
mod dataset;
#[path = "../../examples/music_genre/midi/mod.rs"]
mod midi;
#[path = "../../examples/music_genre/model.rs"]
mod model;
#[path = "../../examples/music_genre/saved.rs"]
mod saved;
#[path = "../../examples/music_genre/score.rs"]
mod score;
#[path = "../../examples/music_genre/scores.rs"]
mod scores;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_fuzz::networks::{Program, seed_of};

static PROGRAM: LazyLock<Program<arguments::Arguments>> = LazyLock::new(Program::default);

fuzz_target!(init: seeds(), |data: &[u8]| PROGRAM.check(data, saved::Saved::load));

fn seeds() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let source = scores::Source { data: None, test: None, seed: 3 };
    for (kind, encoding) in [
        (rewind_examples::CellKind::Tanh, score::Encoding::PitchClasses),
        (rewind_examples::CellKind::Gru, score::Encoding::Detailed),
    ] {
        let read_out = model::ReadOut::Mean;
        let design = model::Design { kind, hidden: 2, classes: 2, encoding, max_steps: 50, read_out };
        let classes = ["blues", "rock"].map(str::to_owned).to_vec();
        let model = model::Classifier::new(design, 1.0, rng);
        let saved = saved::Saved { model, classes, source: Some(source.clone()) };
        seed_of::<arguments::Arguments>(kind.name(), &saved.model, saved.metadata());
    }
}
