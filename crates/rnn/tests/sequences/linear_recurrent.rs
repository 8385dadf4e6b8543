//! The cells that are linear in their state: their equations in plain loops, and whole sequences against the unrolled cell.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};
use rewind_rnn::{Cell, Lru, MinGru, MinLstm, Unroll, check};

use crate::common::{random, randomised};
use crate::refused::refused;

fn min_gru(inputs: usize, hidden: usize) -> MinGru<Tensor<f64>> {
    randomised(&MinGru::new(inputs, hidden, &mut StdRng::seed_from_u64(0)).with_learned_state(), 31)
}

fn min_lstm(inputs: usize, hidden: usize) -> MinLstm<Tensor<f64>> {
    randomised(&MinLstm::new(inputs, hidden, &mut StdRng::seed_from_u64(0)).with_learned_state(), 32)
}

fn lru(inputs: usize, hidden: usize) -> Lru<Tensor<f64>> {
    randomised(&Lru::new(inputs, hidden, &mut StdRng::seed_from_u64(0)).with_learned_state(), 33)
}

/// A cell with the form for whole sequences.
trait Whole<'t, T: Scalar>: Cell<'t, T, State = Var<'t, T>> {
    fn whole(&self, x: Var<'t, T>, lengths: Option<&[usize]>, first: Var<'t, T>) -> (Var<'t, T>, Var<'t, T>);
}

macro_rules! whole {
    ($($cell:ident)*) => {$(
        impl<'t, T: Scalar> Whole<'t, T> for $cell<Var<'t, T>> {
            fn whole(&self, x: Var<'t, T>, lengths: Option<&[usize]>, first: Var<'t, T>) -> (Var<'t, T>, Var<'t, T>) {
                self.sequence(x, lengths, first)
            }
        }
    )*};
}

whole!(MinGru MinLstm Lru);

/// Calls a macro-like function with every cell.
macro_rules! for_each_cell {
    ($inputs:expr, $hidden:expr, |$module:ident| $body:expr) => {{
        {
            let $module = min_gru($inputs, $hidden);
            $body;
        }
        {
            let $module = min_lstm($inputs, $hidden);
            $body;
        }
        {
            let $module = lru($inputs, $hidden);
            $body;
        }
    }};
}

#[test]
fn cells_are_right_with_padding_and_states_that_are_not_zero() {
    for sizes in [[4, 3, 2], [1, 1, 2], [3, 1, 2]] {
        for_each_cell!(2, 3, |module| check::cell(&module, sizes).assert());
    }
}

#[test]
fn whole_sequences_are_right_at_both_orders() {
    let (x, first, lengths) = (random(&[4, 3, 2], 9), random(&[3, 3], 10), [4, 2, 1]);
    fn both<'t>((outputs, last): (Var<'t, f64>, Var<'t, f64>)) -> Var<'t, f64> {
        outputs + last // broadcast: the last states at every step
    }
    for lengths in [None, Some(&lengths[..])] {
        for_each_cell!(2, 3, |module| {
            check::module(&module, |tape, cell| {
                both(cell.sequence(tape.constant(x.clone()), lengths, cell.initial(3)))
            })
            .assert();
            let inputs = [x.clone(), first.clone()];
            check::function(&inputs, |tape, v| both(module.on(tape).sequence(v[0], lengths, v[1]))).assert();
        });
    }
}

/// Outputs, last states, and the gradients of all parameters, of x and of the first state of a loss that reads all outputs and all
/// last states.
fn results<M>(
    module: &M,
    x: &Tensor<f64>,
    first: &Tensor<f64>,
    lengths: Option<&[usize]>,
    whole: bool,
) -> Vec<Tensor<f64>>
where
    M: Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Whole<'t, f64>,
{
    let tape = Tape::new();
    let (cell, x, first) = (module.on(&tape), tape.leaf(x.clone()), tape.leaf(first.clone()));
    let (outputs, last) = if whole {
        cell.whole(x, lengths, first)
    } else {
        let how = lengths.map_or(Unroll::new(), |lengths| Unroll::new().lengths(lengths));
        let unrolled = how.run_from(&cell, x, first);
        (unrolled.outputs(), unrolled.last)
    };
    let weight = |v: Var<'_, f64>, seed| tape.constant(random(&v.shape(), seed));
    let loss = (outputs * weight(outputs, 21)).sum() + (last.square() * weight(last, 22)).sum();
    let gradients = loss.backward();
    let mut all = vec![outputs.value(), last.value(), gradients.get(x), gradients.get(first)];
    all.extend(gradients.of(&cell).leaves().into_iter().cloned());
    all
}

