//! Any order: what rules compute is recorded, and so are the sums of terms.

use smallvec::SmallVec;

use super::{Sweep, sweep_recorded};
use crate::Scalar;
use crate::checkpoint::Checkpoint;
use crate::kernels::reduce::BLOCK;
use crate::op::TermKind;
use crate::ops::accumulate::{SumOfProducts, SumOfSlices};
use crate::sums::Sums;
use crate::tape::{Tape, Var};

#[derive(Clone, Copy)]
pub(super) struct Recorded<'t, T: Scalar> {
    pub(super) tape: &'t Tape<T>,
}

impl<'t, T: Scalar> Sweep<'t, T> for Recorded<'t, T> {
    type Total = Var<'t, T>;
    /// Terms are collected, and summed by ops when the cotangent is complete.
    type Sum = Vec<TermKind<Var<'t, T>>>;

    fn seed(self, sum: &mut Self::Sum, total: Var<'t, T>) {
        sum.push(TermKind::Dense(total));
    }

    fn add(self, sum: &mut Self::Sum, term: TermKind<Var<'t, T>>, _: Var<'t, T>) {
        sum.push(term);
    }

    fn show(self, _: &mut Self::Sum, _: Var<'t, T>) {}

    /// What is recorded next gets the scope of the node that it differentiates.
    fn finish(self, sum: &mut Self::Sum, node: Var<'t, T>) -> Var<'t, T> {
        self.tape.set_scope(self.tape.with_graph(|graph| graph.node(node.id()).map_or(0, |node| node.scope)));
        sum_of_terms(std::mem::take(sum), node)
    }

    fn variable(self, total: Var<'t, T>) -> Var<'t, T> {
        total
    }

    fn replay(
        self,
        checkpoint: &Checkpoint<T>,
        total: Var<'t, T>,
        inputs: &[(Var<'t, T>, bool)],
        sums: &mut Sums<Self::Sum>,
    ) {
        checkpoint.replay_recorded(inputs, |y, wanted, input_of| {
            for (variable, gradient) in sweep_recorded(y, total, Some(wanted)) {
                sums.of(input_of(variable).id()).push(TermKind::Dense(gradient));
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
