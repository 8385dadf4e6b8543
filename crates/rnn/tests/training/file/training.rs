//! Model and optimiser in a file: a resumed run equals the saved one.

use std::fs;

use rewind_autograd::{Parameters, Scalar, Tensor};
use rewind_rnn::ErrorKind;
use rewind_rnn::file::{self, Metadata};
use rewind_rnn::optim::{Adagrad, Adam, AdamW, Moments, Optimizer, RmsProp, Sgd};

use super::{Folder, Model, empty, model, sealed};

#[test]
fn an_optimiser_goes_on_from_a_file() {
    let folder = Folder::new();
    let (mut adam, mut m) = (Adam::new(0.1), model::<f32>());
    adam.step(&mut m, &model()).expect("a good step");
    let Moments { steps, tensors } = adam.moments();
    let metadata = Metadata::from([("steps".to_owned(), steps.to_string())]);
    file::save_tensors(folder.file(), &tensors, &metadata).expect("good tensors");
    let (tensors, metadata) = file::load_tensors::<f32>(folder.file()).expect("the file just saved");
    let mut other = Adam::new(0.1);
    let steps = metadata["steps"].parse().expect("a number");
    other.load_moments(&Moments { steps, tensors }).expect("its own state");
    let mut twin = m.clone();
    adam.step(&mut m, &model()).expect("a good step");
    other.step(&mut twin, &model()).expect("a good step");
    assert_eq!(m.leaves(), twin.leaves());
}

/// A step of training with gradients that depend on the parameters and on the number of the step.
pub(super) fn train_step<T: Scalar>(m: &mut Model<Tensor<T>>, optimizer: &mut impl Optimizer<T>, step: usize) {
    let gradients = m.map(|_, p: &Tensor<T>| p.map(|x| x * T::from_f64(1.5) + T::from_f64((step as f64).cos())));
    optimizer.set_learning_rate(optimizer.learning_rate() * 0.9);
    optimizer.step(m, &gradients).expect("a good step");
}

fn resumes_to_the_same_bits<T: Scalar, O: Optimizer<T>>(fresh: impl Fn() -> O) {
    let folder = Folder::new();
    let (mut whole, mut optimizer) = (model::<T>(), fresh());
    for step in 0..10 {
        if step == 6 {
            let metadata = Metadata::from([("step".to_owned(), step.to_string())]);
            file::save_training(folder.file(), &whole, &optimizer, &metadata).expect("a good run");
        }
        train_step(&mut whole, &mut optimizer, step);
    }
    let (mut stopped, mut resumed) = (empty::<T>(), fresh());
    let metadata = file::load_training(folder.file(), &mut stopped, &mut resumed).expect("the file just saved");
    assert_eq!(metadata, Metadata::from([("step".to_owned(), "6".to_owned())]));
    (6..10).for_each(|step| train_step(&mut stopped, &mut resumed, step));
    assert_eq!(stopped.leaves(), whole.leaves());
    assert_eq!(resumed.moments(), optimizer.moments());
    assert_eq!(resumed.learning_rate().to_bits(), optimizer.learning_rate().to_bits());

    // Only the model; and a file that is written twice has the same bytes.
    let mut used = empty::<T>();
    file::load(folder.file(), &mut used).expect("the model is in it");
    file::load_training(folder.file(), &mut stopped, &mut resumed).expect("it is still there");
    assert_eq!(used.leaves(), stopped.leaves());
    let bytes = fs::read(folder.file()).expect("it is still there");
    file::save_training(folder.file(), &stopped, &resumed, &metadata).expect("a good run");
    assert_eq!(fs::read(folder.file()).expect("the file just saved"), bytes);
}

#[test]
fn a_run_goes_on_from_one_file_to_the_same_bits() {
    resumes_to_the_same_bits::<f32, _>(|| Adam::new(0.1));
    resumes_to_the_same_bits::<f64, _>(|| AdamW::new(0.1));
    resumes_to_the_same_bits::<f32, _>(|| Sgd::new(0.1));
    resumes_to_the_same_bits::<f64, _>(|| Sgd::new(0.1).momentum(0.9).nesterov(true));
    resumes_to_the_same_bits::<f32, _>(|| RmsProp::new(0.1));
    resumes_to_the_same_bits::<f64, _>(|| Adagrad::new(0.1));
}

