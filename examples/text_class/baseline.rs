//! The baselines: naive Bayes, which has no memory. One counts the words of a text, the other also each pair of
//! neighbours.

use std::collections::BTreeSet;

use rewind_autograd::{Tape, Tensor};
use rewind_examples::Answers;
use rewind_examples::labelled::Labelled;

use crate::words::{Vocabulary, Words, pairs};

/// Naive Bayes on the words that a text has, however often, with one more text of each class for every word (Laplace):
/// log p(c | text) = log p(c) + Σ log p(word | c) + constant. Words that the training part does not have count nothing.
///
/// `with_pairs` also counts each word with the one before it.
pub(crate) fn naive_bayes(train: &Labelled<Words>, test: &Labelled<Words>, with_pairs: bool) -> Answers {
    let features = |texts: &[Words]| -> Vec<Words> {
        let both = |text: &Words| text.iter().chain(pairs(text).iter()).collect();
        let all = |text: &Words| if with_pairs { both(text) } else { text.clone() };
        texts.iter().map(all).collect()
    };
    let classes = train.classes.len();
    let known = Vocabulary::new(&features(&train.items), &train.labels, classes, 1);
    let of_class = |c| train.labels.iter().filter(|&&label| label == c).count() as f32;
    let first: Vec<f32> = (0..classes).map(|c| of_class(c).ln()).collect();
    let row = |text: &Words| {
        let mut row = first.clone();
        for word in text.iter().collect::<BTreeSet<_>>() {
            row.iter_mut().zip(known.evidence(word, None)).for_each(|(sum, evidence)| *sum += evidence);
        }
        row
    };
    let rows: Vec<f32> = features(&test.items).iter().flat_map(row).collect();
    let quiet = Tape::quiet();
    let logits = quiet.constant(Tensor::from_vec(rows, &[test.items.len(), classes]));
    Answers { probabilities: logits.softmax(1).value(), truth: test.labels.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;

    fn labelled(lines: &[(&str, usize)]) -> Labelled<Words> {
        let (items, labels) = lines.iter().map(|&(text, label)| (words::of(text), label)).unzip();
        Labelled { classes: vec!["a".to_owned(), "b".to_owned()], items, labels }
    }

    #[test]
    fn the_probabilities_are_those_of_the_rule_of_bayes() {
        // V = 4 with the unknown word; n(x) = [2, 0], n(y) = [1, 1], n(z) = [0, 1], of 3 and 2 in all.
        let train = labelled(&[("x x y", 0), ("x", 0), ("y z", 1)]);
        let answers = naive_bayes(&train, &labelled(&[("x y y new", 0)]), false);
        let a = 2.0 * (3.0 / 7.0) * (2.0 / 7.0);
        let b = 1.0 * (1.0 / 6.0) * (2.0 / 6.0);
        assert!((answers.probabilities.at(&[0, 0]) - a / (a + b)).abs() < 1e-6);
    }

    #[test]
    fn pairs_tell_what_words_do_not() {
        let train = labelled(&[("x y", 0), ("y x", 1), ("x y", 0), ("y x", 1)]);
        let test = labelled(&[("x y", 0), ("y x", 1)]);
        assert_eq!(naive_bayes(&train, &test, true).accuracy(), 1.0);
        let words = naive_bayes(&train, &test, false).probabilities;
        assert!(words.to_vec().iter().all(|p| (p - 0.5).abs() < 1e-6));
    }
}
