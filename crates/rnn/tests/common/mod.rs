//! Modules and numbers that the tests of several binaries share.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::{Parameters, Tensor};
use rewind_rnn::{Gru, Lstm, Reset, TanhRnn};

/// Values in ±1 without a pattern: biases and states are not zero.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    Tensor::from_fn(shape, |_| rng.random_range(-1.0..1.0))
}

/// The module with every parameter random, learned first states included.
pub(crate) fn randomised<M: Parameters<Tensor<f64>, With<Tensor<f64>> = M>>(module: &M, seed: u64) -> M {
    let mut next = seed;
    module.map(|_, parameter| {
        next += 1;
        random(parameter.shape(), next)
    })
}

pub(crate) fn tanh(inputs: usize, hidden: usize) -> TanhRnn<Tensor<f64>> {
    randomised(&TanhRnn::new(inputs, hidden, &mut StdRng::seed_from_u64(0)).with_learned_state(), 1)
}

pub(crate) fn lstm(inputs: usize, hidden: usize) -> Lstm<Tensor<f64>> {
    randomised(&Lstm::new(inputs, hidden, &mut StdRng::seed_from_u64(0)).with_learned_state(), 2)
}

pub(crate) fn gru(inputs: usize, hidden: usize, reset: Reset) -> Gru<Tensor<f64>> {
    let mut gru = Gru::new(inputs, hidden, &mut StdRng::seed_from_u64(0)).with_learned_state();
    gru.reset = reset;
    randomised(&gru, 3)
}
