use clap::Parser;
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
    const NAME: &'static str = "small";
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
        let resumed = line(&same).prepared().unwrap();
        assert_eq!(resumed.settings, began.settings);
        let Small { run, hidden, sample } = resumed.arguments;
        assert_eq!(sample.as_deref(), Some("--x"));
        assert_eq!((hidden, run.epochs, run.threads, run.seed()), (7, Some(3), 1, 1));
        assert_eq!(run.resume.as_deref(), Some(path.as_path()));
    }
    let error = |words: &[&str]| line(words).prepared().unwrap_err().to_string();
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

/// The settings of a run that is saved in `path`.
fn begin(path: &Path, words: &[&str]) {
    save(path, &origin::placed(line(words).metadata("a"), path));
}

#[test]
fn a_run_goes_on_with_the_data_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let [run, data, test] = ["run", "data", "test"].map(at);
    let write = |path: &str, text: &str| std::fs::write(path, text).unwrap();
    [&data, &test].into_iter().for_each(|path| write(path, "a"));
    begin(run.as_ref(), &["--data", &data, "--test", &test, "--out", &at("pictures")]);
    let resumed = || line(&["--resume", &run]).prepared().map_err(|error| error.to_string());
    assert_eq!(resumed().unwrap().arguments.out(), folder.path().join("pictures"), "where the run draws");
    begin(run.as_ref(), &["--data", &data, "--test", &test, "--out", &at("")]);
    assert_eq!(resumed().unwrap().arguments.out(), folder.path(), "beside its file");
    for changed in [&data, &test] {
        write(changed, "b");
        assert_eq!(
            resumed().unwrap_err(),
            format!(
                "{changed} has changed since the run of {run} began: --resume goes on with the same data; restore them, or \
                 begin another run"
            )
        );
        write(changed, "a");
    }
    let elsewhere = line(&["--resume", &run, "--out", "x"]).prepared().unwrap();
    assert_eq!(elsewhere.arguments.out(), Path::new("x"));
}

#[test]
fn what_a_user_should_know_of_a_loaded_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let [run, data, other] = ["run", "data", "other"].map(at);
    std::fs::write(&data, "a").unwrap();
    std::fs::write(&other, "b").unwrap();
    begin(run.as_ref(), &["--data", &data, "--seed", "3"]);
    let notes = |words: &[&str]| line(&[&["--load", &run], words].concat()).notes_on(run.as_ref()).unwrap();
    let trained_on =
        vec![format!("{run} was trained with seed 3: the test part may hold items that it was trained on")];
    for same in [&[][..], &["--seed", "3"], &["--test", &other, "--seed", "4"], &["--data", &other, "--seed", "4"]] {
        assert!(notes(same).is_empty(), "{same:?}");
    }
    assert_eq!(notes(&["--seed", "4"]), trained_on);
    assert_eq!(notes(&["--seed", "4", "--data", &data]), trained_on);
    std::fs::write(&data, "c").unwrap();
    let changed =
        format!("{data} has changed since the run of {run}: the test part may hold items that it was trained on");
    assert_eq!([notes(&[]), notes(&["--seed", "4"])].concat(), [changed.clone(), changed]);
    begin(run.as_ref(), &["--data", &data, "--test", &other]);
    std::fs::write(&other, "d").unwrap();
    assert_eq!(notes(&[]), [format!("{other} has changed since the run of {run}")]);
    assert!(notes(&["--data", &data]).is_empty(), "it is named");
}

#[test]
fn a_file_of_another_program_or_with_other_settings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let at = path.display().to_string();
    let told = |argument: &str| line(&[argument, &at]).prepared().unwrap_err().to_string();
    begin(&path, &["--hidden", "7"]);
    let (mut bytes, setting) = (std::fs::read(&path).unwrap(), br#"--hidden\":[\"7"#);
    let found = bytes.windows(setting.len()).position(|part| part == setting).unwrap();
    bytes[found + setting.len() - 1] = b'9';
    std::fs::write(&path, bytes).unwrap();
    for told in ["--load", "--resume"].map(told) {
        assert!(told.starts_with(&format!("file {at:?}: was damaged or edited after it was written: ")), "{told}");
    }
    save(&path, &origin::metadata("large", &Given::new(), Path::new("x")));
    let other = format!("{at} is the file of a run of large; expected one of small");
    assert_eq!([told("--load"), told("--resume")], [other.clone(), other]);
}

