//! The whole program at a small size, and errors in its use.

use std::fs;
use std::path::Path;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_examples::image::{Channels, Image, Size};
use rewind_examples::testing::{Place, Program, contents, figure};
use rewind_examples::{CommandLine, Interrupt};

use crate::arguments::{Arguments, ModelKind};
use crate::dataset::Dataset;
use crate::digits::draw;
use crate::idx::tests::bytes;
use crate::run;
use crate::saved::Trained;

const PROGRAM: Program<Arguments> = Program { name: "image_class", run };

/// Folders with data of the program.
trait Drawn {
    fn digits(&self, name: &str, count: usize, seed: u64) -> String;
    fn idx(&self, name: &str, count: usize, seed: u64) -> String;
}

impl Drawn for Place {
    /// A folder with drawn digits, a folder a class.
    fn digits(&self, name: &str, count: usize, seed: u64) -> String {
        digits(count, seed).write(Path::new(&self.at(name))).expect("the folder can be written");
        self.at(name)
    }

    /// The same digits in MNIST's format.
    fn idx(&self, name: &str, count: usize, seed: u64) -> String {
        let data = digits(count, seed);
        let (pixels, labels): (Vec<_>, Vec<_>) =
            data.items.iter().map(|(image, class)| (image.bytes.clone(), *class as u8)).unzip();
        self.file(&format!("{name}-labels-idx1-ubyte"), bytes(&[count as u32], &labels));
        self.file(&format!("{name}-images-idx3-ubyte"), bytes(&[count as u32, 24, 24], &pixels.concat()))
    }
}

fn digits(count: usize, seed: u64) -> Dataset {
    draw(count, &mut ChaCha8Rng::seed_from_u64(seed))
}

const SMALL: [&str; 6] = ["--hidden", "9", "--batch", "7", "--epochs", "3"];

#[test]
fn every_model_learns() {
    let place = Place::new();
    let (data, test, out) = (place.digits("train", 300, 1), place.digits("test", 100, 2), place.at("out"));
    // What each reaches at least on the training part: the basic network forgets the first rows.
    let least = [(ModelKind::Perceptron, 0.8), (ModelKind::Tanh, 0.2), (ModelKind::Lstm, 0.45), (ModelKind::Gru, 0.45)];
    assert_eq!(least.map(|(kind, _)| kind), ModelKind::value_variants());
    for (kind, least) in least {
        let name = kind.name();
        let recipe = ["--hidden", "24", "--batch", "10", "--epochs", "20"];
        let told = PROGRAM
            .output(&[&["--data", &data, "--test", &test, "--out", &out, "--model", name][..], &recipe].concat());
        let (accuracy, n) = figure(&told, name, "accuracy");
        assert_eq!([n, figure(&told, "baseline", "accuracy").1], ["(n=100)"; 2]);
        let table = fs::read_to_string(place.at("out/metrics.csv")).expect("it was written");
        let lines: Vec<_> = table.lines().collect();
        assert_eq!((lines.len(), lines[0]), (22, "model,epoch,train_loss,train_accuracy,test_loss,test_accuracy"));
        let numbers = |line: &str| line.split(',').skip(2).map(|x| x.parse::<f64>().expect("a number")).collect();
        let [first, last]: [Vec<f64>; 2] = [lines[2], lines[21]].map(numbers);
        assert!(last[1] > least && last[0] < 0.9 * first[0], "{table}");
        assert_eq!((last[3] * 1000.0).round(), (accuracy * 1000.0).round());
        for picture in [format!("confusion_{name}.svg"), format!("answers_{name}.svg"), "learning_curves.svg".into()] {
            let picture = fs::read_to_string(Path::new(&out).join(picture)).expect("it was drawn");
            assert!(picture.ends_with("</svg>\n"));
        }
    }
}

#[test]
fn folders_and_files_of_the_same_images_give_the_same_figures() {
    let place = Place::new();
    let [folders, files] = [
        [place.digits("train", 60, 1), place.digits("test", 30, 2)],
        [place.idx("train", 60, 1), place.idx("test", 30, 2)],
    ];
    let [a, b] = [folders, files].map(|[data, test]| {
        PROGRAM.output(&[&SMALL[..], &["--data", &data, "--test", &test, "--out", &place.at("out")]].concat())
    });
    // The order of the images differs, so training differs; the baseline does not.
    assert_eq!(figure(&a, "baseline", "accuracy"), figure(&b, "baseline", "accuracy"));
    assert_eq!((figure(&a, "lstm", "accuracy").1, figure(&b, "lstm", "accuracy").1), ("(n=30)", "(n=30)"));
}

