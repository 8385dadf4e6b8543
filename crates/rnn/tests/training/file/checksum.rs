//! The checksum of a file: whatever is damaged in it is refused before anything is used.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use rewind_autograd::{Parameters, Tensor};
use rewind_rnn::ErrorKind;
use rewind_rnn::file::{self, Metadata, Precision, TensorFile};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::resume::Position;

use super::training::train_step;
use super::{Folder, Model, ascii, empty, model, sealed};

/// A run after one step: weights, moments, a count of steps, settings, a position, metadata of the program.
fn save_run(path: &Path) -> (Model<Tensor<f32>>, Adam<f32>) {
    let (mut model, mut adam, mut at) = (model::<f32>(), Adam::new(0.1), Position::new(7));
    train_step(&mut model, &mut adam, 0);
    at.advance(5);
    let metadata = Metadata::from([("note".to_owned(), "ä \"b\" \u{1b}".to_owned())]);
    file::save_run(path, &model, &adam, &[("position", &at)], &metadata).expect("a good run");
    (model, adam)
}

/// Everything that a file says: its metadata, its tensors with their types, and their bits.
fn contents(file: &TensorFile) -> (Metadata, Vec<String>, Vec<Vec<u32>>) {
    let bits = |name: &str| {
        let tensor: Tensor<f32> = file.tensor(name, Precision::AsStored).expect("f32");
        tensor.to_vec().into_iter().map(f32::to_bits).collect()
    };
    let listed = file.tensors().iter().map(|info| format!("{info:?}")).collect();
    (file.metadata().clone(), listed, file.tensors().iter().map(|info| bits(&info.name)).collect())
}

/// Reads a file as `--load` and `--resume` do, and as that of another program; with the errors of all of them.
fn read(path: &Path) -> [Option<rewind_rnn::Error>; 4] {
    let (mut loaded, mut adam, mut at) = (empty::<f32>(), Adam::new(0.1), Position::new(7));
    let errors = [
        file::metadata(path).err(),
        file::load(path, &mut loaded).err(),
        file::load_run(path, &mut loaded, &mut adam, &mut [("position", &mut at)]).err(),
        TensorFile::open(path).err(),
    ];
    let unused = || loaded.leaves() == empty::<f32>().leaves() && (adam.moments().steps, at.step()) == (0, 0);
    assert!(errors.iter().any(Option::is_none) || unused(), "a refused file is not used");
    errors
}

/// Writes one byte in its place: a file that is written anew goes to the disk each time.
fn put(path: &Path, at: usize, byte: u8) {
    let mut file = OpenOptions::new().write(true).open(path).expect("it is there");
    file.seek(SeekFrom::Start(at as u64)).expect("a place in the file");
    file.write_all(&[byte]).expect("writable");
}

#[test]
fn every_bit_of_a_run_counts() {
    let folder = Folder::new();
    save_run(&folder.file());
    let good = fs::read(folder.file()).expect("the file just saved");
    let whole = contents(&TensorFile::open(folder.file()).expect("it is whole"));
    assert!(read(&folder.file()).iter().all(Option::is_none));
    // 0x1b is written as \u001b, and \u001B says the same.
    let escape = ascii(&good).find("\\u001b").expect("a control character") + 5;
    let mut refused = 0;
    for bit in 0..8 * good.len() {
        let (at, damaged) = (bit / 8, good[bit / 8] ^ 1 << (bit % 8));
        put(&folder.file(), at, damaged);
        if (at, damaged) == (escape, b'B') {
            assert_eq!(contents(&TensorFile::open(folder.file()).expect("the same contents")), whole);
            put(&folder.file(), at, good[at]);
            continue;
        }
        let errors = read(&folder.file());
        assert!(errors.iter().all(Option::is_some), "bit {} of byte {at}, {:?}", bit % 8, char::from(good[at]));
        put(&folder.file(), at, good[at]);
        refused += errors.iter().flatten().filter(|error| matches!(error.kind(), ErrorKind::Checksum)).count();
    }
    // The others are no whole safetensors files any more. A bit of a number is never seen otherwise.
    let header = 8 + usize::try_from(u64::from_le_bytes(*good.first_chunk().expect("8 bytes"))).expect("a short one");
    assert!(refused >= 4 * 8 * (good.len() - header), "{refused}");
}

