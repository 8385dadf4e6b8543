//! The pictures of a run and its tables.

use std::error::Error;
use std::path::{Path, PathBuf};

use rewind_examples::files::write_whole;
use rewind_examples::plot::{self, Exhibit};
use rewind_examples::{History, TABLE, say, write_table};

use crate::dataset::Item;
use crate::evaluate::Tested;

const CURVES: &str = "learning_curves.svg";
/// Images that a gallery shows.
const SHOWN: usize = 12;
/// The letters of a line under an image.
const LINE: usize = 36;

fn gallery(name: &str) -> String {
    format!("captions_{name}.svg")
}

fn table(name: &str) -> String {
    format!("captions_{name}.tsv")
}

/// Every picture and table of a run of these models, in the folder `out`.
pub(crate) fn files(out: &Path, models: &[&str]) -> Vec<PathBuf> {
    let of_models = models.iter().flat_map(|name| [gallery(name), table(name)]);
    [CURVES, TABLE].map(str::to_owned).into_iter().chain(of_models).map(|name| out.join(name)).collect()
}

/// What was tested: the name of a model and what it said.
pub(crate) type Answer = (String, Tested);

/// Draws the learning curves of those models that were trained here, and for each model images with what it says; writes
/// the table of the run and one of all that is said.
pub(crate) fn draw(
    out: &Path,
    items: &[Item],
    answers: &[Answer],
    histories: &[History],
) -> Result<(), Box<dyn Error>> {
    let count = items.len();
    if histories.is_empty() {
        let tested: Vec<_> = answers.iter().map(|(name, said)| (name.as_str(), [said.loss, said.exact()])).collect();
        write_table(out, &tested, &[])?;
    } else {
        plot::learning_curves(&out.join(CURVES), &format!("{count} images in the test part"), histories)?;
        write_table(out, &[], histories)?;
    }
    for (name, tested) in answers {
        // As many mistakes as right answers, as far as there are.
        let of = |wanted: bool| (0..count).filter(move |&i| tested.is_right[i] == wanted);
        let half = (SHOWN / 2).max(SHOWN.saturating_sub(of(true).count()));
        let mut shown: Vec<_> = of(false).take(half).collect();
        shown.extend(of(true).take(SHOWN - shown.len()));
        let exhibits: Vec<_> = shown.iter().map(|&i| exhibit(&items[i], tested, i)).collect();
        let wrong = of(false).count();
        let note = format!("{wrong} of {count} captions are wrong, the first of them in red");
        plot::gallery(&out.join(gallery(name)), &format!("What {name} says"), &note, 3, &exhibits)?;
        let rows = items.iter().zip(&tested.said).zip(&tested.is_right);
        let row = |((item, said), right): ((&Item, &String), &bool)| {
            format!("{}\t{said}\t{}\n", if *right { "right" } else { "wrong" }, item.captions.join("\t"))
        };
        write_whole(&out.join(table(name)), rows.map(row).collect::<String>().as_bytes())?;
    }
    say(format!("pictures in {}", out.display()));
    Ok(())
}

/// An image with what a model says of it.
fn exhibit<'a>(item: &'a Item, tested: &Tested, place: usize) -> Exhibit<'a> {
    Exhibit { image: &item.image, lines: lines(&tested.said[place]), is_right: tested.is_right[place] }
}

/// A text in lines of [`LINE`] letters at most, unless a word is longer.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= LINE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let long = "x".repeat(50);
        let text = format!("a red circle left of a blue square {long} y");
        assert_eq!(lines(&text), ["a red circle left of a blue square", long.as_str(), "y"]);
        assert_eq!(lines(""), [""]);
    }
}
