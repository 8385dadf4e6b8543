//! A point at which the state lasts: where a gradient that is lost on its way through time is large enough to be seen.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rewind_autograd::{Module, OnTape, Parameters, Scalar, Tape, Tensor};

use super::run::{Kind, Run, Then, how, row};
use crate::noise::Noise;

/// The fewest time steps over which the state has to last.
const STEPS: usize = 16;

/// How parameters are moved: p becomes `factor`·p + `shift`. From small to large: the gates of a point are no wider open than need be.
const MOVES: [(f64, f64); 13] = [
    (1.0, 2.0),
    (1.0, -2.0),
    (2.0, 0.0),
    (0.5, 0.0),
    (4.0, 0.0),
    (0.25, 0.0),
    (1.0, 5.0),
    (1.0, -5.0),
    (16.0, 0.0),
    (1.0, 10.0),
    (1.0, -10.0),
    (1.0, 20.0),
    (1.0, -20.0),
];

/// A change of the first state that is at most this many times larger or smaller in the last one is good enough.
const ENOUGH: f64 = 8.0;

/// As many parameters as a cell has.
const FEW: usize = 8;

/// An effect that is as good as none.
const LEAST: f64 = 1e-30;

/// The most runs of the search, and how often it goes through all groups.
const MOST_RUNS: usize = 256;
const ROUNDS: usize = 2;

/// How far the first state is moved to see what that does to the last: far enough in `f32`.
const NUDGE: f64 = 1.0 / 64.0;

/// The point that was found.
pub(super) struct Lasting<M> {
    pub(super) module: M,
    /// The size of x and of what is added to the first state.
    pub(super) size: f64,
    /// `[T, B, I]`.
    pub(super) sizes: [usize; 3],
    /// With the effect of the first state on the last, there and at the given parameters.
    pub(super) name: String,
}

/// Parameters that are moved together.
#[derive(Clone, Copy)]
enum Group {
    /// Biases, decays: what has one axis at most.
    Vectors,
    Matrices,
    Leaf(usize),
    /// x and the first state, which are made smaller.
    Inputs,
}

struct Candidate<T: Scalar, M> {
    run: Run<Tensor<T>, M>,
    size: f64,
    effects: Vec<f64>,
}

impl<T: Scalar, M> Candidate<T, M> {
    /// How far the effects are from 1: 0 is best.
    fn distance(&self) -> f64 {
        // Beyond what differences tell, all are as far: one part must not outweigh the others.
        let distance = |effect: &f64| effect.clamp(LEAST, 1.0 / LEAST).ln().abs();
        self.effects.iter().map(distance).sum()
    }

    fn is_enough(&self) -> bool {
        self.distance() <= ENOUGH.ln() * self.effects.len() as f64
    }

    /// The geometric mean.
    fn effect(&self) -> f64 {
        let logs = self.effects.iter().map(|effect| effect.max(f64::MIN_POSITIVE).ln());
        (logs.sum::<f64>() / self.effects.len() as f64).exp()
    }
}

/// The point at which the state of `module` lasts best, among those that a few moves of its parameters reach; `None` if it cannot be run over
/// as many time steps.
pub(super) fn lasting<T: Scalar, M: Module<T>, K: Kind<T, M>>(
    module: &M,
    [steps, batch, features]: [usize; 3],
    noise: Option<Noise>,
) -> Option<Lasting<M>> {
    // A multiple, for a layer that splits the sequence in blocks. A layer may not take more steps than were given.
    let longer = steps * STEPS.div_ceil(steps);
    let start = [longer, steps].into_iter().find_map(|steps| {
        let run = Run::sampled::<K>(module, [steps, batch, features], 1.0, noise);
        let effects = catch_unwind(AssertUnwindSafe(|| effects::<T, M, K>(&run, noise))).ok().flatten()?;
        Some(Candidate { run, size: 1.0, effects })
    })?;
    let (given, steps) = (start.effect(), start.run.x.shape()[0]);
    let best = search::<T, M, K>(start, noise);
    let of = if best.run.moved_parts().next().is_none() { "input" } else { "state" };
    let name = if best.effect() < LEAST {
        format!("over {steps} steps")
    } else {
        let left = best.effect();
        format!(
            "where the state lasts: after {steps} steps, {left:.0e} is left of a change of the first {of} ({given:.0e} at the given parameters)"
        )
    };
    Some(Lasting { module: best.run.cell, size: best.size, sizes: [steps, batch, features], name })
}

/// Moves the parameters, group by group, to where the effects of the first state on the last are nearest to 1.
fn search<T: Scalar, M: Module<T>, K: Kind<T, M>>(mut best: Candidate<T, M>, noise: Option<Noise>) -> Candidate<T, M> {
    let leaves = best.run.cell.leaves().len();
    let together = [Group::Vectors, Group::Matrices, Group::Inputs];
    let alone = (0..leaves).map(Group::Leaf);
    // Of few parameters one alone is tried first: the biases of all gates moved at once saturate some that need not be.
    let groups: Vec<Group> =
        if leaves <= FEW { alone.chain(together).collect() } else { together.into_iter().chain(alone).collect() };
    let mut runs = 0;
    for &group in (0..ROUNDS).flat_map(|_| &groups) {
        let from = Candidate { run: best.run.map(|_, p| p.clone()), size: best.size, effects: Vec::new() };
        for by in MOVES {
            if best.is_enough() || runs > MOST_RUNS {
                return best;
            }
            let Some((run, size)) = moved(&from, group, by) else { continue };
            runs += 1 + best.effects.len();
            let effects = catch_unwind(AssertUnwindSafe(|| effects::<T, M, K>(&run, noise))).ok().flatten();
            let candidate = effects.map(|effects| Candidate { run, size, effects });
            let better = candidate.filter(|candidate| candidate.distance() < best.distance());
            if let Some(better) = better.filter(|better| has_finite_gradient::<T, M, K>(&better.run, noise)) {
                best = better;
            }
        }
    }
    best
}

