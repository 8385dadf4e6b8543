//! The gradient of the whole loss on its way through the states, beside what the gates and the recurrent weights do.

use std::collections::BTreeMap;
use std::fmt;

use rewind_autograd::derive::{self, CarriedPart};
use rewind_autograd::{Module, NodeInfo, OnTape, Op, Parameters, Scalar, Tape, Var};

use super::spectrum::spectral_radius;
use super::table::{columns, shown};

/// How the gradient of E = Σ_s E_s flows through an unrolled network: |dE/dh_t| of every variable that is carried from step to step, the
/// spectral radius of the recurrent weights, and mean and saturation of the gates.
///
/// `losses` is as for [`itemised`](super::itemised()). What is carried is found by structure ([`derive::carried`]), in both directions of
/// time, and named by it: `h` is what is read outside of the layer, `c` what is not, whatever the cell calls them. An encoder and the decoder
/// that goes on from it have states of their own. Costs one sweep.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::{Lstm, lens, unroll};
///
/// let lstm = Lstm::<Tensor<f64>>::new(1, 4, &mut StdRng::seed_from_u64(1));
/// let x = Tensor::from_fn(&[20, 1, 1], |t| (t as f64).sin());
/// let flow = lens::flow(&lstm, |tape, lstm| vec![unroll(lstm, tape.constant(x.clone())).last_output().square().sum()]);
/// let names: Vec<_> = flow.states.iter().map(|state| state.name.as_str()).collect();
/// assert_eq!(names, ["h", "c"]);
/// let c = &flow.states[1];
/// assert!(c.norms[0] < c.norms[19]); // the gradient vanishes on its way back
/// println!("{flow}");
/// ```
///
/// # Panics
/// If a loss has more than one element or is on another tape, or a step reads what a step further away than the next has recorded.
#[track_caller]
pub fn flow<T, M, F>(module: &M, losses: F) -> Flow
where
    T: Scalar,
    M: Module<T>,
    F: for<'t> FnOnce(&'t Tape<T>, &M::With<Var<'t, T>>) -> Vec<Var<'t, T>>,
{
    let tape = Tape::new();
    let on_tape = module.on(&tape);
    let losses = losses(&tape, &on_tape);
    let variables: Vec<Var<'_, T>> = on_tape.leaves().into_iter().copied().collect();
    let parts = by_layer(derive::carried(&variables, "t").parts);
    let recorded = tape.len();
    let weights = recurrent_weights(&tape, &parts);
    let gates = gates(&tape, recorded, &parts);
    let nodes: Vec<Var<'_, T>> = parts.iter().flat_map(|part| part.nodes.iter().map(|&(_, v)| v)).collect();
    let Some(total) = losses.into_iter().reduce(|sum, loss| sum + loss) else {
        return Flow { states: Vec::new(), weights, gates };
    };
    let gradients = total.backward_to(&nodes);
    let names = state_names(&parts);
    let states = parts.iter().zip(names).map(|(part, name)| StateFlow {
        name,
        backward: part.backward,
        steps: part.steps().collect(),
        norms: part.nodes.iter().map(|&(_, v)| gradients.get(v).norm().to_f64()).collect(),
    });
    Flow { states: states.collect(), weights, gates }
}

/// The gradient on its way through the states: made by [`flow`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Flow {
    /// Every variable that is carried through time, layer by layer.
    pub states: Vec<StateFlow>,
    /// The spectral radius of every recurrent weight, by gate.
    pub weights: Vec<WeightFlow>,
    /// Every gate: each logistic function or tanh with a name of its own within its step, and each such state.
    pub gates: Vec<GateFlow>,
}

/// The gradient with respect to one variable of the state.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct StateFlow {
    /// Its layer, then `h` if it is an output of the layer and `c` if not (`c1`, `c2` if there are more): `encoder/c`.
    pub name: String,
    /// Whether time runs backward.
    pub backward: bool,
    /// The time steps, in the order in which they were computed.
    pub steps: Vec<usize>,
    /// |dE/dh_t| in each of these steps, over the whole batch: all paths to all losses.
    pub norms: Vec<f64>,
}

impl StateFlow {
    /// By step, |dE/dh_t| divided by that of the step computed next: above 1, the gradient grows on its way back; one fewer than the steps.
    /// NaN where both are 0.
    pub fn growth(&self) -> Vec<f64> {
        self.norms.windows(2).map(|pair| pair[0] / pair[1]).collect()
    }
}

/// The spectral radius of a recurrent weight.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct WeightFlow {
    /// The dotted name of the parameter.
    pub parameter: String,
    /// The gate of these columns; `None` for a weight `[H, H]`.
    pub gate: Option<String>,
    /// The largest |λ| of the eigenvalues of the block `[H, H]`.
    pub radius: f64,
}

