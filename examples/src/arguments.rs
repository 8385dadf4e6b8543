//! The command line: the arguments that every task takes, and what of a command line decides the result.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser};
use rewind_rnn::file::{self, Metadata};

/// The keys of the command line and of the model's name in the metadata of a file of a run.
const COMMAND: &str = "command";
const MODEL: &str = "model";

/// The seed of a run that names none.
pub const DEFAULT_SEED: u64 = 1;
/// Weeks of training, on any data.
const MAX_EPOCHS: u64 = 1_000_000;
/// More than the cores of most machines. If the system starts fewer threads, that is a separate error.
const MAX_THREADS: u64 = 256;

/// The arguments that every task takes, to be flattened into those of its own. An argument that only training uses
/// conflicts with `load`.
///
/// ```
/// use clap::Parser;
/// use rewind_examples::arguments::{RunArguments, up_to};
///
/// #[derive(Clone, Parser)]
/// struct Arguments {
///     #[command(flatten)]
///     run: RunArguments,
///     /// Units of the cell.
///     #[arg(long, default_value_t = 64, value_parser = up_to(4096), conflicts_with = "load")]
///     hidden: usize,
/// }
///
/// let arguments = Arguments::try_parse_from(["task", "--epochs", "3", "--hidden", "7"])?;
/// assert_eq!((arguments.run.epochs, arguments.run.seed(), arguments.hidden), (Some(3), 1, 7));
/// assert!(Arguments::try_parse_from(["task", "--load", "net", "--epochs", "3"]).is_err());
/// # Ok::<(), clap::Error>(())
/// ```
#[derive(Args, Clone, Debug, Default)]
pub struct RunArguments {
    /// Train on this file or folder; without it the program makes its own data.
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Test on this file or folder; without it, on a part of --data.
    #[arg(long, value_name = "PATH")]
    pub test: Option<PathBuf>,
    /// The file of the run: the model, the optimiser and the position, written after every epoch and when the run is
    /// stopped. By default a file in --out with the name of the model. If several models are trained, choose one.
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    pub save: Option<PathBuf>,
    /// Load a model from the file of a run and test it without training.
    #[arg(long, value_name = "FILE")]
    pub load: Option<PathBuf>,
    /// Go on with a run that was stopped, from its file and with its settings.
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    pub resume: Option<PathBuf>,
    /// The seed of all random choices; 1 by default, and with --load that of the saved run.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads, 256 at most; they change no result. Training uses two of them, testing all.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(MAX_THREADS))]
    pub threads: usize,
    /// Passes over the training part, a million at most.
    #[arg(long, value_name = "N", value_parser = up_to(MAX_EPOCHS), conflicts_with = "load")]
    pub epochs: Option<usize>,
    /// The folder for pictures and tables; by default target and the name of the program.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A whole number from 1 to `most`.
pub fn up_to(most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=most)
}

/// A number above 0: a value parser.
///
/// # Errors
///
/// If it is none, or is not finite.
pub fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x: &f64| *x > 0.0 && x.is_finite());
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

/// A probability below 1, as that of dropout is: a value parser.
///
/// # Errors
///
/// If it is none.
pub fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|p| (0.0..1.0).contains(p));
    number.ok_or_else(|| "expected a number from 0 to less than 1".to_owned())
}

impl RunArguments {
    /// The seed, [`DEFAULT_SEED`] if none was given.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(DEFAULT_SEED)
    }

    /// The folder of the pictures of `program`.
    pub fn out(&self, program: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("target").join(program))
    }
}

/// The arguments of a task.
pub trait Task: Parser {
    /// The task's own arguments that do not decide the result of a run, such as `--sample`: a run that is resumed takes
    /// them from its new command line.
    const NO_SETTINGS: &'static [&'static str] = &[];

    /// Those that every task takes.
    fn run(&self) -> &RunArguments;
}

/// The file of the training of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFile {
    /// Where it is written.
    pub path: PathBuf,
    /// The file to go on from, if the run is resumed and has one of this model.
    pub from: Option<PathBuf>,
}

/// Arguments by name with their values, as they were given.
type Given = BTreeMap<String, Vec<String>>;

