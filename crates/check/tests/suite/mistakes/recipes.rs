//! What others check gradients by, written again from what they publish: for comparison on the same mistakes.
//!
//! - `torch.autograd.gradcheck` and `gradgradcheck` (PyTorch 2.9, `torch/autograd/gradcheck.py`): eps 1e-6, atol 1e-5, rtol
//!   1e-3; the whole Jacobian, or with `fast_mode` one product of it per input with positive random unit vectors, and atol
//!   scaled by their sums.
//! - `jax.test_util.check_grads` (`jax/_src/public_test_util.py`, 2025): eps 1e-4, tolerance 1e-5 in `f64`, relative and
//!   absolute; one tangent and one cotangent from the normal distribution. The reverse mode of it: there is no forward mode
//!   here to compare.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Tape, Tensor, Var};

pub(crate) type Plain<'f> = dyn for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64> + 'f;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Recipe {
    Gradcheck,
    GradcheckFast,
    CheckGrads,
}

impl Recipe {
    /// Whether both orders pass; a panic is a failure, as an exception is there.
    pub(crate) fn passes(self, inputs: &[Tensor<f64>], f: &Plain<'_>) -> bool {
        catch_unwind(AssertUnwindSafe(|| match self {
            Recipe::Gradcheck => torch(inputs, f, &jacobian_agrees),
            Recipe::GradcheckFast => torch(inputs, f, &product_agrees),
            Recipe::CheckGrads => {
                inner_product_agrees(inputs, f)
                    && inner_product_agrees(inputs, &|tape, v| pulled_back_value(tape, v, f))
            }
        }))
        .unwrap_or(false)
    }
}

/// gradcheck, then gradgradcheck: the same of the vector-Jacobian product, in the inputs and the cotangent.
fn torch(inputs: &[Tensor<f64>], f: &Plain<'_>, agrees: &dyn Fn(&[Tensor<f64>], &Plain<'_>) -> bool) -> bool {
    if !agrees(inputs, f) {
        return false;
    }
    let cotangent = normal(value(inputs, f).shape(), &mut StdRng::seed_from_u64(3));
    let with_cotangent: Vec<_> = inputs.iter().cloned().chain([cotangent]).collect();
    agrees(&with_cotangent, &|tape, v| {
        let (cotangent, x) = v.split_last().expect("the cotangent is the last");
        flat(&f(tape, x).grad_from(*cotangent, x))
    })
}

fn pulled_back_value<'t>(tape: &'t Tape<f64>, v: &[Var<'t, f64>], f: &Plain<'_>) -> Var<'t, f64> {
    let y = f(tape, v);
    flat(&y.grad_from(y, v))
}

fn flat<'t>(gradients: &[Var<'t, f64>]) -> Var<'t, f64> {
    let rows: Vec<_> = gradients.iter().map(|g| g.reshape(&[g.element_count()])).collect();
    concat(&rows, 0)
}

fn value(inputs: &[Tensor<f64>], f: &Plain<'_>) -> Tensor<f64> {
    let tape = Tape::new();
    let x: Vec<_> = inputs.iter().map(|x| tape.leaf(x.clone())).collect();
    f(&tape, &x).value()
}

fn pulled_back(inputs: &[Tensor<f64>], f: &Plain<'_>, cotangent: &Tensor<f64>) -> Vec<Tensor<f64>> {
    let tape = Tape::new();
    let x: Vec<_> = inputs.iter().map(|x| tape.leaf(x.clone())).collect();
    let gradients = f(&tape, &x).backward_from(cotangent);
    x.iter().map(|&x| gradients.get(x)).collect()
}

/// (f(x + eps·u) - f(x - eps·u)) / 2eps.
fn pushed_forward(inputs: &[Tensor<f64>], f: &Plain<'_>, u: &[Tensor<f64>], eps: f64) -> Tensor<f64> {
    let moved = |by: f64| -> Vec<_> { inputs.iter().zip(u).map(|(x, u)| x.zip(u, |x, u| x + by * u)).collect() };
    value(&moved(eps), f).zip(&value(&moved(-eps), f), |p, m| (p - m) / (2.0 * eps))
}

fn close(analytic: f64, numeric: f64, atol: f64, rtol: f64) -> bool {
    (analytic - numeric).abs() <= atol + rtol * numeric.abs()
}

fn jacobian_agrees(inputs: &[Tensor<f64>], f: &Plain<'_>) -> bool {
    let y = value(inputs, f);
    let one = |shape: &[usize], k: usize| Tensor::from_fn(shape, |i| if i == k { 1.0 } else { 0.0 });
    let rows: Vec<Vec<Tensor<f64>>> = (0..y.len()).map(|k| pulled_back(inputs, f, &one(y.shape(), k))).collect();
    let rows: Vec<Vec<Vec<f64>>> = rows.iter().map(|row| row.iter().map(Tensor::to_vec).collect()).collect();
    (0..inputs.len()).all(|i| {
        (0..inputs[i].len()).all(|at| {
            let mut u: Vec<_> = inputs.iter().map(|x| Tensor::zeros(x.shape())).collect();
            u[i] = one(inputs[i].shape(), at);
            let column = pushed_forward(inputs, f, &u, 1e-6).to_vec();
            column.iter().enumerate().all(|(k, &numeric)| close(rows[k][i][at], numeric, 1e-5, 1e-3))
        })
    })
}

fn product_agrees(inputs: &[Tensor<f64>], f: &Plain<'_>) -> bool {
    let rng = &mut StdRng::seed_from_u64(2);
    let mut unit = |shape: &[usize]| {
        let x = Tensor::from_fn(shape, |_| rng.random_range(0.0..1.0_f64));
        let norm = x.norm();
        x.map(|x| x / norm)
    };
    let v = unit(value(inputs, f).shape());
    let rows = pulled_back(inputs, f, &v);
    (0..inputs.len()).all(|i| {
        let mut u: Vec<_> = inputs.iter().map(|x| Tensor::zeros(x.shape())).collect();
        u[i] = unit(inputs[i].shape());
        let analytic = rows[i].zip(&u[i], |g, u| g * u).sum();
        let numeric = pushed_forward(inputs, f, &u, 1e-6).zip(&v, |y, v| y * v).sum();
        close(analytic, numeric, 1e-5 * u[i].sum() * v.sum(), 1e-3)
    })
}

fn inner_product_agrees(inputs: &[Tensor<f64>], f: &Plain<'_>) -> bool {
    let rng = &mut StdRng::seed_from_u64(0);
    let tangent: Vec<_> = inputs.iter().map(|x| normal(x.shape(), rng)).collect();
    let pushed = pushed_forward(inputs, f, &tangent, 1e-4);
    let cotangent = normal(pushed.shape(), rng);
    let pulled = pulled_back(inputs, f, &cotangent);
    let analytic: f64 = tangent.iter().zip(&pulled).map(|(t, g)| t.zip(g, |t, g| t * g).sum()).sum();
    close(analytic, pushed.zip(&cotangent, |y, c| y * c).sum(), 1e-5, 1e-5)
}

/// Box and Muller (1958).
fn normal(shape: &[usize], rng: &mut StdRng) -> Tensor<f64> {
    Tensor::from_fn(shape, |_| {
        let (radius, angle) = (rng.random_range(f64::EPSILON..1.0_f64), rng.random_range(0.0..std::f64::consts::TAU));
        (-2.0 * radius.ln()).sqrt() * angle.cos()
    })
}
