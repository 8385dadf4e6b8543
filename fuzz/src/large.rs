//! Large inputs: what takes time with the square of a file, or memory many times it, shows in hundreds of kilobytes.

use std::env;
use std::fs;
use std::path::PathBuf;

/// The bytes of an input that repeats something.
pub const SIZE: usize = 300_000;

/// Where they are written. Without it, none are made.
fn folder() -> Option<PathBuf> {
    env::var_os("LARGE").map(PathBuf::from)
}

/// Whether they are made: what it takes to make one is not done for nothing.
pub fn are_wanted() -> bool {
    folder().is_some()
}

/// Writes a large input, which `fuzz/run` gives to the target once.
pub fn large(name: &str, contents: impl FnOnce() -> Vec<u8>) {
    if let Some(folder) = folder() {
        fs::write(folder.join(name), contents()).expect("the folder of large inputs can be written to");
    }
}

/// A piece over and over, as often as it fits into so many bytes.
pub fn repeated(piece: &[u8], size: usize) -> Vec<u8> {
    piece.repeat(size / piece.len().max(1))
}

/// Texts for the numbers from 0 up, as many as fit into so many bytes.
pub fn numbered(size: usize, text: impl Fn(usize) -> String) -> Vec<u8> {
    let mut all = Vec::with_capacity(size);
    for text in (0..).map(text) {
        if all.len() + text.len() > size {
            break;
        }
        all.extend(text.bytes());
    }
    all
}

/// The large inputs of so many bytes that a seed gives: it is repeated, or followed by its last line over and over, with a number before
/// it each time, or without its line end, or by empty lines.
pub(crate) fn grow(name: &str, seed: &[u8], size: usize) {
    let text = seed.strip_suffix(b"\n").unwrap_or(seed);
    let line = text.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    let with_end = [line, b"\n"].concat();
    let line_text = String::from_utf8_lossy(&with_end);
    let after = |more: Vec<u8>| [text, b"\n", &more].concat();
    large(&format!("{name}-again"), || repeated(seed, size));
    large(&format!("{name}-lines"), || after(repeated(&with_end, size)));
    large(&format!("{name}-numbered"), || after(numbered(size, |number| format!("{number}{line_text}"))));
    large(&format!("{name}-one-line"), || after(repeated(line, size)));
    large(&format!("{name}-empty-lines"), || after(vec![b'\n'; size / 3]));
}
