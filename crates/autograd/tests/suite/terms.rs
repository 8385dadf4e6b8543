//! Terms add up to the right cotangent, at the price that they promise: a slice costs its own size, a weight that is used
//! T times costs one product. Sizes are counted, not timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::{Op, Site, Tape, Tensor, Term, Var};
use rewind_check as check;

use crate::naive::{Array, assert_close};

/// How many numbers the nodes from `first` on hold: what a recorded sweep has made.
fn numbers_from(tape: &Tape<f64>, first: usize) -> usize {
    (first..tape.len()).map(|i| tape.node(i).value.len()).sum()
}

/// Σ_t c_t·(x_t · x_t) over the T rows of x.
fn over_rows<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
    let mut loss = x.tape().scalar(0.0);
    for t in 0..x.shape()[0] {
        let row = x.index(0, t);
        loss = loss + (row * row).sum() * (t as f64 + 1.0);
    }
    loss
}

fn expected_over_rows(x: &Array) -> Array {
    Array::from_index(&x.shape, |i| 2.0 * (i[0] as f64 + 1.0) * x.at(i))
}

#[test]
fn slices_of_one_tensor_add_up() {
    let x = Array::sample(&[50, 3], 1);
    let tape = Tape::new();
    let leaf = tape.leaf(x.tensor());
    let loss = over_rows(leaf);
    assert_close(&loss.backward().get(leaf), &expected_over_rows(&x), 1e-14, "first order");
    assert_close(&loss.grad(&[leaf])[0].value(), &expected_over_rows(&x), 1e-14, "recorded");
    // Overlapping slices of two axes, a dense term in between, and a seed on the tensor itself.
    let y = leaf * 1.0;
    let mixed =
        y.slice(0, 0..30).sum() + y.sum() + y.slice(1, 1..3).sum() + y.slice(0, 20..50).sum() + y.index(1, 0).sum();
    let expected = Array::from_index(&x.shape, |i| {
        let rows = f64::from(u8::from(i[0] < 30)) + f64::from(u8::from(i[0] >= 20));
        1.0 + rows + f64::from(u8::from(i[1] >= 1)) + f64::from(u8::from(i[1] == 0))
    });
    assert_close(&mixed.backward().get(leaf), &expected, 0.0, "mixed terms");
    assert_close(&mixed.grad(&[leaf])[0].value(), &expected, 0.0, "mixed terms, recorded");
}

#[test]
fn a_recorded_sweep_over_sums_records_nothing_for_them() {
    let recorded = |sums: usize| {
        let tape = Tape::<f64>::new();
        let x = tape.leaf(Array::sample(&[3, 2], 1).tensor());
        let term = tape.constant(Array::sample(&[3, 2], 2).tensor());
        let loss = (0..sums).fold(x, |sum, _| sum + term).sum();
        let before = tape.len();
        loss.grad(&[x]);
        tape.len() - before
    };
    assert_eq!(recorded(33), recorded(1));
}

#[test]
fn a_recorded_sweep_over_slices_is_linear() {
    let cost = |steps: usize| {
        let tape = Tape::new();
        let x = tape.leaf(Array::sample(&[steps, 8], 1).tensor());
        let loss = over_rows(x);
        let before = tape.len();
        loss.grad(&[x]);
        let regions = (before..tape.len()).filter(|&i| tape.node(i).name == "sum_of_terms").count();
        assert_eq!(regions, 1, "all slices are laid in place by one op");
        (tape.len() - before, numbers_from(&tape, before))
    };
    let ((nodes, numbers), (many_nodes, many_numbers)) = (cost(100), cost(400));
    assert!(many_nodes <= 4 * nodes, "{nodes} nodes for 100 slices, {many_nodes} for 400");
    assert!(many_numbers <= 4 * numbers, "{numbers} numbers for 100 slices, {many_numbers} for 400");
}

/// An op that notes how many numbers the rule of another makes.
struct Watched {
    op: Box<dyn Op<f64>>,
    made: Arc<AtomicUsize>,
}

