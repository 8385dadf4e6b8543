//! One derivative at many step sizes. The error of a wrong rule does not change with the step; truncation falls with
//! its square, rounding rises as it falls. Where the derivatives from both sides stay apart, there is a kink. Where
//! nothing settles, the function changes faster than any step.

use crate::report::{Doubt, Invalid, StepError};
use crate::sample::{Context, Precision, Sample};

/// What differences at many steps say of an entry.
#[derive(Clone, Debug)]
pub(crate) enum Ruling {
    /// Agreement over a range of steps; with the relative error that would have been detected.
    Right { numeric: f64, resolution: f64 },
    /// The differences settle, and not where the tape says; with the errors at some of the steps.
    Wrong { numeric: f64, errors: Vec<StepError> },
    /// Neither.
    Doubt { doubt: Doubt, numeric: f64 },
}

/// Steps that must agree with each other: a factor of 16 in step size.
const WINDOW: usize = 3;

/// Rules on a derivative from the samples that `probe` takes at `steps`, which fall by a factor of 4. Before it says wrong, it
/// asks for samples at other steps.
pub(crate) fn judge(
    analytic: f64,
    steps: Vec<f64>,
    context: &Context,
    precision: &Precision,
    probe: &mut dyn FnMut(f64) -> Result<Sample, Invalid>,
) -> Result<Ruling, Invalid> {
    let samples = steps.into_iter().map(&mut *probe).collect::<Result<Vec<_>, _>>()?;
    match rule(analytic, &samples, context, precision) {
        (Ruling::Wrong { numeric, .. }, Some(plateau)) if !plateau.is_confirmed(probe)? => {
            Ok(Ruling::Doubt { doubt: Doubt::Unsettled, numeric })
        }
        (Ruling::Doubt { doubt: Doubt::Rounding, numeric }, _) => {
            let closer = with_steps_between(&samples, probe)?;
            let context = &context.beside(&closer[0]);
            let agreed = likely_agreement(analytic, &closer, context, precision);
            Ok(agreed.map_or(Ruling::Doubt { doubt: Doubt::Rounding, numeric }, |a| a.ruling(analytic, context)))
        }
        (ruling, _) => Ok(ruling),
    }
}

/// The finite samples with others halfway between, which fall by a factor of 2: neighbours span less, so that longer steps tell, which rounding
/// hides less.
fn with_steps_between(
    samples: &[Sample],
    probe: &mut dyn FnMut(f64) -> Result<Sample, Invalid>,
) -> Result<Vec<Sample>, Invalid> {
    let mut closer = Vec::with_capacity(2 * samples.len());
    for sample in samples {
        closer.push(*sample);
        closer.push(probe(sample.step / 2.0)?);
    }
    closer.retain(Sample::is_finite);
    Ok(closer)
}

