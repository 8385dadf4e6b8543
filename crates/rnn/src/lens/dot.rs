//! The graph of an unrolled network, and one step of it, in the language of Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rewind_autograd::derive::{self, CarriedPart};
use rewind_autograd::{Module, NodeInfo, OnTape, Parameters, Scalar, Tape, Var};

use super::flow::place;

/// The graph of what the losses depend on, in the DOT language of Graphviz (`dot -Tsvg`): [unrolled](Dot::unrolled), with a frame for each
/// time step, and [rolled](Dot::rolled), one step whose state comes back to it. A node shows its gate and op and the shape of its value; its
/// tooltip is the line that recorded it. Parameters are boxes.
///
/// `losses` is as for [`itemised`](super::itemised()).
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::{Lstm, lens, unroll};
///
/// let lstm = Lstm::<Tensor<f64>>::new(1, 2, &mut StdRng::seed_from_u64(1));
/// let dot = lens::dot(&lstm, |tape, lstm| {
///     let x = tape.constant(Tensor::full(&[3, 1, 1], 0.5));
///     vec![unroll(lstm, x).last_output().square().sum()]
/// });
/// assert!(dot.unrolled.contains("label=\"t = 2\""));
/// assert!(dot.rolled.contains("label=\"t-1\"")); // h and c of the step before
/// ```
///
/// # Panics
/// If a step reads what a step further away than the next has recorded.
#[track_caller]
pub fn dot<T, M, F>(module: &M, losses: F) -> Dot
where
    T: Scalar,
    M: Module<T>,
    F: for<'t> FnOnce(&'t Tape<T>, &M::With<Var<'t, T>>) -> Vec<Var<'t, T>>,
{
    let tape = Tape::new();
    let on_tape = module.on(&tape);
    let losses = losses(&tape, &on_tape);
    let variables: Vec<Var<'_, T>> = on_tape.leaves().into_iter().copied().collect();
    let parts = derive::carried(&variables, "t").parts;
    let results: Vec<usize> = losses.iter().map(|loss| loss.position()).collect();
    let graph = Graph::of(&tape, &results);
    Dot { unrolled: graph.unrolled(), rolled: graph.rolled(&parts) }
}

/// Graphs in the DOT language: made by [`dot`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Dot {
    /// All time steps.
    pub unrolled: String,
    /// One step, the second that is computed. Where a step reads the state of the one before, a dashed edge labelled `t-1` comes from the
    /// state of this step (`t+1` backward in time). Without a state that is carried, the graph is empty.
    pub rolled: String,
}

/// A node to draw.
struct Drawn {
    step: Option<usize>,
    line: String,
    inputs: Vec<usize>,
}

struct Graph(BTreeMap<usize, Drawn>);

impl Graph {
    /// What the results depend on.
    fn of<T: Scalar>(tape: &Tape<T>, results: &[usize]) -> Self {
        let (mut waiting, mut nodes) = (BTreeSet::from_iter(results.iter().copied()), BTreeMap::new());
        // Inputs stand before the nodes that read them: from the last one down, each is drawn once.
        while let Some(at) = waiting.pop_last() {
            let node = tape.node(at);
            waiting.extend(&node.inputs);
            nodes.insert(at, Drawn::of(&node));
        }
        Graph(nodes)
    }

    fn unrolled(&self) -> String {
        let mut edges = String::new();
        for (at, node) in &self.0 {
            for input in &node.inputs {
                let _ = writeln!(edges, "  n{input} -> n{at};");
            }
        }
        self.write("unrolled", &self.0.keys().copied().collect(), |step| format!("t = {step}"), &edges)
    }

    fn rolled<T: Scalar>(&self, parts: &[CarriedPart<'_, T>]) -> String {
        // The state that a node is, by its step; and the place of each state in the step that is drawn.
        let Some(step) = parts.first().and_then(|part| part.steps().nth(1)) else {
            return "digraph rolled {\n}\n".to_owned();
        };
        let mut before = BTreeMap::new();
        for part in parts {
            let delay = if part.backward { "t+1" } else { "t-1" };
            let number = if part.backward { Some(step + 1) } else { step.checked_sub(1) };
            if let (Some(now), Some(old)) = (part.at(step), number.and_then(|number| part.at(number))) {
                before.insert(old.position(), (now.position(), delay));
            }
        }
        let of_step: BTreeSet<usize> =
            self.0.iter().filter(|(_, node)| node.step == Some(step)).map(|(&at, _)| at).collect();
        let (mut drawn, mut edges) = (of_step.clone(), String::new());
        for &at in &of_step {
            for input in &self.0[&at].inputs {
                match before.get(input) {
                    Some((now, delay)) => {
                        let _ =
                            writeln!(edges, "  n{now} -> n{at} [style=dashed, constraint=false, label=\"{delay}\"];");
                        drawn.insert(*now);
                    }
                    None if of_step.contains(input) || self.0[input].step.is_none() => {
                        let _ = writeln!(edges, "  n{input} -> n{at};");
                        drawn.insert(*input);
                    }
                    None => {}
                }
            }
        }
        // What reads the step from outside.
        for (&at, node) in self.0.iter().filter(|(_, node)| node.step.is_none()) {
            for input in node.inputs.iter().filter(|input| of_step.contains(input)) {
                let _ = writeln!(edges, "  n{input} -> n{at};");
                drawn.insert(at);
            }
        }
        drawn.retain(|at| self.0.contains_key(at));
        self.write("rolled", &drawn, |_| "t".to_owned(), &edges)
    }

    fn write(&self, name: &str, drawn: &BTreeSet<usize>, label: impl Fn(usize) -> String, edges: &str) -> String {
        let mut by_step: BTreeMap<Option<usize>, Vec<&str>> = BTreeMap::new();
        for at in drawn {
            by_step.entry(self.0[at].step).or_default().push(&self.0[at].line);
        }
        let mut text = format!("digraph {name} {{\n  rankdir=LR;\n  node [fontname=\"sans-serif\", shape=ellipse];\n");
        for (step, lines) in by_step {
            if let Some(step) = step {
                let _ = writeln!(text, "  subgraph cluster_{step} {{\n    label={};", quoted(&label(step)));
            }
            lines.iter().for_each(|line| text.push_str(line));
            if step.is_some() {
                text.push_str("  }\n");
            }
        }
        text + edges + "}\n"
    }
}

impl Drawn {
    fn of<T: Scalar>(node: &NodeInfo<T>) -> Self {
        let is_leaf = node.inputs.is_empty();
        let is_parameter = is_leaf && node.name == "leaf";
        let step = node.scope.split('/').rev().find_map(|level| level.strip_prefix("t=")?.parse().ok());
        let gate = if step.is_some() { place(&node.scope).1 } else { String::new() };
        let what = match () {
            () if is_parameter && !node.scope.is_empty() => node.scope.clone(),
            () if gate.is_empty() => node.name.to_owned(),
            () => format!("{gate}: {}", node.name),
        };
        let label = quoted(&format!("{what}\n{:?}", node.value.shape()));
        let tooltip = quoted(&format!("{}:{}", node.location.file(), node.location.line()));
        let style = match () {
            () if is_parameter => ", shape=box, style=filled, fillcolor=\"#cfe2f3\"",
            () if is_leaf => ", shape=plaintext",
            () => "",
        };
        let line = format!("    n{} [label={label}, tooltip={tooltip}{style}];\n", node.index);
        Drawn { step: step.filter(|_| !is_parameter), line, inputs: node.inputs.clone() }
    }
}

/// A string of the DOT language: whatever a name contains, it ends at its own quotation mark.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
