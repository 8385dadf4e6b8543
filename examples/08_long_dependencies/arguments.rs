//! The command line.

use std::path::PathBuf;

use clap::{Parser, builder::RangedU64ValueParser};

use crate::cells::CellKind;
use crate::tasks::{Problem, Task};
use crate::train::Job;

/// More than the cores of most machines.
const MAX_THREADS: u64 = 256;
/// Days of training.
const MAX_STEPS: u64 = 1_000_000;
/// The first mark of the adding problem is in the first ten steps, and the second in the first half.
const MIN_LENGTH: u64 = 20;
const MAX_LENGTH: u64 = 10_000;

/// The long-dependency tasks of the literature: which cell learns which length, and in how many steps?
///
/// Trains each cell on each task and length, prints a table, and draws the learning curves.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Lengths and steps that take many minutes, instead of a short run of less than one.
    #[arg(long)]
    pub(crate) long: bool,
    /// The tasks, separated by commas; all by default.
    #[arg(long, value_enum, value_name = "A,B", value_delimiter = ',')]
    pub(crate) task: Vec<Task>,
    /// The cells, separated by commas; all by default.
    #[arg(long, value_enum, value_name = "A,B", value_delimiter = ',')]
    pub(crate) cell: Vec<CellKind>,
    /// The lengths, separated by commas, from 20 to 10000; by default one, with --long three.
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = between(MIN_LENGTH, MAX_LENGTH))]
    pub(crate) length: Vec<usize>,
    /// Training steps at most, up to a million. A training ends when the task is learnt.
    #[arg(long, value_name = "N", value_parser = between(1, MAX_STEPS))]
    pub(crate) steps: Option<usize>,
    /// The seed of all random choices.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Threads, 256 at most; they change no result.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = between(1, MAX_THREADS))]
    pub(crate) threads: usize,
    /// The folder for the picture.
    #[arg(long, value_name = "DIR", default_value = "target/long_dependencies")]
    pub(crate) out: PathBuf,
}

impl Arguments {
    /// What to train: by task, then length, then cell.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let (tasks, cells) = (or_all(&self.task), or_all(&self.cell));
        let steps = self.steps.unwrap_or(if self.long { 5000 } else { 1500 });
        let lengths = |task| match (&self.length[..], self.long, task) {
            (lengths @ [_, ..], _, _) => lengths.to_vec(),
            (_, true, Task::CopyMemory) => vec![20, 50, 100],
            (_, true, _) => vec![100, 200, 400],
            (_, false, Task::CopyMemory) => vec![20],
            (_, false, Task::Adding) => vec![40],
            (_, false, Task::TemporalOrder) => vec![50],
        };
        let problems =
            tasks.iter().flat_map(|&task| lengths(task).into_iter().map(move |length| Problem { task, length }));
        let job = |problem, &cell: &CellKind| Job { problem, cell, steps, seed: self.seed };
        let jobs = problems.flat_map(|problem| cells.iter().map(move |cell| job(problem, cell)));
        let mut distinct = Vec::new();
        jobs.for_each(|job| {
            if !distinct.contains(&job) {
                distinct.push(job)
            }
        });
        distinct
    }
}

/// The named values, or all that there are.
fn or_all<V: clap::ValueEnum>(named: &[V]) -> Vec<V> {
    if named.is_empty() { V::value_variants().to_vec() } else { named.to_vec() }
}

/// A whole number from `least` to `most`.
fn between(least: u64, most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..=most)
}
