//! The whole program at a small size, and errors in its use.

use std::fs;
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_examples::image::{Channels, Image, Size};
use rewind_examples::testing::{Place, Program, contents, figure};
use rewind_examples::{CommandLine, Interrupt};

use crate::arguments::Arguments;
use crate::dataset::{CAPTIONS, Source, write, write_parts};
use crate::run;
use crate::saved::Trained;
use crate::scenes::draw;

const PROGRAM: Program<Arguments> = Program { name: "caption", run };

/// Folders with data of the program.
trait Drawn {
    fn scenes(&self, name: &str, count: usize, seed: u64) -> String;
}

impl Drawn for Place {
    /// A folder with drawn scenes.
    fn scenes(&self, name: &str, count: usize, seed: u64) -> String {
        let items = draw(count, &mut ChaCha8Rng::seed_from_u64(seed));
        write(Path::new(&self.at(name)), &items).expect("the folder can be written");
        self.at(name)
    }
}

const SMALL: [&str; 6] = ["--hidden", "9", "--batch", "7", "--epochs", "3"];

/// A folder of two kinds of image, dark and light, each with two captions that begin with another word.
fn two_kinds(place: &Place, name: &str, count: usize) -> String {
    let folder = place.at(name);
    fs::create_dir(&folder).expect("the folder can be made");
    let mut table = String::new();
    for number in 0..count {
        let light = (number % 2) as f32;
        let size = Size { width: 9, height: 8 };
        let image = Image::from_fn(size, Channels::Rgb, |x, _| [light, (number + x) as f32 % 3.0 / 9.0, light]);
        let file = format!("{number}.png");
        image.write(&Path::new(&folder).join(&file)).expect("the folder can be written");
        let captions = if number % 2 == 0 { ["no light", "all dark"] } else { ["no dark", "all light"] };
        captions.iter().for_each(|caption| table += &format!("{file}\t{caption}\n"));
    }
    place.file(&format!("{name}/{CAPTIONS}"), table);
    folder
}

#[test]
fn it_learns_what_no_independent_words_can_say() {
    let place = Place::new();
    let (data, test, out) = (two_kinds(&place, "train", 80), two_kinds(&place, "test", 20), place.at("out"));
    let recipe = ["--hidden", "16", "--batch", "16", "--epochs", "40", "--rate", "0.01"];
    let told = PROGRAM.output(&[&["--data", &data, "--test", &test, "--out", &out][..], &recipe].concat());
    let (exact, n) = figure(&told, "lstm", "exact");
    assert_eq!((exact, n, figure(&told, "baseline", "exact").1), (1.0, "(n=20)", "(n=20)"));
    let table = fs::read_to_string(place.at("out/metrics.csv")).expect("it was written");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (81, "model,epoch,train_loss,train_exact,test_loss,test_exact"));
    // The first word is one of two, and of the rest the baseline knows no more than that: 2 ln 2 for three words, and the
    // network half as much.
    let loss = |line: &str| line.split(',').nth(4).expect("it has columns").parse::<f64>().expect("a number");
    let (baseline, lstm) = (loss(lines[40]), loss(lines[80]));
    assert!((baseline - 2.0 * 2.0_f64.ln() / 3.0).abs() < 0.03, "{table}");
    assert!((lstm - 2.0_f64.ln() / 3.0).abs() < 0.03, "{table}");
    let said = fs::read_to_string(place.at("out/captions_lstm.tsv")).expect("it was written");
    assert!(said.lines().count() == 20 && said.lines().all(|line| line.starts_with("right\t")), "{said}");
    for picture in ["captions_lstm.svg", "captions_baseline.svg", "learning_curves.svg"] {
        assert!(fs::read_to_string(Path::new(&out).join(picture)).expect("it was drawn").ends_with("</svg>\n"));
    }
}

