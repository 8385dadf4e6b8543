//! Whether a value still falls, for what waits on it: a schedule, early stopping.

use std::fmt;

use rewind_autograd::Scalar;

use super::resume::Saved;
use crate::error::{Error, ErrorKind, Result};

/// What an observed value says, such as the error on data that training does not see: lower is better.
///
/// ```
/// use rewind_rnn::optim::Plateau;
///
/// let mut plateau = Plateau::new(0.5, 2);
/// assert_eq!(plateau.observe(0.25)?.to_string(), "0.2500, the best so far");
/// assert_eq!(plateau.observe(0.5)?.to_string(), "0.5000, no improvement for 1 of 2");
/// let progress = plateau.observe(f64::NAN)?;
/// assert_eq!(progress.to_string(), "NaN is not finite: no improvement for 2 of 2");
/// assert!(progress.exhausted());
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The value.
    pub value: f64,
    /// Whether it is lower than the best one before, by more than the minimal change. NaN and ±∞ never are.
    pub improved: bool,
    /// How many values in a row were no improvement, with this one.
    pub waited: u64,
    /// How many are allowed.
    pub patience: u64,
}

impl Progress {
    /// Whether as many values in a row as `patience` were no improvement.
    pub fn exhausted(&self) -> bool {
        self.waited >= self.patience
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { value, improved, waited, patience } = self;
        match improved {
            true => write!(f, "{value:.4}, the best so far"),
            false if value.is_finite() => write!(f, "{value:.4}, no improvement for {waited} of {patience}"),
            false => write!(f, "{value} is not finite: no improvement for {waited} of {patience}"),
        }
    }
}

/// The best value, and how many came after it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Watch {
    owner: &'static str,
    pub(super) patience: u64,
    pub(super) min_change: f64,
    pub(super) best: Option<f64>,
    pub(super) waited: u64,
}

impl Watch {
    pub(super) fn new(owner: &'static str, patience: u64) -> Self {
        Watch { owner, patience, min_change: 0.0, best: None, waited: 0 }
    }

    pub(super) fn observe(&mut self, value: f64) -> Result<Progress> {
        if self.patience == 0 {
            return Err(setting(self.owner, "the patience", self.patience, "at least 1"));
        }
        if !(self.min_change >= 0.0 && self.min_change.is_finite()) {
            return Err(setting(self.owner, "the minimal change", self.min_change, "a finite number >= 0"));
        }
        let improved = value.is_finite() && self.best.is_none_or(|best| value < best - self.min_change);
        if improved {
            (self.best, self.waited) = (Some(value), 0);
        } else {
            self.waited += 1;
        }
        Ok(Progress { value, improved, waited: self.waited, patience: self.patience })
    }

    /// With the settings and the values of this.
    pub(super) fn save<T: Scalar>(&self, saved: Saved<T>) -> Saved<T> {
        let saved = saved.setting("patience", self.patience).setting("min_change", self.min_change);
        saved.value("best", self.best).value("waited", self.waited)
    }

    pub(super) fn resumed<T: Scalar>(&self, saved: &Saved<T>) -> Result<Self> {
        let best = saved.finite_or_none("best")?;
        Ok(Watch { best, waited: saved.count("waited")?, ..self.clone() })
    }
}

/// A setting is out of its range.
pub(super) fn setting(owner: &str, name: &str, value: impl fmt::Display, expected: &str) -> Error {
    Error::new(ErrorKind::Setting, format!("{owner}: {name} is {value}; expected {expected}"))
}
