//! Training: CTC, noise on the weights, early stopping (Graves, Mohamed and Hinton 2013), with Adam.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use rewind_autograd::{Parameters, Tensor};
use rewind_examples::{Progress, Run, Team, say};
use rewind_rnn::batch::{PaddedBatch, plan};
use rewind_rnn::decode::{best_path, error_rate};
use rewind_rnn::loss::{Ctc, Reduction, ctc};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::resume::Position;
use rewind_rnn::{EarlyStopping, Noise, Shards, clip, init};

use crate::changes::Changes;
use crate::corpus::{Clip, Corpus};
use crate::evaluate::{Heard, likeliest};
use crate::flat_start;
use crate::model::Network;
use crate::phones::{BLANK, Pronunciations};
use crate::recipe::Recipe;

/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// A shard of a batch as the network reads it.
struct Shard {
    batch: PaddedBatch<f32>,
    /// The pronunciations of each clip, in the order of the batch.
    said: Vec<Pronunciations>,
    noise: Noise,
}

impl Shard {
    /// Number `k` of `count` shards of the batch of clips at `places`.
    fn new(
        clips: &[Clip],
        places: &[usize],
        (k, count): (usize, usize),
        changes: Changes,
        at: &Position,
    ) -> rewind_rnn::Result<Shard> {
        let rng = &mut at.batch_rng(k as u64);
        let own: Vec<&Clip> = places.iter().skip(k).step_by(count).map(|&place| &clips[place]).collect();
        let changed = |clip: &&Clip| changes.draw(&clip.features, clip.least_steps(), rng);
        let batch = PaddedBatch::new(&own.iter().map(changed).collect::<Vec<_>>())?;
        let said = batch.indices().iter().map(|&row| own[row].pronunciations.clone()).collect();
        Ok(Shard { batch, said, noise: Noise::draw(rng) })
    }
}

/// A network that learns from clips.
struct Learner<'a> {
    network: &'a mut Network<Tensor<f32>>,
    optimizer: Adam<f32>,
    clips: &'a [Clip],
    recipe: &'a Recipe,
    shards: &'a Shards<f32>,
    team: &'a Team,
}

impl Learner<'_> {
    /// The batches of an epoch.
    fn batches(&self, at: &Position) -> rewind_rnn::Result<Vec<Vec<usize>>> {
        let lengths: Vec<_> = self.clips.iter().map(|clip| clip.features.shape()[0]).collect();
        plan(&lengths, self.recipe.batch, &mut at.epoch_rng(0))
    }

    /// The steps of all epochs together.
    fn steps(&self) -> u64 {
        (self.recipe.epochs * self.clips.len().div_ceil(self.recipe.batch)) as u64
    }

    /// A step on the clips at `places`. The sum of their losses, the edits of the best paths, and the phones.
    fn step(&mut self, places: &[usize], at: &Position) -> rewind_rnn::Result<(f64, usize, usize)> {
        let count = self.recipe.shards;
        let part = |k| Shard::new(self.clips, places, (k, count), self.recipe.changes, at);
        let parts = (0..count.min(places.len())).map(part);
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let phones: usize = places.iter().map(|&place| self.clips[place].count()).sum();
        // The gradient at weights with noise moves the weights without. Each shard has a stream of random numbers; theirs is the next.
        let noisy = with_noise(self.network, self.recipe.weight_noise, &mut at.batch_rng(count as u64));
        let flat = at.epoch() < self.recipe.flat_start as u64;
        let edits = AtomicUsize::new(0);
        let step = self.shards.gradients(&noisy, &parts, |tape, network, shard| {
            let lengths = shard.batch.lengths();
            let logits = network.logits(tape.constant(shard.batch.data().clone()), lengths, Some(shard.noise));
            let log_p = logits.log_softmax(2).value();
            // Logits that are not finite: the gradients are not either, and clipping refuses them by name.
            let Ok(said) = likeliest(&log_p, &shard.said, lengths) else { return logits.sum() };
            let found = best_path(&log_p, lengths, BLANK).unwrap_or_default();
            let pairs = said.iter().zip(&found).map(|(truth, found)| (&truth[..], &found.labels[..]));
            edits.fetch_add(error_rate(pairs).edits.total(), Ordering::Relaxed);
            let loss = if flat {
                flat_start::loss(logits, &said, lengths)
            } else {
                let settings = Ctc { reduction: Reduction::Sum, ..Ctc::default() };
                ctc(logits, &said, lengths, settings).map(|losses| losses.total)
            };
            loss.map_or_else(|_| logits.sum(), |loss| loss / phones as f32)
        });
        let mut gradients = step.gradients;
        clip::clip_norm(&mut gradients, CLIP)?;
        self.optimizer.set_learning_rate(self.recipe.rate_at(at.step(), self.steps()));
        self.optimizer.step(self.network, &gradients)?;
        let loss: f32 = step.losses.iter().sum();
        let edits = self.team.sum(edits.into_inner() as u64)?;
        Ok((f64::from(loss) * phones as f64, edits as usize, phones))
    }
}

