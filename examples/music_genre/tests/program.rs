//! Sequences of whole runs, and their messages.

use std::path::Path;

use clap::ValueEnum;

use super::*;
use crate::compose::{Style, compose};
use crate::corpus::read_folder;
use crate::dataset::Piece;
use crate::evaluate::{answer, over_time};
use crate::scores::Source;

/// A temporary folder, and paths in it as text.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// The small data set as class folders.
    fn scores(&self) -> String {
        let (train, test) = small();
        crate::scores::write_midi(&self.0.path().join("scores"), [&train, &test]).expect("scores can be written");
        self.at("scores")
    }
}

const QUICK: [&str; 8] = ["--cell", "gru", "--epochs", "1", "--hidden", "5", "--max-steps", "40"];

/// [`QUICK`] and more.
fn quick(more: &[&str]) -> String {
    output(&[&QUICK, more].concat())
}

#[test]
fn folders_of_midi_files_are_read_and_pictures_drawn() {
    let place = Place::new();
    let (scores, out) = (place.scores(), place.at("out"));
    fs::write(Path::new(&scores).join("blues/text.mid"), "not music").expect("the folder can be written");
    let told = quick(&["--data", &scores, "--out", &out, "--save", &place.at("net")]);
    assert!(told.starts_with("baseline test accuracy") && told.ends_with("(n=4)\n"), "{told}");
    for picture in ["learning_curves.svg", "gradient_norms.svg", "confusion_gru.svg"] {
        let text = fs::read_to_string(Path::new(&out).join(picture)).expect("the picture was drawn");
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"), "{picture}");
    }
    let told = output(&["--test", &scores, "--load", &place.at("net"), "--out", &out]);
    assert!(told.starts_with("gru test accuracy") && told.ends_with("(n=24)\n"), "{told}");
}

#[test]
fn what_is_written_as_midi_files_is_read_as_data() {
    let place = Place::new();
    let (midi, out) = (place.at("midi"), place.at("out"));
    quick(&["--write-midi", &midi, "--seed", "5", "--out", &out]);
    // Scores of other classes or seeds would be mixed with these.
    let again = error(&["--write-midi", &midi, "--classes", "rock,blues", "--out", &out]);
    assert_eq!(again, format!("cannot write to the folder {midi}: it is not empty; expected a new or an empty folder"));
    let classes = Style::ALL.map(|style| style.name().to_owned());
    let corpus = read_folder(Path::new(&midi), Some(&classes)).expect("the layout is that of --data");
    assert!(corpus.broken.is_empty() && corpus.odd.is_empty());
    assert_eq!(corpus.dataset.class_counts(), [167, 167, 166]);
    let composed = compose_dataset(500, 5);
    let mut read = corpus.dataset.pieces;
    // The same order as composed: by number, which ends the name.
    read.sort_by_key(|piece| piece.score.name()[piece.score.name().len() - 3..].to_owned());
    for (read, composed) in read.iter().zip(&composed.pieces) {
        assert_eq!((read.score.name(), read.class), (composed.score.name(), composed.class));
        let expected = composed.score.trimmed(crate::score::STEPS_PER_BAR);
        assert_eq!(read.score.piano_roll(), expected.piano_roll(), "{}", read.score.name());
    }
    quick(&["--data", &midi, "--out", &out]);
}

#[test]
fn classes_choose_among_composed_scores() {
    let place = Place::new();
    let out = place.at("out");
    let told = quick(&["--classes", "classical,blues", "--out", &out, "--save", &place.at("net")]);
    // 166 classical ones and 167 blues, a fifth of them for testing.
    assert!(told.ends_with("(n=66)\n"), "{told}");
    assert_eq!(Saved::load(Path::new(&place.at("net"))).expect("it was saved").classes, ["classical", "blues"]);
    assert_eq!(
        error(&["--classes", "blues,jazz", "--out", &out]),
        "there is no class \"jazz\"; the classes there are: blues, rock, classical"
    );
    assert_eq!(error(&["--classes", "rock,rock", "--out", &out]), "the class \"rock\" is asked for twice");
}

