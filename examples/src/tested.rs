//! What a classifier of labelled items leaves in its folder after the test: pictures and the table.

use std::error::Error;
use std::path::Path;
use std::slice;

use crate::labelled::Labelled;
use crate::plot::{Confusion, confusion_matrix, learning_curves};
use crate::{Answers, History, say, write_table};

/// The file of the learning curves.
pub const CURVES: &str = "learning_curves.svg";
/// The file of the confusion matrix.
pub const CONFUSION: &str = "confusion.svg";

/// Draws the learning curves, if the model was trained now, and its confusion matrix, and writes the table with its baselines. The items are
/// called `what`, such as `texts`.
///
/// # Errors
/// If a file cannot be written.
pub fn draw<X>(
    folder: &Path,
    what: &str,
    test: &Labelled<X>,
    history: Option<&History>,
    baselines: &[(&str, Answers)],
    (name, answers): (&str, &Answers),
) -> Result<(), Box<dyn Error>> {
    let figures = |answers: &Answers| [answers.loss(), answers.accuracy()];
    let mut tested: Vec<_> = baselines.iter().map(|(name, answers)| (*name, figures(answers))).collect();
    match history {
        Some(history) => {
            let known: Vec<_> = baselines.iter().map(|(name, a)| format!("{name} {:.3}", a.accuracy())).collect();
            let note = format!("{} {what} in the test part; {}", test.items.len(), known.join(", "));
            learning_curves(&folder.join(CURVES), &note, slice::from_ref(history))?;
        }
        None => tested.push((name, figures(answers))),
    }
    let matrix = Confusion::new(test.classes.clone(), &answers.truth, &answers.classes());
    confusion_matrix(&folder.join(CONFUSION), name, &format!("{what} of the test part"), &matrix)?;
    write_table(folder, &tested, history.map_or(&[], slice::from_ref))?;
    say(format!("pictures and table in {}", folder.display()));
    Ok(())
}
