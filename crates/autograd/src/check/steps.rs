//! One derivative at many step sizes. The error of a wrong rule does not move with the step; truncation falls with its
//! square, rounding rises as it falls. Where the derivatives from both sides stay apart, there is a kink.

use super::report::{Doubt, StepError};
use crate::Scalar;

/// What differences in a precision can and cannot tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Precision {
    /// The rounding unit.
    pub(super) epsilon: f64,
    /// The first step for an entry of size 1: the cube root of the rounding unit, where truncation and rounding balance.
    pub(super) step: f64,
    /// The relative error up to which two derivatives are the same.
    pub(super) tolerance: f64,
    /// The largest relative noise at which an agreement is worth anything.
    pub(super) coarse: f64,
    /// The exponent of 2 of the smallest step of a sweep.
    smallest: i32,
}

impl Precision {
    pub(super) fn of<T: Scalar>() -> Self {
        let epsilon = T::EPSILON.to_f64();
        let tolerance = (40.0 * epsilon.powf(2.0 / 3.0)).max(1e-6);
        Precision {
            epsilon,
            step: epsilon.cbrt(),
            tolerance,
            coarse: 30.0 * tolerance.max(3e-5),
            smallest: (epsilon.log2() * 0.75) as i32,
        }
    }

    /// The steps of a sweep for a number of size `own` among numbers of size `scale`, from the largest.
    pub(super) fn sweep(&self, scale: f64, own: f64) -> Vec<f64> {
        let own = if own > 0.0 { own.min(scale) } else { scale };
        let last = own * 2_f64.powi(self.smallest);
        std::iter::successors(Some(scale / 8.0), |h| Some(h / 4.0)).take_while(|&h| h >= last).collect()
    }
}

/// Differences at one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) step: f64,
    /// (F(x + h) - F(x)) / h.
    pub(super) right: f64,
    /// (F(x) - F(x - h)) / h.
    pub(super) left: f64,
    /// (F(x + h) - F(x - h)) / 2h.
    pub(super) central: f64,
    /// What rounding of F's values may have done to `central`.
    pub(super) noise: f64,
    /// Nothing moved at all.
    pub(super) still: bool,
    /// Some values were infinite or NaN and did not move: what they would have added is not known.
    blind: bool,
}

impl Sample {
    /// Differences from values at x, x + h₊ and x - h₋, weighted and summed.
    pub(super) fn new<T: Scalar>(
        at: &[T],
        right: (&[T], f64),
        left: (&[T], f64),
        weights: &[f64],
        precision: &Precision,
    ) -> Self {
        let (mut up, mut down, mut size, mut still, mut blind) = (0.0, 0.0, 0.0, true, false);
        for (((&y, &p), &m), &w) in at.iter().zip(right.0).zip(left.0).zip(weights) {
            let (y, p, m) = (y.to_f64(), p.to_f64(), m.to_f64());
            // What does not move adds neither a difference nor noise, even if it is not finite.
            if (p != y || m != y) && !(p.is_nan() && m.is_nan() && y.is_nan()) {
                up += w * (p - y);
                down += w * (y - m);
                size += w.abs() * p.abs().max(m.abs());
                still = false;
            } else {
                blind |= !y.is_finite();
            }
        }
        let width = right.1 + left.1;
        Sample {
            step: width / 2.0,
            right: up / right.1,
            left: down / left.1,
            central: (up + down) / width,
            noise: 2.0 * precision.epsilon * size / width,
            still,
            blind,
        }
    }

    pub(super) fn is_finite(&self) -> bool {
        self.right.is_finite() && self.left.is_finite()
    }

    /// How far the one-sided derivatives lie apart.
    fn jump(&self) -> f64 {
        self.right - self.left
    }
}

/// What an entry is compared against: the sizes that say when a number is as good as zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The size of the largest derivatives of the same input.
    pub(super) reference: f64,
    /// The rounding of the largest number that the function computes with.
    pub(super) rounding: f64,
    /// The unit of steps: the size of the entry, or of its neighbours.
    pub(super) scale: f64,
}

