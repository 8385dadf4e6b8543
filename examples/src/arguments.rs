//! The arguments that every task takes.

use std::path::{Path, PathBuf};

use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser};

/// The seed of a run that names none.
pub const DEFAULT_SEED: u64 = 1;
/// Weeks of training, on any data.
const MAX_EPOCHS: u64 = 1_000_000;
/// More than the cores of most machines. If the system starts fewer threads, that is a separate error.
const MAX_THREADS: u64 = 256;

/// The arguments that every task takes, to be flattened into those of its own. An argument that only training uses
/// conflicts with `load`.
///
/// ```
/// use clap::Parser;
/// use rewind_examples::arguments::{RunArguments, up_to};
///
/// #[derive(Clone, Parser)]
/// struct Arguments {
///     #[command(flatten)]
///     run: RunArguments,
///     /// Units of the cell.
///     #[arg(long, default_value_t = 64, value_parser = up_to(4096), conflicts_with = "load")]
///     hidden: usize,
/// }
///
/// let arguments = Arguments::try_parse_from(["task", "--epochs", "3", "--hidden", "7"])?;
/// assert_eq!((arguments.run.epochs, arguments.run.seed(), arguments.hidden), (Some(3), 1, 7));
/// assert!(Arguments::try_parse_from(["task", "--load", "net", "--epochs", "3"]).is_err());
/// # Ok::<(), clap::Error>(())
/// ```
#[derive(Args, Clone, Debug, Default)]
pub struct RunArguments {
    /// Train on this file or folder; without it the program makes its own data.
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Test on this file or folder; without it, on a part of --data.
    #[arg(long, value_name = "PATH")]
    pub test: Option<PathBuf>,
    /// The file of the run: the model, the optimiser and the position, written after every epoch and when the run is
    /// stopped. By default a file in --out with the name of the model. If several models are trained, choose one.
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    pub save: Option<PathBuf>,
    /// Load a model from the file of a run and test it without training.
    #[arg(long, value_name = "FILE")]
    pub load: Option<PathBuf>,
    /// Go on with a run that was stopped, from its file and with its settings.
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    pub resume: Option<PathBuf>,
    /// The seed of all random choices; 1 by default, and with --load that of the saved run.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Threads, 256 at most; they change no result. Training uses two of them, testing all.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(MAX_THREADS), allow_negative_numbers = true)]
    pub threads: usize,
    /// Passes over the training part, a million at most.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_EPOCHS), allow_negative_numbers = true, conflicts_with = "load")]
    pub epochs: Option<usize>,
    /// The folder for pictures and tables; by default target and the name of the program, with
    /// --load the folder "loaded" in it, and with --resume that of the run.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A whole number from 1 to `most`. A number below 0 is read too, so that a message tells the range.
pub fn up_to(most: u64) -> RangedI64ValueParser<usize> {
    RangedI64ValueParser::new().range(1..=i64::try_from(most).unwrap_or(i64::MAX))
}

/// A number above 0: a value parser.
///
/// # Errors
///
/// If it is none, or is not finite.
pub fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| *x > 0.0 && x.is_finite());
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

/// A probability below 1, as that of dropout is: a value parser.
///
/// # Errors
///
/// If it is none.
pub fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|p| (0.0..1.0).contains(p));
    number.ok_or_else(|| "expected a number from 0 to less than 1".to_owned())
}

impl RunArguments {
    /// The seed, [`DEFAULT_SEED`] if none was given.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(DEFAULT_SEED)
    }
}

/// The arguments of a task.
pub trait Task: Parser {
    /// The name of the program.
    const NAME: &'static str;
    /// Whether the seed divides `--data` into a training and a test part, where there is no `--test`.
    const SEED_DIVIDES: bool = true;
    /// The task's own arguments that do not decide the result of a run, such as `--sample`: a run that is resumed takes
    /// them from its new command line.
    const NO_SETTINGS: &'static [&'static str] = &[];

    /// Whether several processes can train a model together, with the feature `mpi`.
    const RANKS: bool = false;

    /// Those that every task takes.
    fn run(&self) -> &RunArguments;

    /// The file that is read together with the one at `path`, which --data or --test names, if there is one: that of the labels, say.
    fn beside(_path: &Path) -> Option<PathBuf> {
        None
    }

    /// The folder for pictures and tables.
    fn out(&self) -> PathBuf {
        let RunArguments { out, load, .. } = self.run();
        let usual = || {
            let folder = Path::new("target").join(Self::NAME);
            // Beside the tables and pictures of the training, which stay as they are.
            if load.is_some() { folder.join("loaded") } else { folder }
        };
        out.clone().unwrap_or_else(usual)
    }
}
