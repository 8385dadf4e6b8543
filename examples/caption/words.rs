//! The words of captions.

use std::collections::{BTreeMap, BTreeSet};

/// The most distinct words, and the most words of a caption.
pub(crate) const MAX_WORDS: usize = 10_000;
pub(crate) const MAX_LENGTH: usize = 40;

/// The place of the mark that a caption ends with; a network also reads it before the first word.
pub(crate) const MARK: usize = 0;

/// The distinct words of the training captions, sorted; the mark comes before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vocabulary {
    words: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Vocabulary {
    /// The words of captions. What white space separates is a word.
    ///
    /// # Errors
    ///
    /// If there are none, or more than [`MAX_WORDS`].
    pub(crate) fn of<'a>(captions: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut words = BTreeSet::new();
        // Not collected, which would list equal words too.
        words.extend(captions.into_iter().flat_map(str::split_whitespace));
        if !(1..=MAX_WORDS).contains(&words.len()) {
            return Err(format!("the captions have {} distinct words; expected 1 to {MAX_WORDS}", words.len()));
        }
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let places = words.iter().enumerate().map(|(place, word)| (word.clone(), place + 1)).collect();
        Ok(Vocabulary { words, places })
    }

    /// V, the words and the mark.
    pub(crate) fn len(&self) -> usize {
        self.words.len() + 1
    }

    /// All words as a text, which [`Vocabulary::of`] reads again.
    pub(crate) fn text(&self) -> String {
        self.words.join(" ")
    }

    /// The places of the words of a caption, without the mark; `None` if one is unknown.
    pub(crate) fn places(&self, caption: &str) -> Option<Vec<usize>> {
        caption.split_whitespace().map(|word| self.places.get(word).copied()).collect()
    }

    /// The words at these places.
    ///
    /// # Panics
    ///
    /// If one is that of the mark.
    pub(crate) fn caption(&self, places: &[usize]) -> String {
        places.iter().map(|&place| self.words[place - 1].as_str()).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_become_places_and_back() {
        let words = Vocabulary::of(["a red  cross", " a blue\u{a0}cross "]).unwrap();
        assert_eq!((words.len(), words.text().as_str()), (5, "a blue cross red"));
        assert_eq!(Vocabulary::of([words.text().as_str()]), Ok(words.clone()));
        assert_eq!(words.places("red a"), Some(vec![4, 1]));
        assert_eq!(words.caption(&[4, 1]), "red a");
        assert_eq!(words.places("a green cross"), None);
    }

    #[test]
    fn too_few_and_too_many_words_are_refused() {
        assert_eq!(Vocabulary::of([" "]), Err("the captions have 0 distinct words; expected 1 to 10000".to_owned()));
        let many: String = (0..=MAX_WORDS).map(|i| format!("{i} ")).collect();
        let told = Vocabulary::of([many.as_str()]);
        assert_eq!(told, Err("the captions have 10001 distinct words; expected 1 to 10000".to_owned()));
    }
}
