//! The reverse pass: one loop from the result down to the first variable whose gradient is requested.

mod first_order;
mod needed;
mod recorded;

use std::cell::RefCell;

use smallvec::SmallVec;

use crate::checkpoint::Checkpoint;
use crate::op::{Site, TermKind};
use crate::sums::Sums;
use crate::tape::{Scope, Scratch, Var};
use crate::{Scalar, Tensor};

use first_order::FirstOrder;
pub(crate) use first_order::Watch;
use needed::Needed;
use recorded::Recorded;

/// Gradients by position, ascending, without those that nothing flows to. No allocation for the parameters of a cell.
pub(crate) type Totals<X> = SmallVec<[(u32, X); 8]>;

/// The two kinds of sweep: values, or variables that can be differentiated again. The rules are the same.
trait Sweep<'t, T: Scalar>: Copy {
    /// A complete cotangent.
    type Total: Clone;
    /// A cotangent to which terms are still added.
    type Sum: Default;

    /// Adds a complete cotangent to that of `node`.
    fn seed(self, sum: &mut Self::Sum, total: Self::Total);
    /// Adds a rule's term to the cotangent of `input`, which it fits.
    fn add(self, sum: &mut Self::Sum, term: TermKind<Var<'t, T>>, input: Var<'t, T>);
    /// Passes the complete cotangent of `node` to the watcher, if there is one.
    fn show(self, sum: &mut Self::Sum, node: Var<'t, T>);
    /// Returns the cotangent of `node`, and empties its sum.
    fn finish(self, sum: &mut Self::Sum, node: Var<'t, T>) -> Self::Total;
    /// A cotangent as a variable, for the rules of a node. Discards what the rules of the previous node computed.
    fn variable(self, total: Self::Total) -> Var<'t, T>;
    /// Runs the function of a checkpoint again and sweeps it, into the sums of its `inputs`: those that gradients flow to.
    fn replay(
        self,
        checkpoint: &Checkpoint<T>,
        total: Self::Total,
        inputs: &[(Var<'t, T>, bool)],
        sums: &mut Sums<Self::Sum>,
    );
}

/// The gradients as values, of the nodes at the positions `wrt` (ascending, each once) or of every leaf; `watch` gets every complete
/// cotangent.
pub(crate) fn sweep_values<T: Scalar>(
    from: Var<'_, T>,
    seed: Tensor<T>,
    wrt: Option<&[u32]>,
    watch: Option<Watch<'_, T>>,
) -> Totals<Tensor<T>> {
    let (scratch, watch) = (Scratch::on(from.tape()), watch.map(RefCell::new));
    let mut sums = from.tape().take_sums();
    let totals = totals(FirstOrder { scratch: &scratch, watch: watch.as_ref() }, from, seed, wrt, &mut sums);
    from.tape().keep_sums(sums);
    totals
}

/// The gradients as variables of the tape.
pub(crate) fn sweep_recorded<'t, T: Scalar>(
    from: Var<'t, T>,
    seed: Var<'t, T>,
    wrt: Option<&[u32]>,
) -> Totals<Var<'t, T>> {
    let _scope = Scope::current(from.tape());
    totals(Recorded { tape: from.tape() }, from, seed, wrt, &mut Sums::default())
}

fn totals<'t, T: Scalar, S: Sweep<'t, T>>(
    how: S,
    from: Var<'t, T>,
    seed: S::Total,
    wrt: Option<&[u32]>,
    sums: &mut Sums<S::Sum>,
) -> Totals<S::Total> {
    sums.begin(from.position() + 1);
    sweep(how, from, seed, wrt, sums);
    sums.retained(|node, sum| (node, how.finish(sum, Var::new(from.tape(), node)))).collect()
}

/// Sweeps from `from` down, and retains the sums of `wrt`. `sums` may already hold terms.
fn sweep<'t, T: Scalar, S: Sweep<'t, T>>(
    how: S,
    from: Var<'t, T>,
    seed: S::Total,
    wrt: Option<&[u32]>,
    sums: &mut Sums<S::Sum>,
) {
    let (tape, graph) = (from.tape(), from.tape().graph());
    let needed = Needed::new(&graph, wrt, from.id());
    if needed.contains(&graph, from.id()) {
        how.seed(sums.of(from.id()), seed);
    }
    for index in (needed.lowest..=from.id()).rev() {
        let Some(sum) = sums.waiting(index) else { continue };
        let node = Var::new(tape, index);
        how.show(sum, node);
        let (record, inputs) = graph.node_and_inputs(index);
        if record.op.is_none() && !needed.is_requested(index) {
            sums.retain(index); // a leaf, whose sum a sweep around this one may go on with
            continue;
        }
        let total = how.finish(sum, node);
        sums.release(index);
        if needed.is_requested(index) {
            how.seed(sums.retain(index), total.clone());
        }
        let Some(op) = &record.op else { continue };
        if let Some(checkpoint) = Checkpoint::of(&**op) {
            let inputs = inputs.iter().map(|&input| (Var::new(tape, input), needed.contains(&graph, input)));
            how.replay(checkpoint, total, &inputs.collect::<Vec<_>>(), sums);
            continue;
        }
        let site = Site::new(tape, index, how.variable(total));
        for (number, &input) in inputs.iter().enumerate().filter(|&(_, &input)| needed.contains(&graph, input)) {
            let input = Var::new(tape, input);
            let term = op.vjp(number, &site).checked(&**op, number, input);
            how.add(sums.of(input.id()), term, input);
        }
    }
}
