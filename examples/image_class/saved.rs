//! A trained classifier in a file: its parameters and settings.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_rnn::file::{self, Metadata};

use crate::arguments::MAX_HIDDEN;
use crate::images::Images;
use crate::model::{Classifier, Design, ModelKind};
use crate::source::Source;

/// A classifier and how it is used.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) model: Classifier<Tensor<f32>>,
    pub(crate) design: Design,
    /// The names of the C classes.
    pub(crate) classes: Vec<String>,
    /// The images that it was trained and tested on.
    pub(crate) source: Source,
}

impl Trained {
    /// The settings, as a file has them.
    pub(crate) fn metadata(&self) -> Metadata {
        let Design { kind, hidden, rows, columns, .. } = self.design;
        let mut metadata: Metadata = [
            ("kind", kind.name().to_owned()),
            ("hidden", hidden.to_string()),
            ("rows", rows.to_string()),
            ("columns", columns.to_string()),
            ("classes", self.classes.join(",")),
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

    /// Reads a classifier.
    pub(crate) fn load(path: &Path) -> Result<Trained, Box<dyn Error>> {
        let metadata = file::metadata(path)?;
        let wrong = |key: &str| {
            let found = metadata.get(key).map_or("missing".to_owned(), |value| format!("{value:?}"));
            format!("{} was not saved by this program: its setting \"{key}\" is {found}", path.display())
        };
        let text = |key: &str| metadata.get(key).ok_or_else(|| wrong(key));
        let number = |key: &str| {
            let number = text(key)?.parse().ok().filter(|&n| 0 < n && n as u64 <= MAX_HIDDEN);
            number.ok_or_else(|| wrong(key))
        };
        let classes: Vec<_> = text("classes")?.split(',').map(str::to_owned).collect();
        let design = Design {
            kind: ModelKind::from_str(text("kind")?, false).map_err(|_| wrong("kind"))?,
            hidden: number("hidden")?,
            rows: number("rows")?,
            columns: number("columns")?,
            classes: classes.len(),
        };
        let [data, test] = ["data", "test"].map(|key| metadata.get(key).map(PathBuf::from));
        let source = Source { data, test, seed: text("seed")?.parse().map_err(|_| wrong("seed"))? };
        // Every parameter is replaced below: the seed does not matter.
        let mut model = design.classifier(&mut ChaCha8Rng::seed_from_u64(0));
        file::load(path, &mut model)?;
        Ok(Trained { model, design, classes, source })
    }

    /// The size and the classes of the images that it reads.
    pub(crate) fn reads(&self) -> Images {
        let Design { rows, columns, .. } = self.design;
        Images { classes: self.classes.clone(), rows, columns, ..Images::default() }
    }
}
