//! The search for the learning rate of each cell: the same rates, tasks, seeds and steps for all.

use crate::cells::CellKind;
use crate::distinct;
use crate::repeats::Repeats;
use crate::report::{entry, markdown};
use crate::train::{Job, Training};

/// The rates that are tried.
pub(crate) const RATES: [f64; 7] = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1];
/// The seeds of the search are not those of the table.
pub(crate) const SEEDS: [u64; 2] = [11, 12];

pub(crate) const LEGEND: &str = "the mean cost of a training: the steps to learn, or, of N steps without learning, N·(2 - the best share);\n\
     bold: the smallest of a cell, whose rate is chosen";

/// What a training costs: its steps until the task is learnt. If that did not happen, one to two times all steps, by the
/// best share on the way.
pub(crate) fn cost(training: &Training) -> f64 {
    match training.learnt() {
        Some(step) => step as f64,
        None => training.job.steps as f64 * (2.0 - training.best()),
    }
}

/// A Markdown table of the mean costs: a row for each cell, a column for each rate.
pub(crate) fn table(trainings: &[Training]) -> String {
    let cells = distinct(trainings.iter().map(|training| training.job.cell));
    let rates = distinct(trainings.iter().map(|training| training.job.rate));
    let mean = |cell: CellKind, rate: f64| {
        let alike = trainings.iter().filter(|training| (training.job.cell, training.job.rate) == (cell, rate));
        let costs: Vec<f64> = alike.map(cost).collect();
        costs.iter().sum::<f64>() / costs.len() as f64
    };
    let row = |&cell: &CellKind| {
        let costs: Vec<f64> = rates.iter().map(|&rate| mean(cell, rate)).collect();
        let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let entry = |cost: &f64| if *cost == least { format!("**{cost:.0}**") } else { format!("{cost:.0}") };
        [cell.name().to_owned()].into_iter().chain(costs.iter().map(entry)).collect()
    };
    let heads = ["cell".to_owned()].into_iter().chain(rates.iter().map(f64::to_string));
    markdown(heads.collect(), cells.iter().map(row).collect())
}

/// A Markdown table of what the means are taken of: a row for each cell and rate, a column for each task and length.
pub(crate) fn details(trainings: &[Training]) -> String {
    let repeats = Repeats::gather(trainings);
    let rows = distinct(repeats.iter().map(|r| (r.job().cell, r.job().rate)));
    let problems = distinct(repeats.iter().map(|r| r.job().problem));
    let row = |&(cell, rate): &(CellKind, f64)| {
        let is_here = |job: Job, problem| (job.cell, job.rate, job.problem) == (cell, rate, problem);
        let found = |problem| repeats.iter().find(|r| is_here(r.job(), problem));
        let entries = problems.iter().map(|&problem| found(problem).map_or(String::new(), entry));
        [cell.name().to_owned(), rate.to_string()].into_iter().chain(entries).collect()
    };
    let heads = ["cell", "rate"].map(str::to_owned).into_iter().chain(problems.iter().map(|problem| problem.name()));
    markdown(heads.collect(), rows.iter().map(row).collect())
}