#[test]
fn one_class_alone_is_refused() {
    let place = Place::new();
    let (scores, out) = (place.scores(), place.at("out"));
    let alone = "one class alone, \"blues\"; expected two at least, to tell apart";
    assert_eq!(error(&["--classes", "blues", "--out", &out]), format!("--classes names {alone}"));
    let told = error(&["--data", &scores, "--classes", "blues", "--out", &out]);
    assert_eq!(told, format!("{scores} gives {alone}"));
    for class in ["rock", "classical"] {
        fs::remove_dir_all(Path::new(&scores).join(class)).expect("it was written");
    }
    assert_eq!(error(&["--data", &scores, "--out", &out]), format!("{scores} gives {alone}"));
    assert_eq!(error(&["--data", &scores, "--test", &scores, "--out", &out]), format!("{scores} gives {alone}"));
}

#[test]
fn a_class_with_nothing_to_train_on_is_refused() {
    let place = Place::new();
    for style in [Style::Blues, Style::Rock] {
        let class = place.0.path().join("scores").join(style.name());
        fs::create_dir_all(&class).expect("the folder can be written");
        compose(style, 1, 0).write_midi(&class.join("only.mid")).expect("the folder can be written");
    }
    let told = error(&["--data", &place.at("scores"), "--out", &place.at("out")]);
    assert_eq!(told, "the class \"blues\" has 1 of the scores, and none is left to train on");
}

#[test]
fn a_loaded_network_is_tested_on_the_scores_of_its_run() {
    let place = Place::new();
    let (net, out) = (place.at("net"), place.at("out"));
    let last = |told: &str| told.lines().last().map(str::to_owned);
    let trained = quick(&["--seed", "9", "--save", &net, "--out", &out]);
    assert_eq!(last(&output(&["--load", &net, "--out", &out])), last(&trained));
    let saved = Saved::load(Path::new(&net)).expect("it was saved");
    assert_eq!(saved.source, Some(Source { data: None, test: None, seed: 9 }));
    let (_, test) = Source { data: None, test: None, seed: 9 }.read(None, false).expect("composing needs nothing");
    let default = Source::for_loaded(&arguments(&["--load", &net]), Path::new(&net), &saved);
    assert_eq!(default.read(None, false).expect("composing needs nothing").1, test);
    let other = Source::for_loaded(&arguments(&["--load", &net, "--seed", "2"]), Path::new(&net), &saved);
    assert_eq!(other.seed, 2);
    assert_eq!(other.to_string(), "the test part of the scores that seed 2 composes");
}

#[test]
fn a_loaded_network_finds_the_folder_of_its_run() {
    let place = Place::new();
    let (net, out, scores) = (place.at("net"), place.at("out"), place.scores());
    let last = |told: &str| told.lines().last().map(str::to_owned);
    // The order of the classes is that of the run, not of the folders' names.
    let classes = ["--classes", "rock,classical,blues"];
    let trained = quick(&[&["--data", &scores, "--seed", "4", "--save", &net, "--out", &out][..], &classes].concat());
    assert_eq!(last(&output(&["--load", &net, "--out", &out])), last(&trained));
    assert_eq!(last(&output(&["--load", &net, "--data", &scores, "--out", &out])), last(&trained));
    let refused = error(&["--load", &net, "--classes", "blues,rock", "--out", &out]);
    assert!(refused.ends_with("net tells rock,classical,blues apart; the scores are blues,rock"), "{refused}");
    let refused = error(&["--load", &net, "--write-midi", &place.at("midi"), "--out", &out]);
    assert_eq!(refused, "--write-midi writes composed scores, and these are not");
    fs::remove_dir_all(&scores).expect("it was written");
    let refused = error(&["--load", &net, "--out", &out]);
    assert!(refused.starts_with(&format!("cannot list the folder {scores}: ")), "{refused}");
}

