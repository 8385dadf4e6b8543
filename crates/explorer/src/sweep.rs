//! Reverse passes, node by node: what arrives at each, and what its rule sends to its inputs.

use rewind_autograd::{NodeInfo, Tape, Tensor, Var};

use crate::data::{Event, Leaving, Parameter, Sweep, TermOf};
use crate::numbers::{Detail, norm};
use crate::parameters::Uses;
use crate::record::Recorded;

/// A node at which a cotangent has arrived, and what leaves it.
pub(crate) struct Passing {
    pub(crate) node: usize,
    pub(crate) arrives: Tensor<f64>,
    /// By number of the input: the node that it goes to, and the term.
    pub(crate) leaves: Vec<(usize, usize, Tensor<f64>)>,
}

/// What passes in the sweep from `loss`, in its order: from the loss down. `nodes` are those of its tape.
pub(crate) fn passing(loss: Var<'_, f64>, nodes: &[NodeInfo<f64>]) -> Vec<Passing> {
    let mut seen = Vec::new();
    loss.backward_watched(|v, cotangent| seen.push((v, cotangent.clone())));
    let passing = |(v, arrives): (Var<'_, f64>, Tensor<f64>)| Passing {
        node: v.position(),
        leaves: leaving(v.tape(), nodes, v.position(), &arrives),
        arrives,
    };
    seen.into_iter().map(passing).collect()
}

/// What the rules of a node send to its inputs: its op is applied on a tape of its own, so that nothing else is on the way.
fn leaving(
    tape: &Tape<f64>,
    nodes: &[NodeInfo<f64>],
    node: usize,
    cotangent: &Tensor<f64>,
) -> Vec<(usize, usize, Tensor<f64>)> {
    let Some(op) = tape.op(node) else { return Vec::new() };
    let alone = Tape::new();
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for (k, &input) in nodes[node].inputs.iter().enumerate() {
        let value = nodes[input].value.clone();
        if is_tracked(&nodes[input]) {
            let leaf = alone.leaf(value);
            targets.push((k, input, leaf));
            inputs.push(leaf);
        } else {
            inputs.push(alone.constant(value));
        }
    }
    let gradients = alone.apply(op, &inputs).backward_from(cotangent);
    targets.into_iter().map(|(k, input, leaf)| (k, input, gradients.get(leaf))).collect()
}

/// Whether a gradient flows to a node.
fn is_tracked(node: &NodeInfo<f64>) -> bool {
    node.name != "constant"
}

/// The sweeps of all losses, in their order, and how the gradients of the parameters grow as they are played: the last loss first.
pub(crate) fn sweeps(
    recorded: &Recorded<'_>,
    nodes: &[NodeInfo<f64>],
    uses: &Uses,
    parameters: &[Parameter],
    detail: Detail,
) -> Vec<Sweep> {
    let zeros = |(_, v): &(String, Var<'_, f64>)| Tensor::zeros(&v.shape());
    let mut gradients: Vec<Tensor<f64>> = recorded.parameters.iter().map(zeros).collect();
    let mut sweeps = Vec::new();
    for (loss, &error) in recorded.losses.iter().enumerate().rev() {
        let mut events = Vec::new();
        for Passing { node, arrives, leaves } in passing(error, nodes) {
            let mut terms: Vec<TermOf> = Vec::new();
            for (_, to, tensor) in &leaves {
                let Some(parameter) = uses.parameter_at(*to) else { continue };
                gradients[parameter].add_assign(tensor);
                let after = norm(gradients[parameter].norm());
                match terms.iter_mut().find(|term| term.parameter == parameter) {
                    Some(term) => term.after = after,
                    None => {
                        // Uses within a checkpoint may be items of no step.
                        let step = uses.step_of(node).filter(|&step| parameters[parameter].steps.contains(&Some(step)));
                        terms.push(TermOf { parameter, step, after });
                    }
                }
            }
            let leaving = |(input, to, tensor)| Leaving { input, to, tensor: detail.of(&tensor) };
            let leaves = leaves.into_iter().map(leaving).collect();
            events.push(Event { node, arrives: detail.of(&arrives), leaves, terms });
        }
        sweeps.push(Sweep { loss, events });
    }
    sweeps.reverse();
    sweeps
}

#[cfg(test)]
#[path = "../tests/inside/sweep.rs"]
mod tests;
