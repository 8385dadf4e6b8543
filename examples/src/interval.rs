//! How far a mean over a few repetitions can be trusted.

use std::f64::consts::FRAC_PI_2;
use std::fmt;

/// The share of intervals that cover the true mean, of normal values.
const CONFIDENCE: f64 = 0.95;
/// Steps of the integral over Student's density.
const STEPS: usize = 20_000;

/// The mean of some values and its 95 % interval by Student's t distribution, ±t·s/√n.
///
/// Of pairs, such as two models trained from the same seeds, the interval is that of the differences.
///
/// ```
/// use rewind_examples::Interval;
///
/// let rates = Interval::of(&[0.1, 0.2, 0.3]);
/// assert_eq!(rates.to_string(), "-0.048 to 0.448"); // 0.2 ± 4.303 · 0.1 / √3
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half of the width; infinite for one value, which says nothing of how others vary.
    pub half: f64,
}

impl Interval {
    /// The interval of independent values.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn of(values: &[f64]) -> Interval {
        assert!(!values.is_empty(), "Interval: no values; expected one at least");
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        if values.len() == 1 {
            return Interval { mean, half: f64::INFINITY };
        }
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Interval { mean, half: quantile(values.len() - 1) * (variance / count).sqrt() }
    }

    /// The lower end.
    pub fn low(&self) -> f64 {
        self.mean - self.half
    }

    /// The upper end.
    pub fn high(&self) -> f64 {
        self.mean + self.half
    }
}

/// Displays as its ends: `0.051 to 0.089`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} to {:.3}", self.low(), self.high())
    }
}

/// The t such that Student's distribution with ν degrees of freedom has 95 % of its mass in ±t. With t = √ν·tan θ its
/// density is proportional to cos^(ν-1) θ.
fn quantile(freedom: usize) -> f64 {
    let step = FRAC_PI_2 / STEPS as f64;
    let density = |k: usize| ((k as f64 + 0.5) * step).cos().powi(freedom as i32 - 1);
    let mut left = CONFIDENCE * (0..STEPS).map(density).sum::<f64>();
    let mut whole = 0;
    while left > density(whole) {
        left -= density(whole);
        whole += 1;
    }
    let angle = (whole as f64 + left / density(whole)) * step;
    (freedom as f64).sqrt() * angle.tan()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_are_those_of_tables() {
        let known = [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423), (120, 1.9799)];
        for (freedom, t) in known {
            assert!((quantile(freedom) - t).abs() < 1e-4, "{freedom}: {}", quantile(freedom));
        }
    }

    #[test]
    fn an_interval_is_that_of_the_textbook() {
        // The ten values of Student (1908), hours of sleep gained: mean 1.58, s 1.2300, ± 2.2622 · 0.38896.
        let gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let interval = Interval::of(&gained);
        assert!((interval.mean - 1.58).abs() < 1e-12, "{interval:?}");
        assert!((interval.low() - 0.7001).abs() < 1e-3 && (interval.high() - 2.4599).abs() < 1e-3, "{interval:?}");
        assert_eq!(Interval::of(&[0.25; 3]), Interval { mean: 0.25, half: 0.0 });
    }

    #[test]
    fn one_value_leaves_everything_open() {
        assert_eq!(Interval::of(&[0.5]), Interval { mean: 0.5, half: f64::INFINITY });
        assert_eq!(Interval::of(&[0.5]).to_string(), "-inf to inf");
    }

    #[test]
    #[should_panic(expected = "Interval: no values; expected one at least")]
    fn no_value_has_no_mean() {
        Interval::of(&[]);
    }
}
