//! The whole program at a small size, and errors in its use.

mod program;

use std::error::Error;
use std::fs;

use clap::CommandFactory;
use rewind_autograd::Parameters;
use rewind_examples::RunFile;
use rewind_examples::{CommandLine, Interrupt};
use rewind_rnn::{Shards, file};

use crate::arguments::Arguments;
use crate::compose::compose_dataset;
use crate::dataset::Dataset;
use crate::model::Classifier;
use crate::saved::Saved;
use crate::{run, train_one};
use rewind_examples::CellKind;

fn prepared(more: &[&str]) -> Result<CommandLine<Arguments>, Box<dyn Error>> {
    CommandLine::parse([&["music_genre"], more].concat()).expect("the arguments are right").prepared()
}

fn line(more: &[&str]) -> CommandLine<Arguments> {
    prepared(more).expect("the file is of that run")
}

fn arguments(more: &[&str]) -> Arguments {
    line(more).arguments
}

fn refused(more: &[&str]) -> String {
    let line = CommandLine::<Arguments>::parse([&["music_genre"], more].concat());
    line.expect_err("the arguments are wrong").to_string()
}

fn error(more: &[&str]) -> String {
    let outcome = prepared(more).and_then(|line| run(&line, &Interrupt::never(), &mut Vec::new()));
    outcome.expect_err("the program must refuse").to_string()
}

/// The standard output of the program.
fn output(more: &[&str]) -> String {
    let mut out = Vec::new();
    run(&line(more), &Interrupt::never(), &mut out).expect("the program has what it needs");
    String::from_utf8(out).expect("the results are text")
}

/// 24 composed scores, a third of them for testing.
fn small() -> (Dataset, Dataset) {
    compose_dataset(24, 3).split(8, 3)
}

fn trained(kind: CellKind, threads: usize) -> (Saved, Vec<f64>) {
    let (train, test) = small();
    let shards = Shards::new(threads).expect("threads can be started");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = RunFile { path: folder.path().join("run"), from: None };
    let given = line(&["--epochs", "2", "--hidden", "7", "--max-steps", "40"]);
    let never = Interrupt::never();
    let (saved, curve, _) = train_one(kind, &given, &file, [&train, &test], (&never, &shards)).expect("it trains");
    (saved, [curve.train_loss, curve.test_loss, curve.test_figure].concat())
}

fn numbers(saved: &Saved) -> Vec<f32> {
    saved.model.leaves().into_iter().flat_map(|tensor| tensor.to_vec()).collect()
}

#[test]
fn a_seed_gives_the_same_figures_whatever_the_threads() {
    for kind in [CellKind::Tanh, CellKind::Lstm, CellKind::Gru] {
        let (one, curve) = trained(kind, 1);
        let (three, same_curve) = trained(kind, 3);
        assert_eq!(numbers(&one), numbers(&three));
        assert_eq!(curve, same_curve);
    }
}

#[test]
fn a_saved_network_answers_as_before() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("gru.safetensors");
    let (_, test) = small();
    let (saved, _) = trained(CellKind::Gru, 1);
    file::save(&path, &saved.model, &saved.metadata()).expect("the folder can be written");
    let loaded = Saved::load(&path).expect("the file is whole");
    assert_eq!((&loaded.classes, &loaded.source), (&test.classes, &saved.source));
    assert_eq!(numbers(&saved), numbers(&loaded));
    assert_eq!(loaded.model.design, saved.model.design);

    let others = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let message = loaded.expect_classes(&path, &others).expect_err("other classes").to_string();
    assert!(message.ends_with("gru.safetensors tells blues,rock,classical apart; the scores are a,b,c"), "{message}");

    // Files of earlier versions, and settings that would take all memory before the parameters are looked at.
    let known = file::metadata(&path).expect("the file is whole");
    let mut without_seed = known.clone();
    without_seed.remove("seed").expect("it is saved");
    file::save(&path, &saved.model, &without_seed).expect("the folder can be written");
    let old = Saved::load(&path).expect("the seed is not needed");
    assert_eq!((numbers(&old), old.source), (numbers(&saved), None));
    for (key, value) in [("hidden", "1000000000"), ("seed", "x"), ("max_steps", "0")] {
        let changed = file::Metadata::from([(key.to_owned(), value.to_owned())]);
        let metadata = known.clone().into_iter().chain(changed).collect();
        file::save(&path, &saved.model, &metadata).expect("the folder can be written");
        let message = Saved::load(&path).expect_err("the setting is wrong").to_string();
        assert!(message.ends_with(&format!("its setting \"{key}\" is \"{value}\"")), "{message}");
    }
    // A network of that size is possible, but not in this file.
    let large = [("hidden".to_owned(), "4096".to_owned())];
    file::save(&path, &saved.model, &known.into_iter().chain(large).collect()).expect("the folder can be written");
    let message = Saved::load(&path).expect_err("the file is too short").to_string();
    assert!(message.contains(" bytes; a model of its settings has "), "{message}");

    let whole = fs::read(&path).expect("it was just written");
    fs::write(&path, &whole[..whole.len() / 2]).expect("the folder can be written");
    let message = Saved::load(&path).expect_err("half a file").to_string();
    assert!(message.contains("gru.safetensors"), "{message}");
}