/// The ruling, and the plateau that it rests on if that is not the derivative by the tape.
fn rule(analytic: f64, samples: &[Sample], context: &Context, precision: &Precision) -> (Ruling, Option<Plateau>) {
    let finite: Vec<Sample> = samples.iter().copied().filter(Sample::is_finite).collect();
    let numeric = best(&finite).map_or(f64::NAN, |sample| sample.central);
    let doubt = |doubt| (Ruling::Doubt { doubt, numeric }, None);
    let wrong = |numeric| Ruling::Wrong { numeric, errors: errors(analytic, samples) };
    if finite.len() < 2 * WINDOW || finite.iter().all(|s| s.still && s.blind) {
        // Of finite values, differences are infinite only if the derivative overflows.
        let broken = samples.iter().any(|s| s.broken);
        return doubt(if broken { Doubt::NonFinite } else { Doubt::OutOfRange });
    }
    if !analytic.is_finite() {
        return match settled_sides(&finite).filter(|_| !finite.iter().any(|s| s.broken)) {
            Some(numeric) if numeric.abs() < precision.range.1 => (wrong(numeric), None),
            Some(_) => doubt(Doubt::OutOfRange),
            None => doubt(Doubt::NonFinite),
        };
    }
    let largest = finite.iter().map(|s| s.central.abs()).fold(analytic.abs(), f64::max);
    // Neither the derivative nor what it moves the value by may underflow.
    if largest > 0.0 && largest * finite[0].step.min(1.0) < precision.range.0 {
        return doubt(Doubt::OutOfRange);
    }
    if has_kink(&finite) {
        return doubt(Doubt::Kink);
    }
    let context = &context.beside(&finite[0]);
    let estimates = estimates(&finite, |s| s.noise);
    let against = plateau(analytic, &finite, &estimates, context, precision);
    let agreed = agreement(analytic, &finite, &estimates, context, precision)
        .or_else(|| likely_agreement(analytic, &finite, context, precision));
    if let Some(agreed) = agreed {
        // Where noise is large enough to hide a distance that other steps see, there is no agreement.
        match &against {
            Some(plateau) if agreed.tolerance >= (analytic - plateau.value).abs() => {}
            _ => return (agreed.ruling(analytic, context), None),
        }
    }
    if let Some(plateau) = against {
        return (wrong(plateau.value), Some(plateau));
    }
    doubt(match () {
        () if finite.len() < samples.len() / 2 => Doubt::NonFinite,
        () if finite.windows(FLAT).any(stays_apart) => Doubt::Kink,
        () if !settles(&finite, &estimates, context.rounding.largest) || approaches(analytic, &finite) => {
            Doubt::Unsettled
        }
        () => Doubt::Rounding,
    })
}

/// The errors of a wrong entry at a few of the steps, from the largest; none if it is NaN.
fn errors(analytic: f64, samples: &[Sample]) -> Vec<StepError> {
    if !analytic.is_finite() {
        return Vec::new();
    }
    let every = (samples.len() / 6).max(1);
    let error = |s: &Sample| StepError { step: s.step, error: (analytic - s.central).abs() };
    samples.iter().step_by(every).filter(|s| s.is_finite()).map(error).collect()
}

/// Whether a few samples look like those of a wrong entry: neighbours that agree with each other better than with `analytic`, on
/// both sides of the point.
pub(crate) fn may_be_wrong(analytic: f64, samples: &[Sample]) -> bool {
    let finite = |s: &Sample| s.is_finite() && !s.blind;
    samples.windows(2).any(|pair| {
        let distance = (pair[1].central - analytic).abs();
        let near = |apart: f64| apart <= 0.3 * distance || !analytic.is_finite();
        pair.iter().all(finite) && near((pair[0].central - pair[1].central).abs()) && near(pair[1].jump().abs())
    })
}

/// Estimates of a derivative with their noise, by step.
type Estimates = Vec<(f64, f64)>;

/// Central differences, and Richardson's extrapolation from each step and the next: the term in h² cancels.
fn estimates(samples: &[Sample], noise: impl Fn(&Sample) -> f64) -> [Estimates; 2] {
    let extrapolated = |pair: &[Sample]| {
        let ratio = (pair[0].step / pair[1].step).powi(2);
        let value = (ratio * pair[1].central - pair[0].central) / (ratio - 1.0);
        (value, (ratio * noise(&pair[1]) + noise(&pair[0])) / (ratio - 1.0))
    };
    let central = samples.iter().map(|s| (s.central, noise(s))).collect();
    [central, samples.windows(2).map(extrapolated).collect()]
}

/// The sample between large truncation and large rounding.
fn best(samples: &[Sample]) -> Option<&Sample> {
    let middle = samples.len() / 3;
    samples.get(middle)
}

/// How many steps show a kink: a factor of 64 in step size.
const FLAT: usize = 4;