#[test]
fn what_is_written_is_what_was_drawn() {
    let place = Place::new();
    let parts = [(12, 1), (7, 2)].map(|(count, seed)| draw(count, &mut ChaCha8Rng::seed_from_u64(seed)));
    let folder = place.at("drawn");
    write_parts(Path::new(&folder), &parts).expect("the folder can be written");
    let [data, test] = ["drawn/train", "drawn/test"].map(|name| Some(place.at(name).into()));
    let read = Source { data, test, seed: 1 }.read_parts().expect("it was written");
    assert_eq!(read, parts);
    let told = PROGRAM.error(&["--write", &folder, "--out", &place.at("out")]);
    assert_eq!(
        told,
        format!("cannot write to the folder {folder}: it is not empty; expected a new or an empty folder")
    );
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
    let place = Place::new();
    let (data, whole) = (place.scenes("scenes", 25, 1), place.at("whole"));
    let settings = [&SMALL[..], &["--data", &data]].concat();
    let expected = PROGRAM.output(&[&settings[..], &["--out", &whole]].concat());
    let steps = {
        let table = fs::read_to_string(Path::new(&data).join(CAPTIONS)).expect("it was written");
        let parts = Source { data: Some(data.clone().into()), test: None, seed: 1 }.read_parts();
        let train: usize = parts.expect("it can be read")[0].iter().map(|item| item.captions.len()).sum();
        assert!(train < table.lines().count());
        train.div_ceil(7) as u64
    };
    for looks in [1, steps, steps + 2, 3 * steps, 3 * steps + 1, 6 * steps] {
        let out = place.at(&format!("stopped{looks}"));
        let told = PROGRAM.outcome(&[&settings[..], &["--out", &out]].concat(), Interrupt::after(looks));
        let name = if looks <= 3 * steps { "baseline" } else { "lstm" };
        let file = Path::new(&out).join(format!("{name}.safetensors")).display().to_string();
        assert_eq!(told, Err(format!("stopped and saved to {file}; --resume {file} goes on")));
        assert_eq!(
            PROGRAM.output(&["--resume", &file, "--out", &out, "--threads", "1"]),
            expected,
            "stopped at {looks}"
        );
        assert!(contents(&out) == contents(&whole), "stopped at {looks}");
    }
}

#[test]
fn a_saved_model_is_tested_and_describes() {
    let place = Place::new();
    let (data, out, net) = (place.scenes("scenes", 25, 1), place.at("out"), place.at("net"));
    let told =
        PROGRAM.output(&[&SMALL[..], &["--data", &data, "--out", &out, "--model", "tanh", "--save", &net]].concat());
    assert_eq!(figure(&told, "tanh", "exact").1, "(n=5)");
    assert_eq!(PROGRAM.output(&["--load", &net, "--out", &out]), told);
    let other = place.scenes("other", 8, 2);
    assert_eq!(figure(&PROGRAM.output(&["--load", &net, "--test", &other, "--out", &out]), "tanh", "exact").1, "(n=8)");

    let (good, small) = (place.at("scenes/00003.png"), place.at("small.png"));
    Image::from_fn(Size { width: 7, height: 3 }, Channels::Grey, |_, _| [0.5])
        .write(Path::new(&small))
        .expect("the folder can be written");
    let told = PROGRAM.output(&["--load", &net, "--describe", &good, &good]);
    let lines: Vec<_> = told.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1] && lines[0].starts_with(&format!("{good}: ")), "{told}");
    let told = PROGRAM.error(&["--load", &net, "--describe", &good, &small, &place.file("text.png", "text")]);
    assert_eq!(told, "2 of 3 files could not be described");

    // Settings that would take all memory before the parameters are looked at.
    let trained = Trained::load(Path::new(&net)).expect("it was saved");
    let path = place.at("changed");
    let told = |key: &str, value: &str| {
        let mut metadata = trained.metadata();
        metadata.insert(key.to_owned(), value.to_owned());
        rewind_rnn::file::save(&path, &trained.model, &metadata).expect("the folder can be written");
        PROGRAM.error(&["--load", &path, "--out", &out])
    };
    for (key, value) in [("hidden", "1000000000"), ("width", "7"), ("height", "513"), ("seed", "x"), ("words", " ")] {
        let expected = format!("{path} was not saved by this program: its setting \"{key}\" is {value:?}");
        assert_eq!(told(key, value), expected);
    }
    // A model of that size is possible, but not in this file.
    let large = told("hidden", "4096");
    assert!(large.contains(" bytes; a model of its settings has "), "{large}");
}

