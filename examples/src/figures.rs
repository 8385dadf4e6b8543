//! The figures of a task, and the lines that it ends with.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

/// What a figure measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share of items whose class is right.
    Accuracy,
    /// The share of sequences that are right in every place.
    Exact,
    /// BLEU, 0 to 1 (Papineni et al. 2002).
    Bleu,
    /// The cross-entropy in bits an item: the mean of -log₂ p of what came.
    Bits,
    /// The error rate of labels such as phones: edits by the length of the truth.
    Per,
}

impl Metric {
    /// The name in results and tables.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Exact => "exact",
            Metric::Bleu => "bleu",
            Metric::Bits => "bits",
            Metric::Per => "per",
        }
    }
}

/// A result on the test part.
///
/// ```
/// use rewind_examples::{Figure, Metric};
///
/// let figure = Figure { name: "gru".to_owned(), metric: Metric::Accuracy, value: 0.9375, count: 16 };
/// assert_eq!(figure.to_string(), "gru test accuracy 0.938 (n=16)");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The cell or model, or `baseline`.
    pub name: String,
    /// What is measured.
    pub metric: Metric,
    /// The value.
    pub value: f64,
    /// The items that it is a mean of.
    pub count: usize,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { name, metric, value, count } = self;
        write!(f, "{name} test {} {value:.3} (n={count})", metric.name())
    }
}

/// Writes a line for each figure.
///
/// # Errors
///
/// If they cannot be written.
pub fn report(figures: &[Figure], out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    for figure in figures {
        writeln!(out, "{figure}").map_err(unwritable)?;
    }
    out.flush().map_err(unwritable)
}

/// The error of results that cannot be written. They have no path that could be named.
pub fn unwritable(error: io::Error) -> Box<dyn Error> {
    format!("cannot write to the standard output: {error}").into()
}
