//! The lens: the gradient in time, by items, by the factors of each, and by what flows through the states.

mod compositions;
mod dot;
mod flow;
mod items;
mod path;
#[cfg(feature = "serde")]
mod serialised;
mod unit;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::{Module, Scalar, Tensor, Var};

fn random<T: Scalar>(shape: &[usize], seed: u64) -> Tensor<T> {
    let mut rng = StdRng::seed_from_u64(seed);
    Tensor::from_fn(shape, |_| T::from_f64(rng.random_range(-1.0..1.0)))
}

/// All parameters random: biases and first states are not zero.
fn randomised<T: Scalar, M: Module<T>>(module: &M, seed: u64) -> M {
    let mut k = seed;
    module.map(|_, p| {
        k += 1;
        random(p.shape(), k)
    })
}

/// A loss at every time step, of outputs `[T, B, H]`.
fn step_losses<'t, T: Scalar>(outputs: Var<'t, T>) -> Vec<Var<'t, T>> {
    let target = outputs.tape().constant(random(&outputs.shape(), 77));
    let off = outputs - target;
    let square = off * off;
    (0..outputs.shape()[0]).map(|t| square.index(0, t).sum() * T::from_f64(0.5)).collect()
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}
