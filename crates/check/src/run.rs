//! One order of a check: the gradient by the tape, differences, and what the two say together.

use std::cell::LazyCell;

use rewind_autograd::{Scalar, Tape, Tensor};

use crate::caught::catch;
use crate::compare::{self, Comparison, Found, MOST_ENTRIES, Outcome, Rules};
use crate::elements::direction;
use crate::objective::{Function, Objective};
use crate::origin::{Origin, find};
use crate::prober::Prober;
use crate::report::{Culprit, Doubt, Entry, Invalid, Mode, Report, Verdict};
use crate::sample::Rounding;
use crate::suspect::Search;

/// Consecutive calls with the same inputs, which must give the same value.
const CALLS: usize = 8;

/// One order of a check.
pub(crate) struct Run<'a, T: Scalar> {
    pub(crate) mode: Mode,
    pub(crate) seed: u64,
    pub(crate) names: &'a [String],
    /// The names again, if the inputs are the parameters of a module.
    pub(crate) parameters: &'a [String],
    pub(crate) inputs: &'a [Tensor<T>],
    pub(crate) f: &'a Function<'a, T>,
    pub(crate) order: usize,
}

impl<T: Scalar> Run<'_, T> {
    fn objective(&self, seed: u64) -> Objective<'_, T> {
        Objective::new(self.f, self.parameters, self.order, seed)
    }

    /// Compares this order and adds what it finds to the report.
    pub(crate) fn compare(&self, report: &mut Report) -> Result<(), Invalid> {
        let mut objective = self.objective(self.seed);
        let (mut first, mut again) = (Vec::new(), Vec::new());
        objective.evaluate(self.inputs, &mut first)?;
        // One call after another, so that a value that recurs every second or third time is seen.
        for _ in 1..CALLS {
            objective.evaluate(self.inputs, &mut again)?;
            unchanged(&first, &again)?;
        }
        let done = match self.mode {
            Mode::Full => self.every_entry(&mut objective, report)?,
            Mode::Fast { projections } => self.directions(&mut objective, projections, report)?,
        };
        if done {
            objective.evaluate(self.inputs, &mut again)?;
            unchanged(&first, &again)?;
        }
        Ok(())
    }

    /// The gradient by the tape; a panic of the reverse pass is attributed to the op that causes it.
    fn gradient(&self, seed: u64, report: &mut Report) -> Result<Option<Vec<Tensor<T>>>, Invalid> {
        match catch(|| self.objective(seed).gradient(self.inputs)) {
            Ok(gradient) => Ok(Some(gradient)),
            Err(message) => {
                let culprit = self.origin(true, None).culprit;
                if !matches!(culprit, Some(Culprit::Op(_))) {
                    return Err(Invalid::Panicked(message));
                }
                report.verdict = Verdict::Wrong;
                report.culprit = culprit;
                Ok(None)
            }
        }
    }

    fn origin(&self, deep: bool, worst: Option<&Found>) -> Origin {
        let not_finite = worst.is_some_and(|worst| !worst.analytic.is_finite());
        let origin = |most| {
            let search = Search { most, deep, not_finite, seed: self.seed };
            find(&self.objective(self.seed), self.inputs, search)
        };
        match self.mode {
            Mode::Full => origin(usize::MAX),
            // Some entries of an op are enough to find it, but not to call all ops right.
            Mode::Fast { .. } => {
                Some(origin(MOST_ENTRIES)).filter(|o| o.culprit.is_some()).unwrap_or_else(|| origin(usize::MAX))
            }
        }
    }

    /// What the rounding of all values on the tape does to the projection, by their cotangents.
    fn rounding(&self) -> Rounding {
        let tape = Tape::new();
        let (_, sum) = self.objective(self.seed).record(&tape, self.inputs);
        let mut rounding = Rounding::default();
        sum.backward_watched(|v, cotangent| rounding.add(cotangent, &v.value()));
        rounding
    }

    /// Returns whether the function was compared at all.
    fn every_entry(&self, objective: &mut Objective<'_, T>, report: &mut Report) -> Result<bool, Invalid> {
        let Some(gradient) = self.gradient(self.seed, report)? else { return Ok(false) };
        let weights = objective.weights(self.inputs);
        let mut evaluate = |x: &[Tensor<T>], out: &mut Vec<T>| objective.evaluate(x, out);
        let mut prober = Prober::new(&mut evaluate, self.inputs, weights)?;
        let rounding = LazyCell::new(|| self.rounding());
        let rules = Rules { order: self.order, rounding: &|| *rounding, most: usize::MAX };
        let comparison = compare::entries(&mut prober, &gradient, self.names, rules)?;
        self.add(comparison, report);
        Ok(true)
    }

    fn directions(
        &self,
        objective: &mut Objective<'_, T>,
        projections: usize,
        report: &mut Report,
    ) -> Result<bool, Invalid> {
        let rounding = LazyCell::new(|| self.rounding());
        let rules = Rules { order: self.order, rounding: &|| *rounding, most: MOST_ENTRIES };
        let entries: usize = self.inputs.iter().map(Tensor::len).sum();
        let Some(gradients) = self.gradients(projections, report)? else { return Ok(false) };
        let mut comparison = Comparison { entries, checked: entries, ..Comparison::default() };
        'directions: for (k, gradient) in gradients.iter().enumerate() {
            let seed = self.seed.wrapping_add(k as u64);
            objective.reseed(seed);
            let weights = objective.weights(self.inputs);
            let mut evaluate = |x: &[Tensor<T>], out: &mut Vec<T>| objective.evaluate(x, out);
            let mut prober = Prober::new(&mut evaluate, self.inputs, weights)?;
            if self.order == 1
                && k == 0
                && let Some(input) = compare::ignored(&mut prober, gradient)?
            {
                comparison.outcome = Outcome::Doubt(Doubt::IgnoresInput(self.names[input].clone()));
                comparison.checked -= self.inputs[input].len();
            }
            for factors in compare::bands(&prober, gradient) {
                let along = compare::projection(&mut prober, gradient, &factors, seed, rules)?;
                comparison.resolution = comparison.resolution.max(along.resolution);
                if along.outcome == Outcome::Right {
                    continue;
                }
                comparison = self.which_entry(along, &mut prober, gradient, rules)?;
                break 'directions;
            }
        }
        objective.reseed(self.seed);
        self.add(comparison, report);
        Ok(true)
    }

    /// Which entry does a direction not agree for? For one that is wrong, some entries are enough to say; one that
    /// cannot be decided may hide a wrong entry anywhere. Where not every entry was compared, the direction decides.
    fn which_entry(
        &self,
        along: Comparison,
        prober: &mut Prober<'_, T>,
        gradient: &[Tensor<T>],
        rules: Rules<'_>,
    ) -> Result<Comparison, Invalid> {
        let most = if along.outcome == Outcome::Wrong { MOST_ENTRIES } else { usize::MAX };
        let every = compare::entries(prober, gradient, self.names, Rules { most, ..rules })?;
        if every.outcome == Outcome::Wrong || self.inputs.iter().all(|x| x.len() <= most) {
            return Ok(every);
        }
        Ok(Comparison { outcome: along.outcome, worst: along.worst, steps: along.steps, ..every })
    }

    /// One gradient for each set of weights; at the first order all from one recording.
    fn gradients(&self, projections: usize, report: &mut Report) -> Result<Option<Vec<Vec<Tensor<T>>>>, Invalid> {
        let seeds = (0..projections as u64).map(|k| self.seed.wrapping_add(k));
        if self.order > 1 {
            return seeds.map(|seed| self.gradient(seed, report)).collect();
        }
        let gradients = catch(|| {
            let tape = Tape::new();
            let x: Vec<_> = self.inputs.iter().map(|x| tape.leaf(x.clone())).collect();
            let y = (self.f)(&tape, &x);
            let of = |seed: u64| {
                let gradients = y.backward_from(&direction(&y.shape(), seed, 0));
                x.iter().map(|&x| gradients.get(x)).collect()
            };
            seeds.map(of).collect()
        });
        match gradients {
            Ok(gradients) => Ok(Some(gradients)),
            // The slow way finds out which op panics.
            Err(_) => Ok(self.gradient(self.seed, report)?.map(|g| vec![g; projections])),
        }
    }

    /// Attributes a comparison to its origin. What differences cannot decide is wrong nevertheless if an op alone is
    /// wrong or a value left the tape. What looks wrong is undecided if the only suspect is an op that cannot be judged
    /// alone.
    fn explained(&self, mut comparison: Comparison) -> (Comparison, Option<Culprit>) {
        match &comparison.outcome {
            Outcome::Wrong => {
                let origin = self.origin(true, comparison.worst.as_ref());
                // A gradient by right ops, all of them on the tape, is right.
                if origin.culprit.is_none() {
                    comparison.outcome = Outcome::Doubt(origin.doubt.unwrap_or(Doubt::Unexplained));
                }
                (comparison, origin.culprit)
            }
            Outcome::Doubt(Doubt::Unsettled | Doubt::OutOfRange) => {
                let origin = self.origin(self.order > 1, None);
                if origin.culprit.is_some() {
                    comparison.outcome = Outcome::Wrong;
                }
                (comparison, origin.culprit)
            }
            _ => (comparison, None),
        }
    }

    fn add(&self, comparison: Comparison, report: &mut Report) {
        let (comparison, culprit) = self.explained(comparison);
        report.entries += comparison.entries;
        report.checked += comparison.checked;
        report.disagreeing += comparison.disagreeing;
        report.resolution = report.resolution.max(comparison.resolution);
        let shapes = &report.shapes;
        let worst = comparison.worst.as_ref().map(|found| found.entry::<T>(self.names, shapes, self.order));
        match comparison.outcome {
            Outcome::Right => {
                // Of right entries, the largest error; an undecided one keeps its place.
                let larger = |worst: &Entry| report.worst.as_ref().is_none_or(|w| worst.relative() > w.relative());
                if report.verdict == Verdict::Right && worst.as_ref().is_some_and(larger) {
                    report.worst = worst;
                }
            }
            Outcome::Wrong => {
                report.verdict = Verdict::Wrong;
                report.worst = worst;
                report.steps = comparison.steps;
                report.culprit = culprit;
            }
            Outcome::Doubt(doubt) if report.verdict == Verdict::Right => {
                report.verdict = Verdict::CannotTell(doubt);
                report.worst = worst;
            }
            Outcome::Doubt(_) => {}
        }
    }
}

fn unchanged<T: Scalar>(first: &[T], again: &[T]) -> Result<(), Invalid> {
    let mut difference: f64 = if first.len() == again.len() { 0.0 } else { f64::NAN };
    for (a, b) in first.iter().zip(again).map(|(a, b)| (a.to_f64(), b.to_f64())) {
        if a != b && !(a.is_nan() && b.is_nan()) {
            let apart = (a - b).abs();
            difference = difference.max(if apart.is_nan() { f64::INFINITY } else { apart });
        }
    }
    if difference == 0.0 { Ok(()) } else { Err(Invalid::NotDeterministic { difference }) }
}
