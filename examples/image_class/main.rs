//! Classifies images: which digit is this?
//!
//! One to one: a perceptron sees all pixels at once. Beside it an LSTM reads the image row after row, as a sequence. A
//! baseline compares with the mean image of each class.
//!
//! `cargo run --release --example image_class` draws its own digits; `--data PATH` reads PNG or IDX files.

mod arguments;
mod baseline;
mod digits;
mod images;
mod model;
mod saved;
mod source;
#[cfg(test)]
mod tests;
mod train;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::OnTape;
use rewind_examples::arguments::RunFile;
use rewind_examples::files::prepare_file;
use rewind_examples::plot::{Confusion, confusion_matrix, learning_curves};
use rewind_examples::{Answers, CommandLine, History, Interrupt, Metric, Run, TABLE, report, say, write_table};
use rewind_rnn::Shards;

use arguments::Arguments;
use images::Images;
use model::{Design, ModelKind};
use saved::Trained;
use source::Source;

const CURVES: &str = "learning_curves.svg";
/// Passes over the training part.
const EPOCHS: usize = 20;

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut io::stdout()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let Arguments { run, .. } = &line.arguments;
    let folder = line.arguments.out();
    let pictures = ModelKind::value_variants().iter().map(|kind| confusion(&folder, kind.name()));
    for path in pictures.chain([folder.join(CURVES), folder.join(TABLE)]) {
        prepare_file(&path)?;
    }
    let threads = run.threads;
    let shards = Shards::new(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match &run.load {
        Some(path) => test_loaded(path, &line.arguments, &shards, out),
        None => compare(line, interrupt, &shards, out),
    }
}

fn confusion(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("confusion_{name}.svg"))
}

/// Trains and tests the models, beside the baseline.
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
    for file in &files {
        prepare_file(&file.path)?;
    }
    let [train, test] = Source::named(&arguments.run).read()?;
    let Images { rows, columns, .. } = train;
    say(format!("train: {} images of {columns}×{rows}; test: {}", train.labels.len(), test.labels.len()));
    let baseline = baseline::nearest_mean(&train, &test);
    let mut figures = vec![baseline.figure("baseline")];
    let mut histories = Vec::new();
    for (kind, file) in kinds.into_iter().zip(&files) {
        let (history, answers) = train_one(kind, line, file, [&train, &test], (interrupt, shards))?;
        say(format!("saved to {}", file.path.display()));
        draw_confusion(&folder, kind.name(), &test, &answers)?;
        figures.push(answers.figure(kind.name()));
        histories.push(history);
    }
    let note = format!("{} images in the test part; the baseline has {:.3}", test.labels.len(), baseline.accuracy());
    learning_curves(&folder.join(CURVES), &note, &histories)?;
    write_table(&folder, &[("baseline", [baseline.loss(), baseline.accuracy()])], &histories)?;
    say(format!("pictures in {}", folder.display()));
    report(&figures, out)
}

fn train_one(
    kind: ModelKind,
    line: &CommandLine<Arguments>,
    file: &RunFile,
    [train, test]: [&Images; 2],
    (interrupt, shards): (&Interrupt, &Shards<f32>),
) -> Result<(History, Answers), Box<dyn Error>> {
    let Arguments { run: given, hidden, .. } = &line.arguments;
    let (classes, source) = (train.classes.clone(), Source::named(given));
    let design = Design { kind, hidden: *hidden, rows: train.rows, columns: train.columns, classes: classes.len() };
    let model = design.classifier(&mut ChaCha8Rng::seed_from_u64(source.seed));
    let mut trained = Trained { model, design, classes, source };
    say(format!("{}: {} parameters", kind.name(), trained.model.parameter_count()));
    let metadata = trained.metadata().into_iter().chain(line.metadata(kind.name())).collect();
    let mut run = Run::new(kind.name(), Metric::Accuracy, given.seed(), &file.path, metadata, interrupt.clone());
    let epochs = given.epochs.unwrap_or(EPOCHS);
    let answers = train::train(&mut trained.model, [train, test], epochs, &mut run, file.from.as_deref(), shards)?;
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
    let named = Source::named(&arguments.run);
    let seed = arguments.run.seed.unwrap_or(trained.source.seed);
    let is_named = named.data.is_some() || named.test.is_some();
    let source = Source { seed, ..if is_named { named } else { trained.source.clone() } };
    say(format!("{} is tested on {source}", path.display()));
    let test = source.read_test()?;
    test.expect_same(&source.to_string(), &trained.reads(), &path.display().to_string())?;
    let (name, answers) = (trained.design.kind.name(), train::answer(&trained.model, &test, shards));
    draw_confusion(&folder, name, &test, &answers)?;
    write_table(&folder, &[(name, [answers.loss(), answers.accuracy()])], &[])?;
    report(&[answers.figure(name)], out)
}

fn draw_confusion(folder: &Path, name: &str, test: &Images, answers: &Answers) -> Result<(), Box<dyn Error>> {
    let matrix = Confusion::new(test.classes.clone(), &answers.truth, &answers.classes());
    Ok(confusion_matrix(&confusion(folder, name), name, "images of the test part", &matrix)?)
}
