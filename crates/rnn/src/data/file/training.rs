//! A model and its optimiser in one file.

use std::path::Path;

use rewind_autograd::{Parameters, Scalar, Tensor};

use super::{
    Metadata, NamedTensors, Precision, Problem, TensorFile, about, named, own, put, read_finite, read_module, refused,
    write,
};
use crate::error::{Error, ErrorKind, Result};
use crate::train::optim::{Moments, Optimizer};

/// The prefix of an optimiser's tensors in a file. No field of a struct can have such a name.
const OPTIMIZER: &str = "optimizer:";

/// The metadata keys of the optimiser's other values.
const STEPS_KEY: &str = "rewind.steps";
const OPTIMIZER_KEY: &str = "rewind.optimizer";
const LEARNING_RATE_KEY: &str = "rewind.learning_rate";

/// Saves everything that is needed to resume a run: every leaf of `model` as [`save`](super::save) does, the moments of
/// `optimizer`, its number of steps and its learning rate, and `metadata`. It is one file, so model and optimiser always
/// belong to the same step.
///
/// The other settings of the optimiser are not saved, nor is the state of a random number generator: seed it in every
/// epoch by the number of the epoch, as `examples/08_train.rs` does.
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
/// As [`save`](super::save), of the moments too.
pub fn save_training<T: Scalar, M: Parameters<Tensor<T>>, O: Optimizer<T>>(
    path: impl AsRef<Path>,
    model: &M,
    optimizer: &O,
    metadata: &Metadata,
) -> Result<()> {
    let path = path.as_ref();
    let mut tensors = named(model);
    let taken =
        tensors.iter().filter(|(name, _)| is_moment(name)).map(|(name, _)| Problem::Name { name: name.clone() });
    let problems: Vec<_> = taken.collect();
    if !problems.is_empty() {
        return Err(refused(path, problems));
    }
    let moments = optimizer.moments();
    tensors.extend(moments.tensors.into_iter().map(|(name, tensor)| (format!("{OPTIMIZER}{name}"), tensor)));
    // The shortest text that reads back to the same number.
    let rate = format!("{:?}", optimizer.learning_rate());
    let own = [(OPTIMIZER_KEY, optimizer.name()), (STEPS_KEY, moments.steps.to_string()), (LEARNING_RATE_KEY, rate)];
    write(path, &tensors, metadata, &own)
}

/// Loads a file of [`save_training`] into a model and an optimiser that were constructed as the saved ones, and returns the
/// metadata. The resumed run gives the same bits as one that was never stopped. [`save_training`] has an example.
///
/// # Errors
/// As [`load`](super::load), and if the file holds no optimiser, or moments that this one does not keep. Then neither
/// model nor optimiser is changed. The next step checks whether the moments belong to this model, as after
/// [`load_moments`](Optimizer::load_moments).
pub fn load_training<T: Scalar, M: Parameters<Tensor<T>>, O: Optimizer<T>>(
    path: impl AsRef<Path>,
    model: &mut M,
    optimizer: &mut O,
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
    if !(learning_rate >= 0.0 && learning_rate.is_finite()) {
        return Err(no_optimizer(&file, LEARNING_RATE_KEY, Some(&learning_rate.to_string())));
    }
    let loaded = read_module(&file, model, Precision::AsStored)?;
    let tensors = moments(&file)?;
    optimizer
        .load_moments(&Moments { steps, tensors })
        .map_err(|error| error.within(format_args!("file {:?}", file.path())))?;
    // Nothing below can fail.
    optimizer.set_learning_rate(learning_rate);
    put(model, loaded);
    Ok(metadata)
}

/// Whether a tensor of this name belongs to the optimiser.
fn is_moment(name: &str) -> bool {
    name.starts_with(OPTIMIZER)
}

/// Whether a tensor belongs to an optimiser that was saved with the model. Loading only the model skips it.
pub(super) fn beside_model(file: &TensorFile, name: &str) -> bool {
    is_moment(name) && file.metadata().contains_key(STEPS_KEY)
}

/// The tensors of the optimiser under its own names for them.
fn moments<T: Scalar>(file: &TensorFile) -> Result<NamedTensors<T>> {
    let (mut problems, mut tensors) = (Vec::new(), Vec::new());
    for info in file.tensors() {
        let Some(name) = info.name.strip_prefix(OPTIMIZER) else { continue };
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
