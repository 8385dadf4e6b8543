//! The whole program at a small size, and errors in its use.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_examples::labelled::Source;
use rewind_examples::testing::{Place, Program, figure};
use rewind_examples::{CellKind, CommandLine, Interrupt};

use crate::arguments::Arguments;
use crate::audio;
use crate::corpus::{Clip, Corpus, Parts};
use crate::model::Design;
use crate::normal::Normal;
use crate::phones;
use crate::run;
use crate::saved::Saved;
use crate::synth::{Speaker, speak};

const PROGRAM: Program<Arguments> = Program { name: "speech", run };

/// What is read to train a network of both directions.
const PARTS: Parts = Parts { train: true, streams: false };

/// A folder of two words, which differ in the order of their phones, said by two speakers.
fn recordings(place: &Place, folder: &str, count: usize, seed: u64) -> String {
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut manifest = "file\tspeaker\tsplit\tword\n".to_owned();
    for k in 0..count {
        let (word, spelled) = [("moss", "M AA S"), ("psalm", "S AA M")][k % 2];
        let (speaker, pitch) = [("ann", 200.0), ("bob", 100.0)][k / 2 % 2];
        let speaker_of = Speaker { pitch, scale: 1.0, rate: rng.random_range(1.4..2.0), noise: 2e-3 };
        let samples = speak(&phones::parse(spelled).unwrap(), speaker_of, rng);
        place.file(&format!("{folder}/{k}.wav"), audio::wav(&samples).unwrap());
        let split = if k % 5 == 4 { "valid" } else { "train" };
        manifest += &format!("{k}.wav\t{speaker}\t{split}\t{word}\n");
    }
    place.file(&format!("{folder}/words_phones.tsv"), "word\tphones\nmoss\tM AO1 S\nmoss\tM AH S\npsalm\tS AA M\n");
    place.file(&format!("{folder}/manifest.tsv"), manifest);
    place.at(folder)
}

const SMALL: [&str; 10] = ["--hidden", "5", "--layers", "2", "--epochs", "3", "--batch", "8", "--weight-noise", "0.02"];

#[test]
fn it_learns_the_order_of_phones() {
    let place = Place::new();
    let (data, out) = (recordings(&place, "data", 60, 1), place.at("out"));
    let given = ["--data", &data, "--out", &out, "--layers", "1", "--hidden", "16", "--epochs", "30", "--batch", "8"];
    let told = PROGRAM.output(&[&given[..], &["--rate", "0.02", "--patience", "30"]].concat());
    let (per, n) = figure(&told, "lstm", "per");
    assert!(per < 0.1, "{told}");
    assert_eq!([n, figure(&told, "baseline", "per").1, figure(&told, "lstm_beam", "per").1], ["(n=36)"; 3]);
    // The first clip of the split, step by step.
    assert!(told.lines().next().is_some_and(|line| line == "4.wav"), "{told}");
    assert!(told.contains("said: /m/ /aa/ /s/ or /m/ /ah/ /s/\n"), "{told}");
    let frames = told.lines().find_map(|line| line.strip_prefix("  each 10 ms: ")).unwrap();
    let frames: Vec<_> = frames.split(' ').filter(|&frame| frame != "/-/").collect();
    // After a flat start, phones are said where they are heard.
    let mut runs = frames.clone();
    runs.dedup();
    assert!(
        frames.len() > 15 && [["/m/", "/aa/", "/s/"], ["/m/", "/ah/", "/s/"]].iter().any(|said| runs == *said),
        "{frames:?}"
    );
    let table = fs::read_to_string(place.at("out/metrics.csv")).unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (32, "model,epoch,train_loss,train_per,test_loss,test_per"));
    for name in ["out/learning_curves.svg", "out/utterance.svg"] {
        assert!(fs::read_to_string(place.at(name)).unwrap().ends_with("</svg>\n"), "{name}");
    }
}

