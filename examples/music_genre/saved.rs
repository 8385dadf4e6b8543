//! A trained network on disk: its parameters, and the settings without which they mean nothing.

use std::path::Path;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_rnn::checkpoint::{self, CheckpointError, Metadata};

use crate::model::{CellKind, Classifier, ReadOut, Sizes};
use crate::score::Encoding;

/// A network and how it is used.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) model: Classifier<Tensor<f32>>,
    pub(crate) kind: CellKind,
    pub(crate) encoding: Encoding,
    /// The longest excerpt.
    pub(crate) max_steps: usize,
}

/// Why a file is no network for these scores.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A setting that is missing or that nobody knows.
    #[error("{file} was not saved by this program: its setting \"{key}\" is {found}")]
    Setting { file: String, key: &'static str, found: String },
    /// Other classes.
    #[error("{file} tells {saved} apart; the scores are {given}")]
    Classes { file: String, saved: String, given: String },
}

impl Saved {
    /// Writes parameters and settings.
    pub(crate) fn save(&self, path: &Path, classes: &[String]) -> Result<(), SavedError> {
        let [inputs, hidden] = [self.encoding.width(), self.model.readout.weight.shape()[0]].map(|n| n.to_string());
        let encoding = self.encoding.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
        let metadata: Metadata = [
            ("cell", self.kind.name().to_owned()),
            ("classes", classes.join(",")),
            ("encoding", encoding),
            ("hidden", hidden),
            ("inputs", inputs),
            ("max_steps", self.max_steps.to_string()),
            ("read_out", self.model.read_out.name().to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        Ok(checkpoint::save(path, &self.model, &metadata)?)
    }

    /// Reads a network that tells `classes` apart.
    pub(crate) fn load(path: &Path, classes: &[String]) -> Result<Saved, SavedError> {
        let metadata = checkpoint::metadata(path)?;
        let file = || path.display().to_string();
        let wrong = |key: &'static str| SavedError::Setting {
            file: file(),
            key,
            found: metadata.get(key).map_or("missing".to_owned(), |value| format!("\"{value}\"")),
        };
        let text = |key: &'static str| metadata.get(key).ok_or_else(|| wrong(key));
        let number = |key: &'static str| text(key)?.parse().ok().filter(|&n: &usize| n > 0).ok_or_else(|| wrong(key));
        let (saved, given) = (text("classes")?.clone(), classes.join(","));
        if saved != given {
            return Err(SavedError::Classes { file: file(), saved, given });
        }
        let kind = CellKind::from_str(text("cell")?, false).map_err(|_| wrong("cell"))?;
        let encoding = Encoding::from_str(text("encoding")?, false).map_err(|_| wrong("encoding"))?;
        let read_out = ReadOut::from_str(text("read_out")?, false).map_err(|_| wrong("read_out"))?;
        let sizes = Sizes { inputs: encoding.width(), hidden: number("hidden")?, classes: classes.len() };
        // Every parameter is about to be replaced: the seed does not matter.
        let mut model = Classifier::new(kind, sizes, 1.0, read_out, &mut ChaCha8Rng::seed_from_u64(0));
        checkpoint::load(path, &mut model)?;
        Ok(Saved { model, kind, encoding, max_steps: number("max_steps")? })
    }
}
