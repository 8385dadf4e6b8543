//! The gradient of several batches.

use rewind_autograd::{Module, Parameters, Scalar, Tensor};

use super::optim::Moments;
use super::optim::memory::{GRADIENTS, Memory};
use super::progress::setting;
use super::resume::{Commit, Part, Saved};
use crate::error::{Error, ErrorKind, Result};

/// Adds the gradients of several batches before one step of the optimiser, as if they were one batch: Σ gₖ of losses that are
/// sums, Σ nₖ·gₖ of losses that are means over nₖ counted targets. [`take_mean`](Accumulator::take_mean) divides by Σ nₖ.
///
/// n counts what the loss sums over: the sequences, or the time steps that have a target. Batches of unequal n get their
/// right weights; the mean of means would not give them. Gradients are added in the order of the calls, so equal calls give
/// equal bits.
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
    memory: Memory<T, 1>,
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
        Accumulator { memory: Memory::of("accumulator", ["sum"]), count: 0 }
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
        self.add(gradients, count, T::ONE)
    }

    /// Adds the gradient of a loss that is a mean over `count` targets.
    ///
    /// # Errors
    /// As [`add_sum`](Accumulator::add_sum).
    pub fn add_mean<M: Parameters<Tensor<T>>>(&mut self, gradients: &M, count: usize) -> Result<()> {
        self.add(gradients, count, T::from_f64(count as f64))
    }

    fn add<M: Parameters<Tensor<T>>>(&mut self, gradients: &M, count: usize, weight: T) -> Result<()> {
        let total = u64::try_from(count).ok().filter(|&n| n > 0).and_then(|n| self.count.checked_add(n));
        let Some(total) = total else {
            return Err(setting("accumulator", "the count of targets", count, "at least 1"));
        };
        self.memory.observe(gradients, GRADIENTS, |_, g, [sum]| [sum + weight * g])?;
        self.count = total;
        Ok(())
    }

    /// The gradient of the sum over all targets, in the structure of `like`, whose elements are not read. The accumulator is
    /// empty afterwards.
    ///
    /// # Errors
    /// If nothing was added, `like` has other names or shapes, or a sum is infinite; nothing is changed then.
    pub fn take_sum<M: Module<T>>(&mut self, like: &M) -> Result<M> {
        self.take(like, T::ONE)
    }

    /// The gradient of the mean over all targets, in the structure of `like`, whose elements are not read. The accumulator is
    /// empty afterwards.
    ///
    /// # Errors
    /// As [`take_sum`](Accumulator::take_sum).
    pub fn take_mean<M: Module<T>>(&mut self, like: &M) -> Result<M> {
        self.take(like, T::from_f64(self.count as f64))
    }

    fn take<M: Module<T>>(&mut self, like: &M, divisor: T) -> Result<M> {
        let mut sum = self.memory.module(like, 0)?;
        crate::nonfinite::all_finite(&sum)
            .map_err(|at| Error::nonfinite("accumulator: the sum of gradients of", at))?;
        *self = Accumulator::new();
        if divisor != T::ONE {
            sum.visit_mut(|_, sum| sum.as_mut_slice().iter_mut().for_each(|g| *g = *g / divisor));
        }
        Ok(sum)
    }
}

impl<T: Scalar> Part<T> for Accumulator<T> {
    fn saved(&self) -> Saved<T> {
        let Moments { steps, tensors } = self.memory.moments();
        Saved::new("Accumulator").value("count", self.count).value("batches", steps).tensors(tensors)
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>> {
        let mut next = Accumulator::new();
        next.count = saved.number("count")?;
        next.memory.load(&Moments { steps: saved.number("batches")?, tensors: saved.tensors.clone() })?;
        if (next.count == 0) != (next.batches() == 0) {
            let why =
                format!("accumulator: {} targets in {} batches; expected some in each", next.count, next.batches());
            return Err(Error::new(ErrorKind::Run, why));
        }
        Ok(Box::new(move || *self = next))
    }
}