#[test]
fn a_run_does_not_write_into_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir_all(at("data/x")).unwrap();
    std::fs::create_dir_all(at("other")).unwrap();
    std::os::unix::fs::symlink(at("data"), at("link")).unwrap();
    let given = |words: &[&str]| {
        line(&[&["--data", &at("data")], words].concat()).prepared().map_err(|error| error.to_string())
    };
    for inside in ["data", "data/x/out", "link/out", "other/../data/x"] {
        let told = given(&["--out", &at(inside)]).unwrap_err();
        assert!(told.starts_with(&format!("--out {} lies in the folder of the data, ", at(inside))), "{told}");
    }
    let told = given(&["--out", &at("out"), "--save", &at("data/net")]).unwrap_err();
    assert!(told.starts_with("--save "), "{told}");
    assert!(given(&["--out", &at("data2")]).is_ok());
    // A file beside the data is not in a folder of data.
    std::fs::write(at("data.txt"), "a").unwrap();
    assert!(line(&["--data", &at("data.txt"), "--out", &at("data.txt.out")]).prepared().is_ok());
}

#[test]
fn data_that_change_while_they_are_read_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("data"), "a").unwrap();
    let line = self::line(&["--data", &at("data"), "--out", &at("out")]).prepared().unwrap();
    std::fs::write(at("data"), "b").unwrap();
    save(at("net").as_ref(), &origin::placed(line.metadata("a"), at("net").as_ref()));
    let told = self::line(&["--resume", &at("net")]).prepared().unwrap_err().to_string();
    assert!(told.starts_with(&format!("{} has changed since the run of ", at("data"))), "{told}");
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
    assert_eq!(files(&[], &["a", "b"]), Ok(vec![new(a.clone()), new(b)]));
    let data = folder.path().join("data.txt").display().to_string();
    std::fs::write(&data, "a\tb\n").unwrap();
    assert_eq!(
        files(&["--save", &data], &["b"]),
        Err(format!("{data}: the file there holds no run of small; expected a new file, or that of a run to replace"))
    );
    // Nor is the run of another program replaced, or what else has the usual name.
    std::fs::create_dir(at("out")).unwrap();
    std::fs::write(&a, "precious").unwrap();
    assert!(files(&[], &["a"]).unwrap_err().contains("out/a.safetensors: the file there holds no run of small"));
    let mut other = origin::metadata("large", &Given::new(), Path::new("x"));
    save(&a, &other);
    assert!(files(&[], &["a"]).unwrap_err().contains("out/a.safetensors: the file there holds no run of small"));
    other.extend(line(&[]).metadata("a"));
    save(&a, &other);
    assert_eq!(files(&[], &["a"]), Ok(vec![new(a.clone())]));
    assert!(files(&["--save", "out/metrics.csv"], &["b"]).unwrap_err().contains("tables and pictures are called so"));
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
fn a_number_below_the_range_is_told_the_range() {
    for (name, range) in [("--epochs", "1..=1000000"), ("--threads", "1..=256")] {
        let error = CommandLine::<Small>::parse(["small", name, "-1"]).unwrap_err().to_string();
        assert!(error.contains(&format!("-1 is not in {range}")), "{error}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for words in [["--load", "x", "--epochs", "3"], ["--load", "x", "--resume", "y"], ["--load", "x", "--save", "y"]] {
        let error = CommandLine::<Small>::parse([&["small"], &words[..]].concat()).unwrap_err().to_string();
        assert!(error.contains("cannot be used with"), "{error}");
    }
}