#[test]
fn a_network_of_another_cell_in_one_direction_is_saved_and_resumed() {
    let place = Place::new();
    let (data, out) = (recordings(&place, "data", 30, 9), place.at("out"));
    let given = [&SMALL[..], &["--data", &data, "--cell", "tanh", "--one-way"]].concat();
    let told = PROGRAM.output(&[&given[..], &["--out", &out]].concat());
    let net = place.at("out/tanh.safetensors");
    let Design { cell, layers, hidden, one_way, .. } = Saved::load(Path::new(&net)).unwrap().design;
    assert_eq!((cell, layers, hidden, one_way), (CellKind::Tanh, 2, 5, true));
    let loaded = PROGRAM.output(&["--load", &net, "--out", &out]);
    for name in ["tanh", "tanh_beam", "tanh_streams"] {
        assert_eq!(figure(&loaded, name, "per"), figure(&told, name, "per"));
    }
    let stopped = place.at("stopped");
    PROGRAM.outcome(&[&given[..], &["--out", &stopped]].concat(), Interrupt::after(4)).unwrap_err();
    let resume = ["--resume", &place.at("stopped/tanh.safetensors"), "--out", &stopped];
    assert_eq!(PROGRAM.output(&resume), told);
}

#[test]
fn a_network_of_one_direction_listens_to_a_file() {
    let place = Place::new();
    let (data, out) = (recordings(&place, "data", 30, 11), place.at("out"));
    let train = |way: &[&str]| PROGRAM.output(&[&SMALL[..], &["--data", &data, "--out", &out], way].concat());
    train(&["--one-way", "--gain", "9", "--rate", "0.05", "--flat-start", "2"]);
    let (net, wav) = (place.at("out/lstm.safetensors"), place.at("data/0.wav"));
    let saved = Saved::load(Path::new(&net)).unwrap();
    assert!(matches!(saved.normal, Normal::Training(_)));
    let told = PROGRAM.output(&["--load", &net, "--listen", &wav]);
    assert!(told.lines().count() > 0, "it hears something");
    for line in told.lines() {
        let (seconds, phone) = line.split_once(' ').unwrap();
        assert!(seconds.parse::<f64>().unwrap() < 2.0 && phone.starts_with('/'), "{line}");
    }
    let told = PROGRAM.error(&["--load", &net, "--listen", &place.at("no.wav")]);
    assert!(told.starts_with(&format!("cannot read {}: ", place.at("no.wav"))), "{told}");
    train(&[]);
    let told = PROGRAM.error(&["--load", &net, "--listen", &wav]);
    assert!(told.starts_with(&format!("{net}: its network reads in both directions")), "{told}");
}

#[test]
fn a_word_has_all_its_pronunciations() {
    let place = Place::new();
    let data = recordings(&place, "data", 10, 12);
    let source = Source { data: Some(data.into()), test: None, seed: 1 };
    let test = Corpus::read(&source, None, PARTS).unwrap().test;
    let of = |clip: &Clip| clip.pronunciations.iter().map(|phones| crate::slashes(phones)).collect::<Vec<_>>();
    assert_eq!(of(&test[0]), ["/m/ /aa/ /s/", "/m/ /ah/ /s/"]);
    assert_eq!(of(&test[1]), ["/s/ /aa/ /m/"]);
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
    let place = Place::new();
    let (data, whole) = (recordings(&place, "data", 30, 2), place.at("whole"));
    let given = ["--data", &data, "--patience", "2", "--flat-start", "1"];
    let expected = PROGRAM.output(&[&SMALL[..], &given, &["--out", &whole]].concat());
    // 22 clips to train on, 3 batches an epoch.
    for looks in [1, 3, 5, 9] {
        let out = place.at(&format!("stopped{looks}"));
        let told = PROGRAM.outcome(&[&SMALL[..], &given, &["--out", &out]].concat(), Interrupt::after(looks));
        let file = Path::new(&out).join("lstm.safetensors").display().to_string();
        assert_eq!(told, Err(format!("stopped and saved to {file}; --resume {file} goes on")));
        assert_eq!(PROGRAM.output(&["--resume", &file, "--out", &out, "--threads", "1"]), expected, "{looks}");
        for name in ["lstm.safetensors", "metrics.csv", "learning_curves.svg", "utterance.svg"] {
            let [a, b] = [&out, &whole].map(|folder| fs::read(Path::new(folder).join(name)).unwrap());
            assert!(a == b, "{name}, stopped at {looks}");
        }
    }
}

