//! For the tests of the programs: the whole program on a command line, in a folder of its own.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;

use rewind_rnn::file;

use crate::{CommandLine, Interrupt, Task};

/// A temporary folder, and paths in it as text.
pub struct Place(tempfile::TempDir);

impl Default for Place {
    fn default() -> Self {
        Place(tempfile::tempdir().expect("a temporary folder can be made"))
    }
}

impl Place {
    /// An empty folder.
    pub fn new() -> Place {
        Place::default()
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// A file with these contents, in folders that are made.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder can be written");
        fs::write(path, contents).expect("the folder can be written");
        self.at(name)
    }
}

/// The function of a program that does what its command line asks for.
type Run<A> = fn(&CommandLine<A>, &Interrupt, &mut dyn Write) -> Result<(), Box<dyn Error>>;

/// A program by its name and its function.
pub struct Program<A> {
    /// The name, the first word of its command line.
    pub name: &'static str,
    /// What `main` calls.
    pub run: Run<A>,
}

impl<A: Task> Program<A> {
    /// A command line, with the settings of the run that it resumes.
    pub fn line(&self, words: &[&str]) -> CommandLine<A> {
        self.prepared(words).expect("the file is of that run")
    }

    fn prepared(&self, words: &[&str]) -> Result<CommandLine<A>, Box<dyn Error>> {
        CommandLine::parse([&[self.name], words].concat()).expect("the arguments are right").prepared()
    }

    /// The standard output of the program, or its error.
    ///
    /// # Errors
    /// That of the program.
    pub fn outcome(&self, words: &[&str], interrupt: Interrupt) -> Result<String, String> {
        let mut out = Vec::new();
        let result = self.prepared(words).and_then(|line| (self.run)(&line, &interrupt, &mut out));
        result.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).expect("the results are text"))
    }

    /// The standard output.
    pub fn output(&self, words: &[&str]) -> String {
        self.outcome(words, Interrupt::never()).expect("the program has what it needs")
    }

    /// The error with which the program refuses.
    pub fn error(&self, words: &[&str]) -> String {
        self.outcome(words, Interrupt::never()).expect_err("the program must refuse")
    }
}

/// The bytes of a file of tensors that was changed on purpose, with the checksum of what it holds now. A file without one stays as it is.
pub fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let key = br#""rewind.checksum":""#;
    let at = bytes.windows(key.len()).position(|part| part == key).map(|at| at + key.len());
    if let Some((at, sum)) = at.zip(file::checksum(&bytes))
        && let Some(old) = bytes.get_mut(at..at + sum.len())
    {
        old.copy_from_slice(sum.as_bytes());
    }
    bytes
}

/// The value and the count of a line of results, such as `gru test accuracy 0.940 (n=100)`.
pub fn figure<'a>(told: &'a str, name: &str, metric: &str) -> (f64, &'a str) {
    let start = format!("{name} test {metric} ");
    let line = told.lines().find_map(|line| line.strip_prefix(&start)).expect("there is such a line");
    let (value, count) = line.split_once(' ').expect("a value and a count");
    (value.parse().expect("a number"), count)
}

/// The files of a folder with their contents, by name.
pub fn contents(folder: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("it was written").map(|entry| entry.expect("it can be listed").path());
    let name = |path: &Path| path.file_name().expect("it has one").to_string_lossy().into_owned();
    let mut files: Vec<_> = entries.map(|path| (name(&path), fs::read(&path).expect("it can be read"))).collect();
    files.sort();
    files
}
