//! Gradients against differences: entry by entry, or along random directions through all inputs at once.

use rewind_autograd::{Scalar, Tensor};

use crate::elements::{direction, elements};
use crate::judge::{Ruling, judge, may_be_wrong};
use crate::prober::{Prober, Subject};
use crate::report::{Doubt, Entry, Invalid, StepError};
use crate::sample::{Context, Rounding, agrees};

/// After this many entries that stay doubtful at many steps, an entry is examined only if a few steps speak against the
/// tape. Where everything is doubtful, a few hundred entries show that, and no wrong entry is missed.
const MOST_EXAMINED: usize = 256;

/// The outcome of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Outcome {
    #[default]
    Right,
    Wrong,
    Doubt(Doubt),
}

/// An entry of input number `input`, at position `at` of its row-major order; `None` for a direction through all inputs.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) place: Option<(usize, usize)>,
    pub(crate) analytic: f64,
    pub(crate) numeric: f64,
}

impl Found {
    /// The entry for the report: `names` and `shapes` are those of the inputs.
    pub(crate) fn entry<T: Scalar>(&self, names: &[String], shapes: &[Vec<usize>], order: usize) -> Entry {
        let (input, index) = match self.place {
            Some((input, at)) => (names[input].clone(), unravel(at, &shapes[input])),
            None => ("all".to_owned(), Vec::new()),
        };
        let &Found { analytic, numeric, .. } = self;
        let size = analytic.abs().max(numeric.abs());
        let unit = if size > 0.0 && size.is_finite() { 2_f64.powf(size.log2().floor()) } else { 1.0 };
        Entry { order, input, index, analytic, numeric, ulp: T::EPSILON.to_f64() * unit }
    }
}

fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = at % shape[axis];
        at /= shape[axis];
    }
    index
}

/// A gradient, compared.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) outcome: Outcome,
    pub(crate) entries: usize,
    pub(crate) checked: usize,
    pub(crate) disagreeing: usize,
    pub(crate) resolution: f64,
    pub(crate) worst: Option<Found>,
    pub(crate) steps: Vec<StepError>,
    /// Differences at the first step, by input.
    pub(crate) numeric: Vec<Tensor<f64>>,
}

/// The most entries of one input that are compared to say which entry a wrong direction comes from.
pub(crate) const MOST_ENTRIES: usize = 2048;

/// Settings of a comparison.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// The order, from 1. From 2 on a derivative may be zero everywhere (of a linear function), and that is no doubt.
    pub(crate) order: usize,
    /// The rounding inside the function. Computed only when an entry is examined at many steps.
    pub(crate) rounding: &'a dyn Fn() -> Rounding,
    /// The most entries of each input, evenly spread.
    pub(crate) most: usize,
}

