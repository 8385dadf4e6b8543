//! Padded batches of sequences of varying length.
//!
//! A sequence is a tensor `[L, I]`: L time steps of I features. Sequences of similar lengths are put together, so that
//! little of a batch is padding.
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use rewind_autograd::Tensor;
//! use rewind_rnn::batch::{PaddedBatch, plan};
//!
//! let scores: Vec<Tensor<f32>> = [3, 16, 4, 15].map(|steps| Tensor::full(&[steps, 12], 1.0)).into();
//! let lengths: Vec<usize> = scores.iter().map(|s| s.shape()[0]).collect();
//! let mut rng = StdRng::seed_from_u64(0);
//! for indices in plan(&lengths, 2, &mut rng)? {
//!     let batch = PaddedBatch::gather(&scores, &indices)?;
//!     assert_eq!(batch.data().shape(), [batch.lengths()[0], 2, 12]);
//!     assert!(batch.padding() <= 1);
//! }
//! # Ok::<(), rewind_rnn::batch::BatchError>(())
//! ```

use rand::Rng;
use rand::seq::SliceRandom;
use rewind_autograd::shape::checked_element_count;
use rewind_autograd::{Scalar, Tensor};

/// Why sequences make no batch.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No sequence was given.
    #[error("batch: no sequence given; expected at least one")]
    Empty,
    /// A sequence has no time step.
    #[error("batch: sequence {sequence} has no time step; expected at least one")]
    EmptySequence {
        /// Its number in what was given.
        sequence: usize,
    },
    /// A sequence or a padded batch has the wrong number of axes.
    #[error("batch: {what} has shape {shape:?}; expected {expected}")]
    Shape {
        /// What has the shape.
        what: String,
        /// The shape.
        shape: Vec<usize>,
        /// What was expected.
        expected: &'static str,
    },
    /// A sequence has another number of features than the first.
    #[error("batch: sequence {sequence} has {found} features a step; expected {expected}, as the first has")]
    Width {
        /// Its number in what was given.
        sequence: usize,
        /// Its number of features.
        found: usize,
        /// That of the first sequence.
        expected: usize,
    },
    /// A number is infinite or NaN.
    #[error("batch: sequence {sequence} is {value} at step {step}, feature {feature}; expected finite numbers")]
    NonFinite {
        /// The number of the sequence in what was given.
        sequence: usize,
        /// The time step.
        step: usize,
        /// The feature.
        feature: usize,
        /// The number: NaN or ±∞.
        value: f64,
    },
    /// The lengths are not as many as the sequences.
    #[error("batch: {lengths} lengths for a padded batch of {batch} sequences; expected one each")]
    LengthCount {
        /// The number of lengths.
        lengths: usize,
        /// The number of sequences.
        batch: usize,
    },
    /// A length is larger than the number of time steps.
    #[error("batch: sequence {sequence} has length {length}, longer than the padding; expected at most {steps} steps")]
    BeyondPadding {
        /// Its place in the batch.
        sequence: usize,
        /// Its length.
        length: usize,
        /// The number of time steps of the padded batch.
        steps: usize,
    },
    /// Batches of 0 sequences.
    #[error("batch: batch size 0; expected at least 1")]
    Size,
    /// An index is not that of a sequence.
    #[error("batch: there is no sequence {index}; expected an index below {sequences}")]
    Index {
        /// The index.
        index: usize,
        /// The number of sequences.
        sequences: usize,
    },
    /// There is no memory for a padded batch.
    #[error("batch: there is no memory for a padded batch of shape {shape:?}; expected fewer or shorter sequences")]
    TooLarge {
        /// Its shape: steps, sequences, features.
        shape: [usize; 3],
    },
}

/// Sequences side by side, `[T, B, I]`, filled up with 0 to the longest.
#[derive(Clone, Debug, PartialEq)]
pub struct PaddedBatch<T: Scalar> {
    data: Tensor<T>,
    lengths: Vec<usize>,
    indices: Vec<usize>,
}

impl<T: Scalar> PaddedBatch<T> {
    /// All of `sequences`, each `[L, I]`, the longest first; those of one length stay in order.
    ///
    /// # Errors
    /// If there is none, one is empty, they differ in width, a number is infinite or NaN, or there is no memory for them.
    pub fn new(sequences: &[Tensor<T>]) -> Result<Self, BatchError> {
        Self::gather(sequences, &(0..sequences.len()).collect::<Vec<_>>())
    }

    /// Those of `sequences` that `indices` names, the longest first; those of one length in the order of `indices`.
    ///
    /// # Errors
    /// As [`new`](PaddedBatch::new), and if an index is not that of a sequence.
    pub fn gather(sequences: &[Tensor<T>], indices: &[usize]) -> Result<Self, BatchError> {
        if let Some(&index) = indices.iter().find(|&&i| i >= sequences.len()) {
            return Err(BatchError::Index { index, sequences: sequences.len() });
        }
        let Some(&first) = indices.first() else { return Err(BatchError::Empty) };
        let width = length_and_width(&sequences[first], first)?.1;
        for &i in indices {
            let (length, found) = length_and_width(&sequences[i], i)?;
            if length == 0 {
                return Err(BatchError::EmptySequence { sequence: i });
            }
            if found != width {
                return Err(BatchError::Width { sequence: i, found, expected: width });
            }
        }
        let mut sorted = indices.to_vec();
        sorted.sort_by_key(|&i| std::cmp::Reverse(sequences[i].shape()[0]));
        let lengths: Vec<usize> = sorted.iter().map(|&i| sequences[i].shape()[0]).collect();
        let shape = [lengths[0], sorted.len(), width];
        let mut numbers = Vec::new();
        if checked_element_count(&shape).is_none_or(|count| numbers.try_reserve_exact(count).is_err()) {
            return Err(BatchError::TooLarge { shape });
        }
        let mut checked = vec![false; sequences.len()];
        for &i in indices {
            // An index may be given many times.
            if !std::mem::replace(&mut checked[i], true) {
                check_finite(&sequences[i], i)?;
            }
        }
        let row = sorted.len() * width;
        numbers.resize(lengths[0] * row, T::ZERO);
        for (b, &i) in sorted.iter().enumerate() {
            let sequence = sequences[i].to_contiguous();
            let steps = sequence.as_slice().unwrap_or_default().chunks_exact(width.max(1));
            for (t, step) in steps.enumerate() {
                numbers[t * row + b * width..][..width].copy_from_slice(step);
            }
        }
        let data = Tensor::from_vec(numbers, &shape);
        Ok(PaddedBatch { data, lengths, indices: sorted })
    }

