//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use rewind_examples::arguments::{positive, up_to};
use rewind_examples::{CellKind, RunArguments, Task};

/// The most units.
pub(crate) const MAX_HIDDEN: u64 = 4096;

/// What writes the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelKind {
    /// An LSTM that is not told the words that it has written: each is chosen independently of those before.
    Baseline,
    /// A basic recurrent network.
    Tanh,
    /// An LSTM.
    Lstm,
    /// A GRU.
    Gru,
}

impl ModelKind {
    /// The name on the command line, in results and in saved files.
    pub(crate) fn name(self) -> &'static str {
        if self == ModelKind::Baseline { "baseline" } else { self.cell().name() }
    }

    pub(crate) fn cell(self) -> CellKind {
        match self {
            ModelKind::Tanh => CellKind::Tanh,
            ModelKind::Baseline | ModelKind::Lstm => CellKind::Lstm,
            ModelKind::Gru => CellKind::Gru,
        }
    }
}

/// Describes images: an image becomes the first state of a recurrent network, which writes words until its end mark.
///
/// Without --data it draws scenes of coloured shapes, 8000 to train on and 1000 to test on. With --data it reads a folder of
/// PNG files with a table captions.tsv: in each line the name of a file, a tab, and a caption; a file may have several.
/// Without --test it tests on a fifth of the images. An answer counts as right if it is one of the captions of its image. A
/// model that is loaded is tested on the test part of its own run, or on the images of --data, --test or --seed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The model; baseline and lstm by default.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) model: Option<ModelKind>,
    /// Units of the cell.
    #[arg(long, value_name = "N", default_value_t = 96, value_parser = up_to(MAX_HIDDEN), conflicts_with = "load")]
    pub(crate) hidden: usize,
    /// Captions in a batch.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) batch: usize,
    /// The highest learning rate.
    #[arg(long, value_name = "X", default_value_t = 4e-3, value_parser = positive, conflicts_with = "load")]
    pub(crate) rate: f64,
    /// Describe these PNG files with a saved model.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "load", conflicts_with_all = ["data", "test", "seed", "write"])]
    pub(crate) describe: Vec<PathBuf>,
    /// Write the drawn scenes into this folder, which must be new or empty: train and test, as --data and --test read them.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "test", "load"])]
    pub(crate) write: Option<PathBuf>,
}

impl Task for Arguments {
    const NAME: &'static str = "caption";
    const NO_SETTINGS: &'static [&'static str] = &["--write"];

    fn run(&self) -> &RunArguments {
        &self.run
    }
}
