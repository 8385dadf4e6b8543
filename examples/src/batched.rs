//! Answers for sequences of any length, in padded batches on all threads.

use rewind_autograd::Tensor;
use rewind_rnn::Shards;
use rewind_rnn::batch::PaddedBatch;

use crate::Answers;

/// Sequences that are answered at once.
const BATCH: usize = 64;

impl Answers {
    /// The answers for sequences `[L, I]`, whose classes are `truth`. `probabilities` gives `[B, C]` for a batch.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// use rewind_examples::Answers;
    /// use rewind_rnn::Shards;
    ///
    /// let sequences = [3, 1, 7].map(|steps| Tensor::zeros(&[steps, 2]));
    /// let long = |length: &usize| if *length > 2 { [0.25_f32, 0.75] } else { [0.75, 0.25] };
    /// let answers = Answers::for_sequences(&sequences, &[1, 0, 1], &Shards::new(2)?, |batch| {
    ///     Tensor::from_vec(batch.lengths().iter().flat_map(long).collect(), &[batch.lengths().len(), 2])
    /// })?;
    /// assert_eq!(answers.classes(), [1, 0, 1]);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PaddedBatch::gather`].
    pub fn for_sequences(
        sequences: &[Tensor<f32>],
        truth: &[usize],
        shards: &Shards<f32>,
        probabilities: impl Fn(&PaddedBatch<f32>) -> Tensor<f32> + Sync,
    ) -> rewind_rnn::Result<Answers> {
        let mut order: Vec<_> = (0..sequences.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(sequences[i].shape()[0]));
        let batches: Vec<_> =
            order.chunks(BATCH).map(|places| PaddedBatch::gather(sequences, places)).collect::<Result<_, _>>()?;
        let said = shards.run(batches.len(), |i, _| probabilities(&batches[i]));
        let classes = said.first().map_or(0, |rows| rows.shape()[1]);
        let mut all = vec![0.0; sequences.len() * classes];
        for (batch, rows) in batches.iter().zip(said) {
            for (row, &place) in rows.to_vec().chunks_exact(classes.max(1)).zip(batch.indices()) {
                all[place * classes..][..classes].copy_from_slice(row);
            }
        }
        Ok(Answers { probabilities: Tensor::from_vec(all, &[sequences.len(), classes]), truth: truth.to_vec() })
    }
}
