//! Gradients cut to size, against explosion in time.

use rewind_autograd::{Parameters, Scalar, Tensor};
use thiserror::Error;

/// A gradient that is infinite or NaN: no scale makes it useful.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the gradient of {parameter} holds a number that is not finite")]
pub struct NonFinite {
    /// The dotted name of the first such parameter.
    pub parameter: String,
}

/// The joint 2-norm of all gradients, √Σ g² over every number of every parameter.
pub fn joint_norm<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &M) -> T {
    gradients.leaves().into_iter().map(|g| g.map(|x| x * x).sum()).sum::<T>().sqrt()
}

/// Scales all gradients by one number such that their joint 2-norm is `max_norm` at most (Pascanu et al. 2013), and
/// returns the norm from before. The scale is max_norm/(norm + 1e-6) where that is below 1, as in PyTorch.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::{Linear, clip};
/// let mut g = Linear { weight: Tensor::full(&[2, 2], 3.0_f64), bias: Some(Tensor::full(&[2], 4.0)) };
/// let before = clip::by_norm(&mut g, 1.0).unwrap();
/// assert!((before - 68.0_f64.sqrt()).abs() < 1e-12);
/// assert!((clip::joint_norm(&g) - 1.0).abs() < 1e-6);
/// ```
///
/// # Errors
/// If a gradient is not finite; nothing is changed then.
pub fn by_norm<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &mut M, max_norm: T) -> Result<T, NonFinite> {
    let norm = joint_norm(gradients);
    if !norm.is_finite() {
        check_finite(gradients)?;
    }
    let scale = max_norm / (norm + T::from_f64(1e-6));
    if scale < T::ONE {
        gradients.visit_mut(|_, g| g.as_mut_slice().iter_mut().for_each(|x| *x *= scale));
    }
    Ok(norm)
}

/// Cuts every number of every gradient to ±`bound`. NaN stays NaN.
pub fn by_value<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &mut M, bound: T) {
    gradients.visit_mut(|_, g| {
        for x in g.as_mut_slice() {
            if *x > bound {
                *x = bound;
            } else if *x < -bound {
                *x = -bound;
            }
        }
    });
}

/// Says which parameter has a gradient that is infinite or NaN, if one has.
///
/// # Errors
/// The first such parameter.
pub fn check_finite<T: Scalar, M: Parameters<Tensor<T>>>(gradients: &M) -> Result<(), NonFinite> {
    let mut first = None;
    gradients.visit(|name, g| {
        if first.is_none() && !g.all_finite() {
            first = Some(name.to_owned());
        }
    });
    first.map_or(Ok(()), |parameter| Err(NonFinite { parameter }))
}
