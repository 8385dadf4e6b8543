//! The CTC loss of a batch and its gradient by the logits, in `f32`.

use rewind_autograd::Tensor;
use rewind_rnn::Shards;
use rewind_rnn::loss::{Ctc, Reduction, ctc};

use crate::Step;

/// T time steps, B sequences, C classes with the blank, L labels a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The name on the command line.
    pub name: &'static str,
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// C.
    pub classes: usize,
    /// L.
    pub labels: usize,
}

/// The shapes that are measured.
pub const SHAPES: [Shape; 2] = [
    Shape { name: "batch", steps: 200, batch: 16, classes: 40, labels: 30 },
    Shape { name: "long", steps: 1000, batch: 1, classes: 40, labels: 200 },
];

/// Sequences that share a tape.
struct Shard {
    logits: Tensor<f32>,
    targets: Vec<Vec<usize>>,
}

impl Shape {
    /// All logits: 3·sin(0.7·i) at place i of `[T, B, C]`.
    fn logits(&self) -> Tensor<f32> {
        Tensor::from_fn(&[self.steps, self.batch, self.classes], |i| (3.0 * (0.7 * i as f64).sin()) as f32)
    }

    /// The labels of sequence `b`.
    fn target(&self, b: usize) -> Vec<usize> {
        (0..self.labels).map(|k| 1 + (k * k + b) % (self.classes - 1)).collect()
    }

    /// The batch in `count` parts at most.
    fn shards(&self, count: usize) -> Vec<Shard> {
        let (logits, count) = (self.logits(), count.min(self.batch));
        let part = |i: usize| {
            let of = i * self.batch / count..(i + 1) * self.batch / count;
            let targets = of.clone().map(|b| self.target(b)).collect();
            Shard { logits: logits.slice(1, of).to_contiguous(), targets }
        };
        (0..count).map(part).collect()
    }
}

/// Makes a step that computes the sum of the losses, and the gradient of all logits: the batch in a shard for each of `threads`.
///
/// # Panics
/// If the threads cannot be started.
pub fn step(shape: Shape, threads: usize) -> Step {
    let settings = Ctc { reduction: Reduction::Sum, ..Ctc::default() };
    let (shards, workers) = (shape.shards(threads), Shards::<f32>::new(threads).expect("threads can be started"));
    Box::new(move || {
        let losses = workers.run(shards.len(), |i, tape| {
            let Shard { logits, targets } = &shards[i];
            let x = tape.leaf(logits.clone());
            let lengths = vec![shape.steps; targets.len()];
            let loss = ctc(x, targets, &lengths, settings).expect("targets that fit").total;
            std::hint::black_box(loss.backward().get(x));
            loss.value().item()
        });
        losses.into_iter().sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_change_no_loss() {
        let shape = Shape { name: "small", steps: 9, batch: 3, classes: 5, labels: 3 };
        let [one, two] = [1, 2].map(|threads| step(shape, threads)());
        assert!((one - two).abs() < 1e-6 * one, "{one} and {two}");
    }
}
