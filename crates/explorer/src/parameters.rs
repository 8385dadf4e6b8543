//! The parameters of a network: where each is used, its letter in the equations, and its gradient item by item.

use std::collections::HashMap;

use rewind_autograd::{NodeInfo, Tensor, Var, derive};

use crate::data::Parameter;
use crate::numbers::Detail;
use crate::place::place;
use crate::record::Recorded;

/// Which nodes are parameters, and the time step that each node belongs to.
pub(crate) struct Uses {
    parameters: HashMap<usize, usize>,
    steps: Vec<Option<usize>>,
}

impl Uses {
    /// `steps` are those of the nodes, as far as they were recorded in one.
    pub(crate) fn new(recorded: &Recorded<'_>, nodes: &[NodeInfo<f64>], steps: &[Option<usize>]) -> Self {
        let parameters = recorded.parameters.iter().enumerate().map(|(k, (_, v))| (v.position(), k)).collect();
        Uses { parameters, steps: steps_of_use(nodes, steps) }
    }

    /// The number of the parameter whose leaf is this node.
    pub(crate) fn parameter_at(&self, node: usize) -> Option<usize> {
        self.parameters.get(&node).copied()
    }

    /// The step of a node; of one outside of all steps, such as a learned first state, the only step that uses it.
    pub(crate) fn step_of(&self, node: usize) -> Option<usize> {
        self.steps[node]
    }
}

fn steps_of_use(nodes: &[NodeInfo<f64>], steps: &[Option<usize>]) -> Vec<Option<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Use {
        None,
        One(usize),
        Several,
    }
    let mut uses = vec![Use::None; nodes.len()];
    for node in (0..nodes.len()).rev() {
        if let Some(step) = steps[node] {
            uses[node] = Use::One(step);
        }
        for &input in &nodes[node].inputs {
            uses[input] = match (uses[input], uses[node]) {
                (Use::None, other) | (other, Use::None) => other,
                (a, b) if a == b => a,
                _ => Use::Several,
            };
        }
    }
    let step = |of| if let Use::One(step) = of { Some(step) } else { None };
    uses.into_iter().map(step).collect()
}

/// The parameters with their gradients, in whole and by item.
pub(crate) fn parameters(recorded: &Recorded<'_>, nodes: &[NodeInfo<f64>], detail: Detail) -> Vec<Parameter> {
    let variables: Vec<_> = recorded.parameters.iter().map(|&(_, v)| v).collect();
    let items = derive::itemised(&recorded.losses, &variables, "t");
    let total = recorded.losses.iter().copied().reduce(|sum, loss| sum + loss).expect("a sequence has a loss");
    let gradients = total.backward();
    let letters = letters(recorded, nodes);
    let parameter = |(k, (name, v)): (usize, &(String, Var<'_, f64>))| {
        let gradient = gradients.get(*v);
        let steps = items.steps(k);
        let mut sum = Tensor::zeros(gradient.shape());
        let mut item = |loss, step| {
            let item = items.item(k, loss, step)?;
            sum.add_assign(&item);
            Some(detail.of(&item))
        };
        let rows = (0..items.results()).map(|loss| steps.iter().map(|&step| item(loss, step)).collect()).collect();
        Parameter {
            name: name.clone(),
            letter: letters[k],
            node: v.position(),
            shape: gradient.shape().to_vec(),
            gates: items.gates(k).to_vec(),
            residual: residual(&sum, &gradient),
            gradient: detail.of(&gradient),
            steps,
            items: rows,
        }
    };
    recorded.parameters.iter().enumerate().map(parameter).collect()
}

/// The weights of the built-in cells that share a letter: their names say which is which.
const SHARED: [&str; 3] = ["weight_ih", "weight_hh", "weight_hn"];

/// The letter of each parameter; none where two would have the same.
fn letters(recorded: &Recorded<'_>, nodes: &[NodeInfo<f64>]) -> Vec<&'static str> {
    let letters = Letters::new(recorded, nodes);
    let found: Vec<_> = recorded.parameters.iter().map(|(name, v)| letters.of(name, v.position())).collect();
    let built_in = |name: &str| name.rsplit('.').next().is_some_and(|field| SHARED.contains(&field));
    let is_clear = |k: usize| {
        let same = (0..found.len()).filter(|&other| found[other] == found[k]);
        same.clone().count() == 1 || same.into_iter().all(|other| built_in(&recorded.parameters[other].0))
    };
    let clear = |k: usize| !matches!(found[k], "W" | "U") || is_clear(k);
    (0..found.len()).map(|k| if clear(k) { found[k] } else { "" }).collect()
}

/// The largest difference, relative to the largest entry of the gradient.
fn residual(sum: &Tensor<f64>, gradient: &Tensor<f64>) -> f64 {
    let largest = |x: &Tensor<f64>| x.to_vec().into_iter().map(f64::abs).fold(0.0, f64::max);
    let difference = sum.zip(gradient, |a, b| a - b);
    if difference.to_vec().iter().all(|&d| d == 0.0) { 0.0 } else { largest(&difference) / largest(gradient) }
}

/// The letters of parameters, by what they are multiplied with: W with what depends on x alone, U with the state before the step, or
/// with a product of it and a gate.
pub(crate) struct Letters<'a> {
    nodes: &'a [NodeInfo<f64>],
    /// How each node depends on the states.
    from_state: Vec<FromState>,
    /// The step before which each state stands, 0 for the first.
    since: HashMap<usize, usize>,
    first: Vec<usize>,
}

/// How a node depends on the states before its step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FromState {
    /// Not at all.
    Not,
    /// In some way, such as a gate does.
    Somehow,
    /// It is one, a part of one, or one multiplied elementwise.
    Directly,
}