impl Op<f64> for Watched {
    fn name(&self) -> &'static str {
        self.op.name()
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        self.op.forward(inputs)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let before = at.tape().len();
        let term = self.op.vjp(input, at);
        self.made.fetch_add(numbers_from(at.tape(), before), Relaxed);
        term
    }
}

#[test]
fn the_rule_of_a_slice_makes_nothing_of_full_size() {
    let made = Arc::new(AtomicUsize::new(0));
    let tape = Tape::new();
    let (steps, width) = (200, 8);
    let x = tape.leaf(Array::sample(&[steps, width], 1).tensor());
    let loss = over_rows(x) + (0..steps).fold(tape.scalar(0.0), |sum, t| sum + x.slice(0, t..t + 1).sum());
    let slices: Vec<_> = (0..tape.len()).filter(|&i| ["index", "slice"].contains(&tape.node(i).name)).collect();
    assert_eq!(slices.len(), 2 * steps);
    for node in slices {
        tape.wrap_op(node, |op| Watched { op, made: Arc::clone(&made) });
    }
    let expected = expected_over_rows(&Array::sample(&[steps, width], 1)).map(|g| g + 1.0);
    assert_close(&loss.backward().get(x), &expected, 1e-14, "the gradient");
    let made = made.load(Relaxed);
    assert!(made <= 2 * steps * width, "{made} numbers for {steps} slices of {width}");
}

/// A recurrent sum over `steps` steps of a batch: the same weight at every step.
fn recurrence<'t>(w: Var<'t, f64>, h: Var<'t, f64>, steps: usize) -> Var<'t, f64> {
    (0..steps).fold(h, |h, _| h.matmul(w).tanh())
}

#[test]
fn a_weight_of_all_steps_costs_one_product() {
    let tape = Tape::new();
    let w = tape.leaf(Array::sample(&[3, 3], 1).tensor());
    let h = tape.leaf(Array::sample(&[2, 3], 2).tensor());
    let loss = recurrence(w, h, 20).sum();
    let before = tape.len();
    let gradient = loss.grad(&[w])[0];
    let names: Vec<_> = (before..tape.len()).map(|i| tape.node(i)).collect();
    let sums: Vec<_> = names.iter().filter(|node| node.name == "sum_of_terms").collect();
    assert_eq!(sums.len(), 1);
    assert_eq!(sums[0].inputs.len(), 2 * 20);
    let full_size = names.iter().filter(|node| node.value.shape() == [3, 3] && node.name != "transpose").count();
    assert_eq!(full_size, 1, "no other array of the weight's size");
    assert_close(&loss.backward().get(w), &Array::new(&[3, 3], gradient.value().to_vec()), 1e-13, "both sweeps");
}

#[test]
fn pending_products_are_flushed_without_loss() {
    // 60 steps of 100 rows: more than wait at a time. Also with a dense term and a region for the same weight.
    let (steps, rows) = (60, 100);
    let xs: Vec<_> = (0..steps).map(|t| Array::sample(&[rows, 3], t)).collect();
    let seeds: Vec<_> = (0..steps).map(|t| Array::sample(&[rows, 2], 1000 + t)).collect();
    let tape = Tape::new();
    let w = tape.leaf(Array::sample(&[3, 2], 7).tensor());
    let mut loss = (w * 5.0).sum() + w.slice(0, 1..2).sum();
    for (x, seed) in xs.iter().zip(&seeds) {
        loss = loss + (tape.constant(x.tensor()).matmul(w) * tape.constant(seed.tensor())).sum();
    }
    let expected = Array::from_index(&[3, 2], |i| {
        let products: f64 = xs.iter().zip(&seeds).map(|(x, seed)| x.transpose().matmul(seed).at(i)).sum();
        products + 5.0 + f64::from(u8::from(i[0] == 1))
    });
    assert_close(&loss.backward().get(w), &expected, 1e-12, "first order");
    assert_close(&loss.grad(&[w])[0].value(), &expected, 1e-12, "recorded");
}

