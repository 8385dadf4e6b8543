//! The text of a run and its characters.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_examples::{RunArguments, say, text};

use crate::nested::Writer;

/// Characters of the text that the program writes, for training and for testing.
const WRITTEN: [usize; 2] = [200_000, 20_000];
/// Of a text that is not divided yet, one part in so many is for testing.
const TEST_SHARE: usize = 10;
/// The fewest characters to train on, and to test on.
const LEAST: [usize; 2] = [100, 2];
/// The most distinct characters.
pub(crate) const MAX_CHARACTERS: usize = 10_000;

/// Where the text of a run comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The file to train on, and to take the test part from if there is no other.
    pub(crate) data: Option<PathBuf>,
    /// The file to test on.
    pub(crate) test: Option<PathBuf>,
    /// What a written text follows from.
    pub(crate) seed: u64,
}

/// Displays as what is tested on.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.data, &self.test) {
            (_, Some(test)) => write!(f, "{}", test.display()),
            (Some(data), None) => write!(f, "the last tenth of {}", data.display()),
            (None, None) => write!(f, "the test part of the text that seed {} writes", self.seed),
        }
    }
}

impl Source {
    /// What the command line names.
    pub(crate) fn named(run: &RunArguments) -> Source {
        Source { data: run.data.clone(), test: run.test.clone(), seed: run.seed() }
    }

    /// The training text and the test text. For testing alone, the training text is empty where it need not be read.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or hold too few characters.
    pub(crate) fn read(&self, is_for_training: bool) -> Result<[String; 2], Box<dyn Error>> {
        let parts = match (&self.data, &self.test) {
            (None, Some(_)) if is_for_training => {
                return Err(
                    "--test needs a text to train on: --data FILE, or a model that was saved: --load FILE".into()
                );
            }
            (Some(data), Some(test)) if is_for_training => [text::read(data)?, text::read(test)?],
            (_, Some(test)) => [String::new(), text::read(test)?],
            (Some(data), None) => {
                let whole = text::read(data)?;
                let characters = whole.chars().count();
                let first = characters - characters / TEST_SHARE;
                let place = whole.char_indices().nth(first).map_or(whole.len(), |(place, _)| place);
                [whole[..place].to_owned(), whole[place..].to_owned()]
            }
            (None, None) => {
                // Two streams of one seed: the parts share nothing but how they are written.
                let [(train, _), (test, bits)] = [0, 1].map(|part| {
                    let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                    rng.set_stream(part);
                    Writer::new(rng).write(WRITTEN[part as usize])
                });
                let best = bits / test.chars().count() as f64;
                say(format!("a model that knew how the test part is written would need {best:.3} bits a character"));
                [train, test]
            }
        };
        let names = [&self.data, if self.test.is_some() { &self.test } else { &self.data }];
        for (which, least) in LEAST.into_iter().enumerate().skip(usize::from(!is_for_training)) {
            let count = parts[which].chars().take(least).count();
            if count < least {
                let part = ["train on", "test on"][which];
                let at = names[which].as_ref().map_or(String::new(), |path| path.display().to_string());
                return Err(format!("{at} has {count} characters to {part}; expected {least} at least").into());
            }
        }
        Ok(parts)
    }

    /// The line of its file in which the test text begins, from 1; `train` is the text before it, if they are of one file.
    pub(crate) fn first_line(&self, train: &str) -> usize {
        let is_divided = self.data.is_some() && self.test.is_none();
        1 + if is_divided { train.matches('\n').count() } else { 0 }
    }
}

/// The distinct characters of a training text, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alphabet {
    characters: Vec<char>,
    places: BTreeMap<char, usize>,
}

