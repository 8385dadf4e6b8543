//! How a classifier is trained: one recipe for the strips that the program makes and one for real series.

use rewind_rnn::optim::schedule::{cosine, warm_up};

use crate::arguments::Arguments;
use crate::model::Design;
use crate::series::Changes;
use rewind_examples::ReadOut;

/// Everything that training depends on but the series and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) design: Design,
    pub(crate) changes: Changes,
    pub(crate) epochs: usize,
    /// Series in a batch.
    pub(crate) batch: usize,
    /// The highest learning rate: it rises linearly at first, then falls to 0 along half a cosine.
    pub(crate) rate: f64,
    /// The decay of AdamW.
    pub(crate) decay: f64,
}

impl Recipe {
    /// The recipe for series of so many values and classes, with the settings of the command line.
    pub(crate) fn new(arguments: &Arguments, values: usize, classes: usize) -> Recipe {
        let kind = arguments.cell;
        let recipe = if arguments.run.data.is_some() {
            let (read_out, both_ways) = (ReadOut::Mean, true);
            let design = Design { kind, both_ways, per_step: 4, values, hidden: 64, classes, read_out, dropout: 0.3 };
            let changes = Changes { shift: 4, scale: 0.1, noise: 0.1 };
            Recipe { design, changes, epochs: 60, batch: 32, rate: 3e-3, decay: 0.01 }
        } else {
            let (read_out, both_ways) = (ReadOut::Last, false);
            let design = Design { kind, both_ways, per_step: 2, values, hidden: 32, classes, read_out, dropout: 0.0 };
            let changes = Changes { shift: 0, scale: 0.0, noise: 0.0 };
            Recipe { design, changes, epochs: 20, batch: 32, rate: 1e-2, decay: 0.01 }
        };
        let (design, changes) = (recipe.design, recipe.changes);
        let design = Design {
            both_ways: arguments.both_ways.unwrap_or(design.both_ways),
            per_step: arguments.per_step.unwrap_or(design.per_step),
            hidden: arguments.hidden.unwrap_or(design.hidden),
            read_out: arguments.read_out.unwrap_or(design.read_out),
            dropout: arguments.dropout.unwrap_or(design.dropout),
            ..design
        };
        let changes = Changes {
            shift: arguments.shift.unwrap_or(changes.shift),
            scale: arguments.scale.unwrap_or(changes.scale),
            noise: arguments.noise.unwrap_or(changes.noise),
        };
        Recipe {
            design,
            changes,
            epochs: arguments.run.epochs.unwrap_or(recipe.epochs),
            batch: arguments.batch.unwrap_or(recipe.batch),
            rate: arguments.rate.unwrap_or(recipe.rate),
            ..recipe
        }
    }

    /// The learning rate of step `step` of `steps`.
    pub(crate) fn rate_at(&self, step: u64, steps: u64) -> f64 {
        self.rate * warm_up(step, 20) * cosine(step, steps)
    }
}
