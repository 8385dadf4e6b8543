//! The genre of scores: which of three styles is this music in, from its notes alone?
//!
//! A score is a sequence of varying length, one vector for every sixteenth note; a recurrent network reads it and its
//! last output (or the mean of all) answers. Beside it runs a baseline that only counts pitch classes.
//!
//! `cargo run --release --example music_genre` composes its own scores; `--data DIR` reads MIDI files.

mod arguments;
mod baseline;
mod compose;
mod corpus;
mod dataset;
mod evaluate;
mod files;
mod midi;
mod model;
mod plot;
mod progress;
mod recipe;
mod saved;
mod score;
#[cfg(test)]
mod tests;
mod train;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::OnTape;
use rewind_rnn::Shards;

use arguments::Arguments;
use dataset::{Dataset, Piece};
use evaluate::Answers;
use model::{CellKind, Classifier, Sizes};
use plot::{Confusion, GradientNorms, LearningCurve};
use recipe::Recipe;
use saved::Saved;

/// Scores that are composed, and how many of them are for testing.
const COMPOSED: usize = 500;
const COMPOSED_TEST: usize = 100;

/// The longest piece whose gradient is drawn step by step, in steps.
const GRADIENT_STEPS: usize = 256;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    // What would stop the program after minutes of training stops it now.
    prepare_folder(&arguments.out)?;
    if let Some(folder) = arguments.save.as_deref().and_then(Path::parent) {
        prepare_folder(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?;
    }
    let shards = Shards::new(arguments.threads)?;
    let (train, test) = scores(arguments)?;
    describe(&train, &test);

    let mut results = Vec::new();
    let mut pictures = Pictures::new(&test);
    if let Some(path) = &arguments.load {
        let saved = Saved::load(path, &test.classes)?;
        let answers = evaluate::answer(&saved.model, &test, saved.max_steps, saved.encoding, &shards)?;
        pictures.add(saved.kind.name(), None, &answers, &saved)?;
        results.push((saved.kind.name(), answers));
    } else {
        results.push(("baseline", baseline::baseline(&train, &test)?));
        let kinds = arguments.cell.map_or(CellKind::value_variants().to_vec(), |kind| vec![kind]);
        for kind in kinds {
            let (saved, curve, answers) = train_one(kind, arguments, [&train, &test], &shards)?;
            if let Some(path) = &arguments.save {
                saved.save(path, &test.classes)?;
            }
            pictures.add(kind.name(), Some(curve), &answers, &saved)?;
            results.push((kind.name(), answers));
        }
    }
    pictures.draw(&arguments.out)?;
    for (name, answers) in &results {
        println!("{name} test accuracy {:.3} (n={})", answers.accuracy(), answers.truth.len());
    }
    Ok(())
}

/// The training part and the test part.
fn scores(arguments: &Arguments) -> Result<(Dataset, Dataset), Box<dyn Error>> {
    let classes = arguments.classes.as_deref();
    let read = |folder: &Path| -> Result<Dataset, Box<dyn Error>> {
        let corpus = corpus::read_folder(folder, classes)?;
        for file in &corpus.broken {
            eprintln!("left out: {file}");
        }
        if !corpus.broken.is_empty() {
            eprintln!("{} broken files of {} left out", corpus.broken.len(), folder.display());
        }
        for line in midi::summary(corpus.odd.iter().map(|(path, oddities)| (path.as_path(), oddities))) {
            eprintln!("odd, but read: {line}");
        }
        Ok(corpus.dataset)
    };
    match (&arguments.data, &arguments.test) {
        (Some(data), Some(test)) => {
            let (data, test) = (read(data)?, read(test)?);
            if data.classes != test.classes {
                let [data, test] = [&data, &test].map(|d| d.classes.join(", "));
                return Err(format!("the classes of --data ({data}) are not those of --test ({test})").into());
            }
            Ok((data, test))
        }
        (Some(data), None) => {
            let all = read(data)?;
            let test_count = (all.pieces.len() / 5).max(1);
            if all.pieces.len() < 2 {
                return Err(format!("{} holds one score; expected one to train and one to test", data.display()).into());
            }
            Ok(all.split(test_count, arguments.seed))
        }
        (None, Some(test)) if arguments.load.is_some() => {
            let test = read(test)?;
            Ok((Dataset { classes: test.classes.clone(), pieces: Vec::new() }, test))
        }
        (None, Some(_)) => {
            Err("--test needs scores to train on: --data DIR, or a network that was saved: --load FILE".into())
        }
        (None, None) => {
            let all = compose::compose_dataset(COMPOSED, arguments.seed);
            if let Some(folder) = &arguments.write_midi {
                prepare_folder(folder)?;
                for piece in &all.pieces {
                    piece.score.write_midi(&folder.join(format!("{}.mid", piece.score.name())))?;
                }
                eprintln!("{} scores written to {}", all.pieces.len(), folder.display());
            }
            Ok(all.split(COMPOSED_TEST, arguments.seed))
        }
    }
}

