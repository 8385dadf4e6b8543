//! The command line.

use clap::Parser;
use rewind_examples::arguments::{positive, probability, up_to};
use rewind_examples::{CellKind, ReadOut, RunArguments, Task};

/// An LSTM of this size has 67 million weights.
pub(crate) const MAX_HIDDEN: u64 = 4096;
/// The most values of a time step.
pub(crate) const MAX_PER_STEP: u64 = 4096;

/// Classifies heartbeats, or other series of values: a recurrent network that reads them in time, and two baselines without
/// memory, a linear model on the values and the nearest neighbour.
///
/// Without --data it makes strips of electrocardiograms with five rhythms. With --data it reads a file of lines, each a
/// label and values that tabs separate, and without --test it tests on a fifth of them. A network that is loaded is tested on
/// the test part of its own run, or on the series of --data, --test or --seed.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The cell.
    #[arg(long, value_enum, default_value_t = CellKind::Gru, conflicts_with = "load")]
    pub(crate) cell: CellKind,
    /// Units of the cell; 64 by default with --data, 32 without.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_HIDDEN), conflicts_with = "load")]
    pub(crate) hidden: Option<usize>,
    /// Values that a time step holds.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_PER_STEP), conflicts_with = "load")]
    pub(crate) per_step: Option<usize>,
    /// A second cell reads the series from its end: `true` by default with --data.
    #[arg(long, value_name = "BOOL", conflicts_with = "load")]
    pub(crate) both_ways: Option<bool>,
    /// The input of the readout; `mean` by default with --data, `last` without.
    #[arg(long, value_enum, conflicts_with = "load")]
    pub(crate) read_out: Option<ReadOut>,
    /// The probability that dropout sets an input of the readout to 0.
    #[arg(long, value_name = "P", value_parser = probability, conflicts_with = "load")]
    pub(crate) dropout: Option<f64>,
    /// In training, move a series by up to so many values to either side.
    #[arg(long, value_name = "N", conflicts_with = "load")]
    pub(crate) shift: Option<usize>,
    /// In training, multiply a series by 1 and a normal deviate of this deviation.
    #[arg(long, value_name = "X", value_parser = deviation, conflicts_with = "load")]
    pub(crate) scale: Option<f64>,
    /// In training, add normal noise of this deviation.
    #[arg(long, value_name = "X", value_parser = deviation, conflicts_with = "load")]
    pub(crate) noise: Option<f64>,
    /// Series in a batch.
    #[arg(long, value_name = "N", value_parser = up_to(4096), conflicts_with = "load")]
    pub(crate) batch: Option<usize>,
    /// The highest learning rate.
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with = "load")]
    pub(crate) rate: Option<f64>,
}

impl Task for Arguments {
    const NAME: &'static str = "heartbeat";
    fn run(&self) -> &RunArguments {
        &self.run
    }
}

fn deviation(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| *x >= 0.0 && x.is_finite());
    number.ok_or_else(|| "expected a number of 0 or more".to_owned())
}
