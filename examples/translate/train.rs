//! Training: batches of sentences of similar lengths, shards on threads, Adam with clipping, and words of its own for the decoder.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::{Tensor, Var};
use rewind_examples::memory::require;
use rewind_examples::{Progress, Run, best_classes};
use rewind_rnn::batch::plan;
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::schedule::{cosine, warm_up};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::resume::Position;
use rewind_rnn::{Noise, Shards, clip};

use crate::arguments::Arguments;
use crate::batch::{Batch, Pair};
use crate::evaluate::{Test, Tested};
use crate::model::{Design, Translator};
use crate::words::MAX_LENGTH;

/// Shards of a batch, computed in parallel. Fixed, so that the number of threads changes no result.
const SHARDS: usize = 2;

/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// Everything that training depends on but the sentences, the seed and the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    /// E, the length of a word's vector.
    pub(crate) embedding: usize,
    /// H, units of each cell.
    pub(crate) hidden: usize,
    /// Words that fewer sentences have are unknown.
    pub(crate) least: usize,
    pub(crate) dropout: f64,
    /// The share of words that the decoder hears from itself at the end of training.
    pub(crate) own: f64,
    /// The label smoothing.
    pub(crate) smoothing: f64,
    pub(crate) epochs: usize,
    /// Pairs in a batch.
    pub(crate) batch: usize,
    /// The highest learning rate: it rises linearly at first, then falls to 0 along half a cosine.
    pub(crate) rate: f64,
}

impl Recipe {
    /// The recipe, with the settings of the command line.
    pub(crate) fn new(arguments: &Arguments) -> Recipe {
        let recipe = if arguments.run.data.is_some() {
            let (least, dropout, own, smoothing) = (2, 0.3, 0.25, 0.1);
            Recipe { embedding: 256, hidden: 256, least, dropout, own, smoothing, epochs: 15, batch: 64, rate: 1.5e-3 }
        } else {
            let (least, dropout, own, smoothing) = (1, 0.0, 0.25, 0.0);
            Recipe { embedding: 32, hidden: 64, least, dropout, own, smoothing, epochs: 8, batch: 32, rate: 5e-3 }
        };
        Recipe {
            embedding: arguments.embedding.unwrap_or(recipe.embedding),
            hidden: arguments.hidden.unwrap_or(recipe.hidden),
            least: arguments.least.unwrap_or(recipe.least),
            dropout: arguments.dropout.unwrap_or(recipe.dropout),
            own: arguments.own.unwrap_or(recipe.own),
            smoothing: arguments.smoothing.unwrap_or(recipe.smoothing),
            epochs: arguments.run.epochs.unwrap_or(recipe.epochs),
            batch: arguments.batch.unwrap_or(recipe.batch),
            rate: arguments.rate.unwrap_or(recipe.rate),
        }
    }

    /// The design of a model for so many words.
    pub(crate) fn design(&self, attention: bool, words: [usize; 2]) -> Design {
        let Recipe { embedding, hidden, dropout, .. } = *self;
        Design { attention, words, embedding, hidden, dropout }
    }

    /// Checks that training fits into memory: parameters, two moments, gradients of two shards and packed forms, and the values of the
    /// longest batch on the tape.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub(crate) fn require_memory(&self, design: Design, pairs: &[Pair]) -> Result<(), String> {
        const COPIES: u64 = 12;
        let longest = |words: fn(&Pair) -> usize| pairs.iter().map(words).max().unwrap_or(0).min(MAX_LENGTH) as u64;
        let (sources, targets) = (longest(|pair| pair.0.len()), longest(|pair| pair.1.len()) + 1);
        let [hidden, embedding, words] = [design.hidden, design.embedding, design.words[1]].map(|n| n as u64);
        let attention = if design.attention { 3 * sources * hidden } else { 0 };
        let of_target = attention + 16 * hidden + 3 * embedding + 4 * words;
        let of_pair = sources * (30 * hidden + 2 * embedding) + targets * of_target;
        let bytes = 4 * (COPIES * design.parameters() + self.batch as u64 * of_pair);
        let what = format!("training {} with {hidden} units and {words} words", design.name());
        require(&what, bytes, "a smaller --hidden, --embedding or --batch takes less, or a larger --least")
    }
}

