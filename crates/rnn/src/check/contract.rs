//! The contract of a layer, beside its gradients: what padding, the end of a sequence, the direction and a cut in time may not change.
//!
//! Each rule is tried by a few runs, over a batch of sequences of different lengths.

mod gradients;
mod trial;

use rewind_autograd::{Module, Scalar, Tensor, Var};
use rewind_check::{Breach, Invalid, Point, Report, Verdict};

use super::NOISE;
use crate::noise::Noise;
use crate::time::{Layer, Unroll};
use gradients::other_gradient;
use trial::{Found, Outcome, Trial, before, caught, in_pieces, moved_after, reversed};

/// A rule of the contract, and what to do if it is broken.
struct Rule {
    text: &'static str,
    advice: &'static str,
}

const SHAPES: Rule = Rule {
    text: "outputs are [T, B, …] for x [T, B, I], and the last state has the shapes of the first",
    advice: "give an output for each time step and sequence, and a state with a row for each sequence",
};
const ENDS: Rule =
    Rule { text: "outputs after the end of a sequence are 0", advice: "mask the outputs: how.masked(y)" };
const PADDING: Rule = Rule {
    text: "more padding changes no output",
    advice: "the padding after a bias, or T in the place of a length, reaches the outputs: mask with how.masked, and count \
             by how.sequence_lengths()",
};
const ALONE: Rule = Rule {
    text: "a sequence has the outputs in a padded batch that it has alone",
    advice: "padding or other sequences of the batch reach the outputs: compute each sequence by itself, mask with how.masked",
};
const LAST: Rule = Rule {
    text: "the last state of a sequence is that at its own end",
    advice: "take the state of each sequence at its own end, by how.sequence_lengths(), and not at T",
};
const GRADIENTS: Rule = Rule {
    text: "a padded batch has the sum of the gradients that its sequences have alone",
    advice: "the padding, where x is 0, reaches a gradient: mask what has no finite derivative there before it is computed, \
             and not after",
};
const DIRECTION: Rule = Rule {
    text: "backward in time gives what forward gives for the reversed sequences, reversed",
    advice: "read x as how.in_order(x), and return the outputs as how.in_order(y)",
};
const AHEAD: Rule = Rule {
    text: "the outputs of a causal layer depend on no later input",
    advice: "a layer that reads later steps says so: fn is_causal(&self) -> bool { false }",
};
const PIECES: Rule = Rule {
    text: "from the last state of a run over the first steps, a causal layer goes on as in the whole sequence",
    advice: "start from the given state and return that after the last step; draw masks for step how.first_step() + t; \
             if the layer cannot go on, is_causal is false",
};

/// The report, and what `layer` breaks of the contract, unless its gradients are wrong or were not compared.
pub(super) fn with_contract<T: Scalar, M: Module<T>>(mut report: Report, layer: &M, sizes: [usize; 3]) -> Report
where
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    if matches!(report.verdict, Verdict::Wrong | Verdict::Invalid(_)) {
        return report;
    }
    match contract(layer, sizes) {
        Ok(refused) => report.points.extend(refused),
        Err(breaches) => report.verdict = Verdict::Invalid(Invalid::Contract(breaches)),
    }
    report
}

