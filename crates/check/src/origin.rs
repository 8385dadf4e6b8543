//! Where a wrong gradient comes from: an op with a wrong rule, or a value that left the tape.

use rewind_autograd::{Scalar, Tape, Tensor, Var};

use crate::caught::catch;
use crate::node::ancestors;
use crate::objective::Objective;
use crate::off_tape;
use crate::report::{Culprit, Doubt};
use crate::suspect::{Search, Walk};

/// The result of a search.
pub(crate) struct Origin {
    pub(crate) culprit: Option<Culprit>,
    /// Why a node alone cannot be judged, if there is one: without another fault, the function is not wrong.
    pub(crate) doubt: Option<Doubt>,
}

/// Looks for the origin of what is wrong with the gradient of `objective`.
pub(crate) fn find<T: Scalar>(objective: &Objective<'_, T>, inputs: &[Tensor<T>], search: Search) -> Origin {
    let tape = Tape::new();
    let roots = match catch(|| objective.record_before(&tape, inputs)) {
        Ok(roots) => roots.into_iter().map(Var::position).collect::<Vec<_>>(),
        // The reverse pass below this order fails already: examine what was recorded until then.
        Err(_) => (0..tape.len()).collect(),
    };
    let walk = Walk::new(ancestors(&tape, &roots), search);
    let culprit = walk
        .suspect()
        .map(Culprit::Op)
        .or_else(|| off_tape::in_function(objective, inputs, walk.nodes(), search.seed).map(Culprit::OffTape))
        .or_else(|| off_tape::in_checkpoints(walk.nodes(), search.seed).map(Culprit::OffTape));
    Origin { culprit, doubt: walk.into_doubt() }
}
