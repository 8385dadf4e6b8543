//! Files of modules: loading returns what was saved, and a failure changes nothing.

mod checksum;
mod replace;
mod settings;
mod training;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rewind_autograd::{Parameters, Scalar, Tensor, parameters};
use rewind_rnn::ErrorKind;
use rewind_rnn::file::{self, Metadata, Problem};
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

/// A temporary folder for one test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rewind-file-{}-{number}", std::process::id()));
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

/// The bytes as a text of as many bytes, to find places in it.
pub(crate) fn ascii(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
}

/// The bytes of a file that was changed on purpose, with the checksum of what it holds now.
pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let key = "\"rewind.checksum\":\"";
    let at = ascii(&bytes).find(key).expect("it has a checksum") + key.len();
    let sum = file::checksum(&bytes).expect("a whole file");
    bytes[at..at + sum.len()].copy_from_slice(sum.as_bytes());
    bytes
}

fn round_trip<T: Scalar>() {
    let folder = Folder::new();
    let text = "quotes \" and \\, a line\nbreak, \u{1}, π and 🎵";
    let metadata = Metadata::from([("note".to_owned(), text.to_owned()), (text.to_owned(), String::new())]);
    file::save(folder.file(), &model::<T>(), &metadata).expect("a good module");
    let mut loaded = empty::<T>();
    assert_eq!(file::load(folder.file(), &mut loaded).expect("the file just saved"), metadata);
    assert_eq!(loaded.leaves(), model::<T>().leaves());
    assert_eq!(folder.entries(), 1, "only the file is left");

    // Any reader of the format can read it, and the same content has the same bytes.
    let bytes = fs::read(folder.file()).expect("the file just saved");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let mut names = file.names();
    names.sort_unstable();
    assert_eq!(names, ["layers.0.weight", "layers.1.bias", "layers.1.weight", "scale"]);
    file::save(folder.file(), &model::<T>(), &metadata).expect("a good module");
    assert_eq!(fs::read(folder.file()).expect("the file just saved"), bytes);
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    round_trip::<f32>();
    round_trip::<f64>();
}

/// The message of a load that must fail, without the path; asserts that it changed nothing.
fn refused(folder: &Folder) -> String {
    let mut m = model::<f32>();
    let error = file::load(folder.file(), &mut m).expect_err("this file must be refused");
    assert_eq!(m.leaves(), model::<f32>().leaves(), "a refused file changed the module");
    let message = error.to_string();
    let named = format!("file {:?}: ", folder.file());
    message.strip_prefix(&named).unwrap_or_else(|| panic!("{message} does not name {named}")).to_owned()
}

#[test]
fn an_empty_tensor_of_impossible_lengths_is_refused() {
    let folder = Folder::new();
    let header = r#"{"__metadata__":{"rewind.format":"1"},"w":{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    fs::write(folder.file(), &bytes).expect("the folder is ours");
    let wrong = "`w` has shape [0, 1099511627776, 1099511627776], more than memory can hold";
    assert!(refused(&folder).contains(wrong), "{}", refused(&folder));
    let error = file::load_tensors::<f32>(folder.file()).expect_err("this file must be refused");
    assert!(error.to_string().contains(wrong), "{error}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = Folder::new();
    let mut other = model::<f32>();
    other.layers[0].weight = Tensor::zeros(&[2, 3]);
    other.layers[0].bias = Some(Tensor::zeros(&[2]));
    other.layers[1].bias = None;
    other.layers.push(Layer { weight: Tensor::zeros(&[1]), bias: None });
    file::save(folder.file(), &other, &Metadata::new()).expect("a good module");
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
    file::save(folder.file(), &model::<f64>(), &Metadata::new()).expect("a good module");
    let message = refused(&folder);
    assert!(message.starts_with("does not fit, 4 things wrong:\n  `layers.0.weight` holds f64; expected f32\n"));
}

#[test]
fn truncated_and_foreign_files_are_named() {
    let folder = Folder::new();
    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
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
    let entry = r#""a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    let header = format!("{{{entry},{entry}}}");
    let doubled = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    fs::write(folder.file(), doubled).expect("writable");
    assert!(refused(&folder).contains("(invalid header: `a` is listed twice); expected"), "{}", refused(&folder));

    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).expect("one number");
    fs::write(folder.file(), safetensors::serialize([("scale", view)], None).expect("a tensor")).expect("writable");
    assert_eq!(
        refused(&folder),
        "a safetensors file, but not one of `file::save`: its metadata has no `rewind.format`; `file::TensorFile` reads \
         the files of other programs, `torch::load_stack` the networks of PyTorch, `torch::FromTorch` single layers"
    );
    let at = ascii(&whole).find("\"rewind.format\":\"2\"").expect("the version is in the header") + 17;
    let mut newer = whole.clone();
    newer[at] = b'7';
    fs::write(folder.file(), sealed(newer)).expect("writable");
    assert_eq!(refused(&folder), "a safetensors file, but of format version \"7\"; expected version 1 or 2");
    fs::remove_file(folder.file()).expect("it is there");
    assert!(refused(&folder).starts_with("cannot be read: "));
}

