//! The pictures of a run and its tables.

use std::cmp::Reverse;
use std::error::Error;
use std::path::{Path, PathBuf};

use rewind_examples::files::write_whole;
use rewind_examples::plot::{self, Attention};
use rewind_examples::{History, TABLE, say, write_table};

use crate::dataset::Sentence;
use crate::evaluate::{Alignment, Tested};

const CURVES: &str = "learning_curves.svg";
const ATTENTION: &str = "attention.svg";
/// Sentences whose attention is drawn, and the most words of one.
const SHOWN: usize = 4;
const WIDEST: usize = 16;

fn table(name: &str) -> String {
    format!("translations_{name}.tsv")
}

/// Every picture and table of a run of these models, in the folder `out`.
pub(crate) fn files(out: &Path, models: &[&str]) -> Vec<PathBuf> {
    let of_models = models.iter().map(|name| table(name));
    [CURVES, ATTENTION, TABLE].map(str::to_owned).into_iter().chain(of_models).map(|name| out.join(name)).collect()
}

/// What was tested: the name of a model and its answers.
pub(crate) type Answers = (String, Tested);

/// Draws the learning curves of those models that were trained here and the attention of test sentences; writes the table of the run and
/// one of all translations.
pub(crate) fn draw(
    out: &Path,
    sentences: &[Sentence],
    answers: &[Answers],
    histories: &[History],
) -> Result<(), Box<dyn Error>> {
    let count = sentences.len();
    let of_run = |name: &str| histories.iter().any(|history| history.name == name);
    let tested: Vec<_> = (answers.iter())
        .filter(|(name, _)| !of_run(name))
        .map(|(name, tested)| (name.as_str(), [tested.loss, tested.exact]))
        .collect();
    if !histories.is_empty() {
        plot::learning_curves(&out.join(CURVES), &format!("{count} sentences in the test part"), histories)?;
    }
    write_table(out, &tested, histories)?;
    for (name, tested) in answers {
        let rows = sentences.iter().zip(&tested.answers).zip(&tested.is_right).map(|((sentence, answer), right)| {
            let right = if *right { "right" } else { "wrong" };
            format!("{right}\t{}\t{}\t{}\n", sentence.source, answer.text, sentence.targets.join("\t"))
        });
        write_whole(&out.join(table(name)), rows.collect::<String>().as_bytes())?;
        let panels: Vec<_> = shown(tested).into_iter().map(panel).collect();
        if !panels.is_empty() {
            let note = "each row: where the decoder looks before it writes that word";
            plot::attention(&out.join(ATTENTION), "Attention", note, &panels)?;
        }
    }
    say(format!("pictures and tables in {}", out.display()));
    Ok(())
}

/// Of the right translations that fit, those whose attention goes back most often, and the longest.
fn shown(tested: &Tested) -> Vec<&Alignment> {
    let size = |alignment: &Alignment| alignment.source.len().max(alignment.target.len());
    let right = tested.answers.iter().zip(&tested.is_right).filter(|(_, right)| **right);
    let fitting = right.filter_map(|(answer, _)| answer.alignment.as_ref()).filter(|own| size(own) <= WIDEST);
    let mut fitting: Vec<_> = fitting.collect();
    // Stable: of equals, the first in the file.
    fitting.sort_by_key(|alignment| Reverse((returns(alignment), size(alignment))));
    let longest = fitting.split_off(fitting.len().min(SHOWN / 2));
    let mut longest: Vec<_> = longest.into_iter().rev().collect();
    longest.sort_by_key(|alignment| Reverse(size(alignment)));
    fitting.extend(longest.into_iter().take(SHOWN / 2));
    fitting
}

/// How often the position that the decoder looks at most lies before that of the word before.
fn returns(alignment: &Alignment) -> usize {
    let most = |weights: &Vec<f32>| (0..weights.len()).reduce(|a, b| if weights[b] > weights[a] { b } else { a });
    let places: Vec<_> = alignment.weights.iter().map(most).collect();
    places.windows(2).filter(|pair| pair[1] < pair[0]).count()
}

fn panel(alignment: &Alignment) -> Attention<'_> {
    Attention { source: &alignment.source, target: &alignment.target, weights: &alignment.weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attention_that_goes_back_is_counted() {
        let of = |places: &[usize]| {
            let row = |&place: &usize| (0..4).map(|s| if s == place { 0.7 } else { 0.1 }).collect();
            let words = |count: usize| vec![String::new(); count];
            returns(&Alignment {
                source: words(4),
                target: words(places.len()),
                weights: places.iter().map(row).collect(),
            })
        };
        assert_eq!([of(&[0, 1, 1, 3]), of(&[3, 0, 2, 1]), of(&[])], [0, 2, 0]);
    }
}
