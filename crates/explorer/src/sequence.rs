//! The sequence that networks are unrolled over, with targets at the steps of the losses.

use rewind_autograd::Tensor;

use crate::error::{Error, Result};

/// One sequence x `[T, I]` and targets `[L, O]`, one for each of L losses: E_t = ½·|y_t - target_t|².
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_explorer::Sequence;
/// let x = Tensor::from_fn(&[5, 2], |i| 0.1 * i as f64);
/// let at_each_step = Sequence::new(x.clone(), Tensor::full(&[5, 1], 0.5))?;
/// let at_the_end = Sequence::with_losses(x, Tensor::full(&[1, 1], 0.5), &[4])?;
/// assert_eq!((at_each_step.losses().len(), at_the_end.losses()), (5, &[4][..]));
/// # Ok::<(), rewind_explorer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sequence {
    x: Tensor<f64>,
    targets: Tensor<f64>,
    losses: Vec<usize>,
}

impl Sequence {
    /// A sequence with a loss at every step: x `[T, I]`, targets `[T, O]`.
    ///
    /// # Errors
    /// If the shapes are others, there is no step, no feature or no target, or a number is not finite.
    pub fn new(x: Tensor<f64>, targets: Tensor<f64>) -> Result<Self> {
        let losses: Vec<usize> = (0..x.shape().first().copied().unwrap_or(0)).collect();
        Self::with_losses(x, targets, &losses)
    }

    /// A sequence with a loss at these steps, ascending: x `[T, I]`, targets `[L, O]` in the order of `losses`.
    ///
    /// # Errors
    /// If the shapes are others, there is no step, no feature or no loss, the steps do not ascend or lie beyond the sequence, or a
    /// number is not finite.
    pub fn with_losses(x: Tensor<f64>, targets: Tensor<f64>, losses: &[usize]) -> Result<Self> {
        let refused = |message: String| Err(Error::Sequence(message));
        let steps = match x.shape() {
            &[steps, features] if steps > 0 && features > 0 => steps,
            shape => {
                return refused(format!("x has shape {shape:?}; expected [T, I], one step and one feature at least"));
            }
        };
        match targets.shape() {
            &[count, outputs] if count == losses.len() && outputs > 0 => {}
            shape if losses.len() == steps => {
                return refused(format!(
                    "targets have shape {shape:?}; expected [{steps}, O], a target for each of {steps} steps"
                ));
            }
            shape => {
                let count = losses.len();
                return refused(format!(
                    "targets have shape {shape:?}; expected [{count}, O], a target for each of {count} losses"
                ));
            }
        }
        if losses.is_empty() {
            return refused("there is no loss; expected the number of one step at least".to_owned());
        }
        if let Some(pair) = losses.windows(2).find(|pair| pair[0] >= pair[1]) {
            return refused(format!("losses at steps {} and {}; expected ascending steps", pair[0], pair[1]));
        }
        if let Some(&step) = losses.iter().find(|&&step| step >= steps) {
            return refused(format!("a loss at step {step}; expected 0 to {}, the steps of x", steps - 1));
        }
        for (name, tensor) in [("x", &x), ("targets", &targets)] {
            let width = tensor.shape()[1];
            if let Some(at) = tensor.to_vec().iter().position(|number| !number.is_finite()) {
                let number = tensor.to_vec()[at];
                return refused(format!(
                    "{name} is {number} at [{}, {}]; expected a finite number",
                    at / width,
                    at % width
                ));
            }
        }
        Ok(Sequence { x, targets, losses: losses.to_vec() })
    }

    /// The steps that have a loss.
    pub fn losses(&self) -> &[usize] {
        &self.losses
    }

    /// x, `[T, I]`.
    pub fn x(&self) -> &Tensor<f64> {
        &self.x
    }

    /// The targets, `[L, O]`.
    pub fn targets(&self) -> &Tensor<f64> {
        &self.targets
    }

    /// The steps up to the second loss, or all: enough to see how a network is built.
    pub(crate) fn beginning(&self) -> Sequence {
        let last = self.losses[self.losses.len().min(2) - 1];
        let count = self.losses.partition_point(|&step| step <= last);
        Sequence {
            x: self.x.slice(0, 0..last + 1),
            targets: self.targets.slice(0, 0..count),
            losses: self.losses[..count].to_vec(),
        }
    }

    /// T.
    pub(crate) fn steps(&self) -> usize {
        self.x.shape()[0]
    }

    /// I.
    pub(crate) fn features(&self) -> usize {
        self.x.shape()[1]
    }

    /// O.
    pub(crate) fn outputs(&self) -> usize {
        self.targets.shape()[1]
    }

    /// The target of a step with its row, `[1, O]`, if the step has a loss.
    pub(crate) fn target(&self, step: usize) -> Option<Tensor<f64>> {
        let row = self.losses.binary_search(&step).ok()?;
        Some(self.targets.slice(0, row..row + 1))
    }
}
