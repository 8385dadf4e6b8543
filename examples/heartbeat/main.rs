//! Classifies heartbeats: which rhythm does this strip of an electrocardiogram show?
//!
//! A recurrent network reads a series of values, and its last output (or the mean of all) is the answer (many to one). Two
//! baselines without memory compare values at the same place: a linear model and the nearest neighbour.
//!
//! `cargo run --release --example heartbeat` makes its own strips; `--data FILE` reads labelled series.

mod arguments;
mod baseline;
mod ecg;
mod model;
mod recipe;
mod saved;
mod series;
#[cfg(test)]
mod tests;
mod train;

use std::cell::Cell;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::files::prepare_file;
use rewind_examples::labelled::{Labelled, Source};
use rewind_examples::plot::probabilities;
use rewind_examples::tested::{CONFUSION, CURVES, draw};
use rewind_examples::{Answers, CommandLine, Interrupt, Metric, Run, TABLE, Task, report, say};
use rewind_rnn::Shards;

use arguments::Arguments;
use model::Classifier;
use recipe::Recipe;
use saved::Saved;

const OVER_TIME: &str = "over_time.svg";
/// The most steps of a series that are drawn: the network reads its beginning once for each.
const DRAWN: usize = 400;

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut io::stdout()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let run = &line.arguments.run;
    for name in [CURVES, CONFUSION, OVER_TIME, TABLE] {
        prepare_file(&line.arguments.out().join(name))?;
    }
    let threads = run.threads;
    let shards = Shards::new(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match &run.load {
        None => learn(line, interrupt, &shards, out),
        Some(path) => test_loaded(path, &line.arguments, &shards, out),
    }
}

/// Trains and tests a classifier, beside the baselines.
fn learn(
    line: &CommandLine<Arguments>,
    interrupt: &Interrupt,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let arguments = &line.arguments;
    let (name, folder) = (arguments.cell.name(), arguments.out());
    let file = line.run_files(&[name], &folder, "there is one")?.remove(0);
    prepare_file(&file.path)?;
    let source = Source::named(&arguments.run);
    let [train, test] = read(&source, None, None)?;
    say(format!("train: {}; test: {}; {} values each", train.summary(), test.summary(), train.items[0].len()));
    let baselines = [("baseline", baseline::linear(&train, &test)?), ("nearest", baseline::nearest(&train, &test))];

    let recipe = Recipe::new(arguments, train.items[0].len(), train.classes.len());
    let model = Classifier::new(recipe.design, &mut ChaCha8Rng::seed_from_u64(source.seed));
    let (parameters, steps) = (model.parameter_count(), recipe.design.values.div_ceil(recipe.design.per_step));
    model.cells.require_memory(name, parameters, [steps, recipe.batch])?;
    say(format!("{name}: {parameters} parameters"));
    let mut saved = Saved { model, classes: train.classes.clone(), source };
    let metadata = saved.metadata().into_iter().chain(line.metadata(name)).collect();
    let mut run = Run::new(name, Metric::Accuracy, saved.source.seed, &file.path, metadata, interrupt.clone());
    let answers = train::train(&mut saved.model, [&train, &test], &recipe, &mut run, file.from.as_deref(), shards)?;
    say(format!("saved to {}", file.path.display()));
    draw(&folder, "series", &test, Some(&run.history), &baselines, (name, &answers))?;
    draw_over_time(&folder, &saved, &test, shards)?;
    let mut figures: Vec<_> = baselines.iter().map(|(name, answers)| answers.figure(name)).collect();
    figures.push(answers.figure(name));
    report(&figures, out)
}

/// Tests a classifier that was saved.
fn test_loaded(
    path: &Path,
    arguments: &Arguments,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let saved = Saved::load(path)?;
    let source = saved.source.for_loaded(&arguments.run);
    say(format!("{} is tested on {source}", path.display()));
    let [_, test] = read(&source, Some(&saved.classes), Some(saved.model.design.values))?;
    if test.classes != saved.classes {
        let [known, found] = [&saved.classes, &test.classes].map(|classes| classes.join(", "));
        return Err(format!("{} tells {known} apart; the series are {found}", path.display()).into());
    }
    let (found, expected) = (test.items[0].len(), saved.model.design.values);
    if found != expected {
        return Err(format!("{} reads series of {expected} values; these have {found}", path.display()).into());
    }
    say(format!("test: {}", test.summary()));
    let name = saved.model.design.kind.name();
    let answers = answer(&saved.model, &test, shards)?;
    draw(&arguments.out(), "series", &test, None, &[], (name, &answers))?;
    draw_over_time(&arguments.out(), &saved, &test, shards)?;
    report(&[answers.figure(name)], out)
}

/// The training part and the test part, normalised. All series must have as many values as `values`, or as the first.
fn read(
    source: &Source,
    classes: Option<&[String]>,
    values: Option<usize>,
) -> Result<[Labelled<Vec<f32>>; 2], Box<dyn Error>> {
    let length = Cell::new(values);
    source.parts(classes, |text| series::parse(text, &length), ecg::make)
}

/// The answers of a classifier for normalised series.
fn answer(
    model: &Classifier<Tensor<f32>>,
    test: &Labelled<Vec<f32>>,
    shards: &Shards<f32>,
) -> rewind_rnn::Result<Answers> {
    let rows: Vec<_> = test.items.iter().map(|values| series::steps(values, model.design.per_step)).collect();
    answers_for(model, &rows, &test.labels, shards)
}

fn answers_for(
    model: &Classifier<Tensor<f32>>,
    rows: &[Tensor<f32>],
    truth: &[usize],
    shards: &Shards<f32>,
) -> rewind_rnn::Result<Answers> {
    Answers::for_sequences(rows, truth, shards, |batch| {
        let quiet = Tape::quiet();
        let x = quiet.constant(batch.data().clone());
        model.on(&quiet).logits(x, batch.lengths(), None).softmax(1).value()
    })
}

/// Draws how the answer for a test series changes from step to step: the last one of the class in the middle.
fn draw_over_time(
    folder: &Path,
    saved: &Saved,
    test: &Labelled<Vec<f32>>,
    shards: &Shards<f32>,
) -> Result<(), Box<dyn Error>> {
    let middle = saved.classes.len() / 2;
    let place = test.labels.iter().rposition(|&label| label == middle).unwrap_or(test.labels.len() - 1);
    let (values, label, per_step) = (&test.items[place], test.labels[place], saved.model.design.per_step);
    let whole = series::steps(values, per_step);
    let starts: Vec<_> = (1..=whole.shape()[0].min(DRAWN)).map(|steps| whole.slice(0, 0..steps)).collect();
    let rows = answers_for(&saved.model, &starts, &vec![label; starts.len()], shards)?.probabilities.to_vec();
    let moments: Vec<_> = rows.chunks_exact(saved.classes.len()).collect();
    let (name, class) = (saved.model.design.kind.name(), &saved.classes[label]);
    let note = format!("by {name}; the class is {class}; {per_step} values a step");
    let title = format!("series {} of the test part", place + 1);
    probabilities(&folder.join(OVER_TIME), &title, &note, "steps", &saved.classes, &[moments])?;
    Ok(())
}
