//! How a network is trained: one recipe for speech that the program makes and one for recordings.

use rewind_examples::CellKind;
use rewind_rnn::optim::schedule::{cosine, warm_up};

use crate::arguments::Arguments;
use crate::changes::Changes;
use crate::model::Design;

/// Everything that training depends on but the recordings and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) design: Design,
    /// What is changed in the recordings.
    pub(crate) changes: Changes,
    /// The deviation of the noise on weights (Graves et al. 2013 have 0.075).
    pub(crate) weight_noise: f64,
    pub(crate) epochs: usize,
    /// The first epochs, in which phones are taken to be spread evenly over each recording.
    pub(crate) flat_start: usize,
    /// Training stops after so many epochs without a lower loss on what is held out; `None` if it does not. A few recordings that are
    /// misheard with certainty decide when that loss is lowest: on 150 recordings it is by chance.
    pub(crate) patience: Option<usize>,
    /// Recordings in a batch.
    pub(crate) batch: usize,
    /// Shards of a batch, computed in parallel, each with a thread or in a process of its own. They decide the result, and the number of
    /// threads does not.
    pub(crate) shards: usize,
    /// The highest learning rate of Adam: it rises linearly at first, then falls to 0 along half a cosine.
    pub(crate) rate: f64,
}

impl Recipe {
    pub(crate) fn new(arguments: &Arguments) -> Recipe {
        let cell = arguments.cell.unwrap_or(CellKind::Lstm);
        let shards = arguments.shards;
        let gain = if arguments.one_way { 3.0 } else { 1.0 };
        let usual = Design { cell, layers: 3, hidden: 64, one_way: arguments.one_way, dropout: 0.1, gain };
        let recipe = if arguments.run.data.is_some() {
            let design = Design { hidden: 96, dropout: 0.4, ..usual };
            Recipe {
                design,
                changes: Changes(1.5),
                weight_noise: 0.02,
                epochs: 36,
                flat_start: 3,
                patience: None,
                batch: 16,
                shards,
                rate: 5e-3,
            }
        } else {
            Recipe {
                design: usual,
                changes: Changes(0.0),
                weight_noise: 0.01,
                epochs: 20,
                flat_start: 3,
                patience: Some(8),
                batch: 16,
                shards,
                rate: 1e-2,
            }
        };
        let recipe = if arguments.table { recipe.of_table(arguments.short) } else { recipe };
        let design = Design {
            layers: arguments.layers.unwrap_or(recipe.design.layers),
            hidden: arguments.hidden.unwrap_or(recipe.design.hidden),
            dropout: arguments.dropout.unwrap_or(recipe.design.dropout),
            gain: arguments.gain.map_or(recipe.design.gain, |gain| gain as f32),
            ..recipe.design
        };
        Recipe {
            design,
            changes: arguments.changes.map_or(recipe.changes, Changes),
            weight_noise: arguments.weight_noise.unwrap_or(recipe.weight_noise),
            epochs: arguments.run.epochs.unwrap_or(recipe.epochs),
            flat_start: arguments.flat_start.unwrap_or(recipe.flat_start),
            patience: arguments.patience.or(recipe.patience),
            batch: arguments.batch.unwrap_or(recipe.batch),
            shards,
            rate: arguments.rate.unwrap_or(recipe.rate),
        }
    }

    /// One recipe for all networks of the table.
    fn of_table(self, short: bool) -> Recipe {
        let hidden = if short { SHORT } else { self.design.hidden };
        Recipe { design: Design { hidden, gain: 3.0, ..self.design }, rate: 5e-3, ..self }
    }

    /// All but the network, in one line.
    pub(crate) fn settings(&self) -> String {
        let Recipe { design: Design { dropout, gain, .. }, changes: Changes(changes), weight_noise, .. } = self;
        let Recipe { epochs, flat_start, batch, shards, rate, .. } = self;
        let patience = self.patience.map_or("none".to_owned(), |epochs| epochs.to_string());
        format!(
            "dropout {dropout}, gain {gain}, changes {changes}, weight_noise {weight_noise}, epochs {epochs}, flat_start {flat_start}, patience {patience}, \
             batch {batch}, shards {shards}, rate {rate}"
        )
    }

    /// The baseline: one time step alone.
    pub(crate) fn baseline(&self) -> Recipe {
        let design = Design { layers: 0, hidden: 0, dropout: 0.0, ..self.design };
        Recipe {
            design,
            changes: Changes(0.0),
            weight_noise: 0.0,
            flat_start: 0,
            epochs: self.epochs.min(BASELINE_EPOCHS),
            rate: BASELINE_RATE,
            ..*self
        }
    }

    /// The learning rate of step `step` of `steps`.
    pub(crate) fn rate_at(&self, step: u64, steps: u64) -> f64 {
        self.rate * warm_up(step, 20) * cosine(step, steps)
    }
}

/// The units of a short table.
const SHORT: usize = 32;

/// More change nothing.
const BASELINE_EPOCHS: usize = 8;
const BASELINE_RATE: f64 = 0.02;
