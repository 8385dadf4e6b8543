//! The command line.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use rewind_examples::arguments::{positive, probability, up_to};
use rewind_examples::{CellKind, RunArguments, Task};

/// Six LSTMs of so many units have 200 million weights.
pub(crate) const MAX_HIDDEN: u64 = 2048;
pub(crate) const MAX_LAYERS: u64 = 16;

/// Hears phones: recurrent layers, by default LSTMs in both directions, read recordings and are trained by CTC, beside a baseline without memory.
///
/// Without --data it makes speech of its own. With --data it reads a folder of WAV files and a table manifest.tsv, and
/// without --test it tests on the rows whose split is not "train". A network that is loaded is tested on the test part of
/// its own run, or on what --data, --test or --seed name.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// Do not train on this speaker of the manifest, and test on all recordings of them.
    #[arg(long, value_name = "SPEAKER", requires = "data")]
    pub(crate) leave_out: Option<String>,
    /// Write forty utterances that the program makes to this new folder, with a manifest, and do nothing else.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["load", "resume", "data", "test"])]
    pub(crate) write_wav: Option<PathBuf>,
    /// Listen to this WAV file, or to the standard input if it is "-", and tell each phone at once, with the time in seconds.
    /// The network is that of --load, trained with --one-way.
    #[arg(long, value_name = "FILE", requires = "load", conflicts_with_all = ["data", "test", "seed", "out", "leave_out"])]
    pub(crate) listen: Option<PathBuf>,
    /// What --listen reads has no header: it is samples of 16 bits, the lower ones first, of one channel at this rate,
    /// 8000 to 48000.
    #[arg(long, value_name = "HZ", requires = "listen", conflicts_with_all = ["data", "test", "write_wav", "table"], value_parser = clap::value_parser!(u32).range(8000..=48_000))]
    pub(crate) raw_rate: Option<u32>,
    /// Train five networks from several seeds, all in one way, and tell which orderings of the table of Graves, Mohamed and
    /// Hinton (2013) hold: tanh units and LSTMs, one layer and three, one direction and both. --hidden is the units of the
    /// three layers of LSTMs in both directions; the others are made as large. What is done is in table.tsv in --out.
    #[arg(long, conflicts_with_all = ["load", "save", "write_wav", "cell", "layers", "one_way"])]
    pub(crate) table: bool,
    /// A smaller table: 32 units and three seeds, unless others are given.
    #[arg(long, requires = "table", conflicts_with_all = ["load", "write_wav"])]
    pub(crate) short: bool,
    /// The seeds of --table: that of --seed and those after it; 5 by default.
    #[arg(long, value_name = "N", requires = "table", conflicts_with_all = ["load", "write_wav"], value_parser = seeds())]
    pub(crate) seeds: Option<usize>,
    /// The recurrent cell, an LSTM by default.
    #[arg(long, conflicts_with = "load")]
    pub(crate) cell: Option<CellKind>,
    /// Read forward in time only: what is heard depends on nothing that comes later.
    #[arg(long, conflicts_with = "load")]
    pub(crate) one_way: bool,
    /// Layers, each of two cells, one in each direction; 3 by default.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_LAYERS), conflicts_with = "load")]
    pub(crate) layers: Option<usize>,
    /// Units of each cell; 96 by default with --data, 64 without.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_HIDDEN), conflicts_with = "load")]
    pub(crate) hidden: Option<usize>,
    /// The probability that dropout sets an output of a layer to 0; 0.4 by default with --data, 0.1
    /// without.
    #[arg(long, value_name = "P", value_parser = probability, conflicts_with = "load")]
    pub(crate) dropout: Option<f64>,
    /// How much recordings are changed at random in training (their speed, their bands, parts of them, noise), 0 for
    /// nothing; 1.5 by default with --data, 0 without.
    #[arg(long, value_name = "X", value_parser = deviation, conflicts_with = "load")]
    pub(crate) changes: Option<f64>,
    /// What the initial input weights of the layers above the first are multiplied by; 3 by default with --table or
    /// --one-way, 1 without.
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with = "load")]
    pub(crate) gain: Option<f64>,
    /// The deviation of the normal noise on the weights, drawn for every batch; 0.02 by default with --data,
    /// 0.01 without.
    #[arg(long, value_name = "X", value_parser = deviation, conflicts_with = "load")]
    pub(crate) weight_noise: Option<f64>,
    /// In so many epochs before CTC, the phones of each recording are taken to be spread evenly over it; 3 by default.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(0..=1000), conflicts_with = "load")]
    pub(crate) flat_start: Option<usize>,
    /// Stop after so many epochs without a lower loss on a sixteenth of the training part, which is held out, and take the
    /// network with the lowest; by default 8 without --data. With --data, all epochs are done by default.
    #[arg(long, value_name = "N", value_parser = up_to(1000), conflicts_with = "load")]
    pub(crate) patience: Option<usize>,
    /// Recordings in a batch; 16 by default.
    #[arg(long, value_name = "N", value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) batch: Option<usize>,
    /// Shards of a batch. Each is computed by a thread, or in a process of its own under MPI; more or fewer change the last bits.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) shards: usize,
    /// The highest learning rate.
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with = "load")]
    pub(crate) rate: Option<f64>,
}

impl Arguments {
    /// The seeds that networks of the table are trained from.
    ///
    /// # Errors
    /// If there are not so many numbers.
    pub(crate) fn seeds(&self) -> Result<Vec<u64>, String> {
        let count = self.seeds.unwrap_or(if self.short { 3 } else { 5 });
        let first = self.run.seed();
        let end = first.checked_add(count as u64);
        let end =
            end.ok_or_else(|| format!("there are no {count} seeds from {first} on; expected a smaller --seed"))?;
        Ok((first..end).collect())
    }
}

impl Task for Arguments {
    const NAME: &'static str = "speech";
    const SEED_DIVIDES: bool = false;
    const RANKS: bool = true;

    fn run(&self) -> &RunArguments {
        &self.run
    }
}

/// An interval needs two values at least.
fn seeds() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(2..=1000)
}

fn deviation(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| *x >= 0.0 && x.is_finite());
    number.ok_or_else(|| "expected a number of 0 or more".to_owned())
}
