//! The whole program at a small size, and errors in its use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use rewind_examples::testing::{Place, Program, contents, figure};
use rewind_examples::{CommandLine, Interrupt};

use crate::arguments::Arguments;
use crate::run;
use crate::saved::Saved;

const PROGRAM: Program<Arguments> = Program { name: "translate", run };

/// Different sentences of two to four letters with their translation: the same, from back to front.
fn reversed(from: usize, count: usize) -> String {
    let sentence = |i: usize| -> Vec<&str> {
        (0..2 + i % 3).map(|k| ["a", "b", "c", "d"][i / 3 / 4_usize.pow(k as u32) % 4]).collect()
    };
    let line = |i: usize| {
        let words = sentence(i);
        let back: Vec<_> = words.iter().rev().map(|word| word.to_uppercase()).collect();
        format!("{} ?\t{} ?\n", words.join(" "), back.join(" "))
    };
    // By 7, so that each part has sentences of all lengths.
    (from..from + count).map(|i| line(i * 7 % 768)).collect()
}

const SMALL: [&str; 10] = ["--hidden", "9", "--embedding", "5", "--epochs", "3", "--batch", "16", "--least", "1"];

#[test]
fn it_learns_an_order_that_no_table_of_words_has() {
    let place = Place::new();
    let (data, test, out) =
        (place.file("a.tsv", reversed(0, 500)), place.file("b.tsv", reversed(500, 100)), place.at("out"));
    let recipe =
        ["--hidden", "24", "--embedding", "12", "--epochs", "14", "--batch", "16", "--rate", "0.02", "--least", "1"];
    let recipe = [&recipe[..], &["--dropout", "0", "--smoothing", "0"]].concat();
    let told = PROGRAM.output(&[&["--data", &data, "--test", &test, "--out", &out][..], &recipe].concat());
    let [baseline, plain, attention] = ["baseline", "plain", "attention"].map(|name| figure(&told, name, "bleu"));
    assert!(baseline.0 < 0.7 && plain.0 > 0.8 && attention.0 > 0.95, "{told}");
    assert_eq!(baseline.1, attention.1);
    let table = fs::read_to_string(place.at("out/metrics.csv")).expect("it was written");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (1 + 1 + 2 * 14, "model,epoch,train_loss,train_exact,test_loss,test_exact"));
    let rows = fs::read_to_string(place.at("out/translations_attention.tsv")).expect("it was written");
    let right = rows.lines().filter(|row| row.starts_with("right\t")).count();
    assert!(right > 80 && rows.lines().any(|row| row.contains("\tB A?\t")), "{rows}");
    for picture in ["attention.svg", "learning_curves.svg"] {
        assert!(fs::read_to_string(Path::new(&out).join(picture)).expect("it was drawn").ends_with("</svg>\n"));
    }
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
    let place = Place::new();
    let (data, whole) = (place.file("a.tsv", reversed(0, 120)), place.at("whole"));
    let settings = [&SMALL[..], &["--data", &data]].concat();
    let expected = PROGRAM.output(&[&settings[..], &["--out", &whole]].concat());
    let mut stopped = BTreeSet::new();
    for looks in [1, 4, 5, 6, 11, 15, 17, 22, 28] {
        let out = place.at(&format!("stopped{looks}"));
        let told = PROGRAM.outcome(&[&settings[..], &["--out", &out]].concat(), Interrupt::after(looks));
        let told = told.expect_err("it is stopped");
        let name = ["plain", "attention"][usize::from(told.contains("attention"))];
        stopped.insert(name);
        let file = Path::new(&out).join(format!("{name}.safetensors")).display().to_string();
        assert_eq!(told, format!("stopped and saved to {file}; --resume {file} goes on"));
        let resumed = PROGRAM.output(&["--resume", &file, "--out", &out, "--threads", "1"]);
        assert_eq!(resumed, expected, "stopped at {looks}");
        assert!(contents(&out) == contents(&whole), "stopped at {looks}");
    }
    assert_eq!(stopped.len(), 2, "both models were stopped");
}