/// Whole sequences and the unrolled cell agree within 1e-12; `padding` is what x holds after the end of a sequence.
fn assert_same<M>(module: &M, [steps, batch]: [usize; 2], lengths: Option<&[usize]>, padding: f64)
where
    M: Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Whole<'t, f64>,
{
    let leaves = module.leaves();
    let (inputs, hidden) = (leaves[0].shape()[0], leaves.last().expect("a first state").len());
    let mut x = random(&[steps, batch, inputs], 23);
    if let Some(lengths) = lengths {
        let past = |i: usize| i / inputs / batch >= lengths[i / inputs % batch];
        x = Tensor::from_fn(&[steps, batch, inputs], |i| if past(i) { padding } else { x.to_vec()[i] });
    }
    let first = random(&[batch, hidden], 24);
    let [found, expected] = [true, false].map(|whole| results(module, &x, &first, lengths, whole));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.shape(), expected.shape());
        for (a, b) in found.to_vec().into_iter().zip(expected.to_vec()) {
            assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{steps} steps, {lengths:?}: {a} and unrolled {b}");
        }
    }
    // Past the end of a sequence outputs are 0, and x has no gradient.
    let past_the_end = |t: usize, b: usize| lengths.is_some_and(|lengths| t >= lengths[b]);
    for (t, b) in (0..steps).flat_map(|t| (0..batch).map(move |b| (t, b))).filter(|&(t, b)| past_the_end(t, b)) {
        let zero = |tensor: &Tensor<f64>| tensor.index(0, t).index(0, b).to_vec().iter().all(|&v| v == 0.0);
        assert!(zero(&found[0]) && zero(&found[2]), "step {t} of sequence {b}");
    }
}

#[test]
fn whole_sequences_are_those_of_the_unrolled_cell() {
    for steps in [1, 7, 33] {
        for batch in [1, 7] {
            let lengths: Vec<usize> = (0..batch).map(|b| 1 + (b * 5 + steps - 1) % steps).collect();
            for_each_cell!(3, 5, |module| {
                assert_same(&module, [steps, batch], None, 0.0);
                for padding in [0.0, 1e300, f64::NAN, f64::INFINITY] {
                    assert_same(&module, [steps, batch], Some(&lengths), padding);
                }
            });
        }
    }
    for_each_cell!(1, 33, |module| assert_same(&module, [2, 1], None, 0.0));
    for_each_cell!(33, 1, |module| assert_same(&module, [2, 3], Some(&[1, 2, 2]), f64::NAN));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whole_sequences_are_those_of_the_unrolled_cell_whatever_the_lengths(
        lengths in proptest::collection::vec(1_usize..20, 1..6),
        more in 0_usize..3,
        inputs in 1_usize..4,
        hidden in 1_usize..9,
    ) {
        let steps = lengths.iter().max().copied().unwrap_or(1) + more;
        for_each_cell!(inputs, hidden, |module| {
            assert_same(&module, [steps, lengths.len()], Some(&lengths), f64::NAN);
        });
    }
}

