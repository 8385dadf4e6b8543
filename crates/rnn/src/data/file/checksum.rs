//! The checksum over what a file holds, among its metadata: a bit that changes on a disk or on its way is noticed before a number is used.
//!
//! It is the CRC-32 of IEEE 802.3 (as in zip and PNG), which notices every change of one bit and every damaged stretch of up to 32 bits,
//! and of other damage all but one case in 2^32. It is no protection against intent.

use std::collections::BTreeMap;

use crc32fast::Hasher;

use super::format::{self, Parsed};
use super::{CHECKED_FORMAT, FORMAT_KEY};

/// The metadata key of the checksum.
pub(super) const KEY: &str = "rewind.checksum";

/// The checksum of a safetensors file, as [`save`](super::save) writes it to the metadata `rewind.checksum`, such as `crc32:8a01f3c5`. `None`
/// if `file` has not the bytes of a whole safetensors file.
///
/// It covers what the file holds, not how the header spells it, so that a program may write the same contents in another order:
///
/// - the number of entries of the metadata without `rewind.checksum`; key and value of each, in the order of the keys;
/// - name, type (`f32`), number of axes, their lengths and the elements' bytes of each tensor, in the order of the names.
///
/// Texts and elements have their number of bytes before them; all numbers have 8 bytes, in little-endian order.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::file::{self, Metadata, TensorFile};
///
/// let path = std::env::temp_dir().join(format!("rewind-doc-checksum-{}.safetensors", std::process::id()));
/// file::save_tensors(&path, &[("h".to_owned(), Tensor::<f32>::zeros(&[64]))], &Metadata::new())?;
/// let mut bytes = std::fs::read(&path)?;
/// assert_eq!(file::checksum(&bytes).as_ref(), TensorFile::open(&path)?.metadata().get("rewind.checksum"));
///
/// *bytes.last_mut().expect("it has numbers") ^= 1;
/// std::fs::write(&path, &bytes)?;
/// let error = TensorFile::open(&path).expect_err("it is damaged");
/// assert!(error.to_string().contains("its contents have the checksum crc32:"));
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn checksum(file: &[u8]) -> Option<String> {
    format::parse(file).ok().map(|parsed| of_parsed(&parsed, file))
}

/// A tensor: its name, its type, its shape and the bytes of its elements.
pub(super) type Entry<'a> = (&'a str, &'a str, &'a [usize], &'a [u8]);

/// The checksum of metadata, those of the checksum itself left out, and of tensors in the order of their names.
pub(super) fn of<'a>(metadata: &BTreeMap<String, String>, tensors: impl Iterator<Item = Entry<'a>>) -> String {
    let mut sum = Sum(Hasher::new());
    let covered = || metadata.iter().filter(|(key, _)| *key != KEY);
    sum.number(covered().count());
    for (key, value) in covered() {
        sum.bytes(key.as_bytes());
        sum.bytes(value.as_bytes());
    }
    for (name, dtype, shape, elements) in tensors {
        sum.bytes(name.as_bytes());
        sum.bytes(dtype.as_bytes());
        sum.number(shape.len());
        shape.iter().for_each(|&length| sum.number(length));
        sum.bytes(elements);
    }
    format!("crc32:{:08x}", sum.0.finalize())
}

fn of_parsed(parsed: &Parsed, file: &[u8]) -> String {
    let tensors = parsed.tensors.iter().zip(&parsed.places);
    let entries = tensors.map(|(info, (_, place))| {
        (info.name.as_str(), info.dtype.as_str(), info.shape.as_slice(), &file[place.clone()])
    });
    of(&parsed.metadata, entries)
}

/// What tells that `file` is not as it was written, if it has a checksum or must have one. Files of other programs and of the earlier
/// version of the format have none.
pub(super) fn damage(parsed: &Parsed, file: &[u8]) -> Option<String> {
    let Some(expected) = parsed.metadata.get(KEY) else {
        let is_lost = parsed.metadata.get(FORMAT_KEY).is_some_and(|version| version == CHECKED_FORMAT);
        let why = || format!("it has no `{KEY}`; expected one, as in every file of format version {CHECKED_FORMAT}");
        return is_lost.then(why);
    };
    let found = of_parsed(parsed, file);
    let why = || format!("its contents have the checksum {found}; expected {expected:?}, as its metadata `{KEY}` says");
    (found != *expected).then(why)
}

/// Parts, each so that it cannot be taken for the end of the one before.
struct Sum(Hasher);

impl Sum {
    fn number(&mut self, number: usize) {
        self.0.update(&(number as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.update(bytes);
    }
}