#[test]
fn what_does_not_fit_is_left_out() {
    let place = Place::new();
    let (data, test, out) = (place.scenes("train", 30, 1), place.scenes("test", 12, 2), place.at("out"));
    place.file("test/00003.png", "no image");
    Image::from_fn(Size { width: 40, height: 9 }, Channels::Rgb, |_, _| [0.5; 3])
        .write(&Path::new(&test).join("00004.png"))
        .expect("the folder can be written");
    // A file of its own, a caption of a hundred thousand letters and one of too many words, and the line ends of Windows.
    fs::copy(place.at("test/00000.png"), place.at("test/z.png")).expect("it was written");
    let table = fs::read_to_string(place.at("test/captions.tsv")).expect("it was written");
    let long = format!("z.png\t{}\nz.png\t{}\nnone.png\ta red cross\n", "x".repeat(100_000), "a ".repeat(41));
    place.file("test/captions.tsv", format!("\u{feff}{table}{long}").replace('\n', "\r\n"));
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &data, "--test", &test, "--out", &out]].concat());
    // Of 14 images, one is none, one has another size, and one is not there; nothing is like the caption of z.png.
    assert_eq!(figure(&told, "lstm", "exact").1, "(n=11)");
}

#[test]
fn wrong_input_is_named() {
    let place = Place::new();
    let (good, out) = (place.scenes("good", 6, 1), place.at("out"));
    let told = |words: &[&str]| PROGRAM.error(&[words, &["--out", &out]].concat()).replace(&place.at(""), "");
    assert!(told(&["--data", &place.at("none")]).starts_with("cannot read none/captions.tsv: "));
    assert!(told(&["--test", &good]).starts_with("--test needs images to train on: --data DIR"));

    let table = |contents: &[u8]| {
        place.file("good/captions.tsv", contents);
        told(&["--data", &good])
    };
    let columns = |line: usize, found: &str| {
        format!("good/captions.tsv, line {line}: expected the columns file and caption; {found}")
    };
    let first = "00000.png\ta red cross\n";
    assert_eq!(table(b""), "good/captions.tsv is empty; expected text");
    assert_eq!(table(b"00000.png a red cross\n"), columns(1, "1 found"));
    assert_eq!(table(format!("{first}\n").as_bytes()), columns(2, "1 found"));
    assert_eq!(table(format!("{first}00001.png\ta\tb\n").as_bytes()), columns(2, "3 found"));
    assert_eq!(table(format!("{first}00001.png\t \n").as_bytes()), columns(2, "one of them is empty"));
    let latin = table(&[first.as_bytes(), b"00001.png\tcaf\xe9\n"].concat());
    assert_eq!(
        latin,
        "good/captions.tsv, line 2: byte 36 is 0xe9; expected UTF-8: convert the file, from Latin-1 perhaps"
    );
    assert!(table(b"GIF\0").starts_with("good/captions.tsv, line 1: byte 4 is 0; expected text"));
    let missing = table(b"none.png\ta red cross\n");
    assert!(missing.starts_with("good has no image to use: good/none.png cannot be read: "), "{missing}");
    assert_eq!(table(first.as_bytes()), "good has 1 images; expected 5 at least");
    let long = format!("00000.png\t{}", "a ".repeat(41));
    assert_eq!(table(long.as_bytes()), "good has no caption to use");
    Image::from_fn(Size { width: 7, height: 30 }, Channels::Grey, |_, _| [0.5])
        .write(&Path::new(&good).join("00000.png"))
        .expect("the folder can be written");
    let small = table(first.as_bytes());
    assert_eq!(small, "good has no image to use: good/00000.png is 7x30 pixels; expected 8 a side at least");

    let (one, two) = (place.scenes("one", 6, 1), place.scenes("two", 6, 2));
    place.file("two/captions.tsv", "00000.png\tein rotes Kreuz\n");
    let unknown = told(&["--data", &one, "--test", &two]);
    assert_eq!(unknown, "1 of 1 test captions have words that the training part lacks, such as \"ein\"");
    assert!(told(&["--load", &place.at("one/captions.tsv")]).contains("no whole safetensors file"));
    let save = PROGRAM.error(&["--save", "x", "--out", &out]);
    assert_eq!(save, "--save has room for one model, not for baseline, lstm: choose one by --model");
    let folder = PROGRAM.error(&["--data", &one, "--out", &place.at("two/captions.tsv/out")]);
    assert!(folder.starts_with("cannot write to the folder "), "{folder}");

    let refused = |words: &[&str]| {
        CommandLine::<Arguments>::parse([&["caption"], words].concat()).expect_err("they are wrong").to_string()
    };
    assert!(refused(&["--rate", "-1"]).contains("error: "));
    assert!(refused(&["--load", "x", "--hidden", "3"]).contains("cannot be used with"));
    assert!(refused(&["--describe", "x.png"]).contains("--load"));
}