#[test]
fn what_is_written_is_what_was_drawn() {
    let place = Place::new();
    let (folder, out) = (place.at("drawn"), place.at("out"));
    let one = ["--model", "perceptron", "--epochs", "1", "--hidden", "5", "--out", &out];
    let told = PROGRAM.output(&[&one[..], &["--write", &folder]].concat());
    let [train, test] = ["drawn/train", "drawn/test"].map(|name| place.at(name));
    let again = PROGRAM.output(&[&one[..], &["--data", &train, "--test", &test]].concat());
    assert_eq!(figure(&told, "baseline", "accuracy"), figure(&again, "baseline", "accuracy"));
    assert_eq!(figure(&told, "baseline", "accuracy").1, "(n=1000)");
    assert!(PROGRAM.error(&[&one[..], &["--write", &folder]].concat()).contains("it is not empty"));
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_to_the_same_bits() {
    let place = Place::new();
    let (data, whole) = (place.digits("digits", 50, 1), place.at("whole"));
    let settings = [&SMALL[..], &["--data", &data]].concat();
    let expected = PROGRAM.output(&[&settings[..], &["--out", &whole]].concat());
    // Six batches an epoch, three epochs, two models.
    for looks in [1, 6, 8, 18, 19, 36] {
        let out = place.at(&format!("stopped{looks}"));
        let told = PROGRAM.outcome(&[&settings[..], &["--out", &out]].concat(), Interrupt::after(looks));
        let name = if looks <= 18 { "perceptron" } else { "lstm" };
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
fn labels_that_have_changed_are_noticed() {
    let place = Place::new();
    let (data, out) = (place.idx("train", 50, 1), place.at("out"));
    let begun = [&SMALL[..], &["--data", &data, "--out", &out]].concat();
    assert!(PROGRAM.outcome(&begun, Interrupt::after(3)).unwrap_err().starts_with("stopped and saved"));
    let labels = data.replace("images", "labels").replace("idx3", "idx1");
    let mut bytes = fs::read(&labels).expect("it was written");
    let last = bytes.len() - 1;
    bytes[last] = (bytes[last] + 1) % 10;
    fs::write(&labels, bytes).expect("it can be written");
    let told = PROGRAM.error(&["--resume", &format!("{out}/perceptron.safetensors"), "--out", &out]);
    assert!(told.starts_with(&format!("{data} has changed since the run of ")), "{told}");
}

#[test]
fn a_saved_model_is_tested_and_classifies() {
    let place = Place::new();
    let (data, out, net) = (place.digits("digits", 60, 1), place.at("out"), place.at("net"));
    let one = ["--data", &data, "--out", &out, "--model", "gru", "--save", &net];
    let told = PROGRAM.output(&[&SMALL[..], &one].concat());
    let trained = figure(&told, "gru", "accuracy");
    assert_eq!(trained.1, "(n=12)");
    assert_eq!(figure(&PROGRAM.output(&["--load", &net, "--out", &out]), "gru", "accuracy"), trained);
    let test = place.idx("other", 20, 5);
    let loaded = PROGRAM.output(&["--load", &net, "--test", &test, "--out", &out]);
    assert_eq!((figure(&loaded, "gru", "accuracy").1, loaded.lines().count()), ("(n=20)", 1));

    let (good, small) = (place.at("digits/3/00003.png"), place.at("small.png"));
    Image::from_fn(Size { width: 7, height: 3 }, Channels::Grey, |_, _| [0.5])
        .write(Path::new(&small))
        .expect("the folder can be written");
    let told = PROGRAM.output(&["--load", &net, "--classify", &good, &good]);
    let lines: Vec<_> = told.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1] && lines[0].starts_with(&format!("{good}: ")), "{told}");
    let told = PROGRAM.error(&["--load", &net, "--classify", &good, &small, &place.file("text.png", "text")]);
    assert_eq!(told, "2 of 3 files could not be classified");

    // Settings that would take all memory before the parameters are looked at.
    let trained = Trained::load(Path::new(&net)).expect("it was saved");
    let path = place.at("changed");
    let told = |key: &str, value: &str| {
        let mut metadata = trained.metadata();
        metadata.insert(key.to_owned(), value.to_owned());
        rewind_rnn::file::save(&path, &trained.model, &metadata).expect("the folder can be written");
        PROGRAM.error(&["--load", &path, "--out", &out])
    };
    for (key, value) in [("hidden", "1000000000"), ("width", "0"), ("height", "513"), ("seed", "x"), ("kind", "cnn")] {
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
    let (data, test, out) = (place.digits("train", 60, 1), place.digits("test", 20, 2), place.at("out"));
    place.file("train/3/text.png", "no image");
    place.file("train/3/empty.png", "");
    place.file("train/readme.txt", "not tried");
    fs::rename(place.at("test/7"), place.at("test/seven")).expect("it was written");
    let odd = place.at("test/4/odd.png");
    Image::from_fn(Size { width: 9, height: 9 }, Channels::Rgb, |_, _| [0.5; 3])
        .write(Path::new(&odd))
        .expect("the folder can be written");
    let told = PROGRAM.output(&[&SMALL[..], &["--data", &data, "--test", &test, "--out", &out]].concat());
    // Two images of the class `seven`, and one of another size.
    assert_eq!(figure(&told, "lstm", "accuracy").1, "(n=18)");

    let source = crate::dataset::Source { data: Some(data.into()), test: Some(test.into()), seed: 1 };
    let all = source.read_parts().expect("they can be read");
    let told = source.read_test(&["x".to_owned(), "y".to_owned()], all[0].size()).expect_err("no class fits");
    let told = told.to_string();
    assert!(told.contains("has no image to use: ") && told.contains("2 of the class \"seven\""), "{told}");
    let wide = Size { width: 25, height: 24 };
    let told = source.read_test(&all[0].classes, wide).expect_err("no size fits").to_string();
    assert!(told.contains("18 of 24x24 pixels instead of 25x24, 1 of 9x9 pixels instead of 25x24"), "{told}");
}

#[test]
fn wrong_input_is_named() {
    let place = Place::new();
    let (good, out) = (place.digits("good", 20, 1), place.at("out"));
    let told = |words: &[&str]| PROGRAM.error(&[words, &["--out", &out]].concat()).replace(&place.at(""), "");
    assert!(told(&["--data", &place.at("none")]).starts_with("cannot read none: "));
    assert!(told(&["--test", &good]).starts_with("--test needs images to train on: --data PATH"));
    assert!(told(&["--data", &good, "--test", &place.at("none")]).starts_with("cannot read none: "));
    let text = place.file("text", "no images");
    assert!(told(&["--data", &text]).starts_with("text is no IDX file of images"), "{}", told(&["--data", &text]));
    fs::create_dir(place.at("empty")).expect("the folder can be written");
    let empty = told(&["--data", &place.at("empty")]);
    assert_eq!(empty, "empty holds no folders: expected one folder of PNG files for each class");
    place.file("broken/a/1.png", "text");
    let broken = told(&["--data", &place.at("broken")]);
    assert!(broken.starts_with("broken/a has no readable image: 1 tried; broken/a/1.png is not a whole PNG file"));
    place.file("one/a/1.png", fs::read(place.at("good/3/00003.png")).expect("it was written"));
    let one = told(&["--data", &place.at("one")]);
    assert_eq!(one, "one has one class alone, \"a\"; expected two at least, to tell apart");
    let none = place.file("no-images", bytes(&[0, 3, 3], &[]));
    place.file("no-labels", bytes(&[0], &[]));
    assert_eq!(told(&["--data", &none]), "no-images holds no image");
    place.file("two/a/1.png", fs::read(place.at("good/3/00003.png")).expect("it was written"));
    place.file("two/b/1.png", fs::read(place.at("good/4/00004.png")).expect("it was written"));
    assert_eq!(told(&["--data", &place.at("two")]), "two has no image to test on");
    assert!(told(&["--load", &text]).contains("no whole safetensors file"));
    let save = PROGRAM.error(&["--save", "x", "--out", &out]);
    assert_eq!(save, "--save has room for one model, not for perceptron, lstm: choose one by --model");
    let folder = PROGRAM.error(&["--data", &good, "--out", &place.at("text/out")]);
    assert!(folder.starts_with("cannot write to the folder "), "{folder}");

    let refused = |words: &[&str]| {
        CommandLine::<Arguments>::parse([&["image_class"], words].concat()).expect_err("they are wrong").to_string()
    };
    assert!(refused(&["--rate", "0"]).contains("expected a number above 0"));
    assert!(refused(&["--load", "x", "--hidden", "3"]).contains("cannot be used with"));
    assert!(refused(&["--classify", "x.png"]).contains("--load"));
    assert!(refused(&["--model", "cnn"]).contains("[possible values: perceptron, tanh, lstm, gru]"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_needs_more_memory_than_there_is_is_refused() {
    let place = Place::new();
    for (class, value) in [("a", 0.0), ("b", 1.0)] {
        let folder = Path::new(&place.at("wide")).join(class);
        fs::create_dir_all(&folder).expect("the folder can be written");
        for name in ["1.png", "2.png", "3.png"] {
            let image = Image::from_fn(Size { width: 512, height: 512 }, Channels::Grey, |_, _| [value]);
            image.write(&folder.join(name)).expect("the folder can be written");
        }
    }
    let told = PROGRAM.error(&[
        "--data",
        &place.at("wide"),
        "--hidden",
        "4096",
        "--batch",
        "4096",
        "--model",
        "lstm",
        "--out",
        &place.at("out"),
    ]);
    assert!(told.starts_with("training lstm with 4096 units takes about "), "{told}");
    assert!(told.ends_with("a smaller --hidden or --batch takes less"), "{told}");
}
