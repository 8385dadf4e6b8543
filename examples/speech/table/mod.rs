//! `--table`: the networks of Table 1 of Graves, Mohamed and Hinton (2013), each from several seeds, at a size that suits the data.
//!
//! All have the same recipe, the same data and the same held-out part. What is done is in a file, so that a table that was stopped
//! loses nothing.

mod finished;
mod networks;
mod report;

use std::error::Error;
use std::io::Write;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_examples::files::prepare_file;
use rewind_examples::labelled::Source;
use rewind_examples::{CommandLine, Interrupt, Metric, Run, RunFile, Task, say};
use rewind_rnn::Shards;
use rewind_rnn::file::{self, Metadata};

use crate::arguments::Arguments;
use crate::corpus::Corpus;
use crate::evaluate::Heard;
use crate::model::Network;
use crate::normal::Normal;
use crate::recipe::Recipe;
use crate::saved::Saved;
use crate::train::train;
use crate::{read_corpus, require_memory};

use finished::{Finished, Row};
use networks::{Entry, networks};
use report::{PICTURE, Results};

/// The name of the run. Its file holds the training that goes on; the file of the trainings that are done is beside it.
const NAME: &str = "table";

/// Trains what is not done yet, tells the table and draws it.
pub(crate) fn table(
    line: &CommandLine<Arguments>,
    interrupt: &Interrupt,
    shards: &Shards<f32>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (arguments, folder) = (&line.arguments, line.arguments.out());
    let run_file = line.run_files(&[NAME], &folder, "there is one")?.remove(0);
    let (picture, done) = (folder.join(PICTURE), run_file.path.with_extension("tsv"));
    for path in [&run_file.path, &picture, &done] {
        prepare_file(path)?;
    }
    let recipe = Recipe::new(arguments);
    let (entries, seeds) = (networks(recipe.design), arguments.seeds()?);
    let mut finished = Finished::read(done.clone(), settings(&recipe, line))?;
    if !finished.rows().is_empty() {
        say(format!("{} trainings are done, and are read from {}", finished.rows().len(), done.display()));
    }
    // Seed by seed: a part of the table has all networks.
    let jobs = seeds.iter().flat_map(|&seed| entries.iter().map(move |entry| Job { entry, seed }));
    let left: Vec<Job<'_>> = jobs.filter(|job| finished.of(&job.entry.name, job.seed).is_none()).collect();
    if !left.is_empty() {
        let corpus = read_corpus(arguments)?.normalised(&Normal::Recording);
        for entry in &entries {
            require_memory(&corpus, &Recipe { design: entry.design, ..recipe })?;
        }
        let trainer = Trainer { line, interrupt, shards, recipe, corpus, run_file };
        for (number, job) in left.iter().enumerate() {
            say(format!("{}, seed {}: training {} of {}", job.entry.name, job.seed, number + 1, left.len()));
            finished.add(trainer.train(*job)?)?;
        }
    }
    let results = Results::new(&entries, &seeds, &finished);
    results.draw(&picture)?;
    say(format!("{} and {}", done.display(), picture.display()));
    results.tell(out)
}

/// What all trainings have in common, in one cell of a table.
fn settings(recipe: &Recipe, line: &CommandLine<Arguments>) -> String {
    let arguments = &line.arguments;
    let source = Source::named(&arguments.run).metadata();
    let leave_out = arguments.leave_out.iter().map(|speaker| format!("leave_out {speaker}"));
    let source = source.iter().map(|(key, value)| format!("{key} {value}"));
    // Rows of other data under the same name would be mixed with these.
    let sums = line.metadata(NAME).into_iter().filter(|(key, _)| key.ends_with("_checksum"));
    let sums = sums.map(|(key, sum)| format!("{key} {sum}"));
    [recipe.settings()]
        .into_iter()
        .chain(source)
        .chain(leave_out)
        .chain(sums)
        .collect::<Vec<_>>()
        .join(", ")
        .replace(['\t', '\n'], " ")
}

/// A network and a seed to train it from.
#[derive(Clone, Copy)]
struct Job<'a> {
    entry: &'a Entry,
    seed: u64,
}

impl Job<'_> {
    /// What the file of the run says of its training.
    fn metadata(&self) -> Metadata {
        let settings = [("network", self.entry.name.clone()), ("network_seed", self.seed.to_string())];
        settings.map(|(key, value)| (key.to_owned(), value)).into()
    }
}

struct Trainer<'a> {
    line: &'a CommandLine<Arguments>,
    interrupt: &'a Interrupt,
    shards: &'a Shards<f32>,
    recipe: Recipe,
    corpus: Corpus,
    run_file: RunFile,
}

impl Trainer<'_> {
    /// Trains and tests a network; goes on with its training if that was stopped.
    fn train(&self, job: Job<'_>) -> Result<Row, Box<dyn Error>> {
        let Job { entry: Entry { name, design }, seed } = job;
        let recipe = Recipe { design: *design, ..self.recipe };
        let arguments = &self.line.arguments;
        let network = Network::new(*design, &mut ChaCha8Rng::seed_from_u64(seed));
        let (source, leave_out) = (Source::named(&arguments.run), arguments.leave_out.clone());
        let mut saved = Saved { network, design: *design, normal: Normal::Recording, source, leave_out };
        let metadata = [saved.metadata(), self.line.metadata(NAME), job.metadata()].into_iter().flatten().collect();
        let path = &self.run_file.path;
        let mut run =
            Run::new(&format!("{name}, seed {seed}"), Metric::Per, seed, path, metadata, self.interrupt.clone());
        let is_of_job = |metadata: Metadata| job.metadata().iter().all(|(key, value)| metadata.get(key) == Some(value));
        let from = self.run_file.from.as_deref().filter(|from| file::metadata(from).is_ok_and(is_of_job));
        train(&mut saved.network, &self.corpus, &recipe, &mut run, from, (self.interrupt.team(), self.shards))?;
        let rate = Heard::of(&saved.network, &self.corpus.test, self.shards)?.error_rate();
        Ok(Row {
            network: name.clone(),
            seed,
            parameters: design.parameters(),
            epochs: run.history.epochs(),
            edits: rate.edits.total(),
            phones: rate.reference_labels,
        })
    }
}
