//! Saves and loads modules and training runs as safetensors files, under the dotted names of their leaves.
//!
//! A file is written under a temporary name and renamed when it is complete: a crash, a full disk or an invalid module
//! leaves the old file unchanged. The next save removes the temporary file of a killed run, `.NAME.PROCESS-NUMBER.tmp`, a long NAME shortened.
//! Loading first checks every name, type, shape and element, reports all problems at once, and changes nothing if there
//! is one. Saving and loading reject infinite and NaN parameters: a run that diverged must not replace the last good
//! file.
//!
//! A file has a [`checksum`] over its numbers, names, shapes and metadata, which is compared whenever it is opened: a changed bit of a
//! weight, of a moment, of a count of steps or of a setting is an error. Files of earlier versions, `rewind.format` 1, and of other
//! programs have none and are read without it; one of `rewind.format` 2 that lost its checksum is refused.
//!
//! A file also has the types and the settings of a module, and a module with others is not loaded: a GRU that resets before the product
//! and one that resets after it have the same parameters, and are different functions. A setting is compared by what `Debug` prints of it,
//! and not at all if that contains an address. [`load_leaves`] loads the parameters alone; files of earlier versions have no settings.
//!
//! [`save_training`] saves a model with its optimiser, [`save_run`] all parts of a run, [`TensorFile`] reads the files of other programs.
//!
//! ```
//! use rewind_autograd::{Tensor, parameters};
//! use rewind_rnn::file::{self, Metadata};
//!
//! parameters! { struct Model<P> { weight: P, bias: P } }
//!
//! let path = std::env::temp_dir().join(format!("rewind-doc-{}.safetensors", std::process::id()));
//! let trained = Model { weight: Tensor::full(&[2, 3], 0.5_f32), bias: Tensor::zeros(&[3]) };
//! let metadata = Metadata::from([("epoch".to_owned(), "12".to_owned())]);
//! file::save(&path, &trained, &metadata)?;
//!
//! let mut fresh = Model { weight: Tensor::zeros(&[2, 3]), bias: Tensor::zeros(&[3]) };
//! assert_eq!(file::load(&path, &mut fresh)?, metadata);
//! assert_eq!(fresh.weight, trained.weight);
//! # std::fs::remove_file(&path).ok();
//! # Ok::<(), rewind_rnn::Error>(())
//! ```

mod checksum;
mod format;
mod header;
mod parts;
mod regular;
mod replace;
mod settings;
mod tensors;
mod training;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use rewind_autograd::{Parameters, Scalar, Tensor};

use crate::error::{Error, ErrorKind, Result, problem};
use crate::nonfinite::finite_tensor;

pub use crate::error::Problem;
pub use checksum::checksum;
pub use regular::expect_regular;
pub use replace::replace;
pub use settings::FileModule;
pub use tensors::{Precision, TensorFile, TensorInfo};
pub use training::{load_run, load_training, save_run, save_training};

/// The user's metadata of a file, by key. Keys that begin with `rewind.` are reserved.
pub type Metadata = BTreeMap<String, String>;

/// Tensors by name, without a module.
pub type NamedTensors<T> = Vec<(String, Tensor<T>)>;

/// The prefix of this crate's metadata keys.
const OWN_KEYS: &str = "rewind.";

/// The metadata key of the format version. It marks the files of this crate.
const FORMAT_KEY: &str = "rewind.format";
/// The versions that are read. The first has no checksum; the second, which is written, has one, so that a file that lost it is not taken
/// for one that never had it.
const FORMATS: [&str; 2] = ["1", CHECKED_FORMAT];
const CHECKED_FORMAT: &str = "2";

