//! A trained network in a file: its parameters and settings.

use std::error::Error;
use std::path::Path;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_examples::CellKind;
use rewind_examples::labelled::Source;
use rewind_examples::memory::expect_parameters;
use rewind_rnn::file::{self, Metadata};

use crate::arguments::{MAX_HIDDEN, MAX_LAYERS};
use crate::model::{Design, Network};
use crate::normal::Normal;

/// A network and what it was trained on.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) network: Network<Tensor<f32>>,
    pub(crate) design: Design,
    pub(crate) normal: Normal,
    pub(crate) source: Source,
    /// The speaker that it was not trained on.
    pub(crate) leave_out: Option<String>,
}

impl Saved {
    /// The settings, as a file has them.
    pub(crate) fn metadata(&self) -> Metadata {
        // The gain concerns initial weights alone.
        let Design { cell, layers, hidden, one_way, dropout, gain: _ } = self.design;
        let mut metadata = self.source.metadata();
        let settings = [
            ("cell", cell.name().to_owned()),
            ("layers", layers.to_string()),
            ("hidden", hidden.to_string()),
            ("one_way", one_way.to_string()),
            ("dropout", dropout.to_string()),
        ];
        metadata.extend(settings.map(|(key, value)| (key.to_owned(), value)));
        metadata.extend(self.normal.metadata());
        metadata.extend(self.leave_out.clone().map(|speaker| ("leave_out".to_owned(), speaker)));
        metadata
    }

    /// Reads a network.
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
        let dropout = text("dropout")?.parse().ok().filter(|rate| (0.0..1.0).contains(rate));
        let design = Design {
            cell: CellKind::from_str(text("cell")?, false).map_err(|_| wrong("cell"))?,
            one_way: text("one_way")?.parse().map_err(|_| wrong("one_way"))?,
            layers: size("layers", MAX_LAYERS)?,
            hidden: size("hidden", MAX_HIDDEN)?,
            dropout: dropout.ok_or_else(|| wrong("dropout"))?,
            gain: 1.0,
        };
        let normal = Normal::of_metadata(&metadata).map_err(wrong)?;
        let source = Source::of_metadata(&metadata).ok_or_else(|| wrong("seed"))?;
        expect_parameters(path, design.parameters() as u64)?;
        // Every parameter is replaced below: the seed does not matter.
        let mut network = Network::new(design, &mut ChaCha8Rng::seed_from_u64(0));
        file::load(path, &mut network)?;
        Ok(Saved { network, design, normal, source, leave_out: metadata.get("leave_out").cloned() })
    }
}
