//! The whole program at a small size, and errors in its use.

use std::fs;
use std::path::Path;

use rewind_examples::testing::{Place, Program, figure, sealed};
use rewind_examples::{CommandLine, Interrupt};

use crate::arguments::Arguments;
use crate::run;
use crate::saved::Trained;

const PROGRAM: Program<Arguments> = Program { name: "char_model", run };

const SMALL: [&str; 8] = ["--hidden", "9", "--streams", "5", "--window", "20", "--epochs", "3"];

/// A text in which the next character follows from the last but one.
fn pairs(length: usize) -> String {
    (0..length).map(|i| if i / 2 % 2 == 0 { 'a' } else { 'b' }).collect()
}

#[test]
fn it_learns_what_one_character_does_not_tell() {
    let place = Place::new();
    let (data, out) = (place.file("a.txt", pairs(4000)), place.at("out"));
    let told = PROGRAM.output(&[
        "--data",
        &data,
        "--out",
        &out,
        "--hidden",
        "16",
        "--epochs",
        "20",
        "--window",
        "20",
        "--dropout",
        "0",
        "--rate",
        "0.02",
    ]);
    let ((baseline, n), (bits, m)) = (figure(&told, "baseline", "bits"), figure(&told, "lstm", "bits"));
    assert_eq!([n, m], ["(n=399)"; 2]);
    assert!((0.99..1.01).contains(&baseline) && bits < 0.1, "{told}");
    let table = fs::read_to_string(place.at("out/metrics.csv")).expect("it was written");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (22, "model,epoch,train_loss,train_bits,test_loss,test_bits"));
    assert!(lines[1].starts_with("baseline,,,,") && lines[21].starts_with("lstm,20,"), "{table}");
    let last: f64 = lines[21].rsplit(',').next().expect("it has columns").parse().expect("a number");
    assert!((last - bits).abs() < 6e-4, "{table}");
    let picture = fs::read_to_string(place.at("out/learning_curves.svg")).expect("it was drawn");
    assert!(picture.contains("the baseline needs 1.0") && picture.ends_with("</svg>\n"));
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
    let place = Place::new();
    let (data, whole) = (place.file("a.txt", pairs(1500)), place.at("whole"));
    let dropout = ["--data", &data, "--dropout", "0.2", "--recurrent-dropout", "0.1", "--cell", "gru"];
    let expected = PROGRAM.output(&[&SMALL[..], &dropout, &["--out", &whole]].concat());
    // 14 windows an epoch.
    for looks in [1, 13, 14, 20, 42] {
        let out = place.at(&format!("stopped{looks}"));
        let told = PROGRAM.outcome(&[&SMALL[..], &dropout, &["--out", &out]].concat(), Interrupt::after(looks));
        let file = Path::new(&out).join("gru.safetensors").display().to_string();
        assert_eq!(told, Err(format!("stopped and saved to {file}; --resume {file} goes on")));
        assert_eq!(
            PROGRAM.output(&["--resume", &file, "--out", &out, "--threads", "1"]),
            expected,
            "stopped at {looks}"
        );
        for name in ["gru.safetensors", "metrics.csv", "learning_curves.svg"] {
            let [a, b] = [&out, &whole].map(|folder| fs::read(Path::new(folder).join(name)).expect("it was written"));
            assert!(a == b, "{name}, stopped at {looks}");
        }
    }
}

#[test]
fn streams_that_are_not_as_far_as_their_run_are_refused() {
    let place = Place::new();
    let (data, out) = (place.file("a.txt", pairs(1500)), place.at("out"));
    PROGRAM
        .outcome(&[&SMALL[..], &["--data", &data, "--out", &out]].concat(), Interrupt::after(3))
        .expect_err("stopped");
    let file = Path::new(&out).join("lstm.safetensors");
    // A value of as many digits: the length of the header stays.
    let (key, mut bytes) = (&b"rewind.part.shard1.value.position\":\"60"[..], fs::read(&file).expect("it was saved"));
    let at = bytes.windows(key.len()).position(|part| part == key).expect("three windows of 20") + key.len();
    bytes[at - 2..at].copy_from_slice(b"77");
    fs::write(&file, sealed(bytes)).expect("the folder can be written");
    let file = file.display().to_string();
    let told = PROGRAM.error(&["--resume", &file, "--out", &out]);
    let wrong = "part `shard1`: truncated: 77 steps have been read; expected 60, as in the run";
    assert_eq!(told, format!("{file}: {wrong}"));
}

