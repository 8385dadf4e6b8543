//! How a network is trained: one recipe for composed scores and one for real ones.

use rewind_rnn::optim::schedule::{cosine, warm_up};

use crate::arguments::Arguments;
use crate::model::{Design, ReadOut};
use crate::score::Encoding;
use rewind_examples::CellKind;

/// Everything that training depends on but the data and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) design: Design,
    pub(crate) epochs: usize,
    /// Excerpts in a batch.
    pub(crate) batch: usize,
    /// The highest learning rate: it rises linearly at first, then falls to 0 along half a cosine.
    pub(crate) rate: f64,
    /// The decay of AdamW.
    pub(crate) weight_decay: f64,
    /// The factor of the initial input weights.
    pub(crate) gain: f32,
    /// Excerpts that an epoch draws from every score that is longer than one.
    pub(crate) excerpts: usize,
}

impl Recipe {
    /// The recipe for a cell that tells `classes` classes apart, with the settings of the command line.
    pub(crate) fn new(kind: CellKind, classes: usize, arguments: &Arguments) -> Recipe {
        let hidden = arguments.hidden;
        let rate = if kind == CellKind::Tanh { 3e-3 } else { 1e-2 };
        let recipe = if arguments.run.data.is_some() {
            let (encoding, max_steps, read_out) = (Encoding::Detailed, 64, ReadOut::Mean);
            let design = Design { kind, hidden, classes, encoding, max_steps, read_out };
            Recipe { design, epochs: 120, batch: 32, rate, weight_decay: 1e-2, gain: 4.0, excerpts: 4 }
        } else {
            let (encoding, max_steps, read_out) = (Encoding::PitchClasses, 200, ReadOut::Last);
            let design = Design { kind, hidden, classes, encoding, max_steps, read_out };
            Recipe { design, epochs: 50, batch: 16, rate, weight_decay: 1e-2, gain: 1.0, excerpts: 1 }
        };
        let design = Design {
            encoding: arguments.input.unwrap_or(recipe.design.encoding),
            max_steps: arguments.max_steps.unwrap_or(recipe.design.max_steps),
            read_out: arguments.read_out.unwrap_or(recipe.design.read_out),
            ..recipe.design
        };
        Recipe { design, epochs: arguments.run.epochs.unwrap_or(recipe.epochs), ..recipe }
    }

    /// The learning rate of step `step` of `steps`.
    pub(crate) fn rate_at(&self, step: u64, steps: u64) -> f64 {
        self.rate * warm_up(step, 20) * cosine(step, steps)
    }
}
