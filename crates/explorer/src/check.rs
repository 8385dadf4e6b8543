//! The gradient check of a cell, and the node at fault on the tape of a page.

use rewind_autograd::NodeInfo;
use rewind_check::{Culprit, Entry, Report, Verdict};
use rewind_rnn::{RecurrentModule, check};

use crate::data::Check;
use crate::place::{place, short_path};

/// Cells of more parameters are checked along random directions, not entry by entry.
const MOST_ENTRIES: usize = 400;

/// Checks a cell over 3 time steps of 2 sequences.
pub(crate) fn checked<C: RecurrentModule<f64>>(cell: &C, features: usize) -> Report {
    let entries: usize = cell.leaves().iter().map(|leaf| leaf.len()).sum();
    let settings = if entries <= MOST_ENTRIES { check::full() } else { check::fast() };
    check::cell_with(settings, cell, [3, 2, features])
}

/// A report as data, with the node of this tape that stands for the one at fault: that of the same line, step and gate, or else the
/// first of its line.
pub(crate) fn located(report: &Report, nodes: &[NodeInfo<f64>]) -> Check {
    let (op, scope, location, worst, pattern) = match &report.culprit {
        Some(Culprit::Op(op)) => {
            let pattern = op.pattern.as_ref().map(ToString::to_string);
            (Some(op.op), op.scope.as_str(), Some(op.location), op.worst.as_ref(), pattern)
        }
        Some(Culprit::OffTape(value)) => (value.held_by, value.scope.as_str(), Some(value.location), None, None),
        None => (None, "", None, None, None),
    };
    let (step, gate) = place(scope);
    let of_line = |node: &&NodeInfo<f64>| location == Some(node.location) && op.is_none_or(|op| op == node.name);
    let node = (nodes.iter().filter(of_line).find(|node| place(&node.scope) == (step, gate)))
        .or_else(|| nodes.iter().find(of_line));
    let worst: Option<&Entry> = worst.or(report.worst.as_ref());
    Check {
        passed: report.passed(),
        verdict: match report.verdict {
            Verdict::Right => "right",
            Verdict::Wrong => "wrong",
            Verdict::CannotTell(_) => "cannot tell",
            Verdict::Invalid(_) => "invalid",
        },
        message: report.to_string(),
        op,
        scope: scope.to_owned(),
        gate: gate.to_owned(),
        step,
        node: node.map(|node| node.index),
        file: location.map(|location| short_path(location.file()).to_owned()),
        line: location.map(|location| location.line()),
        gradient: worst.map(|entry| entry.analytic),
        difference: worst.map(|entry| entry.numeric),
        pattern,
    }
}