#[test]
fn a_file_of_weights_alone_has_a_checksum() {
    let folder = Folder::new();
    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let good = fs::read(folder.file()).expect("the file just saved");
    for (at, &own) in good.iter().enumerate() {
        for byte in [!own, own ^ 0x20, b'0', b' '].into_iter().filter(|&byte| byte != own) {
            put(&folder.file(), at, byte);
            assert!(file::load(folder.file(), &mut empty::<f32>()).is_err(), "{byte:#04x} at {at}");
            assert!(TensorFile::open(folder.file()).is_err(), "{byte:#04x} at {at}");
        }
        put(&folder.file(), at, own);
    }
}

#[test]
fn a_damaged_file_is_told_with_both_checksums() {
    let folder = Folder::new();
    save_run(&folder.file());
    let mut bytes = fs::read(folder.file()).expect("the file just saved");
    let expected = file::checksum(&bytes).expect("it is whole");
    *bytes.last_mut().expect("it has numbers") ^= 0x40;
    let found = file::checksum(&bytes).expect("it is whole");
    assert_ne!(found, expected);
    fs::write(folder.file(), &bytes).expect("writable");
    let error = TensorFile::open(folder.file()).expect_err("it is damaged");
    assert!(matches!(error.kind(), ErrorKind::Checksum));
    assert_eq!(
        error.to_string(),
        format!(
            "file {:?}: was damaged or edited after it was written: its contents have the checksum {found}; expected \
             {expected:?}, as its metadata `rewind.checksum` says",
            folder.file()
        )
    );
    fs::write(folder.file(), sealed(bytes)).expect("writable");
    assert!(read(&folder.file()).iter().all(Option::is_none), "its own checksum");
}

/// The same file under another version and another key of as many letters.
fn rewritten(bytes: &[u8], version: u8) -> Vec<u8> {
    let (mut bytes, text) = (bytes.to_vec(), ascii(bytes));
    let at = |text: &str, key: &str| text.find(key).expect("it is in the header") + key.len();
    bytes[at(&text, "\"rewind.format\":\"")] = version;
    bytes[at(&text, "\"rewind.checksu")] = b'_';
    bytes
}

#[test]
fn a_file_that_lost_its_checksum_is_refused_and_an_earlier_one_is_read() {
    let folder = Folder::new();
    let (saved, _) = save_run(&folder.file());
    let bytes = fs::read(folder.file()).expect("the file just saved");
    fs::write(folder.file(), rewritten(&bytes, b'2')).expect("writable");
    let lost = "it has no `rewind.checksum`; expected one, as in every file of format version 2";
    for error in read(&folder.file()) {
        let error = error.expect("it lost its checksum");
        assert!(error.to_string().ends_with(lost), "{error}");
    }
    // As a version wrote it that had no checksums.
    fs::write(folder.file(), rewritten(&bytes, b'1')).expect("writable");
    let mut loaded = empty::<f32>();
    file::load(folder.file(), &mut loaded).expect("an earlier file");
    assert_eq!(loaded.leaves(), saved.leaves());
    assert!(read(&folder.file()).iter().all(Option::is_none));
}

/// The checksum is that of the contents: another writer may order them as it likes.
#[test]
fn another_spelling_of_the_same_contents_is_read() {
    let folder = Folder::new();
    let (saved, _) = save_run(&folder.file());
    let bytes = fs::read(folder.file()).expect("the file just saved");
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a safetensors file");
    let read_by_it = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let again = safetensors::serialize(read_by_it.tensors(), header.metadata().clone()).expect("it was read");
    let texts = [&bytes, &again].map(|bytes| ascii(&bytes[8..]));
    assert_ne!(texts[0], texts[1], "the crate writes the metadata behind the tensors or in another order");
    fs::write(folder.file(), &again).expect("writable");
    let mut loaded = empty::<f32>();
    file::load(folder.file(), &mut loaded).expect("the same contents");
    assert_eq!(loaded.leaves(), saved.leaves());
}
