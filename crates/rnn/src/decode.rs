//! From the outputs of a CTC network to labelings, and the error rate of labelings.
//!
//! [`best_path`] takes the most probable class at every step; [`BeamSearch`] adds the probabilities of all paths of a labeling,
//! and may use a language model. [`edit_distance`] and [`error_rate`] compare labelings with their references.
//!
//! ```
//! use rewind_autograd::Tensor;
//! use rewind_rnn::decode::{BeamSearch, best_path};
//!
//! // T = 2, B = 1, C = 2: the blank has probability 0.6 at both steps, the label 0.4 (Graves 2012, §7.5).
//! let log_p = Tensor::from_fn(&[2, 1, 2], |i| [0.6_f64, 0.4][i % 2].ln());
//! // The best path is two blanks, of probability 0.36. The three other paths are the labeling [1], of 0.64.
//! assert!(best_path(&log_p, &[2], 0)?[0].labels.is_empty());
//! let found = BeamSearch::new(4).run(&log_p, &[2])?;
//! assert_eq!(found[0][0].labels, [1]);
//! assert!((found[0][0].log_probability.exp() - 0.64).abs() < 1e-15);
//! # Ok::<(), rewind_rnn::Error>(())
//! ```

mod beam;
mod edits;

use rewind_autograd::{Scalar, Tensor};

use crate::error::{Error, ErrorKind, Result};
use crate::nonfinite::NonFinite;

pub use beam::BeamSearch;
pub use edits::{Edits, ErrorRate, edit_distance, error_rate};

/// A labeling that a decoder found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The labels, without blanks.
    pub labels: Vec<usize>,
    /// ln of the probability of its paths: of the one path for [`best_path`], of all that the beam retained for [`BeamSearch`].
    pub log_probability: f64,
    /// What the decoder ranks by: `log_probability`, and the terms of the language model and of the length if there are any.
    pub score: f64,
}

/// The labeling of the most probable path of each sequence: at each step the class of the largest entry, the lowest one among
/// equals; then repeats are merged and blanks removed (Graves et al. 2006, §3.2). Not always the most probable labeling.
///
/// Log-probabilities `[T, B, C]`, as of [`log_softmax`](rewind_autograd::Var::log_softmax); -∞ rules out a class. One length of 1 to
/// T a sequence. One labeling a sequence; O(T·B·C).
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::decode::best_path;
///
/// let path = [2, 2, 0, 2, 1];
/// let log_p = Tensor::from_fn(&[5, 1, 3], |i| if path[i / 3] == i % 3 { 0.8_f32 } else { 0.1 }.ln());
/// assert_eq!(best_path(&log_p, &[5], 0)?[0].labels, [2, 2, 1]);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If there are not three axes, the lengths do not fit, the blank is no class, or an entry within a sequence is NaN, +∞ or, as a logit may
/// be, above 0.
pub fn best_path<T: Scalar>(log_probabilities: &Tensor<T>, lengths: &[usize], blank: usize) -> Result<Vec<Decoded>> {
    let sequences = sequences("best_path", log_probabilities, lengths, blank)?;
    Ok(sequences.iter().map(|rows| best_path_of(rows, blank)).collect())
}

fn best_path_of(rows: &[Vec<f64>], blank: usize) -> Decoded {
    let (mut labels, mut log_probability, mut last) = (Vec::new(), 0.0, blank);
    for row in rows {
        let best = (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        log_probability += row[best];
        if best != blank && best != last {
            labels.push(best);
        }
        last = best;
    }
    Decoded { labels, log_probability, score: log_probability }
}

/// How far above 0 a log-probability may be: as far as one that was computed with 16 bits.
const ROUNDING: f64 = 0.01;

fn refuse<R>(kind: ErrorKind, decoder: &str, why: String) -> Result<R> {
    Err(Error::new(kind, format!("{decoder}: {why}")))
}

/// The steps of every sequence, checked.
fn sequences<T: Scalar>(
    decoder: &str,
    log_probabilities: &Tensor<T>,
    lengths: &[usize],
    blank: usize,
) -> Result<Vec<Vec<Vec<f64>>>> {
    let shape = log_probabilities.shape();
    let &[steps, batch, classes] = shape else {
        let text = format!("log-probabilities of shape {shape:?}; expected [T, B, C]: time steps, sequences, classes");
        return refuse(ErrorKind::Shape, decoder, text);
    };
    if lengths.len() != batch {
        let count = lengths.len();
        let text = format!("{count} lengths for shape {shape:?}; expected one for each of {batch} sequences");
        return refuse(ErrorKind::Shape, decoder, text);
    }
    if let Some(b) = lengths.iter().position(|length| !(1..=steps).contains(length)) {
        let text = format!("sequence {b} has length {}; expected 1 to {steps}, the steps", lengths[b]);
        return refuse(ErrorKind::Shape, decoder, text);
    }
    if blank >= classes {
        let text = format!("the blank is class {blank}; expected a class below {classes}, the last axis");
        return refuse(ErrorKind::Setting, decoder, text);
    }
    let all = log_probabilities.to_vec();
    let row = |t: usize, b: usize| all[(t * batch + b) * classes..][..classes].iter().map(|x| x.to_f64());
    let rows = |b: usize| (0..lengths[b]).map(move |t| row(t, b).collect::<Vec<_>>()).collect::<Vec<_>>();
    let sequences: Vec<_> = (0..batch).map(rows).collect();
    for (b, rows) in sequences.iter().enumerate() {
        for (t, row) in rows.iter().enumerate() {
            if let Some(class) = row.iter().position(|x| x.is_nan() || *x == f64::INFINITY) {
                let at =
                    NonFinite { name: "log-probabilities".to_owned(), index: vec![t, b, class], value: row[class] };
                let text = format!("the log-probability at {:?} is {}; expected a number or -∞", at.index, at.value);
                return refuse(ErrorKind::NonFinite(at), decoder, text);
            }
            if let Some(class) = row.iter().position(|x| *x > ROUNDING) {
                let (at, found) = ([t, b, class], row[class]);
                let text = format!(
                    "the log-probability at {at:?} is {found}; expected at most 0 (`log_softmax` makes log-probabilities of logits)"
                );
                return refuse(ErrorKind::Setting, decoder, text);
            }
        }
    }
    Ok(sequences)
}
