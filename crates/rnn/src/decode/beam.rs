//! Prefix beam search.

use std::cmp::Ordering;
use std::fmt;

use rewind_autograd::{Scalar, Tensor};

use super::{Decoded, refuse, sequences};
use crate::error::{ErrorKind, Result};

const NAME: &str = "beam_search";

/// The score of a label after a prefix.
type LanguageModel<'a> = dyn Fn(&[usize], usize) -> f64 + 'a;

/// Prefix beam search over the outputs of a CTC network (Graves 2012, §7.5; with a language model as in Hannun et al. 2014): the
/// most probable labelings, each with the probability of all its paths.
///
/// After each step the search retains the `width` best prefixes by their score,
///
/// ln p(prefix) + weight·Σ_k lm(label_k | labels before it) + bonus·(number of labels),
///
/// where p is the sum over the paths so far that collapse to the prefix. Among equal scores the prefix that is first in
/// lexicographic order is better. If the width is at least the number of prefixes, the search is exact. For each sequence
/// O(T·width·(C + L·log width)), where L is the length of the labelings: prefixes are compared label by label.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::decode::BeamSearch;
///
/// let p = [[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]; // the blank, then the labels 1 and 2
/// let log_p = Tensor::from_fn(&[2, 1, 3], |i| f64::ln(p[i / 3][i % 3]));
/// let plain = BeamSearch::new(8).run(&log_p, &[2])?;
/// assert_eq!(plain[0][0].labels, [2]); // 0.2·0.7 + 0.3·0.1 + 0.3·0.7 = 0.38
/// let never_first = |prefix: &[usize], label: usize| if prefix.is_empty() && label == 2 { -5.0 } else { 0.0 };
/// let guided = BeamSearch::new(8).language_model(1.0, &never_first).run(&log_p, &[2])?;
/// assert_eq!(guided[0][0].labels, [1, 2]); // 0.5·0.7 = 0.35
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct BeamSearch<'a> {
    width: usize,
    blank: usize,
    model: Option<&'a LanguageModel<'a>>,
    weight: f64,
    bonus: f64,
}

impl fmt::Debug for BeamSearch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BeamSearch { width, blank, model, weight, bonus } = self;
        let mut text = f.debug_struct("BeamSearch");
        text.field("width", width).field("blank", blank).field("language_model", &model.is_some());
        text.field("weight", weight).field("bonus", bonus).finish()
    }
}

impl<'a> BeamSearch<'a> {
    /// A search that retains `width` prefixes; the blank is class 0.
    pub fn new(width: usize) -> Self {
        BeamSearch { width, blank: 0, model: None, weight: 0.0, bonus: 0.0 }
    }

    /// Another class as the blank.
    pub fn blank(self, blank: usize) -> Self {
        BeamSearch { blank, ..self }
    }

    /// Adds `weight` times the score of each label, which is given the labels before it: the logarithm of a probability, as a rule. It
    /// is asked for each label after a prefix when the prefix enters the beam. -∞ forbids the label there.
    pub fn language_model(self, weight: f64, score: &'a dyn Fn(&[usize], usize) -> f64) -> Self {
        BeamSearch { model: Some(score), weight, ..self }
    }

    /// Adds `bonus` for each label; a language model alone prefers short labelings.
    pub fn length_bonus(self, bonus: f64) -> Self {
        BeamSearch { bonus, ..self }
    }

    /// The labelings in the beam of each sequence, the best first: `width` at most, and only those of probability above 0. Log-probabilities
    /// `[T, B, C]`, one length of 1 to T a sequence.
    ///
    /// # Errors
    /// If the width is 0, weight or bonus is not finite, there are not three axes, the lengths do not fit, the blank is no class, an
    /// entry within a sequence is NaN, +∞ or above 0, or the language model gives NaN or +∞, or -∞ times a negative weight.
    pub fn run<T: Scalar>(&self, log_probabilities: &Tensor<T>, lengths: &[usize]) -> Result<Vec<Vec<Decoded>>> {
        if self.width == 0 {
            return refuse(ErrorKind::Setting, NAME, "the width is 0; expected at least 1".to_owned());
        }
        for (name, setting) in [("weight of the language model", self.weight), ("length bonus", self.bonus)] {
            if !setting.is_finite() {
                return refuse(ErrorKind::Setting, NAME, format!("the {name} is {setting}; expected a finite number"));
            }
        }
        let sequences = sequences(NAME, log_probabilities, lengths, self.blank)?;
        sequences.iter().map(|rows| self.search(rows)).collect()
    }

    fn search(&self, rows: &[Vec<f64>]) -> Result<Vec<Decoded>> {
        let mut beam = vec![Prefix { blank: 0.0, ..Prefix::default() }];
        for row in rows {
            self.ask_model(&mut beam, row.len())?;
            let mut candidates = self.candidates(&beam, row);
            let better = |a: &Candidate, b: &Candidate| a.compare(b, &beam);
            if candidates.len() > self.width {
                candidates.select_nth_unstable_by(self.width - 1, better);
                candidates.truncate(self.width);
            }
            candidates.sort_unstable_by(better);
            beam = candidates.iter().map(|candidate| candidate.prefix(&beam)).collect();
        }
        let decoded = |prefix: Prefix| {
            let log_probability = add(prefix.blank, prefix.label);
            Decoded { labels: prefix.labels, log_probability, score: log_probability + prefix.bonus }
        };
        Ok(beam.into_iter().map(decoded).collect())
    }

