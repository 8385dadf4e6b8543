//! Words of a text, and the numbers that a network gets for them.

use std::collections::{BTreeMap, BTreeSet};

use rewind_autograd::Tensor;

/// The most words of a text that are read.
pub(crate) const MAX_WORDS: usize = 500;
/// Place 0 of the words and of the pairs: those that the training part does not have.
pub(crate) const UNKNOWN: usize = 0;
/// The name of that place.
const UNKNOWN_NAME: &str = "";
/// What stands before the first word.
const START: &str = "<";

/// The words of a text, or its pairs, one after the other: a `String` for each would take many times the text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Words(Box<str>);

/// Ends each of the words: none of them has a line end.
const END: char = '\n';

impl Words {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator(END)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Words {
    fn from_iter<I: IntoIterator<Item = S>>(words: I) -> Self {
        let mut text = String::new();
        for word in words {
            text.push_str(word.as_ref());
            text.push(END);
        }
        Words(text.into())
    }
}

/// The words of a text: runs of letters in lower case, runs of digits with every digit read as 0, and any other
/// character alone.
pub(crate) fn of(text: &str) -> Words {
    #[derive(PartialEq)]
    enum Kind {
        Letters,
        Digits,
        Other,
    }
    let (mut words, mut before) = (String::new(), Kind::Other);
    for c in text.chars() {
        if c.is_whitespace() {
            before = Kind::Other;
            continue;
        }
        let kind = match c {
            _ if c.is_numeric() => Kind::Digits,
            _ if c.is_alphabetic() || (c == '\'' && before == Kind::Letters) => Kind::Letters,
            _ => Kind::Other,
        };
        if !words.is_empty() && (kind == Kind::Other || kind != before) {
            words.push(END);
        }
        match kind {
            Kind::Digits => words.push('0'),
            _ => words.extend(c.to_lowercase()),
        }
        before = kind;
    }
    if !words.is_empty() {
        words.push(END);
    }
    Words(words.into())
}

/// Each word with the one before it, `a b`.
pub(crate) fn pairs(words: &Words) -> Words {
    let before = std::iter::once(START).chain(words.iter());
    before.zip(words.iter()).map(|(a, b)| format!("{a} {b}")).collect()
}

/// Words or pairs of the training part, with the texts of each class that have them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vocabulary {
    names: Vec<String>,
    /// `[V][C]`: texts of each class that have the word, none of [`UNKNOWN`].
    counts: Vec<Vec<u32>>,
    /// `[C]`: the sums of those of all words.
    totals: Vec<u64>,
    places: BTreeMap<String, usize>,
}

impl Vocabulary {
    /// The words of the texts that at least `least` of them have. `labels` are their classes, below `classes`.
    pub(crate) fn new(texts: &[Words], labels: &[usize], classes: usize, least: u32) -> Self {
        let mut counts = BTreeMap::<&str, Vec<u32>>::new();
        for (text, &label) in texts.iter().zip(labels) {
            for word in text.iter().collect::<BTreeSet<_>>() {
                counts.entry(word).or_insert_with(|| vec![0; classes])[label] += 1;
            }
        }
        let unknown = (UNKNOWN_NAME.to_owned(), vec![0; classes]);
        let frequent = counts.into_iter().filter(|(_, counts)| counts.iter().sum::<u32>() >= least);
        Vocabulary::of_table(
            std::iter::once(unknown).chain(frequent.map(|(word, counts)| (word.to_owned(), counts))).collect(),
        )
    }

    fn of_table(table: Vec<(String, Vec<u32>)>) -> Self {
        let (names, counts): (Vec<_>, Vec<Vec<u32>>) = table.into_iter().unzip();
        let places = names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        let totals = (0..counts[0].len()).map(|c| counts.iter().map(|row| u64::from(row[c])).sum()).collect();
        Vocabulary { names, counts, totals, places }
    }

    /// V, [`UNKNOWN`] included.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The place of a word.
    pub(crate) fn place(&self, word: &str) -> usize {
        self.places.get(word).copied().unwrap_or(UNKNOWN)
    }

