//! The long-dependency tasks of the literature: which cell learns which length, and in how many steps?
//!
//! The adding problem and temporal order (Hochreiter and Schmidhuber 1997), and copy memory (Arjovsky et al. 2016). Each
//! network is one recurrent layer and a linear readout. docs/long_dependencies.md explains what one sees.
//!
//! `cargo run --release --example 08_long_dependencies` takes less than a minute, with `--long` much longer.

mod arguments;
mod cells;
mod picture;
mod report;
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

/// Does what the command line asks for; the table and the results go to `out`.
fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = &arguments.out;
    fs::create_dir_all(folder).map_err(|error| format!("cannot create the folder {}: {error}", folder.display()))?;
    let picture = folder.join("long_dependencies.svg");
    // An error that would otherwise stop the program after minutes of training.
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&picture)
        .map_err(|error| format!("cannot write {}: {error}", picture.display()))?;
    let trainings = train_all(&arguments.jobs(), arguments.threads)?;
    let svg = picture::draw(&trainings)?;
    fs::write(&picture, svg).map_err(|error| format!("cannot write {}: {error}", picture.display()))?;
    write!(out, "{}", report::table(&trainings))?;
    writeln!(out, "\n{}", report::LEGEND)?;
    for line in report::results(&trainings) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "curves in {}", picture.display())?;
    Ok(())
}

/// Trains every job, each on one of `threads` threads. The bits of a training depend on its job alone.
fn train_all(jobs: &[Job], threads: usize) -> Result<Vec<Training>, Box<dyn Error>> {
    let next = AtomicUsize::new(0);
    // A thread takes the next job when it is done with one, since they take unlike times.
    let trained = Shards::<f32>::new(threads)?.run(threads, |_, _| {
        let take = || jobs.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(take).map(|job| (job, cells::train(job))).collect::<Vec<_>>()
    });
    let mut trained: Vec<_> = trained.into_iter().flatten().collect();
    trained.sort_by_key(|(job, _)| jobs.iter().position(|other| other == *job));
    Ok(trained.into_iter().map(|(_, training)| training).collect())
}
