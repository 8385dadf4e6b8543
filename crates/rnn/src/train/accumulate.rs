//! The gradient of several batches.

use rewind_autograd::{Module, Parameters, Scalar, Tensor};

use super::optim::Moments;
use super::optim::memory::{GRADIENTS, Memory};
use super::progress::setting;
use super::resume::{COUNT_LIMIT, Commit, Part, Saved};
use crate::error::{Error, ErrorKind, Result};

/// Adds the gradients of several batches before one step of the optimiser, as if they were one batch: Σ gₖ of losses that are
/// sums, Σ nₖ·gₖ of losses that are means over nₖ counted targets. [`take_mean`](Accumulator::take_mean) divides by Σ nₖ.
///
/// n counts what the loss sums over: the sequences, or the time steps that have a target. Batches of unequal n get their
/// right weights; the mean of means would not give them. Gradients are added in the order of the calls, so equal calls give
/// equal bits, and in `f64`, so that the sum of many batches in `f32` is as precise as that of few.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::Accumulator;
///
/// parameters! { struct One<P> { w: P } }
/// let gradient = |g| One { w: Tensor::scalar(g) };
///
/// let mut sum = Accumulator::new();
/// sum.add_mean(&gradient(3.0_f32), 10)?; // the mean over 10 sequences
/// sum.add_mean(&gradient(5.0), 30)?;
/// assert_eq!(sum.take_mean(&gradient(0.0))?.w.item(), 4.5);
/// assert_eq!(sum.batches(), 0); // empty again
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Accumulator<T: Scalar> {
    /// The sum as two elements, rounded and what the rounding left, or many small gradients would be lost in a large sum.
    memory: Memory<T, 2>,
    count: u64,
}

impl<T: Scalar> Default for Accumulator<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Scalar> Accumulator<T> {
    /// An empty sum.
    pub fn new() -> Self {
        Accumulator { memory: Memory::of("accumulator", ["sum", "rest"]), count: 0 }
    }

    /// How many batches are in it.
    pub fn batches(&self) -> u64 {
        self.memory.steps()
    }

    /// How many counted targets are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds the gradient of a loss that is a sum over `count` targets.
    ///
    /// # Errors
    /// If `count` is 0, or the gradients are infinite, NaN, or of other names or shapes than before; nothing is changed then.
    pub fn add_sum<M: Parameters<Tensor<T>>>(&mut self, gradients: &M, count: usize) -> Result<()> {
        self.add(gradients, count, 1.0)
    }

    /// Adds the gradient of a loss that is a mean over `count` targets.
    ///
    /// # Errors
    /// As [`add_sum`](Accumulator::add_sum).
    pub fn add_mean<M: Parameters<Tensor<T>>>(&mut self, gradients: &M, count: usize) -> Result<()> {
        self.add(gradients, count, count as f64)
    }

    fn add<M: Parameters<Tensor<T>>>(&mut self, gradients: &M, count: usize, weight: f64) -> Result<()> {
        if count == 0 {
            return Err(setting("accumulator", "the count of targets", count, "at least 1"));
        }
        let total = u64::try_from(count).ok().and_then(|count| self.count.checked_add(count));
        let Some(total) = total.filter(|&total| total < COUNT_LIMIT) else {
            let before = self.count;
            let text = format!("accumulator: {before} targets and {count} more; expected fewer than 2^63 in all");
            return Err(Error::new(ErrorKind::Setting, text));
        };
        self.memory.observe(gradients, GRADIENTS, |_, g, [sum, rest]| {
            let next = sum.to_f64() + rest.to_f64() + weight * g.to_f64();
            let sum = T::from_f64(next);
            [sum, T::from_f64(next - sum.to_f64())]
        })?;
        self.count = total;
        Ok(())
    }

    /// The gradient of the sum over all targets, in the structure of `like`, whose elements are not read. The accumulator is
    /// empty afterwards.
    ///
    /// # Errors
    /// If nothing was added, `like` has other names or shapes, or a sum is infinite; nothing is changed then.
    pub fn take_sum<M: Module<T>>(&mut self, like: &M) -> Result<M> {
        self.take(like, 1.0)
    }

    /// The gradient of the mean over all targets, in the structure of `like`, whose elements are not read. The accumulator is
    /// empty afterwards.
    ///
    /// # Errors
    /// As [`take_sum`](Accumulator::take_sum).
    pub fn take_mean<M: Module<T>>(&mut self, like: &M) -> Result<M> {
        self.take(like, self.count as f64)
    }

    fn take<M: Module<T>>(&mut self, like: &M, divisor: f64) -> Result<M> {
        let sum = self.memory.module(like, 0)?;
        crate::nonfinite::all_finite(&sum)
            .map_err(|at| Error::nonfinite("accumulator: the sum of gradients of", at))?;
        let rest = self.memory.module(like, 1)?;
        *self = Accumulator::new();
        let divided = |sum: T, rest: T| T::from_f64((sum.to_f64() + rest.to_f64()) / divisor);
        Ok(sum.zip(&rest, |_, sum, rest| sum.zip(rest, divided)))
    }
}

impl<T: Scalar> Part<T> for Accumulator<T> {
    fn saved(&self) -> Saved<T> {
        let Moments { steps, tensors } = self.memory.moments();
        Saved::new("Accumulator").value("count", self.count).value("batches", steps).tensors(tensors)
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>> {
        let mut next = Accumulator::new();
        next.count = saved.count("count")?;
        next.memory.load(&Moments { steps: saved.number("batches")?, tensors: saved.tensors.clone() })?;
        if (next.count == 0) != (next.batches() == 0) {
            let why =
                format!("accumulator: {} targets in {} batches; expected some in each", next.count, next.batches());
            return Err(Error::new(ErrorKind::Run, why));
        }
        Ok(Box::new(move || *self = next))
    }
}
