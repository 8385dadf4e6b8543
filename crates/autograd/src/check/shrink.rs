//! The smallest sizes that fail.

use super::{Check, Report};
use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

impl Check {
    /// Checks `f` at the inputs that `make` builds from `sizes`; if the gradient is wrong there, looks for the smallest
    /// sizes (1 at least, each) at which it still is. The report is that of the smallest, and names them.
    ///
    /// ```
    /// use rewind_autograd::check;
    /// let report = check::full().orders(1).shrink(
    ///     &[4, 3],
    ///     |sizes| vec![check::sample::<f64>(sizes, 1)],
    ///     |_tape, x| x[0].transpose() * 2.0,
    /// );
    /// report.assert();
    /// assert_eq!(report.sizes, None); // nothing fails
    /// ```
    pub fn shrink<T: Scalar, G, F>(&self, sizes: &[usize], make: G, f: F) -> Report
    where
        G: Fn(&[usize]) -> Vec<Tensor<T>>,
        F: for<'t> Fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T>,
    {
        shrunk(sizes, |sizes| self.function(&make(sizes), &f))
    }
}

/// The report of `check` at `sizes`; if it is wrong there, that of the smallest sizes (1 at least, each) at which it still is,
/// with these [named](Report::sizes). For checks of more than a function of inputs: a cell at a number of time steps, say.
///
/// ```
/// use rewind_autograd::check;
/// let sum = |sizes: &[usize]| check::function(&[check::sample(sizes, 1)], |_tape, x| x[0] + x[0]);
/// assert_eq!(check::shrunk(&[4, 3], sum).sizes, None); // nothing fails
/// ```
pub fn shrunk(sizes: &[usize], check: impl Fn(&[usize]) -> Report) -> Report {
    let mut smallest = sizes.to_vec();
    let mut report = check(&smallest);
    if !report.is_wrong() {
        return report;
    }
    let mut smaller_found = true;
    while smaller_found {
        smaller_found = false;
        for k in 0..smallest.len() {
            // From far to near: 1, half, one less.
            let size = smallest[k];
            for smaller in [1, size / 2, size.saturating_sub(1)] {
                if smaller == 0 || smaller >= smallest[k] {
                    continue;
                }
                let mut trial = smallest.clone();
                trial[k] = smaller;
                let Ok(found) = super::run::catch(|| check(&trial)) else { continue };
                if found.is_wrong() {
                    (smallest, report, smaller_found) = (trial, found, true);
                    break;
                }
            }
        }
    }
    report.sizes = Some(smallest);
    report
}
