//! Any order: what rules compute is recorded, and so are the sums of terms.

use std::ops::Deref;

use super::{Sweep, sweep};
use crate::Scalar;
use crate::checkpoint::{ByNode, Checkpoint, Input};
use crate::op::Term;
use crate::ops::accumulate::sum_of_terms;
use crate::tape::{OpBox, Scope, Tape, Var};

/// The gradients with respect to the nodes at the positions `wrt` (ascending, each once), as variables of the tape.
pub(crate) fn sweep_recorded<'t, T: Scalar>(from: Var<'t, T>, seed: Var<'t, T>, wrt: &[u32]) -> ByNode<Var<'t, T>> {
    let (how, _scope, mut sums) = (Recorded(from.tape()), Scope::current(from.tape()), Vec::new());
    let requested = sweep(how, from, seed, Some(wrt), &mut sums);
    let mut gradient = |node, place: usize| how.finish(&mut sums[place], Var::new(from.tape(), node));
    requested.into_iter().filter_map(|(node, place)| Some((node, gradient(node, place)?))).collect()
}

#[derive(Clone, Copy)]
struct Recorded<'t, T: Scalar>(&'t Tape<T>);

impl<'t, T: Scalar> Sweep<'t, T> for Recorded<'t, T> {
    /// Terms are collected, and summed by an op when the cotangent is complete.
    type Sum = Vec<Term<'t, T>>;

    fn op(self, node: u32) -> Option<impl Deref<Target = OpBox<T>>> {
        self.0.shared_op(node)
    }

    fn add(self, sum: &mut Self::Sum, term: Term<'t, T>, _: Var<'t, T>) {
        sum.push(term);
    }

    /// What is recorded next gets the scope of the node that it differentiates.
    fn finish(self, sum: &mut Self::Sum, node: Var<'t, T>) -> Option<Var<'t, T>> {
        let scope = self.0.graph.borrow().node(node.id()).map_or(0, |node| node.scope);
        self.0.scopes.borrow_mut().set(scope);
        let terms = std::mem::take(sum);
        (!terms.is_empty()).then(|| sum_of_terms(node, &terms))
    }

    fn replay(self, f: &Checkpoint<T>, cotangent: Var<'t, T>, inputs: &[Input<'t, T>], sums: &mut [Self::Sum]) {
        for (place, gradient) in f.replay_recorded(inputs, |y, wanted| sweep_recorded(y, cotangent, wanted)) {
            sums[place].push(Term::Dense(gradient));
        }
    }
}
