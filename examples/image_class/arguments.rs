//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use rewind_examples::arguments::{positive, up_to};
use rewind_examples::{CellKind, RunArguments, Task};

use crate::idx::labels_of;

/// The most units: a perceptron of this size for images of 28 by 28 pixels has 3 million weights.
pub(crate) const MAX_HIDDEN: u64 = 4096;

/// What reads an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelKind {
    /// All pixels at once, through one hidden layer.
    Perceptron,
    /// Row by row, by a basic recurrent network.
    Tanh,
    /// Row by row, by an LSTM.
    Lstm,
    /// Row by row, by a GRU.
    Gru,
}

impl ModelKind {
    /// The name on the command line, in results and in saved files.
    pub(crate) fn name(self) -> &'static str {
        self.cell().map_or("perceptron", CellKind::name)
    }

    /// The cell, if there is one.
    pub(crate) fn cell(self) -> Option<CellKind> {
        match self {
            ModelKind::Perceptron => None,
            ModelKind::Tanh => Some(CellKind::Tanh),
            ModelKind::Lstm => Some(CellKind::Lstm),
            ModelKind::Gru => Some(CellKind::Gru),
        }
    }
}

/// Classifies images: a perceptron sees all pixels at once, an LSTM reads row by row. The baseline compares an image with
/// the mean of each class.
///
/// Without --data it draws digits, 3000 to train on and 1000 to test on. With --data it reads PNG files from one folder a
/// class, or a file of images in MNIST's format (IDX, also compressed: .gz), whose labels lie beside it; without --test it
/// tests on a fifth of them. A model that is loaded is tested on the test part of its own run, or on the images of --data,
/// --test or --seed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The model; perceptron and lstm by default.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) model: Option<ModelKind>,
    /// Units of the hidden layer or of the cell; 128 by default with --data, 64 without.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_HIDDEN), conflicts_with = "load")]
    pub(crate) hidden: Option<usize>,
    /// Images in a batch; 64 by default with --data, 32 without.
    #[arg(long, value_name = "N", value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) batch: Option<usize>,
    /// The highest learning rate.
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with = "load")]
    pub(crate) rate: Option<f64>,
    /// Classify these PNG files with a saved model: print the most probable class of each.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "load", conflicts_with_all = ["data", "test", "seed", "write"])]
    pub(crate) classify: Vec<PathBuf>,
    /// Write the drawn digits as PNG files into this folder, which must be new or empty: train and test, one folder a class
    /// in each, as --data and --test read them.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "test", "load"])]
    pub(crate) write: Option<PathBuf>,
}

impl Task for Arguments {
    const NAME: &'static str = "image_class";
    const NO_SETTINGS: &'static [&'static str] = &["--write"];

    fn run(&self) -> &RunArguments {
        &self.run
    }

    fn beside(path: &Path) -> Option<PathBuf> {
        labels_of(path).ok()
    }
}
