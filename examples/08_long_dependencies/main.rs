//! The long-dependency tasks of the literature: which cell learns which length, and in how many steps?
//!
//! The adding problem and temporal order (Hochreiter and Schmidhuber 1997), and copy memory (Arjovsky et al. 2016). Each
//! network is one recurrent layer and a linear readout. docs/long_dependencies.md explains what one sees.
//!
//! `cargo run --release --example 08_long_dependencies` takes less than a minute, with `--long` much longer; `--search`
//! shows how the learning rates were found.

mod arguments;
mod cells;
mod picture;
mod repeats;
mod report;
mod search;
mod tasks;
#[cfg(test)]
mod tests;
mod train;

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use rewind_rnn::Shards;

use arguments::Arguments;
use repeats::Repeats;
use train::{Job, Training};

fn main() -> ExitCode {
    match run(&Arguments::parse(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line asks for; tables and results go to `out`.
fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    if arguments.search { search_rates(arguments, out) } else { compare(arguments, out) }
}

/// Which rate each cell learns best with.
fn search_rates(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let trainings = train_all(&arguments.jobs(), arguments.threads)?;
    write!(out, "{}\n{}\n\n", search::table(&trainings), search::LEGEND)?;
    write!(out, "{}\n{}\n", search::details(&trainings), report::LEGEND)?;
    Ok(())
}

/// Which cell learns what, in how many steps, with a picture.
fn compare(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = &arguments.out;
    fs::create_dir_all(folder).map_err(|error| format!("cannot create the folder {}: {error}", folder.display()))?;
    let picture = folder.join("long_dependencies.svg");
    // An error that would otherwise stop the program after minutes of training.
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&picture)
        .map_err(|error| format!("cannot write {}: {error}", picture.display()))?;
    let train = if arguments.long { train_while_learnt } else { train_all };
    let trainings = train(&arguments.jobs(), arguments.threads)?;
    let repeats = Repeats::gather(&trainings);
    let svg = picture::draw(&repeats)?;
    fs::write(&picture, svg).map_err(|error| format!("cannot write {}: {error}", picture.display()))?;
    write!(out, "{}\n{}\n", report::table(&repeats), report::LEGEND)?;
    for line in report::results(&repeats) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "curves in {}", picture.display())?;
    Ok(())
}

/// Trains the jobs from the smallest length to the greatest. A cell that has learnt a task with no seed is not trained at
/// the next length.
fn train_while_learnt(jobs: &[Job], threads: usize) -> Result<Vec<Training>, Box<dyn Error>> {
    let is_alike = |a: &Job, b: &Job| (a.problem.task, a.cell) == (b.problem.task, b.cell);
    let mut lengths = distinct(jobs.iter().map(|job| job.problem.length));
    lengths.sort_unstable();
    let mut trained: Vec<Training> = Vec::new();
    for length in lengths {
        let has_learnt = |job: &Job, length| {
            let is_same = |other: &Job| is_alike(job, other) && other.problem.length == length;
            trained.iter().any(|training| is_same(&training.job) && training.learnt().is_some())
        };
        let is_next = |job: &&Job| {
            let alike = jobs.iter().filter(|other| is_alike(job, other)).map(|other| other.problem.length);
            let before = alike.filter(|other| *other < length).max();
            job.problem.length == length && before.is_none_or(|before| has_learnt(job, before))
        };
        let next: Vec<Job> = jobs.iter().filter(is_next).copied().collect();
        trained.extend(train_all(&next, threads)?);
    }
    trained.sort_by_key(|training| jobs.iter().position(|job| *job == training.job));
    Ok(trained)
}

/// Trains every job, each on one of `threads` threads. The bits of a training depend on its job alone.
fn train_all(jobs: &[Job], threads: usize) -> Result<Vec<Training>, Box<dyn Error>> {
    let next = AtomicUsize::new(0);
    // A thread takes the next job when it is done with one, since they take unlike times.
    let trained = Shards::<f32>::new(threads)?.run(threads, |_, _| {
        let take = || jobs.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(take).map(cells::train).collect::<Vec<_>>()
    });
    let mut trained: Vec<_> = trained.into_iter().flatten().collect();
    trained.sort_by_key(|training| jobs.iter().position(|job| *job == training.job));
    Ok(trained)
}

/// The values without repetitions, in the order of their first places.
fn distinct<V: PartialEq>(values: impl IntoIterator<Item = V>) -> Vec<V> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}
