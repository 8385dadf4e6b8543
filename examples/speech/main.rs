//! Speech in, phones out (Graves, Mohamed and Hinton 2013): what was said, and in which order, without being told when.
//!
//! Recurrent layers, by default LSTMs in both directions, read 123 numbers every 10 ms. CTC trains them from the phones alone; best path and
//! prefix beam search decode. The baseline sees one time step at a time.
//!
//! `cargo run --release --example speech` makes its own speech; `--data DIR` reads recordings.

mod arguments;
mod audio;
mod changes;
mod corpus;
mod evaluate;
mod features;
mod flat_start;
mod listen;
mod manifest;
mod model;
mod normal;
mod phones;
mod recipe;
mod resample;
mod saved;
mod streams;
mod synth;
mod table;
mod tabs;
#[cfg(test)]
mod tests;
mod train;

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::slice;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_autograd::Tensor;
use rewind_examples::files::{expect_empty, prepare_file, prepare_folder};
use rewind_examples::labelled::Source;
use rewind_examples::memory::require;
use rewind_examples::plot::{Utterance, learning_curves, utterance};
use rewind_examples::tested::CURVES;
use rewind_examples::{
    CommandLine, Interrupt, Metric, Run, TABLE, Task, report, say, standard_output, unwritable, write_table,
};
use rewind_rnn::Shards;

use arguments::Arguments;
use corpus::{Clip, Corpus, Parts};
use evaluate::{Heard, figure};
use features::{BANDS, FEATURES};
use model::Network;
use phones::{BLANK, CLASSES, slashed};
use recipe::Recipe;
use saved::Saved;

/// The most time steps that are drawn.
const DRAWN: usize = 1000;
/// The picture of the first clip of the test part.
const PICTURE: &str = "utterance.svg";
/// Utterances that `--write-wav` writes.
const WRITTEN: usize = 40;

fn main() -> ExitCode {
    rewind_examples::run::main(|line, interrupt| run(line, interrupt, &mut standard_output()))
}

/// Does what the command line asks for; results go to `out`.
fn run(line: &CommandLine<Arguments>, interrupt: &Interrupt, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let run = &line.arguments.run;
    if let Some(folder) = &line.arguments.write_wav {
        expect_empty(folder)?;
        prepare_folder(folder)?;
        corpus::write(folder, run.seed(), WRITTEN)?;
        say(format!("{WRITTEN} utterances are in {}", folder.display()));
        return Ok(());
    }
    if let (Some(input), Some(load)) = (&line.arguments.listen, &run.load) {
        return listen::listen(load, input, line.arguments.raw_rate, out);
    }
    let threads = run.threads;
    let shards =
        interrupt.team().shards(threads).map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    if line.arguments.table {
        return table::table(line, interrupt, &shards, out);
    }
    for name in [CURVES, PICTURE, TABLE] {
        prepare_file(&line.arguments.out().join(name))?;
    }
    match &run.load {
        None => learn(line, interrupt, &shards, out),
        Some(path) => test_loaded(path, &line.arguments, &shards, out),
    }
}

/// The corpus to train on and to test on.
fn read_corpus(arguments: &Arguments) -> Result<Corpus, Box<dyn Error>> {
    let parts = Parts { train: true, streams: arguments.one_way };
    let corpus = Corpus::read(&Source::named(&arguments.run), arguments.leave_out.as_deref(), parts)?;
    for (name, part) in [("train", &corpus.train), ("held out", &corpus.held_out), ("test", &corpus.test)] {
        say(format!("{name}: {}", summary(part)));
    }
    Ok(corpus)
}

