//! Times of repeated work.

use std::time::{Duration, Instant};

/// Nanoseconds of each of `runs` calls of `work`, after `warm_up` calls that are not counted.
pub fn nanoseconds(warm_up: usize, runs: usize, work: impl FnMut()) -> Vec<f64> {
    nanoseconds_for(Duration::ZERO, warm_up, runs, work)
}

/// [`nanoseconds`] of `runs` calls at least, and of more until `time` has passed; a third of it is for warming up. So work of
/// microseconds is not measured on a processor that has just been woken.
pub fn nanoseconds_for(time: Duration, warm_up: usize, runs: usize, mut work: impl FnMut()) -> Vec<f64> {
    let mut repeat = |least: usize, time: Duration| {
        let (mut times, begin) = (Vec::new(), Instant::now());
        while times.len() < least || begin.elapsed() < time {
            let start = Instant::now();
            work();
            times.push(start.elapsed().as_secs_f64() * 1e9);
        }
        times
    };
    repeat(warm_up, time / 3);
    repeat(runs, time)
}

/// Nanoseconds of several kinds of work that take turns, `turns` each after one that is not counted: the median call of every
/// turn. A turn lasts for `time`, and for one call at least. What slows the machine down for longer than a round of turns slows
/// all down alike, so that a ratio within a round says more than that of two programs run in sequence.
pub fn nanoseconds_in_turn(time: Duration, turns: usize, work: &mut [impl FnMut()]) -> Vec<Vec<f64>> {
    let mut round = || work.iter_mut().map(|work| median(nanoseconds_for(time, 0, 1, work))).collect();
    (0..turns + 1).map(|_| round()).skip(1).collect()
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