/// Saves every leaf of `module` under its dotted name, the types and settings of the module, and `metadata`. The same module and
/// metadata give the same bytes.
///
/// # Errors
/// If an element is infinite or NaN, a metadata key begins with `rewind.`, names, shapes and metadata take more than 100 MB, or the file
/// cannot be written. Then an old file
/// at `path` is unchanged, and no temporary file is left.
pub fn save<T: Scalar, M: FileModule<T>>(path: impl AsRef<Path>, module: &M, metadata: &Metadata) -> Result<()> {
    write(path.as_ref(), &named(module), metadata, &settings::of(module))
}

/// All leaves with their names. No elements are copied.
fn named<T: Scalar, M: Parameters<Tensor<T>>>(module: &M) -> NamedTensors<T> {
    let mut tensors = Vec::new();
    module.visit(|name, tensor| tensors.push((name.to_owned(), tensor.clone())));
    tensors
}

/// [`save`] for tensors without a module. [`load_tensors`] reads them. [`save_training`] saves a model and its optimiser in one file.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::file::{self, Metadata};
///
/// let path = std::env::temp_dir().join(format!("rewind-doc-tensors-{}.safetensors", std::process::id()));
/// let tensors = [("mean".to_owned(), Tensor::full(&[12], 0.25_f32)), ("scale".to_owned(), Tensor::scalar(2.0))];
/// file::save_tensors(&path, &tensors, &Metadata::new())?;
/// assert_eq!(file::load_tensors::<f32>(&path)?.0, tensors);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// As [`save`], and if a name occurs twice.
pub fn save_tensors<T: Scalar>(
    path: impl AsRef<Path>,
    tensors: &[(String, Tensor<T>)],
    metadata: &Metadata,
) -> Result<()> {
    write(path.as_ref(), tensors, metadata, &Metadata::new())
}

/// The error of a file.
fn about(path: &Path, kind: ErrorKind, why: impl fmt::Display) -> Error {
    Error::new(kind, format!("file {path:?}: {why}"))
}

/// The error of a module that cannot be saved.
fn refused(path: &Path, problems: Vec<Problem>) -> Error {
    let why = format!("not saved, {}", problem::listed(&problems));
    about(path, ErrorKind::Refused(problems), why)
}

/// Writes tensors with the user's metadata and those of this crate.
fn write<T: Scalar>(path: &Path, tensors: &[(String, Tensor<T>)], metadata: &Metadata, own: &Metadata) -> Result<()> {
    if let Some(key) = metadata.keys().find(|key| key.starts_with(OWN_KEYS)) {
        let why = format!("metadata key `{key}` is taken; expected one that does not begin with `rewind.`");
        return Err(about(path, ErrorKind::ReservedKey, why));
    }
    let mut sorted = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, tensor) in tensors {
        problems.extend(finite_tensor(name, tensor).err().map(Problem::NonFinite));
        if name == format::METADATA || sorted.insert(name.as_str(), tensor).is_some() {
            problems.push(Problem::Name { name: name.clone() });
        }
    }
    if !problems.is_empty() {
        return Err(refused(path, problems));
    }
    let mut entries = metadata.clone();
    entries.insert(FORMAT_KEY.to_owned(), CHECKED_FORMAT.to_owned());
    entries.extend(own.clone());
    let written = format::encode(&sorted, entries).and_then(|bytes| replace(path, &bytes));
    written.map_err(|source| {
        let why = format!("cannot be written: {source}");
        about(path, ErrorKind::Write(source), why)
    })
}

/// Loads every leaf of `module` from `path`, and returns the metadata that it was saved with. From a file of
/// [`save_training`] it reads only the model.
///
/// # Errors
/// If the file cannot be read, is truncated or not a safetensors file, or is not of this crate's format version; or with
/// all missing and unexpected names, wrong types and shapes, and infinite or NaN elements; or, if all these are right, with all types and
/// settings that the saved module had otherwise. The module is then unchanged.
pub fn load<T: Scalar, M: FileModule<T>>(path: impl AsRef<Path>, module: &mut M) -> Result<Metadata> {
    load_with(path.as_ref(), module, Precision::AsStored)
}

