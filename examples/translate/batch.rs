//! Pairs of sentences as the model reads them.

use rewind_examples::say;

use crate::dataset::Sentence;
use crate::words::{Language, MARK};

/// A sentence and one of its translations, by places; without the mark.
pub(crate) type Pair = (Vec<usize>, Vec<usize>);

/// Every sentence with each of its translations.
pub(crate) fn pairs(sentences: &[Sentence], [from, to]: [&Language; 2]) -> Vec<Pair> {
    let of = |sentence: &Sentence| {
        let source = from.places(&from.split(&sentence.source));
        let target = |text: &String| (source.clone(), to.places(&to.split(text)));
        sentence.targets.iter().map(target).collect::<Vec<_>>()
    };
    sentences.iter().flat_map(of).collect()
}

/// Says how many sentences there are, and how much of the words is known.
pub(crate) fn describe(name: &str, sentences: &[Sentence], pairs: &[Pair]) {
    let unknown = |words: &dyn Fn(&Pair) -> &Vec<usize>| {
        let all: usize = pairs.iter().map(|pair| words(pair).len()).sum();
        let unknown = pairs.iter().flat_map(words).filter(|&&place| place == crate::words::UNKNOWN).count();
        format!("{:.1} %", 100.0 * unknown as f64 / all.max(1) as f64)
    };
    let [source, target] = [unknown(&|pair| &pair.0), unknown(&|pair| &pair.1)];
    let (count, all) = (sentences.len(), pairs.len());
    say(format!(
        "{name}: {count} sentences, {all} translations; {source} of their words are unknown, {target} of the targets'"
    ));
}

/// A batch of B pairs, padded: S words of a source at most, T - 1 of a target.
pub(crate) struct Batch {
    /// `[S, B]` row-major.
    pub(crate) source: Vec<usize>,
    /// The words of each source.
    pub(crate) lengths: Vec<usize>,
    /// `[T][B]`: the word before each, the mark before the first.
    pub(crate) before: Vec<Vec<usize>>,
    /// `[T][B]`: the words, then the mark, then nothing.
    pub(crate) targets: Vec<Vec<Option<usize>>>,
}

impl Batch {
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Batch {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let longest = |words: &dyn Fn(&Pair) -> usize| pairs.iter().map(|pair| words(pair)).max().unwrap_or(0);
        let (sources, targets) = (longest(&|pair| pair.0.len()), longest(&|pair| pair.1.len()));
        let word = |words: &[usize], t: usize| words.get(t).copied();
        let heard = |t: usize, words: &[usize]| t.checked_sub(1).and_then(|t| word(words, t)).unwrap_or(MARK);
        let said = |t: usize, words: &[usize]| word(words, t).or((t == words.len()).then_some(MARK));
        let row = |t: usize| pairs.iter().map(move |pair| word(&pair.0, t).unwrap_or(MARK));
        Batch {
            source: (0..sources).flat_map(row).collect(),
            lengths: pairs.iter().map(|pair| pair.0.len()).collect(),
            before: (0..=targets).map(|t| pairs.iter().map(|pair| heard(t, &pair.1)).collect()).collect(),
            targets: (0..=targets).map(|t| pairs.iter().map(|pair| said(t, &pair.1)).collect()).collect(),
        }
    }

    /// The words and marks to predict.
    pub(crate) fn count(&self) -> usize {
        self.targets.iter().flatten().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_padded_and_end_with_the_mark() {
        let batch = Batch::new(&[(vec![5, 6, 7], vec![2]), (vec![8], vec![3, 4])]);
        assert_eq!((batch.source, batch.lengths), (vec![5, 8, 6, 0, 7, 0], vec![3, 1]));
        assert_eq!(batch.before, [[0, 0], [2, 3], [0, 4]]);
        assert_eq!(batch.targets, [[Some(2), Some(3)], [Some(0), Some(4)], [None, Some(0)]]);
    }
}
