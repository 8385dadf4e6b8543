//! What trainings with several seeds have in common.

use crate::distinct;
use crate::train::{Job, LEARNT, Training};

/// Trainings that differ in their seed alone. The middle one of several is the median; of an even number it is the worse
/// of the middle two, so that more than half are at least as good.
pub(crate) struct Repeats<'a>(Vec<&'a Training>);

impl<'a> Repeats<'a> {
    /// Trainings by what they have in common, in the order of the first of each.
    pub(crate) fn gather(trainings: &'a [Training]) -> Vec<Self> {
        let mut gathered: Vec<Self> = Vec::new();
        for training in trainings {
            match gathered.iter_mut().find(|repeats| repeats.job().with_seed(training.job.seed) == training.job) {
                Some(repeats) => repeats.0.push(training),
                None => gathered.push(Self(vec![training])),
            }
        }
        gathered
    }

    /// The job of the first seed.
    pub(crate) fn job(&self) -> Job {
        self.0[0].job
    }

    pub(crate) fn trainings(&self) -> &[&'a Training] {
        &self.0
    }

    /// How many learnt the task.
    pub(crate) fn count_learnt(&self) -> usize {
        self.0.iter().filter(|training| training.learnt().is_some()).count()
    }

    /// How many ended because a gradient was not finite.
    pub(crate) fn count_diverged(&self) -> usize {
        self.0.iter().filter(|training| training.diverged.is_some()).count()
    }

    /// The median of the steps at which the task was learnt, where never comes after all steps.
    pub(crate) fn learnt(&self) -> Option<usize> {
        let steps = self.0.iter().map(|training| training.learnt());
        middle(steps.collect(), |step| step.map_or(f64::INFINITY, |step| step as f64))
    }

    /// The median of the best shares.
    pub(crate) fn best(&self) -> f64 {
        middle(self.0.iter().map(|training| training.best()).collect(), |share| -share)
    }

    /// The median of the curves at each step, up to the step at which it has learnt. A training that has ended keeps its
    /// last share.
    pub(crate) fn curve(&self) -> Vec<(usize, f64)> {
        let mut steps = distinct(self.0.iter().flat_map(|training| &training.curve).map(|(step, _)| *step));
        steps.sort_unstable();
        let share = |training: &Training, step| {
            let until = training.curve.iter().take_while(|(other, _)| *other <= step);
            until.last().map_or(0.0, |(_, share)| *share)
        };
        let at = |step| middle(self.0.iter().map(|training| share(training, step)).collect(), |share| -share);
        let mut curve: Vec<_> = steps.into_iter().map(|step| (step, at(step))).collect();
        if let Some(learnt) = curve.iter().position(|(_, share)| *share >= LEARNT) {
            curve.truncate(learnt + 1);
        }
        curve
    }

    /// Right answers on the test sequences of all seeds, and all.
    pub(crate) fn test(&self) -> [usize; 2] {
        [0, 1].map(|i| self.0.iter().map(|training| training.test[i]).sum())
    }
}

/// The middle value in the order of a key, which is smaller for the better.
fn middle<V: Copy>(mut values: Vec<V>, key: impl Fn(V) -> f64) -> V {
    values.sort_by(|a, b| key(*a).total_cmp(&key(*b)));
    values[values.len() / 2]
}
