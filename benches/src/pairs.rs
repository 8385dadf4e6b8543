//! Pairs of training steps whose ratio is measured.

use clap::ValueEnum;

use crate::kernel::products_of_step;
use crate::{CellKind, Shape, Step, separate_steps, training_step};

/// Two steps, the first of which is divided by the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pair {
    /// An LSTM as a user would write it, and the library's.
    Custom,
    /// The LSTM on one thread, and on as many as were asked for.
    OneThread,
    /// The LSTM's matrix products alone, and the LSTM.
    Kernel,
}

impl Pair {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Pair::Custom => "custom",
            Pair::OneThread => "one-thread",
            Pair::Kernel => "kernel",
        }
    }

    /// Makes both steps.
    pub(crate) fn steps(self, shape: Shape, threads: usize) -> [Step; 2] {
        let lstm = |threads| training_step(CellKind::Lstm, shape, threads);
        let first = match self {
            Pair::Custom => training_step(CellKind::Custom, shape, threads),
            Pair::OneThread => lstm(1),
            Pair::Kernel => products_of_step(CellKind::Lstm, shape, threads),
        };
        [first, lstm(threads)]
    }

    /// Two more steps, measured in the same turns: their ratio is the limit of the pair's on this machine.
    pub(crate) fn limit(self, shape: Shape, threads: usize) -> Option<[Step; 2]> {
        (self == Pair::OneThread).then(|| [1, threads].map(|threads| separate_steps(shape, threads)))
    }
}