/// A shard of a batch as the network reads it.
struct Shard {
    batch: Batch,
    /// `[T][B]`: whether the decoder hears its own word.
    own: Vec<Vec<bool>>,
    noise: Noise,
}

impl Shard {
    /// Number `k` of the shards of the batch of these pairs.
    fn new(pairs: &[Pair], places: &[usize], k: usize, own: f64, at: &Position) -> Shard {
        let batch = Batch::new(places.iter().skip(k).step_by(SHARDS).map(|&i| &pairs[i]));
        let mut rng = at.batch_rng(k as u64);
        let noise = Noise::draw(&mut rng);
        let mut coins = ChaCha8Rng::seed_from_u64(rng.random());
        let own = batch.before.iter().map(|row| row.iter().map(|_| coins.random_bool(own)).collect()).collect();
        Shard { batch, own, noise }
    }
}

/// Trains `model` on `pairs`, from the start or from the file `from`. After every epoch it is tested, for the learning curves only: no
/// choice depends on the test. The result is the last test, with a beam of its full width.
pub(crate) fn train(
    model: &mut Translator<Tensor<f32>>,
    (pairs, test): (&[Pair], &Test<'_>),
    recipe: &Recipe,
    run: &mut Run,
    from: Option<&Path>,
    shards: &Shards<f32>,
) -> Result<Tested, Box<dyn Error>> {
    let mut optimizer = Adam::new(0.0);
    if let Some(from) = from {
        run.resume(from, model, &mut optimizer, vec![])?;
    }
    let lengths: Vec<_> = pairs.iter().map(|pair| pair.0.len()).collect();
    let (epochs, steps) = (recipe.epochs as u64, pairs.len().div_ceil(recipe.batch));
    let all = epochs * steps as u64;
    let mut progress = Progress::new(&run.history.name, run.history.metric, epochs, steps as u64, run.at.step());
    while run.at.epoch() < epochs {
        let batches = plan(&lengths, recipe.batch, &mut run.at.epoch_rng(0))?;
        for batch in run.at.rest(&batches)? {
            // Scheduled sampling: at first all words that the decoder hears are right (Bengio et al. 2015).
            let own = recipe.own * run.at.step() as f64 / all as f64;
            let parts: Vec<_> =
                (0..SHARDS.min(batch.len())).map(|k| Shard::new(pairs, batch, k, own, &run.at)).collect();
            let (loss, exact, mut gradients) = gradients(model, &parts, recipe.smoothing, shards);
            clip::clip_norm(&mut gradients, CLIP)?;
            optimizer.set_learning_rate(recipe.rate * warm_up(run.at.step(), 100) * cosine(run.at.step(), all));
            optimizer.step(model, &gradients)?;
            run.history.add(loss * batch.len() as f64, exact as f64, batch.len());
            progress.step(run.history.train_means());
            run.after_step(steps, model, &optimizer, &[])?;
        }
        progress.epoch(run.at.epoch(), run.history.train_means());
        // With a beam of one: it is the training that is watched.
        let tested = test.run(model, 1, shards);
        progress.say(&format!("test exact {:.3} bleu {:.3}", tested.exact, tested.bleu));
        run.after_epoch([tested.loss, tested.exact], model, &optimizer, &[])?;
    }
    Ok(test.run(model, test.beam, shards))
}

/// The mean loss of a word in a batch, how many translations are right in every word, and the gradients.
fn gradients(
    model: &Translator<Tensor<f32>>,
    parts: &[Shard],
    smoothing: f64,
    shards: &Shards<f32>,
) -> (f64, usize, Translator<Tensor<f32>>) {
    let exact = AtomicUsize::new(0);
    let count: usize = parts.iter().map(|part| part.batch.count()).sum();
    let step = shards.gradients(model, parts, |_, model, part| {
        let (loss, right) = unrolled(model, &part.batch, Some(&part.own), Some(part.noise), smoothing);
        exact.fetch_add(right, Ordering::Relaxed);
        loss / count as f32
    });
    (step.losses.iter().map(|&loss| f64::from(loss)).sum(), exact.into_inner(), step.gradients)
}

/// The sum of the cross-entropies of all words of a batch, and how many translations are right in every word. The decoder hears the right
/// words, or its own where `own` says so.
pub(crate) fn unrolled<'t>(
    model: &Translator<Var<'t, f32>>,
    batch: &Batch,
    own: Option<&[Vec<bool>]>,
    noise: Option<Noise>,
    smoothing: f64,
) -> (Var<'t, f32>, usize) {
    let part = |k: usize| noise.map(|noise| noise.part(k));
    let encoded = model.encode(&batch.source, &batch.lengths, part(0));
    let mut state = model.first_state(&encoded);
    let settings = CrossEntropy { reduction: Reduction::Sum, smoothing, ..CrossEntropy::default() };
    let (mut total, mut said): (Option<Var<'t, f32>>, Vec<usize>) = (None, Vec::new());
    let mut is_right = vec![true; batch.lengths.len()];
    for (t, (before, targets)) in batch.before.iter().zip(&batch.targets).enumerate() {
        let _step = state.tape().numbered_scope("word", t);
        let mut heard = before.clone();
        if let Some(own) = own.filter(|_| t > 0) {
            let choices = heard.iter_mut().zip(&said).zip(&own[t]);
            choices.filter(|(_, own)| **own).for_each(|((heard, &said), _)| *heard = said);
        }
        let step = model.step(&encoded, &heard, state, part(1 + t));
        state = step.state;
        said = best_classes(&step.logits.value());
        for ((is_right, said), target) in is_right.iter_mut().zip(&said).zip(targets) {
            *is_right &= target.is_none_or(|target| target == *said);
        }
        let loss = cross_entropy(step.logits, targets, settings).expect("every word is one of the language");
        total = Some(total.map_or(loss, |total| total + loss));
    }
    (total.expect("a translation has an end"), is_right.into_iter().filter(|&right| right).count())
}

#[cfg(test)]
mod tests {
    use rewind_autograd::{OnTape, Tape};

    use super::*;
    use crate::model::tests::small;

    fn recipe() -> Recipe {
        Recipe {
            embedding: 5,
            hidden: 7,
            least: 1,
            dropout: 0.3,
            own: 0.5,
            smoothing: 0.1,
            epochs: 1,
            batch: 3,
            rate: 0.1,
        }
    }

    /// A decoder that hears its own words: the losses are those of hearing them, and where no coin falls, those of the right ones.
    #[test]
    fn the_decoder_hears_itself_where_a_coin_says_so() {
        let model = small(true, [9, 11]);
        let batch = Batch::new(&[(vec![5, 6, 7], vec![2, 9, 4]), (vec![8, 2], vec![3, 4])]);
        let tape = Tape::new();
        let on_tape = model.on(&tape);
        let loss =
            |batch: &Batch, own: Option<&[Vec<bool>]>| unrolled(&on_tape, batch, own, None, 0.0).0.value().item();
        let coins = |own: bool| vec![vec![own; 2]; 4];
        let right = loss(&batch, None);
        assert_eq!(loss(&batch, Some(&coins(false))), right);
        let own = loss(&batch, Some(&coins(true)));
        assert_ne!(own, right);
        // The same by hand: each step's likeliest words are heard next.
        let mut heard = Batch::new(&[(vec![5, 6, 7], vec![2, 9, 4]), (vec![8, 2], vec![3, 4])]);
        for t in 1..4 {
            let encoded = on_tape.encode(&heard.source, &heard.lengths, None);
            let mut state = on_tape.first_state(&encoded);
            let mut said = Vec::new();
            for before in &heard.before[..t] {
                let step = on_tape.step(&encoded, before, state, None);
                (state, said) = (step.state, best_classes(&step.logits.value()));
            }
            heard.before[t] = said;
        }
        assert!((loss(&heard, None) - own).abs() < 1e-5);
    }

    #[test]
    fn no_machine_has_room_for_the_largest_sizes() {
        let pairs = [(vec![2; 9], vec![2; 9])];
        let small = recipe();
        assert_eq!(small.require_memory(small.design(true, [9, 11]), &pairs), Ok(()));
        if cfg!(target_os = "linux") {
            let large = Recipe { hidden: 4096, embedding: 4096, batch: 4096, ..small };
            let told = large.require_memory(large.design(true, [50_000, 50_000]), &pairs).unwrap_err();
            assert!(told.starts_with("training attention with 4096 units and 50000 words takes about "), "{told}");
        }
    }
}