/// Checks the contract of a [`Layer`] alone, without gradients, by some twenty runs over a batch of unlike sequences:
/// [`layer`](super::layer) says what that is. `[T, B, I]` are time steps, sequences and features; T is multiplied and B raised, if the layer
/// takes that, so that there is padding. Returns the runs that the layer refused by a panic, or else the rules that it breaks.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{Scalar, Var, parameters};
/// use rewind_rnn::{Gru, Layer, LayerOutputs, Recurrent, Unroll, check};
///
/// parameters! {
///     /// y = x + bias: after the end of a sequence too.
///     struct Shift<P> { bias: P }
/// }
///
/// impl<'t, T: Scalar> Layer<'t, T> for Shift<Var<'t, T>> {
///     type State = ();
///     fn initial_state(&self, _batch: usize) {}
///     fn forward(&self, x: Var<'t, T>, (): (), _how: Unroll<'_>) -> LayerOutputs<'t, T, ()> {
///         LayerOutputs::new(x + self.bias, ())
///     }
/// }
///
/// let gru = Recurrent(Gru::new(3, 4, &mut StdRng::seed_from_u64(1)));
/// assert_eq!(check::contract::<f64, _>(&gru, [3, 2, 3]), Ok(vec![]));
///
/// let breaches = check::contract::<f64, _>(&Shift { bias: check::sample(&[3], 1) }, [3, 2, 3]).unwrap_err();
/// assert_eq!(breaches[0].rule, "outputs after the end of a sequence are 0");
/// assert_eq!(breaches[0].advice, "mask the outputs: how.masked(y)");
/// ```
///
/// # Errors
/// The rules that the layer breaks, with the first place of each.
///
/// # Panics
/// If one of the sizes is 0, or the layer does not run over the given sizes.
#[track_caller]
pub fn contract<T: Scalar, M: Module<T>>(layer: &M, sizes: [usize; 3]) -> Result<Vec<Point>, Vec<Breach>>
where
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    if sizes.contains(&0) {
        panic!("check::contract: sizes {sizes:?} for [T, B, I]; expected at least one step, sequence and feature");
    }
    let trial = match Trial::new(layer, sizes) {
        Ok(trial) => trial,
        Err(message) => panic!("check::contract: the layer does not run: {message}"),
    };
    let mut findings = Findings::default();
    let whole = Pass { trial: &trial, noise: None }.check(&mut findings);
    let with_noise = Pass { trial: &trial, noise: Some(NOISE) };
    let noisy = caught(|| trial.run(&trial.x, &trial.first, with_noise.how(&trial.lengths)));
    if let (Some(whole), Ok(noisy)) = (whole, noisy)
        && whole.differs_from(&noisy)
    {
        with_noise.check(&mut findings);
    }
    if findings.breaches.is_empty() { Ok(findings.refused) } else { Err(findings.breaches) }
}

#[derive(Default)]
struct Findings {
    /// One for each rule at most.
    breaches: Vec<Breach>,
    /// Runs that the layer refused by a panic: nothing goes wrong in silence there.
    refused: Vec<Point>,
}

impl Findings {
    fn add(&mut self, rule: &Rule, run: &str, found: Option<Found>) {
        if let Some(Found { place, found, expected }) = found
            && !self.has(rule)
        {
            let Rule { text, advice } = *rule;
            self.breaches.push(Breach { rule: text, place: format!("{place}, {run}"), found, expected, advice });
        }
    }

    fn has(&self, rule: &Rule) -> bool {
        self.breaches.iter().any(|breach| breach.rule == rule.text)
    }

    fn refuse(&mut self, name: &str, message: String) {
        self.refused
            .push(Point { name: format!("in a run {name}"), verdict: Verdict::Invalid(Invalid::Panicked(message)) });
    }

    /// The outcome of a run, unless it panics.
    fn outcome<R>(&mut self, name: &str, run: impl FnOnce() -> R) -> Option<R> {
        let outcome = caught(run);
        outcome.map_err(|message| self.refuse(name, message)).ok()
    }
}

/// All rules with one choice of noise.
struct Pass<'a, T: Scalar, M> {
    trial: &'a Trial<T, M>,
    noise: Option<Noise>,
}