#[test]
fn what_cannot_be_resumed_changes_neither_model_nor_optimiser() {
    let folder = Folder::new();
    let (mut m, mut adam) = (model::<f32>(), Adam::new(0.1));
    train_step(&mut m, &mut adam, 0);
    let refused = |load: &mut dyn FnMut() -> rewind_rnn::Result<Metadata>| {
        let error = load().expect_err("this file must be refused").to_string();
        let named = format!("file {:?}: ", folder.file());
        error.strip_prefix(&named).unwrap_or_else(|| panic!("{error} does not name {named}")).to_owned()
    };

    // Only a model.
    file::save(folder.file(), &m, &Metadata::new()).expect("a good module");
    let (mut other, mut fresh) = (model::<f32>(), Adam::new(0.3));
    assert_eq!(
        refused(&mut || file::load_training(folder.file(), &mut other, &mut fresh)),
        "holds no optimiser to go on with, its metadata key `rewind.optimizer` is missing; expected a file of \
         `file::save_training`"
    );
    // Another model, another optimiser, a damaged moment.
    file::save_training(folder.file(), &m, &adam, &Metadata::new()).expect("a good run");
    let mut smaller = m.layers[0].clone();
    let message = refused(&mut || file::load_training(folder.file(), &mut smaller, &mut fresh));
    assert!(
        message.starts_with("does not fit, 5 things wrong:\n  `weight` is missing; expected shape [3, 2]"),
        "{message}"
    );
    assert!(!message.contains("optimizer:"), "the moments are not part of what is wrong: {message}");
    let mut sgd = Sgd::new(0.3).momentum(0.9);
    assert_eq!(
        refused(&mut || file::load_training(folder.file(), &mut other, &mut sgd)),
        "holds the state of Adam; expected that of Sgd"
    );
    // Moments with the same names and another meaning.
    let mut adamw = AdamW::new(0.3);
    assert_eq!(
        refused(&mut || file::load_training(folder.file(), &mut other, &mut adamw)),
        "holds the state of Adam; expected that of AdamW"
    );
    let mut bytes = fs::read(folder.file()).expect("the file just saved");
    let numbers = (m.leaves().iter().map(|p| p.len()).sum::<usize>()) * 3; // two moments each
    // In the order of the names the moments come after the layers, which have 6 + 2 + 6 elements.
    let first = bytes.len() - 4 * (numbers - 14);
    bytes[first..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(folder.file(), sealed(bytes)).expect("writable");
    let message = refused(&mut || file::load_training(folder.file(), &mut other, &mut fresh));
    assert!(message.contains("`optimizer:layers.0.weight.exp_avg` is NaN at [0, 0]"), "{message}");

    assert_eq!(other.leaves(), model::<f32>().leaves());
    assert_eq!((fresh.moments().steps, fresh.learning_rate()), (0, 0.3));
    assert_eq!((sgd.moments().steps, sgd.learning_rate()), (0, 0.3));
}

#[test]
fn a_number_of_steps_that_nobody_took_is_refused() {
    let folder = Folder::new();
    let (mut m, mut adam) = (model::<f32>(), Adam::new(0.1));
    train_step(&mut m, &mut adam, 0);
    let Moments { tensors, .. } = adam.moments();
    adam.load_moments(&Moments { steps: u64::MAX - 1, tensors: tensors.clone() }).expect_err("one more would overflow");
    adam.load_moments(&Moments { steps: u64::MAX >> 1, tensors }).expect("so many are not impossible");
    file::save_training(folder.file(), &m, &adam, &Metadata::new()).expect("a good run");
    let mut bytes = fs::read(folder.file()).expect("the file just saved");
    let steps = (u64::MAX >> 1).to_string();
    let at = bytes.windows(steps.len()).position(|text| text == steps.as_bytes()).expect("the steps are in the header");
    bytes[at..][..steps.len()].copy_from_slice(b"9999999999999999999");
    fs::write(folder.file(), sealed(bytes)).expect("writable");
    let error = file::load_training(folder.file(), &mut m, &mut adam).expect_err("not taken").to_string();
    let expected = "optimiser: the loaded state has taken 9999999999999999999 steps; expected fewer than 2^63";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn a_learning_rate_that_is_none_is_refused() {
    let folder = Folder::new();
    for (rate, written, shown) in [(f64::NAN, "+NaN", "NaN"), (f64::INFINITY, "+inf", "inf"), (-1.0, "-1.0", "-1")] {
        let (mut m, mut adam) = (model::<f32>(), Adam::new(0.1));
        train_step(&mut m, &mut adam, 0);
        adam.set_learning_rate(0.25);
        file::save_training(folder.file(), &m, &adam, &Metadata::new()).expect("numbers that can be saved");
        let good = fs::read(folder.file()).expect("the file just saved");
        adam.set_learning_rate(rate);
        let error = file::save_training(folder.file(), &m, &adam, &Metadata::new()).expect_err("no learning rate");
        let expected = format!("not saved, the learning rate is {shown}; expected a finite number >= 0");
        assert!(error.to_string().ends_with(&expected), "{error}");
        assert_eq!(fs::read(folder.file()).expect("the old file"), good);

        // A file of another program.
        let key = b"\"rewind.learning_rate\":\"";
        let at = good.windows(key.len()).position(|bytes| bytes == key).expect("it is in the header") + key.len();
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(written.as_bytes());
        fs::write(folder.file(), sealed(bytes)).expect("writable");
        let error = file::load_training(folder.file(), &mut m, &mut adam).expect_err("no learning rate").to_string();
        assert!(error.contains(&format!("its metadata key `rewind.learning_rate` is \"{shown}\"")), "{error}");
    }
}

/// The message of a load that must be refused, without the name of the file; nothing is changed.
#[track_caller]
fn other_settings(path: &std::path::Path, optimizer: &mut impl Optimizer<f32>) -> String {
    let (mut m, rate) = (empty::<f32>(), optimizer.learning_rate());
    let error = file::load_training(path, &mut m, optimizer).expect_err("other settings");
    assert!(matches!(error.kind(), ErrorKind::Run), "{error}");
    assert_eq!(m.leaves(), empty::<f32>().leaves());
    assert_eq!((optimizer.moments().steps, optimizer.learning_rate()), (0, rate));
    let message = error.to_string();
    let named = format!("file {path:?}: belongs to another run:\n  ");
    message.strip_prefix(&named).unwrap_or_else(|| panic!("{message}")).to_owned()
}

fn saved(folder: &Folder, optimizer: &mut impl Optimizer<f32>) {
    let mut m = model::<f32>();
    train_step(&mut m, optimizer, 0);
    file::save_training(folder.file(), &m, optimizer, &Metadata::new()).expect("a good run");
}

#[test]
fn other_settings_are_refused_with_both_values() {
    let folder = Folder::new();
    let path = folder.file();
    saved(&folder, &mut Adam::new(0.1).betas(0.9, 0.99));
    // The learning rate is not compared: it is loaded.
    let mut good = Adam::new(0.7).betas(0.9, 0.99);
    file::load_training(&path, &mut empty::<f32>(), &mut good).expect("the same settings");
    assert_eq!((good.moments().steps, good.learning_rate()), (1, 0.1 * 0.9));
    assert_eq!(
        other_settings(&path, &mut Adam::new(0.1)),
        "its optimiser, Adam, was saved with beta2 = 0.99; expected 0.999, as here"
    );
    assert_eq!(
        other_settings(&path, &mut Adam::new(0.1).betas(0.8, 0.99).eps(1e-6).weight_decay(0.25)),
        "its optimiser, Adam, was saved with beta1 = 0.9; expected 0.8, as here\
         \n  its optimiser, Adam, was saved with eps = 1e-8; expected 1e-6, as here\
         \n  its optimiser, Adam, was saved with weight_decay = 0.0; expected 0.25, as here"
    );
    saved(&folder, &mut AdamW::new(0.1));
    let message = other_settings(&path, &mut AdamW::new(0.1).weight_decay(0.0));
    assert_eq!(message, "its optimiser, AdamW, was saved with weight_decay = 0.01; expected 0.0, as here");
    saved(&folder, &mut Sgd::new(0.1).momentum(0.9).nesterov(true));
    assert_eq!(
        other_settings(&path, &mut Sgd::new(0.1).momentum(0.5).weight_decay(1e-4)),
        "its optimiser, Sgd, was saved with momentum = 0.9; expected 0.5, as here\
         \n  its optimiser, Sgd, was saved with nesterov = true; expected false, as here\
         \n  its optimiser, Sgd, was saved with weight_decay = 0.0; expected 0.0001, as here"
    );
    saved(&folder, &mut RmsProp::new(0.1).alpha(0.9));
    let message = other_settings(&path, &mut RmsProp::new(0.1).alpha(0.9).eps(0.0));
    assert_eq!(message, "its optimiser, RmsProp, was saved with eps = 1e-8; expected 0.0, as here");
    saved(&folder, &mut Adagrad::new(0.1));
    let message = other_settings(&path, &mut Adagrad::new(0.1).weight_decay(f64::NAN));
    assert_eq!(message, "its optimiser, Adagrad, was saved with weight_decay = 0.0; expected NaN, as here");
}

#[test]
fn a_run_goes_on_with_other_settings_that_are_set_afterwards() {
    let folder = Folder::new();
    let mut adam = Adam::new(0.1);
    saved(&folder, &mut adam);
    let (mut m, mut resumed) = (empty::<f32>(), Adam::new(0.1));
    file::load_training(folder.file(), &mut m, &mut resumed).expect("the same settings");
    let (mut changed, mut expected) = (resumed.weight_decay(0.5), adam.weight_decay(0.5));
    assert_eq!(changed.settings()["weight_decay"], "0.5");
    // The same step as an optimiser that was never saved.
    let mut twin = m.clone();
    train_step(&mut m, &mut changed, 1);
    train_step(&mut twin, &mut expected, 1);
    assert_eq!(m.leaves(), twin.leaves());
}

#[test]
fn a_file_without_settings_is_read_as_before() {
    let folder = Folder::new();
    saved(&folder, &mut Adam::new(0.1));
    // As an earlier version wrote it: under keys that are not those of settings there is nothing to compare.
    let mut bytes = fs::read(folder.file()).expect("the file just saved");
    let (old, new) = (b"rewind.optimizer.setting.", b"rewind.optimizer.nothing.");
    let places: Vec<_> = (0..bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old)).collect();
    assert_eq!(places.len(), 4);
    places.into_iter().for_each(|at| bytes[at..at + new.len()].copy_from_slice(new));
    fs::write(folder.file(), sealed(bytes)).expect("writable");
    let mut other = Adam::new(0.1).betas(0.5, 0.5);
    file::load_training(folder.file(), &mut empty::<f32>(), &mut other).expect("nothing to compare");
    assert_eq!((other.moments().steps, other.settings()["beta1"].as_str()), (1, "0.5"));
}