#[test]
fn a_saved_model_is_tested_and_translates() {
    let place = Place::new();
    let (data, out, net) = (place.file("a.tsv", reversed(0, 100)), place.at("out"), place.at("net"));
    let one = ["--data", &data, "--out", &out, "--model", "attention", "--save", &net];
    let told = PROGRAM.output(&[&SMALL[..], &one].concat());
    let line = told.lines().find(|line| line.starts_with("attention ")).expect("a figure");
    assert_eq!(PROGRAM.output(&["--load", &net, "--out", &out]).trim_end(), line);
    let other = place.file("b.tsv", reversed(300, 9));
    assert_eq!(
        figure(&PROGRAM.output(&["--load", &net, "--test", &other, "--out", &out]), "attention", "bleu").1,
        "(n=9)"
    );

    let said = |text: &str| PROGRAM.output(&["--load", &net, "--beam", "3", "--translate", text]);
    assert_eq!(said("a b ?\nnobody knows this\n\n").lines().count(), 3);
    assert_eq!(said("a b ?").lines().collect::<Vec<_>>(), said("a  b ?").lines().collect::<Vec<_>>());
    let blank = CommandLine::<Arguments>::parse(["translate", "--load", &net, "--translate", " "]);
    assert!(blank.expect_err("there is nothing to translate").to_string().contains("expected a text, or -"));
    let told = PROGRAM.error(&["--load", &net, "--translate", &format!("a\n{}", "a ".repeat(61))]);
    assert_eq!(told, "line 2 of the text has 61 words; expected 60 at most");

    // Settings that would take all memory before the parameters are looked at.
    let saved = Saved::load(Path::new(&net)).expect("it was saved");
    let path = place.at("changed");
    let told = |key: &str, value: &str| {
        let mut metadata = saved.metadata();
        metadata.insert(key.to_owned(), value.to_owned());
        rewind_rnn::file::save(&path, &saved.model, &metadata).expect("the folder can be written");
        PROGRAM.error(&["--load", &path, "--out", &out])
    };
    for (key, value) in
        [("hidden", "1000000000"), ("embedding", "0"), ("dropout", "1"), ("kind", "x"), ("to", "{}"), ("seed", "x")]
    {
        let expected = format!("{path} was not saved by this program: its setting \"{key}\" is {value:?}");
        assert_eq!(told(key, value), expected);
    }
    // A model of that size is possible, but not in this file.
    let large = told("hidden", "4096");
    assert!(large.contains(" bytes; a model of its settings has "), "{large}");
}

#[test]
fn unlike_texts_are_read() {
    let place = Place::new();
    let long = format!("{}\t{}\n", "x".repeat(100_000), "y ".repeat(3));
    let lines = format!("\u{feff}{}a b ?\tB A ?\tsomebody\nunknown ?\tWords !\n{long}\n", reversed(0, 20))
        .replace('\n', "\r\n");
    let (data, test) = (place.file("a.tsv", reversed(0, 60)), place.file("b.tsv", lines));
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &data, "--test", &test, "--out", &place.at("out")]].concat());
    let (_, count) = figure(&told, "plain", "bleu");
    assert!(count == "(n=21)" || count == "(n=22)", "{told}");
}

#[test]
fn wrong_input_is_named() {
    let place = Place::new();
    let (good, out) = (place.file("good.tsv", reversed(0, 60)), place.at("out"));
    let told = |words: &[&str]| PROGRAM.error(&[words, &["--out", &out]].concat()).replace(&place.at(""), "");
    assert!(told(&["--data", &place.at("none")]).starts_with("cannot read none: "));
    assert!(told(&["--test", &good]).starts_with("--test needs a file to train on"));
    let short = place.file("short.tsv", "a\tb\nc\td\n");
    assert_eq!(told(&["--data", &short]), "short.tsv has 2 sentences; expected 5 at least, or --test FILE");
    assert_eq!(
        told(&["--data", &short, "--test", &good]),
        "0 distinct words are in 2 sentences or more; expected 1 to 50000 (--least)"
    );
    let untabbed = place.file("untabbed.tsv", "a\tb\nc d\n");
    assert_eq!(
        told(&["--data", &good, "--test", &untabbed]),
        "untabbed.tsv, line 2: \"c d\" has no tab; expected source, tab, target"
    );
    assert_eq!(
        told(&["--data", &good, "--save", "x"]),
        "--save has room for one model, not for plain, attention: choose one by --model"
    );
    assert!(told(&["--load", &good]).contains("no whole safetensors file"));
    let refused = |words: &[&str]| {
        CommandLine::<Arguments>::parse([&["translate"], words].concat()).expect_err("they are wrong").to_string()
    };
    for words in [
        ["--own", "1"],
        ["--dropout", "1.5"],
        ["--smoothing", "nan"],
        ["--rate", "0"],
        ["--beam", "0"],
        ["--hidden", "5000"],
    ] {
        assert!(refused(&words).contains(words[0]), "{words:?}: {}", refused(&words));
    }
    assert!(refused(&["--translate", "a"]).contains("--load"));
    Arguments::command().debug_assert();
}
