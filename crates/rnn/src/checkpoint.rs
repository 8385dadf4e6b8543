//! Modules on disk: safetensors files with one tensor for each dotted name.
//!
//! A file is written beside its place and renamed when it is whole, so a failed save loses nothing. Loading checks every
//! name, type and shape first and says all that is wrong at once; a module is changed only if nothing is.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rewind_autograd::{Parameters, Scalar, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use thiserror::Error;

/// Why a module could not be saved or loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `"read"` or `"write"`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The file is cut short, or no safetensors file at all.
    #[error("{} is no whole safetensors file: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The file holds another module.
    #[error("{} does not fit the module:\n  {}", path.display(), problems.join("\n  "))]
    Misfit {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong, one line each.
        problems: Vec<String>,
    },
}

/// Text that is kept beside the tensors: settings, classes, the seed.
pub type Metadata = HashMap<String, String>;

fn dtype<T: Scalar>() -> Dtype {
    if T::NAME == "f32" { Dtype::F32 } else { Dtype::F64 }
}

fn to_bytes<T: Scalar>(tensor: &Tensor<T>) -> Vec<u8> {
    let numbers = tensor.to_vec().into_iter().map(T::to_f64);
    match dtype::<T>() {
        // The way through f64 is exact.
        Dtype::F32 => numbers.flat_map(|x| (x as f32).to_le_bytes()).collect(),
        _ => numbers.flat_map(f64::to_le_bytes).collect(),
    }
}

fn from_bytes<T: Scalar>(bytes: &[u8], shape: &[usize]) -> Tensor<T> {
    let numbers = match dtype::<T>() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&b| T::from_f64(f32::from_le_bytes(b).into())).collect(),
        _ => bytes.as_chunks().0.iter().map(|&b| T::from_f64(f64::from_le_bytes(b))).collect(),
    };
    Tensor::from_vec(numbers, shape)
}

/// Writes every parameter of `module` under its dotted name to `path`, with `metadata` beside.
///
/// # Errors
/// If the file cannot be written; one that was there before is still whole then.
pub fn save<T: Scalar, M>(path: impl AsRef<Path>, module: &M, metadata: &Metadata) -> Result<(), CheckpointError>
where
    M: Parameters<Tensor<T>>,
{
    let path = path.as_ref();
    let mut tensors = Vec::new();
    module.visit(|name, tensor| tensors.push((name.to_owned(), tensor.shape().to_vec(), to_bytes(tensor))));
    let failed = |source| CheckpointError::Io { action: "write", path: path.to_owned(), source };
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(dtype::<T>(), shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| failed(io::Error::other(e)))?;
    let bytes = serialize(views, Some(metadata.clone())).map_err(|e| failed(io::Error::other(e)))?;
    write_whole(path, &bytes).map_err(failed)
}

/// Writes beside `path` and renames.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    let beside = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        // What is left of a failed write is of no use; that it could not be removed is not the news.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Reads the parameters of `module` from `path`, and gives back the metadata.
///
/// # Errors
/// If the file cannot be read, is cut short or foreign, or does not hold exactly the parameters of `module`: every name
/// that is missing or unexpected, every other type or shape is listed. The module is unchanged then.
pub fn load<T: Scalar, M>(path: impl AsRef<Path>, module: &mut M) -> Result<Metadata, CheckpointError>
where
    M: Parameters<Tensor<T>>,
{
    let path = path.as_ref();
    let bytes = read(path)?;
    let file = parse(path, &bytes)?;
    let mut problems = Vec::new();
    let mut found = HashMap::new();
    module.visit(|name, parameter| match file.tensor(name) {
        Err(_) => problems.push(format!("{name} is missing; expected shape {:?}", parameter.shape())),
        Ok(view) if view.dtype() != dtype::<T>() => {
            problems.push(format!("{name} has type {:?}; expected {:?}", view.dtype(), dtype::<T>()));
        }
        Ok(view) if view.shape() != parameter.shape() => {
            problems.push(format!("{name} has shape {:?}; expected {:?}", view.shape(), parameter.shape()));
        }
        Ok(view) => {
            found.insert(name.to_owned(), from_bytes::<T>(view.data(), view.shape()));
        }
    });
    let names = module.names();
    let mut unexpected: Vec<_> = file.names().into_iter().filter(|name| !names.iter().any(|n| n == name)).collect();
    unexpected.sort_unstable();
    problems.extend(unexpected.into_iter().map(|name| format!("{name} is not expected")));
    if !problems.is_empty() {
        return Err(CheckpointError::Misfit { path: path.to_owned(), problems });
    }
    module.visit_mut(|name, parameter| {
        if let Some(tensor) = found.remove(name) {
            *parameter = tensor;
        }
    });
    metadata_of(path, &bytes)
}

/// Reads only the metadata of a checkpoint: what module to make before its parameters are loaded.
///
/// # Errors
/// If the file cannot be read, is cut short or foreign.
pub fn metadata(path: impl AsRef<Path>) -> Result<Metadata, CheckpointError> {
    let path = path.as_ref();
    let bytes = read(path)?;
    parse(path, &bytes)?;
    metadata_of(path, &bytes)
}

fn read(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|source| CheckpointError::Io { action: "read", path: path.to_owned(), source })
}

fn foreign(path: &Path, reason: impl ToString) -> CheckpointError {
    CheckpointError::Foreign { path: path.to_owned(), reason: reason.to_string() }
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, CheckpointError> {
    SafeTensors::deserialize(bytes).map_err(|e| foreign(path, e))
}

fn metadata_of(path: &Path, bytes: &[u8]) -> Result<Metadata, CheckpointError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| foreign(path, e))?;
    Ok(header.metadata().clone().unwrap_or_default())
}
