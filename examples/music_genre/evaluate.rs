//! Testing: the answer for a piece is the geometric mean over its excerpts. Also the norms of the gradient over time.

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::Answers;
use rewind_rnn::Shards;

use crate::dataset::{Dataset, mean_over_excerpts};
use crate::model::{Classifier, ReadOut};
use crate::score::Score;
use crate::train::{Shard, encoded, summed_loss};

/// Excerpts that are tested at once.
pub(crate) const BATCH: usize = 64;

/// The answers of `model` for the pieces of `data`, cut into excerpts: a piece's probabilities are the geometric mean
/// of those of its excerpts (the mean of their logarithms), normalised.
pub(crate) fn answer(
    model: &Classifier<Tensor<f32>>,
    data: &Dataset,
    shards: &Shards<f32>,
) -> rewind_rnn::Result<Answers> {
    let excerpts = data.excerpts(model.design.max_steps);
    let classes = data.classes.len();
    let rows: Vec<_> = excerpts.iter().map(|e| encoded(&e.score, model.design.encoding)).collect();
    let labels: Vec<_> = excerpts.iter().map(|e| e.class).collect();
    let pieces: Vec<_> = excerpts.iter().map(|e| e.piece).collect();
    let mut order: Vec<_> = (0..rows.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(rows[i].shape()[0]));
    let batches =
        order.chunks(BATCH).map(|places| Shard::new(&rows, &labels, places)).collect::<Result<Vec<_>, _>>()?;
    let said = shards.run(batches.len(), |i, _| {
        let quiet = Tape::quiet();
        let x = quiet.constant(batches[i].batch.data().clone());
        let (_, logits) = model.on(&quiet).forward(x, batches[i].batch.lengths());
        logits.log_softmax(1).value().to_vec()
    });
    let mut log_probabilities = vec![0.0; rows.len() * classes];
    let places = batches.iter().flat_map(|shard| shard.batch.indices());
    for (row, &place) in said.concat().chunks_exact(classes).zip(places) {
        log_probabilities[place * classes..][..classes].copy_from_slice(row);
    }
    let means = mean_over_excerpts(&log_probabilities, &pieces, data.pieces.len(), classes);
    let truth = data.pieces.iter().map(|piece| piece.class).collect();
    let quiet = Tape::quiet();
    let means = quiet.constant(Tensor::from_vec(means, &[data.pieces.len(), classes]));
    Ok(Answers { probabilities: means.softmax(1).value(), truth })
}

/// The answer of a model at one time step of a score.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moment {
    /// The excerpt that the step is in, counted from 0.
    pub(crate) excerpt: usize,
    /// `[C]`: the probability of each class, had the excerpt ended at this step.
    pub(crate) probabilities: Vec<f32>,
}

/// The answers of `model` at every time step of a score, cut into excerpts as [`answer`] does; it starts anew with
/// each.
pub(crate) fn over_time(model: &Classifier<Tensor<f32>>, score: &Score) -> rewind_rnn::Result<Vec<Moment>> {
    let mut moments = Vec::with_capacity(score.steps());
    for (excerpt, part) in score.excerpts(model.design.max_steps).iter().enumerate() {
        let shard = Shard::new(&[encoded(part, model.design.encoding)], &[0], &[0])?;
        let quiet = Tape::quiet();
        let logits = model.on(&quiet).over_time(quiet.constant(shard.batch.data().clone()));
        let (classes, rows) = (logits.shape()[1], logits.softmax(1).value().to_vec());
        let moment = |row: &[f32]| Moment { excerpt, probabilities: row.to_vec() };
        moments.extend(rows.chunks_exact(classes).map(moment));
    }
    Ok(moments)
}

/// ‖∂E/∂h_t‖ for every time step t of one piece, where E is the loss of the answer at the last step: how much of
/// the error reaches step t.
pub(crate) fn gradient_norms(
    model: &Classifier<Tensor<f32>>,
    score: &Score,
    class: usize,
) -> rewind_rnn::Result<Vec<f64>> {
    let shard = Shard::new(&[encoded(score, model.design.encoding)], &[class], &[0])?;
    let tape = Tape::new();
    let mut model = model.clone();
    // The norms show how far back the error of the last step reaches, whatever the readout of the model.
    model.design.read_out = ReadOut::Last;
    let (unrolled, logits) = model.on(&tape).forward(tape.constant(shard.batch.data().clone()), shard.batch.lengths());
    let hidden: Vec<_> = (0..unrolled.states.len()).map(|t| unrolled.output(t)).collect();
    let gradients = summed_loss(logits, &shard.classes).backward_to(&hidden);
    Ok(hidden.iter().map(|&h| f64::from(gradients.get(h).norm())).collect())
}
