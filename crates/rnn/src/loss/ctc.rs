//! Connectionist temporal classification: the loss of a labeling whose alignment with the steps is unknown.

mod lattice;
mod op;
mod wide;

use rewind_autograd::{Scalar, Tensor, Var};

use self::lattice::Target;
use self::op::{Targets, ctc_loss};
use super::steps::check_lengths;
use super::{Reduction, refuse};
use crate::error::{Error, ErrorKind, Result};
use crate::nonfinite::NonFinite;

const NAME: &str = "ctc";

/// The settings of [`ctc`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ctc {
    /// The class of the blank; 0 by default.
    pub blank: usize,
    /// Mean or sum over the sequences. (PyTorch's mean first divides each loss by the number of its labels; here the sequences
    /// weigh alike.)
    pub reduction: Reduction,
    /// Whether a sequence that no path aligns with its target has loss 0 and gradient 0, instead of an error. It counts in a mean.
    pub zero_infinity: bool,
}

/// The losses of all sequences and their sum.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SequenceLosses<'t, T: Scalar> {
    /// The loss of each sequence, `[B]`; divided by B for a mean.
    pub per_sequence: Var<'t, T>,
    /// Their sum, of shape `[]`: the loss to differentiate.
    pub total: Var<'t, T>,
}

/// The loss of labelings without alignments (Graves et al. 2006): -ln p(target | logits) for every sequence.
///
/// p = Σ_π Π_t softmax(logits_t)\[π_t\] over all paths π that collapse to the target: one class a step, of which repeats are merged
/// and then blanks removed, so that `a a - a b b` with the blank `-` is the labeling `a a b`. Logits `[T, B, C]`; log-probabilities
/// serve as well, since their softmax is the same. One target a sequence, a slice of labels, which may be empty; one length
/// of 1 to T a sequence. Steps beyond it do not count, whatever the logits are there, and have gradient 0.
///
/// The loss has derivatives of every order. It is computed in `f64`, without logarithms, in numbers with a wide exponent; so the number
/// of steps and the size of the logits are not limited. Loss and gradient take O(Σ_b T_b·(2·L_b + 1)) time for L_b labels. A
/// logit of -∞ rules out its class at that step.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::loss::{Ctc, ctc};
///
/// let tape = Tape::new();
/// let logits = tape.leaf(Tensor::<f64>::zeros(&[2, 2, 3])); // T = 2, B = 2, C = 3: the blank and two labels
/// let losses = ctc(logits, &[vec![1], vec![1, 2]], &[2, 2], Ctc::default())?;
/// // Of 9 paths of equal probability, `1 1`, `1 -` and `- 1` are the labeling [1], and `1 2` is [1, 2].
/// let p = losses.per_sequence.value().map(|loss| (-2.0 * loss).exp()); // the mean is over two sequences
/// assert!((p.to_vec()[0] - 3.0 / 9.0).abs() < 1e-15);
/// assert!((p.to_vec()[1] - 1.0 / 9.0).abs() < 1e-15);
/// let gradient = losses.total.backward().get(logits);
/// assert_eq!(gradient.shape(), [2, 2, 3]);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If the logits do not have three axes, the targets or the lengths do not fit them, the blank or a label is no class, or a label is the
/// blank; if a logit within a sequence is NaN. Unless [`Ctc::zero_infinity`] is set, also if a sequence has fewer steps than its
/// target needs (one for each label, and one between two equal ones), or if its target has probability 0 because of
/// logits of -∞, or logits so far apart that their difference is infinite.
#[track_caller]
pub fn ctc<'t, T: Scalar>(
    logits: Var<'t, T>,
    targets: &[impl AsRef<[usize]>],
    lengths: &[usize],
    settings: Ctc,
) -> Result<SequenceLosses<'t, T>> {
    let [steps, batch, classes] = check_lengths(NAME, &logits.shape(), lengths)?;
    let targets = check_targets(targets, lengths, classes, settings)?;
    let tape = logits.tape();
    let mut inside = logits;
    if lengths.iter().any(|&length| length < steps) {
        // NaN beyond the end of a sequence would pass through the derivatives of the softmax.
        let mask = |row: usize| if row / batch < lengths[row % batch] { T::ONE } else { T::ZERO };
        let mask = tape.constant(Tensor::from_fn(&[steps, batch, 1], mask));
        inside = mask.select(logits, tape.scalar(T::ZERO));
    }
    let mut losses = ctc_loss(inside.log_softmax(2), targets);
    let found = losses.value().to_vec();
    if let Some(b) = found.iter().position(|loss| loss.is_nan()) {
        return refuse_nan(&logits.value(), b, lengths[b]);
    }
    if let Some(b) = found.iter().position(|loss| !loss.is_finite()) {
        if !settings.zero_infinity {
            let text = format!(
                "the target of sequence {b} has probability 0; expected logits above -∞ along one of its paths, or `zero_infinity`"
            );
            return refuse(ErrorKind::Target, NAME, text);
        }
        let finite = |b: usize| if found[b].is_finite() { T::ONE } else { T::ZERO };
        losses = tape.constant(Tensor::from_fn(&[batch], finite)).select(losses, tape.scalar(T::ZERO));
    }
    let per_sequence = settings.reduction.of(losses, batch as f64);
    Ok(SequenceLosses { per_sequence, total: per_sequence.sum() })
}

/// The targets, if they fit the logits.
fn check_targets(targets: &[impl AsRef<[usize]>], lengths: &[usize], classes: usize, settings: Ctc) -> Result<Targets> {
    let Ctc { blank, zero_infinity, .. } = settings;
    if blank >= classes {
        let text = format!("the blank is class {blank}; expected a class below {classes}, the last axis of the logits");
        return refuse(ErrorKind::Setting, NAME, text);
    }
    if targets.len() != lengths.len() {
        let (count, batch) = (targets.len(), lengths.len());
        let text = format!("{count} targets; expected one for each of {batch} sequences");
        return refuse(ErrorKind::Shape, NAME, text);
    }
    let mut checked = Vec::with_capacity(targets.len());
    for (b, (labels, &steps)) in targets.iter().zip(lengths).enumerate() {
        let labels = labels.as_ref();
        if let Some(at) = labels.iter().position(|&label| label >= classes || label == blank) {
            let text = format!(
                "label {at} of the target of sequence {b} is {}; expected a class below {classes} that is not the blank, {blank}",
                labels[at]
            );
            return refuse(ErrorKind::Target, NAME, text);
        }
        let repeats = labels.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let needed = labels.len() + repeats;
        if steps < needed && !zero_infinity {
            let text = format!(
                "sequence {b} has {steps} steps; expected at least {needed} for its target of {} labels with {repeats} repeats",
                labels.len()
            );
            return refuse(ErrorKind::Target, NAME, text);
        }
        checked.push(Target::new(labels, steps, blank));
    }
    Ok(checked.into())
}

/// The error of sequence `b`, whose loss is NaN: one of its logits is.
fn refuse_nan<T: Scalar, R>(logits: &Tensor<T>, b: usize, length: usize) -> Result<R> {
    let classes = logits.shape()[2];
    let indices = (0..length).flat_map(|t| (0..classes).map(move |class| [t, b, class]));
    let index = indices.into_iter().find(|index| logits.at(index).is_nan()).unwrap_or([0, b, 0]).to_vec();
    let text = format!("{NAME}: the logit at {index:?} is NaN; expected a number or -∞");
    let at = NonFinite { name: "logits".to_owned(), index, value: f64::NAN };
    Err(Error::new(ErrorKind::NonFinite(at), text))
}
