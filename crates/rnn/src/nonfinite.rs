//! Where a module has an infinite or NaN element.

use std::fmt;

use rewind_autograd::nonfinite::first_nonfinite;
use rewind_autograd::{Parameters, Scalar, Tensor};

/// The first element of a module that is infinite or NaN. For the op, the time step and the line that produced it, call
/// [`find_nonfinite`](rewind_autograd::Var::find_nonfinite) on the loss, while its tape still exists.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::{ErrorKind, NonFinite, clip};
///
/// parameters! { struct One<P> { w: P } }
///
/// let gradient = One { w: Tensor::from_vec(vec![1.0, f64::INFINITY], &[2]) };
/// let error = clip::joint_norm(&gradient).expect_err("a gradient is infinite");
/// let ErrorKind::NonFinite(NonFinite { name, index, .. }) = error.kind() else { panic!("{error}") };
/// assert_eq!((name.as_str(), index.as_slice()), ("w", &[1][..]));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NonFinite {
    /// The dotted name of the parameter.
    pub name: String,
    /// Its place in the parameter, one position per axis.
    pub index: Vec<usize>,
    /// The element: NaN or ±∞.
    pub value: f64,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {} at {:?}; expected finite numbers", self.name, self.value, self.index)
    }
}

impl std::error::Error for NonFinite {}

/// Checks every element of `module`, in the order of its leaves.
pub(crate) fn all_finite<T: Scalar, M: Parameters<Tensor<T>>>(module: &M) -> Result<(), NonFinite> {
    let mut first = None;
    module.visit(|name, tensor| {
        if first.is_none() {
            first = finite_tensor(name, tensor).err();
        }
    });
    first.map_or(Ok(()), Err)
}

/// Checks every element of one tensor.
pub(crate) fn finite_tensor<T: Scalar>(name: &str, tensor: &Tensor<T>) -> Result<(), NonFinite> {
    match first_nonfinite(tensor) {
        Some((index, value)) => Err(NonFinite { name: name.to_owned(), index, value }),
        None => Ok(()),
    }
}