/// Compares every entry of `analytic` with differences. Only entries that disagree at the first step are examined
/// at others.
pub(crate) fn entries<T: Scalar>(
    prober: &mut Prober<'_, T>,
    analytic: &[Tensor<T>],
    names: &[String],
    rules: Rules<'_>,
) -> Result<Comparison, Invalid> {
    let precision = prober.precision;
    let mut result = Comparison::default();
    let mut doubtful = Vec::new();
    let mut least = (f64::NEG_INFINITY, None);
    for (input, gradient) in analytic.iter().enumerate() {
        let analytic = elements(gradient);
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
            unseen &=
                a.is_finite() && a.abs().max(sample.central.abs()) <= 3.0 * sample.noise + rounded / context.scale;
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
        result.numeric.push(Tensor::from_vec(numeric, gradient.shape()));
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

/// Examines doubtful entries, the most doubtful first, until one is wrong.
fn settle<T: Scalar>(
    prober: &mut Prober<'_, T>,
    mut doubtful: Vec<(f64, Found, Context)>,
    rules: Rules<'_>,
    result: &mut Comparison,
) -> Result<(), Invalid> {
    doubtful.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut undecided: Option<(Doubt, Found)> = None;
    let mut doubts = 0;
    for (_, found, context) in doubtful {
        let place = found.place.expect("entries have a place");
        if doubts >= MOST_EXAMINED && !looks_wrong(prober, &found, place, &context)? {
            continue;
        }
        let context = context.with((rules.rounding)());
        match examine(prober, found.analytic, place, &context)? {
            Ruling::Right { resolution, .. } => {
                result.checked += 1;
                result.resolution = result.resolution.max(resolution);
            }
            Ruling::Wrong { numeric, errors } => {
                result.checked += 1;
                result.outcome = Outcome::Wrong;
                result.steps = errors;
                result.worst = Some(Found { numeric, ..found });
                return Ok(());
            }
            Ruling::Doubt { doubt, numeric } => {
                doubts += 1;
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

/// Whether a few steps speak against an entry.
fn looks_wrong<T: Scalar>(
    prober: &mut Prober<'_, T>,
    found: &Found,
    place: (usize, usize),
    context: &Context,
) -> Result<bool, Invalid> {
    let step = prober.precision.step * context.scale;
    let samples = [8.0, 1.0, 0.125].map(|by| prober.entry(place, by * step));
    let samples = samples.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(may_be_wrong(found.analytic, &samples))
}

/// Compares one entry at many steps.
fn examine<T: Scalar>(
    prober: &mut Prober<'_, T>,
    analytic: f64,
    place: (usize, usize),
    context: &Context,
) -> Result<Ruling, Invalid> {
    let own = prober.inputs[place.0].as_slice().expect("contiguous by construction")[place.1].to_f64();
    if !own.is_finite() {
        return Ok(Ruling::Doubt { doubt: Doubt::NonFinite, numeric: f64::NAN });
    }
    let precision = prober.precision;
    let steps = precision.steps(context.scale, own.abs());
    judge(analytic, steps, context, &precision, &mut |h| prober.entry(place, h))
}

/// Inputs that share a direction, as the factors by which each of them moves: 0 for those that do not.
///
/// A derivative along a direction is a sum over its inputs, in which those with small gradients would be lost. The
/// larger the gradients of an input, the less it moves, so that all weigh the same; where they differ too much for
/// that, they get several directions.
pub(crate) fn bands<T: Scalar>(prober: &Prober<'_, T>, analytic: &[Tensor<T>]) -> Vec<Vec<f64>> {
    // How much less an input may move: rounding weighs more by the same factor. In single precision not at all.
    let widest = 1e-2 * prober.precision.tolerance / prober.precision.step.powi(2);
    if widest < 1.0 {
        return vec![vec![1.0; analytic.len()]];
    }
    let size = |(g, scales): (&Tensor<T>, &Vec<f64>)| {
        let effects = elements(g).into_iter().zip(scales).map(|(g, s)| (g * s).abs());
        let size = effects.fold(0.0, f64::hypot);
        if size.is_finite() { size } else { 0.0 }
    };
    let sizes: Vec<f64> = analytic.iter().zip(&prober.scales).map(size).collect();
    let mut largest_first: Vec<usize> = (0..sizes.len()).filter(|&i| sizes[i] > 0.0).collect();
    largest_first.sort_by(|&a, &b| sizes[b].total_cmp(&sizes[a]));
    let mut bands = Vec::new();
    let mut rest = &largest_first[..];
    while let Some(&first) = rest.first() {
        let count = rest.iter().take_while(|&&i| sizes[i] * widest >= sizes[first]).count();
        let (band, others) = rest.split_at(count);
        let mut factors = vec![0.0; sizes.len()];
        band.iter().for_each(|&i| factors[i] = sizes[band[count - 1]] / sizes[i]);
        bands.push(factors);
        rest = others;
    }
    // Inputs that should have no gradient move along with the largest: what they add is seen there.
    if bands.is_empty() {
        bands.push(vec![0.0; sizes.len()]);
    }
    (0..sizes.len()).filter(|&i| sizes[i] == 0.0).for_each(|i| bands[0][i] = 1.0);
    bands
}

/// Compares the gradient along one random direction, in which the inputs move by these factors.
pub(crate) fn projection<T: Scalar>(
    prober: &mut Prober<'_, T>,
    analytic: &[Tensor<T>],
    factors: &[f64],
    seed: u64,
    rules: Rules<'_>,
) -> Result<Comparison, Invalid> {
    let precision = prober.precision;
    let mut u: Vec<Vec<f64>> = Vec::with_capacity(analytic.len());
    let (mut sum, mut norm, mut largest, mut flat) = (0.0, 0.0, 0.0, true);
    for (input, (g, scales)) in analytic.iter().zip(&prober.scales).enumerate() {
        let signs = direction::<f64>(g.shape(), seed, (1 << 48) + input as u64);
        let along: Vec<f64> = elements(&signs).iter().zip(scales).map(|(u, s)| factors[input] * u * s).collect();
        for (&g, u) in elements(g).iter().zip(&along).filter(|&(_, &u)| u != 0.0) {
            sum += g * u;
            norm = f64::hypot(norm, g * u);
            largest = f64::max(largest, (g * u).abs());
            flat &= g == 0.0;
        }
        u.push(along);
    }
    let natural = if rules.order == 1 { 0.0 } else { 1e-2 * prober.size() };
    let context = Context { reference: f64::max(norm, natural), rounding: Rounding::default(), scale: 1.0 };
    let sample = prober.along(&u, precision.step)?;
    let along = |outcome, numeric| {
        let worst = Some(Found { place: None, analytic: sum, numeric });
        Comparison { outcome, worst, ..Comparison::default() }
    };
    if !flat && largest < precision.range.0 {
        return Ok(along(Outcome::Doubt(Doubt::OutOfRange), sample.central));
    }
    if let Some(resolution) = agrees(sum, &sample, &context, &precision) {
        return Ok(Comparison { resolution, ..along(Outcome::Right, sample.central) });
    }
    let own = prober.inputs.iter().zip(&prober.scales).flat_map(|(x, scales)| {
        elements(x).into_iter().zip(scales).map(|(x, s)| x.abs() / s).filter(|&own| own > 0.0).collect::<Vec<_>>()
    });
    let steps = precision.steps(1.0, own.fold(1.0, f64::min));
    let context = context.with((rules.rounding)());
    Ok(match judge(sum, steps, &context, &precision, &mut |h| prober.along(&u, h))? {
        Ruling::Right { numeric, resolution } => Comparison { resolution, ..along(Outcome::Right, numeric) },
        Ruling::Wrong { numeric, errors } => Comparison { steps: errors, ..along(Outcome::Wrong, numeric) },
        Ruling::Doubt { doubt, numeric } => along(Outcome::Doubt(doubt), numeric),
    })
}

/// The first input whose gradient is negligible and that the values do not depend on.
pub(crate) fn ignored<T: Scalar>(prober: &mut Prober<'_, T>, analytic: &[Tensor<T>]) -> Result<Option<usize>, Invalid> {
    if prober.at.is_empty() {
        return Ok(None);
    }
    let rounded = prober.rounded();
    for (input, g) in analytic.iter().enumerate() {
        let seen =
            elements(g).iter().zip(&prober.scales[input]).any(|(g, s)| (g * s).abs() > rounded || !g.is_finite());
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
    scales.iter().map(|&scale| Context { reference: largest / scale, rounding: Rounding::default(), scale }).collect()
}

/// How closely a gradient is examined.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Look {
    /// One direction first; every entry if that one disagrees or cannot tell.
    Direction,
    /// Every entry: a direction may miss one that is slightly wrong.
    Entries,
}

/// Compares the gradient of `subject`, looking as closely as `look` says.
pub(crate) fn inspect<T: Scalar>(
    subject: &mut Subject<'_, T>,
    inputs: &[Tensor<T>],
    weights: Vec<f64>,
    gradients: &[Tensor<T>],
    rules: Rules<'_>,
    (look, seed): (Look, u64),
) -> Result<Comparison, Invalid> {
    let mut prober = Prober::new(subject, inputs, weights)?;
    let mut wrong_along = false;
    if look == Look::Direction {
        let along = projection(&mut prober, gradients, &vec![1.0; inputs.len()], seed, rules)?;
        if along.outcome == Outcome::Right {
            return Ok(along);
        }
        wrong_along = along.outcome == Outcome::Wrong;
    }
    let names: Vec<String> = (0..inputs.len()).map(|i| i.to_string()).collect();
    let mut compared = entries(&mut prober, gradients, &names, rules)?;
    // Where not every entry could be compared, the direction decides.
    if wrong_along && inputs.iter().any(|x| x.len() > rules.most) {
        compared.outcome = Outcome::Wrong;
    }
    Ok(compared)
}
