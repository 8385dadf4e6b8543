//! Gradient clipping, against exploding gradients.

use rewind_autograd::{Parameters, Scalar, Tensor};

use crate::error::{Error, ErrorKind, Result};
use crate::nonfinite::all_finite;

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)) and returns norm = √Σg², the joint 2-norm over every
/// parameter before clipping (Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural
/// networks"; the 1e-6 is PyTorch's).
///
/// Gradients were scaled if the returned norm exceeds `max_norm`. It is summed in `f64`, and squares do not overflow; a
/// norm beyond the largest `f64` is returned as ∞, and the gradients are scaled correctly. With `max_norm` = ∞ the gradients do not change.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::clip::clip_norm;
///
/// parameters! { struct Pair<P> { a: P, b: P } }
///
/// let mut g = Pair { a: Tensor::full(&[1], 30.0), b: Tensor::full(&[1], 40.0) };
/// assert_eq!(clip_norm(&mut g, 5.0)?, 50.0);
/// assert!((g.a.item() - 3.0_f64).abs() < 1e-6 && (g.b.item() - 4.0).abs() < 1e-6);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If a gradient is infinite or NaN (the first one is named), or `max_norm` is negative or NaN; nothing is changed.
pub fn clip_norm<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &mut M, max_norm: f64) -> Result<f64> {
    check_limit("max_norm", max_norm)?;
    let norm = joint_norm(gradients)?;
    // The norm may overflow even where no gradient does. In units of the largest gradient it does not.
    let (unit, norm_in_units) = if norm.is_finite() { (1.0, norm + 1e-6) } else { norm_in_units(gradients) };
    let scale = max_norm / norm_in_units;
    if scale < unit {
        // In f64: of a large norm, the scale may be too small for an f32.
        let scaled = |g: T| T::from_f64(g.to_f64() / unit * scale);
        gradients.visit_mut(|_, g| g.as_mut_slice().iter_mut().for_each(|g| *g = scaled(*g)));
    }
    Ok(norm)
}

/// The largest magnitude of all elements, and their joint 2-norm divided by it.
fn norm_in_units<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &M) -> (f64, f64) {
    let elements = || gradients.leaves().into_iter().flat_map(Tensor::to_vec).map(T::to_f64);
    let unit = elements().fold(0.0, |largest: f64, g| largest.max(g.abs()));
    (unit, elements().map(|g| (g / unit).powi(2)).sum::<f64>().sqrt())
}

/// The joint 2-norm of all leaves, √Σg², summed in `f64`.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::clip::joint_norm;
///
/// parameters! { struct Pair<P> { a: P, b: P } }
///
/// let gradients = Pair { a: Tensor::full(&[1], 3.0_f32), b: Tensor::full(&[1], -4.0) };
/// assert_eq!(joint_norm(&gradients)?, 5.0);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If an element is infinite or NaN; the first one is named.
pub fn joint_norm<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &M) -> Result<f64> {
    check_finite(gradients)?;
    Ok(Tensor::joint_norm(gradients.leaves()))
}

/// Clamps every element of every gradient to [-limit, limit], and returns how many elements it changed.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::clip::clip_value;
///
/// parameters! { struct One<P> { w: P } }
///
/// let mut gradient = One { w: Tensor::from_vec(vec![-7.0, 0.25], &[2]) };
/// assert_eq!(clip_value(&mut gradient, 1.0)?, 1);
/// assert_eq!(gradient.w.to_vec(), [-1.0, 0.25]);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If a gradient is NaN or infinite (the first one is named), or `limit` is negative or NaN; nothing is changed.
pub fn clip_value<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &mut M, limit: f64) -> Result<usize> {
    check_limit("limit", limit)?;
    check_finite(gradients)?;
    let limit = T::from_f64(limit);
    let mut changed = 0;
    gradients.visit_mut(|_, g| {
        for g in g.as_mut_slice().iter_mut().filter(|g| g.abs() > limit) {
            *g = if *g > limit { limit } else { -limit };
            changed += 1;
        }
    });
    Ok(changed)
}

fn check_limit(name: &'static str, value: f64) -> Result<()> {
    if value >= 0.0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Setting, format!("clip: {name} is {value}; expected a number >= 0")))
}

fn check_finite<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &M) -> Result<()> {
    all_finite(gradients).map_err(|at| Error::nonfinite("clip: the gradient of", at))
}
