//! What a layer reads of the settings of a pass: lengths, direction, noise, and the place in a longer sequence.

use std::ops::Range;

use rewind_autograd::{Scalar, Tensor, Var};

use super::Unroll;
use crate::noise::Noise;

impl Unroll<'_> {
    /// The same settings for part number `k` of a layer: with noise of its own.
    pub fn part(self, k: usize) -> Self {
        Unroll { noise: self.noise.map(|noise| noise.part(k)), ..self }
    }

    /// The lengths of the sequences, if they are not all those of the batch. In a segment of a longer sequence they are what is left, and
    /// may be 0.
    pub fn sequence_lengths(&self) -> Option<&[usize]> {
        self.lengths
    }

    /// Whether the pass is [backward](Unroll::backward) in time. [`in_order`](Unroll::in_order) spares a layer the question.
    ///
    /// ```
    /// use rewind_rnn::Unroll;
    ///
    /// assert!(!Unroll::new().is_backward());
    /// assert!(Unroll::new().backward().is_backward());
    /// ```
    pub fn is_backward(&self) -> bool {
        self.backward
    }

    /// The [noise](Unroll::noise) of the pass; `None` if there is none, when a trained network is used. Masks of time step t are drawn from
    /// `noise.at_step(how.first_step() + t)`, so that a segment has those of the whole sequence.
    ///
    /// ```
    /// use rewind_rnn::{Noise, Unroll};
    ///
    /// assert_eq!(Unroll::new().pass_noise(), None);
    /// assert_eq!(Unroll::new().noise(Noise::new(7)).pass_noise(), Some(Noise::new(7)));
    /// ```
    pub fn pass_noise(&self) -> Option<Noise> {
        self.noise
    }

    /// The number of the first time step of x: not 0 for a segment of a longer sequence, as in
    /// [segments](Unroll::through_in_segments), [`Stream`](crate::Stream) and [`TruncatedBptt`](crate::TruncatedBptt). It is for noise and
    /// positions; what a layer remembers is its state.
    ///
    /// ```
    /// use rewind_rnn::Unroll;
    ///
    /// assert_eq!(Unroll::new().first_step(), 0);
    /// ```
    pub fn first_step(&self) -> usize {
        self.first_step
    }

    /// `y` `[T, B, …]` in the order in which the pass reads it: `y` itself, or, [backward](Unroll::backward) in time, every sequence from its
    /// last step to its first, with its padding behind it. The result of a layer comes back into the order of time by the same function.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// use rewind_rnn::Unroll;
    ///
    /// let tape = Tape::<f32>::new();
    /// // Two sequences, 1 3 5 and 2 4, padded to three steps.
    /// let x = tape.constant(Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 0.0], &[3, 2, 1]));
    /// let how = Unroll::new().lengths(&[3, 2]).backward();
    /// assert_eq!(how.in_order(x).value().to_vec(), [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
    /// assert_eq!(how.in_order(how.in_order(x)).value().to_vec(), x.value().to_vec());
    /// ```
    ///
    /// # Panics
    /// If `y` has fewer than two axes, or the lengths are not those of its sequences.
    #[track_caller]
    pub fn in_order<'t, T: Scalar>(self, y: Var<'t, T>) -> Var<'t, T> {
        if !self.backward {
            return y;
        }
        let shape = y.shape();
        let (steps, batch) = match shape[..] {
            [steps, batch, ..] => (steps, batch),
            _ => panic!("in_order: y has shape {:?}; expected [T, B, …]: time, batch", shape.as_slice()),
        };
        let Some(lengths) = self.lengths.filter(|lengths| lengths.iter().any(|&length| length < steps)) else {
            return y.flip(0);
        };
        if lengths.len() != batch {
            panic!("in_order: {} lengths for a batch of {batch} sequences", lengths.len());
        }
        let from = |t: usize, b: usize| if t < lengths[b] { lengths[b] - 1 - t } else { t };
        let rows: Vec<usize> = (0..steps * batch).map(|i| from(i / batch, i % batch) * batch + i % batch).collect();
        let flat = [&[steps * batch], &shape[2..]].concat();
        y.reshape(&flat).index_select(0, &rows).reshape(&shape)
    }

    /// `y` `[T, B, …]`, with 0 after the end of each sequence.
    pub fn masked<'t, T: Scalar>(self, y: Var<'t, T>) -> Var<'t, T> {
        match self.mask(y) {
            Some(mask) => mask.select(y, y.tape().scalar(T::ZERO)),
            None => y,
        }
    }

    /// A constant that stretches to `y` `[T, B, …]`: 1 in the steps of each sequence, 0 after its end; `None` if all have T steps.
    pub(crate) fn mask<'t, T: Scalar>(self, y: Var<'t, T>) -> Option<Var<'t, T>> {
        let (steps, batch) = (y.shape()[0], y.shape()[1]);
        let lengths = self.lengths.filter(|lengths| lengths.iter().any(|&length| length < steps))?;
        let mut shape = vec![1; y.rank()];
        shape[..2].copy_from_slice(&[steps, batch]);
        let inside = |i: usize| i / batch < lengths[i % batch];
        Some(y.tape().constant(Tensor::from_fn(&shape, |i| if inside(i) { T::ONE } else { T::ZERO })))
    }

    /// What is left of the sequences in the time steps `range`: lengths of a segment, which may be 0.
    pub(crate) fn lengths_in(&self, range: &Range<usize>) -> Option<Vec<usize>> {
        let left = |length: &usize| length.saturating_sub(range.start).min(range.len());
        self.lengths.map(|lengths| lengths.iter().map(left).collect())
    }

    /// The settings of the segment that begins at time step `start`, where this much is left of the sequences.
    pub(crate) fn segment<'b>(&self, start: usize, lengths: Option<&'b [usize]>) -> Unroll<'b> {
        let (backward, noise) = (self.backward, self.noise);
        Unroll { lengths, backward, first_step: self.first_step + start, noise, is_segment: true }
    }
}