/// Ops behind which a parameter is still the same one.
const VIEWS: [&str; 7] = ["broadcast_to", "reshape", "transpose", "permute", "unsqueeze", "slice", "index"];

impl<'a> Letters<'a> {
    pub(crate) fn new(recorded: &Recorded<'_>, nodes: &'a [NodeInfo<f64>]) -> Self {
        let first: Vec<usize> = recorded.first.iter().map(|v| v.position()).collect();
        let mut since: HashMap<usize, usize> = first.iter().map(|&state| (state, 0)).collect();
        for (t, states) in recorded.states.iter().enumerate() {
            // A part that does not change is still that before the first step.
            for v in states {
                since.entry(v.position()).or_insert(t + 1);
            }
        }
        let mut letters = Letters { nodes, from_state: Vec::with_capacity(nodes.len()), since, first };
        for info in nodes {
            let most = info.inputs.iter().map(|&input| letters.read(info, input)).max().unwrap_or(FromState::Not);
            let keeps = VIEWS.contains(&info.name) || ["mul", "where"].contains(&info.name);
            letters.from_state.push(if keeps { most } else { most.min(FromState::Somehow) });
        }
        letters
    }

    /// How an input of a node depends on the states before the node's step.
    fn read(&self, node: &NodeInfo<f64>, input: usize) -> FromState {
        match (self.since.get(&input), place(&node.scope).0) {
            (Some(&since), Some(step)) if since <= step => FromState::Directly,
            _ => self.from_state[input],
        }
    }

    pub(crate) fn of(&self, name: &str, leaf: usize) -> &'static str {
        match name {
            "readout.weight" => "V",
            "readout.bias" => "c",
            _ => self.by_use(leaf),
        }
    }

    fn by_use(&self, leaf: usize) -> &'static str {
        let mut same = vec![leaf];
        for (node, info) in self.nodes.iter().enumerate().skip(leaf + 1) {
            let Some(at) = info.inputs.iter().position(|input| same.contains(input)) else { continue };
            let weight = |partner: usize| match self.read(info, info.inputs[partner]) {
                FromState::Not => "W",
                FromState::Somehow => "",
                FromState::Directly => "U",
            };
            match info.name {
                "affine" if info.inputs.len() % 2 == 1 && at + 1 == info.inputs.len() => return "b",
                "affine" if at % 2 == 1 => return weight(at - 1),
                "matmul" | "matmul_transposed" if at == 1 => return weight(0),
                "mul" if self.read(info, info.inputs[1 - at]) == FromState::Directly => return "U",
                "add" if self.nodes[leaf].value.rank() <= 1 => return "b",
                view if VIEWS.contains(&view) => {
                    if self.first.contains(&node) {
                        return "h0";
                    }
                    same.push(node);
                }
                _ if self.first.contains(&node) => return "h0",
                _ => {}
            }
        }
        if self.first.contains(&leaf) { "h0" } else { "" }
    }
}
