//! Ops that are out of their nodes while their rules record.

use std::cell::{OnceCell, RefCell};

use super::{OpBox, Tape};
use crate::{Op, Scalar};

/// The op of a node whose rule is recording, and those of sweeps inside of that rule. The rule may still ask for the value of
/// its own node, which takes the op to compute it again.
pub(super) struct Lent<T: Scalar> {
    op: RefCell<Option<(u32, OpBox<T>)>>,
    inside: OnceCell<Box<Lent<T>>>,
}

impl<T: Scalar> Default for Lent<T> {
    fn default() -> Self {
        Lent { op: RefCell::new(None), inside: OnceCell::new() }
    }
}

impl<T: Scalar> Lent<T> {
    /// The first place that is free.
    fn free(&self) -> &Lent<T> {
        let mut place = self;
        while place.op.borrow().is_some() {
            place = place.inside.get_or_init(Box::default);
        }
        place
    }

    /// Calls `f` with the op of node `index`, if it is here.
    fn with<R>(&self, index: u32, f: impl FnOnce(&dyn Op<T>) -> R) -> Option<R> {
        let mut place = Some(self);
        while let Some(lent) = place {
            match &*lent.op.borrow() {
                Some((node, op)) if *node == index => return Some(f(&**op)),
                _ => place = lent.inside.get().map(|inside| &**inside),
            }
        }
        None
    }
}

impl<T: Scalar> Tape<T> {
    /// Calls `f` with the op of a node, if it has one. The tape may grow under the op, so it is taken out of its node for
    /// the call, and comes back even if a rule panics: a node without op would lose its gradient in the next sweep.
    pub(crate) fn with_op_taken(&self, index: u32, f: impl FnOnce(&dyn Op<T>)) {
        let Some(op) = self.ops.borrow_mut()[index as usize].take() else { return };
        let place = self.lent.free();
        place.op.replace(Some((index, op)));
        let _back = Return { tape: self, place };
        let lent = place.op.borrow(); // dropped before the op goes back
        if let Some((_, op)) = &*lent {
            f(&**op);
        }
    }

    /// Calls `f` with the op of a node, wherever it is.
    pub(super) fn with_op_found<R>(&self, index: u32, f: impl FnOnce(&dyn Op<T>) -> R) -> R {
        if let Some(op) = &self.ops.borrow()[index as usize] {
            return f(&**op);
        }
        self.lent.with(index, f).expect("a released value has an op")
    }
}

/// Brings an op back to its node when it is dropped.
struct Return<'t, T: Scalar> {
    tape: &'t Tape<T>,
    place: &'t Lent<T>,
}

impl<T: Scalar> Drop for Return<'_, T> {
    fn drop(&mut self) {
        if let Some((index, op)) = self.place.op.take() {
            self.tape.ops.borrow_mut()[index as usize] = Some(op);
        }
    }
}