/// A gate over time.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GateFlow {
    /// Its layer and its name within a step: `encoder/f`.
    pub name: String,
    /// `sigmoid` or `tanh`.
    pub activation: String,
    /// The time steps, ascending.
    pub steps: Vec<usize>,
    /// The mean over all units and sequences, padding included.
    pub mean: Vec<f64>,
    /// The share of saturated elements: of a logistic function below 0.1 or above 0.9, of a tanh beyond ±0.9. There, its derivative is
    /// less than 0.09, or than 0.19.
    pub saturated: Vec<f64>,
}

/// Where a chain goes on in another layer, as from an encoder to a decoder, each has its own part.
fn by_layer<T: Scalar>(parts: Vec<CarriedPart<'_, T>>) -> Vec<CarriedPart<'_, T>> {
    let mut split: Vec<CarriedPart<'_, T>> = Vec::with_capacity(parts.len());
    for part in parts {
        let mut layer = None;
        for &(step, v) in &part.nodes {
            // A state that depends on no parameter of its step is in no known layer.
            let own = Some(place(&v.scope()).0).filter(|own| !own.is_empty());
            if layer.is_none() || (own.is_some() && own != layer) {
                let reader = if layer.is_none() { part.reader } else { v };
                split.push(CarriedPart { nodes: Vec::new(), reader, ..part });
            }
            layer = own.or(layer).or(Some(String::new()));
            split.last_mut().expect("a part has begun").nodes.push((step, v));
        }
    }
    split
}

/// The layer of a node, and what its scope says within the step.
pub(super) fn place(scope: &str) -> (String, String) {
    let levels: Vec<&str> = scope.split('/').collect();
    match levels.iter().rposition(|level| level.starts_with("t=")) {
        Some(at) => (levels[..at].join("/"), levels[at + 1..].join("/")),
        None => (scope.to_owned(), String::new()),
    }
}

fn within(layer: &str, name: &str) -> String {
    if layer.is_empty() { name.to_owned() } else { format!("{layer}/{name}") }
}

/// A name for each part by structure, whatever the cell calls it: `h` for an output, `c` for what stays within a layer.
pub(super) fn state_names<T: Scalar>(parts: &[CarriedPart<'_, T>]) -> Vec<String> {
    // The first step may not know its layer yet: what it reads is a constant.
    let layer = |part: &CarriedPart<'_, T>| place(&part.reader.scope()).0;
    let key = |part: &CarriedPart<'_, T>| {
        let alone = parts.iter().filter(|other| layer(other) == layer(part)).count() == 1;
        (layer(part), if part.is_output || alone { "h" } else { "c" })
    };
    let keys: Vec<_> = parts.iter().map(key).collect();
    let name = |(k, key): (usize, &(String, &str))| {
        let number = keys[..k].iter().filter(|other| *other == key).count() + 1;
        let all = keys.iter().filter(|other| *other == key).count();
        within(&key.0, &if all == 1 { key.1.to_owned() } else { format!("{}{number}", key.1) })
    };
    keys.iter().enumerate().map(name).collect()
}

/// How far behind its first reader a step still reads its state.
const STEP: usize = 256;

/// The weights that multiply a part of the state, or a product of it and a gate, in the second step.
fn recurrent_weights<T: Scalar>(tape: &Tape<T>, parts: &[CarriedPart<'_, T>]) -> Vec<WeightFlow> {
    let mut found: BTreeMap<usize, Vec<WeightFlow>> = BTreeMap::new();
    for part in parts {
        let (start, state) = (part.reader.position(), part.nodes[0].1.position());
        let nodes: Vec<NodeInfo<T>> = (start..tape.len().min(start + STEP)).map(|at| tape.node(at)).collect();
        let mut states = vec![state];
        for node in &nodes {
            if node.name == "mul" && node.inputs.contains(&state) {
                states.push(node.index);
            }
            let weight =
                node.inputs.windows(2).find(|pair| states.contains(&pair[0]) && is_product(node)).map(|pair| pair[1]);
            if let Some(weight) = weight.filter(|weight| !found.contains_key(weight)) {
                found.insert(weight, by_gate(tape, &nodes, node.index, &tape.node(weight)));
            }
        }
    }
    found.into_values().flatten().collect()
}

fn is_product<T: Scalar>(node: &NodeInfo<T>) -> bool {
    ["affine", "matmul"].contains(&node.name)
}

/// The radius of every block `[H, H]` of a weight that `product` reads; none if its shape has no such blocks.
fn by_gate<T: Scalar>(tape: &Tape<T>, nodes: &[NodeInfo<T>], product: usize, weight: &NodeInfo<T>) -> Vec<WeightFlow> {
    let &[hidden, width] = weight.value.shape() else { return Vec::new() };
    if hidden == 0 || !width.is_multiple_of(hidden) {
        return Vec::new();
    }
    let (mut sums, mut gates) = (vec![product], Vec::new());
    for node in nodes.iter().filter(|node| node.index > product) {
        if node.inputs.iter().any(|input| sums.contains(input)) {
            match node.name {
                "add" | "sigmoid" => sums.push(node.index),
                "slice" => gates.push(place(&tape.node(node.index).scope).1),
                _ => {}
            }
        }
    }
    let parts = width / hidden;
    let block = |k: usize| WeightFlow {
        parameter: weight.scope.clone(),
        gate: match gates.get(k) {
            _ if parts == 1 => None,
            Some(gate) if gates.len() == parts => Some(gate.clone()),
            _ => Some(format!("{} of {parts}", k + 1)),
        },
        radius: spectral_radius(&weight.value.slice(1, k * hidden..(k + 1) * hidden)),
    };
    (0..parts).map(block).collect()
}

/// Statistics of all logistic functions and tanhs that have a name within their step, and of those that are themselves carried.
fn gates<T: Scalar>(tape: &Tape<T>, recorded: usize, parts: &[CarriedPart<'_, T>]) -> Vec<GateFlow> {
    let op = |at: usize| tape.op(at).map_or("", |op| op.name());
    let is_activation = |name: &str| ["sigmoid", "tanh"].contains(&name);
    let mut gates: BTreeMap<(String, String), BTreeMap<usize, [f64; 2]>> = BTreeMap::new();
    let states: BTreeMap<usize, String> = (parts.iter().zip(state_names(parts)))
        .flat_map(|(part, name)| part.nodes.iter().map(move |(_, v)| (v.position(), name.clone())))
        .collect();
    for at in 0..recorded {
        let own = op(at);
        if !is_activation(own) && own != "slice" {
            continue;
        }
        let node = tape.node(at);
        let activation = if own == "slice" { op(node.inputs[0]) } else { own };
        let Some(step) = node.scope.split('/').rev().find_map(|level| level.strip_prefix("t=")?.parse().ok()) else {
            continue;
        };
        let (layer, gate) = place(&node.scope);
        let name = match states.get(&at) {
            Some(state) => state.clone(),
            None if gate.is_empty() => continue,
            None => within(&layer, &gate),
        };
        // Two gates that are activated at once are one node, and their parts have the names.
        if is_activation(activation) {
            let values = node.value.to_vec();
            let saturated = |x: f64| match activation {
                "tanh" => x.abs() > 0.9,
                _ => !(0.1..=0.9).contains(&x),
            };
            let count = values.len().max(1) as f64;
            let mean = values.iter().map(|x| x.to_f64()).sum::<f64>() / count;
            let share = values.iter().filter(|x| saturated(x.to_f64())).count() as f64 / count;
            gates.entry((name, activation.to_owned())).or_default().insert(step, [mean, share]);
        }
    }
    let flow = |((name, activation), by_step): ((String, String), BTreeMap<usize, [f64; 2]>)| GateFlow {
        name,
        activation,
        steps: by_step.keys().copied().collect(),
        mean: by_step.values().map(|[mean, _]| *mean).collect(),
        saturated: by_step.values().map(|[_, share]| *share).collect(),
    };
    gates.into_iter().map(flow).collect()
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.states.is_empty() {
            return writeln!(f, "no state is carried from one time step to the next");
        }
        let mut steps: Vec<usize> = self.states.iter().flat_map(|state| state.steps.iter().copied()).collect();
        steps.sort_unstable();
        steps.dedup();
        let rows: Vec<usize> = shown(steps.len()).into_iter().map(|k| steps[k]).collect();
        writeln!(f, "|dE/dh_t|, and its growth on the way back")?;
        let state = |state: &StateFlow| {
            let growth = state.growth();
            let cell = |&step: &usize| {
                let Some(at) = state.steps.iter().position(|&own| own == step) else { return "·".to_owned() };
                let growth = growth.get(at).map_or(String::new(), |growth| format!("×{growth:.2}"));
                format!("{:.1e} {growth}", state.norms[at])
            };
            (format!("{}{}", state.name, if state.backward { " ←" } else { "" }), rows.iter().map(cell).collect())
        };
        columns(f, "t", &rows, &self.states.iter().map(state).collect::<Vec<_>>())?;
        if !self.gates.is_empty() {
            writeln!(f, "mean of each gate, and the share of it that is saturated")?;
            let gate = |gate: &GateFlow| {
                let cell = |&step: &usize| match gate.steps.iter().position(|&own| own == step) {
                    Some(at) => format!("{:.2} {:>3.0} %", gate.mean[at], 100.0 * gate.saturated[at]),
                    None => "·".to_owned(),
                };
                (gate.name.clone(), rows.iter().map(cell).collect())
            };
            columns(f, "t", &rows, &self.gates.iter().map(gate).collect::<Vec<_>>())?;
        }
        for weight in &self.weights {
            let gate = weight.gate.as_ref().map_or(String::new(), |gate| format!(", {gate}"));
            writeln!(f, "spectral radius of {}{gate}: {:.3}", weight.parameter, weight.radius)?;
        }
        Ok(())
    }
}