/// What one sample says of an entry: agreement, with the relative error that would have been seen; or nothing yet.
pub(super) fn agrees(analytic: f64, sample: &Sample, context: &Context, precision: &Precision) -> Option<f64> {
    if !analytic.is_finite() {
        return None;
    }
    let size = analytic.abs().max(sample.central.abs());
    let noise = 3.0 * sample.noise;
    let tolerance = precision.tolerance * size.max(1e-3 * context.reference) + noise;
    let sharp = noise <= precision.coarse * size || noise <= precision.tolerance * context.reference;
    let smooth = sample.jump().abs() <= 50.0 * precision.step * size.max(context.reference) + 2.0 * noise;
    ((analytic - sample.central).abs() <= tolerance && sharp && smooth)
        .then(|| if tolerance == 0.0 { 0.0 } else { tolerance / context.reference.max(size) })
}

/// What a sweep over step sizes says of an entry.
#[derive(Clone, Debug)]
pub(super) enum Ruling {
    /// Agreement over a range of steps; with the relative error that would have been seen.
    Right { numeric: f64, resolution: f64 },
    /// The differences settle, and not where the tape says.
    Wrong { numeric: f64 },
    /// Neither.
    Doubt { doubt: Doubt, numeric: f64 },
}

/// Steps that must agree with each other: a factor of 16 in step size.
const WINDOW: usize = 3;

/// Rules on an entry from samples at steps that fall by a factor of 4.
pub(super) fn judge(analytic: f64, samples: &[Sample], context: &Context, precision: &Precision) -> Ruling {
    let finite: Vec<Sample> = samples.iter().copied().filter(Sample::is_finite).collect();
    let numeric = best(&finite).map_or(f64::NAN, |sample| sample.central);
    let doubt = |doubt| Ruling::Doubt { doubt, numeric };
    if finite.len() < 2 * WINDOW || !analytic.is_finite() && finite.iter().all(|s| s.still || s.blind) {
        return doubt(Doubt::NonFinite);
    }
    if has_kink(&finite) {
        return doubt(Doubt::Kink);
    }
    let estimates = [finite.iter().map(|s| (s.central, s.noise)).collect(), extrapolated(&finite)];
    let against = plateau(analytic, &finite, &estimates).filter(|p| disagrees(analytic, p, context, precision));
    if let Some(agreed) = agreement(analytic, &finite, &estimates, context, precision) {
        // Where noise is large enough to hide a distance that other steps see, there is no agreement.
        match &against {
            Some(plateau) if agreed.tolerance >= (analytic - plateau.value).abs() => {}
            _ => {
                let resolution = agreed.tolerance / analytic.abs().max(context.reference);
                return Ruling::Right { numeric: agreed.value, resolution };
            }
        }
    }
    if let Some(plateau) = against {
        return Ruling::Wrong { numeric: plateau.value };
    }
    let kinked = |s: &Sample| s.jump().abs() > 0.2 * (analytic - s.central).abs();
    doubt(match () {
        () if !analytic.is_finite() || finite.len() < samples.len() / 2 => Doubt::NonFinite,
        () if finite.iter().all(kinked) => Doubt::Kink,
        () => Doubt::Rounding,
    })
}

/// The errors of a wrong entry at a few of the steps, from the largest.
pub(super) fn errors(analytic: f64, samples: &[Sample]) -> Vec<StepError> {
    let every = (samples.len() / 6).max(1);
    let error = |s: &Sample| StepError { step: s.step, error: (analytic - s.central).abs() };
    samples.iter().step_by(every).filter(|s| s.is_finite()).map(error).collect()
}

/// Estimates of a derivative with their noise, by step.
type Estimates = Vec<(f64, f64)>;

/// Richardson's extrapolation from each step and the next: the term in h² cancels.
fn extrapolated(samples: &[Sample]) -> Estimates {
    samples
        .windows(2)
        .map(|pair| {
            let ratio = (pair[0].step / pair[1].step).powi(2);
            let value = (ratio * pair[1].central - pair[0].central) / (ratio - 1.0);
            (value, (ratio * pair[1].noise + pair[0].noise) / (ratio - 1.0))
        })
        .collect()
}

/// The sample between large truncation and large rounding.
fn best(samples: &[Sample]) -> Option<&Sample> {
    let middle = samples.len() / 3;
    samples.get(middle)
}

