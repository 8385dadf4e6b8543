//! Testing: a piece's class is the mean of what is said about its excerpts; and how the gradient fares in time.

use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_rnn::Shards;

use crate::dataset::{Dataset, mean_over_excerpts};
use crate::model::Classifier;
use crate::score::{Encoding, Score};
use crate::train::{Shard, ShardError, best_classes, encoded};

/// Excerpts that are tested at once.
const BATCH: usize = 64;

/// What a model says about the pieces of a data set.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    /// `[N, C]`: for each piece the probability of each class.
    pub(crate) probabilities: Tensor<f32>,
    /// The right classes, `[N]`.
    pub(crate) truth: Vec<usize>,
}

impl Answers {
    /// The most probable class of every piece.
    pub(crate) fn classes(&self) -> Vec<usize> {
        best_classes(&self.probabilities)
    }

    /// The share of right answers.
    pub(crate) fn accuracy(&self) -> f64 {
        let right = self.classes().iter().zip(&self.truth).filter(|(a, b)| a == b).count();
        right as f64 / self.truth.len() as f64
    }

    /// The mean of -ln p of the right class, in nats.
    pub(crate) fn loss(&self) -> f64 {
        let of =
            |(i, &class): (usize, &usize)| -f64::from(self.probabilities.at(&[i, class]).max(f32::MIN_POSITIVE)).ln();
        self.truth.iter().enumerate().map(of).sum::<f64>() / self.truth.len() as f64
    }
}

/// What `model` says about the pieces of `data`, cut into excerpts of at most `max_steps`.
pub(crate) fn answer(
    model: &Classifier<Tensor<f32>>,
    data: &Dataset,
    max_steps: usize,
    encoding: Encoding,
    shards: &Shards<f32>,
) -> Result<Answers, ShardError> {
    let excerpts = data.excerpts(max_steps);
    let classes = data.classes.len();
    let rows: Vec<_> = excerpts.iter().map(|e| (encoded(&e.score, encoding), e.class)).collect();
    let pieces: Vec<_> = excerpts.iter().map(|e| e.piece).collect();
    let mut order: Vec<_> = (0..rows.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(rows[i].0.shape()[0]));
    let batches = order
        .chunks(BATCH)
        .map(|batch| Shard::new(&batch.iter().map(|&i| &rows[i]).collect::<Vec<_>>(), classes))
        .collect::<Result<Vec<_>, _>>()?;
    let said = shards.run(batches.len(), |i, _| {
        let quiet = Tape::quiet();
        let x = quiet.constant(batches[i].batch.values().clone());
        let (_, logits) = model.on(&quiet).forward(x, batches[i].batch.lengths());
        logits.softmax(1).value().to_vec()
    });
    let mut probabilities = vec![0.0; rows.len() * classes];
    for (row, &place) in said.concat().chunks_exact(classes).zip(&order) {
        probabilities[place * classes..][..classes].copy_from_slice(row);
    }
    let means = mean_over_excerpts(&probabilities, &pieces, data.pieces.len(), classes);
    let truth = data.pieces.iter().map(|piece| piece.class).collect();
    Ok(Answers { probabilities: Tensor::from_vec(means, &[data.pieces.len(), classes]), truth })
}

/// ‖∂E/∂h_t‖ for every time step t of one piece, where E is the loss of the answer at the last step: what is left of the
/// error when it has come back to step t.
pub(crate) fn gradient_norms(
    model: &Classifier<Tensor<f32>>,
    score: &Score,
    class: usize,
    encoding: Encoding,
) -> Result<Vec<f64>, ShardError> {
    let classes = model.readout.weight.shape()[1];
    let shard = Shard::new(&[&(encoded(score, encoding), class)], classes)?;
    let tape = Tape::new();
    let mut model = model.clone();
    // The question is how far back the error of the last answer reaches, whatever the model reads its answers from.
    model.read_out = crate::model::ReadOut::Last;
    let (unrolled, logits) =
        model.on(&tape).forward(tape.constant(shard.batch.values().clone()), shard.batch.lengths());
    let hidden: Vec<_> = (0..unrolled.states.len()).map(|t| unrolled.output(t)).collect();
    let gradients = shard.targets.cross_entropy_sum(logits).backward_to(&hidden);
    Ok(hidden.iter().map(|&h| f64::from(gradients.get(h).norm())).collect())
}
