//! The command line.

use std::path::PathBuf;

use clap::{Parser, builder::RangedU64ValueParser};

use crate::midi::MAX_STEPS;
use crate::model::{CellKind, ReadOut};
use crate::score::Encoding;

/// An LSTM of this size has 67 million weights, and a batch takes a minute on two cores.
pub(crate) const MAX_HIDDEN: u64 = 4096;
/// Weeks of training, on any scores.
const MAX_EPOCHS: u64 = 1_000_000;
/// More than the cores of most machines. If the system starts fewer threads, that is a separate error.
const MAX_THREADS: u64 = 256;

/// Classifies scores by genre, from their notes alone: recurrent networks, and a baseline that only counts pitch
/// classes.
///
/// Without --data it composes 500 scores in three styles, trains on 400 and tests on 100. With --data it reads MIDI
/// files from one folder a class, two classes at least.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Train on real scores: a folder with one folder of MIDI files for each class.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Test on these scores; without it, on a fifth of those of --data.
    #[arg(long, value_name = "DIR")]
    pub(crate) test: Option<PathBuf>,
    /// The classes, separated by commas; all by default. Of the composed scores: blues, rock, classical; with --data,
    /// the folders there.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub(crate) classes: Option<Vec<String>>,
    /// The cell; all three by default.
    #[arg(long, value_enum)]
    pub(crate) cell: Option<CellKind>,
    /// Units of the cell, 4096 at most: weights and work grow with the square of it.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = up_to(MAX_HIDDEN))]
    pub(crate) hidden: usize,
    /// Passes over the training scores, a million at most.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_EPOCHS))]
    pub(crate) epochs: Option<usize>,
    /// The seed of all random choices; 1 by default, and with --load that of the saved run.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Threads, 256 at most; they change no result. Training uses two of them, testing all.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(MAX_THREADS))]
    pub(crate) threads: usize,
    /// Longer scores are cut into excerpts of at most this many sixteenth notes; no score has more than 65536.
    #[arg(long, value_name = "N", value_parser = up_to(u64::from(MAX_STEPS)))]
    pub(crate) max_steps: Option<usize>,
    /// The input features of a time step; `detailed` by default with --data, `pitch-classes` without.
    #[arg(long, value_enum)]
    pub(crate) input: Option<Encoding>,
    /// The input of the readout; `mean` by default with --data, `last` without.
    #[arg(long, value_enum)]
    pub(crate) read_out: Option<ReadOut>,
    /// Save the trained network (one cell only).
    #[arg(long, value_name = "FILE", requires = "cell", conflicts_with = "load")]
    pub(crate) save: Option<PathBuf>,
    /// Load a saved network and test it without training: on the test part of its own run, or on the scores of --data,
    /// --test or --seed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cell", "epochs", "input", "read_out", "hidden", "max_steps"])]
    pub(crate) load: Option<PathBuf>,
    /// Classify these MIDI files with a saved network: print the probability of each class, and write a table and a
    /// picture of how it changes over time.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "load", conflicts_with_all = ["data", "test", "seed", "write_midi"])]
    pub(crate) classify: Vec<PathBuf>,
    /// The folder for pictures and tables.
    #[arg(long, value_name = "DIR", default_value = "target/music_genre")]
    pub(crate) out: PathBuf,
    /// Write the composed scores as MIDI files, to listen to: one folder for each class, as --data reads them.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "test"])]
    pub(crate) write_midi: Option<PathBuf>,
}

/// A whole number from 1 to `most`.
fn up_to(most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=most)
}