#[test]
fn an_empty_batch_has_empty_results() {
    for_each_cell!(3, 5, |module| {
        let tape = Tape::new();
        let cell = module.on(&tape);
        let (outputs, last) = cell.sequence(tape.zeros(&[4, 0, 3]), None, cell.initial(0));
        assert_eq!((outputs.shape().as_slice(), last.shape().as_slice()), (&[4, 0, 5][..], &[0, 5][..]));
    });
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Unit `j` of x·W + b for gate `gate`, of step `t` and sequence `b`.
fn affine(x: &Tensor<f64>, at: [usize; 2], weight: &Tensor<f64>, bias: Option<&Tensor<f64>>, column: usize) -> f64 {
    let product: f64 = (0..x.shape()[2]).map(|k| x.at(&[at[0], at[1], k]) * weight.at(&[k, column])).sum();
    product + bias.map_or(0.0, |bias| bias.at(&[column]))
}

/// The outputs of `module` over three sequences, against the coefficients a and b of unit j at [t, b] by `by_hand`.
fn assert_equations<M>(module: &M, x: &Tensor<f64>, by_hand: impl Fn([usize; 2], usize) -> [f64; 2])
where
    M: Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Whole<'t, f64>,
{
    let tape = Tape::new();
    let cell = module.on(&tape);
    let (outputs, last) = cell.whole(tape.constant(x.clone()), Some(&[4, 2, 3]), cell.initial(3));
    let first = cell.initial(3).value();
    for (b, length) in [4, 2, 3].into_iter().enumerate() {
        for j in 0..first.shape()[1] {
            let mut h = first.at(&[b, j]);
            for t in 0..length {
                let [coefficient, added] = by_hand([t, b], j);
                h = coefficient * h + added;
                let ours = outputs.value().at(&[t, b, j]);
                assert!((ours - h).abs() < 1e-14, "step {t}, sequence {b}, unit {j}: {ours} and by hand {h}");
            }
            assert!((last.value().at(&[b, j]) - h).abs() < 1e-14, "the last state of sequence {b}");
        }
    }
}

#[test]
fn sequences_are_what_the_equations_say() {
    let (x, hidden) = (random(&[4, 3, 2], 5), 5);
    let m = min_gru(2, hidden);
    assert_equations(&m, &x, |at, j| {
        let [z, n] = [0, 1].map(|gate| affine(&x, at, &m.weight_ih, m.bias.as_ref(), gate * hidden + j));
        [1.0 - sigmoid(z), sigmoid(z) * n]
    });
    let m = min_lstm(2, hidden);
    assert_equations(&m, &x, |at, j| {
        let [f, i, n] = [0, 1, 2].map(|gate| affine(&x, at, &m.weight_ih, m.bias.as_ref(), gate * hidden + j));
        let (f, i) = (sigmoid(f), sigmoid(i));
        [f / (f + i), i / (f + i) * n]
    });
    let m = lru(2, hidden);
    assert_equations(&m, &x, |at, j| {
        let decay = (-m.log_rate.at(&[j]).exp()).exp();
        [decay, (1.0 - decay * decay).sqrt() * affine(&x, at, &m.weight_ih, None, j)]
    });
}

#[test]
fn gates_of_any_size_give_shares_that_sum_to_one() {
    // One unit, one step: f, i and n are the biases.
    let share = |f: f32, i: f32| {
        let module = MinLstm {
            weight_ih: Tensor::zeros(&[1, 3]),
            bias: Some(Tensor::from_vec(vec![f, i, 0.0], &[3])),
            initial: Some(Tensor::full(&[1], 1.0)),
        };
        let tape = Tape::new();
        let cell = module.on(&tape);
        let (outputs, _) = cell.sequence(tape.zeros(&[1, 1, 1]), None, cell.initial(1));
        let gradients = outputs.sum().backward().of(&cell);
        assert!(gradients.bias.expect("there is a bias").to_vec().iter().all(|g| g.is_finite()), "{f} and {i}");
        outputs.value().item()
    };
    assert_eq!([share(-1000.0, -1000.0), share(1000.0, 1000.0), share(0.0, 0.0)], [0.5; 3]);
    assert_eq!([share(-1000.0, 0.0), share(0.0, -1000.0)], [0.0, 1.0]);
    assert!((share(-1000.0, -1002.0) - 0.880_797).abs() < 1e-6);
    assert!((share(1000.0, 0.0) - 2.0 / 3.0).abs() < 1e-6);
}

#[test]
fn a_decay_close_to_one_keeps_its_normalisation() {
    // λ rounds to 1 in f32, and 1 - λ² would be 0.
    let module = Lru { weight_ih: Tensor::full(&[1, 1], 1.0), log_rate: Tensor::full(&[1], -20_f32), initial: None };
    let tape = Tape::new();
    let cell = module.on(&tape);
    let (outputs, _) = cell.sequence(tape.constant(Tensor::full(&[1, 1, 1], 1.0)), None, cell.initial(1));
    let exact = (2.0 * (-20_f64).exp()).sqrt();
    assert!((f64::from(outputs.value().item()) / exact - 1.0).abs() < 1e-6);
    let gradient = outputs.sum().backward().of(&cell).log_rate.item();
    assert!((f64::from(gradient) / (exact / 2.0) - 1.0).abs() < 1e-6, "γ = √(2·e^ν) here");
}

fn lru_far_out<T: Scalar>(log_rates: &[f64]) {
    for &log_rate in log_rates {
        let v = T::from_f64(log_rate);
        let module = Lru { weight_ih: Tensor::full(&[1, 1], T::ONE), log_rate: Tensor::full(&[1], v), initial: None };
        let tape = Tape::new();
        let cell = module.on(&tape);
        let x = tape.leaf(Tensor::full(&[7, 1, 1], T::ONE));
        let (outputs, last) = cell.sequence(x, None, tape.constant(Tensor::full(&[1, 1], T::ONE)));
        let gradients = (outputs.sum() + last.sum()).backward();
        let found = [gradients.get(cell.log_rate), gradients.get(cell.weight_ih), gradients.get(x)];
        assert!(found.iter().flat_map(Tensor::to_vec).all(Scalar::is_finite), "{} ν = {log_rate}: {found:?}", T::NAME);
        // A unit keeps its first state and reads nothing, or keeps nothing and reads x: 1 in both cases.
        let (state, slope) = (last.value().item().to_f64(), found[0].item().to_f64());
        assert!((state - 1.0).abs() < 1e-9 && slope.abs() < 1e-9, "{} ν = {log_rate}: {state}, {slope}", T::NAME);
    }
}

#[test]
fn decays_far_out_have_finite_gradients() {
    lru_far_out::<f32>(&[-1e30, -200.0, -104.0, -88.0, -60.0, 20.0, 45.0, 88.0, 90.0, 1e30]);
    lru_far_out::<f64>(&[-1e300, -800.0, -709.0, -600.0, 20.0, 300.0, 709.0, 800.0, 1e300]);
}

#[test]
fn single_precision_gives_the_numbers_of_double() {
    let x = random(&[33, 2, 3], 7);
    let narrow = |x: &Tensor<f64>| Tensor::from_vec(x.to_vec().iter().map(|&x| x as f32).collect(), x.shape());
    for_each_cell!(3, 7, |module| {
        let (wide, single) = (Tape::new(), Tape::new());
        let (cell, other) = (module.on(&wide), module.map(|_, p| narrow(p)).on(&single));
        let expected = cell.sequence(wide.constant(x.clone()), None, cell.initial(2)).0.value().to_vec();
        let found = other.sequence(single.constant(narrow(&x)), None, other.initial(2)).0.value().to_vec();
        for (a, b) in found.iter().zip(&expected) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{a} and {b}");
        }
    });
}