/// One step of a random program over matrices `[3, 3]`.
fn instruction<'t>(kind: u8, a: Var<'t, f64>, b: Var<'t, f64>) -> Var<'t, f64> {
    match kind {
        0 => a + b,
        1 => a - b,
        2 => a * b,
        3 => a.matmul(b),
        4 => a.tanh(),
        5 => a.sigmoid() * b.transpose(),
        6 => a.softmax(1),
        7 => concat(&[a.slice(0, 1..3), b.slice(0, 0..1)], 0),
        8 => stack(&[a.index(0, 2), b.index(1, 0), a.index(0, 0)], 1),
        9 => a * b.sum_axis(0),
        10 => a / (b * b + 1.0),
        11 => a.index_select(1, &[2, 2, 0]) + b.flip(0),
        12 => a.affine(b, Some(b.index(1, 1))) * 0.5,
        13 => a.cumsum(0).softplus(),
        14 => a.maximum(b),
        _ => a.max_axis(1).unsqueeze(1) * b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/terms.txt"),
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_sweeps_agree_on_random_programs(
        program in prop::collection::vec((0..16_u8, any::<u16>(), any::<u16>()), 1..40),
        stream: u32,
    ) {
        let tape = Tape::new();
        let leaves: Vec<_> = (0..3).map(|i| tape.leaf(Array::sample(&[3, 3], u64::from(stream) + i).tensor())).collect();
        let mut values = leaves.clone();
        for (kind, a, b) in program {
            let (a, b) = (values[a as usize % values.len()], values[b as usize % values.len()]);
            let next = instruction(kind, a, b);
            // Numbers of size 1, so that no gradient drowns in rounding.
            values.push(next / (1.0 + next.value().norm()));
        }
        let loss = values.iter().skip(3).fold(tape.scalar(0.0), |sum, v| sum + v.sum());
        let (plain, recorded) = (loss.backward(), loss.grad(&leaves));
        for (leaf, recorded) in leaves.iter().zip(recorded) {
            let recorded = Array::new(&[3, 3], recorded.value().to_vec());
            prop_assert!(recorded.data.iter().all(|x| x.is_finite()));
            assert_close(&plain.get(*leaf), &recorded, 1e-12, "the two sweeps");
        }
    }
}

type Elementwise = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

type Formula = Box<dyn Fn(f64) -> f64>;

#[test]
fn third_derivatives_are_those_of_the_tables() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let second_of_sigmoid = move |x: f64| {
        let s = sigmoid(x);
        s * (1.0 - s) * (1.0 - 2.0 * s)
    };
    let third_of_sigmoid = move |x: f64| {
        let s = sigmoid(x);
        s * (1.0 - s) * (1.0 - 6.0 * s + 6.0 * s * s)
    };
    let third_of_tanh = |x: f64| {
        let y = x.tanh();
        (1.0 - y * y) * (6.0 * y * y - 2.0)
    };
    let third_of_erf = |x: f64| std::f64::consts::FRAC_2_SQRT_PI * (4.0 * x * x - 2.0) * (-x * x).exp();
    let table: Vec<(&str, Elementwise, Formula)> = vec![
        ("exp", |x| x.exp(), Box::new(f64::exp)),
        ("ln", |x| x.ln(), Box::new(|x| 2.0 / x.powi(3))),
        ("sqrt", |x| x.sqrt(), Box::new(|x| 0.375 * x.powf(-2.5))),
        ("reciprocal", |x| x.reciprocal(), Box::new(|x| -6.0 / x.powi(4))),
        ("sin", |x| x.sin(), Box::new(|x| -x.cos())),
        ("cos", |x| x.cos(), Box::new(f64::sin)),
        ("square", |x| x.square() * x, Box::new(|_| 6.0)),
        ("powf", |x| x.powf(4.0), Box::new(|x| 24.0 * x)),
        ("powf", |x| x.powf(0.5), Box::new(|x| 0.375 * x.powf(-2.5))),
        ("tanh", |x| x.tanh(), Box::new(third_of_tanh)),
        ("sigmoid", |x| x.sigmoid(), Box::new(third_of_sigmoid)),
        ("softplus", |x| x.softplus(), Box::new(second_of_sigmoid)),
        ("erf", |x| x.erf(), Box::new(third_of_erf)),
        ("elu", |x| (-x).elu(), Box::new(|x| -(-x).exp())),
        ("a product", |x| x * x * x, Box::new(|_| 6.0)),
        ("a quotient", |x| x / (x + 1.0), Box::new(|x| 6.0 / (x + 1.0).powi(4))),
    ];
    let points = Array::positive(&[5], 3);
    for (name, f, third) in table {
        let tape = Tape::new();
        let x = tape.leaf(points.tensor());
        let mut y = f(x);
        for _ in 0..3 {
            y = y.sum().grad(&[x])[0];
        }
        assert_close(&y.value(), &points.map(third), 1e-12, name);
    }
}