    /// For each class c the evidence of a word, log p(word | c) less the mean of it over the classes, where
    /// p(word | c) = (n(word, c) + 1) / (n(c) + V) counts the texts that have the word. `without` are the counts of texts
    /// that are not to be counted.
    pub(crate) fn evidence(&self, word: &str, without: Option<&Vocabulary>) -> Vec<f32> {
        let place = self.place(word);
        let classes = self.totals.len();
        if place == UNKNOWN {
            return vec![0.0; classes];
        }
        let left_out = without.map(|part| (&part.counts[part.place(word)], &part.totals));
        let log = |c: usize| {
            let (own, all) = left_out.map_or((0, 0), |(counts, totals)| (counts[c], totals[c]));
            let (n, of_class) = (self.counts[place][c] - own, self.totals[c] - all);
            ((f64::from(n) + 1.0) / (of_class as f64 + self.len() as f64)).ln()
        };
        let logs: Vec<f64> = (0..classes).map(log).collect();
        let mean = logs.iter().sum::<f64>() / classes as f64;
        logs.iter().map(|log| (log - mean) as f32).collect()
    }

    /// As a text, which [`Vocabulary::parse`] reads.
    pub(crate) fn text(&self) -> String {
        let table: Vec<_> = self.names.iter().zip(&self.counts).collect();
        serde_json::to_string(&table).expect("a table of texts and numbers can be written")
    }

    /// The vocabulary of a text, if it is one of `classes` classes.
    pub(crate) fn parse(text: &str, classes: usize) -> Option<Self> {
        let table: Vec<(String, Vec<u32>)> = serde_json::from_str(text).ok()?;
        let is_right = table.first()?.0 == UNKNOWN_NAME && table.iter().all(|(_, counts)| counts.len() == classes);
        is_right.then(|| Vocabulary::of_table(table))
    }
}

/// What a network reads of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reader {
    pub(crate) words: Vocabulary,
    /// With them, it gets the evidence of words and of pairs.
    pub(crate) pairs: Option<Vocabulary>,
}

/// Counts of the words and pairs of some texts.
pub(crate) struct Part {
    words: Vocabulary,
    pairs: Option<Vocabulary>,
}

impl Reader {
    /// The counts of some of the texts that the reader was made from, to be left out.
    pub(crate) fn part(&self, texts: &[Words], labels: &[usize]) -> Part {
        let classes = self.words.totals.len();
        let counts = |of: &Vocabulary, texts: &[Words]| {
            let known = |text: &Words| text.iter().filter(|word| of.place(word) != UNKNOWN).collect();
            let kept: Vec<Words> = texts.iter().map(known).collect();
            Vocabulary::new(&kept, labels, classes, 1)
        };
        let pairs = self.pairs.as_ref().map(|all| {
            let pairs: Vec<_> = texts.iter().map(pairs).collect();
            counts(all, &pairs)
        });
        Part { words: counts(&self.words, texts), pairs }
    }

    /// The values of evidence of a time step: for each class that of the word, and that of the pair.
    pub(crate) fn evidence_width(&self) -> usize {
        if self.pairs.is_some() { 2 * self.words.totals.len() } else { 0 }
    }

