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

const PROGRAM: Program<Arguments> = Program { name: "heartbeat", run };

/// Series of 33 values with two bumps anywhere: of class `same` if both point the same way. No single value tells it.
fn bumps(count: usize, from: usize) -> String {
    let one = |i: usize| {
        let (a, b) = (1 + (7 * i) % 13, 17 + (5 * i) % 14);
        let (up, is_same) = ((i / 2).is_multiple_of(2), i.is_multiple_of(2));
        let sign = |up: bool| if up { "1.5" } else { "-1.5" };
        let value = |t| match t {
            _ if t == a => sign(up),
            _ if t == b => sign(up == is_same),
            _ => "0",
        };
        let values: Vec<_> = (0..33).map(value).collect();
        format!("{}\t{}\n", if is_same { "same" } else { "other" }, values.join("\t"))
    };
    (from..from + count).map(one).collect()
}

const SMALL: [&str; 8] = ["--hidden", "9", "--per-step", "4", "--epochs", "3", "--batch", "16"];

#[test]
fn it_learns_what_single_values_do_not_tell() {
    let place = Place::new();
    let (data, test) = (place.file("a.tsv", bumps(400, 0)), place.file("b.tsv", bumps(100, 400)));
    let out = place.at("out");
    let plain = ["--shift", "0", "--noise", "0.05", "--scale", "0", "--dropout", "0", "--both-ways", "false"];
    let given = ["--data", &data, "--test", &test, "--out", &out, "--epochs", "20", "--hidden", "16", "--rate", "0.02"];
    let last = ["--read-out", "last", "--per-step", "3"];
    let told = PROGRAM.output(&[&given[..], &plain, &last].concat());
    let ((linear, n), (gru, m)) = (figure(&told, "baseline", "accuracy"), figure(&told, "gru", "accuracy"));
    assert_eq!([n, m, figure(&told, "nearest", "accuracy").1], ["(n=100)"; 3]);
    assert!(linear < 0.75 && gru > 0.95, "{told}");
    let table = fs::read_to_string(place.at("out/metrics.csv")).expect("it was written");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (23, "model,epoch,train_loss,train_accuracy,test_loss,test_accuracy"));
    assert!(lines[1].starts_with("baseline,,,,") && lines[2].starts_with("nearest,,,,"), "{table}");
    let last: f64 = lines[22].rsplit(',').next().expect("it has columns").parse().expect("a number");
    assert!((last - gru).abs() < 6e-4, "{table}");
    for name in ["learning_curves.svg", "confusion.svg", "over_time.svg"] {
        let picture = fs::read_to_string(Path::new(&out).join(name)).expect("it was drawn");
        assert!(picture.ends_with("</svg>\n"), "{name}");
    }
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
    let place = Place::new();
    let (data, whole) = (place.file("a.tsv", bumps(125, 0)), place.at("whole"));
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
        for name in ["lstm.safetensors", "metrics.csv", "learning_curves.svg", "confusion.svg", "over_time.svg"] {
            let [a, b] = [&out, &whole].map(|folder| fs::read(Path::new(folder).join(name)).expect("it was written"));
            assert!(a == b, "{name}, stopped at {looks}");
        }
    }
}

