//! The elements of tensors: as `f64`, drawn, moved, compared.

use rewind_autograd::{Scalar, Tensor};

/// All elements in row-major order.
pub(crate) fn elements<T: Scalar>(x: &Tensor<T>) -> Vec<f64> {
    x.to_vec().into_iter().map(T::to_f64).collect()
}

/// Values in ±[0.5, 1.5) that follow no pattern: weights of a projection. Never near 0, so that nothing is hidden, and of
/// both signs, so that errors of one sign cannot cancel against each other unseen.
pub(crate) fn direction<T: Scalar>(shape: &[usize], seed: u64, stream: u64) -> Tensor<T> {
    let mut state = (stream ^ seed.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    Tensor::from_fn(shape, |_| {
        // splitmix64 (Steele et al. 2014): a check must not depend on the generator of a library.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let size = 0.5 + (z >> 11) as f64 / (1_u64 << 53) as f64;
        T::from_f64(if z & 1 == 0 { size } else { -size })
    })
}

/// Every element moved by a thousandth of its size.
pub(crate) fn nudged<T: Scalar>(x: &Tensor<T>, seed: u64, stream: u64) -> Tensor<T> {
    let (u, from) = (direction::<f64>(x.shape(), seed, stream + 77).to_vec(), elements(x));
    Tensor::from_fn(x.shape(), |k| T::from_f64(from[k] + 1e-3 * u[k] * if from[k] == 0.0 { 1.0 } else { from[k] }))
}

/// Whether two values differ by more than rounding.
pub(crate) fn differ<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>) -> bool {
    let apart = |(a, b): (f64, f64)| (a - b).abs() > 1e3 * T::EPSILON.to_f64() * a.abs().max(b.abs());
    elements(a).into_iter().zip(elements(b)).any(apart)
}
