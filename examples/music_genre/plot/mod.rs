//! The pictures of the example, as PNG files: [`learning_curves`], [`gradient_norms`] and [`confusion_matrix`].
//!
//! The font is built in, so that a machine without fonts draws the same pictures. The colours are those of Okabe and
//! Ito (2008), which people with any colour vision can tell apart; the order of the models gives the colours, so that a
//! model has the same one in every picture.

mod canvas;
mod confusion;
mod curves;
mod gradients;
mod surface;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use confusion::{Confusion, confusion_matrix};
pub(crate) use curves::{LearningCurve, learning_curves};
pub(crate) use gradients::{GradientNorms, gradient_norms};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlotError {
    /// The file could not be written.
    #[error("cannot write a picture into the folder {}: {source} (the picture was to be {})", folder.display(), file.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// The file name.
        file: PathBuf,
        /// What the file system answered.
        source: io::Error,
    },
    /// The drawing library refused.
    #[error("cannot draw {}: {reason}", path.display())]
    Drawing {
        /// The picture.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
}

impl PlotError {
    fn unwritable(path: &Path, source: io::Error) -> PlotError {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        PlotError::Unwritable { folder, file: path.file_name().unwrap_or_default().into(), source }
    }
}
