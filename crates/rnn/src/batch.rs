//! Sequences of varying length, side by side: padded with zeros, sorted, cut into batches of similar lengths.

use rand::Rng;
use rand::seq::SliceRandom;
use rewind_autograd::{Scalar, Tensor};
use thiserror::Error;

/// Sequences that make no batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No sequence.
    #[error("a batch of no sequences; expected one at least")]
    Empty,
    /// A sequence without a time step.
    #[error("sequence {sequence} has no time step")]
    EmptySequence {
        /// Its position.
        sequence: usize,
    },
    /// A sequence that is not `[T, I]`, or has another I than the first.
    #[error("sequence {sequence} has shape {found:?}; expected [T, {features}]")]
    Features {
        /// Its position.
        sequence: usize,
        /// Its shape.
        found: Vec<usize>,
        /// I of the first sequence.
        features: usize,
    },
    /// A number that is infinite or NaN.
    #[error("sequence {sequence} holds {value} at time step {step}, feature {feature}; expected a finite number")]
    NonFinite {
        /// Its position.
        sequence: usize,
        /// The time step.
        step: usize,
        /// The feature.
        feature: usize,
        /// The number.
        value: String,
    },
    /// A length that is 0 or beyond the padding.
    #[error("sequence {sequence} has length {length}; expected 1 to {steps}, the time steps of the padded batch")]
    Length {
        /// Its position.
        sequence: usize,
        /// The length.
        length: usize,
        /// T.
        steps: usize,
    },
    /// Another number of lengths than of sequences.
    #[error("{lengths} lengths for a padded batch of shape {shape:?}; expected [T, {lengths}, I]")]
    Count {
        /// How many lengths there are.
        lengths: usize,
        /// The shape of the padded batch.
        shape: Vec<usize>,
    },
}

/// B sequences in one tensor `[T, B, I]`, each with its length; what lies behind a length is padding.
#[derive(Clone, Debug, PartialEq)]
pub struct PaddedBatch<T: Scalar> {
    values: Tensor<T>,
    lengths: Vec<usize>,
}

impl<T: Scalar> PaddedBatch<T> {
    /// Sequences `[T_b, I]` side by side, in the order given, padded with zeros to the longest.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::batch::PaddedBatch;
    /// let long = Tensor::from_vec(vec![1.0, 2.0, 3.0], &[3, 1]);
    /// let short = Tensor::from_vec(vec![4.0], &[1, 1]);
    /// let batch = PaddedBatch::new(&[&long, &short]).unwrap();
    /// assert_eq!(batch.values().to_vec(), [1.0, 4.0, 2.0, 0.0, 3.0, 0.0]);
    /// assert_eq!(batch.lengths(), [3, 1]);
    /// ```
    ///
    /// # Errors
    /// If there is no sequence, one is empty or of another width, or holds a number that is not finite.
    pub fn new(sequences: &[&Tensor<T>]) -> Result<Self, BatchError> {
        let first = sequences.first().ok_or(BatchError::Empty)?;
        let features = first.shape().last().copied().unwrap_or(0);
        for (sequence, x) in sequences.iter().enumerate() {
            match *x.shape() {
                [0, _] => return Err(BatchError::EmptySequence { sequence }),
                [_, width] if width == features => {}
                _ => return Err(BatchError::Features { sequence, found: x.shape().to_vec(), features }),
            }
            if let Some(at) = x.to_vec().iter().position(|v| !v.is_finite()) {
                let (step, feature) = (at / features, at % features);
                let value = x.at(&[step, feature]).to_string();
                return Err(BatchError::NonFinite { sequence, step, feature, value });
            }
        }
        let lengths: Vec<usize> = sequences.iter().map(|x| x.shape()[0]).collect();
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let mut values = Tensor::zeros(&[steps, sequences.len(), features]);
        let to = values.as_mut_slice();
        for (b, x) in sequences.iter().enumerate() {
            for (t, row) in x.to_vec().chunks_exact(features.max(1)).enumerate() {
                to[(t * sequences.len() + b) * features..][..features].copy_from_slice(row);
            }
        }
        Ok(PaddedBatch { values, lengths })
    }

    /// A batch that was padded elsewhere.
    ///
    /// # Errors
    /// If `values` is not `[T, B, I]` for B lengths from 1 to T.
    pub fn from_padded(values: Tensor<T>, lengths: Vec<usize>) -> Result<Self, BatchError> {
        let &[steps, batch, _] = values.shape() else {
            return Err(BatchError::Count { lengths: lengths.len(), shape: values.shape().to_vec() });
        };
        if batch != lengths.len() {
            return Err(BatchError::Count { lengths: lengths.len(), shape: values.shape().to_vec() });
        }
        if batch == 0 {
            return Err(BatchError::Empty);
        }
        for (sequence, &length) in lengths.iter().enumerate() {
            if length == 0 || length > steps {
                return Err(BatchError::Length { sequence, length, steps });
            }
        }
        Ok(PaddedBatch { values, lengths })
    }

    /// `[T, B, I]`.
    pub fn values(&self) -> &Tensor<T> {
        &self.values
    }

    /// The length of every sequence, 1 to T.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// B.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no sequence; a batch has one at least.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}

/// Positions of sequences cut into batches of `size` (the last one may be smaller) of similar lengths, longest first in
/// each; which batch comes when, and which of equally long sequences are together, is shuffled by `rng`.
///
/// Sorting keeps padding, and so wasted work, small; shuffling keeps the order of training free of length.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// let mut batches = rewind_rnn::batch::by_length(&[5, 90, 7, 80], 2, &mut StdRng::seed_from_u64(1));
/// batches.sort();
/// assert_eq!(batches, [[1, 3], [2, 0]]);
/// ```
///
/// # Panics
/// If `size` is 0.
#[track_caller]
pub fn by_length(lengths: &[usize], size: usize, rng: &mut impl Rng) -> Vec<Vec<usize>> {
    if size == 0 {
        panic!("by_length: batches of 0 sequences; expected one at least");
    }
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(rng);
    order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    let mut batches: Vec<Vec<usize>> = order.chunks(size).map(<[usize]>::to_vec).collect();
    batches.shuffle(rng);
    batches
}
