//! Saving and loading any module as a safetensors file, under the dotted names of its leaves.
//!
//! A file is written beside its place and renamed when it is whole: a crash, a full disk or a broken module leave the
//! old file as it was. What a killed run has left beside it, `.NAME.PROCESS-NUMBER.tmp`, goes with the next save. Loading looks at every name, type, shape and number first, reports all that is wrong at once,
//! and changes nothing unless all is right. Infinite and NaN parameters are refused both ways: a run that diverged
//! must not replace the last good checkpoint.
//!
//! ```
//! use rewind_autograd::{Tensor, parameters};
//! use rewind_rnn::checkpoint::{self, Metadata};
//!
//! parameters! { struct Model<P> { weight: P, bias: P } }
//!
//! let path = std::env::temp_dir().join(format!("rewind-doc-{}.safetensors", std::process::id()));
//! let trained = Model { weight: Tensor::full(&[2, 3], 0.5_f32), bias: Tensor::zeros(&[3]) };
//! let metadata = Metadata::from([("epoch".to_owned(), "12".to_owned())]);
//! checkpoint::save(&path, &trained, &metadata)?;
//!
//! let mut fresh = Model { weight: Tensor::zeros(&[2, 3]), bias: Tensor::zeros(&[3]) };
//! assert_eq!(checkpoint::load(&path, &mut fresh)?, metadata);
//! assert_eq!(fresh.weight, trained.weight);
//! # std::fs::remove_file(&path).ok();
//! # Ok::<(), checkpoint::CheckpointError>(())
//! ```

mod error;
mod format;
mod replace;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rewind_autograd::{Parameters, Scalar, Tensor};
use safetensors::SafeTensors;

use crate::non_finite::finite_tensor;

pub use error::{CheckpointError, Problem};

/// What a user wants to keep beside the numbers, by key. Keys that begin with `rewind.` are taken.
pub type Metadata = BTreeMap<String, String>;

/// Tensors by name, in no module.
pub type NamedTensors<T> = Vec<(String, Tensor<T>)>;

/// The metadata key under which a file says that it is a checkpoint, and of which version.
const FORMAT_KEY: &str = "rewind.format";
const FORMAT: &str = "1";

/// Saves every leaf of `module` under its dotted name, with `metadata`. The same module and metadata give the same
/// bytes.
///
/// # Errors
/// If a number is infinite or NaN, a metadata key begins with `rewind.`, or the file cannot be written. What was at
/// `path` before is untouched then, and nothing else is left behind.
pub fn save<T: Scalar, M: Parameters<Tensor<T>>>(
    path: impl AsRef<Path>,
    module: &M,
    metadata: &Metadata,
) -> Result<(), CheckpointError> {
    let mut tensors = Vec::new();
    module.visit(|name, tensor| tensors.push((name.to_owned(), tensor.clone())));
    save_tensors(path, &tensors, metadata)
}

/// [`save`] for tensors that are in no module: an optimiser's state, say.
///
/// # Errors
/// As [`save`], and if a name comes twice.
pub fn save_tensors<T: Scalar>(
    path: impl AsRef<Path>,
    tensors: &[(String, Tensor<T>)],
    metadata: &Metadata,
) -> Result<(), CheckpointError> {
    let path = path.as_ref();
    if let Some(key) = metadata.keys().find(|key| key.starts_with("rewind.")) {
        return Err(CheckpointError::ReservedKey { path: path.to_owned(), key: key.clone() });
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
        return Err(CheckpointError::Refused { path: path.to_owned(), problems });
    }
    let mut entries = metadata.clone();
    entries.insert(FORMAT_KEY.to_owned(), FORMAT.to_owned());
    replace::replace(path, &format::encode(&sorted, &entries))
        .map_err(|source| CheckpointError::Write { path: path.to_owned(), source })
}

