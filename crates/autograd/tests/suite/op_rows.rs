//! Ops that a user writes as rows: what the macro makes of them.

use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::ops::recurrence::{linear_recurrence, linear_recurrence_reversed};
use rewind_autograd::shape::{broadcast_or_panic, check_axis, check_indices};
use rewind_autograd::{Op, Reads, Tape, Tensor, Term, ops};
use rewind_check as check;

use crate::refused::{panic_of, refused};

ops! {
    /// The ops of this file.
    const NAMES;

    /// y = a·b + c, broadcast; ā = ȳ·b, b̄ = ȳ·a, c̄ = ȳ.
    fn multiply_add = MultiplyAdd(a, b, c) {
        check: {
            let product = broadcast_or_panic("multiply_add", &a.shape(), &b.shape());
            broadcast_or_panic("multiply_add", &product, &c.shape())
        },
        value: a.zip(b, |a, b| a * b).zip(c, |x, c| x + c),
        a: |g, b| Term::Summed(g * b),
        b: |g, a| Term::Summed(g * a),
        c: |g| Term::Summed(g),
    }

    /// y = x·e^(rate·x); x̄ = ȳ·(e^(rate·x) + rate·y). Its rules in an order of their own, its value in two lines.
    fn ramped = Ramped<T>(x; rate: T) -> y {
        value: {
            let exponential = x.map(|x| rate * x).map_slices(T::exp_slice);
            x.zip(&exponential, |x, e| x * e)
        },
        x: |g, x, y| g * ((x * rate).exp() + y * rate),
    }

    /// y = the positions `indices` of an axis, each times its weight; x̄ = ȳ times the weights, added at those positions.
    fn picked = Picked(x; axis: usize; &indices: Vec<usize>, &weights: Vec<f64>) {
        check: check_indices("picked", &x.shape(), axis, &indices),
        value: {
            let weights = weights.iter().map(|&w| T::from_f64(w)).collect();
            x.gather(axis, indices).transpose().zip(&Tensor::from_vec(weights, &[indices.len()]), |x, w| x * w).transpose()
        },
        x: |g, x: shape| {
            let weights = Tensor::from_vec(weights.iter().map(|&w| T::from_f64(w)).collect(), &[weights.len()]);
            let weighted = (g.transpose() * g.tape().constant(weights)).transpose();
            let scattered = Tensor::build(&[x[0], indices.len()], |to| {
                let cells = to.iter_mut().enumerate();
                cells.for_each(|(i, to)| {
                    *to = if indices[i % indices.len()] == i / indices.len() { T::ONE } else { T::ZERO };
                });
            });
            g.tape().constant(scattered).matmul(weighted)
        },
    }

    /// y = the sum of a and twice the second input; rules in the other order.
    op backwards = Backwards(first, second) {
        value: first.zip(second, |a, b| a + b + b),
        second: |cotangent| cotangent + cotangent,
        first: |cotangent| cotangent,
    }

    /// y = Σ |x| along an axis; x̄ = ȳ·sign x.
    pub fn absolute_sum = AbsoluteSum(x; axis: usize) {
        check: check_axis("absolute_sum", &x.shape(), axis),
        value: x.fold_axis(axis, T::ZERO, |sum, x| sum + x.abs()),
        x: |g, x| g.unsqueeze(axis) * x.sign(),
    }
}

fn sample(shape: &[usize]) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| (0.7 + 1.9 * i as f64).cos())
}

#[test]
fn rules_are_right_to_second_order() {
    let inputs = [sample(&[2, 3]), sample(&[3]), sample(&[2, 1])];
    check::function(&inputs, |_, v| multiply_add(v[0], v[1], v[2])).assert();
    check::function(&inputs[..1], |_, v| ramped(v[0], -0.5)).assert();
    check::function(&inputs[..1], |_, v| absolute_sum(v[0], 1)).assert();
    check::function(&[sample(&[3, 2])], |_, v| picked(v[0], 0, vec![2, 0, 2], vec![1.0, -0.5, 3.0])).assert();
    check::function(&[sample(&[4]), sample(&[4])], |tape, v| tape.apply(Backwards, v)).assert();
}

