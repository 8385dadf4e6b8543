//! Files of runs of `image_class`.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/image_class/arguments.rs"]
mod arguments;
#[path = "../../examples/image_class/dataset.rs"]
mod dataset;
#[path = "../../examples/image_class/digits.rs"]
mod digits;
#[path = "../../examples/image_class/idx.rs"]
mod idx;
#[path = "../../examples/image_class/model.rs"]
mod model;
#[path = "../../examples/image_class/saved.rs"]
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
    let source = dataset::Source { data: None, test: None, seed: 3 };
    let size = rewind_examples::image::Size { width: 3, height: 2 };
    for kind in [arguments::ModelKind::Perceptron, arguments::ModelKind::Gru] {
        let model = model::Classifier::new(model::Design { kind, hidden: 2, classes: 2, size }, rng);
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        let trained = saved::Trained { model, classes, source: source.clone() };
        seed_of::<arguments::Arguments>(kind.name(), &trained.model, trained.metadata());
    }
}