#[test]
fn a_saved_network_is_tested() {
    let place = Place::new();
    let (data, out, net) = (recordings(&place, "data", 30, 3), place.at("out"), place.at("net"));
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &data, "--out", &out, "--save", &net]].concat());
    let loaded = PROGRAM.output(&["--load", &net, "--out", &out]);
    assert_eq!(figure(&loaded, "lstm", "per"), figure(&told, "lstm", "per"));
    // All rows of another folder but those of its training part; its words are those of the lexicon of --data.
    let other = recordings(&place, "other", 10, 4);
    fs::remove_file(place.at("other/words_phones.tsv")).unwrap();
    let told = PROGRAM.output(&["--load", &net, "--data", &data, "--test", &other, "--out", &out]);
    assert_eq!(figure(&told, "lstm", "per").1, "(n=6)");

    let saved = Saved::load(Path::new(&net)).unwrap();
    let path = place.at("changed");
    let told = |key: &str, value: &str| {
        let mut metadata = saved.metadata();
        metadata.insert(key.to_owned(), value.to_owned());
        rewind_rnn::file::save(&path, &saved.network, &metadata).unwrap();
        PROGRAM.error(&["--load", &path, "--out", &out])
    };
    for (key, value) in [
        ("cell", "x"),
        ("one_way", "2"),
        ("hidden", "1000000000"),
        ("layers", "0"),
        ("seed", "x"),
        ("dropout", "1.5"),
        ("feature_means", "x"),
    ] {
        let expected = format!("{path} was not saved by this program: its setting \"{key}\" is {value:?}");
        assert_eq!(told(key, value), expected);
    }
    // A model of that size is possible, but not in this file.
    let large = told("hidden", "2048");
    assert!(large.contains(" bytes; a model of its settings has "), "{large}");
}

/// The clips of the three parts.
fn parts(data: &str, test: Option<&str>, leave_out: Option<&str>) -> Result<[usize; 3], String> {
    let source = Source { data: Some(data.into()), test: test.map(Into::into), seed: 1 };
    let corpus = Corpus::read(&source, leave_out, PARTS).map_err(|error| error.to_string())?;
    Ok([corpus.train.len(), corpus.held_out.len(), corpus.test.len()])
}

#[test]
fn the_parts_are_those_of_the_manifest() {
    let place = Place::new();
    let data = recordings(&place, "data", 40, 5);
    assert_eq!(parts(&data, None, None), Ok([30, 2, 8]));
    assert_eq!(parts(&data, None, Some("bob")), Ok([15, 1, 20]));
    let other = recordings(&place, "other", 20, 6);
    assert_eq!(parts(&data, Some(&other), None), Ok([30, 2, 4]));
    // Without a column of splits, all rows belong to the part that the folder is given for.
    let manifest = fs::read_to_string(place.at("other/manifest.tsv")).unwrap();
    let cut = |line: &str| {
        let cells: Vec<_> = line.split('\t').collect();
        format!("{}\t{}\n", cells[0], cells[3])
    };
    place.file("other/manifest.tsv", manifest.lines().map(cut).collect::<String>());
    assert_eq!(parts(&data, Some(&other), None), Ok([30, 2, 20]));
    let told = parts(&data, None, Some("eve")).unwrap_err();
    assert_eq!(
        told,
        "there is nothing to test on: expected rows of the speaker \"eve\" in manifest.tsv; its speakers: ann, bob"
    );
    let told = Corpus::read(&Source { data: Some(place.at("other").into()), test: None, seed: 1 }, Some("eve"), PARTS);
    assert!(told.unwrap_err().to_string().ends_with("its speakers: none"));
}

#[test]
fn recordings_too_short_for_their_phones_are_left_out_of_training_and_judged_in_testing() {
    let place = Place::new();
    recordings(&place, "data", 10, 7);
    // 65 ms are five windows; the phones need six.
    let samples: Vec<f32> = (0..520).map(|n| (n as f32 / 9.0).sin()).collect();
    place.file("data/short.wav", audio::wav(&samples).unwrap());
    let table = |phones: &str| {
        let rows = "0.wav\ttrain\tM\n1.wav\ttrain\tS\n2.wav\tvalid\tS\n".to_owned();
        place.file(
            "data/manifest.tsv",
            format!("file\tsplit\tphones\n{rows}short.wav\ttrain\t{phones}\nshort.wav\tvalid\t{phones}\n"),
        );
    };
    table("S S S AA");
    assert_eq!(parts(&place.at("data"), None, None), Ok([1, 1, 2]));
    table("S AA S AA S");
    assert_eq!(parts(&place.at("data"), None, None), Ok([2, 1, 2]));
    table("S S S AA");
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &place.at("data"), "--out", &place.at("out")]].concat());
    assert_eq!(figure(&told, "lstm", "per").1, "(n=5)");
}

