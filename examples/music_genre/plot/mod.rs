//! The pictures of the example, as PNG files: [`learning_curves`], [`gradient_norms`], [`confusion_matrix`] and
//! [`probabilities()`].
//!
//! The font is built in, so that a machine without fonts draws the same pictures. The colours are those of Okabe and
//! Ito (2008), which people with any colour vision can tell apart; the order of the models gives the colours, so that a
//! model has the same one in every picture.

mod canvas;
mod confusion;
mod curves;
mod gradients;
mod probabilities;
mod surface;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::files::WriteError;

pub(crate) use confusion::{Confusion, confusion_matrix};
pub(crate) use curves::{LearningCurve, learning_curves};
pub(crate) use gradients::{GradientNorms, gradient_norms};
pub(crate) use probabilities::probabilities;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlotError {
    /// The file could not be written.
    #[error(transparent)]
    Unwritable(#[from] WriteError),
    /// The drawing library refused.
    #[error("cannot draw {}: {reason}", path.display())]
    Drawing {
        /// The picture.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
}
