//! Where the scores of a run come from: composed, or read from folders of MIDI files.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use rewind_examples::arguments::DEFAULT_SEED;
use rewind_examples::files::{WriteError, expect_empty, prepare_folder};
use rewind_examples::folders::expect_two;
use rewind_examples::{RunArguments, say};

use crate::arguments::Arguments;
use crate::compose::compose_dataset;
use crate::corpus;
use crate::dataset::Dataset;
use crate::midi;
use crate::saved::Saved;

/// Scores that are composed.
const COMPOSED: usize = 500;
/// Of scores that are not divided yet, one in so many is for testing.
const TEST_SHARE: usize = 5;

/// Where scores come from. Without any folder they are composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The folder of class folders to train on, and to take the test part from if there is no other.
    pub(crate) data: Option<PathBuf>,
    /// The folder of class folders to test on.
    pub(crate) test: Option<PathBuf>,
    /// What composing and dividing follow from.
    pub(crate) seed: u64,
}

/// Displays as what is tested on.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed;
        match (&self.data, &self.test) {
            (_, Some(test)) => write!(f, "the scores of {}", test.display()),
            (Some(data), None) => {
                write!(f, "the test part of the scores of {}, divided by seed {seed}", data.display())
            }
            (None, None) => write!(f, "the test part of the scores that seed {seed} composes"),
        }
    }
}

impl Source {
    /// What the command line names.
    pub(crate) fn named(arguments: &Arguments) -> Source {
        let RunArguments { data, test, seed, .. } = arguments.run.clone();
        Source { data, test, seed: seed.unwrap_or(DEFAULT_SEED) }
    }

    /// What a loaded network is tested on: what the command line names, or else what the network was tested on when it
    /// was trained. Reports which.
    pub(crate) fn for_loaded(arguments: &Arguments, path: &Path, saved: &Saved) -> Source {
        let (named, network) = (Source::named(arguments), path.display());
        let is_named = named.data.is_some() || named.test.is_some();
        let source = match &saved.source {
            Some(known) => {
                let seed = arguments.run.seed.unwrap_or(known.seed);
                if is_named { Source { seed, ..named } } else { Source { seed, ..known.clone() } }
            }
            None => {
                say(format!("{network} does not say what it was trained on, nor with which seed"));
                named
            }
        };
        if source.data.is_some() && source.test.is_some() && is_named {
            say("--data is not read: a network that is loaded is not trained");
        }
        say(format!("{network} is tested on {source}"));
        source
    }

    /// The same with folders that stay what they are when the working folder changes.
    pub(crate) fn absolute(&self) -> Source {
        let whole =
            |path: &Option<PathBuf>| path.as_ref().map(|path| std::path::absolute(path).unwrap_or(path.clone()));
        Source { data: whole(&self.data), test: whole(&self.test), seed: self.seed }
    }

    /// The training part and the test part, of these classes or all. For testing alone, the training part is empty
    /// where it need not be read.
    ///
    /// # Errors
    ///
    /// Folders that cannot be read, classes that are not there or not the same in both, one class alone, and a class
    /// without a score to train on.
    pub(crate) fn read(
        &self,
        classes: Option<&[String]>,
        is_for_training: bool,
    ) -> Result<(Dataset, Dataset), Box<dyn Error>> {
        match (&self.data, &self.test) {
            (Some(data), Some(test)) if is_for_training => {
                let (data, test) = (read_folder(data, classes)?, read_folder(test, classes)?);
                if data.classes != test.classes {
                    let [data, test] = [&data, &test].map(|d| d.classes.join(", "));
                    return Err(format!("the classes of --data ({data}) are not those of --test ({test})").into());
                }
                Ok((data, test))
            }
            (None, Some(_)) if is_for_training => {
                Err("--test needs scores to train on: --data DIR, or a network that was saved: --load FILE".into())
            }
            (_, Some(test)) => {
                let test = read_folder(test, classes)?;
                Ok((Dataset { classes: test.classes.clone(), pieces: Vec::new() }, test))
            }
            (Some(data), None) => self.divide(&read_folder(data, classes)?, is_for_training),
            (None, None) => {
                let all = compose_dataset(COMPOSED, self.seed);
                let all = classes.map_or(Ok(all.clone()), |classes| all.only(classes))?;
                expect_two(&all.classes, "--classes names")?;
                self.divide(&all, is_for_training)
            }
        }
    }

    fn divide(&self, all: &Dataset, is_for_training: bool) -> Result<(Dataset, Dataset), Box<dyn Error>> {
        let (train, test) = all.split((all.pieces.len() / TEST_SHARE).max(1), self.seed);
        if let Some(class) = train.class_counts().iter().position(|&count| count == 0).filter(|_| is_for_training) {
            let (name, count) = (&all.classes[class], all.class_counts()[class]);
            let text = format!("the class \"{name}\" has {count} of the scores, and none is left to train on");
            return Err(text.into());
        }
        Ok((train, test))
    }
}

/// Reads a folder, and reports which files were left out and what was odd in others.
fn read_folder(folder: &Path, classes: Option<&[String]>) -> Result<Dataset, Box<dyn Error>> {
    let corpus = corpus::read_folder(folder, classes)?;
    for file in &corpus.broken {
        say(format!("left out: {file}"));
    }
    if !corpus.broken.is_empty() {
        say(format!("{} broken files of {} left out", corpus.broken.len(), folder.display()));
    }
    for line in midi::summary(corpus.odd.iter().map(|(path, oddities)| (path.as_path(), oddities))) {
        say(format!("odd, but read: {line}"));
    }
    expect_two(&corpus.dataset.classes, &format!("{} gives", folder.display()))?;
    Ok(corpus.dataset)
}

/// Writes the scores as MIDI files, to one folder for each class, as [`Source::read`] reads them.
///
/// # Errors
///
/// What cannot be written, by its path; or if the folder is not empty.
pub(crate) fn write_midi(folder: &Path, parts: [&Dataset; 2]) -> Result<(), WriteError> {
    let mut count = 0;
    expect_empty(folder)?;
    for data in parts {
        for class in &data.classes {
            prepare_folder(&folder.join(class))?;
        }
        for piece in &data.pieces {
            let name = format!("{}.mid", piece.score.name());
            piece.score.write_midi(&folder.join(&data.classes[piece.class]).join(name))?;
            count += 1;
        }
    }
    say(format!("{count} scores written to {}, one folder for each class", folder.display()));
    Ok(())
}
