//! A trained network in a file: its parameters and settings.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_examples::memory::expect_parameters;
use rewind_rnn::file::{self, Metadata};

use crate::arguments::MAX_HIDDEN;
use crate::model::{Classifier, Design, ReadOut};
use crate::score::Encoding;
use crate::scores::Source;
use rewind_examples::CellKind;

/// A network and how it is used.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) model: Classifier<Tensor<f32>>,
    /// The names of the C classes.
    pub(crate) classes: Vec<String>,
    /// The scores that it was trained and tested on; files of earlier versions do not record them.
    pub(crate) source: Option<Source>,
}

/// The name on the command line, which [`Saved::load`] reads again.
fn name(setting: impl ValueEnum) -> String {
    setting.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

impl Saved {
    /// The settings, as a file has them.
    pub(crate) fn metadata(&self) -> Metadata {
        let Design { kind, hidden, encoding, max_steps, read_out, .. } = self.model.design;
        let mut metadata: Metadata = [
            ("cell", name(kind)),
            ("classes", self.classes.join(",")),
            ("encoding", name(encoding)),
            ("hidden", hidden.to_string()),
            ("inputs", encoding.width().to_string()),
            ("max_steps", max_steps.to_string()),
            ("read_out", name(read_out)),
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
        metadata
    }

    /// Checks that the network was trained for `classes`.
    pub(crate) fn expect_classes(&self, path: &Path, classes: &[String]) -> Result<(), String> {
        if self.classes == classes {
            return Ok(());
        }
        let [saved, given] = [&self.classes[..], classes].map(|classes| classes.join(","));
        Err(format!("{} tells {saved} apart; the scores are {given}", path.display()))
    }

    /// Reads a network.
    pub(crate) fn load(path: &Path) -> Result<Saved, Box<dyn Error>> {
        let metadata = file::metadata(path)?;
        let wrong = |key: &str| {
            let found = metadata.get(key).map_or("missing".to_owned(), |value| format!("\"{value}\""));
            format!("{} was not saved by this program: its setting \"{key}\" is {found}", path.display())
        };
        let text = |key: &str| metadata.get(key).ok_or_else(|| wrong(key));
        let number = |key: &str, most: u64| {
            text(key)?.parse().ok().filter(|&n| 0 < n && n as u64 <= most).ok_or_else(|| wrong(key))
        };
        let classes: Vec<_> = text("classes")?.split(',').map(str::to_owned).collect();
        let folder = |key| metadata.get(key).map(PathBuf::from);
        let seed = metadata.get("seed").map(|seed| seed.parse().map_err(|_| wrong("seed"))).transpose()?;
        let source = seed.map(|seed| Source { data: folder("data"), test: folder("test"), seed });
        let kind = CellKind::from_str(text("cell")?, false).map_err(|_| wrong("cell"))?;
        let encoding = Encoding::from_str(text("encoding")?, false).map_err(|_| wrong("encoding"))?;
        let read_out = ReadOut::from_str(text("read_out")?, false).map_err(|_| wrong("read_out"))?;
        let (hidden, max_steps) = (number("hidden", MAX_HIDDEN)?, number("max_steps", u64::MAX)?);
        let design = Design { kind, hidden, classes: classes.len(), encoding, max_steps, read_out };
        expect_parameters(path, design.parameters())?;
        // Every parameter is replaced below: the seed does not matter.
        let mut model = Classifier::new(design, 1.0, &mut ChaCha8Rng::seed_from_u64(0));
        file::load(path, &mut model)?;
        Ok(Saved { model, classes, source })
    }
}
