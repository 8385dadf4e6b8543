//! The whole program at a small size, and errors in its use.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use rewind_autograd::{OnTape, Parameters};
use rewind_examples::testing::{Place, Program, figure};
use rewind_examples::{CommandLine, Interrupt};

use crate::arguments::Arguments;
use crate::run;
use crate::saved::Saved;

const PROGRAM: Program<Arguments> = Program { name: "text_class", run };

/// Lines of letters whose class is the first one: what lies between is as long as `most`, and the same in both classes.
fn first_letters(count: usize, most: usize) -> String {
    let line = |i: usize| {
        let (first, label) = [("u", "up"), ("d", "down")][i % 2];
        let rest: Vec<_> = (0..i / 2 % most).map(|k| ["u", "d", "u x", "d x"][(k + i / 4) % 4]).collect();
        format!("{label}\t{first} {}\n", rest.join(" "))
    };
    (0..count).map(line).collect()
}

const SMALL: [&str; 8] = ["--hidden", "9", "--embedding", "5", "--epochs", "3", "--batch", "16"];
/// The recipe of written texts.
const PLAIN: [&str; 8] = ["--evidence", "false", "--both-ways", "false", "--dropout", "0", "--read-out", "last"];

#[test]
fn it_learns_what_words_do_not_tell() {
    let place = Place::new();
    let (data, test) = (place.file("a.tsv", first_letters(400, 7)), place.file("b.tsv", first_letters(60, 7)));
    let out = place.at("out");
    let given = ["--data", &data, "--test", &test, "--out", &out, "--epochs", "12", "--hidden", "16", "--rate", "0.02"];
    let told = PROGRAM.output(&[&given[..], &PLAIN].concat());
    let ((words, n), (gru, m)) = (figure(&told, "baseline", "accuracy"), figure(&told, "gru", "accuracy"));
    assert_eq!([n, m, figure(&told, "pairs", "accuracy").1], ["(n=60)"; 3]);
    assert!(words < 0.9 && gru > 0.97, "{told}");
    let table = fs::read_to_string(place.at("out/metrics.csv")).expect("it was written");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (15, "model,epoch,train_loss,train_accuracy,test_loss,test_accuracy"));
    assert!(lines[1].starts_with("baseline,,,,") && lines[2].starts_with("pairs,,,,"), "{table}");
    let last: f64 = lines[14].rsplit(',').next().expect("it has columns").parse().expect("a number");
    assert!((last - gru).abs() < 6e-4, "{table}");
    for name in ["learning_curves.svg", "confusion.svg"] {
        let picture = fs::read_to_string(place.at("out").clone() + "/" + name).expect("it was drawn");
        assert!(picture.ends_with("</svg>\n"), "{name}");
    }
}

