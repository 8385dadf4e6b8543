//! Files of runs: a model, its optimiser and every part of a run. One that is loaded goes on.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rewind_autograd::{Tensor, parameters};
use rewind_examples::{History, Metric};
use rewind_fuzz::{Bound, Folder, seed_up_to, tensors};
use rewind_rnn::file::{self, Metadata};
use rewind_rnn::optim::{Adam, Optimizer, Sgd};
use rewind_rnn::resume::Position;
use rewind_rnn::{Accumulator, Average, EarlyStopping};

parameters! {
    #[derive(Clone)]
    struct Model<P> { weight: P }
}

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

fuzz_target!(init: seeds(), |data: &[u8]| {
    let bytes = tensors::file(data);
    let path = FOLDER.file("run.safetensors", &bytes);
    Bound::TEN.check(bytes.len(), || resume(&path));
});

struct Run {
    model: Model<Tensor<f32>>,
    adam: Adam<f32>,
    average: Average<f32>,
    early: EarlyStopping<f32>,
    sum: Accumulator<f32>,
    history: History,
    at: Position,
}

impl Run {
    fn new() -> Run {
        let weight = Tensor::full(&[2, 3], 0.5);
        let (average, early) = (Average::new(0.9), EarlyStopping::new(3));
        let (history, at) = (History::new("gru", Metric::Bits), Position::new(1));
        Run { model: Model { weight }, adam: Adam::new(0.1), average, early, sum: Accumulator::new(), history, at }
    }

    fn step(&mut self) -> Result<(), rewind_rnn::Error> {
        let Run { model, adam, average, early, sum, history, at } = self;
        let gradient = Model { weight: Tensor::full(&[2, 3], 0.25) };
        // The position is one within its epoch, whatever the plan.
        let _ = at.rest(&[0.5, -0.5, 0.25]).map(<[f64]>::len).map_err(|error| error.to_string());
        adam.step(model, &gradient)?;
        average.update(model)?;
        average.of(model)?;
        early.observe(0.5, model)?;
        early.best(model)?;
        sum.add_mean(&gradient, 2)?;
        history.add(1.0, 0.5, 2);
        if at.batch() == 2 {
            history.end_epoch([0.5, 0.25]);
        }
        at.advance(3);
        Ok(())
    }

    fn save(&self, path: &Path) {
        let Run { model, adam, average, early, sum, history, at } = self;
        let parts: [(&str, &dyn rewind_rnn::resume::Part<f32>); 5] =
            [("average", average), ("early", early), ("sum", sum), ("history", history), ("position", at)];
        file::save_run(path, model, adam, &parts, &Metadata::new()).expect("a run that goes on can be saved");
    }
}

fn seeds() {
    let path = FOLDER.path().join("seed.safetensors");
    let mut run = Run::new();
    for name in ["begun", "one", "two", "three"] {
        run.save(&path);
        seed_up_to(tensors::LARGE, name, tensors::described(&path));
        run.step().expect("a good step");
    }
}

fn resume(path: &Path) {
    let mut run = Run::new();
    let Run { model, adam, average, early, sum, history, at } = &mut run;
    let mut sgd = Sgd::new(0.1);
    let _ = file::load_training(path, &mut model.clone(), &mut sgd).map_err(|error| error.to_string());
    let mut parts: [(&str, &mut dyn rewind_rnn::resume::Part<f32>); 5] =
        [("average", average), ("early", early), ("sum", sum), ("history", history), ("position", at)];
    match file::load_run(path, model, adam, &mut parts) {
        Err(error) => {
            let _ = error.to_string();
            assert_eq!(model.weight.to_vec(), [0.5; 6], "a file that is refused changes nothing");
        }
        Ok(_) => {
            if run.step().map_err(|error| error.to_string()).is_ok() {
                run.save(&path.with_extension("again"));
            }
        }
    }
}
