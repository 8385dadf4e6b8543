//! Mistakes in rules that know axes: sums, broadcasts, products, shifts.

use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Tensor, Term, Var};

use super::{Mistake, mistakes};

/// Position k of axis 0 from position k - by, 0 where there is none.
fn shifted(x: &Tensor<f64>, by: isize) -> Tensor<f64> {
    let (rows, columns) = (x.shape()[0], x.shape()[1]);
    Tensor::from_fn(x.shape(), |at| match (at / columns).checked_add_signed(-by) {
        Some(from) if from < rows => x.at(&[from, at % columns]),
        _ => 0.0,
    })
}

/// The same for variables, one step.
fn later<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    let (rows, columns) = (x.shape()[0], x.shape()[1]);
    concat(&[x.tape().zeros(&[1, columns]), x.slice(0, 0..rows - 1)], 0)
}

fn earlier<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    let (rows, columns) = (x.shape()[0], x.shape()[1]);
    concat(&[x.slice(0, 1..rows), x.tape().zeros(&[1, columns])], 0)
}

fn softmax(x: &Tensor<f64>) -> Tensor<f64> {
    let sums = x.map(f64::exp).sum_axis(1).reshape(&[x.shape()[0], 1]);
    x.zip(&sums, |x, s| x.exp() / s)
}