#[test]
fn evidence_of_a_training_text_is_counted_in_others() {
    // Every text has a word of its own beside the one that all have. In its own counts the word would tell the class, so that
    // the training part would look easy and the test part would not.
    let place = Place::new();
    let lines = |from: usize, count: usize| -> String {
        (from..from + count).map(|i| format!("{}\tword{} all\n", ["a", "b"][i % 2], "x".repeat(i + 1))).collect()
    };
    let (data, test) = (place.file("a.tsv", lines(0, 100)), place.file("b.tsv", lines(100, 40)));
    let given = ["--data", &data, "--test", &test, "--out", &place.at("out"), "--least", "1", "--dropout", "0.9"];
    PROGRAM.output(&[&given[..], &["--epochs", "3", "--embedding", "1", "--hidden", "1"]].concat());
    let table = fs::read_to_string(place.at("out/metrics.csv")).expect("it was written");
    let last: Vec<f64> =
        table.lines().last().expect("it has rows").split(',').skip(2).map(|x| x.parse().expect("a number")).collect();
    assert!(last[0] > 0.6 && last[2] > 0.6, "{table}");
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
    let place = Place::new();
    let (data, whole) = (place.file("a.tsv", first_letters(125, 5)), place.at("whole"));
    let given = ["--data", &data, "--cell", "lstm"];
    let expected = PROGRAM.output(&[&SMALL[..], &given, &["--out", &whole]].concat());
    // 7 batches an epoch.
    for looks in [1, 6, 7, 10, 21] {
        let out = place.at(&format!("stopped{looks}"));
        let told = PROGRAM.outcome(&[&SMALL[..], &given, &["--out", &out]].concat(), Interrupt::after(looks));
        let file = Path::new(&out).join("lstm.safetensors").display().to_string();
        assert_eq!(told, Err(format!("stopped and saved to {file}; --resume {file} goes on")));
        assert_eq!(
            PROGRAM.output(&["--resume", &file, "--out", &out, "--threads", "1"]),
            expected,
            "stopped at {looks}"
        );
        for name in ["lstm.safetensors", "metrics.csv", "learning_curves.svg", "confusion.svg"] {
            let [a, b] = [&out, &whole].map(|folder| fs::read(Path::new(folder).join(name)).expect("it was written"));
            assert!(a == b, "{name}, stopped at {looks}");
        }
    }
}

#[test]
fn a_saved_network_is_tested_and_answers() {
    let place = Place::new();
    let (data, out, net) = (place.file("a.tsv", first_letters(125, 5)), place.at("out"), place.at("net"));
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &data, "--out", &out, "--save", &net]].concat());
    assert_eq!(figure(&told, "gru", "accuracy").1, "(n=25)");
    let again = PROGRAM.output(&["--load", &net, "--out", &out]);
    assert_eq!(figure(&again, "gru", "accuracy"), figure(&told, "gru", "accuracy"));
    let test = place.file("test.tsv", "up\tu x\ndown\td x d\nup\tu\n");
    assert_eq!(
        figure(&PROGRAM.output(&["--load", &net, "--test", &test, "--out", &out]), "gru", "accuracy").1,
        "(n=3)"
    );

    let told = PROGRAM.output(&["--load", &net, "--classify", "U x zebra"]);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("u      down 0.") && lines[2].ends_with("  (unknown)"), "{told}");
    // A text that ends there has that answer.
    let short = PROGRAM.output(&["--load", &net, "--classify", "U x"]);
    assert_eq!(short.lines().last().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>()), {
        Some(lines[1].split_whitespace().skip(1).collect())
    });
    assert_eq!(PROGRAM.error(&["--load", &net, "--classify", " \t"]), "\" \\t\" has no words to classify");
    let told = PROGRAM.error(&[
        "--load",
        &net,
        "--seed",
        "2",
        "--test",
        &place.file("odd.tsv", "sideways\tu\n"),
        "--out",
        &out,
    ]);
    assert!(told.ends_with("odd.tsv, line 1: the label \"sideways\" is none of the classes: down, up"), "{told}");

    // Settings that would take all memory before the parameters are looked at.
    let saved = Saved::load(Path::new(&net)).expect("it was saved");
    assert_eq!(saved.model.names()[..2], ["words", "cells.forward.weight_ih"]);
    let path = place.at("changed");
    let told = |key: &str, value: &str| {
        let mut metadata = saved.metadata();
        metadata.insert(key.to_owned(), value.to_owned());
        rewind_rnn::file::save(&path, &saved.model, &metadata).expect("the folder can be written");
        PROGRAM.error(&["--load", &path, "--out", &out])
    };
    for (key, value) in [
        ("hidden", "1000000000"),
        ("embedding", "0"),
        ("seed", "x"),
        ("dropout", "1.5"),
        ("cell", "perceptron"),
        ("classes", "[\"one\"]"),
        ("words", "[[\"\",[0]]]"),
        ("read_out", "first"),
    ] {
        let expected = format!("{path} was not saved by this program: its setting \"{key}\" is {value:?}");
        assert_eq!(told(key, value), expected);
    }
    // A model of that size is possible, but not in this file.
    let large = told("hidden", "4096");
    assert!(large.contains(" bytes; a model of its settings has "), "{large}");
    assert_eq!(saved.model.design.parameters(), saved.model.parameter_count() as u64);
}

