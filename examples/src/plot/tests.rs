//! Pictures of ordinary and of awkward data. Set the variable `PICTURES` to a folder to look at them.

use std::path::{Path, PathBuf};

use super::*;
use crate::image::{Channels, Image, Size};
use crate::{History, Metric};

/// A folder to draw into, kept if the variable `PICTURES` names one.
fn folder() -> (PathBuf, Option<tempfile::TempDir>) {
    match std::env::var_os("PICTURES") {
        Some(kept) => (PathBuf::from(kept), None),
        None => {
            let folder = tempfile::tempdir().unwrap();
            (folder.path().to_owned(), Some(folder))
        }
    }
}

/// Checks the size of an SVG file, and that each of `expected` is one of its texts.
#[track_caller]
fn assert_shows(path: &Path, size: [u32; 2], expected: &[&str]) {
    let text = std::fs::read_to_string(path).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let found =
        ["width", "height"].map(|name| document.root_element().attribute(name).unwrap().parse::<u32>().unwrap());
    assert_eq!(found, size);
    let texts = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")));
    let texts: Vec<_> = texts.map(|node| node.text().unwrap().trim()).collect();
    for expected in expected {
        assert!(texts.contains(expected), "{expected} is not in {texts:?}");
    }
}

fn curve(name: &str, speed: f64, epochs: u32) -> History {
    let wobble = |e: u32, at: f64| 0.03 * (f64::from(e) * at).sin();
    let series = |f: &dyn Fn(f64, u32) -> f64| (1..=epochs).map(|e| f((-f64::from(e) / speed).exp(), e)).collect();
    let mut history = History::new(name, Metric::Accuracy);
    history.train_loss = series(&|x, e| 1.1 * x + 0.05 + wobble(e, 1.7).abs());
    history.test_loss = series(&|x, e| 0.95 * x + 0.18 + wobble(e, 2.3));
    history.train_figure = series(&|x, e| 1.0 - 0.66 * x - wobble(e, 3.1).abs());
    history.test_figure = series(&|x, e| 0.94 - 0.6 * x + wobble(e, 1.1));
    history
}

#[test]
fn learning_curves_are_drawn() {
    let (folder, _kept) = folder();
    let path = folder.join("learning_curves.svg");
    let curves = [curve("tanh", 30.0, 40), curve("lstm", 9.0, 40), curve("gru", 5.0, 40)];
    learning_curves(&path, "400 composed scores for training, 100 for testing, seed 1", &curves).unwrap();
    let expected =
        ["Learning curves", "tanh", "lstm", "gru", "test part", "training part", "accuracy", "epoch", "40", "0.8"];
    assert_shows(&path, [1200, 620], &expected);
}

#[test]
fn means_of_seeds_are_drawn_with_their_intervals() {
    let (folder, _kept) = folder();
    let path = folder.join("intervals.svg");
    let models = [
        ("3l-97h-tanh", vec![0.31, 0.29, 0.36]),
        ("3l-64h", vec![0.07, 0.071, 0.08]),
        ("one seed", vec![0.2]),
        ("wide", vec![0.01, 0.4]),
        ("diverged", vec![f64::NAN, 0.25, 0.26]),
        ("none", vec![]),
    ];
    let models = models.map(|(name, values)| Repeated { name: name.to_owned(), values });
    intervals(&path, "Phone error rates", "Student's t over 3 seeds", "phone error rate", &models).unwrap();
    let expected = ["Phone error rates", "a seed", "3l-97h-tanh", "0.320", "0.074", "0.200", "0.255", "0.4", "none"];
    assert_shows(&path, [1200, 130 + 6 * 56 + 84], &expected);
}

#[test]
fn bits_are_drawn_alone() {
    let (folder, _kept) = folder();
    let path = folder.join("learning_curves_bits.svg");
    let mut bits = curve("lstm", 9.0, 40);
    bits.metric = Metric::Bits;
    learning_curves(&path, "one model", &[bits]).unwrap();
    assert_shows(&path, [1200, 620], &["lstm", "test part", "bits", "epoch"]);
    assert!(!std::fs::read_to_string(&path).unwrap().contains("nats"));
}

#[test]
fn learning_curves_cope_with_gaps_single_epochs_and_nothing() {
    let (folder, _kept) = folder();
    let mut diverged = curve("tanh", 10.0, 12);
    diverged.train_loss[5] = f64::NAN;
    diverged.train_loss[8] = f64::MAX;
    diverged.test_loss[4..].fill(f64::INFINITY);
    learning_curves(&folder.join("curves_gaps.svg"), "", &[diverged, curve("lstm", 3.0, 1)]).unwrap();
    learning_curves(&folder.join("curves_single.svg"), "one epoch", &[curve("lstm", 3.0, 1)]).unwrap();
    learning_curves(&folder.join("curves_none.svg"), "no model", &[]).unwrap();
    learning_curves(&folder.join("curves_empty.svg"), "no epoch", &[curve("gru", 1.0, 0)]).unwrap();
}

