//! A model as a graph of ONNX: its values in their order, each as its nodes.

mod recurrent;
mod scan;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::forms::{Form, recognise};
use crate::graph::{BATCH, Graph, Name, STEPS, info};
use crate::merge::{Dim, Value};
use crate::network::Network;
use crate::ops::{Written, mixes_time};
use crate::proto::{AttributeProto, FLOAT, GraphProto, INT32, INT64, ValueInfoProto};
use crate::record::place;
use crate::roll::What;

/// The names of the inputs, and of what is computed from them for all nodes.
const X: &str = "x";
const LENGTHS: &str = "lengths";
const INSIDE: &str = "inside";

/// What a graph has besides x.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) lengths: bool,
    pub(crate) states: bool,
}

/// What is read of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Port {
    /// A value of the body in every step.
    Sequence(usize),
    /// A value of the body in the step that is computed last.
    Final(usize),
}

/// Writes a list of values: those of a model, or of the body of a loop.
struct Writer<'n> {
    values: &'n [Value],
    graph: Graph,
    names: BTreeMap<usize, Name>,
    /// The model's own first state for each part that is no input.
    firsts: BTreeMap<usize, usize>,
}

impl<'n> Writer<'n> {
    fn new(values: &'n [Value], prefix: &str) -> Self {
        Writer { values, graph: Graph::new(prefix), names: BTreeMap::new(), firsts: BTreeMap::new() }
    }

    /// The value that stands for another: the model's own first state for a part that is no input.
    fn own(&self, at: usize) -> usize {
        self.firsts.get(&at).copied().unwrap_or(at)
    }

    /// The name of a value that is written; a tensor is written where it is first read.
    fn name(&mut self, at: usize) -> Name {
        let at = self.own(at);
        if let Some(name) = self.names.get(&at) {
            return name.clone();
        }
        let value = &self.values[at];
        let What::Tensor(tensor) = &value.what else { unreachable!("a value is written before it is read") };
        let fresh = self.graph.fresh(if value.name == "leaf" { &value.scope } else { value.name });
        let name = self.graph.stretched(fresh, tensor, &value.shape);
        self.names.insert(at, name.clone());
        name
    }

    fn op(&mut self, at: usize) -> Result<()> {
        let value = &self.values[at];
        let inputs = value.inputs.iter().map(|&input| self.name(input)).collect();
        let shapes = value.inputs.iter().map(|&input| &self.values[input].shape[..]).collect();
        let name = Written { value, inputs, shapes }.write(&mut self.graph)?;
        self.names.insert(at, name);
        Ok(())
    }
}

/// Which values results depend on.
fn needed(values: &[Value], results: impl IntoIterator<Item = usize>) -> Vec<bool> {
    let mut needed = vec![false; values.len()];
    results.into_iter().for_each(|at| needed[at] = true);
    for at in (0..values.len())
        .rev()
        .filter(|&at| matches!(values[at].what, What::Op | What::Loop(_)) || is_port(&values[at]))
    {
        if needed[at] {
            values[at].inputs.iter().for_each(|&input| needed[input] = true);
        }
    }
    needed
}

fn is_port(value: &Value) -> bool {
    matches!(value.what, What::Sequence(_) | What::Final(_))
}

/// The graph of a model.
pub(crate) fn graph(network: &Network, settings: Settings) -> Result<GraphProto> {
    Emitter::new(network, settings).graph()
}

struct Emitter<'n> {
    network: &'n Network,
    settings: Settings,
    writer: Writer<'n>,
    needed: Vec<bool>,
    ports: BTreeMap<(usize, Port), Name>,
    /// The loops that are ops of ONNX.
    forms: BTreeMap<usize, Form>,
    reads_inside: bool,
}

impl<'n> Emitter<'n> {
    fn new(network: &'n Network, settings: Settings) -> Self {
        let results = network.results.iter().map(|(_, at)| *at);
        let lasts = network.parts.iter().map(|part| part.last);
        let values = &network.values;
        let mut wanted: Vec<usize> = results.chain(lasts).collect();
        if !settings.states {
            wanted.extend(network.parts.iter().map(|part| part.first));
        }
        let mut emitter = Emitter {
            network,
            settings,
            writer: Writer::new(values, ""),
            needed: needed(values, wanted),
            ports: BTreeMap::new(),
            forms: BTreeMap::new(),
            reads_inside: false,
        };
        for at in (0..values.len()).filter(|&at| emitter.needed[at]) {
            if let Some(form) = recognise(values, at).filter(|form| emitter.gives_all(at, form)) {
                emitter.forms.insert(at, form);
            }
        }
        emitter
    }

    fn graph(mut self) -> Result<GraphProto> {
        for at in 0..self.network.values.len() {
            if self.needed[at] {
                self.value(at)?;
            }
        }
        let (mut inputs, mut outputs) = (self.inputs(), Vec::new());
        for (name, at) in &self.network.results {
            let result = self.masked(*at, 0.0);
            self.output(name, result, &self.network.values[*at].shape, &mut outputs);
        }
        for part in &self.network.parts {
            let (last, shape) = (self.writer.name(part.last), &self.network.values[part.last].shape);
            self.output(&format!("last.{}", part.name), last, shape, &mut outputs);
        }
        if self.settings.lengths {
            inputs.push(info(LENGTHS, INT32, &[Dim::Batch]));
        }
        let prelude = self.prelude();
        let mut graph = self.writer.graph;
        graph.prepend(prelude);
        Ok(graph.finish("rewind", inputs, outputs))
    }

