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
mod files;
mod memory;
mod midi;
mod model;
mod pictures;
mod plot;
mod progress;
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

use clap::{Parser, ValueEnum};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::OnTape;
use rewind_rnn::Shards;

use arguments::Arguments;
use dataset::Dataset;
use evaluate::Answers;
use files::{WriteError, prepare_file};
use model::{CellKind, Classifier};
use pictures::Pictures;
use plot::LearningCurve;
use progress::say;
use recipe::Recipe;
use saved::Saved;
use scores::Source;

fn main() -> ExitCode {
    match run(&Arguments::parse(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Does what the command line asks for; results go to `out`.
fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // Errors that would otherwise stop the program after minutes of training.
    for file in arguments.save.iter().cloned().chain(pictures::files(&arguments.out)) {
        prepare_file(&file)?;
    }
    let threads = arguments.threads;
    let shards = Shards::new(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match &arguments.load {
        Some(path) => use_loaded(path, arguments, &shards, out),
        None => compare(arguments, &shards, out),
    }
}

/// Trains and tests what the command line names, beside the baseline.
fn compare(arguments: &Arguments, shards: &Shards<f32>, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let (train, test) = Source::named(arguments).read(arguments.classes.as_deref(), true)?;
    write_scores(arguments, &train, &test)?;
    describe(&train, &test);
    let kinds = arguments.cell.map_or(CellKind::value_variants().to_vec(), |kind| vec![kind]);
    for &kind in &kinds {
        let recipe = Recipe::new(kind, train.classes.len(), arguments);
        memory::require_for_training(&recipe, [&train, &test], arguments.threads)?;
    }
    let mut pictures = Pictures::new(&test);
    let mut results = vec![("baseline", baseline::baseline(&train, &test)?)];
    for kind in kinds {
        let (saved, curve, answers) = train_one(kind, arguments, [&train, &test], shards)?;
        if let Some(path) = &arguments.save {
            saved.save(path)?;
            say(format!("saved to {}", path.display()));
        }
        pictures.add(&saved.model, Some(curve), &answers)?;
        results.push((kind.name(), answers));
    }
    pictures.draw(&arguments.out)?;
    report(&results, out)
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
    memory::require_for_testing(design, &test, arguments.threads)?;
    let answers = evaluate::answer(&saved.model, &test, shards)?;
    let mut pictures = Pictures::new(&test);
    pictures.add(&saved.model, None, &answers)?;
    pictures.draw(&arguments.out)?;
    report(&[(design.kind.name(), answers)], out)
}

fn write_scores(arguments: &Arguments, train: &Dataset, test: &Dataset) -> Result<(), WriteError> {
    arguments.write_midi.as_ref().map_or(Ok(()), |folder| scores::write_midi(folder, [train, test]))
}

fn report(results: &[(&str, Answers)], out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    for (name, answers) in results {
        writeln!(out, "{name} test accuracy {:.3} (n={})", answers.accuracy(), answers.truth.len())
            .map_err(unwritable_result)?;
    }
    out.flush().map_err(unwritable_result)
}

/// The results have no path that could be named.
fn unwritable_result(error: io::Error) -> Box<dyn Error> {
    format!("cannot write to the standard output: {error}").into()
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
    arguments: &Arguments,
    [train, test]: [&Dataset; 2],
    shards: &Shards<f32>,
) -> Result<(Saved, LearningCurve, Answers), Box<dyn Error>> {
    let recipe = Recipe::new(kind, train.classes.len(), arguments);
    let source = Source::named(arguments);
    let mut rng = ChaCha8Rng::seed_from_u64(source.seed);
    let mut model = Classifier::new(recipe.design, recipe.gain, &mut rng);
    say(format!("{}: {} parameters", kind.name(), model.parameter_count()));
    let (curve, answers) = train::train(&mut model, [train, test], &recipe, source.seed, shards)?;
    Ok((Saved { model, classes: train.classes.clone(), source: Some(source) }, curve, answers))
}
