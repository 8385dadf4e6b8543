//! A trained model in a file: its parameters, languages and settings.

use std::error::Error;
use std::path::Path;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_examples::labelled::Source;
use rewind_examples::memory::expect_parameters;
use rewind_rnn::file::{self, Metadata};

use crate::arguments::{MAX_SIZE, ModelKind};
use crate::model::{Design, Translator};
use crate::words::Language;

/// A model and how it is used.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) model: Translator<Tensor<f32>>,
    /// The language that it reads and the one that it writes.
    pub(crate) languages: [Language; 2],
    /// The sentences that it was trained and tested on.
    pub(crate) source: Source,
}

impl Saved {
    /// The settings, as a file has them.
    pub(crate) fn metadata(&self) -> Metadata {
        let Design { embedding, hidden, dropout, .. } = self.model.design;
        let mut metadata = self.source.metadata();
        let settings = [
            ("kind", self.model.design.name().to_owned()),
            ("embedding", embedding.to_string()),
            ("hidden", hidden.to_string()),
            ("dropout", dropout.to_string()),
            ("from", self.languages[0].json()),
            ("to", self.languages[1].json()),
        ];
        metadata.extend(settings.map(|(key, value)| (key.to_owned(), value)));
        metadata
    }

    /// Reads a model.
    pub(crate) fn load(path: &Path) -> Result<Saved, Box<dyn Error>> {
        let metadata = file::metadata(path)?;
        let wrong = |key: &str| {
            let start = |value: &String| format!("{:?}", value.chars().take(60).collect::<String>());
            let found = metadata.get(key).map_or("missing".to_owned(), start);
            format!("{} was not saved by this program: its setting \"{key}\" is {found}", path.display())
        };
        let text = |key: &str| metadata.get(key).ok_or_else(|| wrong(key));
        let size = |key: &str| {
            text(key)?.parse().ok().filter(|&n: &usize| 0 < n && n as u64 <= MAX_SIZE).ok_or_else(|| wrong(key))
        };
        let language = |key: &str| Language::parse(text(key)?).ok_or_else(|| wrong(key));
        let languages = [language("from")?, language("to")?];
        let dropout = text("dropout")?.parse().ok().filter(|rate| (0.0..1.0).contains(rate));
        let design = Design {
            attention: ModelKind::from_str(text("kind")?, false).map_err(|_| wrong("kind"))? == ModelKind::Attention,
            words: languages.each_ref().map(Language::len),
            embedding: size("embedding")?,
            hidden: size("hidden")?,
            dropout: dropout.ok_or_else(|| wrong("dropout"))?,
        };
        let source = Source::of_metadata(&metadata).ok_or_else(|| wrong("seed"))?;
        expect_parameters(path, design.parameters())?;
        // Every parameter is replaced below: the seed does not matter.
        let mut model = Translator::new(design, &mut ChaCha8Rng::seed_from_u64(0));
        file::load(path, &mut model)?;
        Ok(Saved { model, languages, source })
    }
}
