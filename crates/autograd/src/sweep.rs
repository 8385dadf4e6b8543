//! The reverse pass: one loop from the result down to the first variable whose gradient is requested.

mod first_order;
mod recorded;

use std::ops::Deref;

use crate::Scalar;
use crate::checkpoint::{ByNode, Checkpoint, Input};
use crate::op::{Op, Site, Term};
use crate::tape::{OpBox, Var};

pub(crate) use first_order::sweep_values;
pub(crate) use recorded::sweep_recorded;

/// The two kinds of sweep: values, or variables that can be differentiated again. The rules are the same.
trait Sweep<'t, T: Scalar>: Copy {
    /// A cotangent to which terms are still added.
    type Sum: Default;

    /// The op of a node, to be held while its rules compute.
    fn op(self, node: u32) -> Option<impl Deref<Target = OpBox<T>>>;
    /// Adds a term to the cotangent of `input`, which it fits.
    fn add(self, sum: &mut Self::Sum, term: Term<'t, T>, input: Var<'t, T>);
    /// The cotangent of `node` for its rules, if there are terms; leaves an empty sum. Discards what the rules of the previous
    /// node computed.
    fn finish(self, sum: &mut Self::Sum, node: Var<'t, T>) -> Option<Var<'t, T>>;
    /// Runs the function of a checkpoint again and sweeps it, into the sums of its `inputs`, which stand at these places.
    fn replay(self, f: &Checkpoint<T>, cotangent: Var<'t, T>, inputs: &[Input<'t, T>], sums: &mut [Self::Sum]);
}

/// Sweeps from `from` down. Returns the places in `sums` of the nodes at `wrt` (ascending, each once), or of all leaves: these
/// sums hold their cotangents, all others end empty. They may already hold terms before.
fn sweep<'t, T: Scalar, S: Sweep<'t, T>>(
    how: S,
    from: Var<'t, T>,
    seed: Var<'t, T>,
    wrt: Option<&[u32]>,
    sums: &mut Vec<S::Sum>,
) -> ByNode<usize> {
    let (tape, mut requested) = (from.tape(), ByNode::new());
    // Lists start at the lowest node that is needed, so that a sweep over the end of a tape costs no more than that.
    let lowest = wrt.map_or(0, |wrt| wrt.first().copied().unwrap_or(0));
    // The place of a node in them; of one before `lowest`, a place behind their ends.
    let place = |v: Var<'t, T>| v.position().wrapping_sub(lowest as usize);
    // All tracked nodes depend on a leaf.
    let dependent = wrt.map(|wrt| dependent_nodes(wrt, from));
    let is_needed = |v: Var<'t, T>| match &dependent {
        Some(nodes) => nodes.get(place(v)).is_some_and(|&dependent| dependent),
        None => v.is_tracked(),
    };
    sums.resize_with(sums.len().max((from.position() + 1).saturating_sub(lowest as usize)), S::Sum::default);
    if is_needed(from) {
        how.add(&mut sums[place(from)], Term::Dense(seed), from);
    }
    // Without `wrt`, every node with an op is needed.
    let nodes = (lowest..from.id() + 1).rev().map(|index| Var::new(tape, index));
    for node in nodes.filter(|&node| dependent.is_none() || is_needed(node)) {
        let (own, op) = (place(node), how.op(node.id()));
        let is_leaf = || op.is_none() && node.is_tracked();
        let is_requested = wrt.map_or_else(is_leaf, |wrt| wrt.binary_search(&node.id()).is_ok());
        if is_requested {
            requested.push((node.id(), own));
        }
        // The sum of a leaf is left as it is: a sweep around this one may go on with it.
        let Some(op) = &op else { continue };
        let Some(cotangent) = how.finish(&mut sums[own], node) else { continue };
        if is_requested {
            how.add(&mut sums[own], Term::Dense(cotangent), node);
        }
        let (site, op): (_, &dyn Op<T>) = (Site::new(tape, node.id(), cotangent), &***op);
        let inputs = (0..site.arity()).map(|number| site.input(number));
        if let Some(checkpoint) = Checkpoint::of(op) {
            let inputs: Vec<_> = inputs.map(|input| (input, is_needed(input).then(|| place(input)))).collect();
            how.replay(checkpoint, cotangent, &inputs, sums);
            continue;
        }
        for (number, input) in inputs.enumerate().filter(|&(_, input)| is_needed(input)) {
            let term = op.vjp(number, &site).checked(op, number, input);
            how.add(&mut sums[place(input)], term, input);
        }
    }
    requested.reverse();
    requested
}

/// From the first of the positions `wrt` up to `from`, whether a node depends on one of `wrt`: only these need a cotangent.
fn dependent_nodes<T: Scalar>(wrt: &[u32], from: Var<'_, T>) -> Vec<bool> {
    let (graph, lowest) = (from.tape().graph.borrow(), wrt.first().copied().unwrap_or(0));
    let mut dependent: Vec<bool> = Vec::new();
    for node in lowest..=from.id() {
        let is_dependent = |&input: &u32| input >= lowest && dependent[(input - lowest) as usize];
        let by_input = || graph.inputs(node).iter().any(is_dependent);
        dependent.push(graph.is_tracked(node) && (wrt.binary_search(&node).is_ok() || by_input()));
    }
    dependent
}
