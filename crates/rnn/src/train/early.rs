//! Early stopping.

use rewind_autograd::{Module, Parameters, Scalar, Tensor};

use super::optim::Moments;
use super::optim::memory::{Memory, PARAMETERS};
use super::progress::{Progress, Watch};
use super::resume::{Commit, Part, Saved};
use crate::error::Result;

/// Keeps the parameters with the lowest observed value, and says when `patience` values in a row were not below it by more
/// than the minimal change (Prechelt 1998, "Early stopping - but when?", the criterion UP with a patience).
///
/// NaN and ±∞ are no improvement, and the [`Progress`] says so.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::EarlyStopping;
///
/// parameters! { struct One<P> { w: P } }
///
/// let mut early = EarlyStopping::new(2);
/// let mut model = One { w: Tensor::scalar(0.0_f32) };
/// for (epoch, error) in [0.9, 0.4, 0.5, f64::NAN, 0.1].into_iter().enumerate() {
///     model.w = Tensor::scalar(epoch as f32);
///     if early.observe(error, &model)?.exhausted() {
///         break;
///     }
/// }
/// assert_eq!((early.best(&model)?.w.item(), early.lowest(), early.waited()), (1.0, Some(0.4), 2));
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping<T: Scalar> {
    watch: Watch,
    memory: Memory<T, 1>,
}

impl<T: Scalar> EarlyStopping<T> {
    /// Waits for `patience` values without an improvement, at least 1.
    pub fn new(patience: u64) -> Self {
        EarlyStopping { watch: Watch::new("early stopping", patience), memory: memory() }
    }

    /// An improvement is lower than the best value by more than this; by default 0.
    pub fn min_change(mut self, min_change: f64) -> Self {
        self.watch.min_change = min_change;
        self
    }

    /// Observes a value of `model`, usually once an epoch, and copies its parameters if it is the best so far. Stop if the
    /// result is [`exhausted`](Progress::exhausted).
    ///
    /// # Errors
    /// If a setting is out of its range, or the best parameters are infinite, NaN, or of other names or shapes than before;
    /// nothing is changed then.
    pub fn observe<M: Parameters<Tensor<T>>>(&mut self, value: f64, model: &M) -> Result<Progress> {
        let mut watch = self.watch.clone();
        let progress = watch.observe(value)?;
        if progress.improved {
            self.memory.observe(model, PARAMETERS, |_, w, _| [w])?;
        }
        self.watch = watch;
        Ok(progress)
    }

    /// Whether the patience is exhausted, as the last [`Progress`] said: a resumed run asks before it trains on.
    pub fn exhausted(&self) -> bool {
        // A patience of 0 is refused by `observe`, and must not end the run before.
        self.watch.patience > 0 && self.watch.waited >= self.watch.patience
    }

    /// The lowest finite value; none before the first.
    pub fn lowest(&self) -> Option<f64> {
        self.watch.best
    }

    /// How many values were observed since the last improvement.
    pub fn waited(&self) -> u64 {
        self.watch.waited
    }

    /// The parameters that had the lowest value, in the structure of `like`, whose elements are not read.
    ///
    /// # Errors
    /// If no finite value was observed, or `like` has other names or shapes.
    pub fn best<M: Module<T>>(&self, like: &M) -> Result<M> {
        self.memory.module(like, 0)
    }
}

fn memory<T: Scalar>() -> Memory<T, 1> {
    Memory::of("early stopping", ["best"])
}

impl<T: Scalar> Part<T> for EarlyStopping<T> {
    fn saved(&self) -> Saved<T> {
        let Moments { steps, tensors } = self.memory.moments();
        self.watch.save(Saved::new("EarlyStopping").value("improvements", steps).tensors(tensors))
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>> {
        let watch = self.watch.resumed(saved)?;
        let mut memory = memory();
        memory.load(&Moments { steps: saved.number("improvements")?, tensors: saved.tensors.clone() })?;
        Ok(Box::new(move || *self = EarlyStopping { watch, memory }))
    }
}
