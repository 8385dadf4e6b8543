//! The text that the program writes itself: what comes next often depends on something far back.
//!
//! A line is a few items, and an item is one of
//! - a word of syllables: `kalomi`;
//! - a quotation, a word that comes twice: `"kalomi"kalomi'`;
//! - a count, strokes and their number: `<|||3>`;
//! - brackets of one of three kinds around items: `(ka [lo] "mi"mi')`.
//!
//! The second copy of a word, the number of strokes and the kind of a closing bracket follow from what came before. No
//! text can be written in two ways, so the probability of a text is that of the choices that wrote it.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

const SYLLABLES: [&str; 4] = ["ka", "lo", "mi", "re"];
const BRACKETS: [[char; 2]; 3] = [['(', ')'], ['[', ']'], ['{', '}']];
/// The items of a line or of brackets.
const ITEMS: usize = 3;
/// The most strokes, and the most syllables of a word.
const STROKES: usize = 9;
const WORD: usize = 4;
/// Within so many brackets, none opens.
const DEPTH: usize = 4;

/// A text and what its choices cost.
pub(crate) struct Writer {
    rng: ChaCha8Rng,
    text: String,
    /// -log₂ of the probability of the text so far.
    bits: f64,
}

impl Writer {
    pub(crate) fn new(rng: ChaCha8Rng) -> Self {
        Writer { rng, text: String::new(), bits: 0.0 }
    }

    /// Whole lines of `length` characters or a few more, and -log₂ p of the text: what the best model of it needs.
    pub(crate) fn write(mut self, length: usize) -> (String, f64) {
        while self.text.len() < length {
            self.items(0);
            self.text.push('\n');
        }
        (self.text, self.bits)
    }

    /// One of `count` equally likely choices.
    fn choice(&mut self, count: usize) -> usize {
        self.bits += (count as f64).log2();
        self.rng.random_range(0..count)
    }

    fn items(&mut self, depth: usize) {
        for item in 0..=self.choice(ITEMS) {
            if item > 0 {
                self.text.push(' ');
            }
            match self.choice(if depth < DEPTH { 4 } else { 3 }) {
                0 => {
                    let word = self.word();
                    self.text.push_str(&word);
                }
                1 => {
                    let word = self.word();
                    self.text.push_str(&format!("\"{word}\"{word}'"));
                }
                2 => {
                    let strokes = 1 + self.choice(STROKES);
                    self.text.push_str(&format!("<{}{strokes}>", "|".repeat(strokes)));
                }
                _ => {
                    let [open, close] = BRACKETS[self.choice(BRACKETS.len())];
                    self.text.push(open);
                    self.items(depth + 1);
                    self.text.push(close);
                }
            }
        }
    }

    fn word(&mut self) -> String {
        (0..=self.choice(WORD)).map(|_| SYLLABLES[self.choice(SYLLABLES.len())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn written(length: usize, seed: u64) -> (String, f64) {
        Writer::new(ChaCha8Rng::seed_from_u64(seed)).write(length)
    }

    /// Reads items back, and gives the rest and the bits of the choices that can have written them.
    fn read(mut rest: &str, depth: usize) -> (&str, f64) {
        let mut bits = (ITEMS as f64).log2();
        for item in 0.. {
            bits += if depth < DEPTH { 2.0 } else { 3_f64.log2() };
            let word = |text: &str| text.chars().take_while(|c| c.is_alphabetic()).count();
            let word_bits = |length: usize| 2.0 + length as f64; // of the syllables, and two letters each
            match rest.as_bytes()[0] {
                b'"' => {
                    let length = word(&rest[1..]);
                    let copy = &rest[length + 2..];
                    assert_eq!(rest[1..=length], copy[..length]);
                    (bits, rest) = (bits + word_bits(length), copy[length..].strip_prefix('\'').unwrap());
                }
                b'<' => {
                    let strokes = rest[1..].chars().take_while(|&c| c == '|').count();
                    rest = rest[strokes + 1..].strip_prefix(&format!("{strokes}>")).unwrap();
                    bits += (STROKES as f64).log2();
                }
                open @ (b'(' | b'[' | b'{') => {
                    let close = BRACKETS.iter().find(|pair| pair[0] == char::from(open)).unwrap()[1];
                    let (after, inner) = read(&rest[1..], depth + 1);
                    rest = after.strip_prefix(close).unwrap();
                    bits += 3_f64.log2() + inner;
                }
                _ => {
                    let length = word(rest);
                    assert!(length > 0 && length % 2 == 0, "{rest:.20}");
                    (bits, rest) = (bits + word_bits(length), &rest[length..]);
                }
            }
            assert!(item < ITEMS);
            match rest.strip_prefix(' ') {
                Some(more) => rest = more,
                None => break,
            }
        }
        (rest, bits)
    }

    #[test]
    fn the_bits_are_those_of_the_only_way_to_write_the_text() {
        let (text, bits) = written(20_000, 7);
        let mut read_bits = 0.0;
        for line in text.lines() {
            let (rest, of_line) = read(line, 0);
            assert_eq!(rest, "", "{line}");
            read_bits += of_line;
        }
        assert!((read_bits - bits).abs() < 1e-6 * bits, "{read_bits} and {bits}");
        for sign in ['(', ']', '{', '"', '\'', '9', ' '] {
            assert!(text.contains(sign), "{sign}");
        }
    }

    #[test]
    fn a_seed_decides_the_text() {
        assert_eq!(written(100, 1), written(100, 1));
        assert_ne!(written(100, 1).0, written(100, 2).0);
        assert_eq!(written(0, 1), (String::new(), 0.0));
    }
}
