//! Describes images: what does this scene show?
//!
//! An image becomes the first state of a recurrent network, which writes words until its end mark (one to many). In the
//! baseline, each word is chosen independently of those before.
//!
//! `cargo run --release --example caption` draws its own scenes; `--data DIR` reads PNG files and a table of captions.

mod arguments;
mod batch;
mod dataset;
mod evaluate;
mod model;
mod pictures;
mod saved;
mod scenes;
#[cfg(test)]
mod tests;
mod train;
mod words;

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::OnTape;
use rewind_examples::RunFile;
use rewind_examples::files::prepare_file;
use rewind_examples::image::{Channels, Image};
use rewind_examples::{CommandLine, History, Interrupt, Metric, Run, Task, report, say, unwritable};
use rewind_rnn::Shards;

use arguments::{Arguments, ModelKind};
use dataset::{Item, Source, fits};
use evaluate::Tested;
use model::{Captioner, Design};
use saved::Trained;
use train::Recipe;
use words::Vocabulary;

/// The epochs of a run that names none.
const EPOCHS: usize = 10;

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut io::stdout()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let Arguments { run, describe, .. } = &line.arguments;
    let threads = run.threads;
    let shards = Shards::new(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match &run.load {
        None => compare(line, interrupt, &shards, out),
        Some(path) if describe.is_empty() => test_loaded(path, &line.arguments, &shards, out),
        Some(path) => describe_files(&Trained::load(path)?, &line.arguments, &shards, out),
    }
}

/// Trains and tests what the command line names.
fn compare(
    line: &CommandLine<Arguments>,
    interrupt: &Interrupt,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (arguments, folder) = (&line.arguments, line.arguments.out());
    let kinds = arguments.model.map_or(vec![ModelKind::Baseline, ModelKind::Lstm], |kind| vec![kind]);
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let files = line.run_files(&names, &folder, "choose one by --model")?;
    for path in files.iter().map(|file| file.path.clone()).chain(pictures::files(&folder, &names)) {
        prepare_file(&path)?;
    }
    let parts = Source::named(&arguments.run).read_parts()?;
    if let Some(folder) = &arguments.write {
        dataset::write_parts(folder, &parts)?;
    }
    let [train, test] = parts.each_ref().map(Vec::as_slice);
    let vocabulary = Vocabulary::of(captions(train))?;
    tell([train, test], &vocabulary)?;

    let (size, words) = (train[0].image.size, vocabulary.len());
    let Arguments { hidden, batch, rate, .. } = *arguments;
    let epochs = arguments.run.epochs.unwrap_or(EPOCHS);
    let recipe = |&kind| Recipe { design: Design { kind, hidden, words, size }, epochs, batch, rate };
    let recipes: Vec<_> = kinds.iter().map(recipe).collect();
    recipes.iter().try_for_each(Recipe::require_memory)?;
    let (mut answers, mut histories) = (Vec::new(), Vec::new());
    for (recipe, file) in recipes.iter().zip(&files) {
        let given = (&vocabulary, [train, test]);
        let (history, tested) = train_one(recipe, line, file, given, (interrupt, shards))?;
        say(format!("saved to {}", file.path.display()));
        answers.push((history.name.clone(), tested));
        histories.push(history);
    }
    pictures::draw(&folder, test, &answers, &histories)?;
    let figures: Vec<_> = answers.iter().map(|(name, tested)| tested.figure(name)).collect();
    report(&figures, out)
}

fn train_one(
    recipe: &Recipe,
    line: &CommandLine<Arguments>,
    file: &RunFile,
    (vocabulary, parts): (&Vocabulary, [&[Item]; 2]),
    (interrupt, shards): (&Interrupt, &Shards<f32>),
) -> Result<(History, Tested), Box<dyn Error>> {
    let (name, source) = (recipe.design.kind.name(), Source::named(&line.arguments.run));
    let model = Captioner::new(recipe.design, &mut ChaCha8Rng::seed_from_u64(source.seed));
    say(format!("{name}: {} parameters", model.parameter_count()));
    let mut trained = Trained { model, vocabulary: vocabulary.clone(), source };
    let metadata = trained.metadata().into_iter().chain(line.metadata(name)).collect();
    let mut run = Run::new(name, Metric::Exact, trained.source.seed, &file.path, metadata, interrupt.clone());
    let from = file.from.as_deref();
    let tested = train::train(&mut trained.model, vocabulary, parts, recipe, &mut run, from, shards)?;
    Ok((run.history.clone(), tested))
}

