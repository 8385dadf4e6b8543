//! The command line.

use clap::Parser;
use rewind_examples::arguments::{positive, probability, up_to};
use rewind_examples::{CellKind, ReadOut, RunArguments, Task};

/// An LSTM of this size has 134 million weights.
pub(crate) const MAX_HIDDEN: u64 = 4096;
/// The longest vectors of words.
pub(crate) const MAX_EMBEDDING: u64 = 4096;

/// Classifies texts: a recurrent network that reads them word by word, and two baselines without memory that count words,
/// or words and pairs of neighbours.
///
/// Without --data it writes opinions whose class depends on negations and on what they negate. With --data it reads a
/// file of lines, each a label, a tab and a text, and without --test it tests on a fifth of them. A network that is
/// loaded is tested on the test part of its own run, or on the texts of --data, --test or --seed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The cell.
    #[arg(long, value_enum, default_value_t = CellKind::Gru, conflicts_with = "load")]
    pub(crate) cell: CellKind,
    /// Units of the cell; 32 by default with --data, 64 without.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_HIDDEN), conflicts_with = "load")]
    pub(crate) hidden: Option<usize>,
    /// The length of a word's vector; 8 by default with --data, 32 without.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_EMBEDDING), conflicts_with = "load")]
    pub(crate) embedding: Option<usize>,
    /// A second cell reads the text from its end: `true` by default with --data.
    #[arg(long, value_name = "BOOL", conflicts_with = "load")]
    pub(crate) both_ways: Option<bool>,
    /// The input of the readout; `mean` by default with --data, `last` without.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) read_out: Option<ReadOut>,
    /// The network gets how often each word, and each pair of neighbours, is in texts of each class, counted in the other
    /// texts of the training part: `true` by default with --data.
    #[arg(long, value_name = "BOOL", conflicts_with = "load")]
    pub(crate) evidence: Option<bool>,
    /// Words and pairs that fewer texts have are read as unknown.
    #[arg(long, value_name = "N", value_parser = up_to(1_000_000), conflicts_with = "load")]
    pub(crate) least: Option<usize>,
    /// The probability that dropout sets an input of the cell or of the readout to 0.
    #[arg(long, value_name = "P", value_parser = probability, conflicts_with = "load")]
    pub(crate) dropout: Option<f64>,
    /// Texts in a batch.
    #[arg(long, value_name = "N", value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) batch: Option<usize>,
    /// The highest learning rate.
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with = "load")]
    pub(crate) rate: Option<f64>,
    /// The decay of AdamW.
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with = "load")]
    pub(crate) decay: Option<f64>,
    /// Classify this text with a saved network, and show the answer after each of its words.
    #[arg(long, value_name = "TEXT", requires = "load", conflicts_with_all = ["data", "test", "seed"])]
    pub(crate) classify: Option<String>,
}

impl Task for Arguments {
    const NAME: &'static str = "text_class";
    fn run(&self) -> &RunArguments {
        &self.run
    }
}
