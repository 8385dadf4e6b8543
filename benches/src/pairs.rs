//! Pairs of our own steps whose ratio is of interest.

use clap::ValueEnum;

use crate::kernel::products_of_step;
use crate::peak::step_in_registers;
use crate::{CellKind, Shape, Step, training_step};

/// Two steps, the first of which is divided by the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pair {
    /// An LSTM as a user would write it, and the library's.
    Custom,
    /// The LSTM on one thread, and on as many as were asked for.
    OneThread,
    /// As many multiplications and additions as the LSTM's products, in registers, on one thread, and on as many as were asked
    /// for: what a second thread can bring at most.
    Registers,
    /// The LSTM's matrix products alone, and the LSTM.
    Kernel,
}

impl Pair {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Pair::Custom => "custom",
            Pair::OneThread => "one-thread",
            Pair::Registers => "registers",
            Pair::Kernel => "kernel",
        }
    }

    /// Makes both steps.
    pub(crate) fn steps(self, shape: Shape, threads: usize) -> [Step; 2] {
        let lstm = |threads| training_step(CellKind::Lstm, shape, threads);
        match self {
            Pair::Custom => [training_step(CellKind::Custom, shape, threads), lstm(threads)],
            Pair::OneThread => [lstm(1), lstm(threads)],
            Pair::Registers => [step_in_registers(shape, 1), step_in_registers(shape, threads)],
            Pair::Kernel => [products_of_step(CellKind::Lstm, shape, threads), lstm(threads)],
        }
    }
}