/// Whether the one-sided derivatives stay apart down to the smallest steps that are clear of noise: by the same amount (a kink)
/// or by an amount that grows as the step falls (a jump). For a smooth function their distance falls with the step.
fn has_kink(samples: &[Sample]) -> bool {
    let noisy = |s: &&Sample| !s.still && s.noise > 0.05 * s.slope();
    let clear_of_noise = samples.iter().rev().skip_while(noisy).count();
    let Some(from) = clear_of_noise.checked_sub(FLAT) else { return false };
    let last = &samples[from..clear_of_noise];
    // A function that is constant nearest to the point has its kink further away.
    if last.iter().any(|s| s.still) {
        return false;
    }
    stays_apart(last) || jumps(last, &samples[0])
}

/// Whether each of the one-sided derivatives stays constant, away from the other.
fn stays_apart(samples: &[Sample]) -> bool {
    let clear = |s: &Sample| s.jump().abs() > 10.0 * s.noise && s.jump().abs() > 1e-3 * s.slope();
    samples.iter().all(clear) && both_stay(samples, |_| 1.0, |s| 0.15 * s.jump().abs())
}

/// Whether the value changes by the same amounts however short the step. Rounding does so too, a few units in the last place
/// at a time: a jump is one that shows beside what the value does over the longest step.
fn jumps(samples: &[Sample], longest: &Sample) -> bool {
    let clear = |s: &Sample| s.slope() > 100.0 * s.noise && s.moved() > 1e-3 * longest.moved();
    samples.iter().all(clear) && both_stay(samples, |s| s.step, |s| 1e-3 * s.moved())
}

/// Whether the derivatives from both sides, times `unit`, stay the same from step to step, up to `slack`.
fn both_stay(samples: &[Sample], unit: fn(&Sample) -> f64, slack: fn(&Sample) -> f64) -> bool {
    samples.windows(2).all(|pair| {
        let stays = |of: fn(&Sample) -> f64| {
            (of(&pair[1]) * unit(&pair[1]) - of(&pair[0]) * unit(&pair[0])).abs() < slack(&pair[0])
        };
        stays(|s| s.right) && stays(|s| s.left)
    })
}

/// The derivative halfway between those from both sides, if these settle: of a function with a kink too.
fn settled_sides(samples: &[Sample]) -> Option<f64> {
    let steady = |of: fn(&Sample) -> f64, window: &[Sample]| {
        let estimates: Vec<(f64, f64)> = window.iter().map(|s| (of(s), s.noise)).collect();
        is_settled(&estimates, 0.0)
    };
    let both = |window: &&[Sample]| steady(|s| s.right, window) && steady(|s| s.left, window);
    samples.windows(WINDOW).rev().find(both).map(|window| window[WINDOW / 2].central)
}

/// Whether estimates at neighbouring steps are the same, up to rounding and `slack`. Differences of a function that changes within
/// the step grow as the step falls, and come near each other by accident only.
fn is_settled(window: &[(f64, f64)], slack: f64) -> bool {
    let (value, noise) = (window[window.len() / 2].0, window.iter().map(|e| e.1).fold(0.0, f64::max));
    spread(window) <= 0.02 * value.abs() + 4.0 * noise + slack
}

fn spread(window: &[(f64, f64)]) -> f64 {
    let high = window.iter().map(|e| e.0).fold(f64::NEG_INFINITY, f64::max);
    let low = window.iter().map(|e| e.0).fold(f64::INFINITY, f64::min);
    high - low
}

/// Whether the value moves less and less over a window of steps, and no further over all shorter ones, up to rounding: it is
/// continuous, as far as steps can see. A wave of which every step takes many periods is not.
fn is_continuous(window: &[Sample], shorter: &[Sample], rounding: f64) -> bool {
    let slack = |s: &Sample| 64.0 * (s.noise * s.step + rounding);
    let last = window[window.len() - 1].moved();
    window.windows(2).all(|pair| pair[1].moved() <= 0.5 * pair[0].moved() + slack(&pair[1]))
        && shorter.iter().all(|s| s.moved() <= last + slack(s))
}

