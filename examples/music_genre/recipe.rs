//! How a network is trained: one recipe for composed scores and one for real ones.

use rewind_rnn::optim::schedule::{cosine, warm_up};

use crate::arguments::Arguments;
use crate::model::{CellKind, ReadOut, Sizes};
use crate::score::Encoding;

/// Everything that training depends on but the data and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    /// H.
    pub(crate) hidden: usize,
    pub(crate) epochs: usize,
    /// Excerpts in a batch.
    pub(crate) batch: usize,
    /// The highest learning rate; it rises to it over the first steps and falls to 0 along half a cosine.
    pub(crate) rate: f64,
    /// The decay of AdamW.
    pub(crate) weight_decay: f64,
    /// The factor of the initial input weights.
    pub(crate) gain: f32,
    /// The longest excerpt, in steps.
    pub(crate) max_steps: usize,
    /// Excerpts that an epoch draws from every score that is longer than one.
    pub(crate) excerpts: usize,
    pub(crate) encoding: Encoding,
    pub(crate) read_out: ReadOut,
}

impl Recipe {
    /// The recipe for a cell, with the settings of the command line.
    pub(crate) fn new(kind: CellKind, arguments: &Arguments) -> Recipe {
        let recipe = if arguments.data.is_some() { Recipe::real(kind) } else { Recipe::composed(kind) };
        Recipe {
            hidden: arguments.hidden,
            epochs: arguments.epochs.unwrap_or(recipe.epochs),
            max_steps: arguments.max_steps.unwrap_or(recipe.max_steps),
            encoding: arguments.input.unwrap_or(recipe.encoding),
            read_out: arguments.read_out.unwrap_or(recipe.read_out),
            ..recipe
        }
    }

    /// The sizes of a network for so many classes.
    pub(crate) fn sizes(&self, classes: usize) -> Sizes {
        Sizes { inputs: self.encoding.width(), hidden: self.hidden, classes }
    }

    fn composed(kind: CellKind) -> Recipe {
        Recipe {
            hidden: 64,
            epochs: 50,
            batch: 16,
            rate: if kind == CellKind::Tanh { 3e-3 } else { 1e-2 },
            weight_decay: 1e-2,
            gain: 1.0,
            max_steps: 200,
            excerpts: 1,
            encoding: Encoding::PitchClasses,
            read_out: ReadOut::Last,
        }
    }

    fn real(kind: CellKind) -> Recipe {
        Recipe {
            hidden: 64,
            epochs: 120,
            batch: 32,
            rate: if kind == CellKind::Tanh { 3e-3 } else { 1e-2 },
            weight_decay: 1e-2,
            gain: 4.0,
            max_steps: 64,
            excerpts: 4,
            encoding: Encoding::Detailed,
            read_out: ReadOut::Mean,
        }
    }

    /// The learning rate of step `step` of `steps`.
    pub(crate) fn rate_at(&self, step: u64, steps: u64) -> f64 {
        self.rate * warm_up(step, 20) * cosine(step, steps)
    }
}