#[test]
fn powers_of_zero_stay_finite() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::scalar(0.0));
    let mut y = x.powf(2.0);
    let mut derivatives = Vec::new();
    for _ in 0..4 {
        y = y.grad(&[x])[0];
        derivatives.push(y.value().item());
    }
    assert_eq!(derivatives, [0.0, 2.0, 0.0, 0.0]);
}

/// y = Σ (aᵀ·a) ∘ w; its rule for w gives the product of one variable with itself, for a cotangent of 1.
struct Gram;

impl Op<f64> for Gram {
    fn name(&self) -> &'static str {
        "gram"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        let gram = inputs[0].transpose().matmul(inputs[0]);
        Tensor::scalar(gram.zip(inputs[1], |g, w| g * w).sum())
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let a = at.input(0);
        Term::Product(a, a)
    }
}

#[test]
fn a_product_of_a_variable_with_itself_is_whole() {
    let tape = Tape::new();
    let a = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]);
    let (x, w) = (tape.constant(a.clone()), tape.leaf(Tensor::zeros(&[2, 2])));
    let gradient = tape.apply(Gram, &[x, w]).backward().get(w);
    assert_eq!(gradient, a.transpose().matmul(&a));
}

/// y = a·w for a vector a `[m]` and w `[m, n]`, whose gradient is a product of two vectors.
struct VectorTimes;

impl Op<f64> for VectorTimes {
    fn name(&self) -> &'static str {
        "vector_times"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        let (w, a) = (inputs[0], inputs[1].clone());
        a.reshape(&[1, a.len()]).matmul(w).reshape(&[w.shape()[1]])
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        match input {
            0 => Term::Product(at.input(1), at.cotangent()),
            _ => Term::Dense(at.input(0).matmul(at.cotangent().unsqueeze(1)).reshape(&at.input(1).shape())),
        }
    }
}

#[test]
fn a_product_of_two_vectors_can_be_differentiated_again() {
    let inputs = [Array::sample(&[3, 4], 1).tensor(), Array::sample(&[3], 2).tensor()];
    check::full().orders(3).function(&inputs, |tape, v| tape.apply(VectorTimes, v).tanh()).assert();
}

/// y = 1 whatever x is: a term of zero.
struct One;

impl Op<f64> for One {
    fn name(&self) -> &'static str {
        "one"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        Tensor::full(inputs[0].shape(), 1.0)
    }
    fn vjp<'t>(&self, _input: usize, _at: &Site<'t, f64>) -> Term<'t, f64> {
        Term::Zero
    }
}

#[test]
fn a_cotangent_of_zero_flows_on_and_meets_an_infinite_slope() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::from_vec(vec![0.0, 4.0], &[2]));
    let loss = tape.apply(One, &[x.sqrt()]).sum();
    // 0 times the slope of the root: at 0 that is 0·∞.
    for gradient in [loss.backward().get(x), loss.grad(&[x])[0].value()] {
        assert!(gradient.at(&[0]).is_nan() && gradient.at(&[1]) == 0.0, "{gradient:?}");
    }
}