/// Whether the estimates settle over any range of steps, or are kept from it by rounding alone.
fn settles(samples: &[Sample], estimates: &[Estimates; 2], rounding: f64) -> bool {
    let smallest = samples.last().expect("there are samples");
    let rounded = 64.0 * (smallest.noise * smallest.step + rounding);
    let settled = |estimates: &Estimates| {
        let mut windows = estimates.windows(WINDOW).enumerate();
        windows.any(|(k, window)| is_settled(window, 8.0 * rounding / samples[k + WINDOW - 1].step))
    };
    smallest.moved() <= rounded || estimates.iter().any(settled)
}

/// Whether differences come nearer to `analytic` down to the smallest step: not rounding keeps them from it, but the step.
fn approaches(analytic: f64, samples: &[Sample]) -> bool {
    let error = |s: &Sample| (s.central - analytic).abs();
    samples[samples.len() - WINDOW..].windows(2).all(|pair| error(&pair[1]) < 0.5 * error(&pair[0]))
}

/// A range of steps at which differences are what the tape says, up to `tolerance`.
struct Agreement {
    value: f64,
    tolerance: f64,
}

impl Agreement {
    fn ruling(self, analytic: f64, context: &Context) -> Ruling {
        Ruling::Right { numeric: self.value, resolution: self.tolerance / analytic.abs().max(context.reference) }
    }
}

/// The agreement if rounding does what it likely does, and not the worst.
fn likely_agreement(analytic: f64, samples: &[Sample], context: &Context, precision: &Precision) -> Option<Agreement> {
    let likely = estimates(samples, |s| s.noise.min(context.rounding.noise(s.step)));
    agreement(analytic, samples, &likely, context, precision)
}

/// The agreement with the least noise.
fn agreement(
    analytic: f64,
    samples: &[Sample],
    estimates: &[Estimates; 2],
    context: &Context,
    precision: &Precision,
) -> Option<Agreement> {
    let within = |&(value, noise): &(f64, f64)| -> Option<f64> {
        let size = analytic.abs().max(value.abs()).max(1e-3 * context.reference);
        let tolerance = precision.tolerance * size + 3.0 * noise;
        let sharp = 3.0 * noise <= f64::max(precision.coarse * size, precision.tolerance * context.reference);
        ((analytic - value).abs() <= tolerance && sharp).then_some(tolerance)
    };
    let rounded = is_rounded_away(samples);
    let window_is_still = |samples: &[Sample]| samples.iter().any(|s| s.still);
    let mut sharpest: Option<Agreement> = None;
    for estimates in estimates {
        for (window, samples) in estimates.windows(WINDOW).zip(samples.windows(WINDOW)) {
            // If nothing moves, nothing is learned, unless nothing should move.
            if window_is_still(samples) && (analytic != 0.0 || rounded) {
                continue;
            }
            let Some(found) = window.iter().map(within).collect::<Option<Vec<f64>>>() else { continue };
            let tolerance = found.into_iter().fold(0.0, f64::max);
            if sharpest.as_ref().is_none_or(|sharpest| tolerance < sharpest.tolerance) {
                sharpest = Some(Agreement { value: window[WINDOW / 2].0, tolerance });
            }
        }
    }
    sharpest
}

/// Whether the function is constant at the shorter steps only because its change is rounded away: at longer steps, it
/// changed by little more than rounding.
fn is_rounded_away(samples: &[Sample]) -> bool {
    let last = samples.iter().rfind(|s| !s.still);
    last.is_some_and(|s| s.moved() <= 256.0 * s.noise * s.step)
}

/// A range of steps over which differences stay the same.
struct Plateau {
    value: f64,
    /// How well they agree with each other, and noise.
    spread: f64,
    /// The largest and the smallest of the steps.
    steps: (f64, f64),
    /// How far a difference at the smallest step may lie from `value`.
    slack: f64,
}

