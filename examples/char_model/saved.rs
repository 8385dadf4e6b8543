//! A trained model in a file: its parameters and settings.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_examples::CellKind;
use rewind_examples::memory::expect_parameters;
use rewind_rnn::file::{self, Metadata};

use crate::arguments::MAX_HIDDEN;
use crate::corpus::{Alphabet, Source};
use crate::model::{Design, Model};

/// A model and how it is used.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) model: Model<Tensor<f32>>,
    pub(crate) design: Design,
    pub(crate) alphabet: Alphabet,
    /// The text that it was trained and tested on.
    pub(crate) source: Source,
}

impl Trained {
    /// The settings, as a file has them.
    pub(crate) fn metadata(&self) -> Metadata {
        let Design { kind, hidden, dropout, recurrent_dropout, .. } = self.design;
        let mut metadata: Metadata = [
            ("cell", kind.name().to_owned()),
            ("hidden", hidden.to_string()),
            ("dropout", dropout.to_string()),
            ("recurrent_dropout", recurrent_dropout.to_string()),
            ("alphabet", self.alphabet.text()),
            ("seed", self.source.seed.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        for (key, path) in [("data", &self.source.data), ("test", &self.source.test)] {
            let whole = path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
            metadata.extend(whole.map(|path| (key.to_owned(), path.display().to_string())));
        }
        metadata
    }

    /// Reads a model.
    pub(crate) fn load(path: &Path) -> Result<Trained, Box<dyn Error>> {
        let metadata = file::metadata(path)?;
        let wrong = |key: &str| {
            let found = metadata.get(key).map_or("missing".to_owned(), |value| format!("{value:?}"));
            format!("{} was not saved by this program: its setting \"{key}\" is {found}", path.display())
        };
        let text = |key: &str| metadata.get(key).ok_or_else(|| wrong(key));
        let alphabet = Alphabet::of(text("alphabet")?).ok().filter(|alphabet| alphabet.len() > 0);
        let alphabet = alphabet.ok_or_else(|| wrong("alphabet"))?;
        let hidden = text("hidden")?.parse().ok().filter(|&n| 0 < n && n as u64 <= MAX_HIDDEN);
        let rate = |key| {
            let rate = text(key)?.parse().ok().filter(|rate| (0.0..1.0).contains(rate));
            rate.ok_or_else(|| wrong(key))
        };
        let design = Design {
            kind: CellKind::from_str(text("cell")?, false).map_err(|_| wrong("cell"))?,
            characters: alphabet.len(),
            hidden: hidden.ok_or_else(|| wrong("hidden"))?,
            dropout: rate("dropout")?,
            recurrent_dropout: rate("recurrent_dropout")?,
        };
        let [data, test] = ["data", "test"].map(|key| metadata.get(key).map(PathBuf::from));
        let source = Source { data, test, seed: text("seed")?.parse().map_err(|_| wrong("seed"))? };
        expect_parameters(path, design.parameters())?;
        // Every parameter is replaced below: the seed does not matter.
        let mut model = design.model(&mut ChaCha8Rng::seed_from_u64(0));
        file::load(path, &mut model)?;
        Ok(Trained { model, design, alphabet, source })
    }
}
