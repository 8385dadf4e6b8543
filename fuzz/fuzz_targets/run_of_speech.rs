//! Files of runs of `speech`.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/speech/arguments.rs"]
mod arguments;
#[path = "../../examples/speech/audio.rs"]
mod audio;
#[path = "../../examples/speech/features.rs"]
mod features;
#[path = "../../examples/speech/model.rs"]
mod model;
#[path = "../../examples/speech/normal.rs"]
mod normal;
#[path = "../../examples/speech/phones.rs"]
mod phones;
#[path = "../../examples/speech/resample.rs"]
mod resample;
#[path = "../../examples/speech/saved.rs"]
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
    let rows = rewind_autograd::Tensor::from_fn(&[2, features::FEATURES], |i| (i as f32 * 0.7).sin());
    let scales = normal::Normal::Training(normal::Scales::of([&rows]));
    for (layers, one_way, normal) in [(1, true, scales), (0, false, normal::Normal::Recording)] {
        let cell = rewind_examples::CellKind::Tanh;
        let design = model::Design { cell, layers, hidden: 2, one_way, dropout: 0.25, gain: 1.0 };
        let (network, leave_out) = (model::Network::new(design, rng), Some("x".to_owned()));
        let saved = saved::Saved { network, design, normal, source: source.clone(), leave_out };
        seed_of::<arguments::Arguments>(["both", "one"][layers], &saved.network, saved.metadata());
    }
}
