//! Initialisers.
use rand::{Rng, RngExt};
use rewind_autograd::{Scalar, Tensor};

/// Uniform in ±1/√H.
pub fn uniform_hidden<T: Scalar>(shape: &[usize], hidden: usize, rng: &mut impl Rng) -> Tensor<T> {
    let bound = 1.0 / (hidden as f64).sqrt();
    Tensor::from_fn(shape, |_| T::from_f64(rng.random_range(-bound..bound)))
}