    /// A text as a network reads it, `[T, 1 + evidence]`: the place of each word and its evidence, without the counts of
    /// `without`.
    pub(crate) fn read(&self, text: &Words, without: Option<&Part>) -> Tensor<f32> {
        let text: Words = text.iter().take(MAX_WORDS).collect();
        let (width, length) = (1 + self.evidence_width(), text.len());
        let mut values = Vec::with_capacity(length * width);
        for (word, pair) in text.iter().zip(pairs(&text).iter()) {
            // A place is a whole number below 2²⁴, which an f32 holds exactly.
            values.push(self.words.place(word) as f32);
            if let Some(pairs) = &self.pairs {
                values.extend(self.words.evidence(word, without.map(|part| &part.words)));
                values.extend(pairs.evidence(pair, without.and_then(|part| part.pairs.as_ref())));
            }
        }
        Tensor::from_vec(values, &[length, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[&str]) -> Vec<Words> {
        lines.iter().map(|line| of(line)).collect()
    }

    #[test]
    fn a_text_is_cut_into_words() {
        let of = |text: &str| super::of(text).iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            of("It's NOT 'good', é!! call 0871-22"),
            ["it's", "not", "'", "good'", ",", "é", "!", "!", "call", "0000", "-", "00"]
        );
        assert_eq!(of("a1b 5€"), ["a", "0", "b", "0", "€"]);
        assert_eq!(of(" \u{85}\t"), [""; 0]);
        assert_eq!(of("\u{92}s"), ["\u{92}", "s"]);
        assert_eq!(of(&"x".repeat(100_000)).len(), 1);
        assert!(super::of(" ").is_empty() && !super::of("x").is_empty());
        assert!(pairs(&super::of("not good")).iter().eq(["< not", "not good"]));
    }

    #[test]
    fn evidence_is_that_of_the_formula() {
        // n(good) = [0, 2], n(not) = [1, 1], n(bad) = [1, 0], of 2 and 3 in all; V = 4.
        let all = Vocabulary::new(&texts(&["good good", "not bad", "not good"]), &[1, 0, 1], 2, 1);
        assert_eq!((all.len(), all.place("bad"), all.place("ugly")), (4, 1, UNKNOWN));
        let half = ((3.0 / 7.0) / (1.0 / 6.0_f64)).ln() / 2.0;
        let found = all.evidence("good", None);
        assert!((f64::from(found[1]) - half).abs() < 1e-6 && (found[0] + found[1]).abs() < 1e-6);
        assert_eq!(all.evidence("ugly", None), [0.0; 2]);
        // Without the last text: n(good) = [0, 1], of 2 and 1 in all.
        let reader = Reader { words: all.clone(), pairs: None };
        let part = reader.part(&texts(&["not good"]), &[1]);
        let found = all.evidence("good", Some(&part.words));
        assert!((f64::from(found[1]) - ((2.0 / 5.0) / (1.0 / 6.0_f64)).ln() / 2.0).abs() < 1e-6);
        assert_eq!(Vocabulary::parse(&all.text(), 2), Some(all.clone()));
        assert_eq!(Vocabulary::parse(&all.text(), 3), None);
        assert_eq!(Vocabulary::new(&texts(&["a b", "a"]), &[0, 1], 2, 2).len(), 2);
        // The largest counts that a file can have: their sum does not wrap.
        let most = all
            .text()
            .replace("[1,0]", &format!("[{0},{0}]", u32::MAX))
            .replace("[0,2]", &format!("[{0},{0}]", u32::MAX));
        let most = Vocabulary::parse(&most, 2).expect("it is a table");
        assert!(most.totals == [2 * u64::from(u32::MAX) + 1; 2] && most.evidence("bad", None) == [0.0; 2], "{most:?}");
    }

    #[test]
    fn a_network_reads_places_and_evidence() {
        let some = texts(&["not good", "not bad"]);
        let words = Vocabulary::new(&some, &[0, 1], 2, 1);
        let of_pairs: Vec<_> = some.iter().map(pairs).collect();
        let pairs = Some(Vocabulary::new(&of_pairs, &[0, 1], 2, 1));
        let reader = Reader { words: words.clone(), pairs };
        let x = reader.read(&of("not ugly good"), None);
        assert_eq!(x.shape(), [3, 5]);
        let (good, not) = (words.place("good") as f32, words.place("not") as f32);
        let rows = x.to_vec();
        assert_eq!([rows[0], rows[5], rows[10]], [not, UNKNOWN as f32, good]);
        // "good" speaks for class 0, and "ugly good" for none: the training part has no such pair.
        assert!(rows[11] > 0.3 && rows[13..] == [0.0; 2] && rows[6..10] == [0.0; 4], "{rows:?}");
        // Without the text that has it, "good" says nothing, the classes' sizes apart.
        let part = reader.part(&some[..1], &[0]);
        let less = reader.read(&some[0], Some(&part));
        assert!(less.at(&[1, 1]) < reader.read(&some[0], None).at(&[1, 1]));
        let plain = Reader { words, pairs: None };
        assert_eq!(plain.read(&["not"; 2000].into_iter().collect(), None).shape(), [MAX_WORDS, 1]);
    }
}
