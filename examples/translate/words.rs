//! The words of sentences: how a text is cut into them and put together again.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use serde_json::Value;

/// The most words of a sentence, and the most distinct words of a language.
pub(crate) const MAX_LENGTH: usize = 60;
pub(crate) const MAX_WORDS: usize = 50_000;

/// The place of the mark that a translation ends with; the decoder also reads it before the first word.
pub(crate) const MARK: usize = 0;
/// The place of all words that are unknown.
pub(crate) const UNKNOWN: usize = 1;
/// The places that are no words.
const RESERVED: usize = 2;

/// What a sentence is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// Words and signs.
    Words,
    /// Single characters.
    Characters,
}

impl Unit {
    /// The name on the command line and in saved files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Words => "words",
            Unit::Characters => "characters",
        }
    }

    /// The units of a text.
    ///
    /// Of words: signs stand alone, an apostrophe ends a word and a hyphen begins one, since French and English forms share what
    /// is on both sides of it.
    pub(crate) fn split(self, text: &str) -> Vec<String> {
        let text = normalised(text);
        match self {
            Unit::Characters => text.chars().map(String::from).collect(),
            Unit::Words => text.split(' ').flat_map(words).collect(),
        }
    }

    /// The text of units: [`split`](Unit::split) gives them again.
    pub(crate) fn join<S: AsRef<str>>(self, units: &[S]) -> String {
        if self == Unit::Characters {
            return units.iter().map(AsRef::as_ref).collect();
        }
        let (mut text, mut is_open, mut glued) = (String::new(), false, true);
        for unit in units.iter().map(AsRef::as_ref) {
            let is_part = unit.len() > 1 && unit.starts_with('-');
            let closes =
                matches!(unit, "." | "," | "!" | "?" | ";" | ":" | ")" | "…" | "%") || (unit == "\"" && is_open);
            if !glued && !is_part && !closes {
                text.push(' ');
            }
            text.push_str(unit);
            is_open ^= unit == "\"";
            glued = unit.ends_with('\'') || unit == "(" || (unit == "\"" && is_open);
        }
        text
    }
}

/// One kind of space and one of apostrophe, as the same sentence is written in several ways.
fn normalised(text: &str) -> String {
    let plain = |c: char| if matches!(c, '\u{2019}' | '\u{2018}' | '\u{2bc}') { '\'' } else { c };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(plain).collect()
}

/// The words of a piece without spaces.
fn words(piece: &str) -> Vec<String> {
    let letters: Vec<char> = piece.chars().collect();
    let is_of_word = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|c| c.is_alphanumeric());
    let is_digit = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(char::is_ascii_digit);
    let (mut words, mut word) = (Vec::new(), String::new());
    for (at, &c) in letters.iter().enumerate() {
        let (before, after) = (at.checked_sub(1), Some(at + 1));
        let end = |word: &mut String, words: &mut Vec<String>| {
            if !word.is_empty() {
                words.push(std::mem::take(word));
            }
        };
        match c {
            _ if c.is_alphanumeric() => word.push(c),
            '.' | ',' if is_digit(before) && is_digit(after) => word.push(c),
            '-' if is_of_word(before) && is_of_word(after) => {
                end(&mut word, &mut words);
                word.push(c);
            }
            '\'' if is_of_word(before) => {
                word.push(c);
                end(&mut word, &mut words);
            }
            _ => {
                end(&mut word, &mut words);
                words.push(c.to_string());
            }
        }
        if at + 1 == letters.len() {
            end(&mut word, &mut words);
        }
    }
    words
}

/// Which words begin with a large letter wherever they stand, such as names. All others begin small, also those of a sentence's start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capitals {
    names: BTreeSet<String>,
    /// Whether sentences begin with a large letter.
    starts: bool,
}