#[test]
fn files_are_classified() {
    let place = Place::new();
    let (net, out) = (place.at("net"), place.at("out"));
    let scores = place.scores();
    let file = place.at("scores/rock/rock 001.mid");
    quick(&["--data", &scores, "--save", &net, "--out", &out]);
    let saved = Saved::load(Path::new(&net)).expect("it was saved");
    let score = crate::midi::read_file(Path::new(&file)).expect("it was written").score;
    assert!(score.steps() > 80, "three excerpts at least");
    let shards = Shards::new(1).expect("a thread can be started");
    let ask = |score: &crate::score::Score| {
        let data = Dataset { classes: saved.classes.clone(), pieces: vec![Piece { score: score.clone(), class: 0 }] };
        let said = answer(&saved.model, &data, &shards).expect("the score is whole");
        said.probabilities.to_vec()
    };
    let mut expected: Vec<_> = saved.classes.iter().zip(ask(&score)).collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let expected: Vec<_> = expected.iter().map(|(class, p)| format!("{class} {p:.3}")).collect();
    let told = output(&["--load", &net, "--classify", &file, &file, "--out", &out]);
    let answer_line = format!("{file}: {}\n", expected.join(", "));
    assert_eq!(told, answer_line.clone() + &answer_line);

    // What is said at a step is what would be said had the excerpt ended there.
    let moments = over_time(&saved.model, &score).expect("the score is whole");
    assert_eq!(moments.len(), score.steps());
    let mut step = 0;
    for (number, excerpt) in score.excerpts(saved.model.design.max_steps).iter().enumerate() {
        for length in 1..=excerpt.steps() {
            let expected = ask(&excerpt.window(0, length));
            assert_eq!(moments[step].excerpt, number);
            for (p, expected) in moments[step].probabilities.iter().zip(&expected) {
                assert!((p - expected).abs() < 1e-5, "step {step}: {p} and {expected}");
            }
            step += 1;
        }
    }
    let table = fs::read_to_string(place.at("out/classify_rock 001.csv")).expect("it was written");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (1 + score.steps(), "step,excerpt,blues,classical,rock"));
    let first: Vec<_> = moments[0].probabilities.iter().map(|p| format!("{p:.6}")).collect();
    assert_eq!(lines[1], format!("1,1,{}", first.join(",")));
    assert_eq!(table, fs::read_to_string(place.at("out/classify_rock 001-2.csv")).expect("one for each file"));
    let picture = fs::read_to_string(place.at("out/classify_rock 001.svg")).expect("it was drawn");
    assert!(picture.contains("What rock 001 is, had it ended at this step"));

    // A file that cannot be read is named, and the others are done.
    let broken = place.at("broken.mid");
    fs::write(&broken, "text").expect("the folder can be written");
    let mut out_text = Vec::new();
    let given = line(&["--load", &net, "--classify", &broken, &file, "--out", &out]);
    let told = run(&given, &Interrupt::never(), &mut out_text).expect_err("one file is broken").to_string();
    assert_eq!(told, "1 of 2 files could not be classified");
    assert_eq!(String::from_utf8(out_text).expect("the results are text"), answer_line);
    assert!(refused(&["--classify", "x.mid"]).contains("--load"));
}

