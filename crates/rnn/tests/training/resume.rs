//! A run that is stopped after any batch and resumed from its file has the bits of one that was not stopped.

use std::fs;
use std::path::Path;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var, parameters};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::file::{self, Metadata};
use rewind_rnn::loss::{Reduction, mean_squared_error};
use rewind_rnn::optim::schedule::{cosine, warm_up};
use rewind_rnn::optim::{Adam, Optimizer, Plateau, Sgd};
use rewind_rnn::resume::{Part, Position};
use rewind_rnn::{Accumulator, Average, EarlyStopping, ErrorKind, Linear, Result, TanhRnn, Unroll, clip};

use crate::file::sealed;

parameters! {
    struct Model<P> { cell: TanhRnn<P>, readout: Linear<P> }
}

const EPOCHS: u64 = 4;

struct Run {
    model: Model<Tensor<f32>>,
    adam: Adam<f32>,
    sum: Accumulator<f32>,
    average: Average<f32>,
    plateau: Plateau,
    early: EarlyStopping<f32>,
    at: Position,
}

impl Run {
    fn new(seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        Run {
            model: Model { cell: TanhRnn::new(2, 3, rng), readout: Linear::new(3, 1, rng) },
            adam: Adam::new(0.05),
            sum: Accumulator::new(),
            average: Average::new(0.8),
            plateau: Plateau::new(0.5, 1).min_change(0.05).cooldown(1),
            early: EarlyStopping::new(2),
            at: Position::new(seed),
        }
    }

    fn save(&self, path: &Path) -> Result<()> {
        let parts: [(&str, &dyn Part<f32>); 5] = [
            ("sum", &self.sum),
            ("average", &self.average),
            ("plateau", &self.plateau),
            ("early", &self.early),
            ("position", &self.at),
        ];
        file::save_run(path, &self.model, &self.adam, &parts, &Metadata::new())
    }

    fn load(&mut self, path: &Path) -> Result<()> {
        let parts: &mut [(&str, &mut dyn Part<f32>)] = &mut [
            ("sum", &mut self.sum),
            ("average", &mut self.average),
            ("plateau", &mut self.plateau),
            ("early", &mut self.early),
            ("position", &mut self.at),
        ];
        file::load_run(path, &mut self.model, &mut self.adam, parts).map(drop)
    }

    /// Trains until so many batches are done in all, or the run ends.
    fn train(&mut self, until: u64) {
        let data: Vec<Tensor<f32>> =
            (0..13).map(|k| Tensor::from_fn(&[1 + k % 5, 2], |i| ((k * 17 + i * 5) as f32).sin())).collect();
        let lengths: Vec<_> = data.iter().map(|sequence| sequence.shape()[0]).collect();
        while self.at.epoch() < EPOCHS {
            let batches = plan(&lengths, 3, &mut self.at.epoch_rng(0)).expect("good lengths");
            for indices in self.at.rest(&batches).expect("the same plan") {
                if self.at.step() == until {
                    return;
                }
                self.batch(&PaddedBatch::gather(&data, indices).expect("good sequences"), batches.len());
            }
        }
    }

    fn batch(&mut self, batch: &PaddedBatch<f32>, batches: usize) {
        // Dropout: every input is dropped with probability 1/4.
        let mut rng = self.at.batch_rng(0);
        let kept = batch.data().to_vec().into_iter().map(|x| if rng.random_bool(0.75) { x / 0.75 } else { 0.0 });
        let x = Tensor::from_vec(kept.collect(), batch.data().shape());
        let rows = batch.lengths().len();
        let (loss, gradients) = {
            let tape = Tape::new();
            let model: Model<Var<'_, f32>> = self.model.on(&tape);
            let last = Unroll::new().lengths(batch.lengths()).run(&model.cell, tape.constant(x)).last_output();
            let answers = Tensor::full(&[rows, 1], 0.3);
            let loss = mean_squared_error(model.readout.forward(last), &answers, Reduction::Sum).expect("targets");
            (loss.value().item() / rows as f32, loss.backward().of(&model))
        };
        self.sum.add_sum(&gradients, rows).expect("finite");
        if self.sum.batches() == 2 {
            let mut mean = self.sum.take_mean(&self.model).expect("two batches");
            clip::clip_norm(&mut mean, 1.0).expect("finite");
            let step = self.at.step();
            self.adam.set_learning_rate(0.05 * warm_up(step, 4) * cosine(step, 30) * self.plateau.factor());
            self.adam.step(&mut self.model, &mean).expect("finite");
            self.average.update(&self.model).expect("finite");
        }
        self.at.advance(batches);
        if self.at.batch() == 0 {
            self.plateau.observe(loss.into()).expect("good settings");
            self.early.observe(loss.into(), &self.model).expect("good settings");
        }
    }
}

