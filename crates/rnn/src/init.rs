//! Initial values of parameters, drawn from a generator of the caller's: the same seed, the same bits.

use rand::{Rng, RngExt};
use rewind_autograd::{Scalar, Tensor};

/// Uniform in ±bound.
pub fn uniform<T: Scalar>(shape: &[usize], bound: f64, rng: &mut impl Rng) -> Tensor<T> {
    Tensor::from_fn(shape, |_| T::from_f64(bound * (2.0 * rng.random::<f64>() - 1.0)))
}

/// Uniform in ±1/√H for a cell of `hidden` units: what PyTorch does for recurrent layers.
pub fn uniform_hidden<T: Scalar>(shape: &[usize], hidden: usize, rng: &mut impl Rng) -> Tensor<T> {
    uniform(shape, 1.0 / (hidden as f64).sqrt(), rng)
}

/// Uniform in ±√(6/(inputs + outputs)) for a weight `[inputs, outputs]`: keeps the variance of values and of gradients
/// from layer to layer (Glorot and Bengio 2010, "Xavier").
///
/// # Panics
/// If `shape` has not two axes.
#[track_caller]
pub fn xavier<T: Scalar>(shape: &[usize], rng: &mut impl Rng) -> Tensor<T> {
    let &[inputs, outputs] = shape else { panic!("xavier: shape {shape:?}; expected [inputs, outputs]") };
    uniform(shape, (6.0 / (inputs + outputs).max(1) as f64).sqrt(), rng)
}

/// A matrix with orthonormal rows or columns, whichever are fewer: repeated products with it neither explode nor vanish
/// (Saxe et al. 2014). Drawn evenly from all of them: the Q of a Gaussian matrix.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// let q: Tensor<f64> = rewind_rnn::init::orthogonal(&[4, 4], &mut StdRng::seed_from_u64(1));
/// let identity = q.transpose().matmul(&q);
/// assert!((identity.at(&[2, 2]) - 1.0).abs() < 1e-12 && identity.at(&[0, 3]).abs() < 1e-12);
/// ```
///
/// # Panics
/// If `shape` has not two axes.
#[track_caller]
pub fn orthogonal<T: Scalar>(shape: &[usize], rng: &mut impl Rng) -> Tensor<T> {
    let &[rows, cols] = shape else { panic!("orthogonal: shape {shape:?}; expected two axes") };
    let (count, length) = (rows.min(cols), rows.max(cols));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut v: Vec<f64> = (0..length).map(|_| gaussian(rng)).collect();
        // Gram-Schmidt, twice: once leaves rounding errors of the size of the part that was removed.
        for _ in 0..2 {
            for other in &vectors {
                let along = dot(&v, other);
                v.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
            }
        }
        let norm = dot(&v, &v).sqrt();
        // A vector that lies in the span of the others (one in 10^8, say) is drawn again.
        if norm > 1e-8 {
            vectors.push(v.into_iter().map(|x| x / norm).collect());
        }
    }
    Tensor::from_fn(shape, |i| {
        let (r, c) = (i / cols, i % cols);
        T::from_f64(if rows <= cols { vectors[r][c] } else { vectors[c][r] })
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// A standard normal number (Box and Muller 1958).
fn gaussian(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
