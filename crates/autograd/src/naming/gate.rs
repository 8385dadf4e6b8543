//! Which gate a value belongs to: the name of a gate follows its value until that meets another.

use std::collections::{BTreeMap, BTreeSet};

use super::Names;
use crate::Scalar;
use crate::graph::Reads;

/// The gate of a value, as far as it is known from the nodes of its own time step.
///
/// | value | name | own | applied |
/// |---|---|---|---|
/// | from outside the step: x, a parameter, the state before it | | | |
/// | a gate before its activation: the part f, f + p∘c | f | | |
/// | a gate after it, and what it is applied to from outside: σ(f), σ(f)∘c | f | | yes |
/// | a value of the step itself: a matrix product, f∘c + i∘g | | yes | |
#[derive(Clone, Default)]
struct Gate {
    name: Option<String>,
    own: bool,
    applied: bool,
}

impl Gate {
    fn own() -> Self {
        Gate { own: true, ..Gate::default() }
    }

    /// Of a value computed elementwise from two.
    fn meet(self, other: Gate) -> Gate {
        match (&self.name, &other.name) {
            (Some(a), Some(b)) if a == b => Gate { applied: self.applied || other.applied, ..self },
            (Some(_), Some(_)) => Gate::own(),
            // Whatever is added to a gate before its activation belongs to it.
            (Some(_), None) if self.applied && other.own => Gate::own(),
            (Some(_), None) => self,
            (None, Some(_)) => other.meet(self),
            (None, None) => Gate { own: self.own || other.own, ..Gate::default() },
        }
    }
}

/// Elementwise ops of several inputs. Others, such as matrix products, start a new value.
const ELEMENTWISE: [&str; 6] = ["add", "sub", "mul", "div", "maximum", "where"];

/// Ops that leave every column in its place.
const SAME_COLUMNS: [&str; 3] = ["add", "sigmoid", "tanh"];

/// The most nodes visited on the way to a name; a step of a cell has a few dozen.
const MOST_NODES: usize = 256;

impl<T: Scalar> Names<'_, T> {
    /// The gates that the value of a node is split into, directly, as a term of a sum or activated; in order, none if it is not split.
    pub(crate) fn gates_behind(self, node: u32) -> Vec<String> {
        let (mut sums, mut gates) = (vec![node], Vec::new());
        for later in (node + 1..self.graph.len() as u32).take(MOST_NODES) {
            if self.graph.inputs(later).iter().any(|input| sums.contains(input)) {
                match self.scopes.part(self.scope_id(later), later) {
                    Some(gate) => gates.push(gate),
                    None if self.graph.op(later).is_some_and(|op| SAME_COLUMNS.contains(&op.name())) => {
                        sums.push(later)
                    }
                    None => {}
                }
            }
        }
        gates
    }

    /// The gate that a node belongs to.
    pub(super) fn gate_of(self, node: u32) -> Option<String> {
        if !self.scopes.has_parts() {
            return None;
        }
        let (mut waiting, mut reached) = (vec![node], BTreeSet::new());
        while let Some(node) = waiting.pop() {
            if reached.insert(node) && self.passes_names(node) {
                waiting.extend(
                    self.inputs_in_scope(node).filter_map(|(input, place)| (place == Place::Same).then_some(input)),
                );
            }
            if reached.len() > MOST_NODES {
                return None;
            }
        }
        // Inputs come before the nodes that are computed from them.
        let mut gates = BTreeMap::new();
        for &node in &reached {
            gates.insert(node, self.gate_from(node, &gates));
        }
        gates.remove(&node)?.name
    }

    /// The gate of a node, given those of its inputs in the same scope.
    fn gate_from(self, node: u32, gates: &BTreeMap<u32, Gate>) -> Gate {
        if !self.passes_names(node) {
            return Gate::own();
        }
        let inputs = self.inputs_in_scope(node).map(|(input, place)| match place {
            Place::Same => gates[&input].clone(),
            Place::Within => Gate::own(),
            Place::Outside => Gate::default(),
        });
        let gate = match self.graph.inputs(node).len() {
            1 => {
                let gate = inputs.reduce(Gate::meet).unwrap_or_default();
                // The rule of a linear op reads no values: a scaled or reshaped pre-activation is still one.
                Gate {
                    applied: gate.applied || self.graph.op(node).is_some_and(|op| op.reads() != Reads::NOTHING),
                    ..gate
                }
            }
            _ => inputs.reduce(Gate::meet).unwrap_or_default(),
        };
        match self.scopes.part(self.scope_id(node), node) {
            Some(name) => Gate { name: Some(name), own: false, ..gate },
            None => gate,
        }
    }

    /// Whether the name of an input can be that of the output.
    fn passes_names(self, node: u32) -> bool {
        self.graph.inputs(node).len() < 2 || self.graph.op(node).is_some_and(|op| ELEMENTWISE.contains(&op.name()))
    }

    /// The inputs of a node, and where they were recorded, seen from it.
    fn inputs_in_scope(self, node: u32) -> impl Iterator<Item = (u32, Place)> {
        let own = self.scope_without_parts(node);
        self.graph.inputs(node).iter().map(move |&input| {
            let other = self.scope_without_parts(input);
            let place = match () {
                () if self.is_parameter(input) => Place::Outside,
                () if own == other => Place::Same,
                () if self.scopes.is_within(other, own) => Place::Within,
                () => Place::Outside,
            };
            (input, place)
        })
    }
}

/// Where an input was recorded, seen from the scope of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the same scope.
    Same,
    /// In a scope within it, whose name is another.
    Within,
    /// Before it, or around it.
    Outside,
}
