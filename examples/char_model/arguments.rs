//! The command line.

use clap::Parser;
use rewind_examples::arguments::{positive, probability, up_to};
use rewind_examples::{CellKind, RunArguments, Task};

/// An LSTM of this size has 134 million weights.
pub(crate) const MAX_HIDDEN: u64 = 4096;

/// A model of text that predicts every character from all before it: a recurrent network, and a baseline that looks at
/// one character only.
///
/// Without --data it writes a text with nested brackets, quotes and counts. With --data it reads a text file, and without
/// --test it tests on the last tenth of it. A model that is loaded is tested on the test part of its own run, or on the
/// text of --data, --test or --seed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The cell.
    #[arg(long, value_enum, default_value_t = CellKind::Lstm, conflicts_with = "load")]
    pub(crate) cell: CellKind,
    /// Units of the cell; 512 by default with --data, 96 without.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_HIDDEN), conflicts_with = "load")]
    pub(crate) hidden: Option<usize>,
    /// The probability that dropout sets an input of the readout to 0; 0.3 by default with --data, 0 without.
    #[arg(long, value_name = "P", value_parser = probability, conflicts_with = "load")]
    pub(crate) dropout: Option<f64>,
    /// The probability that dropout sets what the cell reads of its own output to 0, with one mask for each stream and epoch
    /// (Gal and Ghahramani 2016). It makes the memory of a GRU fade.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability, conflicts_with = "load")]
    pub(crate) recurrent_dropout: f64,
    /// Streams that the training text is cut into, and read at the same time; 64 by default with --data, 32 without.
    #[arg(long, value_name = "N", value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) streams: Option<usize>,
    /// Characters that the gradient is followed back through, and between two updates.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = up_to(65_536), conflicts_with = "load")]
    pub(crate) window: usize,
    /// Shards of the streams. Each is computed by a thread, or in a process of its own under MPI; more or fewer change the last bits.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) shards: usize,
    /// The highest learning rate.
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with = "load")]
    pub(crate) rate: Option<f64>,
    /// Go on writing from this text. With --load, nothing else is done.
    #[arg(long, value_name = "TEXT")]
    pub(crate) sample: Option<String>,
    /// The characters of a sample.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = up_to(1_000_000))]
    pub(crate) length: usize,
    /// Logits of a sample are divided by this: below 1, likely characters become likelier.
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = positive)]
    pub(crate) temperature: f64,
}

impl Task for Arguments {
    const NAME: &'static str = "char_model";
    const SEED_DIVIDES: bool = false;
    const RANKS: bool = true;
    const NO_SETTINGS: &'static [&'static str] = &["--sample", "--length", "--temperature"];

    fn run(&self) -> &RunArguments {
        &self.run
    }
}
