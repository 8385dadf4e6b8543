//! The possible gain of fusing elementwise ops: the cell state of an LSTM with given gates, by ops of the tape and by one loop
//! written for the cell. The activations and their adjoints are not included.
//!
//! c_t = f∘c_(t-1) + i∘g and h_t = o∘c_t, forward, and backward from a cotangent of 1 for every h_t to all gates.

use std::hint::black_box;

use rewind_autograd::ops::layout::stack;
use rewind_autograd::{Tape, Tensor};

use crate::Shape;

/// The gates of one shard: T arrays `[B, 4H]` in the order i, f, g, o.
pub struct Gates {
    batch: usize,
    hidden: usize,
    steps: Vec<Tensor<f32>>,
}

impl Gates {
    /// Those of the first shard of `shape`.
    pub fn of(shape: Shape) -> Self {
        let (batch, hidden) = (shape.shards()[0], shape.hidden);
        let step = |t| Tensor::from_fn(&[batch, 4 * hidden], |i| ((i + t) as f32 * 0.7).sin());
        Gates { batch, hidden, steps: (0..shape.steps).map(step).collect() }
    }

    /// The gradients of the gates, by ops of `tape`, which is empty again afterwards.
    pub fn by_ops(&self, tape: &mut Tape<f32>) -> Vec<Tensor<f32>> {
        let gradients = {
            let gates: Vec<_> = self.steps.iter().map(|step| tape.leaf(step.clone())).collect();
            let mut cell = tape.zeros(&[self.batch, self.hidden]);
            let mut outputs = Vec::with_capacity(gates.len());
            for step in &gates {
                let start = tape.len();
                let [i, f, g, o] = step.split(1);
                cell = f * cell + i * g;
                let hidden = o * cell;
                tape.release_unread(start, &[cell, hidden]);
                outputs.push(hidden);
            }
            let outputs = stack(&outputs, 0);
            let gradients = outputs.backward_from(&Tensor::full(&outputs.shape(), 1.0));
            gates.iter().map(|&step| gradients.get(step)).collect()
        };
        tape.clear();
        gradients
    }

    /// The same by one loop forward and one backward, into a reused workspace.
    pub fn by_hand<'a>(&self, memory: &'a mut ByHand) -> &'a [Vec<f32>] {
        let (n, h) = (self.batch * self.hidden, self.hidden);
        let ByHand { cells, outputs, gradients } = memory;
        cells.resize_with(self.steps.len() + 1, || vec![0.0; n]);
        gradients.resize_with(self.steps.len(), || vec![0.0; 4 * n]);
        outputs.resize(self.steps.len() * n, 0.0);
        let gates = |t: usize| self.steps[t].as_slice().expect("gates are contiguous");
        for t in 0..self.steps.len() {
            let (before, after) = cells.split_at_mut(t + 1);
            for row in 0..self.batch {
                let [i, f, g, o] = quarters(&gates(t)[row * 4 * h..][..4 * h]);
                let (old, new) = (&before[t][row * h..][..h], &mut after[0][row * h..][..h]);
                let out = &mut outputs[t * n + row * h..][..h];
                for k in 0..h {
                    new[k] = f[k] * old[k] + i[k] * g[k];
                    out[k] = o[k] * new[k];
                }
            }
        }
        black_box(&outputs);
        let mut carried = vec![0.0; n];
        for t in (0..self.steps.len()).rev() {
            for row in 0..self.batch {
                let [i, f, g, o] = quarters(&gates(t)[row * 4 * h..][..4 * h]);
                let (old, new) = (&cells[t][row * h..][..h], &cells[t + 1][row * h..][..h]);
                let to = &mut gradients[t][row * 4 * h..][..4 * h];
                let (to_i, to) = to.split_at_mut(h);
                let (to_f, to) = to.split_at_mut(h);
                let (to_g, to_o) = to.split_at_mut(h);
                let carried = &mut carried[row * h..][..h];
                for k in 0..h {
                    let cotangent = carried[k] + o[k];
                    to_o[k] = new[k];
                    to_i[k] = cotangent * g[k];
                    to_f[k] = cotangent * old[k];
                    to_g[k] = cotangent * i[k];
                    carried[k] = cotangent * f[k];
                }
            }
        }
        gradients
    }
}

/// The workspace of the loop by hand.
#[derive(Default)]
pub struct ByHand {
    cells: Vec<Vec<f32>>,
    outputs: Vec<f32>,
    gradients: Vec<Vec<f32>>,
}

fn quarters(row: &[f32]) -> [&[f32]; 4] {
    let mut parts = row.chunks_exact(row.len() / 4);
    [(); 4].map(|()| parts.next().expect("a row has four gates"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_give_the_same_gradients() {
        let shape = Shape { name: "odd", steps: 7, batch: 3, inputs: 1, hidden: 33 };
        let gates = Gates::of(shape);
        let (mut tape, mut memory) = (Tape::new(), ByHand::default());
        let by_ops = gates.by_ops(&mut tape);
        for (t, (ops, hand)) in by_ops.iter().zip(gates.by_hand(&mut memory)).enumerate() {
            let close = |(a, b): (f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
            assert!(ops.to_vec().into_iter().zip(hand).all(close), "step {t}");
        }
    }
}