    /// A batch that is padded already: data `[T, B, I]` and B lengths, kept in their order. What stands behind a
    /// sequence's length is set to 0.
    ///
    /// # Errors
    /// If there is no sequence, a length is 0 or larger than T, or a number within a length is infinite or NaN.
    pub fn from_padded(data: &Tensor<T>, lengths: &[usize]) -> Result<Self, BatchError> {
        let &[steps, batch, width] = data.shape() else {
            let (what, shape) = ("the padded batch".to_owned(), data.shape().to_vec());
            return Err(BatchError::Shape { what, shape, expected: "[T, B, I]: steps, sequences, features" });
        };
        if batch == 0 {
            return Err(BatchError::Empty);
        }
        if lengths.len() != batch {
            return Err(BatchError::LengthCount { lengths: lengths.len(), batch });
        }
        for (sequence, &length) in lengths.iter().enumerate() {
            if length == 0 {
                return Err(BatchError::EmptySequence { sequence });
            }
            if length > steps {
                return Err(BatchError::BeyondPadding { sequence, length, steps });
            }
            check_finite(&data.index(1, sequence).slice(0, 0..length), sequence)?;
        }
        let mut data = data.clone();
        if lengths.iter().any(|&length| length < steps) {
            for (row, numbers) in data.as_mut_slice().chunks_exact_mut(width.max(1)).enumerate() {
                if row / batch >= lengths[row % batch] {
                    numbers.fill(T::ZERO);
                }
            }
        }
        Ok(PaddedBatch { data, lengths: lengths.to_vec(), indices: (0..batch).collect() })
    }

    /// The numbers, `[T, B, I]`; 0 behind a sequence's length.
    pub fn data(&self) -> &Tensor<T> {
        &self.data
    }

    /// The length of every sequence, in time steps.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Which of the sequences given stands at every place of the batch: targets must be put in this order.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// How many of the T·B steps are padding.
    pub fn padding(&self) -> usize {
        self.data.shape()[0] * self.lengths.len() - self.lengths.iter().sum::<usize>()
    }
}

/// Cuts sequences into batches of similar lengths: sorted by length (those of one length in random order), cut every
/// `size`, the batches in random order. Every index is in exactly one batch; the last batch may be smaller. The same
/// lengths and seed give the same batches.
///
/// # Errors
/// If there is no sequence, a length is 0, or `size` is 0.
pub fn plan(lengths: &[usize], size: usize, rng: &mut impl Rng) -> Result<Vec<Vec<usize>>, BatchError> {
    if size == 0 {
        return Err(BatchError::Size);
    }
    if lengths.is_empty() {
        return Err(BatchError::Empty);
    }
    if let Some(sequence) = lengths.iter().position(|&length| length == 0) {
        return Err(BatchError::EmptySequence { sequence });
    }
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(rng);
    order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    let mut batches: Vec<_> = order.chunks(size).map(<[usize]>::to_vec).collect();
    batches.shuffle(rng);
    Ok(batches)
}

/// All of `sequences` in padded batches of at most `size`, by [`plan`].
///
/// # Errors
/// As [`plan`] and [`PaddedBatch::gather`].
pub fn batches<T: Scalar>(
    sequences: &[Tensor<T>],
    size: usize,
    rng: &mut impl Rng,
) -> Result<Vec<PaddedBatch<T>>, BatchError> {
    let lengths =
        sequences.iter().enumerate().map(|(i, s)| Ok(length_and_width(s, i)?.0)).collect::<Result<Vec<_>, _>>()?;
    let width = sequences.first().map_or(0, |s| s.shape()[1]);
    for (sequence, s) in sequences.iter().enumerate() {
        // Before the cut: whether widths differ must not depend on who meets whom in a batch.
        if s.shape()[1] != width {
            return Err(BatchError::Width { sequence, found: s.shape()[1], expected: width });
        }
    }
    plan(&lengths, size, rng)?.iter().map(|indices| PaddedBatch::gather(sequences, indices)).collect()
}

fn length_and_width<T: Scalar>(sequence: &Tensor<T>, i: usize) -> Result<(usize, usize), BatchError> {
    match *sequence.shape() {
        [length, width] => Ok((length, width)),
        ref shape => {
            let what = format!("sequence {i}");
            Err(BatchError::Shape { what, shape: shape.to_vec(), expected: "[L, I]: time steps, features" })
        }
    }
}

fn check_finite<T: Scalar>(sequence: &Tensor<T>, i: usize) -> Result<(), BatchError> {
    match crate::non_finite::finite_tensor("", sequence) {
        Ok(()) => Ok(()),
        Err(e) => {
            let [step, feature] = [e.index[0], e.index[1]];
            Err(BatchError::NonFinite { sequence: i, step, feature, value: e.value })
        }
    }
}