impl<T: Scalar, M: Module<T>> Pass<'_, T, M>
where
    for<'t> M::With<Var<'t, T>>: Layer<'t, T>,
{
    fn how<'b>(&self, lengths: &'b [usize]) -> Unroll<'b> {
        Unroll { noise: self.noise, ..Unroll::new().lengths(lengths) }
    }

    /// The name of a run in messages.
    fn named(&self, run: &str) -> String {
        format!("{run}{}", if self.noise.is_some() { ", with noise" } else { "" })
    }

    /// Tries all rules; returns what the padded batch gives.
    fn check(&self, findings: &mut Findings) -> Option<Outcome<T>> {
        let trial = self.trial;
        let name = self.named("in a padded batch");
        let whole = findings.outcome(&name, || trial.run(&trial.x, &trial.first, self.how(&trial.lengths)))?;
        findings.add(&SHAPES, &name, trial.wrong_shape(&whole));
        if findings.has(&SHAPES) {
            return None;
        }
        findings.add(&ENDS, &name, trial.after_the_ends(&whole));
        self.less_padding(&whole, findings);
        if self.noise.is_none() {
            // Masks are drawn for a batch and for steps in the order of time: not for a row of it, nor for reversed sequences.
            self.alone(&whole, findings);
            if findings.breaches.is_empty() {
                let found = findings.outcome("for the gradients of a padded batch", || other_gradient(trial));
                findings.add(&GRADIENTS, &name, found.flatten());
            }
            self.backward(findings);
        }
        if trial.is_causal {
            self.reads_ahead(&whole, findings);
            self.goes_on(&whole, findings);
        }
        Some(whole)
    }

    fn less_padding(&self, whole: &Outcome<T>, findings: &mut Findings) {
        let (trial, steps) = (self.trial, self.trial.longest());
        if steps == trial.x.shape()[0] {
            return;
        }
        let run = || trial.run(&before(&trial.x, steps), &trial.first, self.how(&trial.lengths));
        let name = self.named("with less padding");
        let Some(less) = findings.outcome(&name, run) else { return };
        findings.add(&PADDING, &self.named("with more padding"), trial.other_outputs(whole, &less, &trial.lengths));
        findings.add(&LAST, &self.named("with more padding"), trial.other_state(whole, &less));
    }

    fn alone(&self, whole: &Outcome<T>, findings: &mut Findings) {
        let trial = self.trial;
        let name = self.named("in a padded batch");
        for (b, &length) in trial.lengths.iter().enumerate() {
            let own = |tensor: &Tensor<T>, axis: usize| tensor.slice(axis, b..b + 1).to_contiguous();
            let first: Vec<_> = trial.first.iter().map(|part| own(part, 0)).collect();
            let run =
                || trial.run(&own(&before(&trial.x, length), 1), &first, Unroll { noise: self.noise, ..Unroll::new() });
            let Some(alone) = findings.outcome(&format!("for a sequence of {length} steps alone"), run) else {
                continue;
            };
            let inside: Vec<_> = (0..trial.lengths.len()).map(|k| if k == b { length } else { 0 }).collect();
            if !findings.has(&PADDING) {
                findings.add(&ALONE, &name, trial.other_outputs(whole, &alone.in_row(b), &inside));
            }
            findings.add(&LAST, &name, trial.other_state(whole, &alone.in_row(b)));
        }
    }

    fn backward(&self, findings: &mut Findings) {
        let trial = self.trial;
        let (name, how) = (self.named("backward in time"), self.how(&trial.lengths));
        let Some(backward) = findings.outcome(&name, || trial.run(&trial.x, &trial.first, how.backward())) else {
            return;
        };
        let turned = reversed(&trial.x, &trial.lengths);
        let Some(forward) = findings.outcome(&name, || trial.run(&turned, &trial.first, how)) else { return };
        let expected = Outcome { outputs: reversed(&forward.outputs, &trial.lengths), ..forward };
        findings.add(&DIRECTION, &name, trial.other_outputs(&backward, &expected, &trial.lengths));
        findings.add(&DIRECTION, &name, trial.other_state(&backward, &expected));
    }

    fn reads_ahead(&self, whole: &Outcome<T>, findings: &mut Findings) {
        let (trial, longest) = (self.trial, self.trial.longest());
        let mut last = 0;
        for t in [0, longest / 2, longest.saturating_sub(2)] {
            if t + 1 >= longest || t < last {
                continue;
            }
            last = t;
            let name = self.named(&format!("after a change of x behind step {t}"));
            let x = moved_after(&trial.x, t);
            let run = || trial.run(&x, &trial.first, self.how(&trial.lengths));
            let Some(moved) = findings.outcome(&name, run) else { continue };
            let inside: Vec<_> = trial.lengths.iter().map(|&length| length.min(t + 1)).collect();
            findings.add(&AHEAD, &name, trial.other_outputs(&moved, whole, &inside));
        }
    }

    fn goes_on(&self, whole: &Outcome<T>, findings: &mut Findings) {
        let (trial, cut) = (self.trial, self.trial.longest().div_ceil(2));
        if cut >= trial.x.shape()[0] || findings.has(&AHEAD) {
            return;
        }
        let name = self.named(&format!("in two pieces, steps 0 to {} and the rest", cut - 1));
        let Some(pieces) = findings.outcome(&name, || in_pieces(trial, cut, self.how(&trial.lengths))) else { return };
        findings.add(&PIECES, &name, trial.other_outputs(&pieces, whole, &trial.lengths));
        findings.add(&PIECES, &name, trial.other_state(&pieces, whole));
    }
}