#[test]
fn values_and_gradients_go_to_the_right_inputs() {
    let tape = Tape::new();
    let [a, b, c] = [2.0_f32, 3.0, 5.0].map(|x| tape.leaf(Tensor::scalar(x)));
    let y = multiply_add(a, b, c);
    assert_eq!(y.value().item(), 11.0);
    let gradients = y.backward();
    assert_eq!([a, b, c].map(|v| gradients.get(v).item()), [3.0, 2.0, 1.0]);
    let gradients = tape.apply(Backwards, &[a, b]).backward();
    assert_eq!([a, b].map(|v| gradients.get(v).item()), [1.0, 2.0]);
    let x = tape.leaf(Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]));
    let y = picked(x, 0, vec![2, 0], vec![10.0, -1.0]);
    assert_eq!(y.value().to_vec(), [50.0, 60.0, -1.0, -2.0]);
    assert_eq!(y.sum().backward().get(x).to_vec(), [-1.0, -1.0, 0.0, 0.0, 10.0, 10.0]);
    assert_eq!(tape.node(y.position()).name, "picked");
}

#[test]
fn an_op_reads_what_its_rules_name() {
    fn reads(op: &impl Op<f64>, inputs: usize) -> (Vec<usize>, bool) {
        let reads = op.reads();
        ((0..inputs).filter(|&k| reads.reads_input(k)).collect(), reads.reads_output())
    }
    assert_eq!(reads(&MultiplyAdd, 3), (vec![0, 1], false));
    assert_eq!(reads(&Ramped { rate: 1.0 }, 1), (vec![0], true));
    assert_eq!(
        reads(&Picked { axis: 0, indices: vec![], weights: vec![] }, 1),
        (vec![], false),
        "the shape is no value"
    );
    assert_eq!(Op::<f64>::reads(&Backwards), Reads::NOTHING);
    assert_eq!(Op::<f64>::reads(&rewind_autograd::ops::arithmetic::MulOp), Reads::INPUTS);
    assert_eq!(Op::<f64>::reads(&rewind_autograd::ops::activation::Tanh), Reads::OUTPUT);
    // The rules of a quotient read b and y, and not a.
    assert_eq!(reads(&rewind_autograd::ops::arithmetic::DivOp, 2), (vec![1], true));
}

#[test]
fn the_names_are_listed_in_order() {
    assert_eq!(NAMES, ["multiply_add", "ramped", "picked", "backwards", "absolute_sum"]);
}

ops! {
    /// The list of the row below.
    const OPS: [(name, docs)];

    /// y = 2·x; x̄ = 2·ȳ.
    ///
    /// A second paragraph.
    #[doc = concat!("A third ", "one.")]
    fn twice = Twice(x) {
        value: x.map(|x| x + x),
        x: |g| g + g,
    }
}

#[test]
fn the_docs_are_listed_with_the_names() {
    assert_eq!(OPS, [("twice", " y = 2·x; x̄ = 2·ȳ.\n\n A second paragraph.\nA third one.\n")]);
    let tape = Tape::<f64>::new();
    assert_eq!(twice(tape.leaf(Tensor::scalar(2.0))).value().item(), 4.0);
}

/// A reader of a tape shows the first paragraph beside a node: it has to say all.
#[test]
fn the_docs_of_every_op_start_with_its_value_and_its_rules() {
    let formulas = |name: &&str| {
        let docs = rewind_autograd::ops::docs(name).expect("every op has docs");
        let first: String = docs.lines().take_while(|line| !line.trim().is_empty()).collect();
        first.contains('=') && first.contains(['\u{304}', 'ā', 'ē', 'ī', 'ō', 'ū', 'ȳ', 'ḡ'])
    };
    let (full, lacking): (Vec<_>, Vec<_>) = rewind_autograd::ops::names().partition(formulas);
    assert!(lacking.is_empty() && full.len() > 60, "no formulas in the first paragraph of {lacking:?}");
    assert_eq!(rewind_autograd::ops::docs("no_such_op"), None);
}

