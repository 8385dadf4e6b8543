//! Padded batches of sequences of varying length.
//!
//! A sequence is a tensor `[L, I]`: L time steps of I features. A batch has sequences of similar lengths, so that it has little
//! padding.
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
//! # Ok::<(), rewind_rnn::Error>(())
//! ```

use rand::Rng;
use rand::seq::SliceRandom;
use rewind_autograd::shape::checked_element_count;
use rewind_autograd::{Scalar, Tensor};

use crate::error::{Error, ErrorKind, Result};
use crate::nonfinite::finite_tensor;

/// Sequences stacked along the batch axis, `[T, B, I]`, padded with 0 to the longest.
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
    /// If there is none, one is empty, they differ in width, an element is infinite or NaN, or there is no memory for them.
    pub fn new(sequences: &[Tensor<T>]) -> Result<Self> {
        Self::gather(sequences, &(0..sequences.len()).collect::<Vec<_>>())
    }

    /// The `sequences` at `indices`, the longest first; those of one length in the order of `indices`.
    ///
    /// # Errors
    /// As [`new`](PaddedBatch::new), and if an index is out of range.
    pub fn gather(sequences: &[Tensor<T>], indices: &[usize]) -> Result<Self> {
        if let Some(&index) = indices.iter().find(|&&i| i >= sequences.len()) {
            let count = sequences.len();
            let text = format!("there is no sequence {index}; expected an index below {count}");
            return refuse(ErrorKind::Index, text);
        }
        let Some(&first) = indices.first() else { return none_given() };
        let width = length_and_width(&sequences[first], first)?.1;
        for &i in indices {
            let (length, found) = length_and_width(&sequences[i], i)?;
            if length == 0 {
                return no_step(i);
            }
            if found != width {
                return other_width(i, found, width);
            }
        }
        let mut sorted = indices.to_vec();
        sorted.sort_by_key(|&i| std::cmp::Reverse(sequences[i].shape()[0]));
        let lengths: Vec<usize> = sorted.iter().map(|&i| sequences[i].shape()[0]).collect();
        let shape = [lengths[0], sorted.len(), width];
        let mut elements = Vec::new();
        if checked_element_count(&shape).is_none_or(|count| elements.try_reserve_exact(count).is_err()) {
            let text = format!(
                "there is no memory for a padded batch of shape {shape:?}; expected fewer or shorter sequences"
            );
            return refuse(ErrorKind::Memory, text);
        }
        let mut checked = vec![false; sequences.len()];
        for &i in indices {
            // An index may occur more than once.
            if !std::mem::replace(&mut checked[i], true) {
                check_finite(&sequences[i], i)?;
            }
        }
        let row = sorted.len() * width;
        elements.resize(lengths[0] * row, T::ZERO);
        for (b, &i) in sorted.iter().enumerate() {
            let sequence = sequences[i].to_contiguous();
            let steps = sequence.as_slice().unwrap_or_default().chunks_exact(width.max(1));
            for (t, step) in steps.enumerate() {
                elements[t * row + b * width..][..width].copy_from_slice(step);
            }
        }
        let data = Tensor::from_vec(elements, &shape);
        Ok(PaddedBatch { data, lengths, indices: sorted })
    }

    /// A batch that is already padded: data `[T, B, I]` and B lengths, in their order. Elements beyond a sequence's length
    /// are set to 0.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::batch::PaddedBatch;
    ///
    /// let data = Tensor::full(&[3, 2, 1], 7.0_f32);
    /// let batch = PaddedBatch::from_padded(&data, &[3, 1])?;
    /// assert_eq!(batch.data().to_vec(), [7.0, 7.0, 7.0, 0.0, 7.0, 0.0]);
    /// assert_eq!(batch.padding(), 2);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no sequence, a length is 0 or larger than T, or an element within a length is infinite or NaN.
    pub fn from_padded(data: &Tensor<T>, lengths: &[usize]) -> Result<Self> {
        let &[steps, batch, width] = data.shape() else {
            let shape = data.shape();
            let text = format!("the padded batch has shape {shape:?}; expected [T, B, I]: steps, sequences, features");
            return refuse(ErrorKind::Shape, text);
        };
        if batch == 0 {
            return none_given();
        }
        if lengths.len() != batch {
            let count = lengths.len();
            let text = format!("{count} lengths for a padded batch of {batch} sequences; expected one each");
            return refuse(ErrorKind::Shape, text);
        }
        for (sequence, &length) in lengths.iter().enumerate() {
            if length == 0 {
                return no_step(sequence);
            }
            if length > steps {
                let text = format!(
                    "sequence {sequence} has length {length}, longer than the padding; expected at most {steps} steps"
                );
                return refuse(ErrorKind::Shape, text);
            }
            check_finite(&data.index(1, sequence).slice(0, 0..length), sequence)?;
        }
        let mut data = data.clone();
        if lengths.iter().any(|&length| length < steps) {
            for (row, features) in data.as_mut_slice().chunks_exact_mut(width.max(1)).enumerate() {
                if row / batch >= lengths[row % batch] {
                    features.fill(T::ZERO);
                }
            }
        }
        Ok(PaddedBatch { data, lengths: lengths.to_vec(), indices: (0..batch).collect() })
    }

    /// The sequences, `[T, B, I]`; 0 beyond the length of each.
    pub fn data(&self) -> &Tensor<T> {
        &self.data
    }

    /// The length of every sequence, in time steps.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// The index of the sequence in each row of the batch. Targets must be in this order: see [`in_order`](PaddedBatch::in_order).
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// What belongs to each sequence, in the order of the batch: the targets of [`ctc`](crate::loss::ctc), classes, names. `items[i]` is that
    /// of sequence i of those that the batch was gathered from.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::batch::PaddedBatch;
    ///
    /// let sequences = [1, 7, 3].map(|steps| Tensor::<f32>::zeros(&[steps, 2]));
    /// let batch = PaddedBatch::gather(&sequences, &[0, 1])?;
    /// assert_eq!(batch.in_order(&["one", "seven", "three"])?, ["seven", "one"]);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is none for a sequence.
    pub fn in_order<X: Clone>(&self, items: &[X]) -> Result<Vec<X>> {
        self.indices.iter().map(|&i| item(items, i).cloned()).collect()
    }

    /// One label for every time step, as the targets of [`cross_entropy_steps`](crate::loss::cross_entropy_steps) and
    /// [`accuracy`](crate::loss::accuracy): T·B of them, step by step in the order of the batch, `None` in the padding. `labels[i]` are those of
    /// sequence i of those that the batch was gathered from, one a time step.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::batch::PaddedBatch;
    ///
    /// let sequences = [1, 3].map(|steps| Tensor::<f32>::zeros(&[steps, 2]));
    /// let batch = PaddedBatch::new(&sequences)?; // the longest first
    /// let targets = batch.step_targets(&[vec![4], vec![0, 1, 2]])?;
    /// assert_eq!(targets, [Some(0), Some(4), Some(1), None, Some(2), None]);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a sequence has no labels, or not one a time step.
    pub fn step_targets(&self, labels: &[impl AsRef<[usize]>]) -> Result<Vec<Option<usize>>> {
        let batch = self.lengths.len();
        let mut targets = vec![None; self.data.shape()[0] * batch];
        for (b, (&i, &length)) in self.indices.iter().zip(&self.lengths).enumerate() {
            let own = item(labels, i)?.as_ref();
            if own.len() != length {
                let count = own.len();
                let text = format!("{count} labels for the {length} time steps of sequence {i}; expected one a step");
                return refuse(ErrorKind::Shape, text);
            }
            for (t, &label) in own.iter().enumerate() {
                targets[t * batch + b] = Some(label);
            }
        }
        Ok(targets)
    }

    /// How many of the T·B steps are padding.
    pub fn padding(&self) -> usize {
        self.data.shape()[0] * self.lengths.len() - self.lengths.iter().sum::<usize>()
    }
}

