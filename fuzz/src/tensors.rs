//! Safetensors files from lines of text, so that changed inputs are still whole files: offsets and the length of the header follow.

use std::fmt::Write;
use std::path::Path;

use rewind_examples::testing::sealed;
use rewind_rnn::file::TensorFile;
use serde_json::{Map, Value, json};

/// The bytes of large inputs of such lines. A header of many short entries takes more memory than its readers promise, and those of
/// thousands of layers time with the square of their number.
pub const LARGE: usize = 8_000;

/// The most elements of a file of short lines; that of long ones has as many as bytes. A tensor that says it has more is listed without them.
const MOST: usize = 1 << 13;
/// Every element, and that of a tensor which is marked by a `!`.
const ELEMENT: f32 = 0.25;
const MARKED: f32 = f32::NAN;

/// The bytes of a file. A line `key<TAB>value` is metadata, with `\n` for a line end; a line `name|F32|2 3` is a tensor.
pub fn file(data: &[u8]) -> Vec<u8> {
    let (mut header, mut metadata, mut elements) = (Map::new(), Map::new(), Vec::new());
    for line in String::from_utf8_lossy(data).lines() {
        if let Some((key, value)) = line.split_once('\t') {
            metadata.insert(key.to_owned(), Value::from(value.replace("\\n", "\n")));
            continue;
        }
        let mut columns = line.split('|');
        let (Some(name), Some(dtype), Some(shape)) = (columns.next(), columns.next(), columns.next()) else { continue };
        let shape: Vec<u64> = shape.split(' ').filter_map(|length| length.parse().ok()).collect();
        let count = shape.iter().try_fold(1, |all: u64, &length| all.checked_mul(length));
        let bits = if dtype == "F64" { 64 } else { 32 };
        let bytes = usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX);
        let most = data.len().max(MOST);
        let (bytes, from) = (bytes.min(most - (elements.len() / 8).min(most)) * bits / 8, elements.len());
        for at in 0..bytes * 8 / bits {
            let x = if at == 0 && columns.clone().next() == Some("!") { MARKED } else { ELEMENT };
            match bits {
                64 => elements.extend(f64::from(x).to_le_bytes()),
                _ => elements.extend(x.to_le_bytes()),
            }
        }
        let offsets = [from, elements.len()];
        header.insert(name.to_owned(), json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets }));
    }
    header.insert("__metadata__".to_owned(), Value::Object(metadata));
    // A checksum cannot be guessed, so that a changed file has the one of what it holds now.
    sealed(framed(Value::Object(header).to_string().as_bytes(), &elements))
}

/// A file of a header and elements.
pub fn framed(header: &[u8], elements: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header, elements].concat()
}

/// The lines that give a file with the metadata and the tensors of the one at `path`, but for their elements.
pub fn described(path: &Path) -> String {
    let file = TensorFile::open(path).expect("it was saved");
    let mut lines = String::new();
    for (key, value) in file.metadata() {
        writeln!(lines, "{key}\t{}", value.replace('\n', "\\n")).expect("a text can be written to");
    }
    for tensor in file.tensors() {
        let shape: Vec<_> = tensor.shape.iter().map(usize::to_string).collect();
        let (name, dtype) = (&tensor.name, tensor.dtype.to_uppercase());
        writeln!(lines, "{name}|{dtype}|{}", shape.join(" ")).expect("a text can be written to");
    }
    lines
}
