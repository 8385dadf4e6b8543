//! Loops that ONNX has an op for: LSTM, GRU and RNN. A loop is compared with those that the cells of this project record, node by node,
//! so that a cell of the same equations is found wherever it comes from.

use std::collections::BTreeMap;

use rewind_autograd::Tensor;
use rewind_rnn::{Gru, LayerModule, Lstm, PeepholeLstm, Recurrent, Reset, TanhRnn};

use crate::merge::{Dim, Value};
use crate::network::Network;
use crate::roll::{Loop, What, same_bits};

/// The op of ONNX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lstm,
    Gru(Reset),
    Rnn,
}

/// A loop as an op of ONNX.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) kind: Kind,
    pub(crate) hidden: usize,
    /// The carried parts of the loop that are h and, in an LSTM, c.
    pub(crate) parts: Vec<usize>,
    /// The parameters of the cell by name.
    parameters: BTreeMap<String, Tensor<f32>>,
}

/// The inputs of an op of ONNX that hold its parameters, for one direction.
pub(crate) struct Weights {
    /// `[G·H, I]`.
    pub(crate) input: Vec<f32>,
    /// `[G·H, H]`.
    pub(crate) recurrent: Vec<f32>,
    /// `[2·G·H]`: biases of the input, then of the recurrent product.
    pub(crate) bias: Option<Vec<f32>>,
    /// `[3·H]`.
    pub(crate) peepholes: Option<Vec<f32>>,
}

/// The op of ONNX that does what the loop at `at` does, if there is one.
pub(crate) fn recognise(values: &[Value], at: usize) -> Option<Form> {
    let What::Loop(looped) = &values[at].what else { return None };
    let (parts, inputs) = (looped.carried.len(), &values[at].inputs);
    let others = inputs.len() - parts - looped.sequences;
    let [Dim::Batch, Dim::Known(hidden)] = looped.body.first()?.shape[..] else { return None };
    let [Dim::Batch, Dim::Known(width)] = looped.body.get(parts)?.shape[..] else { return None };
    if looped.sequences != 1 {
        return None;
    }
    let candidates = candidates(parts, others, width, hidden);
    candidates.into_iter().find_map(|(kind, template)| of_template(kind, &template()?, values, at))
}

type Template = Box<dyn Fn() -> Option<Network>>;

fn template<M: LayerModule<f32>>(cell: M, width: usize) -> Template {
    Box::new(move || Network::of_layer(&cell, width).ok())
}

/// Cells with so many parts of a state and so many parameters.
fn candidates(parts: usize, parameters: usize, width: usize, hidden: usize) -> Vec<(Kind, Template)> {
    let zeros = |shape: &[usize]| Tensor::<f32>::zeros(shape);
    let gates = |gates: usize| {
        let bias = move |is_there: bool| is_there.then(|| Tensor::zeros(&[gates * hidden]));
        (zeros(&[width, gates * hidden]), zeros(&[hidden, gates * hidden]), bias)
    };
    let mut found: Vec<(Kind, Template)> = Vec::new();
    let ((weight_ih, weight_hh, bias), row) = (gates(4), zeros(&[hidden]));
    if parts == 2 && (2..=3).contains(&parameters) {
        let bias = bias(parameters == 3);
        let lstm = Lstm { weight_ih, weight_hh, bias, initial_hidden: None, initial_cell: None };
        found.push((Kind::Lstm, template(Recurrent(lstm), width)));
    } else if parts == 2 && (5..=6).contains(&parameters) {
        let lstm = PeepholeLstm {
            weight_ih,
            weight_hh,
            bias: bias(parameters == 6),
            peephole_i: row.clone(),
            peephole_f: row.clone(),
            peephole_o: row,
            initial_hidden: None,
            initial_cell: None,
        };
        found.push((Kind::Lstm, template(Recurrent(lstm), width)));
    }
    if parts == 1 && (2..=3).contains(&parameters) {
        let (weight_ih, weight_hh, bias) = gates(1);
        let rnn = TanhRnn { weight_ih, weight_hh, bias: bias(parameters == 3), initial: None };
        found.push((Kind::Rnn, template(Recurrent(rnn), width)));
    }
    let (weight_ih, _, bias) = gates(3);
    for reset in [Reset::AfterProduct, Reset::BeforeProduct] {
        for [with_bias, with_hn] in [[false, false], [false, true], [true, false], [true, true]] {
            if parts == 1 && parameters == 3 + usize::from(with_bias) + usize::from(with_hn) {
                let gru = Gru {
                    weight_ih: weight_ih.clone(),
                    weight_hh: zeros(&[hidden, 2 * hidden]),
                    weight_hn: zeros(&[hidden, hidden]),
                    bias: bias(with_bias),
                    bias_hn: with_hn.then(|| zeros(&[hidden])),
                    initial: None,
                    reset,
                };
                found.push((Kind::Gru(reset), template(Recurrent(gru), width)));
            }
        }
    }
    found
}