/// A parsed command line. It remembers what was given, since that goes into the file of a run.
#[derive(Clone, Debug)]
pub struct CommandLine<A> {
    /// The arguments.
    pub arguments: A,
    /// What was given and decides the result of a run.
    settings: Given,
    /// What else was given.
    others: Given,
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
    /// As [`Parser::try_parse_from`]; asking for help is such an error too.
    pub fn parse(words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Self, clap::Error> {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let arguments = A::try_parse_from(&words)?;
        let is_setting = |name: &str| !NO_SETTINGS.contains(&name) && !A::NO_SETTINGS.contains(&name);
        let (settings, others) = given(&words).into_iter().partition(|(name, _)| is_setting(name));
        Ok(CommandLine { arguments, settings, others })
    }

    /// With `--resume`, this command line with the settings of the one that began the run; otherwise this one.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is of no run, or if a setting is given that is not that of the run.
    pub fn resumed(self) -> Result<Self, Box<dyn Error>> {
        let Some(path) = self.arguments.run().resume.as_deref() else { return Ok(self) };
        let began = command_of(path)?;
        if let Some((name, values)) = self.settings.iter().find(|(name, values)| began.get(*name) != Some(values)) {
            let of_run = if began.is_empty() { "the default settings".to_owned() } else { text(&began) };
            return Err(format!(
                "{} holds a run with {of_run}; {} would be another run: --resume takes the settings from the file",
                path.display(),
                text(&Given::from([(name.clone(), values.clone())]))
            )
            .into());
        }
        let words = began.iter().chain(&self.others).flat_map(|(name, values)| match &values[..] {
            // A value may begin with a dash.
            [value] => vec![format!("{name}={value}")],
            _ => [std::slice::from_ref(name), values].concat(),
        });
        let arguments = A::try_parse_from(["task".to_owned()].into_iter().chain(words));
        let damaged = |error| format!("{} was not saved by this program: {error}", path.display());
        Ok(CommandLine { arguments: arguments.map_err(damaged)?, settings: began, others: self.others.clone() })
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
            expect_run(save)?;
        }
        let name = |model: &str| format!("{model}.safetensors");
        let begun = |model: &str| save.clone().unwrap_or_else(|| out.join(name(model)));
        let Some(resume) = resume else {
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
        let command = serde_json::to_string(&self.settings).expect("a map of texts can be written");
        [(COMMAND, command), (MODEL, model.to_owned())].map(|(key, value)| (key.to_owned(), value)).into()
    }
}

/// Checks that a run may be saved at `path`: nothing else is there, and nothing else will be written there.
fn expect_run(path: &Path) -> Result<(), String> {
    let at = path.display();
    if path.extension().is_some_and(|extension| ["csv", "svg", "tsv"].iter().any(|other| extension == *other)) {
        return Err(format!(
            "--save {at}: tables and pictures are called so; expected another name, such as net.safetensors"
        ));
    }
    let is_run = || file::metadata(path).is_ok_and(|metadata| metadata.contains_key(COMMAND));
    if path.is_file() && !is_run() {
        return Err(format!(
            "--save {at}: the file there holds no run; expected a new file, or that of a run to replace"
        ));
    }
    Ok(())
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
fn command_of(path: &Path) -> Result<Given, Box<dyn Error>> {
    let metadata = file::metadata(path)?;
    let found = metadata.get(COMMAND).and_then(|text| serde_json::from_str(text).ok());
    found.ok_or_else(|| {
        let found = metadata.get(COMMAND).map_or("missing".to_owned(), |text| format!("{text:?}"));
        let expected = "expected the file of a run, as the program saves it";
        format!("{} holds no run to go on with, its setting \"{COMMAND}\" is {found}; {expected}", path.display())
            .into()
    })
}

#[cfg(test)]
mod tests {
    use rewind_autograd::Tensor;
    use rewind_rnn::Linear;

    use super::*;

    #[derive(Clone, Debug, Parser)]
    struct Small {
        #[command(flatten)]
        run: RunArguments,
        #[arg(long, default_value_t = 8)]
        hidden: usize,
        #[arg(long)]
        sample: Option<String>,
    }

    impl Task for Small {
        const NO_SETTINGS: &'static [&'static str] = &["--sample"];

        fn run(&self) -> &RunArguments {
            &self.run
        }
    }

    /// A file with this metadata.
    fn save(path: &Path, metadata: &Metadata) {
        let module = Linear::<Tensor<f32>> { weight: Tensor::zeros(&[1, 1]), bias: None };
        file::save(path, &module, metadata).unwrap();
    }

    fn line(words: &[&str]) -> CommandLine<Small> {
        CommandLine::parse([&["small"], words].concat()).unwrap()
    }

    #[test]
    fn settings_are_what_decides_the_result() {
        let words = ["--data=a=b", "--hidden", "7", "--threads", "3", "--out", "x", "--seed", "5", "--sample=--x"];
        let line = line(&words);
        let data = std::path::absolute("a=b").unwrap().display().to_string();
        let expected = [("--data", data.as_str()), ("--hidden", "7"), ("--seed", "5")];
        let expected: Given = expected.map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).into();
        assert_eq!(line.settings, expected);
    }

