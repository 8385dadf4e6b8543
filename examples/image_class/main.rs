//! Classifies images: which digit is this?
//!
//! A perceptron sees all pixels at once (one to one). An LSTM reads the same image row by row, as a sequence. The baseline
//! compares the image with the mean of each class.
//!
//! `cargo run --release --example image_class` draws its own digits; `--data PATH` reads PNG files, or files in MNIST's
//! format.

mod arguments;
mod baseline;
mod dataset;
mod digits;
mod idx;
mod model;
mod pictures;
mod recipe;
mod saved;
#[cfg(test)]
mod tests;
mod train;

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
use rewind_examples::{Answers, CommandLine, History, Interrupt, Metric, Run, Task, report, say, unwritable};
use rewind_rnn::Shards;

use arguments::{Arguments, ModelKind};
use dataset::{Dataset, Source};
use model::Classifier;
use pictures::Pictures;
use recipe::Recipe;
use saved::Trained;

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut io::stdout()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let Arguments { run, classify, .. } = &line.arguments;
    let threads = run.threads;
    let shards = Shards::new(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match &run.load {
        None => compare(line, interrupt, &shards, out),
        Some(path) if classify.is_empty() => test_loaded(path, &line.arguments, &shards, out),
        Some(path) => classify_files(&Trained::load(path)?, &line.arguments, &shards, out),
    }
}

/// Trains and tests what the command line names, beside the baseline.
fn compare(
    line: &CommandLine<Arguments>,
    interrupt: &Interrupt,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (arguments, folder) = (&line.arguments, line.arguments.out());
    let kinds = arguments.model.map_or(vec![ModelKind::Perceptron, ModelKind::Lstm], |kind| vec![kind]);
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let files = line.run_files(&names, &folder, "choose one by --model")?;
    for path in files.iter().map(|file| file.path.clone()).chain(pictures::files(&folder, &names)) {
        prepare_file(&path)?;
    }
    let parts = Source::named(&arguments.run).read_parts()?;
    if let Some(folder) = &arguments.write {
        dataset::write_parts(folder, &parts)?;
    }
    let [train, test] = &parts;
    say(format!("train: {}; test: {}", told(train), told(test)));
    let recipes: Vec<_> =
        kinds.iter().map(|&kind| Recipe::new(kind, train.classes.len(), train.size(), arguments)).collect();
    recipes.iter().try_for_each(Recipe::require_memory)?;

    let mut pictures = Pictures::new(test);
    let answers = baseline::baseline(train, test);
    pictures.add_figures("baseline", &answers);
    let mut figures = vec![answers.figure("baseline")];
    for (recipe, file) in recipes.iter().zip(&files) {
        let (history, answers) = train_one(recipe, line, file, [train, test], (interrupt, shards))?;
        say(format!("saved to {}", file.path.display()));
        figures.push(answers.figure(&history.name));
        pictures.add(history, &answers);
    }
    pictures.draw(&folder)?;
    report(&figures, out)
}

fn train_one(
    recipe: &Recipe,
    line: &CommandLine<Arguments>,
    file: &RunFile,
    [train, test]: [&Dataset; 2],
    (interrupt, shards): (&Interrupt, &Shards<f32>),
) -> Result<(History, Answers), Box<dyn Error>> {
    let (name, source) = (recipe.design.kind.name(), Source::named(&line.arguments.run));
    let model = Classifier::new(recipe.design, &mut ChaCha8Rng::seed_from_u64(source.seed));
    say(format!("{name}: {} parameters", model.parameter_count()));
    let mut trained = Trained { model, classes: train.classes.clone(), source };
    let metadata = trained.metadata().into_iter().chain(line.metadata(name)).collect();
    let mut run = Run::new(name, Metric::Accuracy, trained.source.seed, &file.path, metadata, interrupt.clone());
    let from = file.from.as_deref();
    let answers = train::train(&mut trained.model, [train, test], recipe, &mut run, from, shards)?;
    Ok((run.history.clone(), answers))
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
    let test = source.read_test(&trained.classes, trained.model.design.size)?;
    let answers = train::answer(&trained.model, &test, shards);
    let mut pictures = Pictures::new(&test);
    pictures.add_figures(name, &answers);
    pictures.draw(&folder)?;
    report(&[answers.figure(name)], out)
}

/// Writes a line for each file of `--classify`: the most probable class and its probability.
fn classify_files(
    trained: &Trained,
    arguments: &Arguments,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (files, size) = (&arguments.classify, trained.model.design.size);
    let mut left_out = 0;
    for path in files {
        let image = Image::read(path, Channels::Grey).and_then(|image| match image.size == size {
            true => Ok(image),
            false => Err(format!("is {} pixels; the model reads {size}", image.size)),
        });
        match image {
            Ok(image) => {
                // The class is the question; the answer does not depend on this one.
                let data = Dataset { classes: trained.classes.clone(), items: vec![(image, 0)] };
                let answers = train::answer(&trained.model, &data, shards);
                let class = answers.classes()[0];
                let p = answers.probabilities.at(&[0, class]);
                writeln!(out, "{}: {} {p:.3}", path.display(), trained.classes[class]).map_err(unwritable)?;
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
        _ => Err(format!("{left_out} of {} files could not be classified", files.len()).into()),
    }
}

/// How many images there are, and of which classes.
fn told(data: &Dataset) -> String {
    let counts = data.classes.iter().zip(data.class_counts());
    let counts: Vec<_> = counts.map(|(class, count)| format!("{count} {class}")).collect();
    format!("{} images of {} pixels ({})", data.items.len(), data.size(), counts.join(", "))
}
