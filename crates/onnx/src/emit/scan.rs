//! Loops as the op Scan of ONNX, whose body is one time step.

use super::{Emitter, INSIDE, Port, Writer, needed};
use crate::error::{Error, Result};
use crate::graph::{Graph, Name, body_info};
use crate::merge::{Dim, Setting, Value};
use crate::proto::{AttributeProto, BOOL, FLOAT, GraphProto, ValueInfoProto};
use crate::record::place;
use crate::roll::{Loop, What};

/// A node `Scan` while it is written.
struct Scan<'n> {
    prefix: String,
    looped: &'n Loop<Value>,
    body: Writer<'n>,
    /// The carried parts that are inputs of the body, with the values that become them. Without lengths, those that the body reads: not every
    /// runtime takes others.
    carried: Vec<(usize, usize)>,
    /// The values of the body that are read in every step.
    each: Vec<usize>,
    /// The values of the body that are written.
    needed: Vec<bool>,
}

impl<'n> Emitter<'n> {
    pub(super) fn scan(&mut self, at: usize) -> Result<()> {
        let network = self.network;
        let (What::Loop(looped), inputs) = (&network.values[at].what, &network.values[at].inputs) else {
            unreachable!("it is a loop")
        };
        if looped.sequences == 0 {
            let why = "the loop reads no sequence, so its number of time steps is unknown".to_owned();
            return Err(Error::Steps { place: place(network.values[at].place), why });
        }
        let ports = self.ports_of(at);
        let mut scan = Scan::new(looped, format!("loop_{at}/"), &ports, self.settings.lengths);
        let is_lost = |port: &&Port| matches!(port, Port::Final(of) if !looped.carried.contains(of));
        if let Some(Port::Final(of) | Port::Sequence(of)) = ports.iter().find(is_lost).filter(|_| self.settings.lengths)
        {
            let why = "a last value that is no state would be that of padding".to_owned();
            return Err(Error::Steps { place: place(looped.body[*of].place), why });
        }
        let firsts = looped.carried.len() + looped.sequences;
        for (outer, &input) in inputs.iter().enumerate().skip(firsts) {
            if scan.needed[outer] {
                scan.outer(outer, &network.values[input], || self.writer.name(input));
            }
        }
        let graph = scan.graph(self.settings.lengths)?;
        self.writer.graph.reads_steps |= graph.1;
        self.writer.graph.reads_batch |= graph.2;
        self.reads_inside |= self.settings.lengths;
        let read = scan.carried.iter().map(|&(c, _)| inputs[c]).chain(inputs[looped.carried.len()..firsts].to_vec());
        let mut names: Vec<Name> = read.map(|input| self.writer.name(input)).collect();
        if self.settings.lengths {
            names.push(INSIDE.to_owned());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let outputs: Vec<Name> = scan.outputs();
        let sequences = looped.sequences + usize::from(self.settings.lengths);
        let attributes = scan_attributes(graph.0, looped.backward, sequences, scan.each.len());
        self.writer.graph.node("Scan", &names, &outputs, attributes);
        for port in ports {
            let name = scan.port(&mut self.writer.graph, port);
            self.ports.insert((at, port), name);
        }
        Ok(())
    }

    /// h_t = a_t ∘ h_(t-1) + b_t over all time steps, an op of the engine. After the end of a sequence a is 1 and b is 0.
    pub(super) fn linear_recurrence(&mut self, at: usize) -> Result<()> {
        let value = &self.network.values[at];
        let backward = value.setting("reversed") == Some(&Setting::Flag(true));
        let a = self.masked(value.inputs[0], 1.0);
        let b = self.masked(value.inputs[1], 0.0);
        let first = self.writer.name(value.inputs[2]);
        let prefix = format!("loop_{at}/");
        let mut body = Graph::new(&prefix);
        let [h, a_t, b_t, next, each] = ["h", "a", "b", "next", "each"].map(|name| format!("{prefix}{name}"));
        let product = body.op("Mul", &[&a_t, &h]);
        let sum = body.op("Add", &[&product, &b_t]);
        body.node("Identity", &[&sum], std::slice::from_ref(&next), Vec::new());
        body.node("Identity", &[&sum], std::slice::from_ref(&each), Vec::new());
        let row = &value.shape[1..];
        let typed = |name: &Name| body_info(name, FLOAT, row);
        let body =
            body.finish("time_step", vec![typed(&h), typed(&a_t), typed(&b_t)], vec![typed(&next), typed(&each)]);
        let outputs = [format!("{prefix}last"), format!("{prefix}all")];
        let attributes = scan_attributes(body, backward, 2, 1);
        self.writer.graph.node("Scan", &[&first, &a, &b], &outputs, attributes);
        let [_, all] = outputs;
        self.writer.names.insert(at, all);
        Ok(())
    }
}

/// The attributes of a `Scan`; forward is the default of both directions.
fn scan_attributes(body: GraphProto, backward: bool, sequences: usize, each: usize) -> Vec<AttributeProto> {
    let mut attributes =
        vec![AttributeProto::graph("body", body), AttributeProto::int("num_scan_inputs", sequences as i64)];
    if backward {
        attributes.push(AttributeProto::ints("scan_input_directions", vec![1; sequences]));
        attributes.push(AttributeProto::ints("scan_output_directions", vec![1; each]));
    }
    attributes
}

/// The carried parts that these values of the body depend on, in this step or an earlier one.
fn carried_for(looped: &Loop<Value>, read: &[usize]) -> Vec<(usize, usize)> {
    let mut carried: Vec<(usize, usize)> = Vec::new();
    loop {
        let needed = needed(&looped.body, read.iter().copied().chain(carried.iter().map(|&(_, next)| next)));
        let grown: Vec<_> = looped.carried.iter().copied().enumerate().filter(|&(c, _)| needed[c]).collect();
        if grown == carried {
            return carried;
        }
        carried = grown;
    }
}

impl<'n> Scan<'n> {
    fn new(looped: &'n Loop<Value>, prefix: String, ports: &[Port], lengths: bool) -> Self {
        let read: Vec<usize> = ports.iter().map(|&(Port::Sequence(of) | Port::Final(of))| of).collect();
        let all = looped.carried.iter().copied().enumerate();
        let carried: Vec<(usize, usize)> = if lengths { all.collect() } else { carried_for(looped, &read) };
        let needed = needed(&looped.body, read.iter().copied().chain(carried.iter().map(|&(_, next)| next)));
        let each_for = |port: &Port| match *port {
            Port::Sequence(of) => Some(of),
            Port::Final(of) => (!carried.iter().any(|&(_, next)| next == of)).then_some(of),
        };
        let mut each: Vec<usize> = ports.iter().filter_map(each_for).collect();
        each.sort_unstable();
        each.dedup();
        Scan { body: Writer::new(&looped.body, &prefix), prefix, looped, carried, each, needed }
    }

