//! The command line.

use std::path::PathBuf;

use clap::Parser;
use rewind_examples::arguments::up_to;
use rewind_examples::{RunArguments, Task};

use crate::model::ModelKind;

/// The most units of a model.
pub(crate) const MAX_HIDDEN: u64 = 4096;

/// Classifies images: a perceptron that sees all pixels at once, beside an LSTM that reads row after row. A baseline
/// compares with the mean image of each class.
///
/// Without --data it draws 2,500 digits, trains on 2,000 and tests on 500. With --data it reads PNG files from one folder
/// a class, or a file of images in the IDX format, whose labels are in the file beside it that has labels-idx1 in its
/// name instead of images-idx3. Without --test it tests on a fifth of them. A model that is loaded is tested on the test
/// part of its own run, or on the images of --data, --test or --seed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The model; the perceptron and the LSTM by default.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) model: Option<ModelKind>,
    /// Units of the cell, or of the hidden layer of the perceptron.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = up_to(MAX_HIDDEN), conflicts_with = "load")]
    pub(crate) hidden: usize,
}

impl Arguments {
    /// The folder for pictures and tables.
    pub(crate) fn out(&self) -> PathBuf {
        self.run.out("image_class")
    }
}

impl Task for Arguments {
    fn run(&self) -> &RunArguments {
        &self.run
    }
}
