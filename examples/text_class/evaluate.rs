//! Testing: the answers for texts, and for a text that ends after each of its words.

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::Answers;
use rewind_rnn::Shards;
use rewind_rnn::batch::PaddedBatch;

use crate::model::Classifier;
use crate::words::Reader;

/// Texts that are tested at once.
const BATCH: usize = 64;

/// The answers for texts as a network reads them, `[T, I]` each. `truth` are their classes.
pub(crate) fn answer(
    model: &Classifier<Tensor<f32>>,
    texts: &[Tensor<f32>],
    truth: &[usize],
    shards: &Shards<f32>,
) -> rewind_rnn::Result<Answers> {
    let mut order: Vec<_> = (0..texts.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(texts[i].shape()[0]));
    let batches: Vec<_> =
        order.chunks(BATCH).map(|places| PaddedBatch::gather(texts, places)).collect::<Result<_, _>>()?;
    let said = shards.run(batches.len(), |i, _| {
        let quiet = Tape::quiet();
        let logits = model.on(&quiet).logits(batches[i].data(), batches[i].lengths(), None);
        logits.softmax(1).value().to_vec()
    });
    let classes = model.design.classes;
    let mut probabilities = vec![0.0; texts.len() * classes];
    let places = batches.iter().flat_map(PaddedBatch::indices);
    for (row, &place) in said.concat().chunks_exact(classes).zip(places) {
        probabilities[place * classes..][..classes].copy_from_slice(row);
    }
    Ok(Answers { probabilities: Tensor::from_vec(probabilities, &[texts.len(), classes]), truth: truth.to_vec() })
}

/// The probabilities `[T][C]` of the classes, had the text ended after each of its words.
pub(crate) fn over_time(
    model: &Classifier<Tensor<f32>>,
    reader: &Reader,
    text: &[String],
    shards: &Shards<f32>,
) -> rewind_rnn::Result<Vec<Vec<f32>>> {
    let whole = reader.read(text, None);
    let starts: Vec<_> = (1..=whole.shape()[0]).map(|steps| whole.slice(0, 0..steps)).collect();
    // The class is the question; the answer does not depend on this one.
    let answers = answer(model, &starts, &vec![0; starts.len()], shards)?;
    Ok(answers.probabilities.to_vec().chunks_exact(model.design.classes).map(<[f32]>::to_vec).collect())
}
