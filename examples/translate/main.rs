//! Translates sentences: how is this said in another language?
//!
//! An encoder reads the whole sentence, then a decoder writes its translation (many to many), with attention and without. In the
//! baseline, each word is translated alone.
//!
//! `cargo run --release --example translate` translates numbers, dates and times in words to digits; `--data FILE` reads pairs of sentences.

mod arguments;
mod baseline;
mod batch;
mod beam;
mod bleu;
mod dataset;
mod evaluate;
mod model;
mod numbers;
mod pictures;
mod saved;
#[cfg(test)]
mod tests;
mod train;
mod words;

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::OnTape;
use rewind_examples::RunFile;
use rewind_examples::files::prepare_file;
use rewind_examples::labelled::Source;
use rewind_examples::{CommandLine, History, Interrupt, Metric, Run, Task, report, say, unwritable};
use rewind_rnn::Shards;

use arguments::{Arguments, ModelKind};
use baseline::WordTable;
use batch::{Pair, describe, pairs};
use dataset::Sentence;
use evaluate::{Answer, Test, Tested, translate};
use model::Translator;
use saved::Saved;
use train::Recipe;
use words::{Language, MAX_LENGTH, Unit};

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut io::stdout()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let Arguments { run, translate, beam, .. } = &line.arguments;
    let threads = run.threads;
    let shards = Shards::new(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match (&run.load, translate.as_deref()) {
        (None, _) => compare(line, interrupt, &shards, out),
        (Some(path), None) => test_loaded(path, &line.arguments, &shards, out),
        (Some(path), Some("-")) => translate_lines(&Saved::load(path)?, &mut io::stdin().lock(), *beam, &shards, out),
        (Some(path), Some(text)) => translate_lines(&Saved::load(path)?, &mut text.as_bytes(), *beam, &shards, out),
    }
}

/// Trains and tests the models that the command line names, beside the baseline.
fn compare(
    line: &CommandLine<Arguments>,
    interrupt: &Interrupt,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (arguments, folder) = (&line.arguments, line.arguments.out());
    let kinds = arguments.model.map_or(vec![ModelKind::Plain, ModelKind::Attention], |kind| vec![kind]);
    let recipe = Recipe::new(arguments);
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    let files = line.run_files(&names, &folder, "choose one by --model")?;
    for path in files.iter().map(|file| file.path.clone()).chain(pictures::files(&folder, &names)) {
        prepare_file(&path)?;
    }
    let source = Source::named(&arguments.run);
    let default_unit = if source.data.is_some() { Unit::Words } else { Unit::Characters };
    let unit = arguments.unit.unwrap_or(default_unit);
    let [train, test] = dataset::parts(&source, unit)?;
    let from = Language::of(train.iter().map(|sentence| sentence.source.as_str()), Unit::Words, recipe.least)?;
    let targets = train.iter().flat_map(|sentence| sentence.targets.iter().map(String::as_str));
    let to = Language::of(targets, unit, recipe.least)?;
    let languages = [&from, &to];
    let train_pairs = pairs(&train, languages);
    let test = Test { sentences: &test, pairs: pairs(&test, languages), languages, beam: arguments.beam };
    describe("train", &train, &train_pairs);
    describe("test", test.sentences, &test.pairs);
    let designs: Vec<_> =
        kinds.iter().map(|&kind| recipe.design(kind == ModelKind::Attention, languages.map(Language::len))).collect();
    designs.iter().try_for_each(|design| recipe.require_memory(*design, &train_pairs))?;

    let (mut answers, mut histories) = (vec![("baseline".to_owned(), word_by_word(&train_pairs, &test))], Vec::new());
    for (design, file) in designs.iter().zip(&files) {
        let model = Translator::new(*design, &mut ChaCha8Rng::seed_from_u64(source.seed));
        say(format!("{}: {} parameters, {} words to {}", design.name(), model.parameter_count(), from.len(), to.len()));
        let saved = Saved { model, languages: [from.clone(), to.clone()], source: source.clone() };
        let (history, tested) = train_one(saved, line, file, &recipe, (&train_pairs, &test), (interrupt, shards))?;
        say(format!("saved to {}", file.path.display()));
        answers.push((history.name.clone(), tested));
        histories.push(history);
    }
    pictures::draw(&folder, test.sentences, &answers, &histories)?;
    let figures: Vec<_> = answers.iter().map(|(name, tested)| tested.figure(name, unit)).collect();
    report(&figures, out)
}

fn train_one(
    mut saved: Saved,
    line: &CommandLine<Arguments>,
    file: &RunFile,
    recipe: &Recipe,
    data: (&[Pair], &Test<'_>),
    (interrupt, shards): (&Interrupt, &Shards<f32>),
) -> Result<(History, Tested), Box<dyn Error>> {
    let name = saved.model.design.name();
    let metadata = saved.metadata().into_iter().chain(line.metadata(name)).collect();
    let mut run = Run::new(name, Metric::Exact, saved.source.seed, &file.path, metadata, interrupt.clone());
    let tested = train::train(&mut saved.model, data, recipe, &mut run, file.from.as_deref(), shards)?;
    Ok((run.history.clone(), tested))
}

/// The test of the baseline. It gives no probabilities, so its loss is unknown.
fn word_by_word(train: &[Pair], test: &Test<'_>) -> Tested {
    let table = WordTable::learn(train);
    let of = |sentence: &Sentence| Answer { text: table.translate(&sentence.source, test.languages), alignment: None };
    test.tested(f64::NAN, test.sentences.iter().map(of).collect())
}

/// Tests a model that was saved.
fn test_loaded(
    path: &Path,
    arguments: &Arguments,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (folder, Saved { model, languages, source }) = (arguments.out(), Saved::load(path)?);
    let name = model.design.name();
    for path in pictures::files(&folder, &[name]) {
        prepare_file(&path)?;
    }
    let source = source.for_loaded(&arguments.run);
    say(format!("{} is tested on {source}", path.display()));
    let sentences = dataset::test_part_of(&source, languages[1].unit)?;
    let languages = languages.each_ref();
    let test = Test { sentences: &sentences, pairs: pairs(&sentences, languages), languages, beam: arguments.beam };
    describe("test", test.sentences, &test.pairs);
    let tested = test.run(&model, test.beam, shards);
    let figure = tested.figure(name, languages[1].unit);
    pictures::draw(&folder, test.sentences, &[(name.to_owned(), tested)], &[])?;
    report(&[figure], out)
}

/// Writes the translation of each line, as soon as it is read.
fn translate_lines(
    saved: &Saved,
    lines: &mut dyn BufRead,
    beam: usize,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line.map_err(|error| format!("cannot read line {number} of the text: {error}"))?;
        let count = saved.languages[0].split(&line).len();
        if count > MAX_LENGTH {
            return Err(format!("line {number} of the text has {count} words; expected {MAX_LENGTH} at most").into());
        }
        let answers = translate(&saved.model, saved.languages.each_ref(), &[&line], beam, shards);
        for answer in answers {
            writeln!(out, "{}", answer.text).map_err(unwritable)?;
        }
        out.flush().map_err(unwritable)?;
    }
    Ok(())
}
