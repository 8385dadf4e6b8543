//! One derivative at one step size: what differences say, and how much of it is rounding.

use rewind_autograd::{Scalar, Tensor};

use crate::elements::elements;

/// What differences in a precision can and cannot tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Precision {
    /// The rounding unit.
    pub(crate) epsilon: f64,
    /// The first step for an entry of size 1: the cube root of the rounding unit, where truncation and rounding balance.
    pub(crate) step: f64,
    /// The relative error up to which two derivatives are the same.
    pub(crate) tolerance: f64,
    /// The largest relative noise at which the first step is enough: beyond it, longer steps tell more.
    fine: f64,
    /// The largest relative noise at which an agreement is worth anything.
    pub(crate) coarse: f64,
    /// The smallest and the largest normal number: values outside this range lose digits, or are infinite.
    pub(crate) range: (f64, f64),
    /// The exponent of 2 of the smallest step.
    smallest: i32,
}

impl Precision {
    pub(crate) fn of<T: Scalar>() -> Self {
        let epsilon = T::EPSILON.to_f64();
        let tolerance = (40.0 * epsilon.powf(2.0 / 3.0)).max(1e-6);
        let wide = T::from_f64(f64::MIN_POSITIVE) > T::ZERO;
        let narrow = (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX));
        Precision {
            epsilon,
            step: epsilon.cbrt(),
            tolerance,
            fine: 10.0 * tolerance,
            coarse: 30.0 * tolerance.max(3e-5),
            range: if wide { (f64::MIN_POSITIVE, f64::MAX) } else { narrow },
            smallest: (epsilon.log2() * 0.75) as i32,
        }
    }

    /// The steps for an element of size `own` among elements of size `scale`, from the largest.
    pub(crate) fn steps(&self, scale: f64, own: f64) -> Vec<f64> {
        let own = if own > 0.0 { own.min(scale) } else { scale };
        // Not below the normal numbers: a step of 0 would never end.
        let last = (own * 2_f64.powi(self.smallest)).max(f64::MIN_POSITIVE);
        std::iter::successors(Some(scale / 8.0), |h| Some(h / 4.0)).take_while(|&h| h >= last).collect()
    }
}

/// Differences at one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) step: f64,
    /// (F(x + h) - F(x)) / h.
    pub(crate) right: f64,
    /// (F(x) - F(x - h)) / h.
    pub(crate) left: f64,
    /// (F(x + h) - F(x - h)) / 2h.
    pub(crate) central: f64,
    /// What rounding of F's values may have done to `central`.
    pub(crate) noise: f64,
    /// Nothing moved at all.
    pub(crate) still: bool,
    /// Some values were infinite or NaN and did not move: what they would have added is not known.
    pub(crate) blind: bool,
    /// Some values were infinite or NaN, moving or not.
    pub(crate) broken: bool,
}

impl Sample {
    /// Differences from values at x, x + h₊ and x - h₋, weighted and summed.
    pub(crate) fn new<T: Scalar>(
        at: &[T],
        right: (&[T], f64),
        left: (&[T], f64),
        weights: &[f64],
        precision: &Precision,
    ) -> Self {
        let (mut up, mut down, mut size) = (0.0, 0.0, 0.0);
        let (mut still, mut blind, mut broken) = (true, false, false);
        for (((&y, &p), &m), &w) in at.iter().zip(right.0).zip(left.0).zip(weights) {
            let (y, p, m) = (y.to_f64(), p.to_f64(), m.to_f64());
            broken |= !(y.is_finite() && p.is_finite() && m.is_finite());
            // What does not move adds neither a difference nor noise, even if it is not finite.
            if (p != y || m != y) && !(p.is_nan() && m.is_nan() && y.is_nan()) {
                up += w * (p - y);
                down += w * (y - m);
                size += w.abs() * p.abs().max(m.abs()).max(precision.range.0);
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
            broken,
        }
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.right.is_finite() && self.left.is_finite()
    }

    /// How far the one-sided derivatives lie apart.
    pub(crate) fn jump(&self) -> f64 {
        self.right - self.left
    }

    /// How far the value moves.
    pub(crate) fn moved(&self) -> f64 {
        self.slope() * self.step
    }

    /// The larger of the one-sided derivatives.
    pub(crate) fn slope(&self) -> f64 {
        self.right.abs().max(self.left.abs())
    }
}

/// The rounding of the values that a function computes with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rounding {
    /// That of the largest element.
    pub(crate) largest: f64,
    /// The sum over all elements, weighted by their cotangents: a random walk.
    pub(crate) amplified: f64,
}

impl Rounding {
    /// What it likely does to a difference at this step: elements are off by half a unit in the last place at most, in either direction.
    /// [`Sample::noise`] is the worst case.
    pub(crate) fn noise(&self, step: f64) -> f64 {
        0.3 * self.amplified / step
    }

    /// Adds the elements of a tensor, weighted by their cotangents.
    pub(crate) fn add<T: Scalar>(&mut self, cotangent: &Tensor<T>, value: &Tensor<T>) {
        for (c, x) in elements(cotangent).into_iter().zip(elements(value)) {
            let effect = (c * x).abs() * T::EPSILON.to_f64();
            if x.is_finite() {
                self.largest = self.largest.max(x.abs() * T::EPSILON.to_f64());
            }
            if effect.is_finite() {
                self.amplified = self.amplified.hypot(effect);
            }
        }
    }
}

/// What an entry is compared against: the sizes that say when a derivative is negligible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// The size of the largest derivatives of the same input.
    pub(crate) reference: f64,
    /// The rounding inside the function.
    pub(crate) rounding: Rounding,
    /// The unit of steps: the size of the entry, or of its neighbours.
    pub(crate) scale: f64,
}

impl Context {
    pub(crate) fn with(self, rounding: Rounding) -> Self {
        Context { rounding, ..self }
    }

    /// Where every derivative of the input is zero, what is close to zero is measured by the slopes beside the point.
    pub(crate) fn beside(self, longest: &Sample) -> Self {
        if self.reference == 0.0 { Context { reference: longest.slope(), ..self } } else { self }
    }
}

/// What one sample says of an entry: agreement, with the relative error that would have been detected; or nothing yet.
pub(crate) fn agrees(analytic: f64, sample: &Sample, context: &Context, precision: &Precision) -> Option<f64> {
    if !analytic.is_finite() {
        return None;
    }
    let size = analytic.abs().max(sample.central.abs());
    let noise = 3.0 * sample.noise;
    let tolerance = precision.tolerance * size.max(1e-3 * context.reference) + noise;
    let sharp = noise <= precision.fine * size || noise <= precision.tolerance * context.reference;
    let smooth = sample.jump().abs() <= 50.0 * precision.step * size.max(context.reference) + 2.0 * noise;
    ((analytic - sample.central).abs() <= tolerance && sharp && smooth)
        .then(|| if tolerance == 0.0 { 0.0 } else { tolerance / context.reference.max(size) })
}
