//! Seeded initialisers: the same seed gives the same bits, in `f32` the rounded bits of `f64`.
//!
//! Weights are laid out `[inputs, outputs]`. A shape of any other rank is read as a matrix: the leading axes together
//! are its rows (the fan-in), the last axis its columns (the fan-out); `[n]` is one row, `[]` is one element.
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use rewind_autograd::Tensor;
//! use rewind_rnn::init;
//!
//! let draw = |seed| -> Tensor<f32> { init::xavier_uniform(&[12, 64], &mut StdRng::seed_from_u64(seed)) };
//! assert_eq!(draw(7), draw(7));
//! assert_ne!(draw(7), draw(8));
//!
//! let rng = &mut StdRng::seed_from_u64(1);
//! let q: Tensor<f64> = init::orthogonal(&[4, 4], rng);
//! let v: Tensor<f64> = init::normal(&[1, 4], 1.0, rng);
//! assert!((v.matmul(&q).norm() - v.norm()).abs() < 1e-14); // the norm is preserved
//!
//! let weight: Tensor<f32> = init::uniform_hidden(&[4, 64], 64, rng); // in ±1/8, as init::uniform(&[4, 64], 0.125, rng)
//! assert!(weight.to_vec().iter().all(|w| w.abs() <= 0.125));
//! assert_eq!(init::zeros::<f32>(&[64]), init::constant(&[64], 0.0));
//! ```

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use rewind_autograd::{Scalar, Tensor};

/// Rows and columns of a shape read as a matrix: leading axes together, and the last.
fn as_matrix(shape: &[usize]) -> (usize, usize) {
    match shape {
        [] => (1, 1),
        [leading @ .., last] => (leading.iter().product(), *last),
    }
}

/// A tensor filled with 0: the usual initial bias.
pub fn zeros<T: Scalar>(shape: &[usize]) -> Tensor<T> {
    Tensor::zeros(shape)
}

/// A tensor filled with `value`, such as the bias of an open forget gate.
pub fn constant<T: Scalar>(shape: &[usize], value: f64) -> Tensor<T> {
    Tensor::full(shape, T::from_f64(value))
}

/// Every element uniform in [-bound, bound).
///
/// # Panics
/// If `bound` is negative, infinite or NaN.
#[track_caller]
pub fn uniform<T: Scalar>(shape: &[usize], bound: f64, rng: &mut impl Rng) -> Tensor<T> {
    if !(bound >= 0.0 && bound.is_finite()) {
        panic!("uniform: bound {bound} is no bound; expected a finite number >= 0");
    }
    Tensor::from_fn(shape, |_| T::from_f64(bound * (2.0 * rng.random::<f64>() - 1.0)))
}

/// Every element uniform in ±1/√H for H hidden units: the initial values of PyTorch's recurrent layers.
///
/// # Panics
/// If `hidden` is 0.
#[track_caller]
pub fn uniform_hidden<T: Scalar>(shape: &[usize], hidden: usize, rng: &mut impl Rng) -> Tensor<T> {
    if hidden == 0 {
        panic!("uniform_hidden: 0 hidden units have no 1/√H; expected at least 1");
    }
    uniform(shape, 1.0 / (hidden as f64).sqrt(), rng)
}

/// Every element uniform in ±√(6/(fan_in + fan_out)), which keeps the variance of activations and of gradients near 1
/// (Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks").
///
/// `[I, O]`: fan_in = I, fan_out = O.
pub fn xavier_uniform<T: Scalar>(shape: &[usize], rng: &mut impl Rng) -> Tensor<T> {
    let (rows, columns) = as_matrix(shape);
    let fans = (rows + columns).max(1);
    uniform(shape, (6.0 / fans as f64).sqrt(), rng)
}

/// Every element normal, with mean 0 and the given standard deviation.
///
/// # Panics
/// If `deviation` is negative, infinite or NaN.
#[track_caller]
pub fn normal<T: Scalar>(shape: &[usize], deviation: f64, rng: &mut impl Rng) -> Tensor<T> {
    if !(deviation >= 0.0 && deviation.is_finite()) {
        panic!("normal: {deviation} is no standard deviation; expected a finite number >= 0");
    }
    Tensor::from_fn(shape, |_| T::from_f64(deviation * rng.sample::<f64, _>(StandardNormal)))
}

/// A uniformly distributed orthogonal matrix (Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear
/// dynamics of learning in deep linear neural networks"): repeated products with it preserve the norm of a vector.
///
/// Q of the QR decomposition of a Gaussian matrix, with the diagonal of R positive, which makes Q uniform (Mezzadri
/// 2007). `[m, n]`: QᵀQ = 1 if m >= n, QQᵀ = 1 if m <= n.
pub fn orthogonal<T: Scalar>(shape: &[usize], rng: &mut impl Rng) -> Tensor<T> {
    let (rows, columns) = as_matrix(shape);
    let (long, short) = (rows.max(columns), rows.min(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(short);
    while basis.len() < short {
        let drawn: Vec<f64> = (0..long).map(|_| rng.sample(StandardNormal)).collect();
        // A vector that is in the span of the others up to rounding has no direction left: draw another.
        basis.extend(orthonormalised(drawn, &basis));
    }
    let at = |i: usize| {
        let (row, column) = (i / columns, i % columns);
        if rows >= columns { basis[column][row] } else { basis[row][column] }
    };
    Tensor::from_fn(shape, |i| T::from_f64(at(i)))
}

/// `v` without its parts along `basis`, of length 1. Gram and Schmidt's projection is done twice, which is as exact as
/// rounding allows (Giraud et al. 2005). Dividing by the positive norm is what makes the diagonal of R positive.
fn orthonormalised(mut v: Vec<f64>, basis: &[Vec<f64>]) -> Option<Vec<f64>> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let before = dot(&v, &v).sqrt();
    for _ in 0..2 {
        for q in basis {
            let along = dot(q, &v);
            v.iter_mut().zip(q).for_each(|(v, q)| *v -= along * q);
        }
    }
    let norm = dot(&v, &v).sqrt();
    v.iter_mut().for_each(|v| *v /= norm);
    (norm > 1e-8 * before).then_some(v)
}
