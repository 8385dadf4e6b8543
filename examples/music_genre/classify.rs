//! Classifies single files with a saved network: the probability of each class, for the whole score and over time.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;

use rewind_examples::files::{prepare_file, write_whole};
use rewind_examples::{Task, plot, say, unwritable};
use rewind_rnn::Shards;

use crate::arguments::Arguments;
use crate::dataset::{Dataset, Piece};
use crate::evaluate::{self, Moment};
use crate::memory::require_for_testing;
use crate::midi;
use crate::pictures::TIME_STEP;
use crate::saved::Saved;

/// Writes a line for each file of `--classify` to `out`, the most probable class first, and into the folder `--out` a
/// table and a picture of how the probabilities change from step to step.
///
/// # Errors
///
/// If results cannot be written; and, when all others are done, if a file could not be read.
pub(crate) fn classify(
    arguments: &Arguments,
    saved: &Saved,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (files, folder, threads) = (&arguments.classify, arguments.out(), arguments.run.threads);
    let (mut names, mut left_out) = (BTreeSet::new(), 0);
    for path in files {
        let reading = match midi::read_file(path) {
            Ok(reading) => reading,
            Err(reason) => {
                say(format!("left out: {} {reason}", path.display()));
                left_out += 1;
                continue;
            }
        };
        for line in midi::summary([(path.as_path(), &reading.oddities)]) {
            say(format!("odd, but read: {line}"));
        }
        let score = reading.score;
        // The class is the question; the answer does not depend on this one.
        let pieces = vec![Piece { score: score.clone(), class: 0 }];
        let data = Dataset { classes: saved.classes.clone(), pieces };
        require_for_testing(saved.model.design, &data, threads)?;
        let answers = evaluate::answer(&saved.model, &data, shards)?;
        writeln!(out, "{}: {}", path.display(), told(&saved.classes, &answers.probabilities.to_vec()))
            .map_err(unwritable)?;
        let moments = evaluate::over_time(&saved.model, &score)?;
        let name = unused(score.name(), &mut names);
        let [table, picture] = ["csv", "svg"].map(|ending| folder.join(format!("classify_{name}.{ending}")));
        for file in [&table, &picture] {
            prepare_file(file)?;
        }
        write_whole(&table, as_table(&saved.classes, &moments).as_bytes())?;
        let note = format!("by {}; the network begins anew at every dashed line", saved.model.design.kind.name());
        let excerpts = moments.chunk_by(|a, b| a.excerpt == b.excerpt);
        let excerpts: Vec<Vec<_>> = excerpts.map(|part| part.iter().map(|m| &m.probabilities[..]).collect()).collect();
        plot::probabilities(&picture, score.name(), &note, TIME_STEP, &saved.classes, &excerpts)?;
        say(format!("over time: {} and {}", table.display(), picture.display()));
    }
    out.flush().map_err(unwritable)?;
    match left_out {
        0 => Ok(()),
        _ => Err(format!("{left_out} of {} files could not be classified", files.len()).into()),
    }
}

/// `blues 0.812, rock 0.150, classical 0.038`.
fn told(classes: &[String], probabilities: &[f32]) -> String {
    let mut pairs: Vec<_> = classes.iter().zip(probabilities).collect();
    pairs.sort_by(|a, b| b.1.total_cmp(a.1));
    pairs.iter().map(|(class, p)| format!("{class} {p:.3}")).collect::<Vec<_>>().join(", ")
}

/// A name that was not used before: two files of one name may lie in different folders.
fn unused(name: &str, used: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !used.contains(name)).unwrap_or_default();
    used.insert(free.clone());
    free
}

/// A row for each step: the step, the excerpt it is in (both counted from 1), and the probability of each class.
fn as_table(classes: &[String], moments: &[Moment]) -> String {
    let mut table = String::from("step,excerpt");
    for class in classes {
        // As RFC 4180 wants it.
        let is_plain = !class.contains(['"', ',', '\n', '\r']);
        let cell = if is_plain { class.clone() } else { format!("\"{}\"", class.replace('"', "\"\"")) };
        let _ = write!(table, ",{cell}");
    }
    table.push('\n');
    for (step, moment) in moments.iter().enumerate() {
        let _ = write!(table, "{},{}", step + 1, moment.excerpt + 1);
        for p in &moment.probabilities {
            let _ = write!(table, ",{p:.6}");
        }
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_class_comes_first() {
        let classes = ["blues", "rock"].map(str::to_owned);
        assert_eq!(told(&classes, &[0.25, 0.75]), "rock 0.750, blues 0.250");
    }

    #[test]
    fn names_are_used_once() {
        let mut used = BTreeSet::new();
        let names = ["a", "a", "b", "a", "a-2"].map(|name| unused(name, &mut used));
        assert_eq!(names, ["a", "a-2", "b", "a-3", "a-2-2"]);
    }

    #[test]
    fn a_table_is_readable_whatever_a_class_is_called() {
        let classes = ["plain", "with \"this\", and that"].map(str::to_owned);
        let moment = |excerpt, p: f32| Moment { excerpt, probabilities: vec![p, 1.0 - p] };
        assert_eq!(
            as_table(&classes, &[moment(0, 0.25), moment(1, 1.0)]),
            "step,excerpt,plain,\"with \"\"this\"\", and that\"\n1,1,0.250000,0.750000\n2,2,1.000000,0.000000\n"
        );
    }
}
