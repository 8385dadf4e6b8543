//! The edits between labelings, and the error rate of a set of them.

use std::fmt;
use std::ops::Add;

/// The edits that turn a reference into a hypothesis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Labels of the reference that the hypothesis has others for.
    pub substitutions: usize,
    /// Labels of the hypothesis that the reference lacks.
    pub insertions: usize,
    /// Labels of the reference that the hypothesis lacks.
    pub deletions: usize,
}

impl Edits {
    /// Their number.
    pub fn total(self) -> usize {
        self.substitutions + self.insertions + self.deletions
    }
}

impl Add for Edits {
    type Output = Edits;
    fn add(self, other: Edits) -> Edits {
        Edits {
            substitutions: self.substitutions + other.substitutions,
            insertions: self.insertions + other.insertions,
            deletions: self.deletions + other.deletions,
        }
    }
}

/// The least edits that turn `reference` into `hypothesis` (Levenshtein 1966); among equals those with the most substitutions, which
/// determines all three counts. O(n·m) time and O(m) memory for lengths n and m.
///
/// ```
/// use rewind_rnn::decode::edit_distance;
///
/// let edits = edit_distance(b"kitten", b"sitting"); // s for k, i for e, and a g
/// assert_eq!((edits.substitutions, edits.insertions, edits.deletions), (2, 1, 0));
/// let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
/// assert_eq!(edit_distance(&words("the cat sat"), &words("cat sat")).deletions, 1);
/// ```
pub fn edit_distance<X: PartialEq>(reference: &[X], hypothesis: &[X]) -> Edits {
    let insertion = Edits { insertions: 1, ..Edits::default() };
    let deletion = Edits { deletions: 1, ..Edits::default() };
    // The best edits from the labels of the reference so far to each beginning of the hypothesis.
    let mut row: Vec<Edits> =
        (0..=hypothesis.len()).map(|insertions| Edits { insertions, ..Edits::default() }).collect();
    for label in reference {
        let mut diagonal = row[0];
        row[0] = row[0] + deletion;
        for (j, other) in hypothesis.iter().enumerate() {
            let substitutions = usize::from(label != other);
            let replaced = diagonal + Edits { substitutions, ..Edits::default() };
            diagonal = row[j + 1];
            row[j + 1] = better(replaced, better(diagonal + deletion, row[j] + insertion));
        }
    }
    row[hypothesis.len()]
}

fn better(a: Edits, b: Edits) -> Edits {
    let rank = |edits: Edits| (edits.total(), edits.insertions + edits.deletions);
    if rank(b) < rank(a) { b } else { a }
}

/// The edits of a set of labelings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorRate {
    /// The edits of all pairs together.
    pub edits: Edits,
    /// The labels of all references together.
    pub reference_labels: usize,
    /// How many pairs have an edit.
    pub wrong_pairs: usize,
    /// How many pairs there are.
    pub pairs: usize,
}

impl ErrorRate {
    /// All edits, divided by the number of labels of all references. It exceeds 1 with many insertions. If the references have no
    /// label, the rate is 0 without an edit, and infinite otherwise.
    pub fn rate(self) -> f64 {
        match (self.edits.total(), self.reference_labels) {
            (0, _) => 0.0,
            (edits, labels) => edits as f64 / labels as f64,
        }
    }
}

/// `error rate 0.250: 1 substitutions, 2 insertions, 0 deletions in 12 labels; 2 of 3 sequences wrong`
impl fmt::Display for ErrorRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edits { substitutions, insertions, deletions } = self.edits;
        write!(
            f,
            "error rate {:.3}: {substitutions} substitutions, {insertions} insertions, {deletions} deletions in {} labels; \
             {} of {} sequences wrong",
            self.rate(),
            self.reference_labels,
            self.wrong_pairs,
            self.pairs
        )
    }
}

/// The edits over all pairs of reference and hypothesis: the rate of word, character or phone errors, whatever the labels are.
/// Long references weigh more than short ones; an empty one adds its insertions to the edits and nothing to the labels.
///
/// ```
/// use rewind_rnn::decode::error_rate;
///
/// let found = error_rate([("hello", "hallo"), ("world", "word")].map(|(a, b)| (a.as_bytes(), b.as_bytes())));
/// assert_eq!(found.rate(), 0.2); // two edits in ten characters
/// ```
pub fn error_rate<'a, X: PartialEq + 'a>(pairs: impl IntoIterator<Item = (&'a [X], &'a [X])>) -> ErrorRate {
    let mut all = ErrorRate::default();
    for (reference, hypothesis) in pairs {
        let edits = edit_distance(reference, hypothesis);
        all.edits = all.edits + edits;
        all.reference_labels += reference.len();
        all.wrong_pairs += usize::from(edits.total() > 0);
        all.pairs += 1;
    }
    all
}
