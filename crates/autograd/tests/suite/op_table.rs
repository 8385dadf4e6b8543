//! The one list of ops. Every test of values and rules walks it; an op without a row here fails the suite.
//!
//! The names in `ops` are those that ops have on the tape. Ops that only rules record (adjoints, and the sums of a
//! recorded sweep) get their row through `grad_from`.

use rewind_autograd::ops::accumulate::sum_of_terms;
use rewind_autograd::ops::activation::{SigmoidVjp, TanhVjp};
use rewind_autograd::ops::elementary::SquareVjp;
use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::ops::loss::BinaryCrossEntropyVjp;
use rewind_autograd::ops::recurrence::{linear_recurrence, linear_recurrence_reversed};
use rewind_autograd::{Tape, Tensor, Term, Var};

use crate::naive::Array;

pub(crate) type Build<T> = for<'t> fn(&'t Tape<T>, &[Var<'t, T>]) -> Var<'t, T>;

/// One function of some inputs.
pub(crate) struct Row {
    /// The ops that the row covers: the builder records each of them.
    pub(crate) ops: &'static [&'static str],
    /// What tells it from other rows of the same op.
    pub(crate) case: &'static str,
    /// Sample inputs, away from kinks.
    pub(crate) inputs: Vec<Array>,
    /// The value, computed without the engine.
    pub(crate) value: fn(&[Array]) -> Array,
    /// The same in ops.
    pub(crate) build: Build<f64>,
    pub(crate) build_f32: Build<f32>,
}

impl Row {
    pub(crate) fn name(&self) -> String {
        format!("{} ({})", self.ops.join(", "), self.case)
    }
}

/// Ops that are flat wherever they have a derivative: every rule but zero is wrong.
pub(crate) const FLAT: [&str; 5] = ["heaviside", "sign", "above", "within", "first_max"];

macro_rules! rows {
    ($($ops:literal $(+ $more:literal)*, $case:literal, [$($input:expr),*], |$x:ident| $value:expr, |$tape:tt, $v:ident| $build:expr;)*) => {
        vec![$(Row {
            ops: &[$ops $(, $more)*],
            case: $case,
            inputs: vec![$($input),*],
            value: |$x| $value,
            build: |$tape, $v| $build,
            build_f32: |$tape, $v| $build,
        }),*]
    };
}

fn any(shape: &[usize]) -> Array {
    Array::sample(shape, shape.iter().fold(7, |s, &n| s * 31 + n as u64))
}

fn other(shape: &[usize]) -> Array {
    Array::sample(shape, shape.iter().fold(11, |s, &n| s * 37 + n as u64))
}

fn third(shape: &[usize]) -> Array {
    Array::sample(shape, shape.iter().fold(13, |s, &n| s * 41 + n as u64))
}

fn positive(shape: &[usize]) -> Array {
    any(shape).map(f64::abs)
}

fn step(x: f64) -> f64 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

/// The error function by its Taylor series, which is exact to rounding for the small numbers here.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..60 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn log_sum_exp(line: &[f64]) -> f64 {
    line.iter().map(|x| x.exp()).sum::<f64>().ln()
}

fn softmax(line: &[f64]) -> Vec<f64> {
    line.iter().map(|a| (a - log_sum_exp(line)).exp()).collect()
}