/// Groups sequences into batches of similar lengths: sorted by length (those of one length in random order), in batches of
/// `size`, the batches in random order. Every index is in exactly one batch; one batch may be smaller. The same lengths
/// and seed give the same batches.
///
/// # Errors
/// If there is no sequence, a length is 0, or `size` is 0.
pub fn plan(lengths: &[usize], size: usize, rng: &mut impl Rng) -> Result<Vec<Vec<usize>>> {
    if size == 0 {
        return refuse(ErrorKind::Setting, "batch size 0; expected at least 1");
    }
    if lengths.is_empty() {
        return none_given();
    }
    if let Some(sequence) = lengths.iter().position(|&length| length == 0) {
        return no_step(sequence);
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
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::batch::batches;
///
/// let scores = [3, 16, 4, 15, 5].map(|steps| Tensor::<f32>::full(&[steps, 12], 1.0));
/// let batches = batches(&scores, 2, &mut StdRng::seed_from_u64(0))?;
/// assert_eq!(batches.iter().map(|batch| batch.lengths().len()).sum::<usize>(), 5);
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// # Errors
/// As [`plan`] and [`PaddedBatch::gather`].
pub fn batches<T: Scalar>(sequences: &[Tensor<T>], size: usize, rng: &mut impl Rng) -> Result<Vec<PaddedBatch<T>>> {
    let lengths =
        sequences.iter().enumerate().map(|(i, s)| Ok(length_and_width(s, i)?.0)).collect::<Result<Vec<_>>>()?;
    let width = sequences.first().map_or(0, |s| s.shape()[1]);
    for (sequence, s) in sequences.iter().enumerate() {
        // Checked over all sequences: whether it is an error must not depend on which of them share a batch.
        if s.shape()[1] != width {
            return other_width(sequence, s.shape()[1], width);
        }
    }
    plan(&lengths, size, rng)?.iter().map(|indices| PaddedBatch::gather(sequences, indices)).collect()
}

/// What belongs to sequence `i`.
fn item<X>(items: &[X], i: usize) -> Result<&X> {
    let Some(item) = items.get(i) else {
        let count = items.len();
        let text = format!("nothing is given for sequence {i}, only for the first {count}; expected one item for each");
        return refuse(ErrorKind::Shape, text);
    };
    Ok(item)
}

fn refuse<R>(kind: ErrorKind, why: impl std::fmt::Display) -> Result<R> {
    Err(Error::new(kind, format!("batch: {why}")))
}

fn none_given<R>() -> Result<R> {
    refuse(ErrorKind::Empty, "no sequence given; expected at least one")
}

fn no_step<R>(sequence: usize) -> Result<R> {
    refuse(ErrorKind::Empty, format!("sequence {sequence} has no time step; expected at least one"))
}

fn other_width<R>(sequence: usize, found: usize, first: usize) -> Result<R> {
    let text = format!("sequence {sequence} has {found} features a step; expected {first}, as the first has");
    refuse(ErrorKind::Shape, text)
}

fn length_and_width<T: Scalar>(sequence: &Tensor<T>, i: usize) -> Result<(usize, usize)> {
    match *sequence.shape() {
        [length, width] => Ok((length, width)),
        ref shape => {
            let text = format!("sequence {i} has shape {shape:?}; expected [L, I]: time steps, features");
            refuse(ErrorKind::Shape, text)
        }
    }
}

fn check_finite<T: Scalar>(sequence: &Tensor<T>, i: usize) -> Result<()> {
    finite_tensor(&format!("sequence {i}"), sequence).map_err(|at| {
        let (value, [step, feature]) = (at.value, [at.index[0], at.index[1]]);
        let text = format!("batch: sequence {i} is {value} at step {step}, feature {feature}; expected finite numbers");
        Error::new(ErrorKind::NonFinite(at), text)
    })
}
