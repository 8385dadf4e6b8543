//! A command line, and what of it decides the result of a run: that is in the file of the run.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rewind_rnn::file::{self, Metadata};

use crate::arguments::{DEFAULT_SEED, RunArguments, Task};
use crate::origin::{self, COMMAND, MODEL, OUT};
use crate::say;

#[cfg(test)]
mod tests;

/// The file of the training of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFile {
    /// Where it is written.
    pub path: PathBuf,
    /// The file to go on from, if the run is resumed and has one of this model.
    pub from: Option<PathBuf>,
}

/// Arguments by name with their values, as they were given.
pub(crate) type Given = BTreeMap<String, Vec<String>>;

/// A parsed command line. It remembers what was given, since that goes into the file of a run.
#[derive(Clone, Debug)]
pub struct CommandLine<A> {
    /// The arguments.
    pub arguments: A,
    /// What was given and decides the result of a run.
    settings: Given,
    /// What else was given.
    others: Given,
    /// The checksums of the data as they were before anything was read.
    sums: Option<Metadata>,
}

/// Arguments that decide where a run writes and how fast it is, but not its result.
const NO_SETTINGS: [&str; 5] = ["--save", "--load", "--resume", "--threads", "--out"];
/// Arguments that name files: they must mean the same when the working folder has changed.
const PATHS: [&str; 2] = ["--data", "--test"];