#[test]
fn a_sequence_is_a_fixed_number_of_nodes() {
    for_each_cell!(3, 5, |module| {
        let nodes = [10, 1000].map(|steps| {
            let tape = Tape::new();
            let cell = module.on(&tape);
            cell.sequence(tape.zeros(&[steps, 2, 3]), Some(&[steps, 4]), cell.initial(2));
            tape.len()
        });
        assert_eq!(nodes[0], nodes[1]);
        assert!(nodes[0] < 40, "{} nodes", nodes[0]);
    });
}

#[test]
fn the_biases_of_the_forget_gate_alone_are_set() {
    let lstm = MinLstm::<Tensor<f32>>::new(2, 3, &mut StdRng::seed_from_u64(1)).with_forget_bias(2.0);
    let bias = lstm.bias.expect("it has a bias").to_vec();
    assert_eq!(bias[..3], [2.0; 3]);
    assert!(bias[3..].iter().all(|b| b.abs() <= 1.0 / 3_f32.sqrt()), "{bias:?}");
}

#[test]
fn decays_are_drawn_between_their_bounds() {
    let rng = &mut StdRng::seed_from_u64(3);
    let decays =
        |lru: Lru<Tensor<f64>>| lru.log_rate.to_vec().into_iter().map(|v| (-v.exp()).exp()).collect::<Vec<_>>();
    for (bounds, decays) in [
        ([0.9, 0.999], decays(Lru::new(2, 1000, rng))),
        ([0.01, 0.5], decays(Lru::with_decay(2, 1000, [0.01, 0.5], rng))),
    ] {
        assert!(decays.iter().all(|d| (bounds[0] - 1e-12..=bounds[1] + 1e-12).contains(d)));
        // λ² is uniform: its mean is in the middle, to five standard errors.
        let mean = decays.iter().map(|d| d * d).sum::<f64>() / 1000.0;
        let (least, most) = (bounds[0] * bounds[0], bounds[1] * bounds[1]);
        let error = (most - least) / 12_f64.sqrt() / 1000_f64.sqrt();
        assert!((mean - (least + most) / 2.0).abs() < 5.0 * error, "{mean}");
    }
}

