//! Every built-in op is a row of this table, or one of those without a form.

use rewind_autograd::ops::{layout, linalg::affine, recurrence, select::Weighted};
use rewind_autograd::{Tensor, Var};
use rewind_rnn::Linear;

use crate::cases::{self, Case, FEATURES, rng};

type Row = (&'static str, for<'t> fn(Var<'t, f32>) -> Var<'t, f32>);

/// A positive number for each of x.
fn positive(x: Var<'_, f32>) -> Var<'_, f32> {
    x.sigmoid() + 0.1
}

fn constant<'t>(x: Var<'t, f32>, shape: &[usize]) -> Var<'t, f32> {
    x.tape().constant(Tensor::from_fn(shape, |i| (i as f32 * 0.7).sin()))
}

/// Each op of x `[T, B, I]`.
const ROWS: &[Row] = &[
    ("add", |x| x + constant(x, &[3])),
    ("sub", |x| constant(x, &[3]) - x),
    ("mul", |x| x * x.sin()),
    ("div", |x| x / positive(x)),
    ("div_by_number", |x| x / 3.0),
    ("number_div", |x| 3.0 / positive(x)),
    ("scale_shift", |x| 1.5 - x + (x * 0.3 - 0.25) + -x + (1.0 - x) + (x + 2.0)),
    ("maximum", |x| x.maximum(constant(x, &[3]))),
    ("exp", |x| x.exp()),
    ("ln", |x| positive(x).ln()),
    ("exp_m1", |x| x.exp_m1()),
    ("ln_1p", |x| positive(x).ln_1p()),
    ("square", |x| x.square()),
    ("sqrt", |x| positive(x).sqrt()),
    ("reciprocal", |x| positive(x).reciprocal()),
    ("sin", |x| x.sin()),
    ("cos", |x| x.cos()),
    ("erf", |x| x.erf()),
    ("abs", |x| x.abs()),
    ("powf", |x| positive(x).powf(1.7)),
    ("tanh", |x| x.tanh()),
    ("sigmoid", |x| x.sigmoid()),
    ("softplus", |x| x.softplus()),
    ("elu", |x| x.elu()),
    ("normal_cdf", |x| x.gelu()),
    ("heaviside", |x| x.relu().heaviside()),
    ("sign", |x| x.relu().sign() - x.sign()),
    ("clamp", |x| x.clamp(-0.5, 0.25)),
    ("where", |x| x.relu().sign().select(x.sin(), x.tape().scalar(7.0))),
    ("weighted", |x| x.tape().apply(Weighted, &[x.relu(), x])),
    ("relu", |x| x.relu()),
    ("reshape", |x| x.reshape(&[x.shape()[0] * x.shape()[1], 3]) + x.reshape(&x.shape()).index(0, 0).index(0, 0)),
    ("unsqueeze", |x| x.unsqueeze(1)),
    ("transpose", |x| x.transpose()),
    ("permute", |x| x.permute(&[1, 2, 0])),
    ("broadcast_to", |x| x.sum_axis(2).unsqueeze(2).broadcast_to(&x.shape())),
    ("flip", |x| x.flip(0) + x.flip(2)),
    ("concat", |x| layout::concat(&[x, x.sin()], 2)),
    ("stack", |x| layout::stack(&[x, x.sin(), x], 1)),
    ("slice", |x| x.slice(2, 1..3).slice(0, 1..x.shape()[0])),
    ("index", |x| x.index(2, 1) + x.index(0, x.shape()[0] - 1).index(1, 2)),
    ("index_select", |x| x.index_select(2, &[2, 0, 2, 1])),
    ("matmul", |x| x.matmul(constant(x, &[3, 4]))),
    ("matmul_transposed", |x| x.matmul_transposed(constant(x, &[4, 3]))),
    ("affine", |x| affine(&[(x, constant(x, &[3, 4])), (x.sin(), constant(x, &[3, 4]))], Some(constant(x, &[4])))),
    ("sum", |x| x.sum() * 0.01),
    ("sum_axis", |x| x.sum_axis(1)),
    ("max_axis", |x| x.max_axis(2)),
    ("cumsum", |x| x.cumsum(0) + x.flip(2).cumsum(2)),
    ("softmax", |x| x.softmax(2)),
    ("log_softmax", |x| x.log_softmax(1)),
    ("log_sum_exp", |x| x.log_sum_exp(2)),
    ("linear_recurrence", |x| recurrence::linear_recurrence_reversed(x.sigmoid(), x, x.index(0, 0))),
    ("map_cotangent", |x| x.map_cotangent(|g| g * 2.0)),
];

/// A model with an output for each row.
pub(crate) fn case() -> Case {
    cases::function("ops", Linear::<Tensor<f32>>::new(FEATURES, 1, &mut rng()), |_, x| {
        ROWS.iter().map(|&(name, row)| (name.to_owned(), row(x))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Derivatives, losses, and what no forward pass records.
    const WITHOUT_FORM: [&str; 15] = [
        "tanh_vjp",
        "sigmoid_vjp",
        "square_vjp",
        "softmax_vjp",
        "log_softmax_vjp",
        "linear_recurrence_vjp",
        "times_step_before",
        "binary_cross_entropy",
        "binary_cross_entropy_vjp",
        "index_add",
        "sum_to",
        "first_max",
        "within",
        "above",
        "sum_of_terms",
    ];

    #[test]
    fn every_op_has_a_row_and_its_row_records_it() {
        let known: Vec<&str> = ROWS.iter().map(|(name, _)| *name).chain(WITHOUT_FORM).collect();
        let missing: Vec<&str> = rewind_autograd::ops::names().filter(|name| !known.contains(name)).collect();
        assert!(missing.is_empty(), "without a row: {missing:?}");
        for &(name, row) in ROWS {
            let tape = rewind_autograd::Tape::new();
            row(tape.leaf(Tensor::full(&[5, 2, 3], 0.25)));
            assert!((0..tape.len()).any(|at| tape.node(at).name == name), "the row of `{name}` records it");
        }
    }

    #[test]
    fn an_op_without_a_form_is_refused() {
        let readout = Linear::<Tensor<f32>>::new(FEATURES, 1, &mut rng());
        let refused = rewind_onnx::Export::new()
            .function(&readout, FEATURES, |_, x| vec![("y".to_owned(), x.sum_to(&[1, 1, 3]))]);
        assert!(refused.is_err_and(|error| error.to_string().contains("op `sum_to`")));
    }
}
