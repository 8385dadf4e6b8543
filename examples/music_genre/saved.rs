//! A trained network in a file: its parameters and settings.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_rnn::checkpoint::{self, CheckpointError, Metadata};

use crate::arguments::MAX_HIDDEN;
use crate::dataset::Dataset;
use crate::memory::{MemoryError, require_for_testing};
use crate::model::{CellKind, Classifier, ReadOut, Sizes};
use crate::score::Encoding;
use crate::scores::Source;

/// A network and how it is used.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) model: Classifier<Tensor<f32>>,
    pub(crate) kind: CellKind,
    pub(crate) encoding: Encoding,
    /// The longest excerpt.
    pub(crate) max_steps: usize,
    /// The names of the C classes.
    pub(crate) classes: Vec<String>,
    /// What it was trained and tested on; files of earlier versions do not say.
    pub(crate) source: Option<Source>,
}

/// The name on the command line, which [`Saved::load`] reads again.
fn name(setting: impl ValueEnum) -> String {
    setting.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

/// Why a file is no network for these scores.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A setting that is missing or unknown.
    #[error("{file} was not saved by this program: its setting \"{key}\" is {found}")]
    Setting { file: String, key: &'static str, found: String },
    /// Other classes.
    #[error("{file} tells {saved} apart; the scores are {given}")]
    Classes { file: String, saved: String, given: String },
}

impl Saved {
    /// Writes parameters and settings.
    pub(crate) fn save(&self, path: &Path) -> Result<(), SavedError> {
        let [inputs, hidden] = [self.encoding.width(), self.model.readout.weight.shape()[0]].map(|n| n.to_string());
        let mut metadata: Metadata = [
            ("cell", name(self.kind)),
            ("classes", self.classes.join(",")),
            ("encoding", name(self.encoding)),
            ("hidden", hidden),
            ("inputs", inputs),
            ("max_steps", self.max_steps.to_string()),
            ("read_out", name(self.model.read_out)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        if let Some(source) = &self.source {
            let Source { data, test, seed } = source.absolute();
            metadata.insert("seed".to_owned(), seed.to_string());
            for (key, folder) in [("data", data), ("test", test)] {
                metadata.extend(folder.map(|folder| (key.to_owned(), folder.display().to_string())));
            }
        }
        Ok(checkpoint::save(path, &self.model, &metadata)?)
    }

    /// Checks that there is memory to test it.
    pub(crate) fn require_memory(&self, data: &Dataset, threads: usize) -> Result<(), MemoryError> {
        let hidden = self.model.readout.weight.shape()[0];
        let sizes = Sizes { inputs: self.encoding.width(), hidden, classes: self.classes.len() };
        require_for_testing(self.kind, sizes, self.model.read_out, data, self.max_steps, threads)
    }

    /// Checks that the network was trained for `classes`.
    pub(crate) fn expect_classes(&self, path: &Path, classes: &[String]) -> Result<(), SavedError> {
        if self.classes == classes {
            return Ok(());
        }
        let [saved, given] = [&self.classes[..], classes].map(|classes| classes.join(","));
        Err(SavedError::Classes { file: path.display().to_string(), saved, given })
    }

    /// Reads a network.
    pub(crate) fn load(path: &Path) -> Result<Saved, SavedError> {
        let metadata = checkpoint::metadata(path)?;
        let wrong = |key: &'static str| SavedError::Setting {
            file: path.display().to_string(),
            key,
            found: metadata.get(key).map_or("missing".to_owned(), |value| format!("\"{value}\"")),
        };
        let text = |key: &'static str| metadata.get(key).ok_or_else(|| wrong(key));
        let number = |key: &'static str| text(key)?.parse().ok().filter(|&n: &usize| n > 0).ok_or_else(|| wrong(key));
        let classes: Vec<_> = text("classes")?.split(',').map(str::to_owned).collect();
        let folder = |key| metadata.get(key).map(PathBuf::from);
        let source = match metadata.get("seed") {
            Some(seed) => {
                let seed = seed.parse().map_err(|_| wrong("seed"))?;
                Some(Source { data: folder("data"), test: folder("test"), seed })
            }
            None => None,
        };
        let kind = CellKind::from_str(text("cell")?, false).map_err(|_| wrong("cell"))?;
        let encoding = Encoding::from_str(text("encoding")?, false).map_err(|_| wrong("encoding"))?;
        let read_out = ReadOut::from_str(text("read_out")?, false).map_err(|_| wrong("read_out"))?;
        let hidden =
            number("hidden").and_then(|n| if n as u64 <= MAX_HIDDEN { Ok(n) } else { Err(wrong("hidden")) })?;
        let sizes = Sizes { inputs: encoding.width(), hidden, classes: classes.len() };
        // Every parameter is about to be replaced: the seed does not matter.
        let mut model = Classifier::new(kind, sizes, 1.0, read_out, &mut ChaCha8Rng::seed_from_u64(0));
        checkpoint::load(path, &mut model)?;
        Ok(Saved { model, kind, encoding, max_steps: number("max_steps")?, classes, source })
    }
}
