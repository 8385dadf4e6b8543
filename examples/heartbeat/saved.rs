//! A trained classifier in a file: its parameters and settings.

use std::error::Error;
use std::path::Path;
use std::str::FromStr;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_examples::labelled::Source;
use rewind_examples::memory::expect_parameters;
use rewind_examples::{CellKind, ReadOut};
use rewind_rnn::file::{self, Metadata};

use crate::arguments::{MAX_HIDDEN, MAX_PER_STEP};
use crate::model::{Classifier, Design};

/// A classifier and how it is used.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) model: Classifier<Tensor<f32>>,
    /// The names of the C classes.
    pub(crate) classes: Vec<String>,
    /// The series that it was trained and tested on.
    pub(crate) source: Source,
}

impl Saved {
    /// The settings, as a file has them.
    pub(crate) fn metadata(&self) -> Metadata {
        let Design { kind, both_ways, per_step, values, hidden, read_out, dropout, .. } = self.model.design;
        let mut metadata = self.source.metadata();
        let settings = [
            ("cell", kind.name().to_owned()),
            ("both_ways", both_ways.to_string()),
            ("per_step", per_step.to_string()),
            ("values", values.to_string()),
            ("hidden", hidden.to_string()),
            ("read_out", read_out.name().to_owned()),
            ("dropout", dropout.to_string()),
            ("classes", serde_json::to_string(&self.classes).expect("a list of texts can be written")),
        ];
        metadata.extend(settings.map(|(key, value)| (key.to_owned(), value)));
        metadata
    }

    /// Reads a classifier.
    pub(crate) fn load(path: &Path) -> Result<Saved, Box<dyn Error>> {
        let metadata = file::metadata(path)?;
        let wrong = |key: &str| {
            let found = metadata.get(key).map_or("missing".to_owned(), |value| format!("{value:?}"));
            format!("{} was not saved by this program: its setting \"{key}\" is {found}", path.display())
        };
        let text = |key: &str| metadata.get(key).ok_or_else(|| wrong(key));
        let size = |key: &str, most: u64| {
            text(key)?.parse().ok().filter(|&n: &usize| 0 < n && n as u64 <= most).ok_or_else(|| wrong(key))
        };
        let classes: Vec<String> = serde_json::from_str(text("classes")?).map_err(|_| wrong("classes"))?;
        if classes.len() < 2 {
            return Err(wrong("classes").into());
        }
        let dropout = text("dropout")?.parse().ok().filter(|rate| (0.0..1.0).contains(rate));
        let design = Design {
            kind: CellKind::from_str(text("cell")?, false).map_err(|_| wrong("cell"))?,
            both_ways: bool::from_str(text("both_ways")?).map_err(|_| wrong("both_ways"))?,
            per_step: size("per_step", MAX_PER_STEP)?,
            values: size("values", u64::MAX)?,
            hidden: size("hidden", MAX_HIDDEN)?,
            classes: classes.len(),
            read_out: ReadOut::from_str(text("read_out")?, false).map_err(|_| wrong("read_out"))?,
            dropout: dropout.ok_or_else(|| wrong("dropout"))?,
        };
        let source = Source::of_metadata(&metadata).ok_or_else(|| wrong("seed"))?;
        expect_parameters(path, design.parameters())?;
        // Every parameter is replaced below: the seed does not matter.
        let mut model = Classifier::new(design, &mut ChaCha8Rng::seed_from_u64(0));
        file::load(path, &mut model)?;
        Ok(Saved { model, classes, source })
    }
}