impl Capitals {
    /// Counts within sentences.
    pub(crate) fn of<'a>(sentences: impl IntoIterator<Item = &'a [String]>) -> Self {
        let (mut large, mut small) = (BTreeMap::<&str, usize>::new(), BTreeMap::<String, usize>::new());
        let (mut starts, mut all) = (0, 0);
        for sentence in sentences {
            all += 1;
            starts += usize::from(sentence.first().is_some_and(|word| is_large(word)));
            for word in sentence.iter().skip(1) {
                if is_large(word) {
                    *large.entry(word).or_default() += 1;
                } else {
                    *small.entry(word.clone()).or_default() += 1;
                }
            }
        }
        let is_name = |(word, count): (&str, usize)| count > small.get(&lowered(word)).copied().unwrap_or(0);
        let names = large.into_iter().filter(|&(word, count)| is_name((word, count))).map(|(word, _)| word.to_owned());
        Capitals { names: names.collect(), starts: 2 * starts > all }
    }

    /// The sentence with a small letter at its start, unless a name is there.
    pub(crate) fn lower(&self, mut sentence: Vec<String>) -> Vec<String> {
        if let Some(first) = sentence.first_mut().filter(|first| self.starts && !self.names.contains(*first)) {
            *first = lowered(first);
        }
        sentence
    }

    /// The text with a large letter at its start, if sentences have one.
    pub(crate) fn raise(&self, text: &str) -> String {
        let mut letters = text.chars();
        match letters.next().filter(|_| self.starts) {
            Some(first) => first.to_uppercase().chain(letters).collect(),
            None => text.to_owned(),
        }
    }
}

