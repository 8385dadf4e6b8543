//! Gradients against differences: entry by entry, or along random directions through all inputs at once.

use super::objective::{Subject, direction};
use super::report::{Doubt, Invalid, StepError};
use super::steps::{Context, Precision, Ruling, Sample, agrees, errors, judge};
use crate::{Scalar, Tensor};

/// Doubtful entries beyond this many are left undecided: where everything is doubtful, a few hundred sweeps say so.
const MOST_SWEEPS: usize = 256;

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Right,
    Wrong,
    Doubt(Doubt),
}

/// An entry of input number `input`, at position `at` of its row-major order; `None` for a direction through all inputs.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) place: Option<(usize, usize)>,
    pub(super) analytic: f64,
    pub(super) numeric: f64,
}

/// A gradient, compared.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) outcome: Outcome,
    pub(super) entries: usize,
    pub(super) checked: usize,
    pub(super) disagreeing: usize,
    pub(super) resolution: f64,
    pub(super) worst: Option<Found>,
    pub(super) steps: Vec<StepError>,
    /// Differences at the first step, by input.
    pub(super) numeric: Vec<Vec<f64>>,
}

/// Takes differences of a subject around a point.
pub(super) struct Prober<'a, T: Scalar> {
    subject: &'a mut dyn Subject<T>,
    /// The point, in buffers of its own: entries are moved in place.
    inputs: Vec<Tensor<T>>,
    /// The unit of steps of every entry.
    scales: Vec<Vec<f64>>,
    weights: Vec<f64>,
    at: Vec<T>,
    right: Vec<T>,
    left: Vec<T>,
    pub(super) precision: Precision,
}

impl<'a, T: Scalar> Prober<'a, T> {
    /// `weigh` gives the weights of the subject's values, once these are known.
    pub(super) fn new(
        subject: &'a mut dyn Subject<T>,
        inputs: &[Tensor<T>],
        weights: Vec<f64>,
    ) -> Result<Self, Invalid> {
        // Copies even of contiguous tensors: views of one buffer must not move together.
        let inputs: Vec<Tensor<T>> = inputs.iter().map(|x| Tensor::from_vec(x.to_vec(), x.shape())).collect();
        let mut at = Vec::new();
        subject.evaluate(&inputs, &mut at)?;
        let scales = inputs.iter().map(|x| scales(&numbers(x))).collect();
        let (right, left) = (Vec::new(), Vec::new());
        Ok(Prober { subject, inputs, scales, weights, at, right, left, precision: Precision::of::<T>() })
    }

    /// Differences along one entry.
    fn entry(&mut self, (input, at): (usize, usize), step: f64) -> Result<Sample, Invalid> {
        let start = self.inputs[input].as_slice().expect("contiguous by construction")[at];
        let x = start.to_f64();
        // The step that is really taken: x ± step is rounded.
        let (up, down) = (T::from_f64(x + step), T::from_f64(x - step));
        self.inputs[input].as_mut_slice()[at] = up;
        let right = self.subject.evaluate(&self.inputs, &mut self.right);
        self.inputs[input].as_mut_slice()[at] = down;
        let left = right.and_then(|()| self.subject.evaluate(&self.inputs, &mut self.left));
        self.inputs[input].as_mut_slice()[at] = start;
        left?;
        self.sample(up.to_f64() - x, x - down.to_f64())
    }

    /// Differences along a direction through all inputs.
    fn along(&mut self, direction: &[Vec<f64>], step: f64) -> Result<Sample, Invalid> {
        let start = self.inputs.clone();
        let moved = |by: f64| -> Vec<Tensor<T>> {
            let shift = |(x, u): (&Tensor<T>, &Vec<f64>)| {
                let numbers = x.as_slice().expect("contiguous by construction");
                Tensor::from_fn(x.shape(), |k| T::from_f64(numbers[k].to_f64() + by * u[k]))
            };
            start.iter().zip(direction).map(shift).collect()
        };
        self.subject.evaluate(&moved(step), &mut self.right)?;
        self.subject.evaluate(&moved(-step), &mut self.left)?;
        self.sample(step, step)
    }

