//! The inputs of a checkpointed region, which a sweep runs again.

use smallvec::SmallVec;

use super::slots::Reach;
use crate::tape::Tape;
use crate::{Scalar, Var};

/// The inputs of a region.
pub(super) struct Inputs<'a, 't, T: Scalar> {
    pub(super) vars: SmallVec<[Var<'t, T>; 8]>,
    reach: &'a Reach,
}

impl<'a, 't, T: Scalar> Inputs<'a, 't, T> {
    #[cold]
    pub(super) fn of(tape: &'t Tape<T>, node: u32, reach: &'a Reach) -> Self {
        let vars = (0..tape.arity(node)).map(|i| Var::new(tape, tape.input_of(node, i))).collect();
        Inputs { vars, reach }
    }

    /// One variable for each input, made by `wanted` or `other`; those that stand in several places are one.
    pub(super) fn each<'s>(
        &self,
        wanted: impl Fn(Var<'t, T>) -> Var<'s, T>,
        other: impl Fn(Var<'t, T>) -> Var<'s, T>,
    ) -> SmallVec<[Var<'s, T>; 8]> {
        let mut made: SmallVec<[Var<'s, T>; 8]> = SmallVec::new();
        for (k, &input) in self.vars.iter().enumerate() {
            made.push(match self.vars[..k].iter().position(|earlier| earlier.id() == input.id()) {
                Some(earlier) => made[earlier],
                None if self.reach.contains(input.tape(), input.id()) => wanted(input),
                None => other(input),
            });
        }
        made
    }
}
