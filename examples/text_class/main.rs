//! Classifies texts: what does this sentence mean, or is this message spam?
//!
//! A recurrent network reads a text word by word, and its last output (or the mean of all) is the answer (many to one).
//! Two baselines without memory count words, or words and pairs of neighbours.
//!
//! `cargo run --release --example text_class` writes its own sentences; `--data FILE` reads labelled ones.

mod arguments;
mod baseline;
mod evaluate;
mod grammar;
mod model;
mod recipe;
mod saved;
#[cfg(test)]
mod tests;
mod train;
mod words;

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::OnTape;
use rewind_examples::files::prepare_file;
use rewind_examples::labelled::{Labelled, Source};
use rewind_examples::tested::{CONFUSION, CURVES, draw};
use rewind_examples::{CommandLine, Interrupt, Metric, Run, TABLE, Task, report, say, unwritable};
use rewind_rnn::Shards;

use arguments::Arguments;
use model::Classifier;
use recipe::Recipe;
use saved::Saved;
use words::Words;

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut io::stdout()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let Arguments { run, classify, .. } = &line.arguments;
    let threads = run.threads;
    let shards = Shards::new(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match (&run.load, classify) {
        (None, _) => learn(line, interrupt, &shards, out),
        (Some(path), None) => test_loaded(path, &line.arguments, &shards, out),
        (Some(path), Some(text)) => classify_text(&Saved::load(path)?, text, &shards, out),
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
    for path in [&file.path, &folder.join(CURVES), &folder.join(CONFUSION), &folder.join(TABLE)] {
        prepare_file(path)?;
    }
    let source = Source::named(&arguments.run);
    let [train, test] = source.parts(None, parse, grammar::write)?;
    describe(&[("train", &train), ("test", &test)]);
    let baselines =
        [("baseline", false), ("pairs", true)].map(|(name, pairs)| (name, baseline::naive_bayes(&train, &test, pairs)));

    let recipe = Recipe::new(arguments);
    let reader = recipe.reader(&train);
    let design = recipe.design(arguments, &reader, train.classes.len());
    design.require_vectors()?;
    let model = Classifier::new(design, &mut ChaCha8Rng::seed_from_u64(source.seed));
    let longest = train.items.iter().map(|text| text.len().min(words::MAX_WORDS)).max().unwrap_or(0);
    model.cells.require_memory(name, model.parameter_count(), [longest, recipe.batch])?;
    say(format!("{name}: {} words, {} parameters", reader.words.len(), model.parameter_count()));
    let mut saved = Saved { model, reader, classes: train.classes.clone(), source };
    let metadata = saved.metadata().into_iter().chain(line.metadata(name)).collect();
    let mut run = Run::new(name, Metric::Accuracy, saved.source.seed, &file.path, metadata, interrupt.clone());
    let texts = (&saved.reader, [&train, &test]);
    let answers = train::train(&mut saved.model, texts, &recipe, &mut run, file.from.as_deref(), shards)?;
    say(format!("saved to {}", file.path.display()));
    draw(&folder, "texts", &test, Some(&run.history), &baselines, (name, &answers))?;
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
    let folder = arguments.out();
    for name in [CONFUSION, TABLE] {
        prepare_file(&folder.join(name))?;
    }
    let saved = Saved::load(path)?;
    let source = saved.source.for_loaded(&arguments.run);
    say(format!("{} is tested on {source}", path.display()));
    let [_, test] = source.parts(Some(&saved.classes), parse, grammar::write)?;
    if test.classes != saved.classes {
        let [known, found] = [&saved.classes, &test.classes].map(|classes| classes.join(", "));
        return Err(format!("{} tells {known} apart; the texts are {found}", path.display()).into());
    }
    describe(&[("test", &test)]);
    let name = saved.model.design.kind.name();
    let texts: Vec<_> = test.items.iter().map(|text| saved.reader.read(text, None)).collect();
    let answers = evaluate::answer(&saved.model, &texts, &test.labels, shards)?;
    draw(&folder, "texts", &test, None, &[], (name, &answers))?;
    report(&[answers.figure(name)], out)
}

/// The words of a text, if it has any.
fn parse(text: &str) -> Result<Option<Words>, String> {
    Ok(Some(words::of(text)).filter(|words| !words.is_empty()))
}

fn describe(parts: &[(&str, &Labelled<Words>)]) {
    for (name, part) in parts {
        let lengths = || part.items.iter().map(Words::len);
        let (shortest, longest) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
        say(format!("{name}: {} ({shortest} to {longest} words)", part.summary()));
        let cut = lengths().filter(|&length| length > words::MAX_WORDS).count();
        if cut > 0 {
            say(format!(
                "{name}: {cut} texts are longer than {} words; the rest of them is not read",
                words::MAX_WORDS
            ));
        }
    }
}

/// Writes a line for every word of a text, the probabilities of the classes had it ended there.
fn classify_text(saved: &Saved, text: &str, shards: &Shards<f32>, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let words = parse(text)?.ok_or_else(|| format!("{text:?} has no words to classify"))?;
    let width = words.iter().map(|word| word.chars().count()).max().unwrap_or(0).min(40);
    for (word, row) in words.iter().zip(evaluate::over_time(&saved.model, &saved.reader, &words, shards)?) {
        let told: Vec<_> = saved.classes.iter().zip(&row).map(|(class, p)| format!("{class} {p:.3}")).collect();
        let unknown = if saved.reader.words.place(word) == words::UNKNOWN { "  (unknown)" } else { "" };
        writeln!(out, "{word:width$}  {}{unknown}", told.join("  ")).map_err(unwritable)?;
    }
    out.flush().map_err(unwritable)
}