    fn sample(&self, up: f64, down: f64) -> Result<Sample, Invalid> {
        for beside in [&self.right, &self.left] {
            if beside.len() != self.at.len() {
                return Err(Invalid::ShapeChanged { at: vec![self.at.len()], beside: beside.len() });
            }
        }
        Ok(Sample::new(&self.at, (&self.right, up), (&self.left, down), &self.weights, &self.precision))
    }

    /// Σ |weight · value|: what derivatives are measured in, over the unit of steps.
    fn size(&self) -> f64 {
        let finite = self.at.iter().zip(&self.weights).map(|(y, w)| (w * y.to_f64()).abs()).filter(|y| y.is_finite());
        finite.sum()
    }

    /// An effect that rounding of the values might have.
    fn rounded(&self) -> f64 {
        64.0 * self.precision.epsilon * self.size()
    }

    /// Whether the values stay the same, to rounding, however far input `i` is moved.
    fn ignores(&mut self, i: usize) -> Result<bool, Invalid> {
        let start = self.inputs[i].clone();
        for (stream, far) in [1.0, 4.0, 0.1, 30.0].into_iter().enumerate() {
            let u = direction::<f64>(start.shape(), 0, stream as u64 + 1);
            let (u, from) = (u.to_vec(), start.to_vec());
            self.inputs[i] =
                Tensor::from_fn(start.shape(), |k| T::from_f64(from[k].to_f64() + far * u[k] * self.scales[i][k]));
            let result = self.subject.evaluate(&self.inputs, &mut self.right);
            self.inputs[i] = start.clone();
            result?;
            let same = |(&a, &b): (&T, &T)| {
                let (a, b) = (a.to_f64(), b.to_f64());
                (a - b).abs() <= 256.0 * self.precision.epsilon * a.abs().max(b.abs()) || (a.is_nan() && b.is_nan())
            };
            if self.right.len() != self.at.len() || !self.at.iter().zip(&self.right).all(same) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Settings of a comparison.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// The order, from 1. From 2 on a derivative may be zero everywhere (of a linear function), and that is no doubt.
    pub(super) order: usize,
    /// The rounding of the largest number that the function computes with. Asked for only when an entry is swept.
    pub(super) rounding: &'a dyn Fn() -> f64,
    /// At most so many entries of each input, evenly spread.
    pub(super) most: usize,
}

/// Compares every entry of `analytic` with differences. Only entries that disagree at the first step are swept.
pub(super) fn entries<T: Scalar>(
    prober: &mut Prober<'_, T>,
    analytic: &[Tensor<T>],
    names: &[String],
    rules: Rules<'_>,
) -> Result<Comparison, Invalid> {
    let precision = prober.precision;
    let mut result = Comparison {
        outcome: Outcome::Right,
        entries: 0,
        checked: 0,
        disagreeing: 0,
        resolution: 0.0,
        worst: None,
        steps: Vec::new(),
        numeric: Vec::new(),
    };
    let mut doubtful = Vec::new();
    let mut least = (f64::NEG_INFINITY, None);
    for (input, analytic) in analytic.iter().enumerate() {
        let analytic = numbers(analytic);
        let contexts = contexts(prober, input, &analytic, rules);
        let rounded = prober.rounded();
        let every = analytic.len().div_ceil(rules.most.max(1)).max(1);
        let mut numeric = vec![f64::NAN; analytic.len()];
        let mut unseen = true;
        let mut waiting = Vec::new();
        for at in (0..analytic.len()).step_by(every) {
            let (a, context) = (analytic[at], &contexts[at]);
            let sample = prober.entry((input, at), precision.step * context.scale)?;
            numeric[at] = sample.central;
            result.entries += 1;
            unseen &= a.abs().max(sample.central.abs()) <= 3.0 * sample.noise + rounded / context.scale;
            let found = Found { place: Some((input, at)), analytic: a, numeric: sample.central };
            let distance = (a - sample.central).abs() / a.abs().max(sample.central.abs()).max(1e-3 * context.reference);
            match agrees(a, &sample, context, &precision) {
                Some(resolution) => {
                    result.checked += 1;
                    result.resolution = result.resolution.max(resolution);
                    if distance.is_nan() && least.1.is_none() || distance > least.0 {
                        least = (if distance.is_nan() { 0.0 } else { distance }, Some(found));
                    }
                }
                None => {
                    result.disagreeing += 1;
                    waiting.push((if distance.is_nan() { f64::INFINITY } else { distance }, found, *context));
                }
            }
        }
        result.numeric.push(numeric);
        if rules.order == 1 && unseen && !analytic.is_empty() && !prober.at.is_empty() && prober.ignores(input)? {
            result.checked -= analytic.len().div_ceil(every) - waiting.len();
            result.disagreeing -= waiting.len();
            result.outcome = Outcome::Doubt(Doubt::IgnoresInput(names[input].clone()));
            continue;
        }
        doubtful.extend(waiting);
    }
    result.worst = least.1;
    settle(prober, doubtful, rules, &mut result)?;
    Ok(result)
}

/// Sweeps over doubtful entries, the most doubtful first, until one is wrong.
fn settle<T: Scalar>(
    prober: &mut Prober<'_, T>,
    mut doubtful: Vec<(f64, Found, Context)>,
    rules: Rules<'_>,
    result: &mut Comparison,
) -> Result<(), Invalid> {
    doubtful.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut undecided: Option<(Doubt, Found)> = None;
    for (number, (_, found, context)) in doubtful.into_iter().enumerate() {
        if number == MOST_SWEEPS {
            break;
        }
        let place = found.place.expect("entries have a place");
        let context = Context { rounding: (rules.rounding)(), ..context };
        let (ruling, samples) = sweep(prober, found.analytic, place, &context)?;
        match ruling {
            Ruling::Right { resolution, .. } => {
                result.checked += 1;
                result.resolution = result.resolution.max(resolution);
            }
            Ruling::Wrong { numeric } => {
                result.checked += 1;
                result.outcome = Outcome::Wrong;
                result.steps = errors(found.analytic, &samples);
                result.worst = Some(Found { numeric, ..found });
                return Ok(());
            }
            Ruling::Doubt { doubt, numeric } => {
                undecided.get_or_insert((doubt, Found { numeric, ..found }));
            }
        }
    }
    if let Some((doubt, found)) = undecided {
        result.outcome = Outcome::Doubt(doubt);
        result.worst = Some(found);
    }
    Ok(())
}

fn sweep<T: Scalar>(
    prober: &mut Prober<'_, T>,
    analytic: f64,
    place: (usize, usize),
    context: &Context,
) -> Result<(Ruling, Vec<Sample>), Invalid> {
    let own = prober.inputs[place.0].as_slice().expect("contiguous by construction")[place.1].to_f64();
    if !own.is_finite() {
        return Ok((Ruling::Doubt { doubt: Doubt::NonFinite, numeric: f64::NAN }, Vec::new()));
    }
    let steps = prober.precision.sweep(context.scale, own.abs());
    let samples = steps.into_iter().map(|h| prober.entry(place, h)).collect::<Result<Vec<_>, _>>()?;
    Ok((judge(analytic, &samples, context, &prober.precision), samples))
}

/// Compares the gradient along one random direction through all inputs; `None` for agreement.
pub(super) fn projection<T: Scalar>(
    prober: &mut Prober<'_, T>,
    analytic: &[Tensor<T>],
    seed: u64,
    rules: Rules<'_>,
) -> Result<(Outcome, Found, f64, Vec<StepError>), Invalid> {
    let precision = prober.precision;
    let mut u: Vec<Vec<f64>> = Vec::with_capacity(analytic.len());
    let (mut sum, mut squares) = (0.0, 0.0);
    for (input, (g, scales)) in analytic.iter().zip(&prober.scales).enumerate() {
        let signs = direction::<f64>(g.shape(), seed, (1 << 48) + input as u64);
        let along: Vec<f64> = numbers(&signs).iter().zip(scales).map(|(u, s)| u * s).collect();
        for (g, u) in numbers(g).iter().zip(&along) {
            sum += g * u;
            squares += (g * u) * (g * u);
        }
        u.push(along);
    }
    let natural = if rules.order == 1 { 0.0 } else { 1e-2 * prober.size() };
    let context = Context { reference: f64::max(squares.sqrt(), natural), rounding: 0.0, scale: 1.0 };
    let sample = prober.along(&u, precision.step)?;
    let found = Found { place: None, analytic: sum, numeric: sample.central };
    if let Some(resolution) = agrees(sum, &sample, &context, &precision) {
        return Ok((Outcome::Right, found, resolution, Vec::new()));
    }
    let own = prober.inputs.iter().zip(&prober.scales).flat_map(|(x, scales)| {
        numbers(x).into_iter().zip(scales).map(|(x, s)| x.abs() / s).filter(|&own| own > 0.0).collect::<Vec<_>>()
    });
    let steps = precision.sweep(1.0, own.fold(1.0, f64::min));
    let samples = steps.into_iter().map(|h| prober.along(&u, h)).collect::<Result<Vec<_>, _>>()?;
    let context = Context { rounding: (rules.rounding)(), ..context };
    Ok(match judge(sum, &samples, &context, &precision) {
        Ruling::Right { numeric, resolution } => (Outcome::Right, Found { numeric, ..found }, resolution, Vec::new()),
        Ruling::Wrong { numeric } => (Outcome::Wrong, Found { numeric, ..found }, 0.0, errors(sum, &samples)),
        Ruling::Doubt { doubt, numeric } => (Outcome::Doubt(doubt), Found { numeric, ..found }, 0.0, Vec::new()),
    })
}

/// The inputs whose gradient is as good as zero, and that the values do not follow.
pub(super) fn ignored<T: Scalar>(prober: &mut Prober<'_, T>, analytic: &[Tensor<T>]) -> Result<Option<usize>, Invalid> {
    if prober.at.is_empty() {
        return Ok(None);
    }
    let rounded = prober.rounded();
    for (input, g) in analytic.iter().enumerate() {
        let seen = numbers(g).iter().zip(&prober.scales[input]).any(|(g, s)| (g * s).abs() > rounded || !g.is_finite());
        if !seen && !g.is_empty() && prober.ignores(input)? {
            return Ok(Some(input));
        }
    }
    Ok(None)
}

/// The contexts of all entries of an input.
fn contexts<T: Scalar>(prober: &Prober<'_, T>, input: usize, analytic: &[f64], rules: Rules<'_>) -> Vec<Context> {
    let scales = &prober.scales[input];
    let effects = analytic.iter().zip(scales).map(|(a, s)| (a * s).abs()).filter(|e| e.is_finite());
    let natural = if rules.order == 1 { 0.0 } else { 1e-2 * prober.size() };
    let largest = effects.fold(natural, f64::max);
    scales.iter().map(|&scale| Context { reference: largest / scale, rounding: 0.0, scale }).collect()
}

/// The unit of steps of every number: its size, or the typical size of its neighbours if it is smaller.
fn scales(numbers: &[f64]) -> Vec<f64> {
    let finite: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
    let typical = (finite.iter().map(|x| x * x).sum::<f64>() / finite.len().max(1) as f64).sqrt();
    let typical = if typical > 0.0 && typical.is_finite() { typical } else { 1.0 };
    numbers.iter().map(|x| if x.is_finite() { x.abs().max(typical) } else { typical }).collect()
}

pub(super) fn numbers<T: Scalar>(x: &Tensor<T>) -> Vec<f64> {
    x.to_vec().into_iter().map(T::to_f64).collect()
}
