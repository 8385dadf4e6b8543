//! A model and its optimiser in one file.

use std::path::Path;

use rewind_autograd::Scalar;

use super::{
    FileModule, Metadata, NamedTensors, Precision, Problem, TensorFile, about, named, own, parts, put, read_finite,
    read_module, refused, settings, write,
};
use crate::error::{Error, ErrorKind, Result};
use crate::train::optim::{Moments, Optimizer};
use crate::train::resume::Part;

/// The prefix of an optimiser's tensors in a file. No field of a struct can have such a name.
const OPTIMIZER: &str = "optimizer:";

/// The metadata keys of the optimiser's other values.
const STEPS_KEY: &str = "rewind.steps";
const OPTIMIZER_KEY: &str = "rewind.optimizer";
const LEARNING_RATE_KEY: &str = "rewind.learning_rate";
/// And of its settings, each with its name.
const SETTING: &str = "rewind.optimizer.setting.";

/// Saves everything that is needed to resume a run: every leaf of `model` as [`save`](super::save) does, the moments of
/// `optimizer`, its number of steps, its learning rate and its other [settings](Optimizer::settings), and `metadata`. It is one
/// file, so model and optimiser always belong to the same step.
///
/// [`save_run`] saves the other parts of a run too: averages, early stopping,
/// the position in the data and in the random numbers.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::file::{self, Metadata};
/// use rewind_rnn::optim::{Adam, Optimizer};
///
/// parameters! { struct Model<P> { weight: P } }
///
/// let path = std::env::temp_dir().join(format!("rewind-doc-run-{}.safetensors", std::process::id()));
/// let gradient = Model { weight: Tensor::full(&[2], 3.0_f32) };
/// let (mut model, mut adam) = (Model { weight: Tensor::full(&[2], 0.5) }, Adam::new(0.1));
/// adam.step(&mut model, &gradient)?;
/// file::save_training(&path, &model, &adam, &Metadata::from([("epoch".to_owned(), "1".to_owned())]))?;
///
/// // In another process: the same settings; parameters and moments are replaced.
/// let (mut resumed, mut resumed_adam) = (Model { weight: Tensor::zeros(&[2]) }, Adam::new(0.1));
/// let metadata = file::load_training(&path, &mut resumed, &mut resumed_adam)?;
/// assert_eq!(metadata["epoch"], "1");
/// adam.step(&mut model, &gradient)?;
/// resumed_adam.step(&mut resumed, &gradient)?;
/// assert_eq!(resumed.weight, model.weight);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`save`](super::save), of the moments too, and if the learning rate is negative, infinite or NaN.
pub fn save_training<T: Scalar, M: FileModule<T>, O: Optimizer<T>>(
    path: impl AsRef<Path>,
    model: &M,
    optimizer: &O,
    metadata: &Metadata,
) -> Result<()> {
    save_run(path, model, optimizer, &[], metadata)
}

