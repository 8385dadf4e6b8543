//! The table and the results as text.

use crate::distinct;
use crate::repeats::Repeats;
use crate::train::share;

/// How to read the table.
pub(crate) const LEGEND: &str = "a number: the training step at which 95 % of the answers to 512 fresh sequences were right, the median of the seeds;\n\
     k/n: k of n seeds learnt; -: not even the median, and the median of the best shares;\n\
     nothing: not trained, since no seed learnt the length before";

/// A Markdown table.
pub(crate) fn markdown(heads: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let line = |entries: Vec<String>| format!("| {} |\n", entries.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(heads.len()));
    [line(heads), rule].into_iter().chain(rows.into_iter().map(line)).collect()
}

/// A row for each task and length, a column for each cell.
pub(crate) fn table(repeats: &[Repeats<'_>]) -> String {
    let cells = distinct(repeats.iter().map(|r| r.job().cell));
    let problems = distinct(repeats.iter().map(|r| r.job().problem));
    let heads = ["task and length", "no memory"].into_iter().chain(cells.iter().map(|cell| cell.name()));
    let rows = problems.iter().map(|&problem| {
        let found = |cell| repeats.iter().find(|r| r.job().problem == problem && r.job().cell == cell);
        let entries = cells.iter().map(|&cell| found(cell).map_or(String::new(), entry));
        [problem.name(), format!("{:.2}", problem.baseline())].into_iter().chain(entries).collect()
    });
    markdown(heads.map(str::to_owned).collect(), rows.collect())
}

/// The median step, or the median of the best shares; and how many seeds learnt and diverged, unless all or none.
pub(crate) fn entry(repeats: &Repeats<'_>) -> String {
    let (learnt, all) = (repeats.count_learnt(), repeats.trainings().len());
    let step = repeats.learnt().map_or("-".to_owned(), |step| step.to_string());
    let count = if learnt == 0 || learnt == all { String::new() } else { format!(" {learnt}/{all}") };
    let best = if repeats.learnt().is_some() { String::new() } else { format!(" ({:.2})", repeats.best()) };
    let diverged = match repeats.count_diverged() {
        0 => String::new(),
        count => format!(", {count} diverged"),
    };
    step + &count + &best + &diverged
}

/// A line for each cell, task and length, on test sequences that no decision was made on, of all seeds together.
pub(crate) fn results(repeats: &[Repeats<'_>]) -> Vec<String> {
    let line = |r: &Repeats<'_>| format!("{} test accuracy {:.3} (n={})", r.job().name(), share(r.test()), r.test()[1]);
    repeats.iter().map(line).collect()
}