    #[test]
    fn a_run_goes_on_with_its_settings_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let at = path.to_str().unwrap();
        let began = line(&["--hidden", "7", "--epochs", "3", "--sample", "begin"]);
        let save = |command: &str| save(&path, &[(COMMAND.to_owned(), command.to_owned())].into());
        save(&began.metadata("a")[COMMAND]);
        let new = ["--resume", at, "--threads", "1", "--sample=--x"];
        for same in [new.to_vec(), [&new[..], &["--hidden=7"]].concat()] {
            let resumed = line(&same).resumed().unwrap();
            assert_eq!(resumed.settings, began.settings);
            let Small { run, hidden, sample } = resumed.arguments;
            assert_eq!(sample.as_deref(), Some("--x"));
            assert_eq!((hidden, run.epochs, run.threads, run.seed()), (7, Some(3), 1, 1));
            assert_eq!(run.resume.as_deref(), Some(path.as_path()));
        }
        let error = |words: &[&str]| line(words).resumed().unwrap_err().to_string();
        assert_eq!(
            error(&["--resume", at, "--epochs", "4"]),
            format!(
                "{at} holds a run with --epochs 3 --hidden 7; --epochs 4 would be another run: \
                 --resume takes the settings from the file"
            )
        );
        save("[");
        assert!(error(&["--resume", at]).contains("holds no run to go on with, its setting \"command\" is \"[\""));
        save("{\"--unknown\":[]}");
        assert!(error(&["--resume", at]).contains("was not saved by this program: error: unexpected argument"));
        std::fs::write(&path, "text").unwrap();
        assert!(error(&["--resume", at]).contains("no whole safetensors file"));
    }

    #[test]
    fn files_of_runs_are_where_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let files = |words: &[&str], models: &[&str]| {
            let found = line(words).run_files(models, &at("out"), "choose by --cell");
            found.map_err(|error| error.to_string())
        };
        let file = |path: PathBuf, from: Option<PathBuf>| RunFile { path, from };
        let new = |path: PathBuf| file(path, None);
        let [a, b] = [at("out/a.safetensors"), at("out/b.safetensors")];
        assert_eq!(files(&[], &["a", "b"]), Ok(vec![new(a), new(b)]));
        let data = folder.path().join("data.txt").display().to_string();
        std::fs::write(&data, "a\tb\n").unwrap();
        assert_eq!(
            files(&["--save", &data], &["b"]),
            Err(format!(
                "--save {data}: the file there holds no run; expected a new file, or that of a run to replace"
            ))
        );
        assert!(
            files(&["--save", "out/metrics.csv"], &["b"]).unwrap_err().contains("tables and pictures are called so")
        );
        assert_eq!(files(&["--save", "x/net"], &["b"]), Ok(vec![new("x/net".into())]));
        assert_eq!(
            files(&["--save", "net"], &["a", "b"]),
            Err("--save has room for one model, not for a, b: choose by --cell".to_owned())
        );

        let (net, net_at) = (at("net"), at("net").display().to_string());
        save(&net, &line(&["--hidden", "7"]).metadata("b"));
        let beside = at("a.safetensors");
        let resume = ["--resume", &net_at];
        let expected = |from| Ok(vec![file(beside.clone(), from), file(net.clone(), Some(net.clone()))]);
        assert_eq!(files(&resume, &["a", "b"]), expected(None));
        // That of another run is not gone on with.
        save(&beside, &line(&["--hidden", "9"]).metadata("a"));
        assert_eq!(files(&resume, &["a", "b"]), expected(None));
        save(&beside, &line(&["--hidden", "7"]).metadata("a"));
        assert_eq!(files(&resume, &["a", "b"]), expected(Some(beside.clone())));
        let other = [&resume[..], &["--save", "other"]].concat();
        assert_eq!(files(&other, &["b"]), Ok(vec![file("other".into(), Some(net.clone()))]));
        assert_eq!(files(&resume, &["c"]), Err(format!("{net_at} is the run of b; expected that of c")));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for words in
            [["--load", "x", "--epochs", "3"], ["--load", "x", "--resume", "y"], ["--load", "x", "--save", "y"]]
        {
            let error = CommandLine::<Small>::parse([&["small"], &words[..]].concat()).unwrap_err().to_string();
            assert!(error.contains("cannot be used with"), "{error}");
        }
    }
}