#[test]
fn what_cannot_be_saved_is_told_before_training() {
    let place = Place::new();
    let at = place.0.path().display();
    // A million epochs would never end.
    let long = ["--cell", "gru", "--epochs", "1000000", "--save"];
    let told = error(&[&long[..], &[&at.to_string(), "--out", &place.at("out")]].concat());
    assert_eq!(told, format!("cannot write {at}: it is a folder; expected the name of a file"));
    fs::create_dir_all(place.at("pictures/confusion_gru.svg")).expect("the folder can be written");
    let told = error(&[&long[..], &[&place.at("net"), "--out", &place.at("pictures")]].concat());
    assert!(told.starts_with("cannot write ") && told.contains("confusion_gru.svg: it is a folder"), "{told}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_needs_more_memory_than_there_is_is_refused() {
    let place = Place::new();
    let data = place.at("scores");
    for style in [Style::Blues, Style::Rock] {
        let class = place.0.path().join("scores").join(style.name());
        fs::create_dir_all(&class).expect("the folder can be written");
        for number in 0..70 {
            // As long as a score may be.
            let notes = [0, 65_535].map(|onset| crate::score::Note { onset, pitch: 60, duration: 1, velocity: 9 });
            let score = crate::score::Score::new("long", 65_536, notes.to_vec());
            score.write_midi(&class.join(format!("{number}.mid"))).expect("the folder can be written");
        }
    }
    let out = place.at("out");
    let told = error(&["--data", &data, "--cell", "lstm", "--hidden", "4096", "--max-steps", "65536", "--out", &out]);
    assert!(told.starts_with("training lstm with 4096 units takes about ") && told.contains(" are free; "), "{told}");
}

#[test]
#[cfg(target_os = "linux")]
fn results_that_cannot_be_written_are_an_error() {
    let place = Place::new();
    let out = place.at("out");
    let given = line(&[&QUICK[..], &["--out", &out]].concat());
    let mut full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let told = run(&given, &Interrupt::never(), &mut full).expect_err("the device is full").to_string();
    assert!(told.starts_with("cannot write to the standard output: No space left on device"), "{told}");
}

/// The files of a folder with their contents.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("it was written").map(|entry| entry.expect("it can be listed").path());
    let name = |path: &Path| path.file_name().expect("it has one").to_string_lossy().into_owned();
    let mut files: Vec<_> = entries.map(|path| (name(&path), fs::read(&path).expect("it can be read"))).collect();
    files.sort();
    files
}

#[test]
fn a_comparison_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
    let place = Place::new();
    let settings = ["--epochs", "2", "--hidden", "5", "--max-steps", "40", "--data", &place.scores()];
    let out = ["whole", "stopped"].map(|name| place.at(name));
    let expected = output(&[&settings[..], &["--out", &out[0]]].concat());
    // Three batches an epoch: stopped within the first epoch, after it, within the second model, and at the very end.
    for looks in [1, 3, 8, 18] {
        let _ = fs::remove_dir_all(&out[1]);
        let stopped =
            run(&line(&[&settings[..], &["--out", &out[1]]].concat()), &Interrupt::after(looks), &mut Vec::new());
        let told = stopped.expect_err("it is stopped").to_string();
        let kind = CellKind::value_variants()[(looks as usize - 1) / 6].name();
        let file = Path::new(&out[1]).join(format!("{kind}.safetensors"));
        assert_eq!(told, format!("stopped and saved to {0}; --resume {0} goes on", file.display()));
        // The settings come from the file, and the scores from where they were.
        let resumed = output(&["--resume", &file.display().to_string(), "--out", &out[1]]);
        assert_eq!(resumed, expected, "stopped at {looks}");
        assert_eq!(contents(Path::new(&out[1])), contents(Path::new(&out[0])), "stopped at {looks}");
    }
}

#[test]
fn a_run_that_wrote_its_scores_goes_on() {
    let place = Place::new();
    let (midi, net, out) = (place.at("midi"), place.at("net"), place.at("out"));
    let begin = line(&[&QUICK[..], &["--write-midi", &midi, "--save", &net, "--out", &out]].concat());
    let stopped = run(&begin, &Interrupt::after(1), &mut Vec::new()).expect_err("it is stopped").to_string();
    assert!(stopped.starts_with("stopped and saved to "), "{stopped}");
    // The scores are not written a second time, which would be refused.
    assert!(output(&["--resume", &net, "--out", &out]).contains("gru test accuracy"));
}
