//! Any order: what rules compute is recorded, and so are the sums of terms.

use std::ops::Deref;

use smallvec::SmallVec;

use super::{Sweep, Totals, sweep};
use crate::Scalar;
use crate::checkpoint::Checkpoint;
use crate::kernels::reduce::BLOCK;
use crate::op::TermKind;
use crate::ops::accumulate::{SumOfProducts, SumOfSlices};
use crate::tape::{OpBox, Scope, Tape, Var};

/// The gradients with respect to the nodes at the positions `wrt` (ascending, each once), as variables of the tape.
pub(crate) fn sweep_recorded<'t, T: Scalar>(from: Var<'t, T>, seed: Var<'t, T>, wrt: &[u32]) -> Totals<Var<'t, T>> {
    let (how, _scope, mut sums) = (Recorded(from.tape()), Scope::current(from.tape()), Vec::new());
    let requested = sweep(how, from, seed, Some(wrt), &mut sums);
    let total = |node| (node, how.finish(&mut sums[node as usize], Var::new(from.tape(), node)));
    requested.into_iter().rev().map(total).collect()
}

#[derive(Clone, Copy)]
struct Recorded<'t, T: Scalar>(&'t Tape<T>);

impl<'t, T: Scalar> Sweep<'t, T> for Recorded<'t, T> {
    /// Terms are collected, and summed by ops when the cotangent is complete.
    type Sum = Vec<TermKind<Var<'t, T>>>;

    fn op(self, node: u32) -> Option<impl Deref<Target = OpBox<T>>> {
        self.0.shared_op(node)
    }

    fn is_empty(self, sum: &Self::Sum) -> bool {
        sum.is_empty()
    }

    fn add(self, sum: &mut Self::Sum, term: TermKind<Var<'t, T>>, _: Var<'t, T>) {
        sum.push(term);
    }

    /// What is recorded next gets the scope of the node that it differentiates.
    fn finish(self, sum: &mut Self::Sum, node: Var<'t, T>) -> Var<'t, T> {
        let scope = self.0.graph.borrow().node(node.id()).map_or(0, |node| node.scope);
        self.0.scopes.borrow_mut().set(scope);
        sum_of_terms(std::mem::take(sum), node)
    }

    fn replay(
        self,
        checkpoint: &Checkpoint<T>,
        cotangent: Var<'t, T>,
        inputs: &[(Var<'t, T>, bool)],
        sums: &mut [Self::Sum],
    ) {
        checkpoint.replay_recorded(inputs, |y, wanted, input_of| {
            for (variable, gradient) in sweep_recorded(y, cotangent, wanted) {
                sums[input_of(variable).position()].push(TermKind::Dense(gradient));
            }
        });
    }
}

/// The cotangent of `node`.
fn sum_of_terms<'t, T: Scalar>(sum: Vec<TermKind<Var<'t, T>>>, node: Var<'t, T>) -> Var<'t, T> {
    let (tape, shape) = (node.tape(), node.shape());
    let mut products = Vec::new();
    let mut parts = Vec::new();
    let mut slices = SumOfSlices::new(shape.clone());
    let mut terms: SmallVec<[Var<'t, T>; 8]> = SmallVec::new();
    for term in sum {
        match term {
            TermKind::Zero => {}
            TermKind::Dense(g) => terms.push(g),
            TermKind::Summed(g) => terms.push(g.sum_to(&shape)),
            TermKind::Product(x, g) => products.extend([x, g]),
            TermKind::Slice { part, axis, start } => {
                parts.push(part);
                slices.push(axis, start);
            }
        }
    }
    if !products.is_empty() {
        terms.push(tape.apply(SumOfProducts, &products));
    }
    if !parts.is_empty() {
        terms.push(tape.apply(slices, &parts));
    }
    pairwise(&terms).unwrap_or_else(|| tape.zeros(&shape))
}

/// The sum of some variables: sequential in blocks, pairwise over the blocks.
fn pairwise<'t, T: Scalar>(terms: &[Var<'t, T>]) -> Option<Var<'t, T>> {
    if terms.len() > BLOCK {
        let (first, second) = terms.split_at(terms.len() / 2);
        return Some(pairwise(first)? + pairwise(second)?);
    }
    terms.iter().copied().reduce(|sum, term| sum + term)
}
