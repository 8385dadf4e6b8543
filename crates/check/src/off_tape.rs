//! Values that depend on the inputs but are constants on the tape: no rule sees them.

use std::panic::Location;

use rewind_autograd::{NodeInfo, Scalar, Tape, Tensor, Var};

use crate::caught::catch;
use crate::elements::{differ, nudged};
use crate::node::Node;
use crate::objective::Objective;
use crate::report::OffTape;

/// The first constant that changes when the inputs of the function do; `nodes` are those with an op.
pub(crate) fn in_function<T: Scalar>(
    objective: &Objective<'_, T>,
    inputs: &[Tensor<T>],
    nodes: &[Node<T>],
    seed: u64,
) -> Option<OffTape> {
    let function = {
        let tape = Tape::new();
        objective.at_order(1).record_before(&tape, inputs);
        tape.len()
    };
    let (here, there) = (Tape::new(), Tape::new());
    catch(|| (objective.record(&here, inputs), objective.record(&there, &moved(inputs, seed)))).ok()?;
    let nodes_of = |tape: &Tape<T>| (inputs.len()..tape.len()).map(|i| tape.node(i)).collect::<Vec<_>>();
    let found = first_moved(nodes_of(&here), nodes_of(&there))?;
    let rule_of = if found.index < function { None } else { recorder_of(found.location, nodes, seed) };
    Some(OffTape { node: found.index, location: found.location, rule_of })
}

/// The first constant within a checkpoint that changes when the inputs of the checkpoint do.
pub(crate) fn in_checkpoints<T: Scalar>(nodes: &[Node<T>], seed: u64) -> Option<OffTape> {
    nodes.iter().find_map(|node| {
        let values = node.values(false);
        let recorded = |inputs: &[Tensor<T>]| {
            let list =
                |tape: &Tape<T>, _: Var<'_, T>| (inputs.len()..tape.len()).map(|i| tape.node(i)).collect::<Vec<_>>();
            node.rerun(inputs, list).ok().flatten()
        };
        let found = first_moved(recorded(&values)?, recorded(&moved(&values, seed))?)?;
        Some(OffTape { node: node.info.index, location: found.location, rule_of: None })
    })
}

fn moved<T: Scalar>(inputs: &[Tensor<T>], seed: u64) -> Vec<Tensor<T>> {
    inputs.iter().enumerate().map(|(i, x)| nudged(x, seed, i as u64)).collect()
}

/// The first constant of one recording that has another value in the other.
fn first_moved<T: Scalar>(here: Vec<NodeInfo<T>>, there: Vec<NodeInfo<T>>) -> Option<NodeInfo<T>> {
    let changed = |(a, b): &(NodeInfo<T>, NodeInfo<T>)| {
        a.inputs.is_empty() && a.value.shape() == b.value.shape() && differ(&a.value, &b.value)
    };
    here.into_iter().zip(there).find(changed).map(|(found, _)| found)
}

/// The first op whose rule records a constant at that line.
fn recorder_of<T: Scalar>(location: &'static Location<'static>, nodes: &[Node<T>], seed: u64) -> Option<&'static str> {
    let records = |node: &&Node<T>| {
        let found = node.alone(false, |alone| {
            let tape = Tape::new();
            let (leaves, output) = alone.record(&tape, &node.values(false), node.info.value.clone());
            let before = tape.len();
            output.grad_from(tape.leaf(node.cotangent(seed)), &leaves);
            (before..tape.len()).map(|i| tape.node(i)).any(|info| info.inputs.is_empty() && info.location == location)
        });
        found.unwrap_or(false)
    };
    nodes.iter().find(records).map(|node| node.info.name)
}