/// [`load`] of a module that was saved with elements of another type; see [`Precision::Converted`].
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::file::{self, Metadata};
///
/// parameters! { struct Model<P> { weight: P } }
///
/// let path = std::env::temp_dir().join(format!("rewind-doc-converted-{}.safetensors", std::process::id()));
/// file::save(&path, &Model { weight: Tensor::full(&[2], 0.5_f32) }, &Metadata::new())?;
/// let mut model = Model { weight: Tensor::<f64>::zeros(&[2]) };
/// file::load_converted(&path, &mut model)?;
/// assert_eq!(model.weight.to_vec(), [0.5, 0.5]);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// As [`load`], except for the type; an element out of the range of `T` is an error.
pub fn load_converted<T: Scalar, M: FileModule<T>>(path: impl AsRef<Path>, module: &mut M) -> Result<Metadata> {
    load_with(path.as_ref(), module, Precision::Converted)
}

fn load_with<T: Scalar, M: FileModule<T>>(path: &Path, module: &mut M, precision: Precision) -> Result<Metadata> {
    let file = TensorFile::open(path)?;
    let metadata = own(&file)?;
    put(module, read_module(&file, module, precision)?);
    Ok(metadata)
}

/// [`load`] without a comparison of types and settings: for a struct that was renamed, or a setting that was changed on purpose.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::file::{self, Metadata, Precision};
///
/// parameters! { struct Model<P> { weight: P } }
/// parameters! { struct Renamed<P> { weight: P } }
///
/// let path = std::env::temp_dir().join(format!("rewind-doc-leaves-{}.safetensors", std::process::id()));
/// file::save(&path, &Model { weight: Tensor::full(&[2], 0.5_f32) }, &Metadata::new())?;
/// let mut renamed = Renamed { weight: Tensor::<f32>::zeros(&[2]) };
/// let error = file::load(&path, &mut renamed).expect_err("another type");
/// assert!(error.to_string().contains("the module is Model; expected Renamed"));
/// file::load_leaves(&path, &mut renamed, Precision::AsStored)?;
/// assert_eq!(renamed.weight.to_vec(), [0.5, 0.5]);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// As [`load`], except for types of structs and settings.
pub fn load_leaves<T: Scalar, M: Parameters<Tensor<T>>>(
    path: impl AsRef<Path>,
    module: &mut M,
    precision: Precision,
) -> Result<Metadata> {
    let file = TensorFile::open(path)?;
    let metadata = own(&file)?;
    put(module, read_leaves(&file, module, precision)?);
    Ok(metadata)
}

/// The tensors of a file for every leaf of `module`, in their order, if its types and settings are those of the saved module.
fn read_module<T: Scalar, M: FileModule<T>>(
    file: &TensorFile,
    module: &M,
    precision: Precision,
) -> Result<Vec<Tensor<T>>> {
    let leaves = read_leaves(file, module, precision)?;
    let problems = settings::differences(file, module);
    if problems.is_empty() {
        return Ok(leaves);
    }
    let listed = problem::listed(&problems);
    let why = format!("has the parameters of another module, {listed}\n(`file::load_leaves` loads them all the same)");
    Err(about(file.path(), ErrorKind::Mismatch(problems), why))
}