/// Whether the gradient is finite. Where parameters are so large that a value rounds to its limit it may not be, as that of √(1 - λ²) at λ = 1
/// is not: no fault at a point that nobody asked for.
fn has_finite_gradient<T: Scalar, M: Module<T>, K: Kind<T, M>>(run: &Run<Tensor<T>, M>, noise: Option<Noise>) -> bool {
    let is_finite = || {
        let tape = Tape::new();
        let on_tape = run.on(&tape);
        let values = K::run(&on_tape, how(&run.lengths(), noise), Then::Stop).values;
        let gradients = row(values).sum().backward();
        on_tape.leaves().iter().all(|&&v| gradients.get(v).to_vec().iter().all(|g| g.to_f64().is_finite()))
    };
    // A rule that panics is for the check to report.
    catch_unwind(AssertUnwindSafe(is_finite)).unwrap_or(true)
}

/// The same with a group moved; `None` if that moves nothing.
fn moved<T: Scalar, M: Module<T>>(
    from: &Candidate<T, M>,
    group: Group,
    (factor, shift): (f64, f64),
) -> Option<(Run<Tensor<T>, M>, f64)> {
    let (f, s) = (T::from_f64(factor), T::from_f64(shift));
    let move_one = |p: &Tensor<T>| p.map(|p| f * p + s);
    let run = &from.run;
    let leaves = run.cell.leaves();
    let chosen: Vec<bool> = (0..leaves.len())
        .map(|k| match group {
            Group::Vectors => leaves[k].rank() <= 1,
            Group::Matrices => leaves[k].rank() > 1 && shift == 0.0,
            // What is added to a whole matrix saturates all that it is multiplied for.
            Group::Leaf(leaf) => leaf == k && (leaves[k].rank() <= 1 || shift == 0.0),
            Group::Inputs => false,
        })
        .collect();
    let inputs = matches!(group, Group::Inputs) && shift == 0.0 && factor < 1.0;
    if !inputs && !chosen.contains(&true) {
        return None;
    }
    let mut leaf = 0;
    let mut moved = run.map(|_, p| {
        leaf += 1;
        if chosen.get(leaf - 1) == Some(&true) { move_one(p) } else { p.clone() }
    });
    if !inputs {
        return Some((moved, from.size));
    }
    moved.x = move_one(&moved.x);
    for first in &mut moved.first_state {
        first.part = first.part.as_ref().map(move_one);
    }
    Some((moved, from.size * factor))
}

/// Moves one input of a run, and returns how far.
type Change<'c, T, M> = dyn Fn(&mut Run<Tensor<T>, M>) -> f64 + 'c;

/// How much larger a change of each part of the first state is in the last state; where there is no state, that of a change of the first
/// input in the last output. Measured by differences: the rules may be wrong. `None` if a value is not finite.
fn effects<T: Scalar, M: Module<T>, K: Kind<T, M>>(run: &Run<Tensor<T>, M>, noise: Option<Noise>) -> Option<Vec<f64>> {
    let last = |run: &Run<Tensor<T>, M>| -> Vec<T> {
        let tape = Tape::quiet();
        let ran = K::run(&run.on(&tape), how(&run.lengths(), noise), Then::Stop);
        if let Some(outputs) = ran.outputs.filter(|_| ran.last.is_empty()) {
            return outputs.index(0, outputs.shape()[0] - 1).value().to_vec();
        }
        ran.last.iter().flat_map(|v| v.value().to_vec()).collect()
    };
    let nudge = |x: &Tensor<T>, among: usize| {
        let direction = rewind_check::sample::<T>(x.shape(), 77).to_vec();
        let by = |k: usize| if k < among { NUDGE * direction[k].to_f64() } else { 0.0 };
        let norm = (0..among).map(by).fold(0.0, f64::hypot);
        let numbers = x.to_vec();
        (Tensor::from_fn(x.shape(), |k| numbers[k] + T::from_f64(by(k))), norm)
    };
    let here = last(run);
    let effect = |change: &Change<'_, T, M>| {
        let mut there = run.map(|_, p| p.clone());
        let norm = change(&mut there);
        let there = last(&there);
        let moved = here.iter().zip(&there).map(|(a, b)| b.to_f64() - a.to_f64()).fold(0.0, f64::hypot);
        (norm > 0.0 && moved.is_finite()).then_some(moved / norm)
    };
    if run.moved_parts().next().is_none() {
        let among = run.x.len() / run.x.shape()[0];
        let of_x = effect(&|there| {
            let (x, norm) = nudge(&there.x, among);
            there.x = x;
            norm
        })?;
        return Some(vec![of_x]);
    }
    let of_part = |k: usize| {
        effect(&|there| {
            let Some(part) = &mut there.first_state[k].part else { return 0.0 };
            let (nudged, norm) = nudge(part, part.len());
            *part = nudged;
            norm
        })
    };
    let moved = (0..run.first_state.len()).filter(|&k| run.first_state[k].part.is_some());
    moved.map(of_part).collect()
}