fn largest(line: &[f64]) -> f64 {
    line.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// 1 at the first place of the largest number.
fn first_largest(line: &[f64]) -> Vec<f64> {
    let first = line.iter().position(|&x| x == largest(line));
    (0..line.len()).map(|i| if Some(i) == first { 1.0 } else { 0.0 }).collect()
}

fn running_sums(line: &[f64]) -> Vec<f64> {
    (1..=line.len()).map(|n| line[..n].iter().sum()).collect()
}

fn normalised(line: &[f64]) -> Vec<f64> {
    let n = line.len() as f64;
    let mean = line.iter().sum::<f64>() / n;
    let variance = line.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    line.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect()
}

fn flipped(x: &Array) -> Array {
    x.along(0, |l| l.iter().rev().copied().collect())
}

/// The rows of the step before, `first` before the first.
fn delayed(x: &Array, first: &Array) -> Array {
    let mut shape = first.shape.clone();
    shape.insert(0, 1);
    Array::concat(&[&first.reshape(&shape), &x.slice(0, 0..x.shape[0] - 1)], 0)
}

/// h_t = a_t·h_(t-1) + b_t, from `first`.
fn recurrence(a: &Array, b: &Array, first: &Array) -> Array {
    let (a, mut h) = (a.broadcast_to(&b.shape), b.clone());
    let step = first.data.len();
    for i in 0..h.data.len() {
        let before = if i < step { first.data[i] } else { h.data[i - step] };
        h.data[i] += a.data[i] * before;
    }
    h
}

/// l_t = g_t + a_(t+1)·l_(t+1).
fn adjoint_recurrence(a: &Array, g: &Array) -> Array {
    let (mut l, step) = (g.clone(), g.data.len() / g.shape[0]);
    for i in (0..l.data.len() - step).rev() {
        l.data[i] += a.data[i + step] * l.data[i + step];
    }
    l
}

pub(crate) fn rows() -> Vec<Row> {
    let mut all = elementwise();
    all.extend(along_axes());
    all.extend(products());
    all.extend(layouts());
    all.extend(recorded_by_rules());
    all
}

fn elementwise() -> Vec<Row> {
    rows! {
        "add", "same shape", [any(&[3, 4]), other(&[3, 4])], |x| x[0].zip(&x[1], |a, b| a + b), |_, v| v[0] + v[1];
        "add", "both stretched", [any(&[3, 1, 2]), other(&[4, 1])], |x| x[0].zip(&x[1], |a, b| a + b), |_, v| v[0] + v[1];
        "add", "one variable twice", [any(&[3])], |x| x[0].map(|a| a + a), |_, v| v[0] + v[0];
        "sub", "same shape", [any(&[3, 4]), other(&[3, 4])], |x| x[0].zip(&x[1], |a, b| a - b), |_, v| v[0] - v[1];
        "sub", "left stretched", [any(&[4]), other(&[2, 3, 4])], |x| x[0].zip(&x[1], |a, b| a - b), |_, v| v[0] - v[1];
        "mul", "same shape", [any(&[3, 4]), other(&[3, 4])], |x| x[0].zip(&x[1], |a, b| a * b), |_, v| v[0] * v[1];
        "mul", "scalar", [any(&[]), other(&[3, 2])], |x| x[0].zip(&x[1], |a, b| a * b), |_, v| v[0] * v[1];
        "mul", "stretched views", [any(&[4, 3]), other(&[2, 1, 4])],
            |x| x[0].transpose().zip(&x[1], |a, b| a * b), |_, v| v[0].transpose() * v[1];
        "mul", "square", [any(&[3])], |x| x[0].map(|a| a * a), |_, v| v[0] * v[0];
        "div", "same shape", [any(&[3, 4]), other(&[3, 4])], |x| x[0].zip(&x[1], |a, b| a / b), |_, v| v[0] / v[1];
        "div", "right stretched", [any(&[2, 3]), other(&[1, 3])], |x| x[0].zip(&x[1], |a, b| a / b), |_, v| v[0] / v[1];
        "scale_shift", "two numbers", [any(&[2, 3])], |x| x[0].map(|a| 0.5 - 2.0 * a), |_, v| v[0].scale_shift(-2.0, 0.5);
        "scale_shift" + "div_by_number", "operators with numbers", [any(&[5])],
            |x| x[0].map(|a| 3.0 - (-((a + 1.0) * 2.0 - 0.5) / 4.0) + (1.0 - a)),
            |_, v| 3.0 - (-((v[0] + 1.0) * 2.0 - 0.5) / 4.0) + v[0].one_minus();
        "scale_shift" + "number_div", "numbers on the left", [any(&[5])],
            |x| x[0].map(|a| 1.5 + 2.0 * a * a + 3.0 / a - 1.0 / a), |_, v| 1.5 + 2.0 * v[0] * v[0] + 3.0 / v[0] - 1.0 / v[0];
        "maximum", "stretched", [any(&[3, 4]), other(&[4])], |x| x[0].zip(&x[1], f64::max), |_, v| v[0].maximum(v[1]);
        "exp", "", [any(&[3, 4])], |x| x[0].map(f64::exp), |_, v| v[0].exp();
        "ln", "", [positive(&[3, 4])], |x| x[0].map(f64::ln), |_, v| v[0].ln();
        "exp_m1", "", [any(&[3, 4])], |x| x[0].map(|a| a.exp() - 1.0), |_, v| v[0].exp_m1();
        "ln_1p", "", [positive(&[3, 4])], |x| x[0].map(|a| (1.0 + a).ln()), |_, v| v[0].ln_1p();
        "square", "", [any(&[3, 4])], |x| x[0].map(|a| a * a), |_, v| v[0].square();
        "sqrt", "", [positive(&[3, 4])], |x| x[0].map(f64::sqrt), |_, v| v[0].sqrt();
        "reciprocal", "", [any(&[3, 4])], |x| x[0].map(|a| 1.0 / a), |_, v| v[0].reciprocal();
        "sin", "", [any(&[3, 4])], |x| x[0].map(f64::sin), |_, v| v[0].sin();
        "cos", "", [any(&[3, 4])], |x| x[0].map(f64::cos), |_, v| v[0].cos();
        "erf", "", [any(&[3, 4])], |x| x[0].map(erf), |_, v| v[0].erf();
        "abs", "", [any(&[3, 4])], |x| x[0].map(|a| if a < 0.0 { -a } else { a }), |_, v| v[0].abs();
        "powf", "whole", [any(&[3, 4])], |x| x[0].map(|a| a * a * a), |_, v| v[0].powf(3.0);
        "powf", "fraction", [positive(&[3, 4])], |x| x[0].map(|a| 1.0 / (a * a.sqrt())), |_, v| v[0].powf(-1.5);
        "powf", "one", [any(&[3])], |x| x[0].clone(), |_, v| v[0].powf(1.0);
        "map_cotangent" + "mul", "nothing changed", [any(&[3, 4])],
            |x| x[0].map(|a| a * a), |_, v| v[0].map_cotangent(|cotangent| cotangent) * v[0];
        "tanh", "", [any(&[3, 5])], |x| x[0].map(|a| 1.0 - 2.0 / ((2.0 * a).exp() + 1.0)), |_, v| v[0].tanh();
        "sigmoid", "", [any(&[3, 5])], |x| x[0].map(|a| 1.0 / (1.0 + (-a).exp())), |_, v| v[0].sigmoid();
        "softplus", "", [any(&[3, 4])], |x| x[0].map(|a| (1.0 + a.exp()).ln()), |_, v| v[0].softplus();
        "elu", "", [any(&[3, 4])], |x| x[0].map(|a| if a > 0.0 { a } else { a.exp() - 1.0 }), |_, v| v[0].elu();
        "relu", "", [any(&[3, 4])], |x| x[0].map(|a| a.max(0.0)), |_, v| v[0].relu();
        "heaviside", "", [any(&[3, 4])], |x| x[0].map(step), |_, v| v[0].heaviside();
        "sign", "", [any(&[3, 4])], |x| x[0].map(f64::signum), |_, v| v[0].sign();
        "clamp", "", [any(&[3, 5])], |x| x[0].map(|a| a.clamp(-0.7, 0.8)), |_, v| v[0].clamp(-0.7, 0.8);
        "where", "stretched", [any(&[3, 1]), other(&[3, 4]), third(&[4])],
            |x| Array::from_index(&[3, 4], |i| if x[0].at(i) > 0.0 { x[1].at(i) } else { x[2].at(i) }),
            |t, v| t.constant(v[0].value().map(|m| if m > 0.0 { 1.0 } else { 0.0 })).select(v[1], v[2]) + v[0] * 0.0;
        "normal_cdf", "", [any(&[3, 4])], |x| x[0].map(|a| 0.5 * (1.0 + erf(a / 2_f64.sqrt()))), |_, v| v[0].normal_cdf();
        "normal_cdf" + "mul", "gelu", [any(&[3, 4])],
            |x| x[0].map(|a| 0.5 * a * (1.0 + erf(a / 2_f64.sqrt()))), |_, v| v[0].gelu();
        "sigmoid" + "mul", "silu", [any(&[3, 4])], |x| x[0].map(|a| a / (1.0 + (-a).exp())), |_, v| v[0].silu();
        "binary_cross_entropy", "", [any(&[3, 4]), positive(&[3, 4])],
            |x| x[0].zip(&x[1], |a, y| { let p = 1.0 / (1.0 + (-a).exp()); -(y * p.ln() + (1.0 - y) * (1.0 - p).ln()) }),
            |_, v| v[0].binary_cross_entropy(v[1]);
        "mul", "squared error", [any(&[3, 4]), other(&[3, 4])],
            |x| x[0].zip(&x[1], |a, b| (a - b) * (a - b)), |_, v| v[0].squared_error(v[1]);
    }
}

fn along_axes() -> Vec<Row> {
    rows! {
        "sum", "matrix", [any(&[3, 4])], |x| Array::new(&[], vec![x[0].data.iter().sum()]), |_, v| v[0].sum();
        "sum", "mean", [any(&[2, 5])], |x| Array::new(&[], vec![x[0].data.iter().sum::<f64>() / 10.0]), |_, v| v[0].mean();
        "sum_axis", "first", [any(&[3, 4])], |x| x[0].reduce(0, |l| l.iter().sum()), |_, v| v[0].sum_axis(0);
        "sum_axis", "middle", [any(&[2, 3, 4])], |x| x[0].reduce(1, |l| l.iter().sum()), |_, v| v[0].sum_axis(1);
        "sum_axis", "last", [any(&[2, 3, 4])], |x| x[0].reduce(2, |l| l.iter().sum()), |_, v| v[0].sum_axis(2);
        "sum_axis", "of a stretched axis", [any(&[3, 1])],
            |x| x[0].broadcast_to(&[2, 3, 4]).reduce(2, |l| l.iter().sum()), |_, v| v[0].broadcast_to(&[2, 3, 4]).sum_axis(2);
        "sum_axis", "mean", [any(&[2, 3, 4])], |x| x[0].reduce(1, |l| l.iter().sum::<f64>() / 3.0), |_, v| v[0].mean_axis(1);
        "sum_to", "fewer axes", [any(&[2, 3, 4])], |x| x[0].sum_to(&[3, 1]), |_, v| v[0].sum_to(&[3, 1]);
        "sum_to", "a scalar", [any(&[2, 3])], |x| x[0].sum_to(&[]), |_, v| v[0].sum_to(&[]);
        "max_axis", "first", [any(&[3, 4])], |x| x[0].reduce(0, largest), |_, v| v[0].max_axis(0);
        "max_axis", "middle", [any(&[2, 3, 4])], |x| x[0].reduce(1, largest), |_, v| v[0].max_axis(1);
        "log_sum_exp", "first", [any(&[3, 4])], |x| x[0].reduce(0, log_sum_exp), |_, v| v[0].log_sum_exp(0);
        "log_sum_exp", "last", [any(&[2, 3, 4])], |x| x[0].reduce(2, log_sum_exp), |_, v| v[0].log_sum_exp(2);
        "softmax", "first", [any(&[3, 4])],
            |x| x[0].along(0, |l| l.iter().map(|a| (a - log_sum_exp(l)).exp()).collect()), |_, v| v[0].softmax(0);
        "softmax", "last", [any(&[2, 3, 4])],
            |x| x[0].along(2, |l| l.iter().map(|a| (a - log_sum_exp(l)).exp()).collect()), |_, v| v[0].softmax(2);
        "log_softmax", "first", [any(&[3, 4])],
            |x| x[0].along(0, |l| l.iter().map(|a| a - log_sum_exp(l)).collect()), |_, v| v[0].log_softmax(0);
        "log_softmax", "last", [any(&[2, 3, 4])],
            |x| x[0].along(2, |l| l.iter().map(|a| a - log_sum_exp(l)).collect()), |_, v| v[0].log_softmax(2);
        "log_softmax" + "weighted", "cross-entropy", [any(&[3, 4]), positive(&[3, 4])],
            |x| x[0].along(1, |l| l.iter().map(|a| log_sum_exp(l) - a).collect()).zip(&x[1], |a, b| a * b).reduce(1, |l| l.iter().sum()),
            |_, v| v[0].cross_entropy(v[1]);
        "cumsum", "first", [any(&[4, 3])], |x| x[0].along(0, running_sums), |_, v| v[0].cumsum(0);
        "cumsum", "last", [any(&[2, 3])], |x| x[0].along(1, running_sums), |_, v| v[0].cumsum(1);
        "linear_recurrence", "forward", [any(&[4, 3]), other(&[4, 3]), third(&[3])],
            |x| recurrence(&x[0], &x[1], &x[2]), |_, v| linear_recurrence(v[0], v[1], v[2]);
        "linear_recurrence", "reversed", [any(&[4, 3]), other(&[4, 3]), third(&[3])],
            |x| flipped(&recurrence(&flipped(&x[0]), &flipped(&x[1]), &x[2])),
            |_, v| linear_recurrence_reversed(v[0], v[1], v[2]);
        "linear_recurrence", "numbers", [any(&[5]), other(&[5]), third(&[])],
            |x| recurrence(&x[0], &x[1], &x[2]), |_, v| linear_recurrence(v[0], v[1], v[2]);
        "linear_recurrence" + "broadcast_to", "one coefficient for all steps", [any(&[3]), other(&[4, 2, 3]), third(&[2, 3])],
            |x| recurrence(&x[0], &x[1], &x[2]), |_, v| linear_recurrence(v[0], v[1], v[2]);
        "linear_recurrence" + "broadcast_to", "one coefficient a step", [any(&[3, 1]), other(&[3, 2]), third(&[2])],
            |x| recurrence(&x[0], &x[1], &x[2]), |_, v| linear_recurrence(v[0], v[1], v[2]);
        "div" + "sqrt", "layer norm", [any(&[3, 4]), other(&[4]), third(&[4])],
            |x| x[0].along(1, normalised).zip(&x[1], |a, b| a * b).zip(&x[2], |a, b| a + b),
            |_, v| v[0].layer_norm(v[1], v[2], 1e-5);
    }
}

fn products() -> Vec<Row> {
    rows! {
        "matmul", "matrices", [any(&[3, 4]), other(&[4, 2])], |x| x[0].matmul(&x[1]), |_, v| v[0].matmul(v[1]);
        "matmul", "one row", [any(&[1, 4]), other(&[4, 3])], |x| x[0].matmul(&x[1]), |_, v| v[0].matmul(v[1]);
        "matmul", "transposed", [any(&[4, 3]), other(&[2, 4])],
            |x| x[0].transpose().matmul(&x[1].transpose()), |_, v| v[0].transpose().matmul(v[1].transpose());
        "matmul", "stretched row", [any(&[4]), other(&[4, 2])],
            |x| x[0].broadcast_to(&[3, 4]).matmul(&x[1]), |_, v| v[0].broadcast_to(&[3, 4]).matmul(v[1]);
        "matmul", "batch times matrix", [any(&[2, 3, 4]), other(&[4, 2])], |x| x[0].matmul(&x[1]), |_, v| v[0].matmul(v[1]);
        "matmul", "batch times batch", [any(&[2, 3, 4]), other(&[2, 4, 2])], |x| x[0].matmul(&x[1]), |_, v| v[0].matmul(v[1]);
        "matmul", "matrix times batch", [any(&[3, 4]), other(&[2, 4, 2])], |x| x[0].matmul(&x[1]), |_, v| v[0].matmul(v[1]);
        "matmul", "stretched batches", [any(&[2, 1, 2, 3]), other(&[3, 3, 2])], |x| x[0].matmul(&x[1]), |_, v| v[0].matmul(v[1]);
        "matmul", "a matrix by itself", [any(&[3, 3])], |x| x[0].matmul(&x[0]), |_, v| v[0].matmul(v[0]);
        "matmul_transposed", "matrices", [any(&[3, 4]), other(&[2, 4])],
            |x| x[0].matmul(&x[1].transpose()), |_, v| v[0].matmul_transposed(v[1]);
        "matmul_transposed", "of views", [any(&[4, 3]), other(&[4, 2])],
            |x| x[0].transpose().matmul(&x[1]), |_, v| v[0].transpose().matmul_transposed(v[1].transpose());
        "matmul_transposed", "rows in time", [any(&[2, 3, 4]), other(&[2, 4])],
            |x| x[0].matmul(&x[1].transpose()), |_, v| v[0].matmul_transposed(v[1]);
        "matmul_transposed", "a matrix by itself", [any(&[3, 4])],
            |x| x[0].matmul(&x[0].transpose()), |_, v| v[0].matmul_transposed(v[0]);
        "affine", "no bias", [any(&[3, 4]), other(&[4, 2])], |x| x[0].matmul(&x[1]), |_, v| v[0].affine(v[1], None);
        "affine", "bias and time", [any(&[2, 3, 4]), other(&[4, 2]), third(&[2])],
            |x| x[0].matmul(&x[1]).zip(&x[2], |a, b| a + b), |_, v| v[0].affine(v[1], Some(v[2]));
        "affine", "two products", [any(&[3, 4]), other(&[4, 2]), any(&[3, 5]), other(&[5, 2]), third(&[2])],
            |x| x[0].matmul(&x[1]).zip(&x[2].matmul(&x[3]), |a, b| a + b).zip(&x[4], |a, b| a + b),
            |_, v| affine(&[(v[0], v[1]), (v[2], v[3])], Some(v[4]));
        "affine", "one weight twice", [any(&[3, 4]), other(&[3, 4]), third(&[4, 4])],
            |x| x[0].matmul(&x[2]).zip(&x[1].matmul(&x[2]), |a, b| a + b), |_, v| affine(&[(v[0], v[2]), (v[1], v[2])], None);
    }
}

fn layouts() -> Vec<Row> {
    rows! {
        "reshape", "", [any(&[3, 4])], |x| x[0].reshape(&[2, 6]), |_, v| v[0].reshape(&[2, 6]);
        "reshape", "of a view", [any(&[3, 4])], |x| x[0].transpose().reshape(&[6, 2]), |_, v| v[0].transpose().reshape(&[6, 2]);
        "unsqueeze", "middle", [any(&[3, 4])], |x| x[0].reshape(&[3, 1, 4]), |_, v| v[0].unsqueeze(1);
        "unsqueeze", "last", [any(&[3])], |x| x[0].reshape(&[3, 1]), |_, v| v[0].unsqueeze(1);
        "transpose", "matrix", [any(&[3, 4])], |x| x[0].transpose(), |_, v| v[0].transpose();
        "transpose", "batch", [any(&[2, 3, 4])], |x| x[0].transpose(), |_, v| v[0].transpose();
        "permute", "", [any(&[2, 3, 4])], |x| x[0].permute(&[2, 0, 1]), |_, v| v[0].permute(&[2, 0, 1]);
        "broadcast_to", "", [any(&[3, 1])], |x| x[0].broadcast_to(&[2, 3, 4]), |_, v| v[0].broadcast_to(&[2, 3, 4]);
        "slice", "first", [any(&[4, 3])], |x| x[0].slice(0, 1..3), |_, v| v[0].slice(0, 1..3);
        "slice", "of a transpose", [any(&[4, 3])], |x| x[0].transpose().slice(1, 2..4), |_, v| v[0].transpose().slice(1, 2..4);
        "slice", "gates", [any(&[2, 6])],
            |x| x[0].slice(1, 0..2).zip(&x[0].slice(1, 2..4), |a, b| a * b).zip(&x[0].slice(1, 4..6), |a, b| a + b),
            |_, v| { let [i, f, g] = v[0].split(1); i * f + g };
        "index", "first", [any(&[4, 3])], |x| x[0].slice(0, 2..3).reshape(&[3]), |_, v| v[0].index(0, 2);
        "index", "middle", [any(&[2, 3, 4])], |x| x[0].slice(1, 1..2).reshape(&[2, 4]), |_, v| v[0].index(1, 1);
        "concat", "last", [any(&[2, 3]), other(&[2, 1]), third(&[2, 2])],
            |x| Array::concat(&[&x[0], &x[1], &x[2]], 1), |_, v| concat(v, 1);
        "concat", "first, one twice", [any(&[2, 3]), other(&[1, 3])],
            |x| Array::concat(&[&x[0], &x[1], &x[0]], 0), |_, v| concat(&[v[0], v[1], v[0]], 0);
        "stack", "first", [any(&[2, 3]), other(&[2, 3])],
            |x| Array::concat(&[&x[0].reshape(&[1, 2, 3]), &x[1].reshape(&[1, 2, 3])], 0), |_, v| stack(v, 0);
        "stack", "last", [any(&[2, 3]), other(&[2, 3])],
            |x| Array::concat(&[&x[0].reshape(&[2, 3, 1]), &x[1].reshape(&[2, 3, 1])], 2), |_, v| stack(v, 2);
        "flip", "", [any(&[2, 3, 2])], |x| x[0].along(1, |l| l.iter().rev().copied().collect()), |_, v| v[0].flip(1);
        "index_select", "repeats", [any(&[3, 4])],
            |x| x[0].along(0, |l| vec![l[2], l[0], l[2], l[2]]), |_, v| v[0].index_select(0, &[2, 0, 2, 2]);
        "index_select", "last axis", [any(&[2, 4])], |x| x[0].along(1, |l| vec![l[3], l[1]]), |_, v| v[0].index_select(1, &[3, 1]);
    }
}

fn recorded_by_rules() -> Vec<Row> {
    rows! {
        "square_vjp", "", [any(&[3, 4]), other(&[3, 4])],
            |x| x[0].zip(&x[1], |x, g| 2.0 * x * g), |t, v| t.apply(SquareVjp, &[v[0], v[1]]);
        "tanh_vjp", "", [any(&[3, 4]), other(&[3, 4])],
            |x| x[0].zip(&x[1], |y, g| g - g * y * y), |t, v| t.apply(TanhVjp, &[v[0], v[1]]);
        "sigmoid_vjp", "", [any(&[3, 4]), other(&[3, 4])],
            |x| x[0].zip(&x[1], |y, g| g * y - g * y * y), |t, v| t.apply(SigmoidVjp, &[v[0], v[1]]);
        "sum_of_terms", "two products", [any(&[3, 2]), other(&[3, 4]), any(&[5, 2]), other(&[5, 4])],
            |x| x[0].transpose().matmul(&x[1]).zip(&x[2].transpose().matmul(&x[3]), |a, b| a + b),
            |t, v| sum_of_terms(t.zeros(&[2, 4]), &[Term::Product(v[0], v[1]), Term::Product(v[2], v[3])]);
        "sum_of_terms", "a product with leading axes", [any(&[2, 3, 2]), other(&[2, 3, 4])],
            |x| x[0].reshape(&[6, 2]).transpose().matmul(&x[1].reshape(&[6, 4])),
            |t, v| sum_of_terms(t.zeros(&[2, 4]), &[Term::Product(v[0], v[1])]);
        "sum_of_terms", "one of each kind", [any(&[2, 3]), other(&[5, 2, 3]), third(&[2, 1]), any(&[4, 2]), other(&[4, 3])],
            |x| {
                let column = Array::concat(&[&x[2], &Array::sample(&[2, 2], 1).map(|_| 0.0)], 1);
                let sum = x[0].zip(&x[1].sum_to(&[2, 3]), |a, b| a + b).zip(&column, |a, b| a + b);
                sum.zip(&x[3].transpose().matmul(&x[4]), |a, b| a + b)
            },
            |t, v| {
                let slice = Term::Slice { part: v[2], axis: 1, start: 0 };
                sum_of_terms(t.zeros(&[2, 3]), &[Term::Summed(v[1]), Term::Product(v[3], v[4]), slice, Term::Dense(v[0])])
            };
        "sum_of_terms", "overlapping slices", [other(&[3, 3])],
            |x| Array::concat(&[&x[0].slice(1, 0..1), &x[0].slice(1, 1..2).zip(&x[0].slice(1, 2..3), |a, b| a + b), &x[0].slice(1, 0..2).map(|_| 0.0)], 1),
            |t, v| {
                let x = t.leaf(Tensor::zeros(&[3, 4]));
                concat(&[x.slice(1, 0..2), x.index(1, 1).unsqueeze(1)], 1).grad_from(v[0], &[x])[0]
            };
        "index_add", "repeats", [other(&[4, 2])],
            |x| x[0].along(0, |l| vec![l[1], 0.0, l[0] + l[2] + l[3]]),
            |t, v| { let x = t.leaf(Tensor::zeros(&[3, 2])); x.index_select(0, &[2, 0, 2, 2]).grad_from(v[0], &[x])[0] };
        "cumsum", "reversed", [other(&[4, 2])],
            |x| x[0].along(0, |l| (0..4).map(|k| l[k..].iter().sum()).collect()),
            |t, v| { let x = t.leaf(Tensor::zeros(&[4, 2])); x.cumsum(0).grad_from(v[0], &[x])[0] };
        "linear_recurrence_vjp", "forward", [any(&[4, 3]), other(&[4, 3])],
            |x| adjoint_recurrence(&x[0], &x[1]),
            |t, v| {
                let b = t.leaf(Tensor::zeros(&[4, 3]));
                linear_recurrence(v[0], b, t.zeros(&[3])).grad_from(v[1], &[b])[0]
            };
        "linear_recurrence_vjp", "reversed", [any(&[4, 3]), other(&[4, 3])],
            |x| flipped(&adjoint_recurrence(&flipped(&x[0]), &flipped(&x[1]))),
            |t, v| {
                let b = t.leaf(Tensor::zeros(&[4, 3]));
                linear_recurrence_reversed(v[0], b, t.zeros(&[3])).grad_from(v[1], &[b])[0]
            };
        "linear_recurrence_vjp", "coefficient, forward", [any(&[3, 2]), other(&[3, 2]), third(&[2]), positive(&[3, 2])],
            |x| adjoint_recurrence(&x[0], &x[3]).zip(&delayed(&recurrence(&x[0], &x[1], &x[2]), &x[2]), |l, h| l * h),
            |_, v| linear_recurrence(v[0], v[1], v[2]).grad_from(v[3], &[v[0]])[0];
        "linear_recurrence_vjp", "coefficient, reversed", [any(&[3, 2]), other(&[3, 2]), third(&[2]), positive(&[3, 2])],
            |x| {
                let [a, b, g] = [&x[0], &x[1], &x[3]].map(flipped);
                let before = delayed(&recurrence(&a, &b, &x[2]), &x[2]);
                flipped(&adjoint_recurrence(&a, &g).zip(&before, |l, h| l * h))
            },
            |_, v| linear_recurrence_reversed(v[0], v[1], v[2]).grad_from(v[3], &[v[0]])[0];
        "times_step_before", "forward", [any(&[4, 3]), other(&[4, 3]), third(&[4, 3])],
            |x| {
                let zero = Array::from_index(&[3], |_| 0.0);
                adjoint_recurrence(&x[0], &x[1]).zip(&delayed(&recurrence(&x[0], &x[2], &zero), &zero), |l, m| l * m)
            },
            |t, v| {
                let b = t.leaf(Tensor::zeros(&[4, 3]));
                let l = linear_recurrence(v[0], b, t.zeros(&[3])).grad_from(v[1], &[b])[0];
                l.grad_from(v[2], &[v[0]])[0]
            };
        "first_max", "last", [any(&[3, 4]), other(&[3])],
            |x| x[0].along(1, first_largest).zip(&x[1].reshape(&[3, 1]), |a, b| a * b),
            |_, v| v[0].max_axis(1).grad_from(v[1], &[v[0]])[0];
        "softmax_vjp", "first", [any(&[4, 3]), other(&[4, 3])],
            |x| {
                let weighted = x[0].along(0, softmax).zip(&x[1], |y, g| y * g);
                weighted.zip(&x[0].along(0, softmax).zip(&weighted.reduce(0, |l| l.iter().sum()), |y, sum| y * sum), |a, b| a - b)
            },
            |_, v| v[0].softmax(0).grad_from(v[1], &[v[0]])[0];
        "log_softmax_vjp", "last", [any(&[3, 4]), other(&[3, 4])],
            |x| {
                let sums = x[1].reduce(1, |l| l.iter().sum()).reshape(&[3, 1]);
                x[1].zip(&x[0].along(1, softmax).zip(&sums, |y, sum| y * sum), |g, b| g - b)
            },
            |_, v| v[0].log_softmax(1).grad_from(v[1], &[v[0]])[0];
        "binary_cross_entropy_vjp", "", [any(&[3, 4]), positive(&[3, 4]), third(&[3, 4])],
            |x| x[0].zip(&x[1], |a, t| 1.0 / (1.0 + (-a).exp()) - t).zip(&x[2], |d, g| d * g),
            |t, v| t.apply(BinaryCrossEntropyVjp, v);
        "above" + "weighted", "", [any(&[3, 4]), other(&[4]), third(&[3, 4])],
            |x| x[0].zip(&x[1], |a, b| step(a - b)).zip(&x[2], |a, g| a * g),
            |_, v| v[0].maximum(v[1]).grad_from(v[2], &[v[0]])[0];
        "within", "", [any(&[3, 5]), other(&[3, 5])],
            |x| x[0].zip(&x[1], |a, g| if (-0.7..=0.8).contains(&a) { g } else { 0.0 }),
            |_, v| v[0].clamp(-0.7, 0.8).grad_from(v[1], &[v[0]])[0];
    }
}
