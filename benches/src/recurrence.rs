//! A linear recurrence h_t = a_t ∘ h_(t-1) + b_t, forward, and backward from a cotangent of 1 for every h_t to a, b and h_0: in one
//! node, and in a product and a sum for each time step. And a training step of the minGRU, whole or unrolled.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::ops::layout::stack;
use rewind_autograd::ops::recurrence::linear_recurrence;
use rewind_autograd::{OnTape, Tape, Tensor, Var};
use rewind_rnn::{Cell, MinGru, unroll};

use crate::Step;

/// The shapes `[T, B, H]` that are measured.
pub const SHAPES: [[usize; 3]; 4] = [[1000, 8, 64], [1000, 1, 64], [1000, 1, 1], [100, 32, 256]];

/// Coefficients, inputs, the first state, and the cotangent of the states.
pub struct Operands {
    a: Tensor<f32>,
    b: Tensor<f32>,
    first: Tensor<f32>,
    seed: Tensor<f32>,
}

impl Operands {
    /// Coefficients in (0, 1), inputs and first state in ±1.
    pub fn of(shape: [usize; 3]) -> Self {
        let wave = |rate: f32| move |i: usize| (i as f32 * rate).sin();
        Operands {
            a: Tensor::from_fn(&shape, |i| 0.5 + 0.49 * wave(0.7)(i)),
            b: Tensor::from_fn(&shape, wave(1.3)),
            first: Tensor::from_fn(&shape[1..], wave(0.3)),
            seed: Tensor::full(&shape, 1.0),
        }
    }

    /// The gradients of a, b and h_0, by one node of `tape`, which is empty again afterwards.
    pub fn by_op(&self, tape: &mut Tape<f32>) -> [Tensor<f32>; 3] {
        self.gradients(tape, linear_recurrence)
    }

    /// The same by nodes for each time step.
    pub fn by_steps(&self, tape: &mut Tape<f32>) -> [Tensor<f32>; 3] {
        self.gradients(tape, |a, b, first| {
            let mut h = first;
            let states: Vec<_> = (0..b.shape()[0])
                .map(|t| {
                    h = a.index(0, t) * h + b.index(0, t);
                    h
                })
                .collect();
            stack(&states, 0)
        })
    }

    fn gradients<F>(&self, tape: &mut Tape<f32>, recurrence: F) -> [Tensor<f32>; 3]
    where
        F: for<'t> Fn(Var<'t, f32>, Var<'t, f32>, Var<'t, f32>) -> Var<'t, f32>,
    {
        let gradients = {
            let [a, b, first] = [&self.a, &self.b, &self.first].map(|x| tape.leaf(x.clone()));
            let gradients = recurrence(a, b, first).backward_from(&self.seed);
            [a, b, first].map(|v| gradients.get(v))
        };
        tape.clear();
        gradients
    }
}

/// A training step of the minGRU with H features and units over `shape` `[T, B, H]`, loss = mean of the squares of all outputs: over
/// the whole sequence at once, or unrolled.
pub fn min_gru_step(shape: [usize; 3], whole: bool) -> Step {
    let [_, batch, hidden] = shape;
    let module = MinGru::new(hidden, hidden, &mut StdRng::seed_from_u64(1));
    let x = Tensor::from_fn(&shape, |i| (i as f32 * 0.7).sin());
    let mut tape = Tape::new();
    Box::new(move || {
        let loss = {
            let (cell, x) = (module.on(&tape), tape.constant(x.clone()));
            let outputs = match whole {
                true => cell.sequence(x, None, cell.initial(batch)).0,
                false => unroll(&cell, x).outputs(),
            };
            let loss = outputs.square().mean();
            std::hint::black_box(loss.backward().of(&cell));
            loss.value().item()
        };
        tape.clear();
        loss
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_give_the_same_numbers() {
        let (operands, mut tape) = (Operands::of([33, 3, 7]), Tape::new());
        let (by_op, by_steps) = (operands.by_op(&mut tape), operands.by_steps(&mut tape));
        let [whole, unrolled] = [true, false].map(|whole| min_gru_step([33, 3, 7], whole)());
        assert!((whole - unrolled).abs() < 1e-6 * unrolled);
        for (op, steps) in by_op.iter().zip(&by_steps) {
            let close = |(a, b): (f32, f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
            assert!(op.to_vec().into_iter().zip(steps.to_vec()).all(close));
        }
    }
}