    /// Fills in what each label adds to the score of each prefix, where that is not known yet.
    fn ask_model(&self, beam: &mut [Prefix], classes: usize) -> Result<()> {
        for prefix in beam.iter_mut().filter(|prefix| prefix.next.is_empty()) {
            for label in 0..classes {
                let mut term = self.bonus;
                if let (Some(model), true) = (self.model, label != self.blank) {
                    let score = model(&prefix.labels, label);
                    // A weight of 0 switches it off, -∞ included.
                    let weighted = if self.weight == 0.0 { 0.0 } else { self.weight * score };
                    if score.is_nan() || score == f64::INFINITY || weighted == f64::INFINITY {
                        let labels = &prefix.labels;
                        let text = format!(
                            "the language model gives {score} for label {label} after {labels:?}; expected a number, or -∞ with a weight of 0 or more"
                        );
                        return refuse(ErrorKind::Setting, NAME, text);
                    }
                    term += weighted;
                }
                prefix.next.push(term);
            }
        }
        Ok(())
    }

    /// All prefixes that one more step leads to with a probability above 0.
    fn candidates(&self, beam: &[Prefix], row: &[f64]) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::with_capacity(beam.len() * row.len());
        // The prefix itself: with one more blank, or its last label once more.
        for (from, prefix) in beam.iter().enumerate() {
            let blank = add(prefix.blank, prefix.label) + row[self.blank];
            let label = prefix.labels.last().map_or(f64::NEG_INFINITY, |&last| prefix.label + row[last]);
            candidates.push(Candidate { from, added: None, blank, label, bonus: prefix.bonus, score: 0.0 });
        }
        let longer = longer_by_one(beam);
        for (from, prefix) in beam.iter().enumerate() {
            for (label, &entry) in row.iter().enumerate().filter(|&(label, _)| label != self.blank) {
                // The same label again is a new one only after a blank.
                let repeated = prefix.labels.last() == Some(&label);
                let ways = if repeated { prefix.blank } else { add(prefix.blank, prefix.label) } + entry;
                match longer[from].iter().find(|&&(own, _)| own == label) {
                    Some(&(_, same)) => candidates[same].label = add(candidates[same].label, ways),
                    None => {
                        let bonus = prefix.bonus + prefix.next[label];
                        let blank = f64::NEG_INFINITY;
                        candidates.push(Candidate { from, added: Some(label), blank, label: ways, bonus, score: 0.0 });
                    }
                }
            }
        }
        candidates.iter_mut().for_each(|candidate| candidate.score = candidate.total());
        candidates.retain(|candidate| candidate.score > f64::NEG_INFINITY);
        candidates
    }
}

/// For each prefix of the beam, those in the beam that have one label more: the label and the position.
fn longer_by_one(beam: &[Prefix]) -> Vec<Vec<(usize, usize)>> {
    let mut order: Vec<usize> = (0..beam.len()).collect();
    order.sort_unstable_by(|&a, &b| beam[a].labels.cmp(&beam[b].labels));
    let mut longer = vec![Vec::new(); beam.len()];
    for (at, prefix) in beam.iter().enumerate() {
        let Some((&last, shorter)) = prefix.labels.split_last() else { continue };
        if let Ok(found) = order.binary_search_by(|&other| beam[other].labels.as_slice().cmp(shorter)) {
            longer[order[found]].push((last, at));
        }
    }
    longer
}

/// A prefix in the beam.
#[derive(Clone, Debug)]
struct Prefix {
    labels: Vec<usize>,
    /// ln p of its paths that end in a blank.
    blank: f64,
    /// ln p of its paths that end in its last label.
    label: f64,
    /// What language model and length add to its score.
    bonus: f64,
    /// What each label would add; empty until it is asked for.
    next: Vec<f64>,
}

impl Default for Prefix {
    fn default() -> Self {
        let none = f64::NEG_INFINITY;
        Prefix { labels: Vec::new(), blank: none, label: none, bonus: 0.0, next: Vec::new() }
    }
}

/// A prefix after one more step: that at `from` in the beam, and perhaps a label more.
struct Candidate {
    from: usize,
    added: Option<usize>,
    blank: f64,
    label: f64,
    bonus: f64,
    score: f64,
}

impl Candidate {
    fn total(&self) -> f64 {
        add(self.blank, self.label) + self.bonus
    }

    /// The better one first: by score, then by labels.
    fn compare(&self, other: &Candidate, beam: &[Prefix]) -> Ordering {
        let labels = |candidate: &Candidate| beam[candidate.from].labels.iter().copied().chain(candidate.added);
        other.score.total_cmp(&self.score).then_with(|| labels(self).cmp(labels(other)))
    }

    fn prefix(&self, beam: &[Prefix]) -> Prefix {
        let Candidate { from, added, blank, label, bonus, .. } = *self;
        let mut labels = beam[from].labels.clone();
        labels.extend(added);
        let next = if added.is_none() { beam[from].next.clone() } else { Vec::new() };
        Prefix { labels, blank, label, bonus, next }
    }
}

/// ln(e^a + e^b).
fn add(a: f64, b: f64) -> f64 {
    let (large, small) = if a > b { (a, b) } else { (b, a) };
    if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}
