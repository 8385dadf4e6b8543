//! Testing: the answers for texts, and for a text that ends after each of its words.

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::Answers;
use rewind_rnn::Shards;

use crate::model::Classifier;
use crate::words::{Reader, Words};

/// The answers for texts as a network reads them, `[T, I]` each. `truth` are their classes.
pub(crate) fn answer(
    model: &Classifier<Tensor<f32>>,
    texts: &[Tensor<f32>],
    truth: &[usize],
    shards: &Shards<f32>,
) -> rewind_rnn::Result<Answers> {
    Answers::for_sequences(texts, truth, shards, |batch| {
        let quiet = Tape::quiet();
        model.on(&quiet).logits(batch.data(), batch.lengths(), None).softmax(1).value()
    })
}

/// The probabilities `[T][C]` of the classes, had the text ended after each of its words.
pub(crate) fn over_time(
    model: &Classifier<Tensor<f32>>,
    reader: &Reader,
    text: &Words,
    shards: &Shards<f32>,
) -> rewind_rnn::Result<Vec<Vec<f32>>> {
    let whole = reader.read(text, None);
    let starts: Vec<_> = (1..=whole.shape()[0]).map(|steps| whole.slice(0, 0..steps)).collect();
    // The class is the question; the answer does not depend on this one.
    let answers = answer(model, &starts, &vec![0; starts.len()], shards)?;
    Ok(answers.probabilities.to_vec().chunks_exact(model.design.classes).map(<[f32]>::to_vec).collect())
}