    /// A value from outside: a tensor becomes one of the body, since not every runtime sees the graph around it.
    fn outer(&mut self, leaf: usize, value: &Value, name: impl FnOnce() -> Name) {
        let is_known = value.shape.iter().all(|dim| matches!(dim, Dim::Known(_)));
        let name = match &value.what {
            What::Tensor(tensor) if is_known => {
                let fresh = self.body.graph.fresh(if value.name == "leaf" { &value.scope } else { value.name });
                self.body.graph.stretched(fresh, tensor, &value.shape)
            }
            _ => name(),
        };
        self.body.names.insert(leaf, name);
    }

    fn carried(&self, c: usize) -> Name {
        format!("{}carried_{c}", self.prefix)
    }

    fn scanned(&self, s: usize) -> Name {
        format!("{}x_{s}", self.prefix)
    }

    /// The graph of a step, and whether it reads T and B.
    fn graph(&mut self, lengths: bool) -> Result<(GraphProto, bool, bool)> {
        let (looped, parts) = (self.looped, self.looped.carried.len());
        let mut inputs: Vec<ValueInfoProto> = Vec::new();
        let leaves = self.carried.iter().map(|&(c, _)| c).chain(parts..parts + looped.sequences);
        for leaf in leaves {
            let name = if leaf < parts { self.carried(leaf) } else { self.scanned(leaf - parts) };
            inputs.push(body_info(&name, FLOAT, &looped.body[leaf].shape));
            self.body.names.insert(leaf, name);
        }
        let inside = format!("{}inside", self.prefix);
        if lengths {
            inputs.push(body_info(&inside, BOOL, &[Dim::Batch]));
        }
        for at in 0..looped.body.len() {
            if self.needed[at] && matches!(looped.body[at].what, What::Op) {
                self.body.op(at)?;
            }
        }
        let mut outputs = Vec::new();
        for (c, next) in self.carried.clone() {
            let (value, shape) = (self.body.name(next), &looped.body[next].shape);
            let output = format!("{}next_{c}", self.prefix);
            if lengths {
                let axes: Vec<i64> = (1..shape.len() as i64).collect();
                let inside = self.body.graph.unsqueezed(&inside, &axes);
                let (old, new) = (self.carried(c), std::slice::from_ref(&output));
                self.body.graph.node("Where", &[&inside, &value, &old], new, Vec::new());
            } else {
                self.body.graph.node("Identity", &[&value], std::slice::from_ref(&output), Vec::new());
            }
            outputs.push(body_info(&output, FLOAT, shape));
        }
        for (k, of) in self.each.clone().into_iter().enumerate() {
            let (value, output) = (self.body.name(of), format!("{}each_{k}", self.prefix));
            self.body.graph.node("Identity", &[&value], std::slice::from_ref(&output), Vec::new());
            outputs.push(body_info(&output, FLOAT, &looped.body[of].shape));
        }
        let graph = std::mem::take(&mut self.body.graph);
        let (steps, batch) = (graph.reads_steps, graph.reads_batch);
        Ok((graph.finish("time_step", inputs, outputs), steps, batch))
    }

    /// The names of the outputs of the node: the last states, then what is read in every step.
    fn outputs(&self) -> Vec<Name> {
        let lasts = self.carried.iter().map(|(c, _)| format!("{}last_{c}", self.prefix));
        let each = (0..self.each.len()).map(|k| format!("{}all_{k}", self.prefix));
        lasts.chain(each).collect()
    }

    /// The name of what is read of the loop.
    fn port(&self, graph: &mut Graph, port: Port) -> Name {
        let all = |of: usize| {
            let k = self.each.iter().position(|&own| own == of).expect("it is an output");
            format!("{}all_{k}", self.prefix)
        };
        match port {
            Port::Sequence(of) => all(of),
            Port::Final(of) => match self.carried.iter().find(|&&(_, next)| next == of) {
                Some((c, _)) => format!("{}last_{c}", self.prefix),
                None => graph.position(&all(of), 0, if self.looped.backward { 0 } else { -1 }),
            },
        }
    }
}
