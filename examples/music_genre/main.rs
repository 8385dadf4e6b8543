//! Classifies scores: which of three styles is this music in, from its notes alone?
//!
//! A score is a sequence of any length, one vector for each sixteenth note. A recurrent network reads it, and its last
//! output (or the mean of all outputs) is the answer. A baseline only counts pitch classes.
//!
//! `cargo run --release --example music_genre` composes its own scores; `--data DIR` reads MIDI files.

mod arguments;
mod baseline;
mod classify;
mod compose;
mod corpus;
mod dataset;
mod evaluate;
mod memory;
mod midi;
mod model;
mod pictures;
mod recipe;
mod saved;
mod score;
mod scores;
#[cfg(test)]
mod tests;
mod train;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::OnTape;
use rewind_examples::RunFile;
use rewind_examples::files::{WriteError, prepare_file};
use rewind_examples::{Answers, CommandLine, History, Interrupt, Metric, Run, Task, report, say};
use rewind_rnn::Shards;

use arguments::Arguments;
use dataset::Dataset;
use model::Classifier;
use pictures::Pictures;
use recipe::Recipe;
use rewind_examples::CellKind;
use saved::Saved;
use scores::Source;

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut io::stdout()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let arguments = &line.arguments;
    // Errors that would otherwise stop the program after minutes of training.
    for file in pictures::files(&arguments.out()) {
        prepare_file(&file)?;
    }
    let threads = arguments.run.threads;
    let shards = Shards::new(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match &arguments.run.load {
        Some(path) => use_loaded(path, arguments, &shards, out),
        None => compare(line, interrupt, &shards, out),
    }
}

/// Trains and tests what the command line names, beside the baseline.
fn compare(
    line: &CommandLine<Arguments>,
    interrupt: &Interrupt,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let arguments = &line.arguments;
    let kinds = arguments.cell.map_or(CellKind::value_variants().to_vec(), |kind| vec![kind]);
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let files = line.run_files(&names, &arguments.out(), "choose one by --cell")?;
    for file in &files {
        prepare_file(&file.path)?;
    }
    let (train, test) = Source::named(arguments).read(arguments.classes.as_deref(), true)?;
    write_scores(arguments, &train, &test)?;
    describe(&train, &test);
    for &kind in &kinds {
        let recipe = Recipe::new(kind, train.classes.len(), arguments);
        memory::require_for_training(&recipe, [&train, &test], arguments.run.threads)?;
    }
    let mut pictures = Pictures::new(&test);
    let answers = baseline::baseline(&train, &test)?;
    pictures.add_figures("baseline", &answers);
    let mut figures = vec![answers.figure("baseline")];
    for (kind, file) in kinds.into_iter().zip(&files) {
        let (saved, history, answers) = train_one(kind, line, file, [&train, &test], (interrupt, shards))?;
        say(format!("saved to {}", file.path.display()));
        pictures.add(&saved.model, Some(history), &answers)?;
        figures.push(answers.figure(kind.name()));
    }
    pictures.draw(&arguments.out())?;
    report(&figures, out)
}

/// Tests a network that was saved, or classifies files with it.
fn use_loaded(
    path: &Path,
    arguments: &Arguments,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let saved = Saved::load(path)?;
    if let Some(classes) = &arguments.classes {
        saved.expect_classes(path, classes)?;
    }
    if !arguments.classify.is_empty() {
        return classify::classify(arguments, &saved, shards, out);
    }
    let source = Source::for_loaded(arguments, path, &saved);
    if arguments.write_midi.is_some() && (source.data.is_some() || source.test.is_some()) {
        return Err("--write-midi writes composed scores, and these are not".into());
    }
    let (train, test) = source.read(Some(&saved.classes), false)?;
    write_scores(arguments, &train, &test)?;
    describe(&Dataset { classes: train.classes.clone(), pieces: Vec::new() }, &test);
    let design = saved.model.design;
    memory::require_for_testing(design, &test, arguments.run.threads)?;
    let answers = evaluate::answer(&saved.model, &test, shards)?;
    let mut pictures = Pictures::new(&test);
    pictures.add(&saved.model, None, &answers)?;
    pictures.draw(&arguments.out())?;
    report(&[answers.figure(design.kind.name())], out)
}

fn write_scores(arguments: &Arguments, train: &Dataset, test: &Dataset) -> Result<(), WriteError> {
    arguments.write_midi.as_ref().map_or(Ok(()), |folder| scores::write_midi(folder, [train, test]))
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
        say(format!("{name}: {} ({shortest} to {longest} steps)", counts.join(", ")));
    }
}

fn train_one(
    kind: CellKind,
    line: &CommandLine<Arguments>,
    file: &RunFile,
    [train, test]: [&Dataset; 2],
    (interrupt, shards): (&Interrupt, &Shards<f32>),
) -> Result<(Saved, History, Answers), Box<dyn Error>> {
    let recipe = Recipe::new(kind, train.classes.len(), &line.arguments);
    let source = Source::named(&line.arguments);
    let seed = source.seed;
    let model = Classifier::new(recipe.design, recipe.gain, &mut ChaCha8Rng::seed_from_u64(seed));
    say(format!("{}: {} parameters", kind.name(), model.parameter_count()));
    let mut saved = Saved { model, classes: train.classes.clone(), source: Some(source) };
    let metadata = saved.metadata().into_iter().chain(line.metadata(kind.name())).collect();
    let mut run = Run::new(kind.name(), Metric::Accuracy, seed, &file.path, metadata, interrupt.clone());
    let start = (seed, file.from.as_deref());
    let answers = train::train(&mut saved.model, [train, test], &recipe, &mut run, start, shards)?;
    Ok((saved, run.history.clone(), answers))
}