/// An export has to tell apart two ops of one name.
#[test]
fn the_settings_of_ops_with_any_number_of_inputs_can_be_read() {
    let tape = Tape::<f64>::new();
    let (x, w, row) = (tape.leaf(sample(&[3, 3])), tape.leaf(sample(&[3, 3])), tape.leaf(sample(&[3])));
    for (y, setting, value) in [
        (concat(&[x, w], 1), "axis", "1"),
        (stack(&[x, w], 2), "axis", "2"),
        (affine(&[(x, w)], None), "bias", "false"),
        (affine(&[(x, w)], Some(row)), "bias", "true"),
        (linear_recurrence(x, w, row), "reversed", "false"),
        (linear_recurrence_reversed(x, w, row), "reversed", "true"),
    ] {
        let op = tape.op(y.position()).expect("an op was recorded");
        assert_eq!(op.settings(), [(setting, value.to_owned())], "{}", tape.node(y.position()).name);
    }
    let without = x.map_cotangent(|cotangent| -cotangent);
    assert_eq!(tape.op(without.position()).expect("an op was recorded").settings(), []);
}

#[test]
fn bad_input_is_refused_at_the_line_of_the_caller() {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.leaf(sample(&[2, 3])), tape.leaf(sample(&[2])));
    let fit = "do not fit: expected lengths that are equal or 1, aligned at the last axis";
    refused!(format!("multiply_add: shapes [2, 3] and [2] {fit}"), multiply_add(x, y, x));
    refused!("absolute_sum: axis 2 is not an axis of shape [2, 3], which has 2", absolute_sum(x, 2));
    refused!("picked: index 2 does not lie in axis 0 of shape [2, 3]", picked(x, 0, vec![1, 2], vec![1.0, 1.0]));
    let message = panic_of(|| tape.apply(MultiplyAdd, &[x, x])).2;
    assert_eq!(message, "multiply_add: 2 inputs given, expected 3: a, b, c");
    let message = panic_of(|| tape.apply(rewind_autograd::ops::activation::TanhVjp, &[x])).2;
    assert_eq!(message, "tanh_vjp: 1 inputs given, expected 2: y, g");
}

#[test]
fn what_ops_are_built_of_refuses_bad_input_at_the_line_of_the_caller() {
    let x = sample(&[2, 3]);
    refused!("gather: index 3 does not lie in axis 1 of shape [2, 3]", x.gather(1, &[0, 3]));
    refused!("gather: axis 2 is not an axis of shape [2, 3], which has 2", x.gather(2, &[]));
    refused!("fold_axis: axis 2 is not an axis of shape [2, 3], which has 2", x.fold_axis(2, 0.0, f64::max));
    assert_eq!(x.gather(1, &[]).shape(), [2, 0]);
    assert_eq!(Tensor::zeros(&[2, 0]).fold_axis(1, -7.0, f64::max).to_vec(), [-7.0, -7.0]);
}

#[test]
#[cfg(debug_assertions)]
fn an_element_that_nobody_writes_shows_in_a_debug_build() {
    drop(Tensor::full(&[5], 0.5)); // its memory is used again
    let x = Tensor::build(&[5], |to: &mut [f64]| to[1..4].fill(1.0));
    assert_eq!(x.to_vec().iter().map(|x| x.is_nan()).collect::<Vec<_>>(), [true, false, false, false, true]);
}

/// A name that the macro once used itself.
const ARITY: usize = 9;

ops! {
    /// y = 9·x.
    fn nine_times = NineTimes(x) {
        value: x.map(|x| x * T::from_f64(ARITY as f64)),
        x: |g| g * T::from_f64(ARITY as f64),
    }
}

#[test]
fn the_names_of_a_program_are_its_own() {
    let tape = Tape::<f64>::new();
    let x = tape.leaf(Tensor::scalar(2.0));
    let y = nine_times(x);
    assert_eq!((y.value().item(), y.backward().get(x).item()), (18.0, 9.0));
}