/// The form of a loop that does what a cell does.
fn of_template(kind: Kind, template: &Network, values: &[Value], at: usize) -> Option<Form> {
    let is_loop = |value: &Value| matches!(value.what, What::Loop(_));
    let pattern_at = template.values.iter().position(is_loop)?;
    let (What::Loop(pattern), What::Loop(looped)) = (&template.values[pattern_at].what, &values[at].what) else {
        return None;
    };
    // The parts in the order of the cell: h, then c.
    let ends = template.parts.iter().map(|part| match template.values[part.last].what {
        What::Final(next) => pattern.carried.iter().position(|&carried| carried == next),
        _ => None,
    });
    let ends: Vec<usize> = ends.collect::<Option<_>>()?;
    let orders: &[&[usize]] = if ends.len() == 1 { &[&[0]] } else { &[&[0, 1], &[1, 0]] };
    orders.iter().find_map(|order| {
        let mut matched = Matched::new(pattern, looped, order);
        let fits = (0..order.len()).all(|c| matched.same(pattern.carried[c], looped.carried[order[c]]));
        let first_outer = |looped: &Loop<Value>| looped.carried.len() + looped.sequences;
        let mut parameters = BTreeMap::new();
        for (&ours, &theirs) in matched.outer.iter().filter(|_| fits) {
            let parameter = &template.values[template.values[pattern_at].inputs[first_outer(pattern) + ours]];
            let What::Tensor(tensor) = &values[values[at].inputs[first_outer(looped) + theirs]].what else {
                return None;
            };
            parameters.insert(parameter.scope.clone(), tensor.clone());
        }
        let hidden = match values[at].what {
            What::Loop(ref looped) => match looped.body[0].shape[..] {
                [_, Dim::Known(hidden)] => hidden,
                _ => return None,
            },
            _ => return None,
        };
        let parts = ends.iter().map(|&end| order[end]).collect();
        fits.then_some(Form { kind, hidden, parts, parameters })
    })
}

/// The values of a pattern that have been matched, and those of a loop.
struct Matched<'v> {
    pattern: &'v Loop<Value>,
    looped: &'v Loop<Value>,
    /// The carried part of the loop for each of the pattern.
    order: &'v [usize],
    known: BTreeMap<usize, usize>,
    /// The value from outside of the loop for each of the pattern.
    outer: BTreeMap<usize, usize>,
}

impl<'v> Matched<'v> {
    fn new(pattern: &'v Loop<Value>, looped: &'v Loop<Value>, order: &'v [usize]) -> Self {
        Matched { pattern, looped, order, known: BTreeMap::new(), outer: BTreeMap::new() }
    }

    /// Whether a value of the pattern and one of the loop are computed by the same ops.
    fn same(&mut self, ours: usize, theirs: usize) -> bool {
        if let Some(&known) = self.known.get(&ours) {
            return known == theirs;
        }
        let (a, b) = (&self.pattern.body[ours], &self.looped.body[theirs]);
        let same = a.shape == b.shape
            && match (&a.what, &b.what) {
                (&What::Carried(a), &What::Carried(b)) => self.order.get(a) == Some(&b),
                (What::Scanned(a), What::Scanned(b)) => a == b,
                (What::Tensor(a), What::Tensor(b)) => same_bits(a, b),
                (&What::Outer(a), &What::Outer(b)) => {
                    self.outer.get(&a).is_none_or(|&known| known == b) && {
                        self.outer.insert(a, b);
                        true
                    }
                }
                (What::Op, What::Op) => {
                    a.name == b.name
                        && a.settings == b.settings
                        && a.inputs.len() == b.inputs.len()
                        && a.inputs.iter().zip(&b.inputs).all(|(&a, &b)| self.same(a, b))
                }
                _ => false,
            };
        if same {
            self.known.insert(ours, theirs);
        }
        same
    }
}

impl Form {
    /// The name of the op.
    pub(crate) fn op(&self) -> &'static str {
        match self.kind {
            Kind::Lstm => "LSTM",
            Kind::Gru(_) => "GRU",
            Kind::Rnn => "RNN",
        }
    }

    /// The number G of gates.
    pub(crate) fn gates(&self) -> usize {
        self.order().len()
    }

    /// The gates of this project in the order of ONNX: i o f g of i f g o; z r n of r z n.
    fn order(&self) -> &'static [usize] {
        match self.kind {
            Kind::Lstm => &[0, 3, 1, 2],
            Kind::Gru(_) => &[1, 0, 2],
            Kind::Rnn => &[0],
        }
    }

    pub(crate) fn weights(&self) -> Weights {
        let (order, hidden) = (self.order(), self.hidden);
        let parameter = |name: &str| self.parameters.get(name).map(Tensor::to_vec);
        let columns = |name: &str, order: &[usize]| match self.parameters.get(name) {
            Some(weight) => by_gates(weight, order, hidden),
            None => Vec::new(),
        };
        let recurrent = match self.kind {
            Kind::Gru(_) => [columns("weight_hh", &[1, 0]), columns("weight_hn", &[0])].concat(),
            Kind::Lstm | Kind::Rnn => columns("weight_hh", order),
        };
        let (bias, bias_hn) = (parameter("bias"), parameter("bias_hn"));
        let bias = (bias.is_some() || bias_hn.is_some()).then(|| {
            let mut both = vec![0.0; 2 * order.len() * hidden];
            for (to, &from) in order.iter().enumerate() {
                if let Some(bias) = &bias {
                    both[to * hidden..][..hidden].copy_from_slice(&bias[from * hidden..][..hidden]);
                }
            }
            if let Some(bias_hn) = &bias_hn {
                both[5 * hidden..].copy_from_slice(bias_hn);
            }
            both
        });
        let peepholes = ["peephole_i", "peephole_o", "peephole_f"].map(parameter);
        let peepholes = peepholes.into_iter().collect::<Option<Vec<_>>>().map(|rows| rows.concat());
        Weights { input: columns("weight_ih", order), recurrent, bias, peepholes }
    }

    /// The number I of features.
    pub(crate) fn width(&self) -> usize {
        self.parameters.get("weight_ih").map_or(0, |weight| weight.shape()[0])
    }
}

/// A weight `[n, G·H]` as ONNX has it, `[G·H, n]`, with its gates in an order.
fn by_gates(weight: &Tensor<f32>, order: &[usize], hidden: usize) -> Vec<f32> {
    let transposed = |&gate: &usize| weight.slice(1, gate * hidden..(gate + 1) * hidden).transpose().to_vec();
    order.iter().flat_map(transposed).collect()
}
