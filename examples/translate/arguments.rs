//! The command line.

use clap::{Parser, ValueEnum};
use rewind_examples::arguments::{positive, probability, up_to};
use rewind_examples::{RunArguments, Task};

use crate::words::Unit;

/// The most units and the longest vectors of words.
pub(crate) const MAX_SIZE: u64 = 4096;

/// The decoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelKind {
    /// Looks at all words of the sentence before each word that it writes.
    Attention,
    /// Knows the sentence by one vector.
    Plain,
}

impl ModelKind {
    /// The name on the command line, in results and in saved files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ModelKind::Attention => "attention",
            ModelKind::Plain => "plain",
        }
    }
}

/// Translates sentences: an encoder that reads them from both ends, and a decoder with attention or without; the baseline translates each
/// word by a table.
///
/// Without --data it translates numbers, dates and times in words to digits. With --data it reads a file of lines, each a sentence, a
/// tab and its translation; a sentence may have several. Without --test it tests on a fifth of the sentences. Models that are loaded are
/// tested on the test part of their own run, or on the sentences of --data, --test or --seed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The model; both by default.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) model: Option<ModelKind>,
    /// What translations are made of: characters by default, words with --data.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) unit: Option<Unit>,
    /// Units of each cell; 256 by default with --data, 64 without.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_SIZE), conflicts_with = "load")]
    pub(crate) hidden: Option<usize>,
    /// The length of a word's vector; 256 by default with --data, 32 without.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_SIZE), conflicts_with = "load")]
    pub(crate) embedding: Option<usize>,
    /// Words that fewer sentences have are read as unknown; 2 by default with --data, 1 without.
    #[arg(long, value_name = "N", value_parser = up_to(1_000_000), conflicts_with = "load")]
    pub(crate) least: Option<usize>,
    /// The probability that dropout sets a value to 0, of the encoder's inputs and outputs and before the readout; 0.3 by default with
    /// --data, 0 without.
    #[arg(long, value_name = "P", value_parser = probability, conflicts_with = "load")]
    pub(crate) dropout: Option<f64>,
    /// The share of words that the decoder hears from itself at the end of training, instead of from the right translation; it rises
    /// linearly from 0.
    #[arg(long, value_name = "P", value_parser = probability, conflicts_with = "load")]
    pub(crate) own: Option<f64>,
    /// The probability that the training target of a word leaves to all others.
    #[arg(long, value_name = "P", value_parser = probability, conflicts_with = "load")]
    pub(crate) smoothing: Option<f64>,
    /// Pairs of sentences in a batch.
    #[arg(long, value_name = "N", value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) batch: Option<usize>,
    /// The highest learning rate.
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with = "load")]
    pub(crate) rate: Option<f64>,
    /// Translations that the search follows side by side.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = up_to(100))]
    pub(crate) beam: usize,
    /// Translate this text with a saved model; `-` reads lines from the standard input.
    #[arg(long, value_name = "TEXT", value_parser = some_text, requires = "load", conflicts_with_all = ["data", "test", "seed"])]
    pub(crate) translate: Option<String>,
}

/// A text that is not blank: a value parser.
fn some_text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("expected a text, or -".to_owned()) } else { Ok(text.to_owned()) }
}

impl Task for Arguments {
    const NAME: &'static str = "translate";
    const NO_SETTINGS: &'static [&'static str] = &["--beam"];

    fn run(&self) -> &RunArguments {
        &self.run
    }
}
