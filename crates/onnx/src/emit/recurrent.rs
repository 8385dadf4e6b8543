//! Loops as the ops LSTM, GRU and RNN of ONNX; two directions over one sequence as one op.

use rewind_rnn::Reset;

use super::{Emitter, LENGTHS, Port};
use crate::forms::{Form, Kind};
use crate::graph::Name;
use crate::merge::Value;
use crate::ops::{flip, is_zeros};
use crate::proto::AttributeProto;
use crate::roll::{Loop, What};

impl Emitter<'_> {
    fn looped(&self, at: usize) -> &Loop<Value> {
        match &self.network.values[at].what {
            What::Loop(looped) => looped,
            _ => unreachable!("it is a loop"),
        }
    }

    /// The sequence that a loop reads.
    fn sequence(&self, at: usize) -> usize {
        self.network.values[at].inputs[self.looped(at).carried.len()]
    }

    /// Whether the op has outputs for all that is read of the loop: every h, the last h and c.
    pub(super) fn gives_all(&self, at: usize, form: &Form) -> bool {
        let looped = self.looped(at);
        let part = |k: usize| form.parts.get(k).map(|&c| looped.carried[c]);
        self.ports_of(at).iter().all(|port| match *port {
            Port::Sequence(of) => part(0) == Some(of),
            Port::Final(of) => part(0) == Some(of) || part(1) == Some(of),
        })
    }

    /// A loop over the same sequence in the other direction that the same op can compute.
    fn other_direction(&self, at: usize) -> Option<usize> {
        let form = &self.forms[&at];
        let fits = |(&other, theirs): (&usize, &Form)| {
            other > at
                && (theirs.kind, theirs.hidden, theirs.width()) == (form.kind, form.hidden, form.width())
                && self.sequence(other) == self.sequence(at)
                && self.looped(other).backward != self.looped(at).backward
                && theirs.weights().peepholes.is_some() == form.weights().peepholes.is_some()
                && theirs.parts.iter().all(|&part| self.network.values[other].inputs[part] < at)
        };
        self.forms.iter().find(|&(other, theirs)| fits((other, theirs))).map(|(&other, _)| other)
    }

    /// Writes a loop, with that in the other direction if there is one.
    pub(super) fn recurrent(&mut self, at: usize) {
        let mut loops = vec![at];
        loops.extend(self.other_direction(at));
        if self.looped(at).backward {
            loops.reverse(); // forward first
        }
        // tract runs a lone `reverse` forward: without lengths, the sequence is reversed instead.
        let is_lone = loops.len() == 1;
        let flipped = is_lone && self.looped(at).backward && !self.settings.lengths;
        let direction = match loops[..] {
            [_, _] => "bidirectional",
            _ if self.looped(at).backward && !flipped => "reverse",
            _ => "forward",
        };
        let forms: Vec<Form> = loops.iter().map(|at| self.forms[at].clone()).collect();
        let mut attributes = vec![
            AttributeProto::int("hidden_size", forms[0].hidden as i64),
            AttributeProto::text("direction", direction),
        ];
        if forms[0].kind == Kind::Gru(Reset::AfterProduct) {
            attributes.push(AttributeProto::int("linear_before_reset", 1));
        }
        let mut inputs = self.recurrent_inputs(&loops, &forms);
        if flipped {
            inputs[0] = flip(&mut self.writer.graph, &inputs[0], 0);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let graph = &mut self.writer.graph;
        let names = if forms[0].kind == Kind::Lstm { &["y", "y_h", "y_c"][..] } else { &["y", "y_h"] };
        let mut outputs: Vec<Name> =
            names.iter().map(|name| graph.fresh(&format!("{}_{name}", forms[0].op()))).collect();
        graph.node(forms[0].op(), &inputs, &outputs, attributes);
        if flipped {
            outputs[0] = flip(graph, &outputs[0], 0);
        }
        for (direction, (&at, form)) in loops.iter().zip(&forms).enumerate() {
            self.outputs_of_direction((direction, loops.len()), at, form, &outputs);
        }
    }

    /// X, W, R, B, the lengths, the first h and c, and P.
    fn recurrent_inputs(&mut self, loops: &[usize], forms: &[Form]) -> Vec<Name> {
        let sequence = self.sequence(loops[0]);
        let x = self.writer.name(sequence);
        let directions = forms.len();
        let [gates, hidden, width] = [forms[0].gates(), forms[0].hidden, forms[0].width()];
        let weights: Vec<_> = forms.iter().map(Form::weights).collect();
        let graph = &mut self.writer.graph;
        let base = graph.fresh(forms[0].op());
        let mut tensor = |letter: &str, row: &[usize], values: Vec<f32>| {
            graph.tensor(format!("{base}.{letter}"), &[&[directions], row].concat(), &values)
        };
        let of_all = |of: fn(&crate::forms::Weights) -> &Vec<f32>| weights.iter().flat_map(of).copied().collect();
        let w = tensor("W", &[gates * hidden, width], of_all(|weights| &weights.input));
        let r = tensor("R", &[gates * hidden, hidden], of_all(|weights| &weights.recurrent));
        let zeros = vec![0.0; 2 * gates * hidden];
        let biases: Vec<f32> = weights.iter().flat_map(|w| w.bias.as_ref().unwrap_or(&zeros)).copied().collect();
        let has_bias = weights.iter().any(|weights| weights.bias.is_some());
        let b = if has_bias { tensor("B", &[2 * gates * hidden], biases) } else { Name::new() };
        let peepholes: Vec<f32> = weights.iter().filter_map(|w| w.peepholes.as_ref()).flatten().copied().collect();
        let p = if peepholes.is_empty() { Name::new() } else { tensor("P", &[3 * hidden], peepholes) };
        let lengths = if self.settings.lengths { LENGTHS.to_owned() } else { Name::new() };
        let mut inputs = vec![x, w, r, b, lengths];
        inputs.extend((0..forms[0].parts.len()).map(|part| self.first_of_part(loops, forms, part)));
        if !p.is_empty() {
            inputs.push(p);
        }
        while inputs.last().is_some_and(String::is_empty) {
            inputs.pop();
        }
        inputs
    }

    /// The first value of a part, `[directions, B, H]`; no name if it is 0. That of an LSTM is always given: tract takes a missing one for
    /// that of a batch of 1.
    fn first_of_part(&mut self, loops: &[usize], forms: &[Form], part: usize) -> Name {
        let read = loops.iter().zip(forms).map(|(&at, form)| self.network.values[at].inputs[form.parts[part]]);
        let firsts: Vec<usize> = read.map(|at| self.writer.own(at)).collect();
        let is_zero = |&at: &usize| matches!(&self.network.values[at].what, What::Tensor(tensor) if is_zeros(tensor));
        if forms[0].kind != Kind::Lstm && firsts.iter().all(is_zero) {
            return Name::new();
        }
        let rows = firsts.iter().map(|&at| {
            let name = self.writer.name(at);
            self.writer.graph.unsqueezed(&name, &[0])
        });
        let rows: Vec<Name> = rows.collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        match rows[..] {
            [row] => row.to_owned(),
            _ => self.writer.graph.op_with("Concat", &rows, vec![AttributeProto::int("axis", 0)]),
        }
    }

    /// What is read of one direction.
    fn outputs_of_direction(
        &mut self,
        (direction, directions): (usize, usize),
        at: usize,
        form: &Form,
        outputs: &[Name],
    ) {
        let hidden = self.looped(at).carried[form.parts[0]];
        for port in self.ports_of(at) {
            let (output, axis) = match port {
                Port::Sequence(_) => (&outputs[0], 1),
                Port::Final(of) if of == hidden => (&outputs[1], 0),
                Port::Final(_) => (&outputs[2], 0),
            };
            let graph = &mut self.writer.graph;
            let name = match directions {
                1 => graph.squeezed(output, &[axis]),
                _ => graph.position(output, axis as usize, direction as i64),
            };
            self.ports.insert((at, port), name);
        }
    }
}