/// Tests a model that was saved.
fn test_loaded(
    path: &Path,
    arguments: &Arguments,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let folder = arguments.out();
    let trained = Trained::load(path)?;
    let name = trained.model.design.kind.name();
    for path in pictures::files(&folder, &[name]) {
        prepare_file(&path)?;
    }
    let named = Source::named(&arguments.run);
    let seed = arguments.run.seed.unwrap_or(trained.source.seed);
    let is_named = named.data.is_some() || named.test.is_some();
    let source = Source { seed, ..if is_named { named } else { trained.source.clone() } };
    say(format!("{} is tested on {source}", path.display()));
    let test = source.read_test(trained.model.design.size)?;
    expect_known(&test, &trained.vocabulary)?;
    let tested = evaluate::test(&trained.model, &trained.vocabulary, &test, shards);
    pictures::draw(&folder, &test, &[(name.to_owned(), tested.clone())], &[])?;
    report(&[tested.figure(name)], out)
}

/// Writes what a model says of each file of `--describe`.
fn describe_files(
    trained: &Trained,
    arguments: &Arguments,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (files, size) = (&arguments.describe, trained.model.design.size);
    let mut left_out = 0;
    for path in files {
        match Image::read(path, Channels::Rgb).and_then(|image| fits(&image, Some(size)).map(|()| image)) {
            Ok(image) => {
                let said = evaluate::describe(&trained.model, &trained.vocabulary, &[&image], shards).concat();
                writeln!(out, "{}: {said}", path.display()).map_err(unwritable)?;
            }
            Err(reason) => {
                say(format!("left out: {} {reason}", path.display()));
                left_out += 1;
            }
        }
    }
    out.flush().map_err(unwritable)?;
    match left_out {
        0 => Ok(()),
        _ => Err(format!("{left_out} of {} files could not be described", files.len()).into()),
    }
}

fn captions(items: &[Item]) -> impl Iterator<Item = &str> {
    items.iter().flat_map(|item| item.captions.iter().map(String::as_str))
}

/// Tells how many images there are, and how much of the test part is new.
fn tell([train, test]: [&[Item]; 2], vocabulary: &Vocabulary) -> Result<(), String> {
    let size = train[0].image.size;
    let of = |items: &[Item]| format!("{} images with {} captions", items.len(), captions(items).count());
    say(format!("train: {} of {} words; test: {}; {size} pixels", of(train), vocabulary.len() - 1, of(test)));
    let known: BTreeSet<_> = captions(train).collect();
    let new = test.iter().filter(|item| item.captions.iter().all(|caption| !known.contains(caption.as_str()))).count();
    say(format!("of {new} test images, no caption is one of the training part"));
    expect_known(test, vocabulary)
}

/// Reports captions with unknown words, which no answer can be like.
///
/// # Errors
///
/// If all captions have some.
fn expect_known(test: &[Item], vocabulary: &Vocabulary) -> Result<(), String> {
    let unknown: Vec<_> = captions(test).filter(|caption| vocabulary.places(caption).is_none()).collect();
    let Some(first) = unknown.first() else { return Ok(()) };
    let word = first.split_whitespace().find(|word| vocabulary.places(word).is_none()).unwrap_or_default();
    let (count, all) = (unknown.len(), captions(test).count());
    let told = format!("{count} of {all} test captions have words that the training part lacks, such as {word:?}");
    if count == all {
        return Err(told);
    }
    say(told);
    Ok(())
}