/// Trains and tests a network, beside the baseline.
fn learn(
    line: &CommandLine<Arguments>,
    interrupt: &Interrupt,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (arguments, folder) = (&line.arguments, line.arguments.out());
    let recipe = Recipe::new(arguments);
    let name = recipe.design.cell.name();
    let file = line.run_files(&[name], &folder, "there is one")?.remove(0);
    prepare_file(&file.path)?;
    let (source, corpus) = (Source::named(&arguments.run), read_corpus(arguments)?);
    let normal = corpus.normal(recipe.design.one_way);
    let corpus = corpus.normalised(&normal);
    require_memory(&corpus, &recipe)?;
    let network = Network::new(recipe.design, &mut ChaCha8Rng::seed_from_u64(source.seed));
    say(format!("{name}: {} parameters", recipe.design.parameters()));
    let baseline = train::baseline(&corpus, &recipe.baseline(), source.seed, (interrupt.team(), shards))?;
    let baseline = Heard::of(&baseline, &corpus.test, shards)?;

    let leave_out = arguments.leave_out.clone();
    let mut saved = Saved { network, design: recipe.design, normal, source, leave_out };
    let metadata = saved.metadata().into_iter().chain(line.metadata(name)).collect();
    let mut run = Run::new(name, Metric::Per, saved.source.seed, &file.path, metadata, interrupt.clone());
    train::train(&mut saved.network, &corpus, &recipe, &mut run, file.from.as_deref(), (interrupt.team(), shards))?;
    say(format!("saved to {}", file.path.display()));

    // For whoever chooses settings: not by the test part.
    let held_out = Heard::of(&saved.network, &corpus.held_out, shards)?.error_rate();
    say(format!("held out: per {:.3} (n={})", held_out.rate(), held_out.reference_labels));
    let heard = Heard::of(&saved.network, &corpus.test, shards)?;
    let in_streams = Heard::of(&saved.network, &corpus.test_streams, shards)?;
    let note = format!("loss in nats a phone; phone error rate of the baseline {:.3}", baseline.error_rate().rate());
    learning_curves(&folder.join(CURVES), &note, slice::from_ref(&run.history))?;
    let told = [baseline.loss, baseline.error_rate().rate()];
    write_table(&folder, &[("baseline", told)], slice::from_ref(&run.history))?;
    draw(&folder, &corpus.test[0], &heard)?;
    say(format!("pictures and table in {}", folder.display()));
    tell(&corpus.test, (name, [&heard, &in_streams]), Some(&baseline), out)
}

/// Tests a network that was saved.
fn test_loaded(
    path: &Path,
    arguments: &Arguments,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let saved = Saved::load(path)?;
    let source = saved.source.for_loaded(&arguments.run);
    // Whoever names other recordings says who is left out of them.
    let is_named = arguments.run.data.is_some() || arguments.run.test.is_some();
    let leave_out = if is_named { &arguments.leave_out } else { &saved.leave_out };
    let parts = Parts { train: false, streams: saved.design.one_way };
    if let (Some(speaker), true) = (leave_out, *leave_out != saved.leave_out) {
        let all = saved.leave_out.as_ref().map_or(String::new(), |other| format!(", but for {other:?}"));
        say(format!(
            "{} was trained on every speaker of its data{all}: it may have been trained on recordings of {speaker:?}",
            path.display()
        ));
    }
    let corpus = Corpus::read(&source, leave_out.as_deref(), parts)?.normalised(&saved.normal);
    say(format!("test: {}", summary(&corpus.test)));
    let heard = Heard::of(&saved.network, &corpus.test, shards)?;
    let in_streams = Heard::of(&saved.network, &corpus.test_streams, shards)?;
    let name = saved.design.cell.name();
    write_table(&arguments.out(), &[(name, [heard.loss, heard.error_rate().rate()])], &[])?;
    draw(&arguments.out(), &corpus.test[0], &heard)?;
    tell(&corpus.test, (name, [&heard, &in_streams]), None, out)
}

fn summary(clips: &[Clip]) -> String {
    let steps: usize = clips.iter().map(|clip| clip.features.shape()[0]).sum();
    let phones: usize = clips.iter().map(|clip| clip.count()).sum();
    format!("{} recordings, {} s, {phones} phones", clips.len(), steps / 100)
}

/// The phones, each between slashes.
fn slashes(phones: &[usize]) -> String {
    phones.iter().map(|&class| slashed(class)).collect::<Vec<_>>().join(" ")
}