/// [`save_training`] with the other parts of a run by name: averages, early stopping, schedules that have a state, a sum of
/// gradients, the [`Position`](crate::resume::Position), and parts of your own. Their settings are saved too.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::Average;
/// use rewind_rnn::file::{self, Metadata};
/// use rewind_rnn::optim::{Adam, Optimizer};
/// use rewind_rnn::resume::Position;
///
/// parameters! { struct Model<P> { weight: P } }
///
/// let path = std::env::temp_dir().join(format!("rewind-doc-parts-{}.safetensors", std::process::id()));
/// let (mut model, mut adam) = (Model { weight: Tensor::full(&[2], 0.5_f32) }, Adam::new(0.1));
/// let (mut average, mut at) = (Average::new(0.9), Position::new(1));
/// average.update(&model)?;
/// at.advance(10);
/// file::save_run(&path, &model, &adam, &[("average", &average), ("position", &at)], &Metadata::new())?;
///
/// // In another process: everything constructed as before.
/// let (mut average, mut at) = (Average::new(0.9), Position::new(1));
/// file::load_run(&path, &mut model, &mut adam, &mut [("average", &mut average), ("position", &mut at)])?;
/// assert_eq!((average.updates(), at.batch()), (1, 1));
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`save_training`], and if a part's name is not one word of letters, digits and `_`, is `optimizer`, or occurs twice.
pub fn save_run<T: Scalar, M: FileModule<T>, O: Optimizer<T>>(
    path: impl AsRef<Path>,
    model: &M,
    optimizer: &O,
    parts: &[(&str, &dyn Part<T>)],
    metadata: &Metadata,
) -> Result<()> {
    let path = path.as_ref();
    let mut tensors = named(model);
    let taken = tensors.iter().map(|(name, _)| name).filter(|name| name.contains(':'));
    let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
    let taken = taken.map(String::as_str).chain(parts::unusable(&names));
    let problems: Vec<_> = taken.map(|name| Problem::Name { name: name.to_owned() }).collect();
    if !problems.is_empty() {
        return Err(refused(path, problems));
    }
    // What loading refuses must not replace a good file.
    let learning_rate = optimizer.learning_rate();
    if !is_learning_rate(learning_rate) {
        let why = format!("not saved, the learning rate is {learning_rate}; expected a finite number >= 0");
        return Err(about(path, ErrorKind::Setting, why));
    }
    let moments = optimizer.moments();
    tensors.extend(moments.tensors.into_iter().map(|(name, tensor)| (format!("{OPTIMIZER}{name}"), tensor)));
    let values = [
        (OPTIMIZER_KEY, optimizer.name()),
        (STEPS_KEY, moments.steps.to_string()),
        // The shortest text that reads back to the same number.
        (LEARNING_RATE_KEY, format!("{learning_rate:?}")),
    ];
    let mut own = settings::of(model);
    own.extend(values.map(|(key, value)| (key.to_owned(), value)));
    own.extend(optimizer.settings().into_iter().map(|(name, value)| (format!("{SETTING}{name}"), value)));
    for (name, part) in parts {
        parts::put(name, part.saved(), &mut tensors, &mut own);
    }
    write(path, &tensors, metadata, &own)
}

/// Loads a file of [`save_training`] into a model and an optimiser that were constructed as the saved ones, and returns the
/// metadata. The resumed run gives the same bits as one that was never stopped. [`save_training`] has an example.
///
/// The learning rate is loaded, since a schedule changes it. The other settings are compared, not loaded: the program says what they
/// are. To go on with others, load with those of the file and change them afterwards (`adam = adam.weight_decay(0.1)` keeps the moments).
/// Files of versions that did not save settings are loaded without a comparison.
///
/// # Errors
/// As [`load`](super::load), and if the file holds no optimiser, one of another kind or with other settings (all that differ are listed),
/// or moments that this one does not keep. Then neither model nor optimiser is changed. The next step checks whether the moments belong to this model, as after
/// [`load_moments`](Optimizer::load_moments).
pub fn load_training<T: Scalar, M: FileModule<T>, O: Optimizer<T>>(
    path: impl AsRef<Path>,
    model: &mut M,
    optimizer: &mut O,
) -> Result<Metadata> {
    load_run(path, model, optimizer, &mut [])
}

