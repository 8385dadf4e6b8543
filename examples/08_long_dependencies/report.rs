//! The table and the results as text.

use crate::train::{Training, share};

/// How to read the table.
pub(crate) const LEGEND: &str = "a number: the training step at which 95 % of the answers to 512 fresh sequences were right;\n\
                                 -: never, and the best share";

/// A Markdown table: a row for each task and length, a column for each cell.
pub(crate) fn table(trainings: &[Training]) -> String {
    let mut cells = Vec::new();
    let mut problems = Vec::new();
    for Training { job, .. } in trainings {
        cells.extend((!cells.contains(&job.cell)).then_some(job.cell));
        problems.extend((!problems.contains(&job.problem)).then_some(job.problem));
    }
    let row = |entries: Vec<String>| format!("| {} |\n", entries.join(" | "));
    let names = cells.iter().map(|cell| cell.name().to_owned());
    let mut table = row(["task and length", "no memory"].map(str::to_owned).into_iter().chain(names).collect());
    table += &format!("|{}\n", "---|".repeat(cells.len() + 2));
    for problem in problems {
        let found = |cell| trainings.iter().find(|t| t.job.problem == problem && t.job.cell == cell);
        let entries = cells.iter().map(|&cell| found(cell).map_or(String::new(), entry));
        let (name, baseline) = (problem.task.name(), problem.baseline());
        let heads = [format!("{name} {}", problem.length), format!("{baseline:.2}")];
        table += &row(heads.into_iter().chain(entries).collect());
    }
    table
}

fn entry(training: &Training) -> String {
    match (training.learnt(), training.diverged) {
        (Some(step), _) => step.to_string(),
        (None, None) => format!("- ({:.2})", training.best()),
        (None, Some(step)) => format!("- ({:.2}, diverged at {step})", training.best()),
    }
}

/// A line for each training, on test sequences that no decision was made on.
pub(crate) fn results(trainings: &[Training]) -> Vec<String> {
    let line = |t: &Training| format!("{} test accuracy {:.3} (n={})", t.job.name(), share(t.test), t.test[1]);
    trainings.iter().map(line).collect()
}
