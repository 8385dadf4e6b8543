//! Averages of the weights over the steps of training.

use rewind_autograd::{Module, Parameters, Scalar, Tensor};

use super::optim::Moments;
use super::optim::memory::{Memory, PARAMETERS};
use super::progress::setting;
use super::resume::{Commit, Part, Saved};
use crate::error::Result;

/// A moving average of the parameters of any module (Polyak and Juditsky 1992, "Acceleration of stochastic approximation by
/// averaging"). After update t with parameters w, counted from 1:
///
/// a ← a + rate·(w - a), rate = (1 - decay)/(1 - decay^t), or 1/t for the plain mean.
///
/// The rate has Adam's bias correction in it: a is the mean of all w so far, weighted by decay^age. The first update sets
/// a = w, and no first value lingers. For `f32`, a is kept as the sum of two numbers, or else a small rate would be lost in the
/// rounding of a.
///
/// The average is a module beside the one in training: evaluate [`of`](Average::of), and train on.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::Average;
///
/// parameters! { struct One<P> { w: P } }
///
/// let mut average = Average::new(0.5);
/// let mut model = One { w: Tensor::scalar(0.0_f32) };
/// for step in 1..=3 {
///     model.w = Tensor::scalar(step as f32);
///     average.update(&model)?;
/// }
/// // (0.25·1 + 0.5·2 + 1·3)/(0.25 + 0.5 + 1)
/// assert!((average.of(&model)?.w.item() - 4.25 / 1.75).abs() < 1e-6);
/// assert_eq!(model.w.item(), 3.0);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Average<T: Scalar> {
    /// `None` for the plain mean.
    decay: Option<f64>,
    memory: Memory<T, 2>,
}

impl<T: Scalar> Average<T> {
    /// The exponential average with a decay in [0, 1), such as 0.999: it looks back some 1/(1 - decay) updates.
    pub fn new(decay: f64) -> Self {
        Average { decay: Some(decay), memory: memory() }
    }

    /// The plain mean of all updates. Begin when training has settled.
    pub fn mean() -> Self {
        Average { decay: None, memory: memory() }
    }

    /// How many updates are in it.
    pub fn updates(&self) -> u64 {
        self.memory.steps()
    }

    /// Takes the parameters into the average, usually after every step of the optimiser.
    ///
    /// # Errors
    /// If the decay is not in [0, 1), or the parameters are infinite, NaN, or of other names or shapes than before; nothing
    /// is changed then.
    pub fn update<M: Parameters<Tensor<T>>>(&mut self, model: &M) -> Result<()> {
        if let Some(decay) = self.decay.filter(|decay| !(0.0..1.0).contains(decay)) {
            return Err(setting("average", "the decay", decay, "a number in [0, 1)"));
        }
        let rate = rate(self.decay, self.memory.steps() + 1);
        self.memory.observe(model, PARAMETERS, |_, w, [high, low]| {
            let (w, a) = (w.to_f64(), high.to_f64() + low.to_f64());
            let gap = w - a;
            // The distance of two huge numbers may overflow.
            let next = if gap.is_finite() { a + rate * gap } else { (1.0 - rate) * a + rate * w };
            let high = T::from_f64(next);
            [high, T::from_f64(next - high.to_f64())]
        })
    }

    /// The averaged parameters, in the structure of `like`, whose elements are not read.
    ///
    /// # Errors
    /// Before the first update, or if `like` has other names or shapes.
    pub fn of<M: Module<T>>(&self, like: &M) -> Result<M> {
        self.memory.module(like, 0)
    }
}

fn memory<T: Scalar>() -> Memory<T, 2> {
    Memory::of("average", ["average", "rest"])
}

fn rate(decay: Option<f64>, step: u64) -> f64 {
    match decay {
        // Exactly, or the first average would not be the parameters.
        _ if step == 1 => 1.0,
        // 1 - decay^t without cancellation where the decay is near 1.
        Some(decay) => (1.0 - decay) / -(step as f64 * decay.ln()).exp_m1(),
        None => 1.0 / step as f64,
    }
}

impl<T: Scalar> Part<T> for Average<T> {
    fn saved(&self) -> Saved<T> {
        let Moments { steps, tensors } = self.memory.moments();
        Saved::new("Average").setting("decay", self.decay).value("updates", steps).tensors(tensors)
    }

    fn resume<'a>(&'a mut self, saved: &Saved<T>) -> Result<Commit<'a>> {
        let mut memory = memory();
        memory.load(&Moments { steps: saved.number("updates")?, tensors: saved.tensors.clone() })?;
        Ok(Box::new(move || self.memory = memory))
    }
}
