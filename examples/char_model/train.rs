//! Training by truncated backpropagation through time: the text is cut into streams, which are read at the same time, a
//! window after each other; the state is carried from window to window, the gradient is not.

use std::error::Error;
use std::f64::consts::LN_2;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rand::RngExt;
use rewind_autograd::Tensor;
use rewind_examples::memory::require;
use rewind_examples::{Progress, Run, Team};
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::resume::{Commit, Part, Position, Saved};
use rewind_rnn::{Noise, Shards, TruncatedBptt, Unroll, clip};

use crate::evaluate;
use crate::model::{Design, Model, input};
use crate::recipe::Recipe;

/// The joint norm that gradients are clipped to.
const CLIP: f64 = 1.0;

/// How often a run shows what it writes.
const SAMPLES: usize = 8;

/// How a text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    streams: usize,
    /// The characters of a stream.
    length: usize,
    /// Those of a window; the last one of a stream may be shorter.
    window: usize,
}

impl Cut {
    /// The recipe's cut of a text of `characters`, or one with fewer streams and shorter windows if the text is short.
    fn new(characters: usize, recipe: &Recipe) -> Cut {
        let window = recipe.window.min(characters / 4);
        let streams = recipe.streams.min(characters / (4 * window)).max(1);
        // The first stream begins within the first window, and each character needs one that follows.
        Cut { streams, length: (characters - window) / streams, window }
    }

    /// The windows of an epoch.
    fn windows(self) -> usize {
        self.length.div_ceil(self.window)
    }
}

/// Copies of the parameters at the peak of training: themselves, two moments, the gradients of two shards, and the packed
/// forms of the matrix kernel.
const COPIES: u64 = 12;
/// Values that are kept for every unit and every character of the alphabet, at every place of a window, rounded up.
const KEPT: [u64; 2] = [16, 8];

/// Checks that there is memory to train on a text of `characters`: a failed allocation ends a program without an
/// explanation.
pub(crate) fn require_memory(design: Design, characters: usize, recipe: &Recipe) -> Result<(), String> {
    let cut = Cut::new(characters, recipe);
    let places = (cut.window * cut.streams) as u64;
    let kept = places * (KEPT[0] * design.hidden as u64 + KEPT[1] * design.characters as u64);
    let bytes = size_of::<f32>() as u64 * (COPIES * design.parameters() + kept);
    let what = format!("training {} with {} units", design.kind.name(), design.hidden);
    require(&what, bytes, "a smaller --hidden, --streams or --window takes less")
}

/// Streams that one thread reads.
struct Shard {
    /// `[L, B, 1]`.
    x: Tensor<f32>,
    /// `[L, B]` row-major: the character after each.
    next: Vec<usize>,
    truncated: Mutex<TruncatedBptt<f32>>,
    noise: Noise,
}

impl Shard {
    /// The shards of an epoch, which begins anywhere in the first window: so windows end in other places each time.
    fn all(text: &[usize], cut: Cut, count: usize, at: &Position) -> rewind_rnn::Result<Vec<Shard>> {
        let start = at.epoch_rng(0).random_range(0..cut.window);
        let count = count.min(cut.streams);
        let shard = |k: usize| {
            let streams: Vec<_> = (k..cut.streams).step_by(count).collect();
            let place = |t: usize, b: usize| start + streams[b] * cut.length + t;
            let rows = (0..cut.length).flat_map(|t| (0..streams.len()).map(move |b| (t, b)));
            Ok(Shard {
                x: input(cut.length, streams.len(), |t, b| text[place(t, b)]),
                next: rows.map(|(t, b)| text[place(t, b) + 1]).collect(),
                truncated: Mutex::new(TruncatedBptt::new(cut.window, cut.window, streams.len())?),
                noise: Noise::draw(&mut at.epoch_rng(1 + k as u64)),
            })
        };
        (0..count).map(shard).collect()
    }
}

impl Part<f32> for Shard {
    fn saved(&self) -> Saved<f32> {
        self.truncated.lock().unwrap_or_else(PoisonError::into_inner).saved()
    }

    fn resume<'a>(&'a mut self, saved: &Saved<f32>) -> rewind_rnn::Result<Commit<'a>> {
        self.truncated.get_mut().unwrap_or_else(PoisonError::into_inner).resume(saved)
    }
}

/// The shards as parts of the file of a run.
fn parts<'a>(names: &'a [String], shards: &'a [Shard]) -> Vec<(&'a str, &'a dyn Part<f32>)> {
    names.iter().zip(shards).map(|(name, shard)| (name.as_str(), shard as &dyn Part<f32>)).collect()
}

