//! The pictures of a run and its table.

use std::error::Error;
use std::path::{Path, PathBuf};

use rewind_examples::plot::{self, Confusion, Exhibit};
use rewind_examples::{Answers, History, TABLE, say, write_table};

use crate::dataset::Dataset;

const CURVES: &str = "learning_curves.svg";
/// Images that a gallery shows: of the mistakes, and as many as are left.
const SHOWN: usize = 32;

fn confusion(name: &str) -> String {
    format!("confusion_{name}.svg")
}

fn gallery(name: &str) -> String {
    format!("answers_{name}.svg")
}

/// Every picture and table of a run of these models, in the folder `out`.
pub(crate) fn files(out: &Path, models: &[&str]) -> Vec<PathBuf> {
    let of_models = models.iter().flat_map(|name| [confusion(name), gallery(name)]);
    [CURVES, TABLE].map(str::to_owned).into_iter().chain(of_models).map(|name| out.join(name)).collect()
}

/// The data of the pictures.
pub(crate) struct Pictures<'a> {
    test: &'a Dataset,
    curves: Vec<History>,
    /// What was tested without training here, with loss and accuracy.
    tested: Vec<(String, [f64; 2])>,
    answers: Vec<(String, Answers)>,
}

impl<'a> Pictures<'a> {
    pub(crate) fn new(test: &'a Dataset) -> Self {
        Pictures { test, curves: Vec::new(), tested: Vec::new(), answers: Vec::new() }
    }

    /// Adds what was not trained here.
    pub(crate) fn add_figures(&mut self, name: &str, answers: &Answers) {
        self.tested.push((name.to_owned(), [answers.loss(), answers.accuracy()]));
        self.answers.push((name.to_owned(), answers.clone()));
    }

    /// Adds a model that was trained.
    pub(crate) fn add(&mut self, history: History, answers: &Answers) {
        self.answers.push((history.name.clone(), answers.clone()));
        self.curves.push(history);
    }

    pub(crate) fn draw(&self, out: &Path) -> Result<(), Box<dyn Error>> {
        let count = self.test.items.len();
        if !self.curves.is_empty() {
            plot::learning_curves(&out.join(CURVES), &format!("{count} images in the test part"), &self.curves)?;
        }
        let tested: Vec<_> = self.tested.iter().map(|(name, figures)| (name.as_str(), *figures)).collect();
        write_table(out, &tested, &self.curves)?;
        for (name, answers) in self.answers.iter().filter(|(name, _)| name != "baseline") {
            let said = answers.classes();
            let matrix = Confusion::new(self.test.classes.clone(), &answers.truth, &said);
            plot::confusion_matrix(&out.join(confusion(name)), name, "images of the test part", &matrix)?;
            let wrong = (0..count).filter(|&i| said[i] != answers.truth[i]);
            let right = (0..count).filter(|&i| said[i] == answers.truth[i]);
            let shown: Vec<_> = wrong.chain(right).take(SHOWN).collect();
            let exhibits: Vec<_> = shown.iter().map(|&i| self.exhibit(i, said[i], answers)).collect();
            let mistakes = count - matrix.right();
            let note = format!("{mistakes} of {count} answers are wrong; the first of them come first, in red");
            plot::gallery(&out.join(gallery(name)), &format!("What {name} says"), &note, 8, &exhibits)?;
        }
        say(format!("pictures in {}", out.display()));
        Ok(())
    }

    /// A test image with what a model says of it.
    fn exhibit(&self, place: usize, said: usize, answers: &Answers) -> Exhibit<'a> {
        let (image, class) = &self.test.items[place];
        let p = answers.probabilities.at(&[place, said]);
        let name = |class: usize| &self.test.classes[class];
        let is_right = said == *class;
        let truth = if is_right { String::new() } else { format!("is {}", name(*class)) };
        Exhibit { image, lines: vec![format!("{} ({p:.2})", name(said)), truth], is_right }
    }
}
