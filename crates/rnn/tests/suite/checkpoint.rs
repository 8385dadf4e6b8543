//! Checkpoints: what is saved is what is loaded, and nothing is lost when it cannot be.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rewind_autograd::{Parameters, Scalar, Tensor, parameters};
use rewind_rnn::checkpoint::{self, CheckpointError, Metadata, Problem};
use rewind_rnn::optim::{Adagrad, Adam, AdamW, Optimizer, RmsProp, Sgd, State};
use safetensors::SafeTensors;

parameters! {
    struct Model<P> { layers: Vec<Layer<P>>, scale: P }
}
parameters! {
    struct Layer<P> { weight: P, bias: Option<P> }
}

fn model<T: Scalar>() -> Model<Tensor<T>> {
    let numbers = |shape: &[usize]| Tensor::from_fn(shape, |i| T::from_f64((i as f64 + 0.1).sqrt() - 1.0));
    let layer = |bias: bool| Layer { weight: numbers(&[2, 3]).transpose(), bias: bias.then(|| numbers(&[2])) };
    Model { layers: vec![layer(false), layer(true)], scale: numbers(&[]) }
}

fn empty<T: Scalar>() -> Model<Tensor<T>> {
    model().map(|_, p: &Tensor<T>| Tensor::zeros(p.shape()))
}