pub(crate) fn mistakes() -> Vec<Mistake> {
    mistakes! {
        // x̄ = y·(ȳ - Σ y·ȳ).
        MissingTerm "softmax_diagonal" [[2, 3]] |x| softmax(x[0]),
            |_, at| { let y = at.output(); Term::Dense(at.cotangent() * y * y.one_minus()) };
        MissingTerm "softmax_without_sum" [[2, 3]] |x| softmax(x[0]), |_, at| Term::Dense(at.cotangent() * at.output());
        // y = x - mean x; x̄ = ȳ - mean ȳ.
        MissingTerm "centred" [[2, 4]] |x| x[0].zip(&x[0].sum_axis(1).reshape(&[2, 1]), |x, s| x - s / 4.0),
            |_, at| Term::Dense(at.cotangent());
        // y = A·A; Ā = ȳ·Aᵀ + Aᵀ·ȳ.
        MissingTerm "matrix_square" [[3, 3]] |x| x[0].matmul(x[0]),
            |_, at| Term::Dense(at.cotangent().matmul(at.input(0).transpose()));
        // y = x/|x|; the part along y is forgotten.
        MissingTerm "unit_rows" [[2, 3]] |x| x[0].zip(&x[0].map(|x| x * x).sum_axis(1).reshape(&[2, 1]), |x, s| x / s.sqrt()),
            |_, at| { let x = at.input(0); Term::Dense(at.cotangent() / (x * x).sum_axis(1).unsqueeze(1).sqrt()) };

        Sign "softmax_plus" [[2, 3]] |x| softmax(x[0]),
            |_, at| {
                let (y, g) = (at.output(), at.cotangent());
                Term::Dense(y * (g + (y * g).sum_axis(1).unsqueeze(1)))
            };

        Factor "mean_without_length" [[3, 4]] |x| x[0].sum_axis(1).map(|s| s / 4.0),
            |_, at| Term::Summed(at.cotangent().unsqueeze(1).broadcast_to(&[3, 4]));
        Factor "mean_of_the_wrong_length" [[3, 4]] |x| x[0].sum_axis(1).map(|s| s / 4.0),
            |_, at| Term::Summed((at.cotangent() * (1.0 / 3.0)).unsqueeze(1).broadcast_to(&[3, 4]));
        Factor "bias_averaged" [[4, 3], [3]] |x| x[0].zip(x[1], |a, b| a + b),
            |i, at| if i == 0 { Term::Dense(at.cotangent()) } else { Term::Summed(at.cotangent() * 0.25) };

        Transposed "product_left" [[3, 3], [3, 3]] |x| x[0].matmul(x[1]),
            |i, at| match i {
                0 => Term::Dense(at.input(1).matmul(at.cotangent().transpose())),
                _ => Term::Product(at.input(0), at.cotangent()),
            };
        Transposed "product_right" [[3, 3], [3, 3]] |x| x[0].matmul(x[1]),
            |i, at| match i {
                0 => Term::Dense(at.cotangent().matmul(at.input(1).transpose())),
                _ => Term::Dense(at.cotangent().transpose().matmul(at.input(0))),
            };
        Transposed "weight_not_transposed" [[2, 3], [3, 3]] |x| x[0].matmul(x[1]),
            |i, at| match i {
                0 => Term::Dense(at.cotangent().matmul(at.input(1))),
                _ => Term::Product(at.input(0), at.cotangent()),
            };
        Transposed "flipped_matrix" [[3, 3]] |x| x[0].transpose(), |_, at| Term::Dense(at.cotangent());
        Transposed "outer" [[3, 1], [1, 3]] |x| x[0].matmul(x[1]),
            |i, at| {
                let g = at.cotangent().transpose();
                Term::Dense(if i == 0 { g.matmul(at.input(1).transpose()) } else { at.input(0).transpose().matmul(g) })
            };

        WrongAxis "row_sums" [[3, 3]] |x| x[0].sum_axis(1),
            |_, at| Term::Summed(at.cotangent().unsqueeze(0).broadcast_to(&[3, 3]));
        WrongAxis "bias_over_columns" [[3, 3], [3]] |x| x[0].zip(x[1], |a, b| a + b),
            |i, at| Term::Dense(if i == 0 { at.cotangent() } else { at.cotangent().sum_axis(1) });
        WrongAxis "softmax_over_rows" [[3, 3]] |x| softmax(x[0]),
            |_, at| {
                let (y, g) = (at.output(), at.cotangent());
                Term::Dense(y * (g - (y * g).sum_axis(0).unsqueeze(0)))
            };
        WrongAxis "running_sum" [[3, 3]] |x| {
                let mut sum = Tensor::zeros(&[3]);
                Tensor::from_vec((0..3).flat_map(|t| { sum = sum.zip(&x[0].index(0, t), |a, b| a + b); sum.to_vec() }).collect(), &[3, 3])
            },
            |_, at| Term::Dense(at.cotangent().flip(1).cumsum(1).flip(1));
        WrongAxis "gain_over_columns" [[3, 3], [3]] |x| x[0].zip(x[1], |a, b| a * b),
            |i, at| Term::Dense(match i {
                0 => at.cotangent() * at.input(1),
                _ => (at.cotangent() * at.input(0)).sum_axis(1),
            });

        OffByOne "delay" [[4, 2]] |x| shifted(x[0], 1), |_, at| Term::Dense(at.cotangent());
        OffByOne "delay_the_wrong_way" [[4, 2]] |x| shifted(x[0], 1), |_, at| Term::Dense(later(at.cotangent()));
        OffByOne "two_steps" [[5, 2]] |x| shifted(x[0], 2), |_, at| Term::Dense(earlier(at.cotangent()));
        OffByOne "exclusive_sum" [[4, 2]] |x| {
                let mut sum = Tensor::zeros(&[2]);
                Tensor::from_vec((0..4).flat_map(|t| { sum = sum.zip(&x[0].index(0, t), |a, b| a + b); sum.to_vec() }).collect(), &[4, 2])
            },
            |_, at| Term::Dense(earlier(at.cotangent().flip(0).cumsum(0).flip(0)));
        OffByOne "middle_rows" [[4, 2]] |x| x[0].slice(0, 1..3), |_, at| Term::Slice { part: at.cotangent(), axis: 0, start: 2 };
        // y_t = x_t·x_(t-1).
        OffByOne "neighbours" [[4, 2]] |x| x[0].zip(&shifted(x[0], 1), |a, b| a * b),
            |_, at| { let (x, g) = (at.input(0), at.cotangent()); Term::Dense(g * later(x) + later(g * x)) };

        WrongInput "swapped_products" [[3, 3], [3, 3]] |x| x[0].matmul(x[1]),
            |i, at| {
                let (a, b, g) = (at.input(0), at.input(1), at.cotangent());
                Term::Dense(if i == 1 { g.matmul(b.transpose()) } else { a.transpose().matmul(g) })
            };

        MissingMask "largest_of_all" [[3, 4]] |x| Tensor::from_fn(&[3, 1], |i| x[0].index(0, i).to_vec().into_iter().fold(f64::MIN, f64::max)),
            |_, at| Term::Summed(at.cotangent().broadcast_to(&[3, 4]));
        MissingMask "padded_sum" [[4, 2]] |x| x[0].slice(0, 0..3).sum_axis(0),
            |_, at| Term::Summed(at.cotangent().broadcast_to(&[4, 2]));

        BroadcastNotSummed "bias" [[4, 3], [3]] |x| x[0].zip(x[1], |a, b| a + b), |_, at| Term::Dense(at.cotangent());
        BroadcastNotSummed "bias_first_row" [[4, 3], [3]] |x| x[0].zip(x[1], |a, b| a + b),
            |i, at| Term::Dense(if i == 0 { at.cotangent() } else { at.cotangent().index(0, 0) });
        BroadcastNotSummed "bias_last_row" [[4, 3], [1, 3]] |x| x[0].zip(x[1], |a, b| a + b),
            |i, at| Term::Dense(if i == 0 { at.cotangent() } else { at.cotangent().slice(0, 3..4) });
        BroadcastNotSummed "scalar_factor" [[2, 3], []] |x| x[0].zip(x[1], |a, b| a * b),
            |i, at| Term::Dense(at.cotangent() * at.input(1 - i));
        BroadcastNotSummed "column_factor" [[3, 2], [3, 1]] |x| x[0].zip(x[1], |a, b| a * b),
            |i, at| {
                let product = at.cotangent() * at.input(1 - i);
                Term::Dense(if i == 0 { product } else { product.slice(1, 0..1) })
            };

        SecondOrder "product_from_numbers" [[2, 3], [3, 2]] |x| x[0].matmul(x[1]),
            |i, at| match i {
                0 => Term::Dense(at.cotangent().matmul(at.input(1).detach().transpose())),
                _ => Term::Product(at.input(0), at.cotangent()),
            };
        SecondOrder "softmax_from_numbers" [[2, 3]] |x| softmax(x[0]),
            |_, at| {
                let (y, g) = (at.output().detach(), at.cotangent());
                Term::Dense(y * (g - (y * g).sum_axis(1).unsqueeze(1)))
            };
    }
}
