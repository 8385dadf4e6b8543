//! The baseline without memory: each word of a sentence becomes its likeliest translation, in place.

use std::collections::BTreeMap;

use crate::words::{Language, UNKNOWN};

/// Rounds of expectation and maximisation.
const ROUNDS: usize = 8;

/// A table of words: IBM's model 1 (Brown et al. 1993, "The mathematics of statistical machine translation").
pub(crate) struct WordTable {
    /// By source place, the likeliest target place.
    best: BTreeMap<usize, usize>,
}

impl WordTable {
    /// Learns t(f | e), the probability that word e is translated as f, from pairs of sentences: each word f of a target comes from any
    /// word of its source, or from none. Every word is one of the languages, or unknown.
    pub(crate) fn learn(pairs: &[(Vec<usize>, Vec<usize>)]) -> WordTable {
        // The empty word, which words without a counterpart come from.
        const NONE: usize = usize::MAX;
        let mut table: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let (mut counts, mut totals) = (BTreeMap::<(usize, usize), f64>::new(), BTreeMap::<usize, f64>::new());
            for (source, target) in pairs {
                for &f in target {
                    let from = || source.iter().copied().chain([NONE]);
                    let share = |e: usize| table.get(&(e, f)).copied().unwrap_or(1.0);
                    let all: f64 = from().map(share).sum();
                    for e in from() {
                        let count = share(e) / all;
                        *counts.entry((e, f)).or_default() += count;
                        *totals.entry(e).or_default() += count;
                    }
                }
            }
            table = counts.into_iter().map(|((e, f), count)| ((e, f), count / totals[&e])).collect();
        }
        let mut best = BTreeMap::<usize, (usize, f64)>::new();
        for ((e, f), p) in table.into_iter().filter(|((_, f), _)| *f != UNKNOWN) {
            let known = best.entry(e).or_insert((f, p));
            if p > known.1 {
                *known = (f, p);
            }
        }
        WordTable { best: best.into_iter().map(|(e, (f, _))| (e, f)).collect() }
    }

    /// The translation of a sentence; words that are unknown are copied.
    pub(crate) fn translate(&self, sentence: &str, [from, to]: [&Language; 2]) -> String {
        let words = from.split(sentence);
        let places = from.places(&words);
        let word = |(place, word): (&usize, &String)| {
            let known = self.best.get(place).filter(|_| *place != UNKNOWN).and_then(|&target| to.word(target));
            known.map_or_else(|| word.clone(), str::to_owned)
        };
        to.join(&places.iter().zip(&words).map(word).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Unit;

    #[test]
    fn words_are_aligned_by_what_they_have_in_common() {
        let pairs = [
            ("the house", "das haus"),
            ("the book", "das buch"),
            ("a book", "ein buch"),
            ("a red house", "ein rotes haus"),
        ];
        let language = |sentences: Vec<&'static str>| Language::of(sentences.into_iter(), Unit::Words, 1).unwrap();
        let from = language(pairs.iter().map(|pair| pair.0).collect());
        let to = language(pairs.iter().map(|pair| pair.1).collect());
        let places: Vec<_> =
            (pairs.iter()).map(|(s, t)| (from.places(&from.split(s)), to.places(&to.split(t)))).collect();
        let table = WordTable::learn(&places);
        assert_eq!(table.translate("the red book Tom", [&from, &to]), "das rotes buch Tom");
    }
}
