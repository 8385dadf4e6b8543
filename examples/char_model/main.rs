//! A model of text: which character comes next?
//!
//! A recurrent network reads a text and predicts every character from all before it (many to many, in step). It is
//! trained by truncated backpropagation through time. A baseline looks at one character only.
//!
//! `cargo run --release --example char_model` writes its own text; `--data FILE` reads one.

mod arguments;
mod baseline;
mod corpus;
mod evaluate;
mod model;
mod nested;
mod recipe;
mod saved;
#[cfg(test)]
mod tests;
mod train;

use std::error::Error;
use std::f64::consts::LN_2;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::OnTape;
use rewind_examples::files::prepare_file;
use rewind_examples::plot::learning_curves;
use rewind_examples::{
    CommandLine, Figure, History, Interrupt, Metric, Run, TABLE, Task, report, say, standard_output, unwritable,
    write_table,
};
use rewind_rnn::Shards;

use arguments::Arguments;
use corpus::{Alphabet, Source};
use model::Design;
use recipe::Recipe;
use saved::Trained;

const CURVES: &str = "learning_curves.svg";

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut standard_output()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let Arguments { run, sample, .. } = &line.arguments;
    let threads = run.threads;
    let shards =
        interrupt.team().shards(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    match (&run.load, sample) {
        (None, _) => learn(line, interrupt, &shards, out),
        (Some(path), None) => test_loaded(path, &line.arguments, &shards, out),
        (Some(path), Some(_)) => write_sample(&Trained::load(path)?, &line.arguments, out),
    }
}

/// Trains and tests a model, beside the baseline.
fn learn(
    line: &CommandLine<Arguments>,
    interrupt: &Interrupt,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let arguments = &line.arguments;
    let (name, folder) = (arguments.cell.name(), arguments.out());
    let file = line.run_files(&[name], &folder, "there is one")?.remove(0);
    for path in [&file.path, &folder.join(CURVES), &folder.join(TABLE)] {
        prepare_file(path)?;
    }
    let source = Source::named(&arguments.run);
    let texts = source.read(true)?;
    let alphabet = Alphabet::of(&texts[0])?;
    let train = alphabet.places(&texts[0], 1);
    let test = alphabet.places(&texts[1], source.first_line(&texts[0]));
    expect_some(&test, &source)?;
    if let Some(start) = &arguments.sample {
        evaluate::beginning(&alphabet, start)?;
    }
    let [n, m] = [&train, &test].map(Vec::len);
    say(format!("train: {n} characters, {} of them distinct; test: {m}", alphabet.len()));
    let baseline = baseline::bigram_bits(&train, &test, alphabet.len());

    let recipe = Recipe::new(arguments);
    let Recipe { hidden, dropout, recurrent_dropout, .. } = recipe;
    let design = Design { kind: arguments.cell, characters: alphabet.len(), hidden, dropout, recurrent_dropout };
    train::require_memory(design, n, &recipe)?;
    let mut rng = ChaCha8Rng::seed_from_u64(source.seed);
    let mut trained = Trained { model: design.model(&mut rng), design, alphabet, source };
    say(format!("{name}: {} parameters", trained.model.parameter_count()));
    let metadata = trained.metadata().into_iter().chain(line.metadata(name)).collect();
    let mut run = Run::new(name, Metric::Bits, trained.source.seed, &file.path, metadata, interrupt.clone());
    let first: String = texts[1].chars().filter(|&c| trained.alphabet.place(c).is_some()).take(1).collect();
    let write = |model: &_| {
        let written = evaluate::sample(model, &trained.alphabet, &first, (80, 1.0), &mut ChaCha8Rng::seed_from_u64(0));
        format!("{:?}", first.clone() + &written.unwrap_or_default())
    };
    train::train(
        &mut trained.model,
        [&train, &test],
        &recipe,
        &mut run,
        file.from.as_deref(),
        (interrupt.team(), shards),
        &write,
    )?;
    say(format!("saved to {}", file.path.display()));
    let bits = evaluate::loss(&trained.model, &test, shards) / LN_2;
    draw(&folder, m, baseline, &run.history)?;
    if arguments.sample.is_some() {
        write_sample(&trained, arguments, out)?;
    }
    report(&[figure("baseline", baseline, &test), figure(name, bits, &test)], out)
}

/// Tests a model that was saved.
fn test_loaded(
    path: &Path,
    arguments: &Arguments,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let folder = arguments.out();
    prepare_file(&folder.join(TABLE))?;
    let trained = Trained::load(path)?;
    let named = Source::named(&arguments.run);
    let seed = arguments.run.seed.unwrap_or(trained.source.seed);
    let is_named = named.data.is_some() || named.test.is_some();
    let source = Source { seed, ..if is_named { named } else { trained.source.clone() } };
    say(format!("{} is tested on {source}", path.display()));
    let texts = source.read(false)?;
    let test = trained.alphabet.places(&texts[1], source.first_line(&texts[0]));
    expect_some(&test, &source)?;
    let (name, loss) = (trained.design.kind.name(), evaluate::loss(&trained.model, &test, shards));
    write_table(&folder, &[(name, [loss, loss / LN_2])], &[])?;
    report(&[figure(name, loss / LN_2, &test)], out)
}

fn figure(name: &str, bits: f64, test: &[usize]) -> Figure {
    // Nothing comes before the first character.
    Figure { name: name.to_owned(), metric: Metric::Bits, value: bits, count: test.len() - 1 }
}

fn expect_some(test: &[usize], source: &Source) -> Result<(), String> {
    let count = test.len();
    if count < 2 {
        return Err(format!("{source} has {count} characters of the training text; expected two at least"));
    }
    Ok(())
}

fn draw(folder: &Path, characters: usize, baseline: f64, history: &History) -> Result<(), Box<dyn Error>> {
    let note = format!("bits a character; {characters} in the test part; the baseline needs {baseline:.3}");
    learning_curves(&folder.join(CURVES), &note, std::slice::from_ref(history))?;
    write_table(folder, &[("baseline", [baseline * LN_2, baseline])], std::slice::from_ref(history))?;
    say(format!("learning curves and table in {}", folder.display()));
    Ok(())
}

/// Writes what the model writes after the text of `--sample`.
fn write_sample(trained: &Trained, arguments: &Arguments, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let Arguments { run, sample, length, temperature, .. } = arguments;
    let start = sample.as_deref().unwrap_or_default();
    let mut rng = ChaCha8Rng::seed_from_u64(run.seed());
    let written = evaluate::sample(&trained.model, &trained.alphabet, start, (*length, *temperature), &mut rng)?;
    writeln!(out, "{start}{written}").and_then(|()| out.flush()).map_err(unwritable)
}