/// Whether the one-sided derivatives stay apart down to the smallest steps: by the same amount (a kink) or by an amount
/// that grows as the step falls (a jump). For a smooth function their distance falls with the step.
fn has_kink(samples: &[Sample]) -> bool {
    let noisy = |s: &&Sample| !s.still && s.noise > 0.05 * s.right.abs().max(s.left.abs());
    let clear_of_noise = samples.iter().rev().skip_while(noisy).count();
    let Some(from) = clear_of_noise.checked_sub(4) else { return false };
    let last = &samples[from..clear_of_noise];
    // A function that stands still nearest to the point has its kink further away.
    if last.iter().any(|s| s.still) {
        return false;
    }
    let steady = |power: f64| {
        last.windows(2).all(|pair| {
            let grown = (pair[0].step / pair[1].step).powf(power);
            (pair[1].jump() / pair[0].jump() / grown - 1.0).abs() < 0.2
        })
    };
    let clear = |s: &Sample| s.jump().abs() > 10.0 * s.noise && s.jump().abs() > 1e-3 * s.right.abs().max(s.left.abs());
    // A jump seen from its own height: F(x + h) - F(x - h) stands still.
    let jumps = |s: &Sample| s.central.abs() * s.step;
    let stands =
        last.windows(2).all(|pair| jumps(&pair[0]) > 0.0 && (jumps(&pair[1]) / jumps(&pair[0]) - 1.0).abs() < 0.1);
    stands || (last.iter().all(clear) && (steady(0.0) || steady(1.0)))
}

/// A range of steps at which differences are what the tape says, up to `tolerance`.
struct Agreement {
    value: f64,
    tolerance: f64,
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
        let sharp = 3.0 * noise <= precision.coarse * size;
        ((analytic - value).abs() <= tolerance && sharp).then_some(tolerance)
    };
    let mut sharpest: Option<Agreement> = None;
    for estimates in estimates.iter().filter(|_| analytic.is_finite()) {
        for (window, samples) in estimates.windows(WINDOW).zip(samples.windows(WINDOW)) {
            // Where nothing moves, nothing is learned, unless nothing should move.
            if analytic != 0.0 && samples.iter().any(|s| s.still) {
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

/// A range of steps over which differences stay the same.
struct Plateau {
    value: f64,
    /// How well they agree with each other, and noise.
    spread: f64,
    /// The largest of the steps.
    step: f64,
}

/// The flattest range of steps that may speak against `analytic`.
fn plateau(analytic: f64, samples: &[Sample], estimates: &[Estimates; 2]) -> Option<Plateau> {
    let mut flattest: Option<Plateau> = None;
    for estimates in estimates {
        for (k, window) in estimates.windows(WINDOW).enumerate() {
            let value = window[WINDOW / 2].0;
            if !speaks(&samples[..k + WINDOW], k) || explained(analytic, value, &samples[k..]) {
                continue;
            }
            let low = window.iter().map(|e| e.0).fold(f64::INFINITY, f64::min);
            let high = window.iter().map(|e| e.0).fold(f64::NEG_INFINITY, f64::max);
            let noise = window.iter().map(|e| e.1).fold(0.0, f64::max);
            let spread = high - low + 2.0 * noise;
            if flattest.as_ref().is_none_or(|flat| spread < flat.spread) {
                flattest = Some(Plateau { value, spread, step: samples[k].step });
            }
        }
    }
    flattest
}

/// Whether the samples from number `from` on say anything: a function that moves at large steps, and stands still at tiny
/// ones only, is rounded and not flat.
fn speaks(samples: &[Sample], from: usize) -> bool {
    let inside = &samples[from..];
    let flat = inside.iter().all(|s| s.still);
    let moved = samples.iter().any(|s| !s.still);
    if flat { !moved || inside[0].step >= 1e-5 * samples[0].step } else { inside.iter().all(|s| !s.still) }
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
    if !analytic.is_finite() {
        return plateau.spread <= 1e-2 * plateau.value.abs().max(context.reference);
    }
    let distance = (analytic - plateau.value).abs();
    let size = analytic.abs().max(plateau.value.abs()).max(1e-3 * context.reference);
    distance > precision.tolerance * size
        && distance > 10.0 * plateau.spread
        // What is smaller than the rounding of the numbers inside may be rounded away inside.
        && distance * plateau.step.max(context.scale * precision.step) > 8.0 * context.rounding
}