#[test]
fn gradient_norms_are_drawn() {
    let (folder, _kept) = folder();
    let path = folder.join("gradient_norms.svg");
    let model = |name: &str, rate: f64| GradientNorms {
        name: name.to_owned(),
        norms: (0..180).map(|t| 0.4 * 10f64.powf(-rate * f64::from(179 - t)) * (1.3 + f64::from(t).sin())).collect(),
    };
    let models = [model("tanh", 0.055), model("lstm", 0.012), model("gru", 0.02)];
    gradient_norms(&path, "\"blues 042\", 180 steps, gradient of the loss at the last step", "notes", &models).unwrap();
    assert_shows(
        &path,
        [1200, 680],
        &["\"blues 042\", 180 steps, gradient of the loss at the last step", "10⁻¹⁰", "10⁰", "‖∂E/∂h(t)‖"],
    );
}

#[test]
fn gradient_norms_cope_with_zeros_and_what_is_not_finite() {
    let (folder, _kept) = folder();
    let norms: Vec<f64> = (0..60)
        .map(|t| match t {
            0..20 => 0.0,
            30..34 => f64::NAN,
            50 => f64::INFINITY,
            _ => 10f64.powi(t - 60),
        })
        .collect();
    let models = [
        GradientNorms { name: "tanh".to_owned(), norms },
        GradientNorms { name: "lstm".to_owned(), norms: vec![0.5; 60] },
    ];
    gradient_norms(&folder.join("gradients_odd.svg"), "zeros and gaps", "", &models).unwrap();
    let zeros = GradientNorms { name: "gru".to_owned(), norms: vec![0.0; 9] };
    gradient_norms(&folder.join("gradients_zero.svg"), "only zeros", "", &[zeros]).unwrap();
    let one = GradientNorms { name: "gru".to_owned(), norms: vec![0.1] };
    gradient_norms(&folder.join("gradients_one.svg"), "one step", "", &[one]).unwrap();
    gradient_norms(&folder.join("gradients_none.svg"), "no model", "", &[]).unwrap();
}

#[test]
fn confusion_matrices_are_drawn() {
    let (folder, _kept) = folder();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let three =
        Confusion { classes: names(&["blues", "rock", "classical"]), counts: vec![31, 2, 1, 3, 29, 1, 0, 2, 31] };
    let path = folder.join("confusion_matrix.svg");
    confusion_matrix(&path, "lstm", "test part: 100 composed scores, seed 1", &three).unwrap();
    assert_shows(
        &path,
        [1200, 676],
        &["Confusion matrix, lstm: 91 of 100 right (0.910)", "predicted class", "n = 34", "31", "88 %"],
    );

    let long = "a very long name of a class that would not fit";
    let many: Vec<&str> = std::iter::once(long).chain(["b"; 11]).collect();
    let twelve = Confusion { classes: names(&many), counts: (0..144).collect() };
    confusion_matrix(&folder.join("confusion_twelve.svg"), "gru", "", &twelve).unwrap();
    let empty = Confusion { classes: names(&["a", "b"]), counts: vec![0; 4] };
    confusion_matrix(&folder.join("confusion_empty.svg"), "gru", "nothing was tested", &empty).unwrap();
    confusion_matrix(&folder.join("confusion_none.svg"), "gru", "", &Confusion::default()).unwrap();
}

/// Words and weights near the diagonal, `[targets][sources]`; each row sums to 1.
fn aligned(source: &str, target: &str) -> (Vec<String>, Vec<String>, Vec<Vec<f32>>) {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (source, target) = (words(source), words(target));
    let apart = |t: usize, s: usize| t as f32 / target.len() as f32 - s as f32 / source.len() as f32;
    let rows = (0..target.len()).map(|t| {
        let row: Vec<_> = (0..source.len()).map(|s| (-90.0 * apart(t, s).powi(2)).exp()).collect();
        let sum: f32 = row.iter().sum();
        row.iter().map(|weight| weight / sum).collect()
    });
    let weights = rows.collect();
    (source, target, weights)
}

#[test]
fn attention_is_drawn() {
    let (folder, _kept) = folder();
    let sentences = [
        aligned("Two dogs play in the snow .", "Deux chiens jouent dans la neige ."),
        aligned("A man on a bicycle waits .", "Un homme à vélo attend au feu rouge <end>"),
        aligned("Children dance", "Les enfants dansent"),
    ];
    let panels = sentences.each_ref().map(|(source, target, weights)| Attention { source, target, weights });
    let path = folder.join("attention.svg");
    attention(&path, "Where lstm looks", "three sentences of the test part", &panels).unwrap();
    let expected = ["Where lstm looks", "source", "target", "chiens", "bicycle", "<end>", "weight", "0", "0.5", "1"];
    assert_shows(&path, [1200, 984], &expected);

    let path = folder.join("attention_one.svg");
    attention(&path, "Where gru looks", "one sentence", &panels[..1]).unwrap();
    assert_shows(&path, [1200, 530], &["snow", "neige", "0.76"]);
}

