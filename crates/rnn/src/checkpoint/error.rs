//! What can be wrong with a checkpoint, in words.

use std::fmt;
use std::path::PathBuf;

use crate::NonFinite;
use crate::optim::OptimError;

const FOREIGN: &str = "not a checkpoint: its metadata has no `rewind.format`; `checkpoint::TensorFile` reads the files \
                       of other programs, `torch::FromTorch` the layers of PyTorch";

/// Why a module was not saved or loaded. Neither it nor an older file has been changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file could not be read.
    #[error("checkpoint {path:?}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file could not be written. What was there before is still there.
    #[error("checkpoint {path:?}: cannot be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is no safetensors file, or is truncated.
    #[error(
        "checkpoint {path:?}: {bytes} bytes that are no whole safetensors file ({reason}); expected 8 bytes of header \
         length, a JSON header, and exactly the numbers it lists"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: usize,
        /// Where reading stopped.
        reason: String,
    },
    /// A safetensors file that was written by another program, or by another version. Its layouts may differ where its
    /// shapes do not.
    #[error(
        "checkpoint {path:?}: a safetensors file, but {}",
        .found.as_ref().map_or(FOREIGN.to_owned(), |v| format!("of format version {v:?}; expected version {expected}"))
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The format version it names, if any.
        found: Option<String>,
        /// The format version that can be read.
        expected: &'static str,
    },
    /// The file does not fit the module: everything that is wrong with it.
    #[error("checkpoint {path:?}: does not fit, {} wrong:{}", count(.problems), List(.problems))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// All problems: those of the module's leaves in their order, then what is unexpected.
        problems: Vec<Problem>,
    },
    /// The module cannot be saved: everything that is wrong with it.
    #[error("checkpoint {path:?}: not saved, {} wrong:{}", count(.problems), List(.problems))]
    Refused {
        /// The file.
        path: PathBuf,
        /// All problems.
        problems: Vec<Problem>,
    },
    /// The file holds no optimiser to go on with.
    #[error(
        "checkpoint {path:?}: holds no optimiser to go on with, its metadata key `{key}` is {}; expected a file of \
         `checkpoint::save_training`",
        .found.as_ref().map_or("missing".to_owned(), |value| format!("{value:?}"))
    )]
    NoTraining {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What stands there, if anything.
        found: Option<String>,
    },
    /// The run was saved with another kind of optimiser. Their moments may have the same names and mean something else.
    #[error("checkpoint {path:?}: holds the state of {found}; expected that of {expected}")]
    OtherOptimizer {
        /// The file.
        path: PathBuf,
        /// The kind that saved it.
        found: String,
        /// The kind that is to go on.
        expected: String,
    },
    /// The optimiser in the file is of another kind.
    #[error("checkpoint {path:?}: {source}")]
    Optimizer {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<OptimError>,
    },
    /// A metadata key that this crate keeps for itself.
    #[error("checkpoint {path:?}: metadata key `{key}` is taken; expected one that does not begin with `rewind.`")]
    ReservedKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
}

/// One thing that is wrong with one tensor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// The module has a leaf that the file lacks.
    Missing {
        /// Its dotted name.
        name: String,
        /// The shape it should have.
        shape: Vec<usize>,
    },
    /// The file has a tensor that the module lacks.
    Unexpected {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor has another shape than the leaf.
    Shape {
        /// Its name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape in the module.
        expected: Vec<usize>,
    },
    /// A foreign file lacks a tensor.
    NotInFile {
        /// Its name.
        name: String,
        /// The names of all tensors that are there.
        others: Vec<String>,
    },
    /// A tensor of a foreign file has a shape that does not belong to the module.
    Layout {
        /// Its name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// What was expected.
        expected: String,
    },
    /// A number lies beyond the range of the type that it was to be converted to.
    Range {
        /// The name of the tensor.
        name: String,
        /// The place within it, one position per axis.
        index: Vec<usize>,
        /// The number.
        value: f64,
        /// That type.
        expected: &'static str,
    },
    /// A tensor has numbers of another type than the leaf.
    Type {
        /// Its name.
        name: String,
        /// The type in the file.
        found: String,
        /// The type in the module.
        expected: &'static str,
    },
    /// A number is infinite or NaN.
    NonFinite(NonFinite),
    /// A name to save under is used twice or cannot be used.
    Name {
        /// The name.
        name: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Missing { name, shape } => write!(f, "`{name}` is missing; expected shape {shape:?}"),
            Problem::Unexpected { name, shape } => write!(f, "`{name}` of shape {shape:?} is not part of the module"),
            Problem::Shape { name, found, expected } => {
                write!(f, "`{name}` has shape {found:?}; expected {expected:?}")
            }
            Problem::NotInFile { name, others } => {
                const SHOWN: usize = 4;
                write!(f, "`{name}` is not in the file, which holds {}", quoted(&others[..others.len().min(SHOWN)]))?;
                if others.len() > SHOWN { write!(f, " and {} more", others.len() - SHOWN) } else { Ok(()) }
            }
            Problem::Layout { name, found, expected } => write!(f, "`{name}` has shape {found:?}; expected {expected}"),
            Problem::Range { name, index, value, expected } => {
                write!(f, "`{name}` is {value:e} at {index:?}; expected a number in the range of {expected}")
            }
            Problem::Type { name, found, expected } => write!(f, "`{name}` holds {found}; expected {expected}"),
            Problem::NonFinite(e) => e.fmt(f),
            Problem::Name { name } => write!(f, "`{name}` is used twice or reserved; expected a name of its own"),
        }
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "no tensor".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn count(problems: &[Problem]) -> String {
    match problems.len() {
        1 => "1 thing".to_owned(),
        n => format!("{n} things"),
    }
}

/// One problem a line.
struct List<'a>(&'a [Problem]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