impl Alphabet {
    /// The characters of a text.
    ///
    /// # Errors
    ///
    /// If there are more than [`MAX_CHARACTERS`].
    pub(crate) fn of(text: &str) -> Result<Self, String> {
        // One by one: a set that is collected takes memory for every character of the text.
        let mut distinct = BTreeSet::new();
        text.chars().for_each(|c| _ = distinct.insert(c));
        if distinct.len() > MAX_CHARACTERS {
            let count = distinct.len();
            return Err(format!(
                "the training text has {count} distinct characters; expected {MAX_CHARACTERS} at most"
            ));
        }
        let characters: Vec<char> = distinct.into_iter().collect();
        let places = characters.iter().enumerate().map(|(place, &c)| (c, place)).collect();
        Ok(Alphabet { characters, places })
    }

    /// C, how many there are.
    pub(crate) fn len(&self) -> usize {
        self.characters.len()
    }

    /// The character at a place.
    pub(crate) fn character(&self, place: usize) -> char {
        self.characters[place]
    }

    /// All characters as a text, which [`Alphabet::of`] reads again.
    pub(crate) fn text(&self) -> String {
        self.characters.iter().collect()
    }

    /// The place of a character.
    pub(crate) fn place(&self, character: char) -> Option<usize> {
        self.places.get(&character).copied()
    }

    /// The places of the characters of a test text that begins in `first_line` of its file. Those that the training text does not
    /// have are left out and reported.
    pub(crate) fn places(&self, text: &str, first_line: usize) -> Vec<usize> {
        let places: Vec<usize> = text.chars().filter_map(|c| self.place(c)).collect();
        let left_out = text.chars().count() - places.len();
        if left_out > 0 {
            let first = text.chars().find(|&c| self.place(c).is_none()).unwrap_or_default();
            let line = first_line + text.chars().take_while(|&c| c != first).filter(|&c| c == '\n').count();
            say(format!(
                "left out of the test part: {left_out} characters that the training text does not have, \
                 the first of them {first:?} in line {line}"
            ));
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alphabet_is_read_from_its_text() {
        let alphabet = Alphabet::of("banana\n").unwrap();
        assert_eq!((alphabet.len(), alphabet.text().as_str()), (4, "\nabn"));
        assert_eq!(Alphabet::of(&alphabet.text()), Ok(alphabet.clone()));
        // x and é are not in it.
        assert_eq!(alphabet.places("nxabé", 1), [3, 1, 2]);
    }

    #[test]
    fn too_many_characters_are_refused() {
        let many: String = ('\u{4e00}'..).take(MAX_CHARACTERS + 1).collect();
        let told = Alphabet::of(&many).unwrap_err();
        assert_eq!(told, "the training text has 10001 distinct characters; expected 10000 at most");
    }

    #[test]
    fn the_last_tenth_is_for_testing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let text: String = ('a'..='z').cycle().map(|c| if c == 'q' { 'é' } else { c }).take(205).collect();
        std::fs::write(&path, &text).unwrap();
        let source = Source { data: Some(path.clone()), test: None, seed: 1 };
        let [train, test] = source.read(true).unwrap();
        assert_eq!((train.chars().count(), test.chars().count()), (185, 20));
        assert_eq!(train + &test, text);
        // Lines are those of the file, also in its last tenth.
        std::fs::write(&path, format!("{}é\nx\n", "abc\n".repeat(90))).unwrap();
        let [train, test] = source.read(true).unwrap();
        let line = source.first_line(&train);
        assert!(test.starts_with("abc\n") && line == 83, "{test:?} begins in line {line}");
        assert_eq!(Source { test: Some(path.clone()), ..source.clone() }.first_line(&train), 1);
        std::fs::write(&path, "short").unwrap();
        let told = source.read(true).unwrap_err().to_string();
        assert_eq!(told, format!("{} has 5 characters to train on; expected 100 at least", path.display()));
    }

    #[test]
    fn the_parts_of_a_written_text_differ() {
        let source = Source { data: None, test: None, seed: 5 };
        let [train, test] = source.read(true).unwrap();
        assert!(train.len() >= WRITTEN[0] && test.len() >= WRITTEN[1]);
        assert!(!train.contains(&test[..200]));
    }
}
