//! Schedules of the learning rate: factors by the number of the step, from 0.
//!
//! All are pure functions of the step: multiply them to combine them. A run that is resumed at step s has the rate of
//! step s, with nothing to save. [`Optimizer::set_learning_rate`](super::Optimizer::set_learning_rate) takes the product.
//! The schedule that follows the error, [`Plateau`](super::Plateau), has a state.
//!
//! ```
//! use rewind_rnn::optim::schedule::{cosine, warm_up};
//!
//! // Up to 0.01 over 20 steps, and down to 0 at the end of 1000 along half a cosine.
//! let rate = |step| 0.01 * warm_up(step, 20) * cosine(step, 1000);
//! assert!(rate(0) < rate(10) && rate(19) > rate(500) && rate(1000) == 0.0);
//! ```

use std::f64::consts::PI;

/// Linear warm-up: min(1, (step + 1)/over), so that the first of `over` steps has 1/over and the last 1 (Goyal et al.
/// 2017, "Accurate, large minibatch SGD"). 1 if `over` is 0: no warm-up.
pub fn warm_up(step: u64, over: u64) -> f64 {
    if step >= over { 1.0 } else { (step + 1) as f64 / over as f64 }
}

/// Half a cosine: ½·(1 + cos(π·step/steps)), from 1 at step 0 to 0 at step `steps` and after it (Loshchilov and Hutter
/// 2017, "SGDR", without restarts).
pub fn cosine(step: u64, steps: u64) -> f64 {
    if step >= steps { 0.0 } else { 0.5 * (1.0 + (PI * (step as f64 / steps as f64)).cos()) }
}

/// A staircase: factor^⌊step/every⌋, as PyTorch's `StepLR`.
///
/// ```
/// use rewind_rnn::optim::schedule::stairs;
///
/// assert_eq!([0, 9, 10, 20].map(|step| stairs(step, 10, 0.5)), [1.0, 1.0, 0.5, 0.25]);
/// ```
///
/// # Panics
/// If `every` is 0, or the factor is negative, infinite or NaN.
#[track_caller]
pub fn stairs(step: u64, every: u64, factor: f64) -> f64 {
    if every == 0 {
        panic!("stairs: a stair of 0 steps; expected at least 1");
    }
    check_factor("stairs", factor);
    factor.powf((step / every) as f64)
}

/// Exponential decay: factor^step, as PyTorch's `ExponentialLR`.
///
/// ```
/// use rewind_rnn::optim::schedule::exponential;
///
/// assert_eq!([0, 1, 3].map(|step| exponential(step, 0.5)), [1.0, 0.5, 0.125]);
/// ```
///
/// # Panics
/// If the factor is negative, infinite or NaN.
#[track_caller]
pub fn exponential(step: u64, factor: f64) -> f64 {
    check_factor("exponential", factor);
    factor.powf(step as f64)
}

/// One cycle (Smith and Topin 2018, "Super-convergence"), in half cosines, as PyTorch's `OneCycleLR` with its defaults:
///
/// from 1/25 at step 0 up to 1 at step rise·steps - 1, and down to 1/250000 at step `steps` - 1 and after it. PyTorch's `rise`,
/// `pct_start`, is 0.3. The momentum does not cycle.
///
/// ```
/// use rewind_rnn::optim::schedule::one_cycle;
///
/// let rate = |step| one_cycle(step, 100, 0.3);
/// assert!((rate(0) - 0.04).abs() < 1e-12 && rate(29) == 1.0 && (rate(99) - 4e-6).abs() < 1e-12);
/// ```
///
/// # Panics
/// If `steps` is 0, or `rise` is not in [0, 1].
#[track_caller]
pub fn one_cycle(step: u64, steps: u64, rise: f64) -> f64 {
    if steps == 0 {
        panic!("one_cycle: a cycle of 0 steps; expected at least 1");
    }
    if !(0.0..=1.0).contains(&rise) {
        panic!("one_cycle: a rise of {rise}; expected a part of the cycle in [0, 1]");
    }
    const FIRST: f64 = 1.0 / 25.0;
    const LAST: f64 = FIRST / 1e4;
    let (step, last) = (step.min(steps - 1) as f64, (steps - 1) as f64);
    let peak = (rise * steps as f64 - 1.0).clamp(0.0, last);
    // From `start` to `end` along half a cosine.
    let along = |start: f64, end: f64, part: f64| end + (start - end) / 2.0 * (1.0 + (PI * part).cos());
    match step {
        _ if step < peak => along(FIRST, 1.0, step / peak),
        _ if step == peak => 1.0,
        _ => along(1.0, LAST, (step - peak) / (last - peak)),
    }
}

#[track_caller]
fn check_factor(schedule: &str, factor: f64) {
    if !(factor >= 0.0 && factor.is_finite()) {
        panic!("{schedule}: the factor is {factor}; expected a finite number >= 0");
    }
}

/// Inverse square root after a warm-up: min((step + 1)/over, √(over/(step + 1))), with the maximum 1 at the last step of the
/// warm-up (Vaswani et al. 2017, "Attention is all you need", without their factor of the width).
///
/// ```
/// use rewind_rnn::optim::schedule::inverse_sqrt;
///
/// assert_eq!([0, 3, 15].map(|step| inverse_sqrt(step, 4)), [0.25, 1.0, 0.5]);
/// ```
///
/// # Panics
/// If `over` is 0.
#[track_caller]
pub fn inverse_sqrt(step: u64, over: u64) -> f64 {
    if over == 0 {
        panic!("inverse_sqrt: a warm-up of 0 steps; expected at least 1");
    }
    let done = (step as f64 + 1.0) / over as f64;
    done.min(done.sqrt().recip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_those_of_the_formulas() {
        assert_eq!([0, 1, 3, 4, 1_000_000].map(|step| warm_up(step, 4)), [0.25, 0.5, 1.0, 1.0, 1.0]);
        assert_eq!(warm_up(0, 0), 1.0);
        assert_eq!([0, 4, 5, u64::MAX].map(|step| cosine(step, 4)), [1.0, 0.0, 0.0, 0.0]);
        assert!((cosine(2, 4) - 0.5).abs() < 1e-15 && (cosine(1, 4) - 0.853_553_390_593_273_8).abs() < 1e-15);
        assert_eq!(cosine(0, 0), 0.0);
        assert_eq!([0, 9, 10, 29, 30].map(|step| stairs(step, 10, 0.5)), [1.0, 1.0, 0.5, 0.25, 0.125]);
        assert_eq!([0, 1, 3, 15, 63].map(|step| inverse_sqrt(step, 4)), [0.25, 0.5, 1.0, 0.5, 0.25]);
    }

    #[test]
    #[should_panic(expected = "stairs: a stair of 0 steps; expected at least 1")]
    fn a_stair_has_steps() {
        stairs(3, 0, 0.5);
    }
}