impl Plateau {
    /// Whether it continues between its steps: these are multiples of each other, and a wave may have the same period.
    fn is_confirmed(&self, probe: &mut dyn FnMut(f64) -> Result<Sample, Invalid>) -> Result<bool, Invalid> {
        for between in [1.37, 0.79, 0.53] {
            let sample = probe(between * self.steps.1)?;
            if (sample.central - self.value).abs() > 2.0 * self.slack + 4.0 * sample.noise {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The flattest range of steps that speaks against `analytic`.
fn plateau(
    analytic: f64,
    samples: &[Sample],
    estimates: &[Estimates; 2],
    context: &Context,
    precision: &Precision,
) -> Option<Plateau> {
    let mut flattest: Option<Plateau> = None;
    for estimates in estimates {
        for (k, window) in estimates.windows(WINDOW).enumerate() {
            let value = window[WINDOW / 2].0;
            // Compared with differences at longer steps, an estimate may be negligible.
            let before = samples[..=k].iter().map(|s| s.central.abs()).fold(0.0, f64::max);
            if !is_settled(window, 0.01 * before)
                || !is_continuous(&samples[k..k + WINDOW], &samples[k + WINDOW..], context.rounding.largest)
                || !is_informative(&samples[..k + WINDOW], k)
                || explained(analytic, value, &samples[k..])
            {
                continue;
            }
            let noise = window.iter().map(|e| e.1).fold(0.0, f64::max);
            let last = &samples[k + WINDOW - 1];
            let truncated = (last.central - value).abs().min(0.1 * value.abs() + 0.05 * before);
            let slack = 0.02 * value.abs() + truncated + 4.0 * noise + 8.0 * context.rounding.largest / last.step;
            let (spread, steps) = (spread(window) + 2.0 * noise, (samples[k].step, last.step));
            let plateau = Plateau { value, spread, steps, slack };
            if disagrees(analytic, &plateau, context, precision)
                && flattest.as_ref().is_none_or(|flat| plateau.spread < flat.spread)
            {
                flattest = Some(plateau);
            }
        }
    }
    flattest
}

/// Whether the samples from number `from` on say anything: a function that moves at large steps, and is constant at
/// tiny ones only, is rounded and not flat.
fn is_informative(samples: &[Sample], from: usize) -> bool {
    let inside = &samples[from..];
    let flat = inside.iter().all(|s| s.still);
    let moved = samples.iter().any(|s| !s.still);
    if flat { !moved || !is_rounded_away(samples) } else { inside.iter().all(|s| !s.still) }
}

/// Whether the samples have another explanation for their distance from `analytic` than a wrong rule.
fn explained(analytic: f64, value: f64, samples: &[Sample]) -> bool {
    let distance = (analytic - value).abs();
    // A kink nearer than the step: the central difference is off by half of what the sides differ by.
    // (Where the sides differ by curvature alone, they come together as the step falls.)
    let (first, last) = (samples[0].jump().abs(), samples[WINDOW - 1].jump().abs());
    let kink = last > 0.2 * distance && last > 0.3 * first;
    // A feature narrower than the step: smaller steps see it, and agree with the tape.
    let nearer = |s: &Sample| s.noise <= 0.05 * distance && (s.central - analytic).abs() < 0.3 * distance;
    kink || samples.windows(2).any(|pair| pair.iter().all(nearer))
}

/// Whether differences are sure of their value and the tape says another.
fn disagrees(analytic: f64, plateau: &Plateau, context: &Context, precision: &Precision) -> bool {
    let distance = (analytic - plateau.value).abs();
    let size = analytic.abs().max(plateau.value.abs()).max(1e-3 * context.reference);
    distance > precision.tolerance * size
        && distance > 10.0 * plateau.spread
        // A smaller distance may come from the rounding of the values inside.
        && distance * plateau.steps.0 > 8.0 * context.rounding.amplified
}
