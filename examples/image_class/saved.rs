//! A trained model in a file: its parameters and settings.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_examples::image::{MAX_SIDE, Size};
use rewind_examples::memory::expect_parameters;
use rewind_rnn::file::{self, Metadata};

use crate::arguments::{MAX_HIDDEN, ModelKind};
use crate::dataset::Source;
use crate::model::{Classifier, Design};

/// A model and how it is used.
#[derive(Clone, Debug)]
pub(crate) struct Trained {
    pub(crate) model: Classifier<Tensor<f32>>,
    /// The names of the C classes.
    pub(crate) classes: Vec<String>,
    /// The images that it was trained and tested on.
    pub(crate) source: Source,
}

impl Trained {
    /// The settings, as a file has them.
    pub(crate) fn metadata(&self) -> Metadata {
        let Design { kind, hidden, size, .. } = self.model.design;
        let mut metadata: Metadata = [
            ("kind", kind.name().to_owned()),
            ("hidden", hidden.to_string()),
            ("width", size.width.to_string()),
            ("height", size.height.to_string()),
            // No name of a class has a comma.
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

    /// Reads a model.
    pub(crate) fn load(path: &Path) -> Result<Trained, Box<dyn Error>> {
        let metadata = file::metadata(path)?;
        let wrong = |key: &str| {
            let found = metadata.get(key).map_or("missing".to_owned(), |value| format!("{value:?}"));
            format!("{} was not saved by this program: its setting \"{key}\" is {found}", path.display())
        };
        let text = |key: &str| metadata.get(key).ok_or_else(|| wrong(key));
        let number = |key: &str, most: usize| {
            text(key)?.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| wrong(key))
        };
        let classes = || Ok::<_, String>(text("classes")?.split(','));
        let design = Design {
            kind: ModelKind::from_str(text("kind")?, false).map_err(|_| wrong("kind"))?,
            hidden: number("hidden", MAX_HIDDEN as usize)?,
            classes: classes()?.count(),
            size: Size { width: number("width", MAX_SIDE)?, height: number("height", MAX_SIDE)? },
        };
        let [data, test] = ["data", "test"].map(|key| metadata.get(key).map(PathBuf::from));
        let source = Source { data, test, seed: text("seed")?.parse().map_err(|_| wrong("seed"))? };
        expect_parameters(path, design.parameter_count())?;
        // Every parameter is replaced below: the seed does not matter.
        let mut model = Classifier::new(design, &mut ChaCha8Rng::seed_from_u64(0));
        file::load(path, &mut model)?;
        let classes = classes()?.map(str::to_owned).collect();
        Ok(Trained { model, classes, source })
    }
}