#[test]
fn a_run_stopped_after_any_batch_has_the_bits_of_a_whole_one() {
    let folder = tempfile::tempdir().expect("a writable folder for temporary files");
    let (path, end) = (folder.path().join("run.safetensors"), folder.path().join("end.safetensors"));
    let mut whole = Run::new(1);
    whole.train(u64::MAX);
    whole.save(&end).expect("a good run");
    let expected = fs::read(&end).expect("the file just saved");
    let steps = whole.at.step();
    assert_eq!((whole.at.epoch(), steps), (EPOCHS, 20));
    assert!(whole.plateau.factor() < 1.0, "the plateau took part");
    for stop in 0..=steps {
        let mut first = Run::new(1);
        first.train(stop);
        first.save(&path).expect("a good run");
        let mut second = Run::new(1);
        second.load(&path).expect("the file just saved");
        second.train(u64::MAX);
        second.save(&end).expect("a good run");
        assert!(fs::read(&end).expect("the file just saved") == expected, "stopped after batch {stop}");
    }
}

#[test]
fn batches_and_streams_draw_different_numbers() {
    let mut at = Position::new(1);
    let mut drawn = Vec::new();
    for _ in 0..6 {
        drawn.push(at.epoch_rng(0).random::<u64>());
        drawn.extend([0, 1].map(|stream| at.batch_rng(stream).random::<u64>()));
        at.advance(2);
    }
    drawn.push(Position::new(2).batch_rng(0).random());
    drawn.sort_unstable();
    drawn.dedup();
    // The plan of an epoch is the same in both of its batches: three epochs, six batches in two streams, another seed.
    assert_eq!(drawn.len(), 3 + 12 + 1);
    assert_eq!(at.batch_rng(0).random::<u64>(), at.batch_rng(0).random::<u64>(), "nothing is remembered");
}

#[test]
fn an_epoch_goes_on_only_with_as_many_batches() {
    let mut at = Position::new(1);
    assert_eq!(at.rest(&[1, 2, 3]).expect("a new epoch"), [1, 2, 3]);
    at.advance(3);
    assert_eq!(at.rest(&[1, 2, 3]).expect("the same plan"), [2, 3]);
    let error = at.rest(&[1, 2]).expect_err("another plan");
    assert!(matches!(error.kind(), ErrorKind::Run));
    assert_eq!(error.to_string(), "position: epoch 0 is at batch 1 of 3; expected a plan of 3 batches, not of 2");
    let error = Position::new(1).rest::<u8>(&[]).expect_err("no batch");
    assert_eq!(error.to_string(), "position: epoch 0 has no batch; expected at least one");
}

/// The error of loading `path` into `run`, without the name of the file; asserts that nothing was changed.
#[track_caller]
fn refused(run: &mut Run, path: &Path) -> String {
    let beside = path.with_extension("before");
    run.save(&beside).expect("a good run");
    let before = fs::read(&beside).expect("the file just saved");
    let error = run.load(path).expect_err("this file must be refused").to_string();
    run.save(&beside).expect("a good run");
    assert!(fs::read(&beside).expect("the file just saved") == before, "a refused file changed something");
    let named = format!("file {path:?}: ");
    error.strip_prefix(&named).unwrap_or_else(|| panic!("{error} does not name {named}")).to_owned()
}

#[test]
fn a_file_of_another_run_says_what_differs_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a writable folder for temporary files");
    let path = folder.path().join("run.safetensors");
    let mut run = Run::new(1);
    run.train(7);
    run.save(&path).expect("a good run");

    let mut other = Run::new(2);
    (other.average, other.early) = (Average::new(0.9), EarlyStopping::new(2).min_change(0.01));
    other.adam = Adam::new(0.05).eps(1e-6);
    other.train(3);
    assert_eq!(
        refused(&mut other, &path),
        "belongs to another run:\
         \n  its optimiser, Adam, was saved with eps = 1e-8; expected 1e-6, as here\
         \n  its part `average` was saved with decay = Some(0.8); expected Some(0.9), as here\
         \n  its part `early` was saved with min_change = 0.0; expected 0.01, as here\
         \n  its part `position` was saved with seed = 1; expected 2, as here"
    );
    // Other parts.
    let mut model = Run::new(1).model;
    let mut parts = |parts: &mut [(&str, &mut dyn Part<f32>)]| {
        let error = file::load_run(&path, &mut model, &mut Adam::new(0.1), parts).expect_err("other parts");
        assert!(matches!(error.kind(), ErrorKind::Run));
        error.to_string().split_once("another run:\n  ").expect("of another run").1.to_owned()
    };
    let (mut sum, mut average) = (Accumulator::new(), Average::new(0.8));
    assert_eq!(
        parts(&mut [("sum", &mut average), ("best", &mut sum), ("average", &mut Average::new(0.8))]),
        "its part `sum` is the state of Accumulator; expected that of Average\
         \n  it has no part `best`; expected the state of Accumulator\
         \n  it has a part `early`, the state of EarlyStopping, that is not resumed here\
         \n  it has a part `plateau`, the state of Plateau, that is not resumed here\
         \n  it has a part `position`, the state of Position, that is not resumed here"
    );
    let error = file::load_training(&path, &mut model, &mut Adam::new(0.1)).expect_err("parts that would be lost");
    assert!(error.to_string().contains("it has a part `average`, the state of Average, that is not resumed here"));
    // Another optimiser; and only the model.
    let error = file::load_training(&path, &mut model, &mut Sgd::new(0.1)).expect_err("another optimiser");
    assert!(error.to_string().ends_with("holds the state of Adam; expected that of Sgd"), "{error}");
    file::load(&path, &mut model).expect("the model is in it");
    assert_eq!(model.leaves(), run.model.leaves());
}

