//! The parts of a run that goes on from a file, beside the model and its optimiser: what each saves, and the position in
//! the data and in the random numbers.
//!
//! A [`Part`] gives its state as numbers and tensors by name. [`file::save_run`](crate::file::save_run) writes all parts to one
//! file, [`file::load_run`](crate::file::load_run) first checks all of them and then changes all of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rewind_autograd::{Scalar, Tensor};

use crate::error::{Error, ErrorKind, Result};

/// Counts in a file are below this, so that a run that goes on from them does not overflow them.
pub(crate) const COUNT_LIMIT: u64 = 1 << 63;

/// The saved state of a part of a run.
///
/// ```
/// use rewind_rnn::resume::Saved;
///
/// let saved = Saved::<f32>::new("Counter").setting("limit", 10).value("count", 3);
/// assert_eq!(saved.number::<u64>("count")?, 3);
/// assert!(saved.number::<u64>("other").is_err());
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Saved<T: Scalar> {
    /// The kind of the part, such as `Average`.
    pub kind: String,
    /// Settings by name. They are not loaded: those of the file must be those of the part.
    pub settings: BTreeMap<String, String>,
    /// Numbers by name.
    pub values: BTreeMap<String, String>,
    /// Tensors by name, all finite.
    pub tensors: Vec<(String, Tensor<T>)>,
}

impl<T: Scalar> Saved<T> {
    /// A state without settings, numbers and tensors.
    pub fn new(kind: impl Into<String>) -> Self {
        Saved { kind: kind.into(), settings: BTreeMap::new(), values: BTreeMap::new(), tensors: Vec::new() }
    }

    /// With one more setting, written by `Debug`: the shortest text that reads back to the same number.
    pub fn setting(mut self, name: &str, value: impl Debug) -> Self {
        self.settings.insert(name.to_owned(), format!("{value:?}"));
        self
    }

    /// With one more number, written by `Debug`.
    pub fn value(mut self, name: &str, value: impl Debug) -> Self {
        self.values.insert(name.to_owned(), format!("{value:?}"));
        self
    }

    /// With these tensors.
    pub fn tensors(self, tensors: Vec<(String, Tensor<T>)>) -> Self {
        Saved { tensors, ..self }
    }

    /// The number of that name.
    ///
    /// # Errors
    /// If there is none, or it is no number of that type.
    pub fn number<N: FromStr>(&self, name: &str) -> Result<N> {
        let number = self.values.get(name).and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.damaged(name, "a number"))
    }

    /// The count of that name, below 2^63, so that a run that goes on from it does not overflow it.
    ///
    /// # Errors
    /// If there is none, or it is no such count.
    pub fn count(&self, name: &str) -> Result<u64> {
        let count = Some(self.number(name)?).filter(|&count| count < COUNT_LIMIT);
        count.ok_or_else(|| self.damaged(name, "a count below 2^63"))
    }

    /// The place in a sequence of that name, from which steps can be counted on.
    pub(crate) fn place(&self, name: &str) -> Result<usize> {
        usize::try_from(self.count(name)?).map_err(|_| self.damaged(name, "a place in a sequence"))
    }

    /// The number of that name, which was saved as an option and must be finite.
    pub(super) fn finite_or_none(&self, name: &str) -> Result<Option<f64>> {
        let text = self.values.get(name).map_or("", String::as_str);
        if text == "None" {
            return Ok(None);
        }
        let number = text.strip_prefix("Some(").and_then(|text| text.strip_suffix(")")?.parse::<f64>().ok());
        let finite = number.filter(|number| number.is_finite());
        finite.map(Some).ok_or_else(|| self.damaged(name, "`None` or a finite number as `Some(…)`"))
    }

    /// The error of the number of that name.
    pub fn damaged(&self, name: &str, expected: &str) -> Error {
        let found = self.values.get(name).map_or("missing".to_owned(), |value| format!("{value:?}"));
        Error::new(ErrorKind::Run, format!("{}: `{name}` is {found}; expected {expected}", self.kind))
    }
}

/// Replaces the state of a part. It cannot fail.
pub type Commit<'a> = Box<dyn FnOnce() + 'a>;

/// A part of a run that goes on from a file.
///
/// ```
/// use rewind_autograd::Scalar;
/// use rewind_rnn::resume::{Commit, Part, Saved};
///
/// /// Counts the batches that were left out.
/// struct Skipped { count: u64 }
///
/// impl<T: Scalar> Part<T> for Skipped {
///     fn saved(&self) -> Saved<T> {
///         Saved::new("Skipped").value("count", self.count)
///     }
///     fn resume<'a>(&'a mut self, saved: &Saved<T>) -> rewind_rnn::Result<Commit<'a>> {
///         let count = saved.number("count")?;
///         Ok(Box::new(move || self.count = count))
///     }
/// }
/// let mut skipped = Skipped { count: 0 };
/// let commit = Part::<f32>::resume(&mut skipped, &Saved::new("Skipped").value("count", 7))?;
/// commit();
/// assert_eq!(skipped.count, 7);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
pub trait Part<T: Scalar> {
    /// The state.
    fn saved(&self) -> Saved<T>;

