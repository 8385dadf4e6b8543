//! Losses of a batch: targets with gaps, smoothing, per time step and in all.

use rewind_autograd::{Scalar, Tape, Tensor, Var};
use thiserror::Error;

/// Targets that do not fit what was computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Another number of targets than of rows.
    #[error("{targets} targets for logits of shape {shape:?}; expected {expected}, one a row")]
    Count {
        /// How many targets there are.
        targets: usize,
        /// How many there should be.
        expected: usize,
        /// The shape of the logits.
        shape: Vec<usize>,
    },
    /// A class that does not exist.
    #[error("target {row} is class {class}; expected 0 to {}", classes.saturating_sub(1))]
    Class {
        /// The position of the target.
        row: usize,
        /// The class.
        class: usize,
        /// C.
        classes: usize,
    },
    /// Every target is ignored, so there is nothing to average over.
    #[error("every target is ignored; expected one at least")]
    NothingCounts,
    /// A label smoothing that is no share.
    #[error("label smoothing of {0}; expected at least 0 and less than 1")]
    Smoothing(String),
}

/// What a classifier is asked for: a class a row, or none where a row does not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets<T: Scalar> {
    /// `[…, C]`: the distribution that each row should have; zeros where it does not count.
    distribution: Tensor<T>,
    counted: usize,
}

impl<T: Scalar> Targets<T> {
    /// One class for each row of logits of `shape` `[…, C]`, in row-major order; `None` is ignored. With label smoothing
    /// ε (Szegedy et al. 2016) the right class should get 1 - ε + ε/C and every other one ε/C.
    ///
    /// # Errors
    /// If the number of targets is not that of the rows, a class does not exist, or ε does not lie in 0 ≤ ε < 1.
    pub fn classes(targets: &[Option<usize>], shape: &[usize], smoothing: f64) -> Result<Self, TargetError> {
        let (classes, rows) = match shape {
            [rows @ .., classes] => (*classes, rows.iter().product()),
            [] => (0, 0),
        };
        if targets.len() != rows {
            return Err(TargetError::Count { targets: targets.len(), expected: rows, shape: shape.to_vec() });
        }
        if !(0.0..1.0).contains(&smoothing) {
            return Err(TargetError::Smoothing(smoothing.to_string()));
        }
        if let Some((row, class)) =
            targets.iter().enumerate().find_map(|(row, target)| Some((row, target.filter(|&c| c >= classes)?)))
        {
            return Err(TargetError::Class { row, class, classes });
        }
        let everywhere = smoothing / classes.max(1) as f64;
        let distribution = Tensor::from_fn(shape, |i| match targets[i / classes] {
            None => T::ZERO,
            Some(class) => T::from_f64(everywhere + if i % classes == class { 1.0 - smoothing } else { 0.0 }),
        });
        Ok(Targets { distribution, counted: targets.iter().flatten().count() })
    }

    /// How many rows count.
    pub fn counted(&self) -> usize {
        self.counted
    }

    /// The sum of the softmax cross-entropies of all rows that count: -Σ_c q_c·ln softmax(logits)_c each, in nats.
    ///
    /// # Panics
    /// If the logits have another shape than the targets were made for.
    #[track_caller]
    pub fn cross_entropy_sum<'t>(&self, logits: Var<'t, T>) -> Var<'t, T> {
        logits.cross_entropy(logits.tape().constant(self.distribution.clone())).sum()
    }

    /// The mean over the rows that count.
    ///
    /// # Errors
    /// If no row counts.
    ///
    /// # Panics
    /// If the logits have another shape than the targets were made for.
    #[track_caller]
    pub fn cross_entropy_mean<'t>(&self, logits: Var<'t, T>) -> Result<Var<'t, T>, TargetError> {
        match self.counted {
            0 => Err(TargetError::NothingCounts),
            counted => Ok(self.cross_entropy_sum(logits) / T::from_f64(counted as f64)),
        }
    }

    /// The losses of all time steps of logits `[T, …, C]`, each the sum over its rows that count, as `[T]`: E_1 to E_T.
    /// The global loss is their sum.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// use rewind_rnn::loss::Targets;
    /// let tape = Tape::new();
    /// let logits = tape.leaf(Tensor::<f64>::zeros(&[3, 1, 2])); // three steps, one sequence, two classes
    /// let targets = Targets::classes(&[Some(0), None, Some(1)], &[3, 1, 2], 0.0).unwrap();
    /// let per_step = targets.cross_entropy_per_step(logits);
    /// assert_eq!(per_step.value().to_vec(), [2_f64.ln(), 0.0, 2_f64.ln()]);
    /// let global = per_step.sum();
    /// ```
    ///
    /// # Panics
    /// If the logits have another shape than the targets were made for.
    #[track_caller]
    pub fn cross_entropy_per_step<'t>(&self, logits: Var<'t, T>) -> Var<'t, T> {
        per_step(logits.cross_entropy(logits.tape().constant(self.distribution.clone())))
    }
}

/// Losses `[T, …]` summed within every time step: `[T]`.
///
/// # Panics
/// If there is no axis of time.
#[track_caller]
pub fn per_step<T: Scalar>(losses: Var<'_, T>) -> Var<'_, T> {
    let shape = losses.shape();
    let Some(&steps) = shape.first() else { panic!("per_step: a scalar has no axis of time") };
    let rest = shape[1..].iter().product();
    losses.reshape(&[steps, rest]).sum_axis(1)
}

/// (1/N) Σ (x - target)² over all N numbers.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn mean_squared_error<'t, T: Scalar>(x: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
    x.squared_error(target).mean()
}

/// The mean binary cross-entropy of logits against targets in 0..=1 (any number between them is a probability).
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn binary_cross_entropy<'t, T: Scalar>(logits: Var<'t, T>, target: Var<'t, T>) -> Var<'t, T> {
    logits.binary_cross_entropy(target).mean()
}

/// `[T, B, 1]`: 1 for the time steps that a sequence has, 0 for padding. Multiplied with elementwise losses of regression
/// it leaves out the padding.
pub fn step_mask<'t, T: Scalar>(tape: &'t Tape<T>, lengths: &[usize], steps: usize) -> Var<'t, T> {
    let batch = lengths.len();
    tape.constant(Tensor::from_fn(
        &[steps, batch, 1],
        |i| if i / batch < lengths[i % batch] { T::ONE } else { T::ZERO },
    ))
}
