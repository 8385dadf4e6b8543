//! How often the largest output is that of the target.

use std::fmt;
use std::ops::Add;

use rewind_autograd::shape::unravel;
use rewind_autograd::{Scalar, Tensor};

use super::classes::{ClassTarget, check_class, rows_and_classes};
use super::{nothing_counts, refuse};
use crate::error::{ErrorKind, Result};
use crate::nonfinite::NonFinite;

const NAME: &str = "accuracy";

/// How many targets are the class of the largest output. Those of several batches add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// The targets that are.
    pub right: usize,
    /// The targets that count: all but those that are `None`.
    pub counted: usize,
}

impl Accuracy {
    /// The share of the targets that are; NaN if none counts.
    pub fn rate(self) -> f64 {
        self.right as f64 / self.counted as f64
    }
}

impl Add for Accuracy {
    type Output = Accuracy;
    fn add(self, other: Accuracy) -> Accuracy {
        Accuracy { right: self.right + other.right, counted: self.counted + other.counted }
    }
}

/// `accuracy 0.857 (n=7)`
impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accuracy {:.3} (n={})", self.rate(), self.counted)
    }
}

/// The accuracy of outputs `[…, C]`, such as `[B, C]` of a last step or `[T, B, C]` of all steps, for one target a row, in row-major order:
/// a row is right if its largest output is that of its target, where the lowest class is the largest among equals. A row whose
/// target is `None` does not count, whatever its outputs; [`step_targets`](crate::batch::PaddedBatch::step_targets) gives `None` for padding.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::loss::accuracy;
///
/// let outputs = Tensor::from_vec(vec![0.5_f32, 2.0, 3.0, 1.0, 0.0, 4.0, 9.0, 9.0], &[2, 2, 2]); // T = 2, B = 2, C = 2
/// let found = accuracy(&outputs, &[Some(1), Some(0), Some(0), None])?;
/// assert_eq!(found.to_string(), "accuracy 0.667 (n=3)");
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// If there is no axis of classes, the number of targets is not that of the rows, a class does not exist, an output in a row that counts is
/// NaN, or no row counts.
pub fn accuracy<T: Scalar>(outputs: &Tensor<T>, targets: &[impl ClassTarget]) -> Result<Accuracy> {
    let (rows, classes) = rows_and_classes(NAME, outputs.shape(), targets.len())?;
    let elements = outputs.to_vec();
    let mut found = Accuracy::default();
    for (row, target) in targets.iter().enumerate() {
        let Some(class) = target.class() else { continue };
        check_class(NAME, row, class, classes)?;
        let own = &elements[row * classes..][..classes];
        if let Some(at) = own.iter().position(|x| x.is_nan()) {
            let index = unravel(row * classes + at, outputs.shape());
            let text = format!("the output at {index:?} is NaN; expected numbers");
            let at = NonFinite { name: "outputs".to_owned(), index, value: f64::NAN };
            return refuse(ErrorKind::NonFinite(at), NAME, text);
        }
        let largest = (1..classes).fold(0, |best, c| if own[c] > own[best] { c } else { best });
        found = found + Accuracy { right: usize::from(largest == class), counted: 1 };
    }
    if found.counted == 0 { nothing_counts(NAME, rows) } else { Ok(found) }
}