/// A folder of its own for a test, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rewind-checkpoint-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a writable folder for temporary files");
        Folder(folder)
    }
    fn file(&self) -> PathBuf {
        self.0.join("model.safetensors")
    }
    fn entries(&self) -> usize {
        self.names().len()
    }
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder is there");
        let mut names: Vec<_> =
            entries.map(|e| e.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn round_trip<T: Scalar>() {
    let folder = Folder::new();
    let text = "quotes \" and \\, a line\nbreak, \u{1}, π and 🎵";
    let metadata = Metadata::from([("note".to_owned(), text.to_owned()), (text.to_owned(), String::new())]);
    checkpoint::save(folder.file(), &model::<T>(), &metadata).expect("a good module");
    let mut loaded = empty::<T>();
    assert_eq!(checkpoint::load(folder.file(), &mut loaded).expect("the file just saved"), metadata);
    assert_eq!(loaded.leaves(), model::<T>().leaves());
    assert_eq!(folder.entries(), 1, "only the checkpoint is left");

    // Any reader of the format can read it, and the same content has the same bytes.
    let bytes = fs::read(folder.file()).expect("the file just saved");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let mut names = file.names();
    names.sort_unstable();
    assert_eq!(names, ["layers.0.weight", "layers.1.bias", "layers.1.weight", "scale"]);
    checkpoint::save(folder.file(), &model::<T>(), &metadata).expect("a good module");
    assert_eq!(fs::read(folder.file()).expect("the file just saved"), bytes);
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    round_trip::<f32>();
    round_trip::<f64>();
}

#[test]
fn an_optimiser_goes_on_from_a_file() {
    let folder = Folder::new();
    let (mut adam, mut m) = (Adam::new(0.1), model::<f32>());
    adam.step(&mut m, &model()).expect("a good step");
    let State { steps, tensors } = adam.state();
    let metadata = Metadata::from([("steps".to_owned(), steps.to_string())]);
    checkpoint::save_tensors(folder.file(), &tensors, &metadata).expect("good tensors");
    let (tensors, metadata) = checkpoint::load_tensors::<f32>(folder.file()).expect("the file just saved");
    let mut other = Adam::new(0.1);
    let steps = metadata["steps"].parse().expect("a number");
    other.load_state(&State { steps, tensors }).expect("its own state");
    let mut twin = m.clone();
    adam.step(&mut m, &model()).expect("a good step");
    other.step(&mut twin, &model()).expect("a good step");
    assert_eq!(m.leaves(), twin.leaves());
}

/// The message of a load that must fail, without the path, and proof that it changed nothing.
fn refused(folder: &Folder) -> String {
    let mut m = model::<f32>();
    let error = checkpoint::load(folder.file(), &mut m).expect_err("this file must be refused");
    assert_eq!(m.leaves(), model::<f32>().leaves(), "a refused file changed the module");
    let message = error.to_string();
    let named = format!("checkpoint {:?}: ", folder.file());
    message.strip_prefix(&named).unwrap_or_else(|| panic!("{message} does not name {named}")).to_owned()
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = Folder::new();
    let mut other = model::<f32>();
    other.layers[0].weight = Tensor::zeros(&[2, 3]);
    other.layers[0].bias = Some(Tensor::zeros(&[2]));
    other.layers[1].bias = None;
    other.layers.push(Layer { weight: Tensor::zeros(&[1]), bias: None });
    checkpoint::save(folder.file(), &other, &Metadata::new()).expect("a good module");
    assert_eq!(
        refused(&folder),
        "does not fit, 4 things wrong:\
         \n  `layers.0.weight` has shape [2, 3]; expected [3, 2]\
         \n  `layers.1.bias` is missing; expected shape [2]\
         \n  `layers.0.bias` of shape [2] is not part of the module\
         \n  `layers.2.weight` of shape [1] is not part of the module"
    );
}

#[test]
fn another_type_of_number_is_named() {
    let folder = Folder::new();
    checkpoint::save(folder.file(), &model::<f64>(), &Metadata::new()).expect("a good module");
    let message = refused(&folder);
    assert!(message.starts_with("does not fit, 4 things wrong:\n  `layers.0.weight` holds f64; expected f32\n"));
}

#[test]
fn truncated_and_foreign_files_are_named() {
    let folder = Folder::new();
    checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let whole = fs::read(folder.file()).expect("the file just saved");
    let expected = "expected 8 bytes of header length, a JSON header, and exactly the numbers it lists";
    for length in 0..whole.len() {
        fs::write(folder.file(), &whole[..length]).expect("writable");
        let message = refused(&folder);
        assert!(message.starts_with(&format!("{length} bytes that are no whole safetensors file (")), "{message}");
        assert!(message.ends_with(expected), "{message}");
    }
    fs::write(folder.file(), [&whole[..], b"more"].concat()).expect("writable");
    assert!(refused(&folder).contains("no whole safetensors file"));
    fs::write(folder.file(), "MThd, a song, and certainly not a checkpoint").expect("writable");
    assert!(refused(&folder).contains("no whole safetensors file"));

    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).expect("one number");
    fs::write(folder.file(), safetensors::serialize([("scale", view)], None).expect("a tensor")).expect("writable");
    assert_eq!(
        refused(&folder),
        "a safetensors file, but not a checkpoint: its metadata has no `rewind.format`; `checkpoint::TensorFile` reads \
         the files of other programs, `torch::FromTorch` the layers of PyTorch"
    );
    let text = String::from_utf8_lossy(&whole).into_owned();
    let at = text.find("\"rewind.format\":\"1\"").expect("the version is in the header") + 17;
    let mut newer = whole.clone();
    newer[at] = b'7';
    fs::write(folder.file(), newer).expect("writable");
    assert_eq!(refused(&folder), "a safetensors file, but of format version \"7\"; expected version 1");
    fs::remove_file(folder.file()).expect("it is there");
    assert!(refused(&folder).starts_with("cannot be read: "));
}