#[test]
fn sequences_that_do_not_fit_are_refused() {
    let tape = Tape::new();
    let of = |shape: &[usize]| tape.constant(random(shape, 1));
    let (x, first) = (of(&[7, 2, 3]), of(&[2, 5]));
    let gru = min_gru(3, 5).on(&tape);
    let takes = "a sequence takes x [T, B, 3] and a first state [B, 5], of one time step at least; got x";
    refused!(format!("MinGru: {takes} [7, 2, 4] and a first state [2, 5]"), gru.sequence(of(&[7, 2, 4]), None, first));
    refused!(format!("MinGru: {takes} [2, 3] and a first state [2, 5]"), gru.sequence(of(&[2, 3]), None, first));
    refused!(format!("MinGru: {takes} [0, 2, 3] and a first state [2, 5]"), gru.sequence(of(&[0, 2, 3]), None, first));
    refused!(format!("MinGru: {takes} [7, 2, 3] and a first state [1, 5]"), gru.sequence(x, None, of(&[1, 5])));
    let lstm = min_lstm(3, 5).on(&tape);
    refused!("MinLstm: 1 lengths for a batch of 2 sequences", lstm.sequence(x, Some(&[7]), first));
    let expected = "expected 1 to 7, the time steps of x";
    refused!(format!("MinLstm: sequence 1 has length 0; {expected}"), lstm.sequence(x, Some(&[7, 0]), first));
    let lru = lru(3, 5).on(&tape);
    refused!(format!("Lru: sequence 0 has length 8; {expected}"), lru.sequence(x, Some(&[8, 7]), first));
}

#[test]
fn steps_and_parameters_that_do_not_fit_are_refused() {
    let tape = Tape::new();
    let of = |shape: &[usize]| tape.constant(random(shape, 1));
    let (x, h) = (of(&[2, 3]), of(&[2, 5]));
    let (gru, lstm, lru) = (min_gru(3, 5).on(&tape), min_lstm(3, 5).on(&tape), lru(3, 5).on(&tape));
    let takes = "a step takes x [B, 3], h [B, 5], with one B; got x";
    refused!(format!("MinGru: {takes} [2, 3], h [1, 5]"), gru.step(x, of(&[1, 5])));
    refused!(format!("MinLstm: {takes} [2, 4], h [2, 5]"), lstm.step(of(&[2, 4]), h));
    refused!(format!("Lru: {takes} [7, 2, 3], h [2, 5]"), lru.step(of(&[7, 2, 3]), h));
    let why = "by the rows of its weights";
    let bad = MinGru { bias: Some(of(&[5])), ..gru.clone() };
    refused!(format!("MinGru: bias has shape [5]; expected [10], {why}"), bad.step(x, h));
    let bad = MinLstm { bias: Some(of(&[1])), ..lstm.clone() };
    refused!(format!("MinLstm: bias has shape [1]; expected [15], {why}"), bad.sequence(of(&[7, 2, 3]), None, h));
    let bad = Lru { log_rate: of(&[1]), ..lru.clone() };
    refused!(format!("Lru: log_rate has shape [1]; expected [5], {why}"), bad.step(x, h));
    let one = Some(of(&[1]));
    let each = "expected [5], a number for each unit";
    refused!(format!("MinGru: initial has shape [1]; {each}"), MinGru { initial: one, ..gru.clone() }.initial(2));
    refused!(format!("MinLstm: initial has shape [1]; {each}"), MinLstm { initial: one, ..lstm.clone() }.initial(2));
    refused!(format!("Lru: initial has shape [1]; {each}"), Lru { initial: one, ..lru.clone() }.initial(2));
}

#[test]
fn sizes_and_bounds_that_make_no_cell_are_refused() {
    let rng = &mut StdRng::seed_from_u64(1);
    let none = "inputs and 0 hidden units; expected at least one of each";
    refused!(format!("MinGru: 3 {none}"), MinGru::<Tensor<f32>>::new(3, 0, rng));
    refused!(format!("MinLstm: 3 {none}"), MinLstm::<Tensor<f32>>::new(3, 0, rng));
    refused!(format!("Lru: 3 {none}"), Lru::<Tensor<f32>>::new(3, 0, rng));
    for [least, most] in [[0.0, 0.5], [0.6, 0.5], [0.5, 1.0], [f64::NAN, 0.5]] {
        refused!(
            format!("Lru: λ from {least} to {most}; expected bounds with 0 < least <= most < 1"),
            Lru::<Tensor<f32>>::with_decay(3, 5, [least, most], rng)
        );
    }
}
