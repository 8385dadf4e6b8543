//! The command line.

use std::path::PathBuf;

use clap::Parser;
use rewind_examples::arguments::up_to;
use rewind_examples::{RunArguments, Task};

use crate::midi::MAX_STEPS;
use crate::model::ReadOut;
use crate::score::Encoding;
use rewind_examples::CellKind;

/// An LSTM of this size has 67 million weights, and a batch takes a minute on two cores.
pub(crate) const MAX_HIDDEN: u64 = 4096;

/// Classifies scores by genre, from their notes alone: recurrent networks, and a baseline that only counts pitch
/// classes.
///
/// Without --data it composes 500 scores in three styles, trains on 400 and tests on 100. With --data it reads MIDI
/// files from one folder a class, two classes at least, and without --test it tests on a fifth of them. A network that
/// is loaded is tested on the test part of its own run, or on the scores of --data, --test or --seed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The classes, separated by commas; all by default. Of the composed scores: blues, rock, classical; with --data,
    /// the folders there.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub(crate) classes: Option<Vec<String>>,
    /// The cell; all three by default.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) cell: Option<CellKind>,
    /// Units of the cell, 4096 at most: weights and work grow with the square of it.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = up_to(MAX_HIDDEN), conflicts_with = "load")]
    pub(crate) hidden: usize,
    /// Longer scores are cut into excerpts of at most this many sixteenth notes; no score has more than 65536.
    #[arg(long, value_name = "N", value_parser = up_to(u64::from(MAX_STEPS)), conflicts_with = "load")]
    pub(crate) max_steps: Option<usize>,
    /// The input features of a time step; `detailed` by default with --data, `pitch-classes` without.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) input: Option<Encoding>,
    /// The input of the readout; `mean` by default with --data, `last` without.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) read_out: Option<ReadOut>,
    /// Classify these MIDI files with a saved network: print the probability of each class, and write a table and a
    /// picture of how it changes over time.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "load", conflicts_with_all = ["data", "test", "seed", "write_midi"])]
    pub(crate) classify: Vec<PathBuf>,
    /// Write the composed scores as MIDI files, to listen to: one folder for each class, as --data reads them.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "test"])]
    pub(crate) write_midi: Option<PathBuf>,
}

impl Task for Arguments {
    const NAME: &'static str = "music_genre";
    const NO_SETTINGS: &'static [&'static str] = &["--write-midi", "--classify"];

    fn run(&self) -> &RunArguments {
        &self.run
    }
}
