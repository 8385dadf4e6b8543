//! The command line.

use std::path::PathBuf;

use clap::{Parser, builder::RangedU64ValueParser};

use crate::cells::CellKind;
use crate::distinct;
use crate::search;
use crate::tasks::{Problem, Task};
use crate::train::Job;

/// More than the cores of most machines.
const MAX_THREADS: u64 = 256;
/// Days of training.
const MAX_STEPS: u64 = 1_000_000;
/// The first mark of the adding problem is in the first ten steps, and the second in the first half.
const MIN_LENGTH: u64 = 20;
const MAX_LENGTH: u64 = 10_000;
/// Training steps at most, of a short run and of a long one.
const STEPS: usize = 800;
const LONG_STEPS: usize = 2000;
const SEEDS: [u64; 3] = [1, 2, 3];

/// The long-dependency tasks of the literature: which cell learns which length, and in how many steps?
///
/// Trains each cell on each task and length, prints a table, and draws the learning curves.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Lengths and steps that take many minutes, instead of a short run of less than one. A cell that has learnt a task
    /// with no seed is not trained at greater lengths of it.
    #[arg(long)]
    pub(crate) long: bool,
    /// Search the learning rates of the cells on the short tasks, instead of comparing the cells; takes some minutes.
    #[arg(long, conflicts_with = "long")]
    pub(crate) search: bool,
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
    /// With --search, the rates that are tried, separated by commas.
    #[arg(long, value_name = "R,R", value_delimiter = ',', value_parser = positive, requires = "search")]
    pub(crate) rate: Vec<f64>,
    /// The seeds of all random choices, separated by commas; by default 1,2,3, with --search 11,12.
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub(crate) seed: Vec<u64>,
    /// Threads, 256 at most; they change no result.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = between(1, MAX_THREADS))]
    pub(crate) threads: usize,
    /// The folder for the picture.
    #[arg(long, value_name = "DIR", default_value = "target/long_dependencies")]
    pub(crate) out: PathBuf,
}

impl Arguments {
    /// What to train: by task, then length, then cell, then rate, then seed.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let (tasks, cells) = (or_all(&self.task), or_all(&self.cell));
        let steps = self.steps.unwrap_or(if self.long { LONG_STEPS } else { STEPS });
        let mut jobs = Vec::new();
        for &task in &tasks {
            for length in self.lengths(task) {
                for &cell in &cells {
                    for rate in self.rates(cell) {
                        for seed in self.seeds() {
                            jobs.push(Job { problem: Problem { task, length }, cell, rate, steps, seed });
                        }
                    }
                }
            }
        }
        distinct(jobs)
    }

    fn lengths(&self, task: Task) -> Vec<usize> {
        match (&self.length[..], self.long, task) {
            (lengths @ [_, ..], _, _) => lengths.to_vec(),
            (_, true, Task::CopyMemory) => vec![20, 50, 100],
            (_, true, _) => vec![100, 200, 400],
            (_, false, Task::CopyMemory) => vec![20],
            (_, false, Task::Adding) => vec![30],
            (_, false, Task::TemporalOrder) => vec![40],
        }
    }

    fn rates(&self, cell: CellKind) -> Vec<f64> {
        match (&self.rate[..], self.search) {
            (rates @ [_, ..], _) => rates.to_vec(),
            (_, true) => search::RATES.to_vec(),
            (_, false) => vec![cell.learning_rate()],
        }
    }

    fn seeds(&self) -> Vec<u64> {
        match (&self.seed[..], self.search) {
            (seeds @ [_, ..], _) => seeds.to_vec(),
            (_, true) => search::SEEDS.to_vec(),
            (_, false) => SEEDS.to_vec(),
        }
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

/// A finite number above 0.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
        _ => Err("not a finite number above 0".to_owned()),
    }
}
