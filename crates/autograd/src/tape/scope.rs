//! The guard of a scope.

use super::{Mode, Tape};
use crate::Scalar;
use crate::scopes::{Part, Scopes};

/// A guard: while it lives, the tape records in its scope. Made by [`Tape::scope`] and [`Tape::numbered_scope`].
///
/// Drop guards in the reverse order of their making, as the ends of blocks do: each goes back to the scope in which it was made.
#[must_use = "a scope ends where its guard is dropped"]
pub struct Scope<'t, T: Scalar> {
    tape: &'t Tape<T>,
    outer: u32,
}

impl<'t, T: Scalar> Scope<'t, T> {
    /// A guard that restores the current scope of `tape`.
    pub(crate) fn current(tape: &'t Tape<T>) -> Self {
        Scope { tape, outer: tape.scopes.borrow().current() }
    }

    /// Enters a scope, except in a first-order sweep, whose values are discarded.
    pub(crate) fn enter(tape: &'t Tape<T>, part: impl FnOnce(&mut Scopes) -> Part) -> Self {
        let guard = Scope::current(tape);
        if tape.mode.get() != Mode::Sweeping {
            tape.scopes.borrow_mut().enter(part);
        }
        guard
    }
}

impl<T: Scalar> Drop for Scope<'_, T> {
    fn drop(&mut self) {
        self.tape.scopes.borrow_mut().set(self.outer);
    }
}
