//! Times of repeated work.

use std::time::Instant;

/// Nanoseconds of each of `runs` calls of `work`, after `warm_up` calls that are not counted.
pub fn nanoseconds(warm_up: usize, runs: usize, mut work: impl FnMut()) -> Vec<f64> {
    let mut timed = || {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e9
    };
    (0..warm_up).for_each(|_| {
        timed();
    });
    (0..runs).map(|_| timed()).collect()
}

/// The value in the middle; the mean of the two in the middle if their number is even.
///
/// # Panics
/// If there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    (low + high) / 2.0
}