fn describe(train: &Dataset, test: &Dataset) {
    for (name, data) in [("train", train), ("test", test)] {
        let Some((shortest, longest)) = data
            .pieces
            .iter()
            .map(|piece| (piece.score.steps(), piece.score.steps()))
            .reduce(|(a, b), (c, d)| (a.min(c), b.max(d)))
        else {
            continue;
        };
        let counts: Vec<_> =
            data.classes.iter().zip(data.class_counts()).map(|(class, count)| format!("{count} {class}")).collect();
        eprintln!("{name}: {} ({shortest} to {longest} steps)", counts.join(", "));
    }
}

fn train_one(
    kind: CellKind,
    arguments: &Arguments,
    [train, test]: [&Dataset; 2],
    shards: &Shards<f32>,
) -> Result<(Saved, LearningCurve, Answers), Box<dyn Error>> {
    let recipe = Recipe::new(kind, arguments);
    let sizes = Sizes { inputs: recipe.encoding.width(), hidden: recipe.hidden, classes: train.classes.len() };
    let mut rng = ChaCha8Rng::seed_from_u64(arguments.seed);
    let mut model = Classifier::new(kind, sizes, recipe.gain, recipe.read_out, &mut rng);
    eprintln!("{}: {} parameters", kind.name(), model.parameter_count());
    let (curve, answers) = train::train(kind.name(), &mut model, [train, test], &recipe, arguments.seed, shards)?;
    let saved = Saved { model, kind, encoding: recipe.encoding, max_steps: recipe.max_steps };
    Ok((saved, curve, answers))
}

/// Makes the folder if need be, and sees that a file can be written there.
fn prepare_folder(folder: &Path) -> Result<(), String> {
    let explain = |error| format!("cannot write to the folder {}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(explain)?;
    let probe = folder.join(format!(".{}.probe", std::process::id()));
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(explain)
}

/// What is collected for the pictures.
struct Pictures<'a> {
    test: &'a Dataset,
    /// The test piece whose gradients are drawn: the longest that fits, or the start of the first one.
    piece: Piece,
    curves: Vec<LearningCurve>,
    norms: Vec<GradientNorms>,
    confusions: Vec<(String, Confusion)>,
}

impl<'a> Pictures<'a> {
    fn new(test: &'a Dataset) -> Self {
        let fitting = test.pieces.iter().filter(|piece| (1..=GRADIENT_STEPS).contains(&piece.score.steps()));
        let chosen = fitting.max_by_key(|piece| piece.score.steps()).unwrap_or(&test.pieces[0]);
        let piece = Piece { score: chosen.score.window(0, GRADIENT_STEPS), class: chosen.class };
        Pictures { test, piece, curves: Vec::new(), norms: Vec::new(), confusions: Vec::new() }
    }

    fn add(
        &mut self,
        name: &str,
        curve: Option<LearningCurve>,
        answers: &Answers,
        saved: &Saved,
    ) -> Result<(), Box<dyn Error>> {
        let Piece { score, class } = &self.piece;
        let norms = evaluate::gradient_norms(&saved.model, score, *class, saved.encoding)?;
        self.norms.push(GradientNorms { name: name.to_owned(), norms });
        self.curves.extend(curve);
        let confusion = Confusion::new(self.test.classes.clone(), &answers.truth, &answers.classes());
        self.confusions.push((name.to_owned(), confusion));
        Ok(())
    }

    fn draw(&self, out: &Path) -> Result<(), Box<dyn Error>> {
        if !self.curves.is_empty() {
            let note = format!("{} pieces in the test part", self.test.pieces.len());
            plot::learning_curves(&out.join("learning_curves.png"), &note, &self.curves)?;
        }
        let (name, steps) = (self.piece.score.name(), self.piece.score.steps());
        let note = format!("{name} ({}), {steps} steps, after training", self.test.classes[self.piece.class]);
        plot::gradient_norms(&out.join("gradient_norms.png"), &note, &self.norms)?;
        for (name, confusion) in &self.confusions {
            let note = "pieces of the test part; a piece's class is the mean over its excerpts";
            plot::confusion_matrix(&out.join(format!("confusion_{name}.png")), name, note, confusion)?;
        }
        eprintln!("pictures in {}", out.display());
        Ok(())
    }
}