#[test]
fn any_labelled_text_will_do() {
    let place = Place::new();
    let out = place.at("out");
    let long = format!("a\t{}\nb\t{}\n", "x".repeat(100_000), "y ".repeat(50_000)).repeat(5);
    let windows = "\u{feff}".to_owned() + &"a\té!\r\nb\tü\r\n\r\na\t \r\n".repeat(5);
    let many: String = (0..33).map(|i| format!("class {}\ttext\n", i % 11)).collect();
    for (name, text, n) in [("long", &long, "(n=2)"), ("windows", &windows, "(n=2)"), ("many", &many, "(n=6)")] {
        let data = place.file(name, text);
        let told =
            PROGRAM.output(&["--data", &data, "--hidden", "3", "--embedding", "2", "--epochs", "1", "--out", &out]);
        assert_eq!((figure(&told, "gru", "accuracy").1, figure(&told, "baseline", "accuracy").1), (n, n), "{name}");
    }
}

#[test]
fn wrong_input_is_named() {
    let place = Place::new();
    let out = place.at("out");
    let data = |contents: &[u8]| {
        let path = place.file("data", contents);
        PROGRAM.error(&["--data", &path, "--out", &out]).replace(&path, "DATA")
    };
    assert_eq!(data(b""), "DATA is empty; expected text");
    assert_eq!(data(b"\n\n"), "DATA has no line with a label and something to classify");
    assert_eq!(data(b"a\tx\nragged\n"), "DATA, line 2: \"ragged\" has no tab; expected label, tab, item");
    assert_eq!(data(b"a\tx\na\ty\n"), "DATA has one class alone, \"a\"; expected two at least, to tell apart");
    let latin = data(b"a\tx\nb\tcaf\xe9\n");
    assert_eq!(latin, "DATA, line 2: byte 10 is 0xe9; expected UTF-8: convert the file, from Latin-1 perhaps");
    assert_eq!(data(b"GIF89a\0\0"), "DATA, line 1: byte 7 is 0; expected text, and no binary file");

    let good = place.file("good", first_letters(20, 3));
    let unknown = place.file("unknown", "up\tu\nleft\td\n");
    let told = PROGRAM.error(&["--data", &good, "--test", &unknown, "--out", &out]);
    assert_eq!(told, format!("{unknown}, line 2: the label \"left\" is none of the classes: down, up"));
    assert!(PROGRAM.error(&["--data", &place.at("none"), "--out", &out]).starts_with("cannot read "));
    assert!(PROGRAM.error(&["--test", &good, "--out", &out]).starts_with("--test needs a file to train on"));
    assert!(PROGRAM.error(&["--load", &good, "--out", &out]).contains("no whole safetensors file"));
    let told = PROGRAM.error(&["--data", &good, "--out", &place.at("good/out")]);
    assert!(told.starts_with("cannot write to the folder "), "{told}");

    let refused = |words: &[&str]| {
        CommandLine::<Arguments>::parse([&["text_class"], words].concat()).expect_err("they are wrong").to_string()
    };
    assert!(refused(&["--dropout", "1"]).contains("expected a number from 0 to less than 1"));
    assert!(refused(&["--rate", "0"]).contains("expected a number above 0"));
    assert!(refused(&["--load", "x", "--hidden", "3"]).contains("cannot be used with"));
    assert!(refused(&["--classify", "x"]).contains("--load"));
}

#[test]
fn the_help_is_plain_text() {
    let help = Arguments::command().render_long_help().to_string();
    assert!(help.contains("The mean of the outputs of all steps"), "{help}");
    assert!(!help.contains("[`"), "{help}");
}
