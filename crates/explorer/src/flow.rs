//! What the lens of `rewind-rnn` sees of a network: the gradient in the states, Jacobians, gates, and the influence of the inputs.

use rewind_autograd::ops::layout::stack;
use rewind_autograd::{Tensor, Var, derive};
use rewind_rnn::{RecurrentModule, lens};

use crate::data::{Flow, Gate, Jacobian};
use crate::numbers::norm;
use crate::record::{Model, Recorded, unrolled};
use crate::sequence::Sequence;

/// T·n³ of the Jacobians `[n, n]` of T steps, at most.
const MOST_OF_JACOBIANS: usize = 4_000_000;
/// Nodes in all sweeps for the influence together, at most.
const MOST_OF_INFLUENCE: usize = 200_000;

/// |dE/dstate_t| for the sum of all losses E, its growth, and, in a chain of steps that read the one before, gates and recurrent weight.
pub(crate) fn flow<C: RecurrentModule<f64>>(
    model: &Model<Tensor<f64>, C>,
    recorded: &Recorded<'_>,
    sequence: &Sequence,
    is_chain: bool,
) -> Flow {
    let see = || {
        lens::flow(model, |tape, net| {
            let x = |t| tape.constant(sequence.x().slice(0, t..t + 1));
            unrolled(tape, net, sequence, x).expect("it was recorded before").losses
        })
    };
    let seen = is_chain.then(see);
    let (weights, gates) = seen.map_or_else(Default::default, |seen| (seen.weights, seen.gates));
    let total = recorded.losses.iter().copied().reduce(|sum, loss| sum + loss).expect("a sequence has a loss");
    // No gradient flows to a state that depends on no parameter.
    let tracked: Vec<Var<'_, f64>> = recorded.states.iter().flatten().chain(&recorded.outputs).copied().collect();
    let tracked: Vec<Var<'_, f64>> = tracked.into_iter().filter(|v| v.is_tracked()).collect();
    let gradients = total.backward_to(&tracked);
    let gradient = |v: Var<'_, f64>| if v.is_tracked() { gradients.get(v).norm() } else { 0.0 };
    let part = |p: usize| recorded.states.iter().map(|state| norm(gradient(state[p]))).collect();
    let outputs: Vec<f64> = recorded.outputs.iter().map(|&h| gradient(h)).collect();
    let growth = outputs.windows(2).map(|pair| Some(norm(pair[0] / pair[1])).filter(|growth| growth.is_finite()));
    Flow {
        parts: (0..recorded.parts.len()).map(part).collect(),
        growth: std::iter::once(None).chain(growth).collect(),
        // Of several weights, or one of several gates, none is the recurrence.
        radius: if let [weight] = &weights[..] { Some(norm(weight.radius)) } else { None },
        gates: gates.iter().map(|seen| gate(seen, sequence.steps())).collect(),
    }
}

fn gate(seen: &lens::GateFlow, steps: usize) -> Gate {
    let by_step = |values: &[f64]| {
        let mut all = vec![None; steps];
        seen.steps.iter().zip(values).for_each(|(&step, &value)| all[step] = Some(norm(value)));
        all
    };
    Gate {
        name: seen.name.trim_start_matches("cell/").to_owned(),
        kind: if seen.activation == "tanh" { "candidate" } else { "switch" },
        mean: by_step(&seen.mean),
        saturated: by_step(&seen.saturated),
    }
}

/// How far ∂state_j/∂state_(j-1) stretches a gradient, all parts of the state together; nothing for large states.
pub(crate) fn jacobians(recorded: &Recorded<'_>) -> Vec<Jacobian> {
    let elements: usize = recorded.first.iter().map(|part| part.element_count()).sum();
    if elements.saturating_pow(3).saturating_mul(recorded.states.len()) > MOST_OF_JACOBIANS {
        return Vec::new();
    }
    let jacobian = |(k, pair): (usize, &[Vec<Var<'_, f64>>])| {
        let (largest, smallest) = lens::stretch(&derive::partial(&pair[1], &pair[0]).jacobian());
        Jacobian { step: k + 1, largest: norm(largest), smallest: norm(smallest) }
    };
    recorded.states.windows(2).enumerate().map(jacobian).collect()
}

/// |∂h_s/∂x_t| by s, then by t; nothing if the sweeps together are too long.
pub(crate) fn influence<C: RecurrentModule<f64>>(
    model: &Model<Tensor<f64>, C>,
    sequence: &Sequence,
    nodes: usize,
) -> Vec<Vec<f64>> {
    let elements = sequence.steps() * model.readout.weight.shape()[0];
    if elements * nodes > MOST_OF_INFLUENCE {
        return Vec::new();
    }
    let influence = lens::influence(model, sequence.x(), |tape, net, x| {
        let row = |t: usize| x.slice(0, t..t + 1);
        stack(&unrolled(tape, net, sequence, row).expect("it was recorded before").outputs, 0)
    });
    influence.norms.into_iter().map(|row| row.into_iter().map(norm).collect()).collect()
}
