//! The whole program at a small size, and errors in its use.

use std::fs;
use std::path::Path;

use png::{BitDepth, ColorType, Encoder};
use rewind_examples::{CommandLine, Interrupt};

use crate::arguments::Arguments;
use crate::images::Images;
use crate::run;

/// A temporary folder, and paths in it as text.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, contents: &[u8]) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(path, contents).expect("the folder can be written");
        self.at(name)
    }

    /// Class folders of images that are bright above or below, a few pixels apart.
    fn halves(&self, count: usize) -> String {
        for i in 0..count {
            for (class, bright) in [("above", 0), ("below", 1)] {
                let pixel = |k: usize| if k / 10 == bright { 200 + (7 * i + k) as u8 % 50 } else { (i + k) as u8 % 50 };
                let pixels: Vec<u8> = (0..20).map(pixel).collect();
                self.write(&format!("halves/{class}/{i:02}.png"), &png(5, 4, ColorType::Grayscale, &pixels));
            }
        }
        self.at("halves")
    }
}

fn png(width: u32, height: u32, colour: ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().expect("the header is right");
    writer.write_image_data(pixels).expect("there are as many pixels");
    writer.finish().expect("it is whole");
    bytes
}

fn idx(lengths: &[u32], data: &[u8]) -> Vec<u8> {
    let lengths_bytes = lengths.iter().flat_map(|length| length.to_be_bytes()).collect();
    [vec![0, 0, 8, lengths.len() as u8], lengths_bytes, data.to_vec()].concat()
}

fn line(words: &[&str]) -> CommandLine<Arguments> {
    let line = CommandLine::parse([&["image_class"], words].concat()).expect("the arguments are right");
    line.resumed().expect("the file is of that run")
}

/// The standard output of the program, or its error.
fn outcome(words: &[&str], interrupt: Interrupt) -> Result<String, String> {
    let mut out = Vec::new();
    run(&line(words), &interrupt, &mut out).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).expect("the results are text"))
}

fn output(words: &[&str]) -> String {
    outcome(words, Interrupt::never()).expect("the program has what it needs")
}

fn error(words: &[&str]) -> String {
    outcome(words, Interrupt::never()).expect_err("the program must refuse")
}