#[test]
fn attention_copes_with_long_sentences_odd_weights_and_nothing() {
    let (folder, _kept) = folder();
    let thirty = |word: &str| vec![word; 15].join(" the ") + " incomprehensibilities";
    let (source, target, weights) = aligned(&thirty("Wednesday"), &thirty("malheureusement"));
    let long = Attention { source: &source, target: &target, weights: &weights };
    let path = folder.join("attention_thirty.svg");
    attention(&path, "Thirty words", "", &[long, long]).unwrap();
    assert_shows(&path, [1200, 2128], &["incomprehensibi…", "malheureusement", "the"]);

    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (source, target) = (names(&["<a> & \"b\"", "", "bell \u{7}"]), names(&["one", "two"]));
    let weights = [vec![f32::NAN, f32::INFINITY, -1.0], vec![0.0, 1.0, 1.004]];
    let odd = Attention { source: &source, target: &target, weights: &weights };
    let path = folder.join("attention_odd.svg");
    attention(&path, "Odd", "", &[odd]).unwrap();
    assert_shows(&path, [1200, 360], &["<a> & \"b\"", "bell", "NaN", "inf", "-1.00", "1.00"]);

    let nothing = Attention { source: &[], target: &target, weights: &[vec![], vec![]] };
    attention(&folder.join("attention_nothing.svg"), "no source", "", &[nothing, odd]).unwrap();
    attention(&folder.join("attention_none.svg"), "no sentence", "", &[]).unwrap();
    let words = vec!["w".to_owned(); 700];
    let many = Attention { source: &words, target: &words[..1], weights: &[vec![0.5; 700]] };
    attention(&folder.join("attention_many.svg"), "700 words", "", &[many]).unwrap();
}

#[test]
#[should_panic(expected = "attention: panel 1 has 1 rows of weights for 2 target words")]
fn attention_refuses_a_missing_row() {
    let words = ["a".to_owned(), "b".to_owned()];
    let right = Attention { source: &words, target: &words[..1], weights: &[vec![0.5; 2]] };
    let _ = attention(Path::new("unwritten.svg"), "", "", &[right, Attention { target: &words, ..right }]);
}

#[test]
#[should_panic(expected = "attention: panel 0, row 1 has 1 weights for 2 source words")]
fn attention_refuses_a_missing_weight() {
    let words = ["a".to_owned(), "b".to_owned()];
    let wrong = Attention { source: &words, target: &words, weights: &[vec![0.5; 2], vec![1.0]] };
    let _ = attention(Path::new("unwritten.svg"), "", "", &[wrong]);
}

#[test]
fn names_of_files_and_classes_leave_a_picture_whole() {
    let (folder, _kept) = folder();
    let path = folder.join("names.svg");
    let classes = ["<a> & \"b\"".to_owned(), "bell \u{7} and tab \t".to_owned()];
    let rows = [[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]];
    let excerpts = [vec![&rows[0][..], &rows[1]], vec![&rows[2]]];
    probabilities(&path, "x</svg>", "", "notes", &classes, &excerpts).unwrap();
    assert_shows(&path, [1200, 520], &["What x</svg> is, had it ended at this step", "<a> & \"b\"", "bell  and tab"]);
}

#[test]
fn galleries_are_drawn() {
    let (folder, _kept) = folder();
    let grey = Image::from_fn(Size { width: 9, height: 7 }, Channels::Grey, |x, y| [(x * y) as f32 / 48.0]);
    let tall = Image::from_fn(Size { width: 1, height: 33 }, Channels::Rgb, |_, y| [1.0, y as f32 / 32.0, 0.0]);
    let exhibit =
        |image, text: &str| Exhibit { image, lines: vec![text.to_owned(), "two".to_owned()], is_right: false };
    let exhibits = [exhibit(&grey, "one"), exhibit(&tall, "<a> & \"b\""), exhibit(&grey, &"x".repeat(200))];
    let path = folder.join("gallery.svg");
    gallery(&path, "What lstm says", "of 3 images", 2, &exhibits).unwrap();
    let cut = "x".repeat(61) + "…";
    assert_shows(&path, [1200, 480], &["What lstm says", "of 3 images", "one", "<a> & \"b\"", &cut, "two"]);
    gallery(&folder.join("gallery_none.svg"), "no image", "", 0, &[]).unwrap();
}

#[test]
fn an_unwritable_picture_is_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a file");
    std::fs::write(&folder, "not a folder").unwrap();
    let error = learning_curves(&folder.join("curves.svg"), "", &[]).unwrap_err().to_string();
    let expected = format!("cannot write {}: ", folder.join("curves.svg").display());
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(std::fs::read_to_string(&folder).unwrap(), "not a folder");
}