#[test]
fn what_the_program_says_can_be_listened_to_and_read() {
    let place = Place::new();
    let wav = place.at("wav");
    PROGRAM.output(&["--write-wav", &wav]);
    assert_eq!(parts(&wav, None, None), Ok([28, 2, 10]));
    let told = PROGRAM.error(&["--write-wav", &wav]);
    assert!(told.ends_with("it is not empty; expected a new or an empty folder"), "{told}");
}

/// A table in little time.
const TABLE: [&str; 9] = ["--table", "--hidden", "4", "--epochs", "2", "--batch", "16", "--seeds", "2"];

#[test]
fn a_table_that_is_stopped_anywhere_goes_on_without_what_is_done() {
    let place = Place::new();
    let (data, whole) = (recordings(&place, "data", 30, 10), place.at("whole"));
    let given = |out: &str| [&TABLE[..], &["--data", &data, "--out", out]].concat().join("\n");
    let told = PROGRAM.output(&given(&whole).lines().collect::<Vec<_>>());
    let names = ["3l-11h-tanh", "1l-4h", "1l-5h", "3l-8h-uni", "3l-4h"];
    assert_eq!(names.map(|name| figure(&told, name, "per").1), ["(n=18)"; 5]);
    // 22 clips to train on, 2 batches an epoch: each training looks 4 times.
    for looks in [1, 4, 10, 40] {
        let out = place.at(&format!("stopped{looks}"));
        let stopped = PROGRAM.outcome(&given(&out).lines().collect::<Vec<_>>(), Interrupt::after(looks));
        let file = format!("{out}/table.safetensors");
        assert_eq!(stopped, Err(format!("stopped and saved to {file}; --resume {file} goes on")));
        assert_eq!(PROGRAM.output(&["--resume", &file, "--out", &out]), told, "{looks}");
        let [a, b] = [&out, &whole].map(|folder| fs::read(Path::new(folder).join("table.tsv")).unwrap());
        assert!(a == b, "stopped at {looks}");
    }
    // What is done is not trained again, and more seeds can be added.
    let more = given(&whole).replace("--seeds\n2", "--seeds\n3");
    let told = PROGRAM.outcome(&more.lines().collect::<Vec<_>>(), Interrupt::after(1)).unwrap_err();
    assert!(told.starts_with("stopped and saved"), "{told}");
    let rows = fs::read_to_string(place.at("whole/table.tsv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 10, "{rows}");
    let other = given(&whole).replace("--batch\n16", "--batch\n8");
    let told = PROGRAM.error(&other.lines().collect::<Vec<_>>());
    assert!(told.contains("table.tsv, line 2: it was trained with dropout 0.4"), "{told}");
    // The data of another day.
    fs::write(Path::new(&data).join("more.txt"), "more").unwrap();
    let told = PROGRAM.error(&[&TABLE[..], &["--data", &data, "--out", &whole]].concat());
    assert!(
        told.contains("table.tsv, line 2: it was trained with dropout 0.4") && told.contains("data_checksum"),
        "{told}"
    );
    assert!(fs::read_to_string(place.at("whole/table.svg")).unwrap().ends_with("</svg>\n"));
}

#[test]
fn wrong_input_is_named() {
    let place = Place::new();
    let (data, out) = (recordings(&place, "data", 10, 8), place.at("out"));
    let told = |manifest: &str| {
        place.file("data/manifest.tsv", manifest);
        PROGRAM.error(&["--data", &data, "--out", &out]).replace(&data, "DATA")
    };
    assert_eq!(told("split\tphones\n"), "DATA/manifest.tsv has no column \"file\" among split, phones");
    assert_eq!(told("file\tphones\n0.wav\n"), "DATA/manifest.tsv, line 2: 1 columns; the header has 2");
    assert!(
        told("file\tphones\n0.wav\tM\nno.wav\tM\n").starts_with("DATA/manifest.tsv, line 3: cannot read DATA/no.wav: ")
    );
    let unknown = told("file\tphones\n\n0.wav\tM QX\n");
    assert!(unknown.starts_with("DATA/manifest.tsv, line 3: the phone \"QX\" is none of ARPAbet: AA AE"), "{unknown}");
    assert!(told("file\tphones\n0.wav\t \n").starts_with("DATA/manifest.tsv, line 2: there are no phones"));
    assert_eq!(
        told("file\tword\n0.wav\tmice\n"),
        "DATA/manifest.tsv, line 2: \"mice\" is no word of DATA/words_phones.tsv"
    );
    place.file("data/cut.wav", &audio::wav(&[0.5; 400]).unwrap()[..100]);
    assert_eq!(
        told("file\tphones\ncut.wav\tM\n"),
        "DATA/manifest.tsv, line 2: DATA/cut.wav: it is truncated: \"data\" has 800 bytes, and 56 are there"
    );
    place.file("data/tiny.wav", audio::wav(&[0.5, 0.2]).unwrap());
    assert_eq!(
        told("file\tsplit\tphones\n0.wav\ttrain\tM\n1.wav\ttrain\tM\ntiny.wav\tvalid\tM\n"),
        "DATA/manifest.tsv, line 4: DATA/tiny.wav: it is shorter than 25 ms"
    );
    let all_train = told("file\tsplit\tphones\n0.wav\ttrain\tM\n1.wav\ttrain\tS\n");
    assert_eq!(
        all_train,
        "there is nothing to test on: expected rows in manifest.tsv whose split is not \"train\"; its splits: train"
    );
    assert_eq!(
        told("file\tsplit\tphones\n0.wav\ttrain\tM\n1.wav\t\tS\n"),
        "DATA/manifest.tsv, line 3: the split is empty; expected train, or another name"
    );
    let one = told("file\tsplit\tphones\n0.wav\ttrain\tM\n1.wav\tvalid\tS\n");
    assert_eq!(one, "there are 1 recordings to train on; expected 2 at least, of the split \"train\"");
    fs::remove_file(place.at("data/words_phones.tsv")).unwrap();
    assert!(told("file\n0.wav\n").starts_with("DATA/manifest.tsv, line 2: no phones: there is neither"));
    fs::remove_file(place.at("data/manifest.tsv")).unwrap();
    assert!(PROGRAM.error(&["--data", &data, "--out", &out]).starts_with("cannot read "));
    assert!(PROGRAM.error(&["--test", &data, "--out", &out]).starts_with("--test needs a folder to train on"));
    assert!(PROGRAM.error(&["--load", &place.at("data/0.wav"), "--out", &out]).contains("no whole safetensors file"));

    let refused = |words: &[&str]| {
        CommandLine::<Arguments>::parse([&["speech"], words].concat()).expect_err("they are wrong").to_string()
    };
    assert!(refused(&["--dropout", "1"]).contains("expected a number from 0 to less than 1"));
    assert!(refused(&["--weight-noise", "x"]).contains("expected a number of 0 or more"));
    assert!(refused(&["--leave-out", "ann"]).contains("--data"));
    assert!(refused(&["--load", "x", "--hidden", "3"]).contains("cannot be used with"));
    assert!(refused(&["--listen", "-"]).contains("--load"));
    assert!(refused(&["--load", "x", "--raw-rate", "8000"]).contains("--listen"));
    assert!(refused(&["--load", "x", "--listen", "-", "--data", "y"]).contains("cannot be used with"));
    assert!(refused(&["--load", "x", "--listen", "-", "--raw-rate", "96000"]).contains("96000 is not in 8000..=48000"));
    assert!(refused(&["--table", "--layers", "3"]).contains("cannot be used with"));
    assert!(refused(&["--seeds", "3"]).contains("--table"));
    assert!(refused(&["--table", "--seeds", "1"]).contains("1 is not in 2..=1000"));
}

#[test]
fn the_help_is_plain_text() {
    let help = Arguments::command().render_long_help().to_string();
    assert!(help.contains("The deviation of the normal noise on the weights"), "{help}");
    assert!(!help.contains("[`"), "{help}");
}
