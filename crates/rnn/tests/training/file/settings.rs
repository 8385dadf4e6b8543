//! Files have the types and settings of modules: the parameters of another function are not loaded in silence.

use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::{Parameters, Tensor};
use rewind_rnn::file::{self, FileModule, Metadata, Precision, Problem, TensorFile};
use rewind_rnn::optim::Sgd;
use rewind_rnn::{Bidirectional, Dropout, ErrorKind, Gru, Linear, Merge, Recurrent, ReluRnn, Reset, TanhRnn};

use super::Folder;

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn gru(reset: Reset, seed: u64) -> Gru<Tensor<f32>> {
    Gru { reset, ..Gru::new(2, 3, &mut rng(seed)) }
}

/// The problems of a load that must be refused, a line each; asserts that it changed nothing, with an optimiser and without.
#[track_caller]
fn refused<M: FileModule<f32> + Clone>(folder: &Folder, module: &M) -> Vec<String> {
    let mut changed = module.clone();
    let errors = [
        file::load(folder.file(), &mut changed).expect_err("another function"),
        file::load_training(folder.file(), &mut changed, &mut Sgd::new(0.1)).expect_err("another function"),
    ];
    assert_eq!(changed.leaves(), module.leaves(), "a refused file changed the module");
    let [error, training] = errors.each_ref().map(ToString::to_string);
    assert_eq!(error, training);
    let ErrorKind::Mismatch(problems) = errors[0].kind() else { panic!("{error}") };
    assert!(problems.iter().all(|problem| matches!(problem, Problem::Setting { .. })), "{problems:?}");
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let count = if lines.len() == 1 { "1 thing".to_owned() } else { format!("{} things", lines.len()) };
    assert_eq!(
        error,
        format!(
            "file {:?}: has the parameters of another module, {count} wrong:\n  {}\n(`file::load_leaves` loads them all the same)",
            folder.file(),
            lines.join("\n  ")
        )
    );
    lines
}

fn saved<M: FileModule<f32>>(module: &M) -> Folder {
    let folder = Folder::new();
    file::save_training(folder.file(), module, &Sgd::new(0.1), &Metadata::new()).expect("a good module");
    folder
}

#[test]
fn a_gru_that_resets_elsewhere_is_refused() {
    let before = gru(Reset::BeforeProduct, 1);
    let folder = saved(&before);
    assert_eq!(refused(&folder, &gru(Reset::AfterProduct, 2)), ["`reset` is BeforeProduct; expected AfterProduct"]);
    let mut same = gru(Reset::BeforeProduct, 2);
    file::load(folder.file(), &mut same).expect("the same settings");
    assert_eq!(same, before);
    let mut on_purpose = gru(Reset::AfterProduct, 2);
    file::load_leaves(folder.file(), &mut on_purpose, Precision::AsStored).expect("the leaves alone");
    assert_eq!(on_purpose, Gru { reset: Reset::AfterProduct, ..before });
}

#[test]
fn a_tanh_rnn_is_no_relu_rnn() {
    let tanh = TanhRnn::<Tensor<f32>>::new(2, 3, &mut rng(1));
    let folder = saved(&tanh);
    let relu = ReluRnn::<Tensor<f32>>::new(2, 3, &mut rng(2));
    assert_eq!(refused(&folder, &relu), ["the module is TanhRnn; expected ReluRnn"]);
    let mut wide = ReluRnn::<Tensor<f64>>::new(2, 3, &mut rng(2));
    file::load_converted(folder.file(), &mut wide).expect_err("of another type of elements too");
    let mut same = TanhRnn::<Tensor<f32>>::new(2, 3, &mut rng(2));
    file::load(folder.file(), &mut same).expect("the same type");
    assert_eq!(same, tanh);
}

#[test]
fn everything_that_differs_within_a_network_is_named() {
    let network = |reset, merge, rate| {
        let both = Bidirectional::cells(gru(reset, 1), gru(Reset::AfterProduct, 2)).with_merge(merge);
        (both, Dropout::<Tensor<f32>>::new(rate), Recurrent(TanhRnn::<Tensor<f32>>::new(3, 3, &mut rng(3))))
    };
    let folder = saved(&network(Reset::BeforeProduct, Merge::Sum, 0.5));
    assert_eq!(
        refused(&folder, &network(Reset::AfterProduct, Merge::Concatenate, 0.25)),
        [
            "`0.forward.reset` is BeforeProduct; expected AfterProduct",
            "`0.merge` is Sum; expected Concatenate",
            "`1.rate` is 0.5; expected 0.25",
        ]
    );
    let mut same = network(Reset::BeforeProduct, Merge::Sum, 0.5);
    file::load(folder.file(), &mut same).expect("the same settings");
}

#[test]
fn other_leaves_are_named_before_other_settings() {
    let folder = saved(&gru(Reset::BeforeProduct, 1));
    let mut linear = Linear::<Tensor<f32>>::new(2, 3, &mut rng(2));
    let error = file::load(folder.file(), &mut linear).expect_err("another module").to_string();
    assert!(error.contains("`weight` is missing") && !error.contains("is Gru"), "{error}");
}

/// What was saved before files had settings, by the bytes of a file without them.
#[test]
fn a_file_without_settings_is_loaded() {
    let before = gru(Reset::BeforeProduct, 1);
    let mut tensors = Vec::new();
    before.visit(|name, tensor| tensors.push((name.to_owned(), tensor.clone())));
    let folder = Folder::new();
    file::save_tensors(folder.file(), &tensors, &Metadata::new()).expect("good tensors");
    let mut after = gru(Reset::AfterProduct, 2);
    file::load(folder.file(), &mut after).expect("nothing says that it is another function");
    assert_eq!(after.weight_hn, before.weight_hn);
}

#[test]
fn the_users_metadata_are_returned_without_the_settings() {
    let folder = Folder::new();
    let metadata = Metadata::from([("epoch".to_owned(), "3".to_owned())]);
    file::save(folder.file(), &gru(Reset::AfterProduct, 1), &metadata).expect("a good module");
    assert_eq!(file::metadata(folder.file()).expect("it is there"), metadata);
    let file = file::TensorFile::open(folder.file()).expect("it is there");
    assert_eq!(file.metadata()["rewind.module.reset"], "AfterProduct");
}

/// A width of more than 65,535 cannot be asked of a formatter, and a long name is no reason to pad all others.
#[test]
fn a_file_with_a_long_name_is_listed() {
    let folder = Folder::new();
    let named = |name: String| (name, Tensor::<f32>::zeros(&[2]));
    let tensors: Vec<_> = (0..100).map(|k| named(format!("t{k}"))).chain([named("x".repeat(70_000))]).collect();
    file::save_tensors(folder.file(), &tensors, &Metadata::new()).expect("good tensors");
    let listed = TensorFile::open(folder.file()).expect("the file just saved").to_string();
    assert!(listed.contains("101 tensors") && listed.contains("t99") && listed.len() < 90_000, "{}", listed.len());
}
