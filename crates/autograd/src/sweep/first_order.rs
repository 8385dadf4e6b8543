//! First order: what rules compute is discarded after every node, and terms are added in place.

use std::cell::Ref;
use std::ops::Deref;

use smallvec::SmallVec;

use super::{Sweep, Totals, sweep};
use crate::checkpoint::Checkpoint;
use crate::graph::Graph;
use crate::op::TermKind;
use crate::sums::Sum;
use crate::tape::{Mode, OpBox, Tape, Var};
use crate::{Scalar, Tensor};

/// The gradients as values, of the nodes at the positions `wrt` (ascending, each once) or of every leaf.
pub(crate) fn sweep_values<T: Scalar>(from: Var<'_, T>, seed: Tensor<T>, wrt: Option<&[u32]>) -> Totals<Tensor<T>> {
    let mut sums = from.tape().sums.take();
    let requested = sweep_into(&mut sums, from, seed, wrt);
    let totals = requested.into_iter().rev().map(|node| (node, sums[node as usize].finish())).collect();
    from.tape().sums.set(sums);
    totals
}

fn sweep_into<T: Scalar>(
    sums: &mut Vec<Sum<T>>,
    from: Var<'_, T>,
    seed: Tensor<T>,
    wrt: Option<&[u32]>,
) -> SmallVec<[u32; 8]> {
    let how = FirstOrder::on(from.tape());
    sweep(&how, from, how.begin(seed), wrt, sums)
}

/// A tape whose ops compute values without nodes, behind those of its nodes. Dropping it restores the tape, also when a rule panics.
struct FirstOrder<'t, T: Scalar> {
    tape: &'t Tape<T>,
    graph: Ref<'t, Graph<OpBox<T>>>,
    before: Mode,
}

impl<'t, T: Scalar> FirstOrder<'t, T> {
    fn on(tape: &'t Tape<T>) -> Self {
        FirstOrder { tape, graph: tape.graph.borrow(), before: tape.mode.replace(Mode::Sweeping) }
    }

    /// Discards all values without nodes, and adds this one.
    fn begin(&self, value: Tensor<T>) -> Var<'t, T> {
        self.tape.values.truncate(self.graph.len());
        Var::new(self.tape, self.tape.values.push(value))
    }

    /// The value of a variable: moved out if it was computed since [`begin`](FirstOrder::begin), so that sums add in place.
    #[inline(always)]
    fn take(&self, v: Var<'t, T>) -> Tensor<T> {
        let own = v.id() > self.graph.len() && std::ptr::eq(v.tape(), self.tape);
        if own { self.tape.values.take(v.id()) } else { v.value() }
    }
}

impl<T: Scalar> Drop for FirstOrder<'_, T> {
    fn drop(&mut self) {
        self.tape.values.truncate(self.graph.len());
        self.tape.mode.set(self.before);
    }
}

impl<'t, T: Scalar> Sweep<'t, T> for &FirstOrder<'t, T> {
    type Sum = Sum<T>;

    fn op(self, node: u32) -> Option<impl Deref<Target = OpBox<T>>> {
        self.graph.op(node)
    }

    fn is_empty(self, sum: &Sum<T>) -> bool {
        sum.is_empty()
    }

    fn add(self, sum: &mut Sum<T>, term: TermKind<Var<'t, T>>, input: Var<'t, T>) {
        match term {
            TermKind::Zero => input.with_shape(|shape| sum.add_zero(shape)),
            TermKind::Dense(g) => sum.add_dense(self.take(g)),
            TermKind::Summed(g) => g.with_value(|g| input.with_shape(|shape| sum.add_summed(g, shape))),
            TermKind::Product(x, g) => sum.add_product(x.value(), self.take(g)), // x and g may be one variable
            TermKind::Slice { part, axis, start } => {
                part.with_value(|part| input.with_shape(|shape| sum.add_slice(part, (axis, start), shape)));
            }
        }
    }

    fn finish(self, sum: &mut Sum<T>, _: Var<'t, T>) -> Var<'t, T> {
        self.begin(sum.finish())
    }

    fn replay(
        self,
        checkpoint: &Checkpoint<T>,
        cotangent: Var<'t, T>,
        inputs: &[(Var<'t, T>, bool)],
        sums: &mut [Sum<T>],
    ) {
        checkpoint.replay_values(inputs, sums, |y, sums| sweep_into(sums, y, cotangent.value(), None));
    }
}