#[test]
fn nan_is_neither_loaded_nor_saved() {
    let folder = Folder::new();
    checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let good = fs::read(folder.file()).expect("the file just saved");
    let mut diverged = model::<f32>();
    diverged.layers[1].weight.as_mut_slice()[4] = f32::NAN;
    diverged.scale = Tensor::scalar(f32::INFINITY);
    let error = checkpoint::save(folder.file(), &diverged, &Metadata::new()).expect_err("NaN");
    let CheckpointError::Refused { problems, .. } = &error else { panic!("{error}") };
    assert!(
        matches!(problems.as_slice(), [Problem::NonFinite(a), Problem::NonFinite(b)] if a.name == "layers.1.weight" && b.name == "scale")
    );
    assert!(error.to_string().contains("not saved, 2 things wrong:\n  `layers.1.weight` is NaN at [2, 0]; expected"));
    assert_eq!(fs::read(folder.file()).expect("still there"), good, "the last good checkpoint is untouched");

    let mut bytes = good;
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(folder.file(), bytes).expect("writable");
    assert_eq!(refused(&folder), "does not fit, 1 thing wrong:\n  `scale` is NaN at []; expected finite numbers");
}

#[test]
fn a_failed_save_leaves_nothing_behind() {
    let folder = Folder::new();
    let missing = folder.0.join("nowhere").join("model.safetensors");
    let error = checkpoint::save(&missing, &model::<f32>(), &Metadata::new()).expect_err("no such folder");
    assert!(error.to_string().starts_with(&format!("checkpoint {missing:?}: cannot be written: ")), "{error}");

    // A folder in the place of the file: everything is written, and the last step, the renaming, fails.
    fs::create_dir(folder.file()).expect("a new folder");
    fs::write(folder.file().join("keep"), "me").expect("writable");
    let error = checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect_err("a folder is there");
    assert!(matches!(error, CheckpointError::Write { .. }), "{error}");
    assert_eq!(folder.entries(), 1, "the temporary file is gone");
    assert_eq!(fs::read_to_string(folder.file().join("keep")).expect("still there"), "me");
}

#[test]
fn names_and_keys_that_are_taken_are_refused() {
    let folder = Folder::new();
    let metadata = Metadata::from([("rewind.format".to_owned(), "9".to_owned())]);
    let error = checkpoint::save(folder.file(), &model::<f32>(), &metadata).expect_err("a taken key");
    assert!(
        error
            .to_string()
            .ends_with("metadata key `rewind.format` is taken; expected one that does not begin with `rewind.`")
    );
    let twice = [("a".to_owned(), Tensor::<f32>::zeros(&[1])), ("a".to_owned(), Tensor::zeros(&[2]))];
    let error = checkpoint::save_tensors(folder.file(), &twice, &Metadata::new()).expect_err("a name twice");
    assert!(error.to_string().ends_with("1 thing wrong:\n  `a` is used twice or reserved; expected a name of its own"));
    assert_eq!(folder.entries(), 0);
}

#[test]
fn what_a_killed_run_left_is_gone_after_the_next_save() {
    let folder = Folder::new();
    let beside = |name: &str| folder.0.join(name);
    fs::write(beside(".model.safetensors.4000000000-0.tmp"), "half a checkpoint").expect("writable");
    // Not ours: another target's, and one whose name only looks alike.
    fs::write(beside(".other.safetensors.4000000000-0.tmp"), "").expect("writable");
    fs::write(beside(".model.safetensors.backup.tmp"), "").expect("writable");
    // Another run is writing this one, which the lock says.
    let written = fs::File::create(beside(".model.safetensors.4000000001-7.tmp")).expect("writable");
    written.lock().expect("a file that can be locked");

    checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let rest =
        [".model.safetensors.4000000001-7.tmp", ".model.safetensors.backup.tmp", ".other.safetensors.4000000000-0.tmp"];
    assert_eq!(folder.names(), [&rest[..], &["model.safetensors"]].concat());

    // That run ends, and with it the lock.
    drop(written);
    checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    assert_eq!(folder.names(), [&rest[1..], &["model.safetensors"]].concat());
}

#[test]
fn writers_at_the_same_time_do_not_disturb_one_another() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..8 {
                    checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
                }
            });
        }
    });
    assert_eq!(folder.names(), ["model.safetensors"]);
    checkpoint::load(folder.file(), &mut empty::<f32>()).expect("a whole file");
}

