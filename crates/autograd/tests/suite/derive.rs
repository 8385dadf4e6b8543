//! Jacobians, Hessians and their products against each other over the whole table of ops, and against closed forms.

use rewind_autograd::{Op, Parameters, Site, Tensor, Term, Var, derive, parameters};
use rewind_check as check;

use crate::op_table::{FLAT, Row, rows};

/// The inputs of a row as a module.
fn point(row: &Row) -> Vec<[Tensor<f64>; 1]> {
    row.inputs.iter().map(|x| [x.tensor()]).collect()
}

fn all<'t>(x: &[[Var<'t, f64>; 1]]) -> Vec<Var<'t, f64>> {
    x.iter().map(|&[x]| x).collect()
}

/// Numbers without a pattern.
fn numbers(shape: &[usize], stream: usize) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i * 7 + stream * 13 + 1) as f64 * 12.9898).sin())
}

fn directions(point: &[[Tensor<f64>; 1]]) -> Vec<[Tensor<f64>; 1]> {
    point.iter().enumerate().map(|(i, [x])| [numbers(x.shape(), i)]).collect()
}

/// `[rows, columns]` of a block of a Jacobian for a value of `rows` numbers.
fn matrix(block: &Tensor<f64>, rows: usize) -> Tensor<f64> {
    block.reshape(&[rows, block.len() / rows])
}

fn column(x: &Tensor<f64>) -> Tensor<f64> {
    x.reshape(&[x.len(), 1])
}

#[track_caller]
fn assert_close(found: &Tensor<f64>, expected: &Tensor<f64>, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    for (a, b) in found.to_vec().into_iter().zip(expected.to_vec()) {
        assert!((a - b).abs() <= 1e-11 * b.abs().max(1.0), "{what}: {a} and {b}");
    }
}

#[test]
fn both_jacobians_and_both_products_agree_for_every_op() {
    for row in rows() {
        let (at, name) = (point(&row), row.name());
        let tangent = directions(&at);
        let (_, by_rows) = derive::jacobian(&at, |tape, x| (row.build)(tape, &all(x)));
        let (value, by_columns) = derive::jacobian_forward(&at, |tape, x| (row.build)(tape, &all(x)));
        let (y, pushed) = derive::jvp(&at, &tangent, |tape, x| (row.build)(tape, &all(x)));
        let cotangent = numbers(y.shape(), 5);
        let (again, pulled) = derive::vjp(&at, &cotangent, |tape, x| (row.build)(tape, &all(x)));
        assert_eq!((&y, &y), (&again, &value), "{name}");
        let mut expected = Tensor::zeros(&[y.len(), 1]);
        for (i, [block]) in by_rows.iter().enumerate() {
            assert_close(&by_columns[i][0], block, &format!("{name}: by columns and by rows"));
            let own = matrix(block, y.len());
            let back = column(&cotangent).transpose().matmul(&own);
            assert_close(&column(&pulled[i][0]).transpose(), &back, &format!("{name}: vjp"));
            expected.add_assign(&own.matmul(&column(&tangent[i][0])));
        }
        assert_close(&column(&pushed), &expected, &format!("{name}: jvp"));
    }
}

#[test]
fn hessians_are_symmetric_and_their_products_agree_for_every_op() {
    let mut curved = 0;
    for row in rows() {
        let (at, name) = (point(&row), row.name());
        // Not a plain sum, whose Hessian is 0 for many ops.
        fn scalar<'t>(y: Var<'t, f64>) -> Var<'t, f64> {
            (y * y * y.tape().constant(numbers(&y.shape(), 3))).sum()
        }
        let direction = directions(&at);
        let hessian = derive::hessian(&at, |tape, x| scalar((row.build)(tape, &all(x))));
        let (slope, product) = derive::hvp(&at, &direction, |tape, x| scalar((row.build)(tape, &all(x))));
        let (_, gradient) = derive::gradient(&at, |tape, x| scalar((row.build)(tape, &all(x))));
        for (i, [blocks]) in hessian.iter().enumerate() {
            assert_close(&slope[i][0], &gradient[i][0], &name);
            let rows = at[i][0].len();
            let mut expected = Tensor::zeros(&[rows, 1]);
            for (j, [block]) in blocks.iter().enumerate() {
                let own = matrix(block, rows);
                let mirrored = matrix(&hessian[j][0][i][0], at[j][0].len()).transpose();
                assert_close(&own, &mirrored, &format!("{name}: symmetry of block {i}, {j}"));
                expected.add_assign(&own.matmul(&column(&direction[j][0])));
                curved += usize::from(own.norm() > 0.0);
            }
            assert_close(&column(&product[i][0]), &expected, &format!("{name}: product"));
        }
    }
    assert!(curved > rows().len(), "only {curved} blocks are not 0");
}

#[test]
fn the_third_order_agrees_with_differences_for_every_op() {
    for row in rows() {
        let inputs: Vec<_> = row.inputs.iter().map(|x| x.tensor()).collect();
        let report = check::full().orders(3).function(&inputs, row.build);
        assert!(report.passed(), "{}: third order: {report}", row.name());
    }
}

/// x³ by a chain of rules, of which the one for 6x takes its number off the tape.
enum Cube {
    Value,
    Slope,
    FrozenBend,
}

