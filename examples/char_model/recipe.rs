//! How a model is trained: one recipe for the written text and one for real ones.

use rewind_rnn::optim::schedule::{cosine, warm_up};

use crate::arguments::Arguments;

/// Everything that training depends on but the text and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    /// H, units of the cell.
    pub(crate) hidden: usize,
    /// The rate of the dropout before the readout.
    pub(crate) dropout: f64,
    /// That of the dropout of what the cell reads of its own output.
    pub(crate) recurrent_dropout: f64,
    pub(crate) epochs: usize,
    /// The most streams that the text is cut into.
    pub(crate) streams: usize,
    /// The most characters between two updates.
    pub(crate) window: usize,
    /// Shards of the streams, computed in parallel, each with a thread or in a process of its own. They decide the result, and the number of
    /// threads does not.
    pub(crate) shards: usize,
    /// The highest learning rate: it rises linearly at first, then falls to 0 along half a cosine.
    pub(crate) rate: f64,
}

impl Recipe {
    /// The recipe, with the settings of the command line.
    pub(crate) fn new(arguments: &Arguments) -> Recipe {
        let Arguments { window, recurrent_dropout, shards, .. } = *arguments;
        let recipe = if arguments.run.data.is_some() {
            Recipe { hidden: 512, dropout: 0.3, recurrent_dropout, epochs: 13, streams: 64, window, shards, rate: 4e-3 }
        } else {
            Recipe { hidden: 96, dropout: 0.0, recurrent_dropout, epochs: 8, streams: 32, window, shards, rate: 1e-2 }
        };
        Recipe {
            hidden: arguments.hidden.unwrap_or(recipe.hidden),
            dropout: arguments.dropout.unwrap_or(recipe.dropout),
            recurrent_dropout,
            epochs: arguments.run.epochs.unwrap_or(recipe.epochs),
            streams: arguments.streams.unwrap_or(recipe.streams),
            window,
            shards,
            rate: arguments.rate.unwrap_or(recipe.rate),
        }
    }

    /// The learning rate of step `step` of `steps`.
    pub(crate) fn rate_at(&self, step: u64, steps: u64) -> f64 {
        self.rate * warm_up(step, 50) * cosine(step, steps)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Recipe;

    /// A small recipe.
    pub(crate) const SMALL: Recipe = Recipe {
        hidden: 7,
        dropout: 0.2,
        recurrent_dropout: 0.1,
        epochs: 2,
        streams: 3,
        window: 20,
        shards: 2,
        rate: 1e-2,
    };
}
