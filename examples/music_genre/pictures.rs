//! The pictures of a run: their data and their files.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rewind_autograd::Tensor;
use rewind_examples::plot::{self, Confusion, GradientNorms};
use rewind_examples::{Answers, History, TABLE, say, write_table};

use crate::dataset::{Dataset, Piece};
use crate::evaluate;
use crate::model::Classifier;
use rewind_examples::CellKind;

/// The longest piece whose gradient is drawn step by step, in steps.
const GRADIENT_STEPS: usize = 256;

/// What a time step is.
pub(crate) const TIME_STEP: &str = "sixteenth notes";

const CURVES: &str = "learning_curves.svg";
const GRADIENTS: &str = "gradient_norms.svg";

fn confusion(name: &str) -> String {
    format!("confusion_{name}.svg")
}

/// Every picture and table that a run may write into the folder `out`.
pub(crate) fn files(out: &Path) -> impl Iterator<Item = PathBuf> {
    let kinds = CellKind::value_variants().iter().map(|kind| confusion(kind.name()));
    [CURVES, GRADIENTS, TABLE].map(str::to_owned).into_iter().chain(kinds).map(|name| out.join(name))
}

/// The data of the pictures.
pub(crate) struct Pictures<'a> {
    test: &'a Dataset,
    /// The test piece whose gradients are drawn: the longest that fits, or the start of the first one.
    piece: Piece,
    curves: Vec<History>,
    /// What was tested without training here, with loss and accuracy.
    tested: Vec<(&'static str, [f64; 2])>,
    norms: Vec<GradientNorms>,
    confusions: Vec<(String, Confusion)>,
}

impl<'a> Pictures<'a> {
    pub(crate) fn new(test: &'a Dataset) -> Self {
        let fitting = test.pieces.iter().filter(|piece| (1..=GRADIENT_STEPS).contains(&piece.score.steps()));
        let chosen = fitting.max_by_key(|piece| piece.score.steps()).unwrap_or(&test.pieces[0]);
        let piece = Piece { score: chosen.score.window(0, GRADIENT_STEPS), class: chosen.class };
        Pictures { test, piece, curves: Vec::new(), tested: Vec::new(), norms: Vec::new(), confusions: Vec::new() }
    }

    /// Adds what is only in the table.
    pub(crate) fn add_figures(&mut self, name: &'static str, answers: &Answers) {
        self.tested.push((name, [answers.loss(), answers.accuracy()]));
    }

    pub(crate) fn add(
        &mut self,
        model: &Classifier<Tensor<f32>>,
        curve: Option<History>,
        answers: &Answers,
    ) -> Result<(), Box<dyn Error>> {
        let name = model.design.kind.name();
        let norms = evaluate::gradient_norms(model, &self.piece.score, self.piece.class)?;
        self.norms.push(GradientNorms { name: name.to_owned(), norms });
        match curve {
            Some(curve) => self.curves.push(curve),
            None => self.add_figures(name, answers),
        }
        let matrix = Confusion::new(self.test.classes.clone(), &answers.truth, &answers.classes());
        self.confusions.push((name.to_owned(), matrix));
        Ok(())
    }

    pub(crate) fn draw(&self, out: &Path) -> Result<(), Box<dyn Error>> {
        if !self.curves.is_empty() {
            let note = format!("{} pieces in the test part", self.test.pieces.len());
            plot::learning_curves(&out.join(CURVES), &note, &self.curves)?;
        }
        write_table(out, &self.tested, &self.curves)?;
        let (name, steps) = (self.piece.score.name(), self.piece.score.steps());
        let note = format!("{name} ({}), {steps} steps, after training", self.test.classes[self.piece.class]);
        plot::gradient_norms(&out.join(GRADIENTS), &note, TIME_STEP, &self.norms)?;
        for (name, matrix) in &self.confusions {
            let note = "pieces of the test part; the answer for a piece is the geometric mean over its excerpts";
            plot::confusion_matrix(&out.join(confusion(name)), name, note, matrix)?;
        }
        say(format!("pictures in {}", out.display()));
        Ok(())
    }
}