#[test]
fn a_saved_model_is_tested_and_writes() {
    let place = Place::new();
    let (data, out, net) = (place.file("a.txt", pairs(1500)), place.at("out"), place.at("net"));
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &data, "--out", &out, "--save", &net]].concat());
    let (bits, _) = figure(&told, "lstm", "bits");
    assert_eq!(figure(&PROGRAM.output(&["--load", &net, "--out", &out]), "lstm", "bits"), (bits, "(n=149)"));
    let test = place.file("test.txt", pairs(33));
    let told = PROGRAM.output(&["--load", &net, "--test", &test, "--out", &out]);
    assert_eq!(figure(&told, "lstm", "bits").1, "(n=32)");

    let told = PROGRAM.output(&["--load", &net, "--sample", "abba", "--length", "50"]);
    assert!(told.starts_with("abba") && told.ends_with('\n') && told.len() == 55, "{told}");
    assert!(told.trim_end().chars().all(|c| c == 'a' || c == 'b'));
    assert_eq!(told, PROGRAM.output(&["--load", &net, "--sample", "abba", "--length", "50"]));
    assert_ne!(told, PROGRAM.output(&["--load", &net, "--sample", "abba", "--length", "50", "--seed", "2"]));
    // A run that has ended has nothing left to train, and writes.
    let told = PROGRAM.output(&["--resume", &net, "--sample", "abba", "--length", "50", "--out", &out]);
    assert!(told.starts_with("abba") && told.contains("\nlstm test bits "), "{told}");
    let told = PROGRAM.error(&["--load", &net, "--sample", "abc"]);
    assert_eq!(told, "a sample cannot begin with \"abc\": the training text has no 'c'");

    // Settings that would take all memory before the parameters are looked at.
    let trained = Trained::load(Path::new(&net)).expect("it was saved");
    let path = place.at("changed");
    let told = |key: &str, value: &str| {
        let mut metadata = trained.metadata();
        metadata.insert(key.to_owned(), value.to_owned());
        rewind_rnn::file::save(&path, &trained.model, &metadata).expect("the folder can be written");
        PROGRAM.error(&["--load", &path, "--out", &out])
    };
    for (key, value) in [
        ("hidden", "1000000000"),
        ("seed", "x"),
        ("dropout", "1.5"),
        ("recurrent_dropout", "-0.1"),
        ("cell", "perceptron"),
        ("alphabet", ""),
    ] {
        let expected = format!("{path} was not saved by this program: its setting \"{key}\" is {value:?}");
        assert_eq!(told(key, value), expected);
    }
    // A model of that size is possible, but not in this file.
    let large = told("hidden", "4096");
    assert!(large.contains(" bytes; a model of its settings has "), "{large}");
}

#[test]
fn any_text_will_do() {
    let place = Place::new();
    let out = place.at("out");
    let long = "x".repeat(100_000);
    let windows = "\u{feff}".to_owned() + &"éa\r\n".repeat(80);
    for (name, text, n) in
        [("long", &long, "(n=9999)"), ("windows", &windows, "(n=23)"), ("least", &pairs(112), "(n=10)")]
    {
        let data = place.file(name, text);
        let told = PROGRAM.output(&["--data", &data, "--hidden", "3", "--epochs", "1", "--out", &out]);
        assert_eq!((figure(&told, "lstm", "bits").1, figure(&told, "baseline", "bits").1), (n, n), "{name}");
    }
    // What the training text does not have is left out of the test part.
    let (data, test) = (place.file("data", pairs(500)), place.file("test", "abXa\nYb"));
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &data, "--test", &test, "--out", &out]].concat());
    assert_eq!(figure(&told, "lstm", "bits").1, "(n=3)");
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
    assert_eq!(data(b"short"), "DATA has 5 characters to train on; expected 100 at least");
    let latin = [&pairs(200).into_bytes()[..], b"\ncaf\xe9\n"].concat();
    assert_eq!(data(&latin), "DATA, line 2: byte 205 is 0xe9; expected UTF-8: convert the file, from Latin-1 perhaps");
    assert_eq!(data(b"GIF89a\0\0"), "DATA, line 1: byte 7 is 0; expected text, and no binary file");

    let good = place.file("good", pairs(500));
    let test = |contents: &[u8]| {
        let path = place.file("test", contents);
        PROGRAM.error(&["--data", &good, "--test", &path, "--out", &out]).replace(&path, "TEST")
    };
    assert_eq!(test(b"a"), "TEST has 1 characters to test on; expected 2 at least");
    assert_eq!(test(b"xyz"), "TEST has 0 characters of the training text; expected two at least");
    assert!(PROGRAM.error(&["--data", &place.at("none"), "--out", &out]).starts_with("cannot read "));
    assert!(PROGRAM.error(&["--test", &good, "--out", &out]).starts_with("--test needs a text to train on"));
    let told = PROGRAM.error(&["--data", &good, "--out", &out, "--sample", "abX", "--epochs", "1000000"]);
    assert_eq!(told, "a sample cannot begin with \"abX\": the training text has no 'X'");
    assert!(PROGRAM.error(&["--load", &good, "--out", &out]).contains("no whole safetensors file"));
    let told = PROGRAM.error(&["--data", &good, "--out", &place.at("good/out")]);
    assert!(told.starts_with("cannot write to the folder "), "{told}");

    let refused = |words: &[&str]| {
        CommandLine::<Arguments>::parse([&["char_model"], words].concat()).expect_err("they are wrong").to_string()
    };
    assert!(refused(&["--dropout", "1"]).contains("expected a number from 0 to less than 1"));
    assert!(refused(&["--temperature", "0"]).contains("expected a number above 0"));
    assert!(refused(&["--load", "x", "--hidden", "3"]).contains("cannot be used with"));
}
