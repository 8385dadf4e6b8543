//! The error of the crate.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no page.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_explorer::Sequence;
/// let error = Sequence::new(Tensor::zeros(&[4, 2]), Tensor::zeros(&[3, 1])).unwrap_err();
/// assert_eq!(error.to_string(), "targets have shape [3, 1]; expected [4, O], a target for each of 4 steps");
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A sequence, its targets or the steps of its losses do not fit.
    #[error("{0}")]
    Sequence(String),
    /// A cell does not fit its sequence, or breaks a rule of cells.
    #[error("network `{network}`: {message}")]
    Network {
        /// The title of the network.
        network: String,
        /// What does not fit, and what was expected.
        message: String,
    },
    /// The page could not be written; what was at its path is still there.
    #[error("{}: {source}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The address cannot be had.
    #[error("{address}: {source}")]
    Listen {
        /// The address.
        address: String,
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