/// Loads a file of [`save_run`] into a model, an optimiser and parts that were constructed as the saved ones, and returns the
/// metadata. The resumed run gives the same bits as one that was never stopped. [`save_run`] has an example.
///
/// # Errors
/// As [`load_training`], and if the file has other parts, a part has another kind or other settings (all of these differences are
/// listed), or its values are damaged. Then nothing is changed.
pub fn load_run<T: Scalar, M: FileModule<T>, O: Optimizer<T>>(
    path: impl AsRef<Path>,
    model: &mut M,
    optimizer: &mut O,
    parts: &mut [(&str, &mut dyn Part<T>)],
) -> Result<Metadata> {
    let file = TensorFile::open(path)?;
    let metadata = own(&file)?;
    let (found, expected) = (setting::<String>(&file, OPTIMIZER_KEY)?, optimizer.name());
    if found != expected {
        let why = format!("holds the state of {found}; expected that of {expected}");
        return Err(about(file.path(), ErrorKind::Optimizer, why));
    }
    let steps = setting(&file, STEPS_KEY)?;
    let learning_rate: f64 = setting(&file, LEARNING_RATE_KEY)?;
    if !is_learning_rate(learning_rate) {
        return Err(no_optimizer(&file, LEARNING_RATE_KEY, Some(&learning_rate.to_string())));
    }
    let loaded = read_module(&file, model, Precision::AsStored)?;
    let tensors = tensors_of(&file, OPTIMIZER)?;
    let mut wrong = other_settings(&file, optimizer);
    let saved = parts::read(&file, parts, &mut wrong)?;
    if !wrong.is_empty() {
        let why = format!("belongs to another run:\n  {}", wrong.join("\n  "));
        return Err(about(file.path(), ErrorKind::Run, why));
    }
    let within = |error: Error| error.within(format_args!("file {:?}", file.path()));
    let mut commits = Vec::with_capacity(parts.len());
    for ((_, part), saved) in parts.iter_mut().zip(&saved) {
        commits.push(part.resume(saved).map_err(within)?);
    }
    optimizer.load_moments(&Moments { steps, tensors }).map_err(within)?;
    // Nothing below can fail.
    optimizer.set_learning_rate(learning_rate);
    put(model, loaded);
    commits.into_iter().for_each(|commit| commit());
    Ok(metadata)
}

/// The settings of the optimiser that are not those of the file. A file without any is of a version that did not save them.
fn other_settings<T: Scalar>(file: &TensorFile, optimizer: &impl Optimizer<T>) -> Vec<String> {
    let found = parts::entries(file, SETTING);
    if found.is_empty() {
        return Vec::new();
    }
    parts::other_settings(&format!("its optimiser, {},", optimizer.name()), &found, &optimizer.settings())
}

fn is_learning_rate(value: f64) -> bool {
    value >= 0.0 && value.is_finite()
}

/// Whether a tensor belongs to an optimiser or another part that was saved with the model. Loading only the model skips it.
pub(super) fn beside_model(file: &TensorFile, name: &str) -> bool {
    name.starts_with(OPTIMIZER) && file.metadata().contains_key(STEPS_KEY) || parts::has(file, name)
}

/// The tensors under a prefix, by their names without it.
pub(super) fn tensors_of<T: Scalar>(file: &TensorFile, prefix: &str) -> Result<NamedTensors<T>> {
    let (mut problems, mut tensors) = (Vec::new(), Vec::new());
    for info in file.tensors() {
        let Some(name) = info.name.strip_prefix(prefix) else { continue };
        match read_finite(file, &info.name, Precision::AsStored) {
            Ok(tensor) => tensors.push((name.to_owned(), tensor)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(tensors) } else { Err(file.mismatch(problems)) }
}

/// The error of a file without a valid optimiser: `found` is its value of `key`.
fn no_optimizer(file: &TensorFile, key: &str, found: Option<&str>) -> Error {
    let found = found.map_or("missing".to_owned(), |value| format!("{value:?}"));
    let why = format!(
        "holds no optimiser to go on with, its metadata key `{key}` is {found}; expected a file of `file::save_training`"
    );
    about(file.path(), ErrorKind::Optimizer, why)
}

/// A value of the metadata.
fn setting<N: std::str::FromStr>(file: &TensorFile, key: &str) -> Result<N> {
    let found = file.metadata().get(key);
    let number = found.and_then(|text| text.parse().ok());
    number.ok_or_else(|| no_optimizer(file, key, found.map(String::as_str)))
}