impl Op<f64> for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].map(|x| match self {
            Cube::Value => x * x * x,
            Cube::Slope => 3.0 * x * x,
            Cube::FrozenBend => 6.0 * x,
        })
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let (x, g) = (at.input(0), at.cotangent());
        match self {
            Cube::Value => Term::Dense(g * at.tape().apply(Cube::Slope, &[x])),
            Cube::Slope => Term::Dense(g * at.tape().apply(Cube::FrozenBend, &[x])),
            Cube::FrozenBend => Term::Zero,
        }
    }
}

#[test]
fn a_rule_that_is_wrong_at_the_third_order_only_is_noticed() {
    let x = [numbers(&[3], 1)];
    assert!(check::function(&x, |tape, x| tape.apply(Cube::Value, x)).passed(), "orders one and two are right");
    let third = check::full().orders(3).function(&x, |tape, x| tape.apply(Cube::Value, x));
    assert!(third.is_wrong(), "{third}");
    assert_eq!(third.worst.expect("entries were compared").order, 3);
}

parameters! {
    struct Quadratic<P> { linear: P, square: P }
}

/// f = aᵀ·x + xᵀ·S·x, of x and of its parameters.
fn quadratic<'t>(q: &Quadratic<Var<'t, f64>>, x: Var<'t, f64>) -> Var<'t, f64> {
    (q.linear.unsqueeze(1) * x).sum() + (x * q.square.matmul(x)).sum()
}

#[test]
fn closed_forms() {
    let n = 3;
    let x = &numbers(&[n, 1], 1);
    let q = Quadratic { linear: numbers(&[n], 2), square: numbers(&[n, n], 3) };
    // Of x: ∇f = a + (S + Sᵀ)·x, H = S + Sᵀ.
    let both = q.square.zip(&q.square.transpose(), |a, b| a + b);
    let point = [x.clone()];
    let ([slope], _) = derive::hvp(&point, &point, |tape, &[x]| quadratic(&q.map(|_, p| tape.constant(p.clone())), x));
    let expected = column(&q.linear).zip(&both.matmul(x), |a, b| a + b);
    assert_close(&slope, &expected, "a + (S + Sᵀ)·x");
    let [[hessian]] = derive::hessian(&point, |tape, &[x]| quadratic(&q.map(|_, p| tape.constant(p.clone())), x));
    assert_close(&hessian.reshape(&[n, n]), &both, "S + Sᵀ");
    // Of a and S: linear, so the gradient is x and x·xᵀ, and the Hessian 0.
    let (gradient, product) = derive::hvp(&q, &q, |tape, q| quadratic(q, tape.constant(x.clone())));
    assert_close(&column(&gradient.linear), x, "x");
    assert_close(&gradient.square, &x.matmul(&x.transpose()), "x·xᵀ");
    assert_eq!((product.linear.norm(), product.square.norm()), (0.0, 0.0));
}

#[test]
fn gradients_per_sample_are_the_jacobian_of_the_losses() {
    let at = Quadratic { linear: numbers(&[3], 2), square: numbers(&[3, 3], 3) };
    let batch = numbers(&[4, 3], 7);
    fn loss<'t>(q: &Quadratic<Var<'t, f64>>, x: Var<'t, f64>) -> Var<'t, f64> {
        (x * q.linear + x * x.matmul(q.square)).tanh().sum_axis(1)
    }
    let rows: Vec<_> = (0..4).map(|b| batch.slice(0, b..b + 1)).collect();
    let (losses, gradients) = derive::per_sample(&at, &rows, |tape, q, x| loss(q, tape.constant(x.clone())));
    let (_, together) = derive::jacobian(&at, |tape, q| loss(q, tape.constant(batch.clone())));
    assert_close(&gradients.linear, &together.linear, "linear");
    assert_close(&gradients.square, &together.square, "square");
    assert_eq!(losses.len(), 4);
    let (none, empty) = derive::per_sample(&at, &rows[..0], |tape, q, x| loss(q, tape.constant(x.clone())));
    assert_eq!((none.len(), empty.square.shape()), (0, &[0, 3, 3][..]));
}

#[test]
fn what_a_function_does_not_depend_on_has_derivative_0() {
    let (x, unused) = (numbers(&[2], 1), numbers(&[3], 2));
    let at = [x, unused];
    let (_, [to_x, to_unused]) = derive::jacobian(&at, |_, &[x, _]| x * 2.0);
    assert_eq!((to_x.to_vec(), to_unused), (vec![2.0, 0.0, 0.0, 2.0], Tensor::zeros(&[2, 3])));
    let (_, [_, to_unused]) = derive::jacobian_forward(&at, |_, &[x, _]| x * 2.0);
    assert_eq!(to_unused, Tensor::zeros(&[2, 3]));
    let (_, pushed) = derive::jvp(&at, &at.clone(), |tape, _| tape.constant(Tensor::zeros(&[2])));
    assert_eq!(pushed.to_vec(), [0.0, 0.0]);
    let [[xx, _], [_, uu]] = derive::hessian(&at, |_, &[x, _]| x.sum());
    assert_eq!((xx, uu), (Tensor::zeros(&[2, 2]), Tensor::zeros(&[3, 3])));
}

/// Flat ops hide nothing: their Jacobian is 0 in both directions.
#[test]
fn flat_ops_have_no_jacobian() {
    let flat: Vec<_> = rows().into_iter().filter(|row| FLAT.contains(&row.ops[0]) && row.inputs.len() == 1).collect();
    assert!(!flat.is_empty());
    for row in flat {
        let (_, blocks) = derive::jacobian_forward(&point(&row), |tape, x| (row.build)(tape, &all(x)));
        for [block] in blocks {
            assert_eq!(block.norm(), 0.0, "{}", row.name());
        }
    }
}