/// The network with normal noise of a deviation on every weight.
fn with_noise(network: &Network<Tensor<f32>>, deviation: f64, rng: &mut impl Rng) -> Network<Tensor<f32>> {
    let mut noisy = network.clone();
    if deviation > 0.0 {
        noisy.visit_mut(|_, weights| {
            let noise: Tensor<f32> = init::normal(weights.shape(), deviation, rng);
            *weights = weights.zip(&noise, |w, noise| w + noise);
        });
    }
    noisy
}

/// Trains `network`, from the start or from the file `from`. Without patience, all epochs are done, and the rate of learning has fallen
/// to 0. With patience, training stops when there is no lower loss on what is held out, and the network is then as it was at the
/// lowest. After every epoch it is tested too, for the learning curves only: no choice depends on the test.
pub(crate) fn train(
    network: &mut Network<Tensor<f32>>,
    corpus: &Corpus,
    recipe: &Recipe,
    run: &mut Run,
    from: Option<&Path>,
    (team, shards): (&Team, &Shards<f32>),
) -> Result<(), Box<dyn Error>> {
    let mut optimizer = Adam::new(0.0);
    let mut early = EarlyStopping::new(recipe.patience.map_or(u64::MAX, |patience| patience as u64));
    if let Some(from) = from {
        run.resume(from, network, &mut optimizer, vec![("early", &mut early)])?;
    }
    let mut learner = Learner { network, optimizer, clips: &corpus.train, recipe, shards, team };
    let (epochs, steps) = (recipe.epochs as u64, learner.steps() / recipe.epochs as u64);
    let mut progress = Progress::new(&run.history.name, run.history.metric, epochs, steps, run.at.step());
    while run.at.epoch() < epochs && !early.exhausted() {
        let batches = learner.batches(&run.at)?;
        for batch in run.at.rest(&batches)? {
            let (loss, edits, phones) = learner.step(batch, &run.at)?;
            run.history.add(loss, edits as f64, phones);
            progress.step(run.history.train_means());
            run.after_step(batches.len(), learner.network, &learner.optimizer, &[("early", &early)])?;
        }
        progress.epoch(run.at.epoch(), run.history.train_means());
        if recipe.patience.is_some() {
            early.observe(Heard::of(learner.network, &corpus.held_out, shards)?.loss, learner.network)?;
        }
        let tested = Heard::of(learner.network, &corpus.test, shards)?;
        let figures = [tested.loss, tested.error_rate().rate()];
        run.after_epoch(figures, learner.network, &learner.optimizer, &[("early", &early)])?;
    }
    if let Some(lowest) = early.lowest() {
        let (end, best) = (run.at.epoch(), run.at.epoch() - early.waited());
        say(format!(
            "training ends after epoch {end} of {epochs}; the network is that after epoch {best}, with the lowest loss on what is held \
             out: {lowest:.3} nats a phone"
        ));
        *learner.network = early.best(learner.network)?;
    }
    run.save(learner.network, &learner.optimizer, &[("early", &early)])?;
    run.end();
    Ok(())
}

/// Trains the baseline, which sees one time step alone, in the same way.
pub(crate) fn baseline(
    corpus: &Corpus,
    recipe: &Recipe,
    seed: u64,
    (team, shards): (&Team, &Shards<f32>),
) -> rewind_rnn::Result<Network<Tensor<f32>>> {
    let mut network = Network::new(recipe.design, &mut ChaCha8Rng::seed_from_u64(seed));
    let mut at = Position::new(seed);
    let mut learner =
        Learner { network: &mut network, optimizer: Adam::new(0.0), clips: &corpus.train, recipe, shards, team };
    while at.epoch() < recipe.epochs as u64 {
        let batches = learner.batches(&at)?;
        for batch in &batches {
            learner.step(batch, &at)?;
            at.advance(batches.len());
        }
    }
    Ok(network)
}