    /// Checks a saved state of this kind and with these settings, and returns what sets it.
    ///
    /// # Errors
    /// If the state is damaged.
    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>>;
}

/// Where a run is: the epoch, the batch in it, and the random numbers of both.
///
/// A generator has no state that lasts from batch to batch. Four numbers are its key: the seed of the run, the epoch, the batch,
/// and a stream that tells apart what the numbers are for. So the position is all that a file needs, and a batch draws the same
/// numbers whatever was drawn before it. The generator is ChaCha with 12 rounds; its key has room for exactly these four
/// numbers of 64 bits, so different positions have different keys.
///
/// ```
/// use rewind_rnn::batch::plan;
/// use rewind_rnn::resume::Position;
///
/// let mut at = Position::new(1);
/// let mut visited = Vec::new();
/// while at.epoch() < 2 {
///     let batches = plan(&[4; 7], 3, &mut at.epoch_rng(0))?;
///     for batch in at.rest(&batches)? {
///         let mut _dropout = at.batch_rng(0);
///         visited.push((at.epoch(), at.batch(), batch.len()));
///         at.advance(batches.len());
///     }
///     // Here is what an epoch ends with, such as early stopping. Save a run before a batch, or after this.
/// }
/// assert_eq!(visited.iter().map(|&(_, _, size)| size).sum::<usize>(), 14);
/// assert_eq!((at.epoch(), at.batch(), at.step()), (2, 0, 6));
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    seed: u64,
    epoch: u64,
    batch: usize,
    /// How many batches the epoch has; 0 while it is not begun.
    batches: usize,
    step: u64,
}

impl Position {
    /// The beginning of a run with this seed.
    pub fn new(seed: u64) -> Self {
        Position { seed, epoch: 0, batch: 0, batches: 0, step: 0 }
    }

    /// The epoch, from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The batch in the epoch, from 0.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// How many batches the run has done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The generator of an epoch, such as that of its plan.
    pub fn epoch_rng(&self, stream: u64) -> ChaCha12Rng {
        self.rng(u64::MAX, stream)
    }

    /// The generator of a batch, such as that of its dropout. Give each shard a stream of its own.
    pub fn batch_rng(&self, stream: u64) -> ChaCha12Rng {
        self.rng(self.batch as u64, stream)
    }

    fn rng(&self, batch: u64, stream: u64) -> ChaCha12Rng {
        let mut key = [0; 32];
        let numbers = [self.seed, self.epoch, batch, stream];
        key.chunks_exact_mut(8).zip(numbers).for_each(|(bytes, number)| bytes.copy_from_slice(&number.to_le_bytes()));
        ChaCha12Rng::from_seed(key)
    }

    /// The batches of this epoch that are still to do.
    ///
    /// # Errors
    /// If the epoch was begun with another number of batches.
    pub fn rest<'b, B>(&self, batches: &'b [B]) -> Result<&'b [B]> {
        if self.batches != 0 && self.batches != batches.len() || batches.is_empty() {
            let Position { epoch, batch, batches: begun, .. } = self;
            let text = match batches.len() {
                0 => format!("position: epoch {epoch} has no batch; expected at least one"),
                n => format!(
                    "position: epoch {epoch} is at batch {batch} of {begun}; expected a plan of {begun} batches, not of {n}"
                ),
            };
            return Err(Error::new(ErrorKind::Run, text));
        }
        Ok(&batches[self.batch..])
    }

    /// Goes on to the next batch of an epoch with so many batches, and after the last one to the next epoch.
    pub fn advance(&mut self, batches: usize) {
        self.step += 1;
        (self.batch, self.batches) = (self.batch + 1, batches);
        if self.batch >= batches {
            (self.epoch, self.batch, self.batches) = (self.epoch + 1, 0, 0);
        }
    }
}

impl<T: Scalar> Part<T> for Position {
    fn saved(&self) -> Saved<T> {
        let saved = Saved::new("Position").setting("seed", self.seed).value("epoch", self.epoch);
        saved.value("batch", self.batch).value("batches", self.batches).value("step", self.step)
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>> {
        let (batch, batches) = (saved.number("batch")?, saved.number("batches")?);
        if batch >= std::cmp::max(batches, 1) || (batch == 0) != (batches == 0) {
            return Err(saved.damaged("batch", "one within the epoch"));
        }
        let (epoch, step) = (saved.count("epoch")?, saved.count("step")?);
        Ok(Box::new(move || *self = Position { seed: self.seed, epoch, batch, batches, step }))
    }
}
