//! Softmax cross-entropy against class indices.

use rewind_autograd::{Scalar, Tensor, Var};

use super::steps::{StepLosses, check_lengths, over_steps};
use super::{Reduction, nothing_counts, refuse};
use crate::error::{ErrorKind, Result};

const NAME: &str = "cross_entropy";

/// The target of a row: a class index (`usize`), or `None` where the row does not count (`Option<usize>`).
pub trait ClassTarget: Copy {
    /// The class, or `None` if the row is ignored.
    fn class(self) -> Option<usize>;
}

impl ClassTarget for usize {
    fn class(self) -> Option<usize> {
        Some(self)
    }
}

impl ClassTarget for Option<usize> {
    fn class(self) -> Option<usize> {
        self
    }
}

/// The settings of a cross-entropy.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::loss::{CrossEntropy, cross_entropy};
///
/// let tape = Tape::new();
/// let logits = tape.leaf(Tensor::from_vec(vec![0.0, 0.0, 0.0, 3.0_f64.ln()], &[2, 2]));
/// let rare = CrossEntropy { class_weights: Some(&[3.0, 1.0]), ..CrossEntropy::default() };
/// let loss = cross_entropy(logits, &[0, 1], rare)?;
/// // -ln ½ of weight 3, and -ln ¾ of weight 1
/// assert!((loss.value().item() - (3.0 * 2.0_f64.ln() + (4.0_f64 / 3.0).ln()) / 4.0).abs() < 1e-15);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropy<'a> {
    /// Label smoothing eps in [0, 1): the target distribution is (1 - eps)·onehot + eps/C, spread over all C classes,
    /// the right one included (Szegedy et al. 2016; PyTorch's definition).
    pub smoothing: f64,
    /// Mean or sum over the rows that count.
    pub reduction: Reduction,
    /// A weight w_c >= 0 for each of the C classes, all 1 by default: for classes of unlike frequency. The term of each class in a loss
    /// is multiplied by its weight, and a mean is divided by the sum of the weights of the targets: the rows' weighted mean. With
    /// label smoothing, the shares of the other classes have their own weights, and the divisor is the same (PyTorch's definition).
    pub class_weights: Option<&'a [f64]>,
}

/// -Σ_c w_c · q_c · ln softmax(logits)_c over the rows that count, divided by their number if averaged, or by the weight of their
/// targets: a scalar. q is the target distribution and w the class weights, see [`CrossEntropy`]. Logits `[…, C]`, one target a row, in row-major order. Stable for logits
/// of any size. An ignored row counts neither in the sum nor in the mean.
///
/// ```
/// use rewind_autograd::{Tape, Tensor};
/// use rewind_rnn::loss::{CrossEntropy, cross_entropy};
///
/// let tape = Tape::new();
/// let logits = tape.leaf(Tensor::from_vec(vec![2.0, 2.0, 500.0, -500.0], &[2, 2]));
/// let loss = cross_entropy(logits, &[Some(0), None], CrossEntropy::default())?;
/// assert!((loss.value().item() - 2.0_f64.ln()).abs() < 1e-12);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If the logits have no axis of classes, the number of targets is not that of the rows, a class does not exist, no
/// row counts, the smoothing is not in [0, 1), there is not one weight a class, a weight is negative, not finite or out of the range of `T`, or a
/// mean is over rows of weight 0.
#[track_caller]
pub fn cross_entropy<'t, T: Scalar>(
    logits: Var<'t, T>,
    targets: &[impl ClassTarget],
    settings: CrossEntropy<'_>,
) -> Result<Var<'t, T>> {
    let (target, counted) = distribution(logits, targets, settings, |_| true)?;
    Ok(settings.reduction.of(logits.cross_entropy(target).sum(), counted))
}

/// [`cross_entropy`] of every step of `[T, B, C]`, with T·B targets, step by step: that of sequence b at step t at
/// t·B + b. Rows beyond a sequence's length do not count, whatever their target.
///
/// # Errors
/// As [`cross_entropy`], and if the lengths do not fit.
#[track_caller]
pub fn cross_entropy_steps<'t, T: Scalar>(
    logits: Var<'t, T>,
    targets: &[impl ClassTarget],
    lengths: &[usize],
    settings: CrossEntropy<'_>,
) -> Result<StepLosses<'t, T>> {
    let [_, batch, _] = check_lengths(NAME, &logits.shape(), lengths)?;
    let inside = |row: usize| row / batch < lengths[row % batch];
    let (target, counted) = distribution(logits, targets, settings, inside)?;
    Ok(over_steps(logits.cross_entropy(target), settings.reduction, counted))
}