/// Loads every leaf of `module` from `path`, and returns the metadata it was saved with.
///
/// # Errors
/// If the file cannot be read, is truncated or not a safetensors file, was not written by [`save`] or by a newer one;
/// or with all names that are missing or unexpected, wrong types and shapes, and infinite or NaN numbers. The module is
/// unchanged then.
pub fn load<T: Scalar, M: Parameters<Tensor<T>>>(
    path: impl AsRef<Path>,
    module: &mut M,
) -> Result<Metadata, CheckpointError> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let (file, metadata) = parse(path, &bytes)?;
    let mut problems = Vec::new();
    let mut loaded = Vec::new();
    let mut known = std::collections::HashSet::new();
    module.visit(|name, tensor| {
        known.insert(name.to_owned());
        let Ok(view) = file.tensor(name) else {
            let shape = tensor.shape().to_vec();
            return problems.push(Problem::Missing { name: name.to_owned(), shape });
        };
        let (found, expected) = (view.shape(), tensor.shape());
        if found != expected {
            let (found, expected) = (found.to_vec(), expected.to_vec());
            problems.push(Problem::Shape { name: name.to_owned(), found, expected });
        }
        match format::decode(&view) {
            Ok(value) => {
                problems.extend(finite_tensor(name, &value).err().map(Problem::NonFinite));
                loaded.push(value);
            }
            Err(found) => problems.push(Problem::Type { name: name.to_owned(), found, expected: T::NAME }),
        }
    });
    let mut unexpected: Vec<_> = file.iter().filter(|(name, _)| !known.contains(*name)).collect();
    unexpected.sort_by_key(|(name, _)| *name);
    problems.extend(unexpected.iter().map(|(name, view)| {
        let shape = view.shape().to_vec();
        Problem::Unexpected { name: (*name).to_owned(), shape }
    }));
    if !problems.is_empty() {
        return Err(CheckpointError::Mismatch { path: path.to_owned(), problems });
    }
    let mut rest = loaded.into_iter();
    module.visit_mut(|_, tensor| {
        if let Some(value) = rest.next() {
            *tensor = value;
        }
    });
    Ok(metadata)
}

/// All tensors of a checkpoint in the order of their names, and its metadata: what [`save_tensors`] saved.
///
/// # Errors
/// If the file cannot be read, is truncated or foreign; or with all tensors of another type than `T`, or with infinite
/// or NaN numbers.
pub fn load_tensors<T: Scalar>(path: impl AsRef<Path>) -> Result<(NamedTensors<T>, Metadata), CheckpointError> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let (file, metadata) = parse(path, &bytes)?;
    let (mut problems, mut tensors) = (Vec::new(), Vec::new());
    for (name, view) in file.iter() {
        match format::decode(&view) {
            Ok(value) => {
                problems.extend(finite_tensor(name, &value).err().map(Problem::NonFinite));
                tensors.push((name.to_owned(), value));
            }
            Err(found) => problems.push(Problem::Type { name: name.to_owned(), found, expected: T::NAME }),
        }
    }
    if !problems.is_empty() {
        return Err(CheckpointError::Mismatch { path: path.to_owned(), problems });
    }
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok((tensors, metadata))
}

/// The metadata alone: what module to make before its parameters are loaded.
///
/// # Errors
/// If the file cannot be read, is truncated or foreign.
pub fn metadata(path: impl AsRef<Path>) -> Result<Metadata, CheckpointError> {
    let path = path.as_ref();
    let bytes = read(path)?;
    Ok(parse(path, &bytes)?.1)
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|source| CheckpointError::Read { path: path.to_owned(), source })
}

/// The tensors and the user's metadata of a file that [`save`] wrote.
fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<(SafeTensors<'a>, Metadata), CheckpointError> {
    let malformed = |e: safetensors::SafeTensorError| CheckpointError::Malformed {
        path: path.to_owned(),
        bytes: bytes.len(),
        reason: e.to_string(),
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
    let mut metadata: Metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    match metadata.remove(FORMAT_KEY) {
        Some(version) if version == FORMAT => {}
        found => return Err(CheckpointError::Foreign { path: path.to_owned(), found, expected: FORMAT }),
    }
    Ok((SafeTensors::deserialize(bytes).map_err(malformed)?, metadata))
}
