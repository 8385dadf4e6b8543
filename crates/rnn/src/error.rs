//! The one error of the crate.

pub(crate) mod problem;

use std::error::Error as StdError;
use std::{fmt, io};

use crate::nonfinite::NonFinite;

pub use problem::Problem;

/// What a fallible function of this crate returns.
pub type Result<R> = std::result::Result<R, Error>;

/// The error of this crate. A function that returns it has changed nothing. Programs match on [`kind`](Error::kind); the message says
/// what was wrong, where, and what was expected.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::{ErrorKind, clip};
///
/// parameters! { struct Pair<P> { a: P, b: P } }
///
/// let mut gradients = Pair { a: Tensor::full(&[1], 30.0), b: Tensor::full(&[1], f64::NAN) };
/// let error = clip::clip_norm(&mut gradients, 5.0).expect_err("a gradient is NaN");
/// assert!(matches!(error.kind(), ErrorKind::NonFinite(at) if at.name == "b"));
/// assert_eq!(error.to_string(), "clip: the gradient of `b` is NaN at [0]; expected finite numbers");
/// assert_eq!(format!("{error:?}"), error.to_string()); // what a `main` that returns it shows
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
}

/// The kind of an [`Error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is out of its range: a learning rate, the limit of a norm, the size of a batch.
    Setting,
    /// Names, shapes, lengths or counts of the arguments do not fit each other.
    Shape,
    /// There is no sequence, no time step, or no target that counts.
    Empty,
    /// An element of a gradient, of a sequence or of saved moments is infinite or NaN.
    NonFinite(NonFinite),
    /// A target is not a class, not in the range that its loss needs, or not finite.
    Target,
    /// The index of a sequence is out of range.
    Index,
    /// There is not enough memory for a padded batch.
    Memory,
    /// Saved moments are not those of this optimiser.
    Moments,
    /// The system cannot start the threads.
    Threads(Box<dyn StdError + Send + Sync>),
    /// MPI cannot be started, or the processes of an MPI job cannot exchange data.
    #[cfg(feature = "mpi")]
    Mpi(ferrompi::Error),
    /// A file could not be read.
    Read(io::Error),
    /// A file could not be written. An old file is unchanged.
    Write(io::Error),
    /// A file is truncated or not a safetensors file.
    Malformed,
    /// The contents of a file are not those that its checksum was computed of: it is damaged, or was edited.
    Checksum,
    /// A safetensors file of another program, or of another version of the format. Its layouts may differ where its shapes do not.
    Foreign,
    /// A file does not fit the module to be loaded: all its problems, first those of the leaves of the module, in their order, then
    /// unexpected tensors.
    Mismatch(Vec<Problem>),
    /// A module cannot be saved: all its problems.
    Refused(Vec<Problem>),
    /// A metadata key is reserved for this crate.
    ReservedKey,
    /// A file holds no optimiser, or one of another kind.
    Optimizer,
    /// A file holds other parts of a run than those to resume, with other settings, or with damaged values.
    Run,
}

impl Error {
    /// The kind of the error.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// An error of a custom optimiser or loss. The message should say what was wrong, where, and what was expected.
    ///
    /// ```
    /// use rewind_rnn::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Setting, "signum: beta is 1.5; expected a number in [0, 1)");
    /// assert!(matches!(error.kind(), ErrorKind::Setting));
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into() }))
    }

    /// An element of `what`, such as the gradient of a leaf, is infinite or NaN.
    pub(crate) fn nonfinite(what: &str, at: NonFinite) -> Self {
        Error::new(ErrorKind::NonFinite(at.clone()), format!("{what} {at}"))
    }

    /// The same error, with `context` before its message.
    pub(crate) fn within(mut self, context: fmt::Arguments<'_>) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// The message, as `Display`: a `main` that returns the error prints it with `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            ErrorKind::Read(source) | ErrorKind::Write(source) => Some(source),
            ErrorKind::Threads(source) => Some(&**source),
            #[cfg(feature = "mpi")]
            ErrorKind::Mpi(source) => Some(source),
            ErrorKind::NonFinite(at) => Some(at),
            _ => None,
        }
    }
}
