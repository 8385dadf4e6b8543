//! A recorded network as data: its nodes with their rules, its parameters and its sweeps.

use rewind_autograd::{NodeInfo, Tape, Tensor, Var, ops};
use rewind_check::Report;
use rewind_rnn::{Linear, RecurrentModule};

use crate::check::located;
use crate::data::{Loss, Network, Node, Rule, Text};
use crate::flow::{flow, influence, jacobians};
use crate::numbers::{Detail, value};
use crate::parameters::{Uses, parameters};
use crate::place::{place, short_path};
use crate::record::{Model, Recorded, record};
use crate::sequence::Sequence;
use crate::sweep::sweeps;

/// Beyond so many nodes, a page has norms and no values.
const MOST_NODES_WITH_VALUES: usize = 200;
/// Beyond so many nodes in all sweeps together, a page has no sweeps.
const MOST_EVENTS: usize = 5_000;

/// What a network is called, and what its equations are.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) title: Text,
    pub(crate) equations: Vec<String>,
}

/// What is known of a network besides its tape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Around<'a> {
    /// Docs of ops beside those of the built-in ones, by name.
    pub(crate) docs: &'a [(&'static str, &'static str)],
    /// The check of its cell, if that was checked.
    pub(crate) report: Option<&'a Report>,
}

/// Records a cell with a readout over a sequence and collects what a page shows of it.
///
/// # Errors
/// What does not fit.
pub(crate) fn network<C: RecurrentModule<f64>>(
    named: Named,
    cell: &C,
    readout: &Linear<Tensor<f64>>,
    sequence: &Sequence,
    around: Around<'_>,
) -> Result<Network, String> {
    let tape = Tape::new();
    let model = Model { cell: cell.clone(), readout: readout.clone() };
    let recorded = record(&tape, &model, sequence)?;
    let infos: Vec<NodeInfo<f64>> = (0..recorded.nodes).map(|node| tape.node(node)).collect();
    let steps: Vec<Option<usize>> = infos.iter().map(|info| place(&info.scope).0).collect();
    let detail = if infos.len() <= MOST_NODES_WITH_VALUES { Detail::Values } else { Detail::Norms };
    let parameters = parameters(&recorded, &infos, detail);
    let uses = Uses::new(&recorded, &infos, &steps);
    let events: usize = recorded.losses.iter().map(|loss| loss.position()).sum();
    let (sweeps, left_out) = if events <= MOST_EVENTS {
        (sweeps(&recorded, &infos, &uses, &parameters, detail), None)
    } else {
        (Vec::new(), Some(format!("{events} nodes in all sweeps together; a page has up to {MOST_EVENTS}")))
    };
    let flow = flow(&model, &recorded, sequence, is_chain(&infos, &steps));
    let jacobians = jacobians(&recorded);
    let mut tables = Tables::default();
    let nodes = infos.iter().map(|info| tables.node(info, &recorded, detail, around.docs)).collect();
    let losses = losses(&recorded, sequence);
    let positions = |vars: &[Var<'_, f64>]| vars.iter().map(|v| v.position()).collect::<Vec<_>>();
    let part = |p: usize| recorded.states.iter().map(|state| state[p].position()).collect();
    Ok(Network {
        id: named.id,
        title: named.title,
        hidden: model.readout.weight.shape()[0],
        equations: named.equations,
        states: (0..recorded.parts.len()).map(part).collect(),
        first: positions(&recorded.first),
        xs: positions(&recorded.xs),
        ys: recorded.ys.iter().map(|y| y.map(|y| y.position())).collect(),
        total: value(recorded.losses.iter().map(|loss| loss.value().item()).sum()),
        losses,
        parameters,
        parts: recorded.parts,
        nodes,
        rules: tables.rules,
        files: tables.files,
        sweeps,
        sweeps_left_out: left_out,
        flow,
        jacobians,
        influence: influence(&model, sequence, infos.len()),
        check: around.report.map(|report| located(report, &infos)),
    })
}

/// Whether each step reads no other than the one before it: a state may hold what older steps have recorded.
fn is_chain(nodes: &[NodeInfo<f64>], steps: &[Option<usize>]) -> bool {
    let near = |node: &NodeInfo<f64>, input: usize| match (steps[node.index], steps[input]) {
        (Some(step), Some(read)) => step.abs_diff(read) < 2,
        _ => true,
    };
    nodes.iter().all(|node| node.inputs.iter().all(|&input| near(node, input)))
}

fn losses(recorded: &Recorded<'_>, sequence: &Sequence) -> Vec<Loss> {
    let loss = |(&step, loss): (&usize, &Var<'_, f64>)| Loss {
        name: format!("E_{step}"),
        step,
        node: loss.position(),
        value: value(loss.value().item()),
    };
    sequence.losses().iter().zip(&recorded.losses).map(loss).collect()
}

/// Rules and files, each once.
#[derive(Default)]
struct Tables {
    rules: Vec<Rule>,
    files: Vec<String>,
}

impl Tables {
    fn node(
        &mut self,
        info: &NodeInfo<f64>,
        recorded: &Recorded<'_>,
        detail: Detail,
        docs: &[(&'static str, &'static str)],
    ) -> Node {
        let (step, gate) = place(&info.scope);
        let name = recorded.parameters.iter().find(|(_, v)| v.position() == info.index);
        Node {
            op: info.name,
            step,
            scope: if detail == Detail::Values { info.scope.clone() } else { String::new() },
            gate: gate.to_owned(),
            name: name.map(|(name, _)| name.clone()).unwrap_or_default(),
            inputs: info.inputs.clone(),
            value: detail.of(&info.value),
            rule: self.rule(info.name, docs),
            file: self.file(info.location.file()),
            line: info.location.line(),
            column: info.location.column(),
        }
    }

    fn rule(&mut self, op: &'static str, docs: &[(&'static str, &'static str)]) -> Option<usize> {
        if let Some(known) = self.rules.iter().position(|rule| rule.op == op) {
            return Some(known);
        }
        let own = docs.iter().find_map(|&(name, docs)| (name == op).then_some(docs));
        let text = first_paragraph(own.or_else(|| ops::docs(op))?);
        self.rules.push(Rule { op, text });
        Some(self.rules.len() - 1)
    }

    fn file(&mut self, path: &str) -> usize {
        let path = short_path(path);
        if let Some(known) = self.files.iter().position(|file| file == path) {
            return known;
        }
        self.files.push(path.to_owned());
        self.files.len() - 1
    }
}

/// The formulas of an op: the first paragraph of its docs, without marks for code.
fn first_paragraph(docs: &str) -> String {
    let lines = docs.lines().map(str::trim).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ").replace('`', "")
}