#[test]
fn damaged_values_are_named_and_change_nothing() {
    let folder = tempfile::tempdir().expect("a writable folder for temporary files");
    let path = folder.path().join("run.safetensors");
    let mut run = Run::new(1);
    run.train(9);
    run.save(&path).expect("a good run");
    let good = fs::read(&path).expect("the file just saved");
    // After its length, whose bytes are no text.
    let header = String::from_utf8_lossy(&good[8..]).into_owned();
    let mut other = Run::new(1);
    other.train(2);
    let mut message = |key: &str, value: &str| {
        let key = format!("\"rewind.part.{key}\":\"");
        let at = header.find(&key).unwrap_or_else(|| panic!("{key} is in the header")) + key.len();
        let end = at + header[at..].find('"').expect("the value ends");
        let (at, end) = (8 + at, 8 + end);
        let mut bytes = good.clone();
        bytes.splice(at..end, value.bytes());
        let length = u64::from_le_bytes(*good.first_chunk().expect("8 bytes")) + value.len() as u64 - (end - at) as u64;
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        fs::write(&path, sealed(bytes)).expect("writable");
        refused(&mut other, &path)
    };
    assert_eq!(message("position.value.epoch", "many"), "Position: `epoch` is \"many\"; expected a number");
    assert_eq!(message("position.value.batch", "77"), "Position: `batch` is \"77\"; expected one within the epoch");
    assert_eq!(message("plateau.value.factor", "1.5"), "Plateau: `factor` is \"1.5\"; expected a number in [0, 1]");
    assert_eq!(
        message("early.value.best", "Some(NaN)"),
        "EarlyStopping: `best` is \"Some(NaN)\"; expected `None` or a finite number as `Some(…)`"
    );
    assert_eq!(message("sum.value.count", "0"), "accumulator: 0 targets in 1 batches; expected some in each");
    for (key, name) in [
        ("position.value.epoch", "Position: `epoch`"),
        ("position.value.step", "Position: `step`"),
        ("early.value.waited", "EarlyStopping: `waited`"),
    ] {
        let expected = format!("{name} is \"9223372036854775808\"; expected a count below 2^63");
        assert_eq!(message(key, "9223372036854775808"), expected);
    }
    let steps = "average: the loaded state has taken 9223372036854775808 steps; expected fewer than 2^63";
    assert_eq!(message("average.value.updates", "9223372036854775808"), steps);

    // A damaged tensor.
    fs::write(&path, &good).expect("writable");
    let info = header.find("\"average:cell.bias.average\"").expect("a tensor of the average");
    let offsets = &header[info..][header[info..].find("data_offsets\":[").expect("its place") + 15..];
    let offset: usize = offsets[..offsets.find(',').expect("two numbers")].parse().expect("a number");
    let start = 8 + u64::from_le_bytes(*good.first_chunk().expect("8 bytes")) as usize + offset;
    let mut bytes = good.clone();
    bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, sealed(bytes)).expect("writable");
    let expected = "does not fit, 1 thing wrong:\n  `average:cell.bias.average` is NaN at [0]; expected finite numbers";
    assert_eq!(refused(&mut other, &path), expected);
}

#[test]
fn names_of_parts_are_words() {
    let folder = tempfile::tempdir().expect("a writable folder for temporary files");
    let path = folder.path().join("run.safetensors");
    let run = Run::new(1);
    for name in ["", "a.b", "a:b", "optimizer"] {
        let parts: [(&str, &dyn Part<f32>); 1] = [(name, &run.at)];
        let error = file::save_run(&path, &run.model, &run.adam, &parts, &Metadata::new()).expect_err("no name");
        let wrong = format!("`{name}` is used twice or reserved; expected a name of its own");
        assert!(error.to_string().contains(&wrong), "{error}");
    }
    let twice: [(&str, &dyn Part<f32>); 2] = [("at", &run.at), ("at", &run.at)];
    let error = file::save_run(&path, &run.model, &run.adam, &twice, &Metadata::new()).expect_err("a name twice");
    assert!(error.to_string().contains("1 thing wrong:\n  `at` is used twice"), "{error}");
    assert!(!path.exists());
}
