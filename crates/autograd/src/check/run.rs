//! One order of a check: the gradient by the tape, differences, and what the two say together.

use std::cell::LazyCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Check;
use super::culprit::{self, Origin, Search};
use super::differences::{self, Comparison, Found, Outcome, Rounding, Rules};
use super::objective::{self, Function, Objective, Subject};
use super::prober::Prober;
use super::report::{Culprit, Doubt, Entry, Invalid, Mode, Report, Verdict};
use crate::tape::Tape;
use crate::{Scalar, Tensor};

/// Calls with the same numbers, one after the other, that must give the same value.
const CALLS: usize = 8;

/// One order of a check.
pub(super) struct Run<'a, T: Scalar> {
    pub(super) check: Check,
    pub(super) names: &'a [String],
    /// The names again, if the inputs are the parameters of a module.
    pub(super) parameters: &'a [String],
    pub(super) inputs: &'a [Tensor<T>],
    pub(super) f: &'a Function<'a, T>,
    pub(super) order: usize,
}

impl<T: Scalar> Run<'_, T> {
    fn objective(&self, seed: u64) -> Objective<'_, T> {
        Objective::new(self.f, self.parameters, self.order, seed)
    }

    /// Compares this order and adds what it finds to the report.
    pub(super) fn compare(&self, report: &mut Report) -> Result<(), Invalid> {
        let mut objective = self.objective(self.check.seed);
        let (mut first, mut again) = (Vec::new(), Vec::new());
        objective.evaluate(self.inputs, &mut first)?;
        // One call after the other, so that a value that comes back every second or third time is seen.
        for _ in 1..CALLS {
            objective.evaluate(self.inputs, &mut again)?;
            unchanged(&first, &again)?;
        }
        let done = match self.check.mode {
            Mode::Full => self.every_entry(&mut objective, report)?,
            Mode::Fast { projections } => self.directions(&mut objective, projections, report)?,
        };
        if done {
            objective.evaluate(self.inputs, &mut again)?;
            unchanged(&first, &again)?;
        }
        Ok(())
    }

    /// The gradient by the tape; a panic of the reverse pass is put down to the op that causes it.
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
        let find = |most| {
            let search = Search { most, deep, not_finite };
            culprit::find(&self.objective(self.check.seed), self.order, self.check.seed, self.inputs, search)
        };
        match self.check.mode {
            Mode::Full => find(usize::MAX),
            // Some entries of an op are enough to find it, but not to call all ops right.
            Mode::Fast { .. } => {
                Some(find(MOST_ENTRIES)).filter(|o| o.culprit.is_some()).unwrap_or_else(|| find(usize::MAX))
            }
        }
    }

    /// What the rounding of all numbers on the tape does to the projection, by their cotangents.
    fn rounding(&self) -> Rounding {
        let tape = Tape::new();
        let (_, sum) = self.objective(self.check.seed).record(&tape, self.inputs);
        let mut rounding = Rounding::default();
        sum.backward_watched(|v, cotangent| rounding.add(cotangent, &v.value()));
        rounding
    }

    /// Returns whether the function was compared at all.
    fn every_entry(&self, objective: &mut Objective<'_, T>, report: &mut Report) -> Result<bool, Invalid> {
        let Some(gradient) = self.gradient(self.check.seed, report)? else { return Ok(false) };
        let weights = objective.weights(self.inputs);
        let mut prober = Prober::new(objective, self.inputs, weights)?;
        let rounding = LazyCell::new(|| self.rounding());
        let rules = Rules { order: self.order, rounding: &|| *rounding, most: usize::MAX };
        let comparison = differences::entries(&mut prober, &gradient, self.names, rules)?;
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
        let mut comparison = Comparison {
            outcome: Outcome::Right,
            entries,
            checked: entries,
            disagreeing: 0,
            resolution: 0.0,
            worst: None,
            steps: Vec::new(),
            numeric: Vec::new(),
        };
        'directions: for (k, gradient) in gradients.iter().enumerate() {
            let seed = self.check.seed + k as u64;
            objective.reseed(seed);
            let weights = objective.weights(self.inputs);
            let mut prober = Prober::new(objective, self.inputs, weights)?;
            if self.order == 1
                && k == 0
                && let Some(input) = differences::ignored(&mut prober, gradient)?
            {
                comparison.outcome = Outcome::Doubt(Doubt::IgnoresInput(self.names[input].clone()));
                comparison.checked -= self.inputs[input].len();
            }
            for factors in differences::bands(&prober, gradient) {
                let (outcome, found, resolution, steps) =
                    differences::projection(&mut prober, gradient, &factors, seed, rules)?;
                comparison.resolution = comparison.resolution.max(resolution);
                if outcome == Outcome::Right {
                    continue;
                }
                // Which entry? Of a direction that is wrong, some are enough to say; one that cannot tell may hide a wrong entry
                // anywhere. Where not every one was compared, the direction decides.
                let most = if outcome == Outcome::Wrong { MOST_ENTRIES } else { usize::MAX };
                let rules = Rules { most, ..rules };
                let every = differences::entries(&mut prober, gradient, self.names, rules)?;
                let all = self.inputs.iter().all(|x| x.len() <= rules.most);
                comparison = match every.outcome {
                    Outcome::Wrong => every,
                    _ if all => every,
                    _ => Comparison { outcome, worst: Some(found), steps, ..every },
                };
                break 'directions;
            }
        }
        objective.reseed(self.check.seed);
        self.add(comparison, report);
        Ok(true)
    }

    /// One gradient for each set of weights; at the first order all from one recording.
    fn gradients(&self, projections: usize, report: &mut Report) -> Result<Option<Vec<Vec<Tensor<T>>>>, Invalid> {
        let seeds = (0..projections as u64).map(|k| self.check.seed + k);
        if self.order > 1 {
            return seeds.map(|seed| self.gradient(seed, report)).collect();
        }
        let gradients = catch(|| {
            let tape = Tape::new();
            let x: Vec<_> = self.inputs.iter().map(|x| tape.leaf(x.clone())).collect();
            let y = (self.f)(&tape, &x);
            let of = |seed: u64| objective::gradients_of(y, objective::direction(&y.shape(), seed, 0), &x);
            seeds.map(of).collect()
        });
        match gradients {
            Ok(gradients) => Ok(Some(gradients)),
            // The slow way finds out which op panics.
            Err(_) => Ok(self.gradient(self.check.seed, report)?.map(|g| vec![g; projections])),
        }
    }

    /// Puts a comparison down to its origin. What differences cannot tell is wrong all the same if an op is wrong by itself or a
    /// value left the tape, and what looks wrong is not told if nothing is but an op that cannot be told.
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
        let worst = comparison.worst.as_ref().map(|found| entry::<T>(found, self.names, shapes, self.order));
        match comparison.outcome {
            Outcome::Right => {
                // Of what is right, the largest error; what could not be told keeps its place.
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

/// Entries of one input that are compared at most, to say which entry a wrong direction comes from.
pub(super) const MOST_ENTRIES: usize = 2048;

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

/// Calls `f`; the message, if it panics.
pub(super) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned())).unwrap_or_else(|| "no message".to_owned())
    })
}

pub(super) fn entry<T: Scalar>(found: &Found, names: &[String], shapes: &[Vec<usize>], order: usize) -> Entry {
    let (input, index) = match found.place {
        Some((input, at)) => (names[input].clone(), unravel(at, &shapes[input])),
        None => ("all".to_owned(), Vec::new()),
    };
    let size = found.analytic.abs().max(found.numeric.abs());
    let ulp = T::EPSILON.to_f64() * if size > 0.0 && size.is_finite() { 2_f64.powf(size.log2().floor()) } else { 1.0 };
    Entry { order, input, index, analytic: found.analytic, numeric: found.numeric, ulp }
}

fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = at % shape[axis];
        at /= shape[axis];
    }
    index
}