#[test]
fn drawn_digits_are_learned() {
    let place = Place::new();
    let out = place.at("out");
    let told = output(&["--epochs", "8", "--hidden", "32", "--out", &out]);
    let lines: Vec<_> = told.lines().collect();
    let value = |line: &str, name: &str| -> f64 {
        let rest = line.strip_prefix(&format!("{name} test accuracy ")).and_then(|rest| rest.strip_suffix(" (n=500)"));
        rest.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    let [baseline, perceptron, lstm] =
        [("baseline", 0), ("perceptron", 1), ("lstm", 2)].map(|(name, k)| value(lines[k], name));
    assert!(0.2 < baseline && baseline + 0.1 < perceptron && baseline + 0.1 < lstm, "{told}");
    let table = fs::read_to_string(place.at("out/metrics.csv")).expect("it was written");
    assert_eq!(table.lines().count(), 1 + 1 + 2 * 8, "{table}");
    for picture in ["learning_curves.svg", "confusion_perceptron.svg", "confusion_lstm.svg"] {
        let text = fs::read_to_string(Path::new(&out).join(picture)).expect("it was drawn");
        assert!(text.ends_with("</svg>\n"), "{picture}");
    }
}

#[test]
fn a_comparison_that_is_stopped_goes_on_to_the_same_bits() {
    let place = Place::new();
    let (data, whole) = (place.halves(50), place.at("whole"));
    let settings = ["--data", &data, "--epochs", "2", "--hidden", "5"];
    let expected = output(&[&settings[..], &["--out", &whole]].concat());
    // 80 images in three batches an epoch, six looks a model.
    for (looks, name) in [(1, "perceptron"), (3, "perceptron"), (8, "lstm"), (12, "lstm")] {
        let out = place.at(&format!("stopped{looks}"));
        let file = Path::new(&out).join(format!("{name}.safetensors")).display().to_string();
        let told = outcome(&[&settings[..], &["--out", &out]].concat(), Interrupt::after(looks));
        assert_eq!(told, Err(format!("stopped and saved to {file}; --resume {file} goes on")));
        assert_eq!(output(&["--resume", &file, "--out", &out, "--threads", "3"]), expected, "stopped at {looks}");
        for name in ["perceptron.safetensors", "lstm.safetensors", "metrics.csv", "confusion_lstm.svg"] {
            let [a, b] = [&out, &whole].map(|folder| fs::read(Path::new(folder).join(name)).expect("it was written"));
            assert!(a == b, "{name}, stopped at {looks}");
        }
    }
    let file = Path::new(&whole).join("lstm.safetensors").display().to_string();
    let out = place.at("loaded");
    assert_eq!(Some(output(&["--load", &file, "--out", &out]).trim_end()), expected.lines().last());
    assert!(output(&["--load", &file, "--test", &data, "--out", &out]).ends_with("(n=100)\n"));
}

#[test]
fn images_of_any_kind_are_read_in_shades_of_grey() {
    let place = Place::new();
    for (name, colour, pixels) in [
        ("a/1.png", ColorType::Grayscale, &[0, 51, 255][..]),
        ("a/2.PNG", ColorType::GrayscaleAlpha, &[255, 0, 51, 255, 255, 255]),
        ("b/1.png", ColorType::Rgb, &[0, 0, 0, 51, 51, 51, 255, 255, 255]),
        ("b/2.png", ColorType::Rgba, &[255, 255, 255, 0, 153, 0, 0, 255, 255, 255, 255, 255]),
    ] {
        place.write(&format!("d/{name}"), &png(3, 1, colour, pixels));
    }
    // Left out: one of another size, half a file, and what is no image.
    let whole = png(3, 1, ColorType::Grayscale, &[1, 2, 3]);
    place.write("d/a/3.png", &png(2, 2, ColorType::Grayscale, &[0; 4]));
    place.write("d/a/4.png", &whole[..whole.len() / 2]);
    place.write("d/b/5.png", b"");
    place.write("d/b/notes.txt", b"passed over");
    let images = Images::read(Path::new(&place.at("d"))).expect("four images are whole");
    assert_eq!((images.rows, images.columns, &images.labels[..]), (1, 3, &[0, 0, 1, 1][..]));
    assert_eq!(images.pixels, vec![vec![0.0, 0.2, 1.0]; 4]);
}

#[test]
fn idx_files_are_read() {
    let place = Place::new();
    let path = place.write("train-images-idx3-ubyte", &idx(&[3, 2, 1], &[0, 255, 51, 0, 255, 255]));
    let labels = place.write("train-labels-idx1-ubyte", &idx(&[3], &[0, 2, 1]));
    let images = Images::read(Path::new(&path)).expect("both files are whole");
    assert_eq!((images.rows, images.columns, &images.labels[..]), (2, 1, &[0, 2, 1][..]));
    assert_eq!(images.pixels, [[0.0, 1.0], [0.2, 0.0], [1.0, 1.0]]);
    assert_eq!(images.classes, ["0", "1", "2"]);

    let message = |name: &str, contents: &[u8]| {
        place.write(name, contents);
        let text = Images::read(Path::new(&path)).expect_err("the file is wrong").to_string();
        text.replace(&path, "IMAGES").replace(&labels, "LABELS")
    };
    let (good, images, labels) = (idx(&[3], &[0, 2, 1]), "train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    let short = message(labels, &idx(&[2], &[0, 2]));
    assert_eq!(short, "IMAGES has 3 images and LABELS 2 labels; expected as many, and one at least");
    assert_eq!(message(labels, b"\x1f\x8b\x08\x00"), "LABELS is compressed; unpack it with gunzip");
    let other = message(labels, b"label");
    assert_eq!(other, "LABELS begins with [108, 97, 98, 101]; expected [0, 0, 8, 1], an IDX file of bytes with 1 axes");
    place.write(labels, &good);
    assert_eq!(message(images, &idx(&[3, 2, 1], &[0; 5])), "IMAGES has 5 bytes of data; expected [3, 2, 1] of them");
    let huge = message(images, &idx(&[u32::MAX, u32::MAX, u32::MAX], &[]));
    assert_eq!(huge, "IMAGES has 0 bytes of data; expected [4294967295, 4294967295, 4294967295] of them");
    assert_eq!(message(images, &idx(&[3, 0, 0], &[])), "IMAGES: an image is 0×0; expected 1×1 to 1024×1024");
    assert!(message(images, b"").starts_with("IMAGES begins with []; expected [0, 0, 8, 3]"));
}

#[test]
fn wrong_input_is_named() {
    let place = Place::new();
    let (data, out) = (place.halves(10), place.at("out"));
    place.write("other/above/1.png", &png(2, 2, ColorType::Grayscale, &[0; 4]));
    place.write("other/below/1.png", &png(2, 2, ColorType::Grayscale, &[0; 4]));
    place.write("broken/a/1.png", b"text");
    place.write("broken/b/1.png", b"text");
    let error = |words: &[&str]| error(&[words, &["--out", &out]].concat()).replace(&place.at(""), "");
    assert_eq!(
        error(&["--data", &data, "--test", &place.at("other")]),
        "the images of other are 2×2; expected 5×4 as those of halves"
    );
    fs::create_dir_all(place.at("halves3")).expect("the folder can be made");
    for class in ["above", "left"] {
        place.write(&format!("three/{class}/1.png"), &png(5, 4, ColorType::Grayscale, &[0; 20]));
    }
    assert_eq!(
        error(&["--data", &data, "--test", &place.at("three")]),
        "the classes of three are above, left; expected above, below as those of halves"
    );
    let told = error(&["--data", &place.at("broken")]);
    assert!(
        told.starts_with("broken/a has no readable image: 1 tried; broken/a/1.png is no whole PNG file: "),
        "{told}"
    );
    assert_eq!(error(&["--data", &place.at("other")]), "the class \"above\" has no image to train on");
    assert!(error(&["--data", &place.at("none")]).contains("no folder, and no IDX file by its name"));
    assert!(error(&["--test", &data]).starts_with("--test needs images to train on"));
    let net = place.at("net");
    let told = error(&["--data", &data, "--save", &net]);
    assert_eq!(told, "--save has room for one model, not for perceptron, lstm: choose one by --model");
    output(&["--data", &data, "--model", "tanh", "--epochs", "1", "--save", &net, "--out", &out]);
    let told = error(&["--load", &net, "--test", &place.at("other")]);
    assert_eq!(told, "the images of other are 2×2; expected 5×4 as those of net");
}