impl<A: Task> CommandLine<A> {
    /// Parses a command line whose first word is the name of the program.
    ///
    /// # Errors
    ///
    /// As [`Parser::try_parse_from`](clap::Parser::try_parse_from); asking for help is such an error too.
    pub fn parse(words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Self, clap::Error> {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let arguments = A::try_parse_from(&words)?;
        let is_setting = |name: &str| !NO_SETTINGS.contains(&name) && !A::NO_SETTINGS.contains(&name);
        let (settings, others) = given(&words).into_iter().partition(|(name, _)| is_setting(name));
        Ok(CommandLine { arguments, settings, others, sums: None })
    }

    /// This command line, with what the file of `--resume` or `--load` has to say to it. With `--resume` the settings are those of
    /// the command line that began the run.
    ///
    /// What a user should know of the data is told: that those of a loaded model have changed, that the test part may hold items
    /// that the model was trained on.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not one of a run of this program; if `--out` or `--save` lies in the folder of the data; with
    /// `--resume`, if a setting is given that is not that of the run, or the data have changed since it began.
    pub fn prepared(self) -> Result<Self, Box<dyn Error>> {
        let RunArguments { data, test, load, resume, .. } = self.arguments.run();
        if let [Some(data), Some(test)] = [data, test].map(|path| path.as_ref()?.canonicalize().ok())
            && data == test
        {
            say("--test is --data: the figures are those of the training part");
        }
        let prepared = match (load, resume) {
            (Some(path), _) => {
                self.notes_on(path)?.iter().for_each(say);
                return Ok(self);
            }
            (None, Some(path)) => self.resumed(path)?,
            (None, None) => self,
        };
        let RunArguments { data, test, save, .. } = prepared.arguments.run();
        for data in [data, test].into_iter().flatten() {
            origin::expect_outside(data, "--out", &prepared.arguments.out())?;
            save.as_ref().map_or(Ok(()), |save| origin::expect_outside(data, "--save", save))?;
        }
        let sums = Some(origin::sums(&prepared.settings, A::beside));
        Ok(CommandLine { sums, ..prepared })
    }

    /// What has changed since the model in `path` was trained.
    fn notes_on(&self, path: &Path) -> Result<Vec<String>, Box<dyn Error>> {
        let (metadata, at) = (origin::read(path, A::NAME)?, path.display());
        // The file of an earlier version.
        let Ok(began) = command_of(&metadata, path) else { return Ok(Vec::new()) };
        let RunArguments { data, test, seed, .. } = self.arguments.run();
        // What is divided into a training and a test part, if anything is.
        let divided = match (data, test) {
            (_, Some(_)) => None,
            (Some(data), None) => Some(data.as_path()),
            (None, None) if began.contains_key("--test") => None,
            (None, None) => origin::named(&began, "--data"),
        };
        let trained_on = "the test part may hold items that it was trained on";
        let mut notes = Vec::new();
        if data.is_none() && test.is_none() {
            for changed in origin::changed(&began, &metadata, A::beside) {
                let what = if divided.is_some() { format!(": {trained_on}") } else { String::new() };
                notes.push(format!("{changed} has changed since the run of {at}{what}"));
            }
        }
        let trained = began.get("--seed").map_or(DEFAULT_SEED.to_string(), |values| values.concat());
        let is_other = seed.is_some_and(|seed| seed.to_string() != trained);
        if A::SEED_DIVIDES && is_other && divided.is_some_and(|data| origin::is_trained_on(data, &metadata, A::beside))
        {
            notes.push(format!("{at} was trained with seed {trained}: {trained_on}"));
        }
        Ok(notes)
    }

    /// This command line with the settings of the run in `path`.
    fn resumed(&self, path: &Path) -> Result<Self, Box<dyn Error>> {
        let (metadata, at) = (origin::read(path, A::NAME)?, path.display());
        let began = command_of(&metadata, path)?;
        if let Some((name, values)) = self.settings.iter().find(|(name, values)| began.get(*name) != Some(values)) {
            let of_run = if began.is_empty() { "the default settings".to_owned() } else { text(&began) };
            return Err(format!(
                "{at} holds a run with {of_run}; {} would be another run: --resume takes the settings from the file",
                text(&Given::from([(name.clone(), values.clone())]))
            )
            .into());
        }
        if let Some(changed) = origin::changed(&began, &metadata, A::beside).first() {
            return Err(format!(
                "{changed} has changed since the run of {at} began: --resume goes on with the same data; restore them, or begin \
                 another run"
            )
            .into());
        }
        let mut others = self.others.clone();
        let out = metadata.get(OUT).cloned().or_else(|| Some(path.parent()?.display().to_string()));
        if let (false, Some(out)) = (others.contains_key("--out"), out.filter(|out| !out.is_empty())) {
            others.insert("--out".to_owned(), vec![out]);
        }
        let words = began.iter().chain(&others).flat_map(|(name, values)| match &values[..] {
            // A value may begin with a dash.
            [value] => vec![format!("{name}={value}")],
            _ => [std::slice::from_ref(name), values].concat(),
        });
        let arguments = A::try_parse_from([A::NAME.to_owned()].into_iter().chain(words));
        let damaged = |error| format!("{at} was not saved by this program: {error}");
        Ok(CommandLine { arguments: arguments.map_err(damaged)?, settings: began, others, sums: None })
    }

    /// The files of the trainings of `models`, in order: `--save`, or one in `out` for each. A resumed run has its files
    /// where it had them: that of `--resume`, and those of the other models beside it.
    ///
    /// # Errors
    ///
    /// If `--save` names one file for several models, where `choose` says how to choose one, or a file that holds no run, such as the
    /// data, or one that is called as a table or a picture is; or if the file of `--resume`
    /// is of no such model.
    pub fn run_files(&self, models: &[&str], out: &Path, choose: &str) -> Result<Vec<RunFile>, Box<dyn Error>> {
        let RunArguments { save, resume, .. } = self.arguments.run();
        if save.is_some() && models.len() != 1 {
            return Err(format!("--save has room for one model, not for {}: {choose}", models.join(", ")).into());
        }
        if let Some(save) = save {
            expect_name_of_run(save)?;
            if save.is_file() {
                expect_run(save, A::NAME)?;
            }
        }
        let name = |model: &str| format!("{model}.safetensors");
        let begun = |model: &str| save.clone().unwrap_or_else(|| out.join(name(model)));
        let Some(resume) = resume else {
            for path in models.iter().map(|model| begun(model)).filter(|path| path.is_file()) {
                expect_run(&path, A::NAME)?;
                let at = path.display();
                say(format!("{at} is there: this run replaces it; --resume {at} goes on with it"));
            }
            return Ok(models.iter().map(|model| RunFile { path: begun(model), from: None }).collect());
        };
        let metadata = file::metadata(resume)?;
        let resumed = metadata.get(MODEL).map_or("no model", String::as_str);
        if !models.contains(&resumed) {
            let expected = models.join(" or ");
            return Err(format!("{} is the run of {resumed}; expected that of {expected}", resume.display()).into());
        }
        let is_of_run = |path: &PathBuf| file::metadata(path).is_ok_and(|m| m.get(COMMAND) == metadata.get(COMMAND));
        let of = |&model: &&str| {
            let beside = if model == resumed { resume.clone() } else { resume.with_file_name(name(model)) };
            let path = save.clone().unwrap_or_else(|| beside.clone());
            RunFile { path, from: Some(beside).filter(is_of_run) }
        };
        Ok(models.iter().map(of).collect())
    }

    /// What every task saves of the training of `model`, beside the model's own settings.
    pub fn metadata(&self, model: &str) -> Metadata {
        let mut metadata = origin::metadata(A::NAME, &self.settings, &self.arguments.out());
        metadata.extend(self.sums.clone().unwrap_or_else(|| origin::sums(&self.settings, A::beside)));
        metadata.insert(MODEL.to_owned(), model.to_owned());
        metadata
    }
}

/// Checks that nothing else than a run will be written to `path`.
fn expect_name_of_run(path: &Path) -> Result<(), String> {
    let at = path.display();
    if path.extension().is_some_and(|extension| ["csv", "svg", "tsv"].iter().any(|other| extension == *other)) {
        return Err(format!(
            "--save {at}: tables and pictures are called so; expected another name, such as net.safetensors"
        ));
    }
    Ok(())
}

/// Checks that the file at `path` may be replaced by a run of `program`.
fn expect_run(path: &Path, program: &str) -> Result<(), String> {
    let is_of = |metadata: &Metadata| origin::program(metadata).is_none_or(|other| other == program);
    let is_run = |metadata: Metadata| metadata.contains_key(COMMAND) && is_of(&metadata);
    if file::metadata(path).is_ok_and(is_run) {
        return Ok(());
    }
    let at = path.display();
    Err(format!("{at}: the file there holds no run of {program}; expected a new file, or that of a run to replace"))
}

/// The arguments among the words of a command line: each has a long name, and a value that begins with `--` follows a `=`.
fn given(words: &[OsString]) -> Given {
    let mut given: Vec<(String, Vec<String>)> = Vec::new();
    for word in words.iter().skip(1).map(|word| word.to_string_lossy()) {
        match (word.strip_prefix("--"), given.last_mut()) {
            (Some(_), _) => {
                let (name, value) = word.split_once('=').map_or((&*word, None), |(name, value)| (name, Some(value)));
                given.push((name.to_owned(), value.map(str::to_owned).into_iter().collect()));
            }
            (None, Some((_, values))) => values.push(word.into_owned()),
            (None, None) => {}
        }
    }
    for (_, values) in given.iter_mut().filter(|(name, _)| PATHS.contains(&name.as_str())) {
        for value in values {
            *value = std::path::absolute(&*value).map_or(value.clone(), |path| path.to_string_lossy().into_owned());
        }
    }
    given.into_iter().collect()
}

fn text(given: &Given) -> String {
    let one = |(name, values): (&String, &Vec<String>)| [&[name.clone()][..], values].concat().join(" ");
    given.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The settings that the run of a file began with.
fn command_of(metadata: &Metadata, path: &Path) -> Result<Given, String> {
    let found = metadata.get(COMMAND).and_then(|text| serde_json::from_str(text).ok());
    found.ok_or_else(|| {
        let found = metadata.get(COMMAND).map_or("missing".to_owned(), |text| format!("{text:?}"));
        let expected = "expected the file of a run, as the program saves it";
        format!("{} holds no run to go on with, its setting \"{COMMAND}\" is {found}; {expected}", path.display())
    })
}
