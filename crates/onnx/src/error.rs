//! The error of the crate.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no ONNX file.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_rnn::autograd::Tensor;
/// use rewind_rnn::{Lstm, Recurrent};
///
/// let lstm = Recurrent(Lstm::<Tensor<f32>>::new(3, 5, &mut StdRng::seed_from_u64(1)));
/// let error = rewind_onnx::export(&lstm, 4).err().map(|error| error.to_string());
/// assert_eq!(error.as_deref(), Some("the model reads 3 features a time step; the input of the file was to have 4"));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model declares another number of features than the input of the file has.
    #[error("the model reads {model} features a time step; the input of the file was to have {input}")]
    Width {
        /// What the model declares.
        model: usize,
        /// What was asked for.
        input: usize,
    },
    /// An op, or one of its settings, has no form in ONNX.
    #[error("op `{op}`, recorded at {place}, has no ONNX form: {why}")]
    Op {
        /// The name of the op.
        op: String,
        /// The line that recorded it.
        place: String,
        /// What is missing.
        why: String,
    },
    /// A value does not depend on the input by ops of the tape.
    #[error(
        "the constant of shape {shape:?} recorded at {place} {why}; expected an op on the tape, or the same value for every input"
    )]
    Constant {
        /// Its shape.
        shape: Vec<usize>,
        /// The line that recorded it.
        place: String,
        /// What it depends on.
        why: String,
    },
    /// Time steps are no loop: they differ, or one reads what is not its predecessor's.
    #[error("{place}: {why}; expected time steps that record the same ops and read the step before them")]
    Steps {
        /// The line that recorded what differs.
        place: String,
        /// What differs.
        why: String,
    },
    /// What is recorded depends on the number of time steps or sequences in a way that is not understood.
    #[error("{place}: {why}; expected the same ops for any number of time steps and sequences")]
    Shape {
        /// The line that recorded it.
        place: String,
        /// What depends on it.
        why: String,
    },
    /// The file could not be written; what was at its path is still there.
    #[error("{}: {source}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The message, so that a `main` that returns the error shows it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The result of what can fail.
pub type Result<T> = std::result::Result<T, Error>;
