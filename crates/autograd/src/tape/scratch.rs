//! The mode of a tape in which rules compute for a first-order sweep.

use super::{Mode, Tape, Var};
use crate::{Scalar, Tensor};

/// A tape whose ops compute values without nodes. Dropping it restores the tape, also when a rule panics.
pub(crate) struct Scratch<'t, T: Scalar> {
    tape: &'t Tape<T>,
    before: Mode,
    nodes: u32,
}

impl<'t, T: Scalar> Scratch<'t, T> {
    /// From now on, ops on `tape` compute values without nodes.
    pub(crate) fn on(tape: &'t Tape<T>) -> Self {
        let before = tape.mode.replace(Mode::Sweeping);
        Scratch { tape, before, nodes: tape.graph.borrow().len() }
    }

    /// Discards all values without nodes, and adds this one.
    #[inline]
    pub(crate) fn begin(&self, value: Tensor<T>) -> Var<'t, T> {
        self.tape.values.truncate(self.nodes);
        Var::new(self.tape, self.tape.values.push(value))
    }

    /// The value of a variable: moved out if it was computed since [`begin`](Scratch::begin).
    #[inline(always)]
    pub(crate) fn take(&self, v: Var<'t, T>) -> Tensor<T> {
        let own = v.id() > self.nodes && std::ptr::eq(v.tape(), self.tape);
        if own { self.tape.values.take(v.id()) } else { v.value() }
    }
}

impl<T: Scalar> Drop for Scratch<'_, T> {
    fn drop(&mut self) {
        self.tape.values.truncate(self.nodes);
        self.tape.mode.set(self.before);
    }
}
