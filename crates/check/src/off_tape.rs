//! Values that depend on the inputs but are constants on the tape: no rule sees them.

use std::panic::Location;

use rewind_autograd::{NodeInfo, NodeOp, Op, Scalar, Tape, Tensor, Var};

use crate::caught::catch;
use crate::elements::{differ, nudged};
use crate::node::Node;
use crate::objective::Objective;
use crate::report::OffTape;

/// The first constant that changes when the inputs of the function do, or else the first op that does; `nodes` are those with an
/// op.
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
    let (here, there) = (Recording::of(&here, inputs.len()), Recording::of(&there, inputs.len()));
    let found = here.first_moved(&there)?;
    let rule_of = if found.node < function { None } else { recorder_of(found.location, nodes, seed) };
    Some(OffTape { rule_of, ..found })
}

/// The first value within a checkpoint that changes when the inputs of the checkpoint do.
pub(crate) fn in_checkpoints<T: Scalar>(nodes: &[Node<T>], seed: u64) -> Option<OffTape> {
    nodes.iter().find_map(|node| {
        let values = node.values(false);
        let recorded = |inputs: &[Tensor<T>]| {
            let list = |tape: &Tape<T>, _: Var<'_, T>| Recording::of(tape, inputs.len());
            node.rerun(inputs, list).ok().flatten()
        };
        let found = recorded(&values)?.first_moved(&recorded(&moved(&values, seed))?)?;
        let scope = if found.scope.is_empty() { node.info.scope.clone() } else { found.scope };
        Some(OffTape { node: node.info.index, scope, ..found })
    })
}

fn moved<T: Scalar>(inputs: &[Tensor<T>], seed: u64) -> Vec<Tensor<T>> {
    inputs.iter().enumerate().map(|(i, x)| nudged(x, seed, i as u64)).collect()
}

/// The nodes of a tape and their ops.
struct Recording<T: Scalar> {
    nodes: Vec<(NodeInfo<T>, Option<NodeOp<T>>)>,
    /// How many of them are the inputs.
    inputs: usize,
}

impl<T: Scalar> Recording<T> {
    fn of(tape: &Tape<T>, inputs: usize) -> Self {
        Recording { nodes: (0..tape.len()).map(|i| (tape.node(i), tape.op(i))).collect(), inputs }
    }

    /// The first constant that has another value in `other`, or else the first op that gives another value there for the same
    /// inputs.
    fn first_moved(&self, other: &Self) -> Option<OffTape> {
        let pairs = || self.nodes.iter().zip(&other.nodes).skip(self.inputs);
        let constant = pairs().find(|((a, _), (b, _))| a.inputs.is_empty() && moves(&a.value, &b.value));
        if let Some(((info, _), _)) = constant {
            return Some(self.off_tape(info, None));
        }
        let held = pairs().find(|((a, _), (b, op))| {
            let Some(op) = op.as_ref().filter(|_| a.name == b.name && !a.inputs.is_empty()) else { return false };
            let inputs: Vec<&Tensor<T>> = a.inputs.iter().map(|&input| &self.nodes[input].0.value).collect();
            catch(|| op.forward(&inputs)).is_ok_and(|value| moves(&a.value, &value))
        });
        held.map(|((info, _), _)| self.off_tape(info, Some(info.name)))
    }

    fn off_tape(&self, info: &NodeInfo<T>, held_by: Option<&'static str>) -> OffTape {
        // A constant reads no parameter that would tell its layer, but what reads it does.
        let reader = self.nodes.iter().find(|(reader, _)| held_by.is_none() && reader.inputs.contains(&info.index));
        let scope = reader.map(|(reader, _)| &reader.scope).filter(|scope| !scope.is_empty()).unwrap_or(&info.scope);
        OffTape { node: info.index, scope: scope.clone(), location: info.location, rule_of: None, held_by }
    }
}

fn moves<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> bool {
    a.shape() == b.shape() && differ(a, b)
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