/// The tensors of a file for every leaf of `module`, in their order.
fn read_leaves<T: Scalar, M: Parameters<Tensor<T>>>(
    file: &TensorFile,
    module: &M,
    precision: Precision,
) -> Result<Vec<Tensor<T>>> {
    let (mut problems, mut loaded) = (Vec::new(), Vec::new());
    let mut known = HashSet::new();
    module.visit(|name, tensor| {
        known.insert(name.to_owned());
        let Some(info) = file.info(name) else {
            let shape = tensor.shape().to_vec();
            return problems.push(Problem::Missing { name: name.to_owned(), shape });
        };
        if info.shape != tensor.shape() {
            let (found, expected) = (info.shape.clone(), tensor.shape().to_vec());
            problems.push(Problem::Shape { name: name.to_owned(), found, expected });
        }
        match read_finite(file, name, precision) {
            Ok(value) => loaded.push(value),
            Err(problem) => problems.push(problem),
        }
    });
    let unexpected = |info: &&TensorInfo| !known.contains(&info.name) && !training::beside_model(file, &info.name);
    problems.extend(file.tensors().iter().filter(unexpected).map(|info| {
        let (name, shape) = (info.name.clone(), info.shape.clone());
        Problem::Unexpected { name, shape }
    }));
    if problems.is_empty() { Ok(loaded) } else { Err(file.mismatch(problems)) }
}

/// One tensor, if all its elements are finite.
pub(crate) fn read_finite<T: Scalar>(
    file: &TensorFile,
    name: &str,
    precision: Precision,
) -> std::result::Result<Tensor<T>, Problem> {
    let tensor = file.read(name, precision)?;
    finite_tensor(name, &tensor).map_err(Problem::NonFinite)?;
    Ok(tensor)
}

/// Replaces the leaves by tensors.
fn put<T: Scalar, M: Parameters<Tensor<T>>>(module: &mut M, tensors: Vec<Tensor<T>>) {
    let mut rest = tensors.into_iter();
    module.visit_mut(|_, tensor| {
        if let Some(value) = rest.next() {
            *tensor = value;
        }
    });
}

/// All tensors of a file of [`save_tensors`], in the order of their names, and its metadata.
///
/// # Errors
/// If the file cannot be read, is truncated or foreign; or with all tensors of another type than `T`, or with infinite or
/// NaN elements.
pub fn load_tensors<T: Scalar>(path: impl AsRef<Path>) -> Result<(NamedTensors<T>, Metadata)> {
    let file = TensorFile::open(path)?;
    let metadata = own(&file)?;
    let (mut problems, mut tensors) = (Vec::new(), Vec::new());
    for TensorInfo { name, .. } in file.tensors() {
        match read_finite(&file, name, Precision::AsStored) {
            Ok(value) => tensors.push((name.clone(), value)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok((tensors, metadata)) } else { Err(file.mismatch(problems)) }
}

/// Only the metadata of a file, such as the sizes of the module to construct before its parameters are loaded.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::file::{self, Metadata};
///
/// let path = std::env::temp_dir().join(format!("rewind-doc-metadata-{}.safetensors", std::process::id()));
/// let metadata = Metadata::from([("hidden".to_owned(), "64".to_owned())]);
/// file::save_tensors(&path, &[("h".to_owned(), Tensor::<f32>::zeros(&[64]))], &metadata)?;
/// assert_eq!(file::metadata(&path)?["hidden"], "64");
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If the file cannot be read, is truncated or foreign.
pub fn metadata(path: impl AsRef<Path>) -> Result<Metadata> {
    own(&TensorFile::open(path)?)
}

/// The user's metadata of a file that [`save`] wrote.
fn own(file: &TensorFile) -> Result<Metadata> {
    let mut metadata = file.metadata().clone();
    match metadata.remove(FORMAT_KEY) {
        Some(version) if FORMATS.contains(&version.as_str()) => {
            metadata.retain(|key, _| !key.starts_with(OWN_KEYS));
            Ok(metadata)
        }
        found => {
            let what = match found {
                Some(version) => format!("of format version {version:?}; expected version {}", FORMATS.join(" or ")),
                None => "not one of `file::save`: its metadata has no `rewind.format`; `file::TensorFile` reads the \
                         files of other programs, `torch::load_stack` the networks of PyTorch, `torch::FromTorch` single layers"
                    .to_owned(),
            };
            Err(about(file.path(), ErrorKind::Foreign, format!("a safetensors file, but {what}")))
        }
    }
}