    fn inputs(&self) -> Vec<ValueInfoProto> {
        let x = self.network.values.iter().find(|value| matches!(value.what, What::Input)).expect("x is recorded");
        let mut inputs = vec![info(X, FLOAT, &x.shape)];
        if self.settings.states {
            let first = |part: &crate::network::StatePart| {
                info(&format!("first.{}", part.name), FLOAT, &self.network.values[part.first].shape)
            };
            inputs.extend(self.network.parts.iter().map(first));
        }
        inputs
    }

    /// An output with a name of its own.
    fn output(&mut self, name: &str, value: Name, shape: &[Dim], outputs: &mut Vec<ValueInfoProto>) {
        self.writer.graph.node("Identity", &[&value], &[name.to_owned()], Vec::new());
        outputs.push(info(name, FLOAT, shape));
    }

    fn value(&mut self, at: usize) -> Result<()> {
        let value = &self.network.values[at];
        match value.what {
            What::Input => drop(self.writer.names.insert(at, X.to_owned())),
            What::State(part) if self.settings.states => {
                let name = format!("first.{}", self.network.parts[part].name);
                self.writer.names.insert(at, name);
            }
            What::State(part) => drop(self.writer.firsts.insert(at, self.network.parts[part].first)),
            What::Tensor(_) => {}
            What::Op if value.name == "linear_recurrence" => self.linear_recurrence(at)?,
            What::Op => {
                self.check_padding(at)?;
                self.writer.op(at)?;
            }
            What::Loop(_) if self.ports.keys().any(|(of, _)| *of == at) => {} // with the other direction
            What::Loop(_) if self.forms.contains_key(&at) => self.recurrent(at),
            What::Loop(_) => self.scan(at)?,
            What::Sequence(of) => self.port(at, Port::Sequence(of)),
            What::Final(of) => self.port(at, Port::Final(of)),
            What::Carried(_) | What::Scanned(_) | What::Outer(_) => unreachable!("they are in the bodies of loops"),
        }
        Ok(())
    }

    fn port(&mut self, at: usize, port: Port) {
        let name = self.ports[&(self.network.values[at].inputs[0], port)].clone();
        self.writer.names.insert(at, name);
    }

    /// What is read of a loop.
    fn ports_of(&self, looped: usize) -> Vec<Port> {
        let values = self.network.values.iter().zip(&self.needed);
        let mut ports: Vec<Port> = values
            .filter(|(value, needed)| **needed && is_port(value) && value.inputs[0] == looped)
            .map(|(value, _)| match value.what {
                What::Sequence(of) => Port::Sequence(of),
                What::Final(of) => Port::Final(of),
                _ => unreachable!("it is a port"),
            })
            .collect();
        ports.sort();
        ports.dedup();
        ports
    }

    /// With lengths, an error if an op outside of a loop reads other time steps: it would read padding.
    fn check_padding(&self, at: usize) -> Result<()> {
        let value = &self.network.values[at];
        let shapes: Vec<&[Dim]> = value.inputs.iter().map(|&input| &self.network.values[input].shape[..]).collect();
        let of = value.inputs.first().map(|&input| self.network.values[input].name);
        let is_last_of_recurrence = value.name == "index" && of == Some("linear_recurrence"); // frozen at the end of a sequence
        if self.settings.lengths && !is_last_of_recurrence && mixes_time(value, &shapes) {
            let why = "it reads several time steps, and padding would be among them; expected a file without lengths";
            return Err(Error::Op { op: value.name.to_owned(), place: place(value.place), why: why.to_owned() });
        }
        Ok(())
    }

    /// A value with another number after the end of each sequence, if it has time steps.
    fn masked(&mut self, at: usize, padding: f32) -> Name {
        let (name, shape) = (self.writer.name(at), &self.network.values[at].shape);
        if !self.settings.lengths || shape.get(..2) != Some(&[Dim::Steps, Dim::Batch]) {
            return name;
        }
        self.reads_inside = true;
        let graph = &mut self.writer.graph;
        let axes: Vec<i64> = (2..shape.len() as i64).collect();
        let (inside, padding) = (graph.unsqueezed(INSIDE, &axes), graph.scalar(padding));
        graph.op("Where", &[&inside, &name, &padding])
    }

    /// T and B, and which time steps lie inside of their sequences, `[T, B]`, if they are read.
    fn prelude(&self) -> Graph {
        let mut graph = Graph::new("input_");
        let reads_steps = self.reads_inside || self.writer.graph.reads_steps;
        let read = [(STEPS, reads_steps, 0), (BATCH, self.writer.graph.reads_batch, 1)];
        for (name, _, axis) in read.into_iter().filter(|(_, is_read, _)| *is_read) {
            let (shape, axis) = (graph.op("Shape", &[X]), graph.ints(&[axis]));
            graph.node("Gather", &[&shape, &axis], &[name.to_owned()], vec![AttributeProto::int("axis", 0)]);
        }
        if self.reads_inside {
            let steps = graph.squeezed(STEPS, &[0]);
            let [zero, one] = [0, 1].map(|value| graph.int(value));
            let numbers = graph.op("Range", &[&zero, &steps, &one]);
            let numbers = graph.unsqueezed(&numbers, &[1]);
            let lengths = graph.op_with("Cast", &[LENGTHS], vec![AttributeProto::int("to", i64::from(INT64))]);
            graph.node("Less", &[&numbers, &lengths], &[INSIDE.to_owned()], Vec::new());
        }
        graph
    }
}