#[test]
fn a_saved_network_is_tested() {
    let place = Place::new();
    let (data, out, net) = (place.file("a.tsv", bumps(125, 0)), place.at("out"), place.at("net"));
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &data, "--out", &out, "--save", &net]].concat());
    assert_eq!(figure(&told, "gru", "accuracy").1, "(n=25)");
    assert_eq!(
        figure(&PROGRAM.output(&["--load", &net, "--out", &out]), "gru", "accuracy"),
        figure(&told, "gru", "accuracy")
    );
    let test = place.file("test.tsv", bumps(7, 3));
    assert_eq!(
        figure(&PROGRAM.output(&["--load", &net, "--test", &test, "--out", &out]), "gru", "accuracy").1,
        "(n=7)"
    );
    let short = place.file("short.tsv", "same\t1\t2\t3\n");
    let told = PROGRAM.error(&["--load", &net, "--test", &short, "--out", &out]);
    assert_eq!(told, format!("{short}, line 1: 3 values; expected 33"));

    // Settings that would take all memory before the parameters are looked at.
    let saved = Saved::load(Path::new(&net)).expect("it was saved");
    assert_eq!(saved.model.names()[0], "cells.forward.weight_ih");
    let path = place.at("changed");
    let told = |key: &str, value: &str| {
        let mut metadata = saved.metadata();
        metadata.insert(key.to_owned(), value.to_owned());
        rewind_rnn::file::save(&path, &saved.model, &metadata).expect("the folder can be written");
        PROGRAM.error(&["--load", &path, "--out", &out])
    };
    for (key, value) in [
        ("hidden", "1000000000"),
        ("per_step", "0"),
        ("seed", "x"),
        ("dropout", "1.5"),
        ("cell", "perceptron"),
        ("classes", "[\"one\"]"),
        ("both_ways", "perhaps"),
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
fn any_series_will_do() {
    let place = Place::new();
    let out = place.at("out");
    let long = format!("a\t{}1\nb\t{}2\n", "0\t".repeat(2000), "1\t".repeat(2000)).repeat(5);
    let windows = "\u{feff}".to_owned() + &"a\t1e30\t2e30\r\nb\t-1\t-2\r\n\r\na\t \r\nb\t7\t7\r\n".repeat(5);
    for (name, text) in [("long", &long), ("windows", &windows)] {
        let data = place.file(name, text);
        let told =
            PROGRAM.output(&["--data", &data, "--hidden", "3", "--per-step", "100", "--epochs", "1", "--out", &out]);
        assert_eq!(
            (figure(&told, "gru", "accuracy").1, figure(&told, "baseline", "accuracy").1),
            ("(n=2)", "(n=2)"),
            "{name}"
        );
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
    assert_eq!(data(b"a\n"), "DATA, line 1: \"a\" has no tab; expected label, tab, item");
    assert_eq!(data(b"a\t1\t2\nb\t1\n"), "DATA, line 2: 1 values; expected 2");
    assert_eq!(data(b"a\t1\t2\nb\t1\tinf\n"), "DATA, line 2: value 2 is \"inf\"; expected a number");
    assert_eq!(data(b"a\t1\t2\na\t2\t1\n"), "DATA has one class alone, \"a\"; expected two at least, to tell apart");
    assert_eq!(data(b"a\t1\t1\nb\t2\t2\n"), "DATA has no line with a label and something to classify");
    let latin = data(b"a\t1\n\xe9\t1\n");
    assert_eq!(latin, "DATA, line 2: byte 5 is 0xe9; expected UTF-8: convert the file, from Latin-1 perhaps");
    assert_eq!(data(b"GIF89a\0\0"), "DATA, line 1: byte 7 is 0; expected text, and no binary file");

    let good = place.file("good", bumps(20, 0));
    let other = place.file("other", "same\t1\t2\n");
    let told = PROGRAM.error(&["--data", &good, "--test", &other, "--out", &out]);
    assert_eq!(told, format!("{other}, line 1: 2 values; expected 33"));
    assert!(PROGRAM.error(&["--data", &place.at("none"), "--out", &out]).starts_with("cannot read "));
    assert!(PROGRAM.error(&["--test", &good, "--out", &out]).starts_with("--test needs a file to train on"));
    assert!(PROGRAM.error(&["--load", &good, "--out", &out]).contains("no whole safetensors file"));
    let told = PROGRAM.error(&["--data", &good, "--out", &place.at("good/out")]);
    assert!(told.starts_with("cannot write to the folder "), "{told}");

    let refused = |words: &[&str]| {
        CommandLine::<Arguments>::parse([&["heartbeat"], words].concat()).expect_err("they are wrong").to_string()
    };
    assert!(refused(&["--dropout", "1"]).contains("expected a number from 0 to less than 1"));
    assert!(refused(&["--noise", "x"]).contains("expected a number of 0 or more"));
    assert!(refused(&["--load", "x", "--hidden", "3"]).contains("cannot be used with"));
}

#[test]
fn the_help_is_plain_text() {
    let help = Arguments::command().render_long_help().to_string();
    assert!(help.contains("The mean of the outputs of all steps"), "{help}");
    assert!(!help.contains("[`"), "{help}");
}
