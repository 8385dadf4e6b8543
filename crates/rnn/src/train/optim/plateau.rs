//! The schedule that has a state.

use rewind_autograd::Scalar;

use crate::error::Result;
use crate::train::progress::{Progress, Watch, setting};
use crate::train::resume::{Commit, Part, Saved};

/// Multiplies a factor of the learning rate when the observed values stop falling:
///
/// after `patience` values in a row that are not below best - `min_change`, factor ← max(`least`, `by`·factor).
///
/// As PyTorch's `ReduceLROnPlateau` with `threshold_mode="abs"` and a patience that is less by 1; there it is the number of
/// values that have no effect. NaN and ±∞ are no improvement.
///
/// ```
/// use rewind_rnn::optim::Plateau;
///
/// let mut plateau = Plateau::new(0.5, 2);
/// for error in [0.9, 0.8, 0.8, 0.85] {
///     plateau.observe(error)?;
/// }
/// assert_eq!(plateau.factor(), 0.5); // two errors in a row were not below 0.8
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plateau {
    by: f64,
    least: f64,
    cooldown: u64,
    watch: Watch,
    factor: f64,
    /// How many values are still observed without waiting.
    cooling: u64,
}

impl Plateau {
    /// Multiplies by `by`, in [0, 1), after `patience` values without an improvement, at least 1.
    pub fn new(by: f64, patience: u64) -> Self {
        Plateau { by, least: 0.0, cooldown: 0, watch: Watch::new("plateau", patience), factor: 1.0, cooling: 0 }
    }

    /// An improvement is lower than the best value by more than this; by default 0.
    pub fn min_change(mut self, min_change: f64) -> Self {
        self.watch.min_change = min_change;
        self
    }

    /// The factor does not fall below this, in [0, 1]; by default 0.
    pub fn least(self, least: f64) -> Self {
        Plateau { least, ..self }
    }

    /// So many values after a reduction do not count as waiting; by default 0.
    pub fn cooldown(self, cooldown: u64) -> Self {
        Plateau { cooldown, ..self }
    }

    /// The factor of the learning rate, 1 at first.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Observes a value, usually once an epoch, and reduces the factor if the patience is exhausted.
    ///
    /// # Errors
    /// If a setting is out of its range; nothing is changed then.
    pub fn observe(&mut self, value: f64) -> Result<Progress> {
        if !(0.0..1.0).contains(&self.by) {
            return Err(setting("plateau", "the factor", self.by, "a number in [0, 1)"));
        }
        if !(0.0..=1.0).contains(&self.least) {
            return Err(setting("plateau", "the least factor", self.least, "a number in [0, 1]"));
        }
        let mut progress = self.watch.observe(value)?;
        if self.cooling > 0 {
            self.cooling -= 1;
            self.watch.waited = 0;
            progress.waited = 0;
        }
        if progress.exhausted() {
            self.factor = self.least.max(self.by * self.factor);
            self.cooling = self.cooldown;
            self.watch.waited = 0;
        }
        Ok(progress)
    }
}

impl<T: Scalar> Part<T> for Plateau {
    fn saved(&self) -> Saved<T> {
        let saved = Saved::new("Plateau").setting("by", self.by).setting("least", self.least);
        let saved = saved.setting("cooldown", self.cooldown).value("cooling", self.cooling);
        self.watch.save(saved.value("factor", self.factor))
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>> {
        let factor = saved.number("factor")?;
        if !(0.0..=1.0).contains(&factor) {
            return Err(saved.damaged("factor", "a number in [0, 1]"));
        }
        let next =
            Plateau { watch: self.watch.resumed(saved)?, factor, cooling: saved.number("cooling")?, ..self.clone() };
        Ok(Box::new(move || *self = next))
    }
}