/// Trains `model` on the text `train`, from the start or from the file `from`. After every epoch it is tested on `test`,
/// for the learning curves only: no choice depends on the test. `write` gives a sample.
pub(crate) fn train(
    model: &mut Model<Tensor<f32>>,
    [train, test]: [&[usize]; 2],
    recipe: &Recipe,
    run: &mut Run,
    from: Option<&Path>,
    (team, threads): (&Team, &Shards<f32>),
    write: &dyn Fn(&Model<Tensor<f32>>) -> String,
) -> Result<(), Box<dyn Error>> {
    let cut = Cut::new(train.len(), recipe);
    let mut optimizer = Adam::new(0.0);
    let mut shards = Shard::all(train, cut, recipe.shards, &run.at)?;
    let names: Vec<_> = (0..shards.len()).map(|k| format!("shard{k}")).collect();
    if let Some(from) = from {
        let parts = names.iter().zip(&mut shards).map(|(name, shard)| (name.as_str(), shard as &mut dyn Part<f32>));
        run.resume(from, model, &mut optimizer, parts.collect())?;
        for (name, shard) in names.iter().zip(&mut shards) {
            let truncated = shard.truncated.get_mut().unwrap_or_else(PoisonError::into_inner);
            let checked = truncated.check_resumed(model, run.at.batch().saturating_mul(cut.window));
            checked.map_err(|error| format!("{}: part `{name}`: {error}", from.display()))?;
        }
        // The text of the epoch that is resumed, with the states of the file.
        for (shard, now) in shards.iter_mut().zip(Shard::all(train, cut, recipe.shards, &run.at)?) {
            (shard.x, shard.next, shard.noise) = (now.x, now.next, now.noise);
        }
    }
    let (epochs, windows) = (recipe.epochs as u64, vec![(); cut.windows()]);
    let steps = epochs * windows.len() as u64;
    let mut progress =
        Progress::new(&run.history.name, run.history.metric, epochs, windows.len() as u64, run.at.step());
    while run.at.epoch() < epochs {
        for () in run.at.rest(&windows)? {
            let count = cut.streams * cut.window.min(cut.length - run.at.batch().saturating_mul(cut.window));
            let (loss, mut gradients) = gradients(model, &shards, count, threads);
            clip::clip_norm(&mut gradients, CLIP)?;
            optimizer.set_learning_rate(recipe.rate_at(run.at.step(), steps));
            optimizer.step(model, &gradients)?;
            run.history.add(loss * count as f64, loss / LN_2 * count as f64, count);
            progress.step(run.history.train_means());
            if run.is_to_save(windows.len())? {
                team.share(&mut shards)?;
            }
            run.after_step(windows.len(), model, &optimizer, &parts(&names, &shards))?;
        }
        shards = Shard::all(train, cut, recipe.shards, &run.at)?;
        let tested = evaluate::loss(model, test, threads);
        progress.epoch(run.at.epoch(), run.history.train_means());
        if run.at.epoch().is_multiple_of(recipe.epochs.div_ceil(SAMPLES) as u64) {
            progress.say(&format!("test bits {:.3}; it writes: {}", tested / LN_2, write(model)));
        }
        run.after_epoch([tested, tested / LN_2], model, &optimizer, &parts(&names, &shards))?;
    }
    Ok(())
}

/// The mean loss of the next window of all streams, `count` characters, and its gradients.
fn gradients(
    model: &Model<Tensor<f32>>,
    shards: &[Shard],
    count: usize,
    threads: &Shards<f32>,
) -> (f64, Model<Tensor<f32>>) {
    let step = threads.gradients(model, shards, |tape, on_tape, shard| {
        let mut truncated = shard.truncated.lock().unwrap_or_else(PoisonError::into_inner);
        let window = truncated.window_with(Unroll::new().noise(shard.noise), model, on_tape, tape, &shard.x);
        let [steps, streams, characters] = window.outputs.shape()[..] else { unreachable!("outputs are [T, B, C]") };
        let logits = window.outputs.reshape(&[steps * streams, characters]);
        let next = &shard.next[window.steps.start * streams..window.steps.end * streams];
        let settings = CrossEntropy { reduction: Reduction::Sum, ..CrossEntropy::default() };
        cross_entropy(logits, next, settings).expect("every character is of the alphabet") / count as f32
    });
    (step.losses.iter().map(|&loss| f64::from(loss)).sum(), step.gradients)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rewind_autograd::OnTape;
    use rewind_examples::CellKind;

    use super::*;

    #[test]
    fn no_machine_has_room_for_the_largest_windows() {
        let design =
            Design { kind: CellKind::Lstm, characters: 10_000, hidden: 4096, dropout: 0.0, recurrent_dropout: 0.0 };
        let recipe = Recipe { streams: 4096, window: 65_536, ..crate::recipe::tests::SMALL };
        if cfg!(target_os = "linux") {
            let told = require_memory(design, usize::MAX / 2, &recipe).unwrap_err();
            assert!(told.starts_with("training lstm with 4096 units takes about "), "{told}");
        }
        let small = Design { characters: 5, hidden: 40, ..design };
        assert_eq!(require_memory(small, 100, &recipe), Ok(()));
        for kind in [CellKind::Tanh, CellKind::Lstm, CellKind::Gru] {
            let design = Design { kind, ..small };
            let real = design.model(&mut rand::rngs::ChaCha8Rng::seed_from_u64(1)).parameter_count() as u64;
            assert_eq!(design.parameters(), real, "{kind:?}");
        }
    }

    #[test]
    fn every_stream_lies_within_the_text() {
        let recipe = |streams, window| Recipe { streams, window, ..crate::recipe::tests::SMALL };
        for (characters, streams, window) in
            [(100, 64, 100), (100, 1, 1), (101, 3, 7), (5000, 64, 33), (70_000, 7, 100)]
        {
            let cut = Cut::new(characters, &recipe(streams, window));
            assert!(cut.window >= 1 && cut.length >= cut.window, "{cut:?}");
            let text: Vec<usize> = (0..characters).collect();
            for epoch in 0..20 {
                let mut at = Position::new(1);
                (0..epoch).for_each(|_| at.advance(1));
                let shards = Shard::all(&text, cut, 2, &at).unwrap();
                assert_eq!(shards.iter().map(|shard| shard.x.shape()[1]).sum::<usize>(), cut.streams);
                for shard in &shards {
                    let x = shard.x.to_vec();
                    assert!(x.iter().zip(&shard.next).all(|(x, next)| *x as usize + 1 == *next));
                }
            }
        }
    }
}