/// Another process that saves a large module to the file, where no file may grow beyond some KB. `signal` says what
/// happens there: an error, or the end of the process in the middle of writing.
#[cfg(unix)]
fn save_where_files_stay_small(folder: &Folder, signal: &str) -> std::process::Output {
    let program = std::env::current_exe().expect("this test has a program");
    std::process::Command::new("sh")
        .args([
            "-c",
            &format!(
                "ulimit -c 0; ulimit -f 8; {signal} exec \"$0\" --exact checkpoint::save_large --ignored --nocapture"
            ),
        ])
        .arg(program)
        .env("REWIND_SAVE_LARGE", folder.file())
        .output()
        .expect("a shell")
}

#[test]
#[ignore = "run by the two tests below, in a process that may not write large files"]
fn save_large() {
    let Some(path) = std::env::var_os("REWIND_SAVE_LARGE") else { return };
    let large = Layer { weight: Tensor::<f32>::zeros(&[100_000]), bias: None };
    if let Err(error) = checkpoint::save(path, &large, &Metadata::new()) {
        println!("REFUSED {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_while_saving_leaves_the_last_file_and_the_next_save_cleans_up() {
    let folder = Folder::new();
    checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let good = fs::read(folder.file()).expect("the file just saved");
    let killed = save_where_files_stay_small(&folder, "");
    assert_eq!(killed.status.code(), None, "killed by a signal: {killed:?}");
    assert_eq!(folder.entries(), 2, "it was killed while writing: {:?}", folder.names());
    assert_eq!(fs::read(folder.file()).expect("still there"), good);
    checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    assert_eq!(folder.names(), ["model.safetensors"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_grow_is_named_and_the_last_one_kept() {
    let folder = Folder::new();
    checkpoint::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let good = fs::read(folder.file()).expect("the file just saved");
    let output = save_where_files_stay_small(&folder, "trap '' XFSZ;");
    let text = String::from_utf8_lossy(&output.stdout);
    let expected = format!("REFUSED checkpoint {:?}: cannot be written: ", folder.file());
    assert!(output.status.success() && text.contains(&expected), "{output:?}");
    assert_eq!(fs::read(folder.file()).expect("still there"), good);
    assert_eq!(folder.names(), ["model.safetensors"]);
}

/// A step of training with gradients that depend on the parameters and on the number of the step.
fn train_step<T: Scalar>(m: &mut Model<Tensor<T>>, optimizer: &mut impl Optimizer<T>, step: usize) {
    let gradients = m.map(|_, p: &Tensor<T>| p.map(|x| x * T::from_f64(1.5) + T::from_f64((step as f64).cos())));
    optimizer.set_learning_rate(optimizer.learning_rate() * 0.9);
    optimizer.step(m, &gradients).expect("a good step");
}

fn resumes_to_the_same_bits<T: Scalar, O: Optimizer<T>>(fresh: impl Fn() -> O) {
    let folder = Folder::new();
    let (mut whole, mut optimizer) = (model::<T>(), fresh());
    for step in 0..10 {
        if step == 6 {
            let metadata = Metadata::from([("step".to_owned(), step.to_string())]);
            checkpoint::save_training(folder.file(), &whole, &optimizer, &metadata).expect("a good run");
        }
        train_step(&mut whole, &mut optimizer, step);
    }
    let (mut stopped, mut resumed) = (empty::<T>(), fresh());
    let metadata = checkpoint::load_training(folder.file(), &mut stopped, &mut resumed).expect("the file just saved");
    assert_eq!(metadata, Metadata::from([("step".to_owned(), "6".to_owned())]));
    (6..10).for_each(|step| train_step(&mut stopped, &mut resumed, step));
    assert_eq!(stopped.leaves(), whole.leaves());
    assert_eq!(resumed.state(), optimizer.state());
    assert_eq!(resumed.learning_rate().to_bits(), optimizer.learning_rate().to_bits());

    // The model alone, to be used; and a file that is written twice has the same bytes.
    let mut used = empty::<T>();
    checkpoint::load(folder.file(), &mut used).expect("the model is in it");
    checkpoint::load_training(folder.file(), &mut stopped, &mut resumed).expect("it is still there");
    assert_eq!(used.leaves(), stopped.leaves());
    let bytes = fs::read(folder.file()).expect("it is still there");
    checkpoint::save_training(folder.file(), &stopped, &resumed, &metadata).expect("a good run");
    assert_eq!(fs::read(folder.file()).expect("the file just saved"), bytes);
}

#[test]
fn a_run_goes_on_from_one_file_to_the_same_bits() {
    resumes_to_the_same_bits::<f32, _>(|| Adam::new(0.1));
    resumes_to_the_same_bits::<f64, _>(|| AdamW::new(0.1));
    resumes_to_the_same_bits::<f32, _>(|| Sgd::new(0.1));
    resumes_to_the_same_bits::<f64, _>(|| Sgd::new(0.1).momentum(0.9).nesterov(true));
    resumes_to_the_same_bits::<f32, _>(|| RmsProp::new(0.1));
    resumes_to_the_same_bits::<f64, _>(|| Adagrad::new(0.1));
}

#[test]
fn what_cannot_be_resumed_changes_neither_model_nor_optimiser() {
    let folder = Folder::new();
    let (mut m, mut adam) = (model::<f32>(), Adam::new(0.1));
    train_step(&mut m, &mut adam, 0);
    let refused = |load: &mut dyn FnMut() -> Result<Metadata, CheckpointError>| {
        let error = load().expect_err("this file must be refused").to_string();
        let named = format!("checkpoint {:?}: ", folder.file());
        error.strip_prefix(&named).unwrap_or_else(|| panic!("{error} does not name {named}")).to_owned()
    };

    // A model alone.
    checkpoint::save(folder.file(), &m, &Metadata::new()).expect("a good module");
    let (mut other, mut fresh) = (model::<f32>(), Adam::new(0.3));
    assert_eq!(
        refused(&mut || checkpoint::load_training(folder.file(), &mut other, &mut fresh)),
        "its metadata key `rewind.steps` is missing; expected a number, as `checkpoint::save_training` writes it"
    );
    // Another model, another optimiser, a damaged moment.
    checkpoint::save_training(folder.file(), &m, &adam, &Metadata::new()).expect("a good run");
    let mut smaller = m.layers[0].clone();
    let message = refused(&mut || checkpoint::load_training(folder.file(), &mut smaller, &mut fresh));
    assert!(
        message.starts_with("does not fit, 5 things wrong:\n  `weight` is missing; expected shape [3, 2]"),
        "{message}"
    );
    assert!(!message.contains("optimizer:"), "the moments are not part of what is wrong: {message}");
    let mut sgd = Sgd::new(0.3).momentum(0.9);
    assert_eq!(
        refused(&mut || checkpoint::load_training(folder.file(), &mut other, &mut sgd)),
        "optimiser: the loaded state holds `layers.0.weight.exp_avg`; expected names that end in `.momentum`"
    );
    let mut bytes = fs::read(folder.file()).expect("the file just saved");
    let numbers = (m.leaves().iter().map(|p| p.len()).sum::<usize>()) * 3; // two moments each
    // In the order of the names the moments come behind the layers, which have 6 + 2 + 6 numbers.
    let first = bytes.len() - 4 * (numbers - 14);
    bytes[first..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(folder.file(), bytes).expect("writable");
    let message = refused(&mut || checkpoint::load_training(folder.file(), &mut other, &mut fresh));
    assert!(message.contains("`optimizer:layers.0.weight.exp_avg` is NaN at [0, 0]"), "{message}");

    assert_eq!(other.leaves(), model::<f32>().leaves());
    assert_eq!((fresh.state().steps, fresh.learning_rate()), (0, 0.3));
    assert_eq!((sgd.state().steps, sgd.learning_rate()), (0, 0.3));
}