#[test]
fn nan_is_neither_loaded_nor_saved() {
    let folder = Folder::new();
    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let good = fs::read(folder.file()).expect("the file just saved");
    let mut diverged = model::<f32>();
    diverged.layers[1].weight.as_mut_slice()[4] = f32::NAN;
    diverged.scale = Tensor::scalar(f32::INFINITY);
    let error = file::save(folder.file(), &diverged, &Metadata::new()).expect_err("NaN");
    let ErrorKind::Refused(problems) = error.kind() else { panic!("{error}") };
    assert!(
        matches!(problems.as_slice(), [Problem::NonFinite(a), Problem::NonFinite(b)] if a.name == "layers.1.weight" && b.name == "scale")
    );
    assert!(error.to_string().contains("not saved, 2 things wrong:\n  `layers.1.weight` is NaN at [2, 0]; expected"));
    assert_eq!(fs::read(folder.file()).expect("still there"), good, "the last good file is untouched");

    let mut bytes = good;
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(folder.file(), sealed(bytes)).expect("writable");
    assert_eq!(refused(&folder), "does not fit, 1 thing wrong:\n  `scale` is NaN at []; expected finite numbers");
}

#[test]
fn a_failed_save_leaves_nothing_behind() {
    let folder = Folder::new();
    let missing = folder.0.join("nowhere").join("model.safetensors");
    let error = file::save(&missing, &model::<f32>(), &Metadata::new()).expect_err("no such folder");
    assert!(error.to_string().starts_with(&format!("file {missing:?}: cannot be written: ")), "{error}");

    // A folder at the path: everything is written, and only the renaming fails.
    fs::create_dir(folder.file()).expect("a new folder");
    fs::write(folder.file().join("keep"), "me").expect("writable");
    let error = file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect_err("a folder is there");
    assert!(matches!(error.kind(), ErrorKind::Write(_)), "{error}");
    assert_eq!(folder.entries(), 1, "the temporary file is gone");
    assert_eq!(fs::read_to_string(folder.file().join("keep")).expect("still there"), "me");
}

#[test]
fn names_and_keys_that_are_taken_are_refused() {
    let folder = Folder::new();
    let metadata = Metadata::from([("rewind.format".to_owned(), "9".to_owned())]);
    let error = file::save(folder.file(), &model::<f32>(), &metadata).expect_err("a taken key");
    assert!(
        error
            .to_string()
            .ends_with("metadata key `rewind.format` is taken; expected one that does not begin with `rewind.`")
    );
    let twice = [("a".to_owned(), Tensor::<f32>::zeros(&[1])), ("a".to_owned(), Tensor::zeros(&[2]))];
    let error = file::save_tensors(folder.file(), &twice, &Metadata::new()).expect_err("a name twice");
    assert!(error.to_string().ends_with("1 thing wrong:\n  `a` is used twice or reserved; expected a name of its own"));
    assert_eq!(folder.entries(), 0);
}