/// The weighted target distribution of every row, 0 where it does not count, and the weight of the rows that do.
#[track_caller]
fn distribution<'t, T: Scalar>(
    logits: Var<'t, T>,
    targets: &[impl ClassTarget],
    settings: CrossEntropy<'_>,
    inside: impl Fn(usize) -> bool,
) -> Result<(Var<'t, T>, f64)> {
    let smoothing = settings.smoothing;
    if !(0.0..1.0).contains(&smoothing) {
        let text = format!("label smoothing is {smoothing}; expected a number in [0, 1)");
        return refuse(ErrorKind::Setting, NAME, text);
    }
    let shape = logits.shape();
    let (rows, classes) = rows_and_classes(NAME, &shape, targets.len())?;
    let weights = check_weights::<T>(settings.class_weights, classes)?;
    let weight = |class: usize| weights.map_or(1.0, |weights| weights[class]);
    let shared = smoothing / classes.max(1) as f64;
    let mut rows_of_q = vec![T::ZERO; rows * classes];
    let (mut counted, mut total) = (0, 0.0);
    for (row, target) in targets.iter().enumerate() {
        let Some(class) = target.class().filter(|_| inside(row)) else { continue };
        check_class(NAME, row, class, classes)?;
        let q = &mut rows_of_q[row * classes..][..classes];
        q.iter_mut().enumerate().for_each(|(c, q)| *q = T::from_f64(shared * weight(c)));
        q[class] = T::from_f64((1.0 - smoothing + shared) * weight(class));
        counted += 1;
        total += weight(class);
    }
    if counted == 0 {
        return nothing_counts(NAME, rows);
    }
    if total == 0.0 && settings.reduction == Reduction::Mean {
        let text = format!(
            "the targets of all {counted} rows that count have class weight 0; expected a mean over some weight"
        );
        return refuse(ErrorKind::Empty, NAME, text);
    }
    if !T::from_f64(total).is_finite() {
        let name = T::NAME;
        let text =
            format!("the class weights of {counted} rows add up to {total:e}; expected a sum in the range of {name}");
        return refuse(ErrorKind::Setting, NAME, text);
    }
    Ok((logits.tape().constant(Tensor::from_vec(rows_of_q, &shape)), total))
}

/// The number of rows and of classes of outputs `[…, C]`, if there are as many targets as rows.
pub(super) fn rows_and_classes(function: &str, shape: &[usize], targets: usize) -> Result<(usize, usize)> {
    let Some((&classes, leading)) = shape.split_last() else {
        return refuse(ErrorKind::Shape, function, "outputs of shape []; expected […, C]".to_owned());
    };
    let rows = leading.iter().product();
    if targets != rows {
        let text = format!("{targets} targets for outputs of shape {shape:?}; expected {rows}, one a row");
        return refuse(ErrorKind::Shape, function, text);
    }
    Ok((rows, classes))
}

/// An error if the target of a row is no class.
pub(super) fn check_class(function: &str, row: usize, class: usize, classes: usize) -> Result<()> {
    if class < classes {
        return Ok(());
    }
    let text =
        format!("target of row {row} is class {class}; expected a class below {classes}, the last axis of the outputs");
    refuse(ErrorKind::Target, function, text)
}

/// The class weights, if they fit.
fn check_weights<T: Scalar>(weights: Option<&[f64]>, classes: usize) -> Result<Option<&[f64]>> {
    let Some(found) = weights else { return Ok(None) };
    if found.len() != classes {
        let text = format!("{} class weights; expected {classes}, the last axis of the logits", found.len());
        return refuse(ErrorKind::Shape, NAME, text);
    }
    if let Some(class) = found.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        let text = format!("the weight of class {class} is {}; expected a finite number of 0 or more", found[class]);
        return refuse(ErrorKind::Setting, NAME, text);
    }
    // One that is 0 or ∞ as an element would remove its class, or give NaN.
    let rounding = |weight: f64| (T::from_f64(weight).to_f64() / weight - 1.0).abs();
    if let Some(class) = found.iter().position(|&weight| weight != 0.0 && rounding(weight) > 1e-6) {
        let (weight, name) = (found[class], T::NAME);
        let text = format!(
            "the weight of class {class} is {weight:e}, out of the range of {name}; expected weights closer to 1"
        );
        return refuse(ErrorKind::Setting, NAME, text);
    }
    Ok(weights)
}
