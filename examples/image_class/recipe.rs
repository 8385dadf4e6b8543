//! How a model is trained: one recipe for drawn digits and one for real images.

use rewind_examples::image::Size;
use rewind_examples::memory;
use rewind_rnn::optim::schedule::{cosine, warm_up};

use crate::arguments::{Arguments, ModelKind};
use crate::model::Design;

/// Everything that training depends on but the images and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) design: Design,
    pub(crate) epochs: usize,
    /// Images in a batch.
    pub(crate) batch: usize,
    /// The highest learning rate: it rises linearly at first, then falls to 0 along half a cosine.
    pub(crate) rate: f64,
}

impl Recipe {
    /// The recipe for a model of images of this size in so many classes, with the settings of the command line.
    pub(crate) fn new(kind: ModelKind, classes: usize, size: Size, arguments: &Arguments) -> Recipe {
        let (hidden, epochs, batch) = if arguments.run.data.is_some() { (128, 10, 64) } else { (64, 20, 32) };
        let rate = match kind {
            ModelKind::Perceptron | ModelKind::Tanh => 2e-3,
            ModelKind::Lstm | ModelKind::Gru => 5e-3,
        };
        Recipe {
            design: Design { kind, hidden: arguments.hidden.unwrap_or(hidden), classes, size },
            epochs: arguments.run.epochs.unwrap_or(epochs),
            batch: arguments.batch.unwrap_or(batch),
            rate: arguments.rate.unwrap_or(rate),
        }
    }

    /// The learning rate of step `step` of `steps`.
    pub(crate) fn rate_at(&self, step: u64, steps: u64) -> f64 {
        self.rate * warm_up(step, 50) * cosine(step, steps)
    }

    /// Checks that training fits into memory: parameters, gradients of two shards and two moments, and the values of a
    /// batch on the tape (of an LSTM, nine for each unit and row).
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(crate) fn require_memory(&self) -> Result<(), String> {
        let Design { kind, hidden, size, .. } = self.design;
        let rows = if kind == ModelKind::Perceptron { 1 } else { size.height };
        let values = [9, rows, hidden, self.batch].into_iter().map(|n| n as u64).product::<u64>();
        let what = format!("training {} with {hidden} units", kind.name());
        memory::require(
            &what,
            4 * (6 * self.design.parameter_count() + values),
            "a smaller --hidden or --batch takes less",
        )
    }
}
