//! Magnitudes of a matrix: its largest element, its singular values, its spectral radius.

use nalgebra::DMatrix;
use rewind_autograd::{Scalar, Tensor};

/// The spectral radius ρ of a square matrix `[n, n]`: the largest |λ| of its eigenvalues. A linear recurrence h' = h·U neither
/// grows nor fades in the long run if ρ(U) = 1. NaN if an element is NaN or infinite, or if the powers of a matrix that is not triangular
/// underflow; 0 without elements.
///
/// By Gelfand's formula, ρ = lim |Uᵏ|^(1/k), at k = 2⁶⁰ by repeated squaring: it always ends, as iterations for all eigenvalues
/// may not.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::lens::spectral_radius;
///
/// // A rotation by 60 degrees, with a gain of 1.5: eigenvalues 1.5·exp(±iπ/3).
/// let (sin, cos) = std::f64::consts::FRAC_PI_3.sin_cos();
/// let u = Tensor::from_vec(vec![1.5 * cos, -1.5 * sin, 1.5 * sin, 1.5 * cos], &[2, 2]);
/// assert!((spectral_radius(&u) - 1.5).abs() < 1e-12);
/// ```
///
/// # Panics
/// If the matrix is not square.
#[track_caller]
pub fn spectral_radius<T: Scalar>(matrix: &Tensor<T>) -> f64 {
    const SQUARINGS: i32 = 60;
    let &[rows, columns] = matrix.shape() else {
        panic!("spectral_radius: shape {:?}; expected a square matrix [n, n]", matrix.shape())
    };
    if rows != columns {
        panic!("spectral_radius: shape [{rows}, {columns}]; expected a square matrix [n, n]");
    }
    if !matrix.all_finite() {
        return f64::NAN;
    }
    let matrix = matrix.map_to_f64();
    if matrix.clone().upper_triangle() == matrix || matrix.clone().lower_triangle() == matrix {
        return matrix.diagonal().iter().fold(0.0, |radius, x| x.abs().max(radius)); // these are the eigenvalues
    }
    let (mut power, mut log) = (matrix, 0.0);
    for k in 0..=SQUARINGS {
        // The power is kept at norm 1; its logarithm is summed.
        let largest = power.amax();
        if largest == 0.0 {
            return f64::NAN; // nilpotent, or underflown: no number rather than a wrong one
        }
        power /= largest;
        let norm = power.norm();
        power /= norm;
        log += (largest.ln() + norm.ln()) * 0.5_f64.powi(k);
        power = &power * &power;
    }
    log.exp()
}

/// The largest and the smallest singular value of a matrix `[m, n]`: how far it stretches a vector at most and at least. NaN if
/// an element is NaN or infinite, 0 without elements.
///
/// ```
/// use rewind_autograd::Tensor;
/// use rewind_rnn::lens::stretch;
///
/// let (largest, smallest) = stretch(&Tensor::from_vec(vec![0.0, -3.0, 2.0, 0.0], &[2, 2]));
/// assert!((largest - 3.0).abs() < 1e-12 && (smallest - 2.0).abs() < 1e-12);
/// ```
///
/// # Panics
/// If it has not two axes.
#[track_caller]
pub fn stretch<T: Scalar>(matrix: &Tensor<T>) -> (f64, f64) {
    assert!(matrix.rank() == 2, "stretch: shape {:?}; expected a matrix [m, n]", matrix.shape());
    if matrix.is_empty() {
        return (0.0, 0.0);
    }
    let matrix = matrix.map_to_f64();
    let largest = matrix.amax();
    if matrix.iter().any(|x| !x.is_finite()) {
        return (f64::NAN, f64::NAN);
    }
    if largest == 0.0 {
        return (0.0, 0.0);
    }
    // In units of the largest element, squares neither overflow nor vanish.
    let scaled = matrix / largest;
    let norm = scaled.norm();
    let most = 100 * (scaled.nrows() + scaled.ncols());
    let Some(svd) = scaled.try_svd(false, false, f64::EPSILON, most) else { return (f64::NAN, f64::NAN) };
    let values = svd.singular_values;
    // Squares of the singular values sum to those of the elements: no number rather than a wrong one.
    if (values.norm() - norm).abs() > 1e-8 * norm {
        return (f64::NAN, f64::NAN);
    }
    (values.max() * largest, values.min() * largest)
}

/// The largest magnitude of all elements; NaN if one is.
pub(super) fn largest<T: Scalar>(x: &Tensor<T>) -> f64 {
    x.to_vec().into_iter().map(|x| x.to_f64().abs()).fold(0.0, |a, b| if a.is_nan() || a > b { a } else { b })
}

trait ToMatrix {
    fn map_to_f64(&self) -> DMatrix<f64>;
}

impl<T: Scalar> ToMatrix for Tensor<T> {
    fn map_to_f64(&self) -> DMatrix<f64> {
        let elements = self.to_vec().into_iter().map(T::to_f64);
        DMatrix::from_row_iterator(self.shape()[0], self.shape()[1], elements)
    }
}
