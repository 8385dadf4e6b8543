//! The reverse pass: one loop from the result down to the first variable whose gradient is requested.

mod first_order;
mod recorded;

use std::ops::Deref;

use smallvec::SmallVec;

use crate::Scalar;
use crate::checkpoint::Checkpoint;
use crate::op::{Site, TermKind};
use crate::tape::{OpBox, Var};

pub(crate) use first_order::sweep_values;
pub(crate) use recorded::sweep_recorded;

/// Gradients by position, ascending, without those that nothing flows to. No allocation for the parameters of a cell.
pub(crate) type Totals<X> = SmallVec<[(u32, X); 8]>;

/// The two kinds of sweep: values, or variables that can be differentiated again. The rules are the same.
trait Sweep<'t, T: Scalar>: Copy {
    /// A cotangent to which terms are still added.
    type Sum: Default;

    /// The op of a node, to be held while its rules compute.
    fn op(self, node: u32) -> Option<impl Deref<Target = OpBox<T>>>;
    /// Whether a sum has no term.
    fn is_empty(self, sum: &Self::Sum) -> bool;
    /// Adds a term to the cotangent of `input`, which it fits.
    fn add(self, sum: &mut Self::Sum, term: TermKind<Var<'t, T>>, input: Var<'t, T>);
    /// The cotangent of `node`, for its rules; leaves an empty sum. Discards what the rules of the previous node computed.
    fn finish(self, sum: &mut Self::Sum, node: Var<'t, T>) -> Var<'t, T>;
    /// Runs the function of a checkpoint again and sweeps it, into the sums of its `inputs`: those that gradients flow to.
    fn replay(
        self,
        checkpoint: &Checkpoint<T>,
        cotangent: Var<'t, T>,
        inputs: &[(Var<'t, T>, bool)],
        sums: &mut [Self::Sum],
    );
}

/// Sweeps from `from` down. Returns the positions, descending, of those among `wrt` (ascending, each once) or among all leaves whose
/// cotangents have terms: they stay in `sums`, which may already hold terms before. All other sums end empty.
fn sweep<'t, T: Scalar, S: Sweep<'t, T>>(
    how: S,
    from: Var<'t, T>,
    seed: Var<'t, T>,
    wrt: Option<&[u32]>,
    sums: &mut Vec<S::Sum>,
) -> SmallVec<[u32; 8]> {
    let (tape, mut requested) = (from.tape(), SmallVec::new());
    // All tracked nodes depend on a leaf.
    let dependent = wrt.map(|wrt| dependent_nodes(wrt, from));
    let is_needed = |v: Var<'t, T>| dependent.as_ref().map_or_else(|| v.is_tracked(), |nodes| nodes[v.position()]);
    if sums.len() <= from.position() {
        sums.resize_with(from.position() + 1, S::Sum::default);
    }
    if is_needed(from) {
        how.add(&mut sums[from.position()], TermKind::Dense(seed), from);
    }
    let lowest = wrt.map_or(0, |wrt| wrt.first().copied().unwrap_or(0));
    for index in (lowest..=from.id()).rev() {
        let (node, sum) = (Var::new(tape, index), &mut sums[index as usize]);
        if how.is_empty(sum) {
            continue;
        }
        let op = how.op(index);
        let is_requested = wrt.map_or(op.is_none(), |wrt| wrt.binary_search(&index).is_ok());
        if is_requested {
            requested.push(index);
        }
        let Some(op) = op else { continue }; // a leaf, whose sum a sweep around this one may go on with
        let cotangent = how.finish(sum, node);
        if is_requested {
            how.add(sum, TermKind::Dense(cotangent), node);
        }
        let site = Site::new(tape, index, cotangent);
        let inputs = (0..site.arity()).map(|number| site.input(number));
        if let Some(checkpoint) = Checkpoint::of(&**op) {
            how.replay(checkpoint, cotangent, &inputs.map(|input| (input, is_needed(input))).collect::<Vec<_>>(), sums);
            continue;
        }
        for (number, input) in inputs.enumerate().filter(|&(_, input)| is_needed(input)) {
            let term = op.vjp(number, &site).checked(&**op, number, input);
            how.add(&mut sums[input.position()], term, input);
        }
    }
    requested
}

/// By position up to `from`, whether a node depends on one of those at the positions `wrt`: only these need a cotangent.
fn dependent_nodes<T: Scalar>(wrt: &[u32], from: Var<'_, T>) -> Vec<bool> {
    let graph = from.tape().graph.borrow();
    let mut dependent = vec![false; from.position() + 1];
    for node in wrt.first().copied().unwrap_or(0)..=from.id() {
        let by_input = || graph.inputs(node).iter().any(|&input| dependent[input as usize]);
        dependent[node as usize] = graph.is_tracked(node) && (wrt.binary_search(&node).is_ok() || by_input());
    }
    dependent
}
