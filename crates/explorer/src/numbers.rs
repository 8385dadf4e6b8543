//! Tensors as the data of a page: rounded, and of large ones the norm alone.

use rewind_autograd::Tensor;

use crate::data::Numbers;

/// The most elements of a tensor whose values a page has.
const MOST_VALUES: usize = 64;

/// A norm: four significant digits.
pub(crate) fn norm(x: f64) -> f64 {
    rounded(x, 3)
}

/// A value: six significant digits.
pub(crate) fn value(x: f64) -> f64 {
    rounded(x, 5)
}

/// `digits` after the first. A number that is not finite stays as it is.
fn rounded(x: f64, digits: usize) -> f64 {
    format!("{x:.digits$e}").parse().unwrap_or(x)
}

/// Whether a page has the values of small tensors, or norms alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Values,
    Norms,
}

impl Detail {
    pub(crate) fn of(self, tensor: &Tensor<f64>) -> Numbers {
        let kept = self == Detail::Values && tensor.len() <= MOST_VALUES;
        Numbers {
            shape: tensor.shape().to_vec(),
            norm: norm(tensor.norm()),
            values: kept.then(|| tensor.to_vec().into_iter().map(value).collect()),
        }
    }
}
