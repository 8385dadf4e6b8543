//! Training of one network on one task, and what it records.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use rewind_autograd::Tape;
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::{LayerModule, Unroll, clip};

use crate::cells::CellKind;
use crate::tasks::{Batch, Problem};

/// Sequences of a training step.
const BATCH: usize = 32;
/// Fresh sequences of an evaluation, and of the test at the end.
pub(crate) const HELD_OUT: usize = 512;
/// Training steps from one evaluation to the next.
pub(crate) const EVERY: usize = 50;
/// A task is learnt when this share of the answers to fresh sequences is right.
pub(crate) const LEARNT: f64 = 0.95;
/// The joint norm that gradients are clipped to.
const MAX_NORM: f64 = 1.0;

/// What to train on what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Job {
    pub(crate) problem: Problem,
    pub(crate) cell: CellKind,
    /// The learning rate of Adam.
    pub(crate) rate: f64,
    pub(crate) steps: usize,
    pub(crate) seed: u64,
}

/// What random numbers are drawn for: each purpose has a stream of its own.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Weights,
    Training,
    Evaluation,
    Test,
}

impl Job {
    /// The random numbers for a purpose. They do not depend on the cell: all see the same sequences.
    pub(crate) fn rng(&self, purpose: Purpose) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(purpose as u64);
        rng
    }

    /// The same with another seed.
    pub(crate) fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The cell, the task and the length.
    pub(crate) fn name(&self) -> String {
        let Problem { task, length } = self.problem;
        format!("{} {}-{length}", self.cell.name(), task.name())
    }
}

/// The course of a training.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Training {
    pub(crate) job: Job,
    /// Training steps, and the share of right answers to fresh sequences after them.
    pub(crate) curve: Vec<(usize, f64)>,
    /// The last step, if a gradient after it was not finite.
    pub(crate) diverged: Option<usize>,
    /// Right answers on the test sequences, and all.
    pub(crate) test: [usize; 2],
}

impl Training {
    /// The step at which the task was found learnt.
    pub(crate) fn learnt(&self) -> Option<usize> {
        self.curve.iter().find(|(_, share)| *share >= LEARNT).map(|(step, _)| *step)
    }

    /// The best share on the way.
    pub(crate) fn best(&self) -> f64 {
        self.curve.iter().map(|(_, share)| *share).fold(0.0, f64::max)
    }
}

/// Trains until the task is learnt, the steps are done, or a gradient is not finite.
pub(crate) fn train<M: LayerModule<f32>>(mut network: M, job: &Job) -> Training {
    let [mut training, mut evaluation, mut test] =
        [Purpose::Training, Purpose::Evaluation, Purpose::Test].map(|purpose| job.rng(purpose));
    let mut adam = Adam::new(job.rate);
    let mut tape = Tape::new();
    let mut evaluate = |network: &M| share(score(network, &job.problem.draw(HELD_OUT, &mut evaluation)));
    let mut curve = vec![(0, evaluate(&network))];
    let name = format!("{}, rate {}, seed {}", job.name(), job.rate, job.seed);
    let mut diverged = None;
    for step in 1..=job.steps {
        let batch = job.problem.draw(BATCH, &mut training);
        if update(&mut network, &mut adam, &batch, &mut tape).is_err() {
            eprintln!("{name}: step {step}: a gradient is not finite");
            diverged = Some(step - 1);
            break;
        }
        if step % EVERY == 0 || step == job.steps {
            let right = evaluate(&network);
            curve.push((step, right));
            let is_end = right >= LEARNT || step == job.steps;
            if is_end || step % (10 * EVERY) == 0 {
                eprintln!("{name}: step {step} of {}, {right:.3} right", job.steps);
            }
            if is_end {
                break;
            }
        }
    }
    Training { job: *job, curve, diverged, test: score(&network, &job.problem.draw(HELD_OUT, &mut test)) }
}

/// One step of the optimiser.
///
/// # Errors
/// If a gradient is not finite; the network is then as it was.
fn update<M: LayerModule<f32>>(
    network: &mut M,
    adam: &mut Adam<f32>,
    batch: &Batch,
    tape: &mut Tape<f32>,
) -> rewind_rnn::Result<()> {
    let mut gradients = {
        let on_tape = network.on(tape);
        let run = Unroll::new().lengths(&batch.lengths).through(&on_tape, tape.constant(batch.x.clone()));
        batch.loss(run.outputs)?.backward().of(&on_tape)
    };
    tape.clear();
    clip::clip_norm(&mut gradients, MAX_NORM)?;
    adam.step(network, &gradients)
}

/// Right answers, and all. A quiet tape records nothing.
fn score<M: LayerModule<f32>>(network: &M, batch: &Batch) -> [usize; 2] {
    let tape = Tape::quiet();
    let run = Unroll::new().lengths(&batch.lengths).through(&network.on(&tape), tape.constant(batch.x.clone()));
    batch.score(&run.outputs.value())
}

/// The share of right answers.
pub(crate) fn share([right, all]: [usize; 2]) -> f64 {
    right as f64 / all as f64
}
