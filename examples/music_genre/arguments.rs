//! The command line.

use std::path::PathBuf;

use clap::{Parser, builder::RangedU64ValueParser};

use crate::model::{CellKind, ReadOut};
use crate::score::Encoding;

/// Tells the genre of scores by their notes: recurrent networks beside a baseline that only counts pitch classes.
///
/// Without --data it composes 500 scores in three styles, trains on 400 and tests on 100. With --data it reads MIDI files
/// from one folder a class.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Train on real scores: a folder with one folder of MIDI files for each class.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Test on these scores; without it, on a fifth of those of --data.
    #[arg(long, value_name = "DIR")]
    pub(crate) test: Option<PathBuf>,
    /// The class folders to read, separated by commas; without it, all of them.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub(crate) classes: Option<Vec<String>>,
    /// The cell; without it, all three are trained.
    #[arg(long, value_enum)]
    pub(crate) cell: Option<CellKind>,
    /// Units of the cell.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one())]
    pub(crate) hidden: usize,
    /// Times that training goes through the scores.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) epochs: Option<usize>,
    /// What all random choices follow from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Threads; they change no figure.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one())]
    pub(crate) threads: usize,
    /// Longer scores are cut into excerpts of at most this many sixteenth notes.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub(crate) max_steps: Option<usize>,
    /// What the network is told about a time step; `detailed` by default with --data, `pitch-classes` without.
    #[arg(long, value_enum)]
    pub(crate) input: Option<Encoding>,
    /// What the answer is read from; `mean` by default with --data, `last` without.
    #[arg(long, value_enum)]
    pub(crate) read_out: Option<ReadOut>,
    /// Save the trained network (one cell only).
    #[arg(long, value_name = "FILE", requires = "cell", conflicts_with = "load")]
    pub(crate) save: Option<PathBuf>,
    /// Load a network that was saved, and test it without training.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cell", "epochs", "input", "read_out", "hidden"])]
    pub(crate) load: Option<PathBuf>,
    /// Where the pictures go.
    #[arg(long, value_name = "DIR", default_value = "target/music_genre")]
    pub(crate) out: PathBuf,
    /// Write the composed scores as MIDI files to this folder, to listen to.
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pub(crate) write_midi: Option<PathBuf>,
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}