fn is_large(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

fn lowered(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// A language: how its sentences are cut, and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Language {
    pub(crate) unit: Unit,
    capitals: Capitals,
    words: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Language {
    /// The language of the sentences, without words that fewer than `least` of them have.
    ///
    /// # Errors
    ///
    /// If there are no words, or more than [`MAX_WORDS`].
    pub(crate) fn of<'a>(sentences: impl Iterator<Item = &'a str>, unit: Unit, least: usize) -> Result<Self, String> {
        let cut: Vec<_> = sentences.map(|sentence| unit.split(sentence)).collect();
        let capitals = match unit {
            Unit::Words => Capitals::of(cut.iter().map(Vec::as_slice)),
            Unit::Characters => Capitals::default(),
        };
        let mut counts = BTreeMap::<String, usize>::new();
        for sentence in cut {
            let distinct: BTreeSet<String> = capitals.lower(sentence).into_iter().collect();
            distinct.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
        }
        let words: Vec<String> = counts.into_iter().filter(|&(_, n)| n >= least).map(|(word, _)| word).collect();
        if !(1..=MAX_WORDS).contains(&words.len()) {
            let found = words.len();
            return Err(format!(
                "{found} distinct words are in {least} sentences or more; expected 1 to {MAX_WORDS} (--least)"
            ));
        }
        Ok(Language::new(unit, capitals, words))
    }

    fn new(unit: Unit, capitals: Capitals, words: Vec<String>) -> Self {
        let places = words.iter().enumerate().map(|(k, word)| (word.clone(), RESERVED + k)).collect();
        Language { unit, capitals, words, places }
    }

    /// V, the words, the mark and the unknown word.
    pub(crate) fn len(&self) -> usize {
        RESERVED + self.words.len()
    }

    /// The words of a sentence, as they are looked up.
    pub(crate) fn split(&self, sentence: &str) -> Vec<String> {
        self.capitals.lower(self.unit.split(sentence))
    }

    /// The places of words.
    pub(crate) fn places(&self, words: &[String]) -> Vec<usize> {
        words.iter().map(|word| self.places.get(word).copied().unwrap_or(UNKNOWN)).collect()
    }

    /// The word at a place; `None` for the mark and the unknown word.
    pub(crate) fn word(&self, place: usize) -> Option<&str> {
        Some(&self.words[place.checked_sub(RESERVED)?])
    }

    /// The sentence of words.
    pub(crate) fn join<S: AsRef<str>>(&self, words: &[S]) -> String {
        self.capitals.raise(&self.unit.join(words))
    }

    /// As a file has it.
    pub(crate) fn json(&self) -> String {
        let Capitals { names, starts } = &self.capitals;
        serde_json::json!({ "unit": self.unit.name(), "starts": starts, "names": names, "words": self.words })
            .to_string()
    }

    /// The language of a file; `None` if it is none.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let list = |key: &str| -> Option<Vec<String>> {
            value[key].as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let capitals = Capitals { names: list("names")?.into_iter().collect(), starts: value["starts"].as_bool()? };
        let words = list("words").filter(|words| (1..=MAX_WORDS).contains(&words.len()))?;
        Some(Language::new(Unit::from_str(value["unit"].as_str()?, false).ok()?, capitals, words))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sentences(texts: &[&str], unit: Unit) -> Language {
        Language::of(texts.iter().copied(), unit, 1).unwrap()
    }

    #[test]
    fn a_sentence_is_cut_and_put_together() {
        let cases = [
            (
                "J\u{2019}oubliai de verrouiller la porte.",
                "J' oubliai de verrouiller la porte .",
                "J'oubliai de verrouiller la porte.",
            ),
            ("Es-tu\u{202f}là\u{a0}?", "Es -tu là ?", "Es-tu là?"),
            ("I don't know 3.5, or 1,000.", "I don' t know 3.5 , or 1,000 .", "I don't know 3.5, or 1,000."),
            ("\"No!\" (she said) -- 'ok'", "\" No ! \" ( she said ) - - ' ok'", "\"No!\" (she said) - - 'ok'"),
            ("", "", ""),
        ];
        for (text, words, joined) in cases {
            let cut = Unit::Words.split(text);
            assert_eq!(cut.join(" "), words);
            assert_eq!(Unit::Words.join(&cut), joined);
        }
        assert_eq!(Unit::Characters.split(" 9 a"), ["9", " ", "a"]);
        assert_eq!(Unit::Characters.join(&["9", " ", "a"]), "9 a");
    }

    #[test]
    fn names_stay_large() {
        let language = sentences(&["The cat saw Tom.", "Tom saw the cat.", "Cats see a cat."], Unit::Words);
        assert_eq!(language.split("Tom sees The cat").join(" "), "Tom sees The cat");
        assert_eq!(language.split("The cat").join(" "), "the cat");
        assert_eq!(language.join(&["the", "cat", "."]), "The cat.");
        let small = sentences(&["the cat", "a cat"], Unit::Words);
        assert_eq!((small.split("Cat").join(" "), small.join(&["cat"])), ("Cat".to_owned(), "cat".to_owned()));
    }

    #[test]
    fn rare_words_are_unknown() {
        let language = Language::of(["a b", "a c c", "b"].into_iter(), Unit::Words, 2).unwrap();
        let places = language.places(&["a", "b", "c", "d"].map(str::to_owned));
        assert_eq!((places, language.len()), (vec![2, 3, UNKNOWN, UNKNOWN], 4));
        assert_eq!((language.word(3), language.word(UNKNOWN), language.word(MARK)), (Some("b"), None, None));
        let told = Language::of(["a"].into_iter(), Unit::Words, 2).unwrap_err();
        assert_eq!(told, "0 distinct words are in 2 sentences or more; expected 1 to 50000 (--least)");
    }

    #[test]
    fn a_language_is_saved_and_read() {
        let language = sentences(&["The cat saw Tom \"once\".", "A cat, or \\ and \u{85}."], Unit::Words);
        assert_eq!(Language::parse(&language.json()), Some(language));
        for broken in ["", "{}", "[]", "{\"unit\":\"words\",\"starts\":true,\"names\":[],\"words\":[]}"] {
            assert_eq!(Language::parse(broken), None, "{broken}");
        }
    }

    proptest! {
        /// Whatever the text: joined and cut again, the words are the same after one round.
        #[test]
        fn cutting_settles(text in "[a-zA-Z0-9'\"().,!? é-]{0,40}") {
            let once = Unit::Words.split(&Unit::Words.join(&Unit::Words.split(&text)));
            let twice = Unit::Words.split(&Unit::Words.join(&once));
            prop_assert!(once.len() >= twice.len(), "{:?} {:?}", once, twice);
        }
    }
}