#[test]
fn wrong_input_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(folder.path().join("file"), "no folder").expect("the folder can be written");
    let out = at("out");

    assert!(error(&["--out", &at("file/out")]).starts_with(&format!("cannot write to the folder {}", at("file/out"))));
    let message = error(&["--cell", "gru", "--save", &at("file/net"), "--out", &out]);
    assert!(message.starts_with(&format!("cannot write to the folder {}", at("file"))), "{message}");
    assert!(error(&["--data", &at("nowhere"), "--out", &out]).contains("nowhere"));
    assert!(error(&["--test", &at("nowhere"), "--out", &out]).starts_with("--test needs scores to train on"));
    assert!(error(&["--load", &at("file"), "--out", &out]).contains("no whole safetensors file"));
    assert!(error(&["--load", &at("absent"), "--out", &out]).contains("absent\": cannot be read"));

    for class in ["a", "b"] {
        fs::create_dir_all(folder.path().join("scores").join(class)).expect("the folder can be written");
        fs::write(folder.path().join("scores").join(class).join("x.mid"), "text").expect("the folder can be written");
    }
    let message = error(&["--data", &at("scores"), "--out", &out]);
    assert!(message.contains("has no readable score: 1 tried;") && message.contains("x.mid"), "{message}");

    assert!(refused(&["--hidden", "0"]).contains("'--hidden <N>'"));
    assert!(refused(&["--threads", "0"]).contains("'--threads <N>'"));
    for (argument, most) in
        [("--hidden", 4096), ("--threads", 256), ("--epochs", 1_000_000), ("--max-steps", 65_536_u64)]
    {
        let message = refused(&[argument, &(most + 1).to_string()]);
        assert!(message.contains(&format!("{} is not in 1..={most}", most + 1)), "{message}");
        arguments(&[argument, &most.to_string()]);
    }
    assert!(refused(&["--load", "x", "--max-steps", "9"]).contains("cannot be used with"));
    assert!(refused(&["--write-midi", "x", "--test", "y"]).contains("cannot be used with"));
    let told = error(&["--save", "x", "--out", &out]);
    assert_eq!(told, "--save has room for one model, not for tanh, lstm, gru: choose one by --cell");
    assert!(refused(&["--cell", "transformer"]).contains("[possible values: tanh, lstm, gru]"));
}

#[test]
fn the_help_is_plain_text() {
    let help = Arguments::command().render_long_help().to_string();
    assert!(help.contains("32 values a step: also which pitch classes begin"), "{help}");
    for raw in ["[`", "`]", "| entries", "numbers:"] {
        assert!(!help.contains(raw), "{raw} in\n{help}");
    }
}

#[test]
fn the_checkpoint_names_every_parameter() {
    let (saved, _) = trained(CellKind::Tanh, 1);
    let names = ["cell.weight_ih", "cell.weight_hh", "cell.bias", "readout.weight", "readout.bias"];
    assert_eq!(Classifier::names(&saved.model), names);
}
