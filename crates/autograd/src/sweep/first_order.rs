//! First order: what rules compute is discarded after every node, and terms are added in place.

use std::cell::Ref;
use std::ops::Deref;

use super::{Sweep, sweep};
use crate::checkpoint::{ByNode, Checkpoint, Input};
use crate::graph::Graph;
use crate::op::Term;
use crate::sums::Sum;
use crate::tape::{Mode, OpBox, Tape, Var};
use crate::{Scalar, Tensor};

/// The gradients as values, of the nodes at the positions `wrt` (ascending, each once) or of every leaf.
pub(crate) fn sweep_values<T: Scalar>(from: Var<'_, T>, seed: Tensor<T>, wrt: Option<&[u32]>) -> ByNode<Tensor<T>> {
    let mut sums = from.tape().sums.take();
    let requested = sweep_into(&mut sums, from, seed, wrt);
    let gradients = requested.into_iter().filter_map(|(node, place)| Some((node, sums[place].finish()?))).collect();
    from.tape().sums.set(sums);
    gradients
}

fn sweep_into<T: Scalar>(sums: &mut Vec<Sum<T>>, y: Var<'_, T>, seed: Tensor<T>, wrt: Option<&[u32]>) -> ByNode<usize> {
    let how = FirstOrder::on(y.tape());
    sweep(&how, y, how.begin(seed), wrt, sums)
}

/// A tape whose ops compute values without nodes, behind those of its nodes. Dropping it restores the tape, also when a rule panics.
struct FirstOrder<'t, T: Scalar> {
    tape: &'t Tape<T>,
    graph: Ref<'t, Graph<OpBox<T>>>,
}

impl<'t, T: Scalar> FirstOrder<'t, T> {
    fn on(tape: &'t Tape<T>) -> Self {
        tape.mode.set(Mode::Sweeping);
        FirstOrder { tape, graph: tape.graph.borrow() }
    }

    /// Discards all values without nodes, and adds this one.
    #[inline(always)]
    fn begin(&self, value: Tensor<T>) -> Var<'t, T> {
        self.tape.values.borrow_mut().truncate(self.graph.len());
        self.tape.push_value(value)
    }

    /// The value of a variable: moved out if it was computed since [`begin`](FirstOrder::begin), so that sums add in place.
    #[inline(always)]
    fn take(&self, v: Var<'t, T>) -> Tensor<T> {
        if v.position() > self.graph.len() && std::ptr::eq(v.tape(), self.tape) {
            std::mem::replace(&mut self.tape.values.borrow_mut()[v.position()], Tensor::vacant())
        } else {
            v.value()
        }
    }
}

impl<T: Scalar> Drop for FirstOrder<'_, T> {
    fn drop(&mut self) {
        self.tape.values.borrow_mut().truncate(self.graph.len());
        self.tape.mode.set(Mode::Recording);
    }
}

impl<'t, T: Scalar> Sweep<'t, T> for &FirstOrder<'t, T> {
    type Sum = Sum<T>;

    fn op(self, node: u32) -> Option<impl Deref<Target = OpBox<T>>> {
        self.graph.op(node)
    }

    fn add(self, sum: &mut Sum<T>, term: Term<'t, T>, input: Var<'t, T>) {
        match term {
            Term::Zero => sum.add_zero(input.tensor().shape()),
            Term::Dense(g) => sum.add_dense(self.take(g)),
            Term::Summed(g) => sum.add_summed(&g.read(), input.tensor().shape()),
            Term::Product(x, g) => sum.add_product(x.value(), self.take(g)), // x and g may be one variable
            Term::Slice { part, axis, start } => sum.add_slice(&part.read(), (axis, start), input.tensor().shape()),
        }
    }

    fn finish(self, sum: &mut Sum<T>, _: Var<'t, T>) -> Option<Var<'t, T>> {
        sum.finish().map(|cotangent| self.begin(cotangent))
    }

    fn replay(self, f: &Checkpoint<T>, cotangent: Var<'t, T>, inputs: &[Input<'t, T>], sums: &mut [Sum<T>]) {
        f.replay_values(inputs, sums, |y, sums| sweep_into(sums, y, cotangent.value(), None));
    }
}