/// The pronunciations of a clip.
fn said(clip: &Clip) -> String {
    clip.pronunciations.iter().map(|phones| slashes(phones)).collect::<Vec<_>>().join(" or ")
}

/// Draws the first clip: its bands, and the probability of each phone that was said or heard.
fn draw(folder: &Path, clip: &Clip, heard: &Heard) -> Result<(), Box<dyn Error>> {
    let rows = |values: &Tensor<f32>, width: usize| -> Vec<Vec<f32>> {
        values.to_vec().chunks_exact(width).take(DRAWN).map(<[f32]>::to_vec).collect()
    };
    let log_p = rows(&heard.log_p[0], CLASSES);
    let classes: BTreeSet<_> =
        [BLANK].iter().chain(clip.pronunciations.iter().flatten()).chain(&heard.best[0]).copied().collect();
    let curve = |class: usize| log_p.iter().map(|row| f64::from(row[class]).exp()).collect();
    let bands = rows(&clip.features, FEATURES).into_iter().map(|row| row[..BANDS].to_vec()).collect();
    let labels = classes.into_iter().map(|class| (slashed(class), curve(class))).collect();
    let part = if clip.features.shape()[0] > DRAWN { format!("the first {} s; ", DRAWN / 100) } else { String::new() };
    let note = format!("{part}said {}; heard {}", said(clip), slashes(&heard.best[0]));
    utterance(&folder.join(PICTURE), &clip.name, &note, &Utterance { bands, labels, unit: "10 ms".to_owned() })?;
    Ok(())
}

/// Writes what the network of a cell hears in one clip, step by step and as a whole, and the error rates: also of clips in streams,
/// if there are any.
fn tell(
    clips: &[Clip],
    (name, [heard, in_streams]): (&str, [&Heard; 2]),
    baseline: Option<&Heard>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let first = &clips[0];
    let lines = [("said", said(first)), ("each 10 ms", heard.frames(0)), ("heard", slashes(&heard.best[0]))];
    writeln!(out, "{}", first.name).map_err(unwritable)?;
    for (what, line) in lines {
        writeln!(out, "  {what}: {line}").map_err(unwritable)?;
    }
    let mut figures: Vec<_> = baseline.iter().map(|heard| figure("baseline", heard.error_rate())).collect();
    if !in_streams.best.is_empty() {
        figures.push(figure(&format!("{name}_streams"), in_streams.error_rate()));
    }
    figures.extend([figure(&format!("{name}_beam"), heard.beam_error_rate()?), figure(name, heard.error_rate())]);
    report(&figures, out)
}

/// Values that training keeps for each time step of a clip, those of the gradients included: for each unit, each number that is read,
/// each class, and each state of CTC, of which there are two for each phone.
const VALUES: [usize; 4] = [18, 3, 12, 4];
/// Copies of the parameters at the peak of training: themselves, with noise, the best, two moments, gradients of two shards,
/// packed forms.
const COPIES: usize = 14;

/// Checks that the longest batch fits into memory.
fn require_memory(corpus: &Corpus, recipe: &Recipe) -> Result<(), String> {
    let longest = corpus.train.iter().map(|clip| clip.features.shape()[0]).max().unwrap_or(0);
    let states = corpus.train.iter().map(|clip| 2 * clip.count() + 1).max().unwrap_or(0);
    let units = recipe.design.width() * recipe.design.layers;
    let at_once = recipe.batch.min(corpus.train.len());
    let of_step = VALUES.iter().zip([units, FEATURES, CLASSES, states]).map(|(values, count)| values * count).sum();
    let kept = [of_step, at_once, longest].iter().fold(1, |product: usize, n| product.saturating_mul(*n));
    let bytes = kept.saturating_add(COPIES.saturating_mul(recipe.design.parameters())).saturating_mul(size_of::<f32>());
    let what = format!("training on recordings of up to {} s", longest / 100);
    require(&what, bytes as u64, "shorter recordings, a smaller --hidden or --batch take less")
}
