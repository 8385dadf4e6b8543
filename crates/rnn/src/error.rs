//! The one error of the crate.

pub(crate) mod problem;

use std::error::Error as StdError;
use std::{fmt, io};

use crate::nonfinite::NonFinite;

pub use problem::Problem;

/// What a fallible function of this crate returns.
pub type Result<R> = std::result::Result<R, Error>;

/// Why something was not done; what it would have changed is as it was. [`kind`](Error::kind) is what a program acts on; the text says
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
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
}

/// What kind of thing went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is out of its range: a learning rate, the limit of a norm, the size of a batch.
    Setting,
    /// Names, shapes, lengths or counts of what was given do not fit each other.
    Shape,
    /// There is nothing to compute with: no sequence, no time step, no target that counts.
    Empty,
    /// An element of a gradient, of a sequence or of saved moments is infinite or NaN.
    NonFinite(NonFinite),
    /// A target is not a class, not in the range that its loss needs, or not finite.
    Target,
    /// An index is not that of a sequence.
    Index,
    /// There is no memory for a padded batch.
    Memory,
    /// Saved moments are not those of this optimiser.
    Moments,
    /// The system starts no more threads.
    Threads(Box<dyn StdError + Send + Sync>),
    /// A file could not be read.
    Read(io::Error),
    /// A file could not be written. What was there before is still there.
    Write(io::Error),
    /// A file is truncated, or no safetensors file.
    Malformed,
    /// A safetensors file of another program, or of another version of the format. Its layouts may differ where its shapes do not.
    Foreign,
    /// A file does not fit the module that is to be loaded: all that is wrong with it, first the leaves of the module in their order,
    /// then what is unexpected.
    Mismatch(Vec<Problem>),
    /// A module cannot be saved: all that is wrong with it.
    Refused(Vec<Problem>),
    /// A metadata key that this crate keeps for itself.
    ReservedKey,
    /// A file holds no optimiser to go on with, or that of another kind.
    Optimizer,
}

impl Error {
    /// The kind of the error.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// An error of an optimiser or a loss of your own. The message says what was wrong, where, and what was expected.
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

    /// An element of `what`, the gradient of a leaf, say, is infinite or NaN.
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

/// Kind and message.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&self.0.kind).field(&self.0.message).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            ErrorKind::Read(source) | ErrorKind::Write(source) => Some(source),
            ErrorKind::Threads(source) => Some(&**source),
            ErrorKind::NonFinite(at) => Some(at),
            _ => None,
        }
    }
}
