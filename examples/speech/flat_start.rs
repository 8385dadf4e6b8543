//! A flat start: before CTC, the phones of each recording are taken to be spread evenly over it, as hidden Markov models
//! have long been started (Young et al., The HTK Book).
//!
//! CTC alone does not say when a phone is heard. A network that reads forward only learns to say all of them in the first steps, which it tells
//! apart by its state being new, before it has heard the word; and since nothing is said at the later steps then, nothing pulls the
//! phones there.

use rewind_autograd::Var;
use rewind_rnn::Result;
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy_steps};

/// The sum over all steps of the cross-entropy between logits `[T, B, C]` and phones that are spread evenly over each recording.
pub(crate) fn loss<'t>(logits: Var<'t, f32>, said: &[Vec<usize>], lengths: &[usize]) -> Result<Var<'t, f32>> {
    let steps = logits.shape()[0];
    let rows = (0..steps).flat_map(|t| said.iter().zip(lengths).map(move |(phones, &length)| even(phones, t, length)));
    let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
    Ok(cross_entropy_steps(logits, &rows.collect::<Vec<_>>(), lengths, settings)?.total)
}

/// The phone at step `t` of `length`; the last one at steps beyond, which do not count.
fn even(phones: &[usize], t: usize, length: usize) -> usize {
    phones[(t * phones.len() / length.max(1)).min(phones.len() - 1)]
}

#[cfg(test)]
mod tests {
    use rewind_autograd::{Tape, Tensor};

    use super::*;
    use crate::phones::CLASSES;

    #[test]
    fn phones_are_spread_evenly() {
        let steps = |phones: &[usize], length| (0..length).map(|t| even(phones, t, length)).collect::<Vec<_>>();
        assert_eq!(steps(&[5, 3], 4), [5, 5, 3, 3]);
        assert_eq!(steps(&[5, 3, 5], 7), [5, 5, 5, 3, 3, 5, 5]);
        assert_eq!(steps(&[5], 3), [5, 5, 5]);
        // Fewer steps than phones: some are left out.
        assert_eq!(steps(&[1, 2, 3, 4], 2), [1, 3]);
        // Padding has a phone as well, which does not count.
        assert_eq!((even(&[5, 3], 9, 4), even(&[5, 3], 0, 0)), (3, 5));
    }

    #[test]
    fn the_loss_is_of_the_steps_of_each_recording() {
        let (steps, lengths, said) = (4, [4, 1], [vec![2, 7], vec![3]]);
        let logits = Tensor::from_fn(&[steps, 2, CLASSES], |i| (i as f32 * 0.37).sin());
        let tape = Tape::new();
        let found = loss(tape.constant(logits.clone()), &said, &lengths).unwrap().value().item();
        let log_p = tape.constant(logits).log_softmax(2).value();
        let at = |t: usize, b: usize, class: usize| log_p.index(0, t).index(0, b).index(0, class).item();
        let expected = -(at(0, 0, 2) + at(1, 0, 2) + at(2, 0, 7) + at(3, 0, 7) + at(0, 1, 3));
        assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
    }
}
