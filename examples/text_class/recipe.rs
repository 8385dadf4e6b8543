//! How a classifier is trained: one recipe for the written texts and one for real ones.

use rewind_rnn::optim::schedule::{cosine, warm_up};

use crate::arguments::Arguments;
use crate::model::Design;
use crate::words::{Reader, Vocabulary, Words, pairs};
use rewind_examples::ReadOut;
use rewind_examples::labelled::Labelled;

/// Everything that training depends on but the texts and the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    /// H, units of a cell.
    pub(crate) hidden: usize,
    /// E, the length of a word's vector.
    pub(crate) embedding: usize,
    pub(crate) both_ways: bool,
    pub(crate) read_out: ReadOut,
    /// Whether the network gets evidence of words, and of pairs of neighbours.
    pub(crate) evidence: bool,
    /// Words that fewer texts have are unknown.
    pub(crate) least: usize,
    pub(crate) dropout: f64,
    pub(crate) epochs: usize,
    /// Texts in a batch.
    pub(crate) batch: usize,
    /// The highest learning rate: it rises linearly at first, then falls to 0 along half a cosine.
    pub(crate) rate: f64,
    /// The decay of AdamW.
    pub(crate) decay: f64,
}

impl Recipe {
    /// The recipe, with the settings of the command line.
    pub(crate) fn new(arguments: &Arguments) -> Recipe {
        let recipe = if arguments.run.data.is_some() {
            Recipe {
                hidden: 32,
                embedding: 8,
                both_ways: true,
                read_out: ReadOut::Mean,
                evidence: true,
                least: 1,
                dropout: 0.5,
                epochs: 3,
                batch: 32,
                rate: 3e-3,
                decay: 0.1,
            }
        } else {
            Recipe {
                hidden: 64,
                embedding: 32,
                both_ways: false,
                read_out: ReadOut::Last,
                evidence: false,
                least: 1,
                dropout: 0.0,
                epochs: 15,
                batch: 32,
                rate: 1e-2,
                decay: 0.01,
            }
        };
        Recipe {
            hidden: arguments.hidden.unwrap_or(recipe.hidden),
            embedding: arguments.embedding.unwrap_or(recipe.embedding),
            both_ways: arguments.both_ways.unwrap_or(recipe.both_ways),
            read_out: arguments.read_out.unwrap_or(recipe.read_out),
            evidence: arguments.evidence.unwrap_or(recipe.evidence),
            least: arguments.least.unwrap_or(recipe.least),
            dropout: arguments.dropout.unwrap_or(recipe.dropout),
            epochs: arguments.run.epochs.unwrap_or(recipe.epochs),
            batch: arguments.batch.unwrap_or(recipe.batch),
            rate: arguments.rate.unwrap_or(recipe.rate),
            decay: arguments.decay.unwrap_or(recipe.decay),
        }
    }

    /// What is known of the training part before the network is trained: its words, and with evidence its pairs.
    pub(crate) fn reader(&self, train: &Labelled<Words>) -> Reader {
        let (classes, least) = (train.classes.len(), self.least as u32);
        let words = Vocabulary::new(&train.items, &train.labels, classes, least);
        let pairs = self.evidence.then(|| {
            let pairs: Vec<_> = train.items.iter().map(pairs).collect();
            Vocabulary::new(&pairs, &train.labels, classes, least)
        });
        Reader { words, pairs }
    }

    /// The design of a network for that reader.
    pub(crate) fn design(&self, arguments: &Arguments, reader: &Reader, classes: usize) -> Design {
        let (words, evidence) = (reader.words.len(), reader.evidence_width());
        let (kind, Recipe { hidden, embedding, both_ways, read_out, dropout, .. }) = (arguments.cell, *self);
        Design { kind, both_ways, words, evidence, embedding, hidden, classes, read_out, dropout }
    }

    /// The learning rate of step `step` of `steps`.
    pub(crate) fn rate_at(&self, step: u64, steps: u64) -> f64 {
        self.rate * warm_up(step, 20) * cosine(step, steps)
    }
}
