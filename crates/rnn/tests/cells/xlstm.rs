//! The cells of xLSTM against plain loops over numbers, against central differences, and with gates of any size.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Module, OnTape, Parameters, Scalar, Tape, Tensor, Var, parameters};
use rewind_rnn::{Cell, ForgetGate, MLstm, MLstmState, SLstm, SLstmState, State, Unroll, check, unroll};

use crate::common::{random, randomised};
use crate::xlstm_by_hand::{self as by_hand, First};

pub(crate) const BOTH: [ForgetGate; 2] = [ForgetGate::Sigmoid, ForgetGate::Exponential];

pub(crate) fn slstm(inputs: usize, hidden: usize, forget: ForgetGate) -> SLstm<Tensor<f64>> {
    let cell = SLstm::new(inputs, hidden, &mut StdRng::seed_from_u64(0)).with_learned_state();
    SLstm { forget, ..randomised(&cell, 1) }
}

pub(crate) fn mlstm(inputs: usize, hidden: usize, heads: usize, forget: ForgetGate) -> MLstm<Tensor<f64>> {
    let cell = MLstm::new(inputs, hidden, heads, &mut StdRng::seed_from_u64(0));
    MLstm { forget, ..randomised(&cell, 2) }
}

fn slstm_in_heads(inputs: usize, hidden: usize, heads: usize, forget: ForgetGate) -> SLstm<Tensor<f64>> {
    randomised(&slstm(inputs, hidden, forget).with_heads(heads, &mut StdRng::seed_from_u64(0)), 1)
}

/// A tensor in another precision.
pub(crate) fn cast<A: Scalar, B: Scalar>(x: &Tensor<A>) -> Tensor<B> {
    Tensor::from_vec(x.to_vec().iter().map(|x| B::from_f64(x.to_f64())).collect(), x.shape())
}

/// Parts of a first state that are not zero, and normalisers that are positive.
fn first_of(shapes: [&[usize]; 4]) -> [Tensor<f64>; 4] {
    let mut seed = 20;
    shapes.map(|shape| {
        seed += 1;
        if seed == 23 { random(shape, seed).map(|n| 1.5 + n) } else { random(shape, seed) }
    })
}

/// Row `b` of every part.
fn row(parts: &[Tensor<f64>; 4], b: usize) -> First {
    [0, 1, 2, 3].map(|part: usize| parts[part].index(0, b).to_vec())
}

/// Sequence `b` of x `[T, B, I]`.
fn sequence(x: &Tensor<f64>, b: usize) -> Vec<Vec<f64>> {
    (0..x.shape()[0]).map(|t| x.index(0, t).index(0, b).to_vec()).collect()
}

/// The outputs `[T, B, H]` must be those of `expected` for every sequence.
#[track_caller]
fn close<T: Scalar>(outputs: Tensor<T>, tolerance: f64, expected: impl Fn(usize) -> Vec<Vec<f64>>) {
    for b in 0..outputs.shape()[1] {
        for (t, expected) in expected(b).iter().enumerate() {
            for (j, &expected) in expected.iter().enumerate() {
                let found = outputs.at(&[t, b, j]).to_f64();
                let near = (found - expected).abs() <= tolerance * (1.0 + expected.abs());
                assert!(near, "step {t}, sequence {b}, unit {j}: {found}, by hand {expected}");
            }
        }
    }
}

fn slstm_outputs<T: Scalar>(cell: &SLstm<Tensor<f64>>, x: &Tensor<f64>, first: &[Tensor<f64>; 4]) -> Tensor<T> {
    let tape = Tape::new();
    let on_tape = cell.map(|_, p| tape.leaf(cast::<f64, T>(p)));
    let [hidden, cell, normaliser, stabiliser] = [0, 1, 2, 3].map(|part: usize| tape.constant(cast(&first[part])));
    let first = SLstmState { hidden, cell, normaliser, stabiliser };
    Unroll::new().run_from(&on_tape, tape.constant(cast(x)), first).outputs().value()
}

fn mlstm_outputs<T: Scalar>(cell: &MLstm<Tensor<f64>>, x: &Tensor<f64>, first: &[Tensor<f64>; 4]) -> Tensor<T> {
    let tape = Tape::new();
    let on_tape = cell.map(|_, p| tape.leaf(cast::<f64, T>(p)));
    let [hidden, cell, normaliser, stabiliser] = [0, 1, 2, 3].map(|part: usize| tape.constant(cast(&first[part])));
    let first = MLstmState { hidden, cell, normaliser, stabiliser };
    Unroll::new().run_from(&on_tape, tape.constant(cast(x)), first).outputs().value()
}

#[test]
fn the_slstm_is_what_its_equations_say() {
    for forget in BOTH {
        let sizes = [(1, 1, 1), (3, 7, 1), (7, 33, 1), (3, 8, 2), (7, 33, 3), (2, 4, 4), (1, 12, 4)];
        for (inputs, hidden, heads) in sizes {
            let dense = slstm(inputs, hidden, forget);
            let cell = if heads == 1 { dense } else { slstm_in_heads(inputs, hidden, heads, forget) };
            let x = random(&[6, 3, inputs], 9);
            let first = first_of([&[3, hidden]; 4]);
            let expected = |b| by_hand::slstm(&cell, &sequence(&x, b), &row(&first, b));
            close(slstm_outputs::<f64>(&cell, &x, &first), 1e-13, expected);
            close(slstm_outputs::<f32>(&cell, &x, &first), 2e-5, expected);
        }
    }
}

#[test]
fn the_mlstm_is_what_its_equations_say() {
    for forget in BOTH {
        for (inputs, hidden, heads) in [(1, 1, 1), (3, 7, 1), (3, 8, 2), (7, 33, 3), (2, 4, 4), (1, 12, 4)] {
            let (cell, x) = (mlstm(inputs, hidden, heads, forget), random(&[6, 3, inputs], 9));
            let width = hidden / heads;
            let first = first_of([&[3, hidden], &[3, heads, width, width], &[3, heads, width], &[3, heads]]);
            let expected = |b| by_hand::mlstm(&cell, heads, &sequence(&x, b), &row(&first, b));
            close(mlstm_outputs::<f64>(&cell, &x, &first), 1e-13, expected);
            close(mlstm_outputs::<f32>(&cell, &x, &first), 2e-5, expected);
        }
    }
}

/// The first state of a cell without a learned one: whatever the loops start from, it has no weight.
fn nothing(shapes: [usize; 4]) -> First {
    let [h, c, n, m] = shapes.map(|len| vec![0.0; len]);
    [h, c, n, m.iter().map(|_: &f64| f64::NEG_INFINITY).collect()]
}

#[test]
fn without_a_first_state_the_first_input_counts_however_small_its_gate() {
    for bias in [-1000.0, -30.0, 0.0, 30.0, 1000.0] {
        let mut cell = SLstm { initial_hidden: None, initial_cell: None, ..slstm(3, 5, ForgetGate::Sigmoid) };
        cell.bias.as_mut().expect("it has a bias").as_mut_slice()[..5].fill(bias);
        let x = random(&[4, 2, 3], 9);
        let tape = Tape::new();
        let outputs = unroll(&cell.on(&tape), tape.constant(x.clone())).outputs().value();
        close(outputs, 1e-12, |b| by_hand::slstm(&cell, &sequence(&x, b), &nothing([5; 4])));

        let mut cell = mlstm(3, 6, 2, ForgetGate::Sigmoid);
        cell.bias_gates.as_mut().expect("it has biases").as_mut_slice()[..2].fill(bias);
        let outputs = unroll(&cell.on(&tape), tape.constant(x.clone())).outputs().value();
        close(outputs, 1e-12, |b| by_hand::mlstm(&cell, 2, &sequence(&x, b), &nothing([6, 18, 6, 2])));
    }
}

/// The naive form, e^ĩ and f as they are, where it does not overflow: what is stored is e^-m times as much.
#[test]
fn the_states_mean_those_without_a_stabiliser() {
    let (cell, x) = (slstm(1, 1, ForgetGate::Exponential), [0.7, -0.3, 0.9, 0.2]);
    let tape = Tape::new();
    let unrolled = unroll(&cell.on(&tape), tape.constant(Tensor::from_vec(x.to_vec(), &[4, 1, 1])));
    let number = |p: &Option<Tensor<f64>>| p.as_ref().expect("it is learned").to_vec()[0];
    let (mut h, mut c, mut n) = (number(&cell.initial_hidden), number(&cell.initial_cell), 1.0);
    let bias = cell.bias.as_ref().expect("it has a bias");
    for (t, x) in x.iter().enumerate() {
        let [i, f, z, o] =
            [0, 1, 2, 3].map(|g| x * cell.weight_ih.at(&[0, g]) + h * cell.weight_hh.at(&[0, g]) + bias.at(&[g]));
        (c, n) = (f.exp() * c + i.exp() * z.tanh(), f.exp() * n + i.exp());
        h = c / n / (1.0 + (-o).exp());
        let state = unrolled.states[t];
        let [found_h, found_c, found_n, m] =
            [state.hidden, state.cell, state.normaliser, state.stabiliser].map(|part| part.value().to_vec()[0]);
        for (found, expected) in [(found_h, h), (found_c * m.exp(), c), (found_n * m.exp(), n)] {
            assert!((found - expected).abs() < 1e-14 * (1.0 + expected.abs()), "step {t}: {found}, not {expected}");
        }
    }
}

#[test]
fn the_gradients_of_the_slstm_are_right_at_both_orders() {
    for forget in BOTH {
        for sizes in [[4, 3, 2], [1, 1, 2], [3, 1, 2]] {
            check::cell(&slstm(2, 3, forget), sizes).assert();
            check::cell(&slstm_in_heads(2, 4, 2, forget), sizes).assert();
        }
        let cell = SLstm { initial_hidden: None, initial_cell: None, ..slstm(2, 3, forget) };
        let x = random(&[4, 2, 2], 9);
        check::module(&cell, |tape, cell| {
            all_states(Unroll::new().lengths(&[4, 2]), cell, tape.constant(x.clone()), None)
        })
        .assert();
    }
}

parameters! {
    /// An mLSTM, its input, and the parts of a first state that it reads.
    struct Run<P, M> {
        #[module]
        cell: M,
        x: P,
        matrix: P,
        normaliser: P,
        stabiliser: P,
    }
}

/// All elements of all states, in one row.
fn all_states<'t, C: Cell<'t, f64>>(
    unroll: Unroll<'_>,
    cell: &C,
    x: Var<'t, f64>,
    first: Option<C::State>,
) -> Var<'t, f64> {
    let first = first.unwrap_or_else(|| cell.initial(x.shape()[1]));
    let unrolled = unroll.run_from(cell, x, first);
    let mut rows = Vec::new();
    for state in unrolled.states.iter() {
        state.clone().zip(state.clone(), &mut |part, _| {
            rows.push(part.reshape(&[part.element_count()]));
            part
        });
    }
    concat(&rows, 0)
}

#[test]
fn the_gradients_of_the_mlstm_are_right_at_both_orders() {
    for forget in BOTH {
        for (heads, [steps, batch]) in [(1, [3, 2]), (2, [4, 3]), (4, [2, 1])] {
            let (hidden, width) = (4, 4 / heads);
            let [matrix, normaliser, stabiliser] =
                [&[batch, heads, width, width][..], &[batch, heads, width], &[batch, heads]]
                    .map(|shape| random(shape, 7));
            let run = Run {
                cell: mlstm(2, hidden, heads, forget),
                x: random(&[steps, batch, 2], 9),
                matrix,
                normaliser,
                stabiliser,
            };
            let lengths: Vec<_> = (0..batch).map(|b| steps - b % steps).collect();
            let report = check::full().module(&run, |_, run| {
                let first = MLstmState {
                    cell: run.matrix,
                    normaliser: run.normaliser,
                    stabiliser: run.stabiliser,
                    ..run.cell.initial(batch)
                };
                all_states(Unroll::new().lengths(&lengths), &run.cell, run.x, Some(first))
            });
            report.assert();
        }
        let (cell, x) = (mlstm(2, 4, 2, forget), random(&[4, 2, 2], 9));
        check::module(&cell, |tape, cell| {
            all_states(Unroll::new().lengths(&[4, 2]), cell, tape.constant(x.clone()), None)
        })
        .assert();
    }
}

/// Inputs `[T, B, 4]`, multiples of ½ up to 1. The cells below multiply the first two by 1000: those are the pre-activations of their input
/// and forget gates, exact in `f32`. The others are not negative.
pub(crate) fn extreme(shape: &[usize]) -> Tensor<f64> {
    let x = random(shape, 31).map(|x| (x * 2.5).round() / 2.0).to_vec();
    Tensor::from_fn(shape, |at| if at % 4 < 2 { x[at] } else { x[at].abs() })
}

/// The outputs and the gradient of Σ h² with respect to all parameters and x.
fn trained<T: Scalar, M>(cell: &M, x: &Tensor<f64>) -> (Tensor<T>, Vec<Tensor<T>>)
where
    M: Module<T>,
    for<'t> M::With<Var<'t, T>>: Cell<'t, T>,
{
    let tape = Tape::new();
    let (cell, x) = (cell.on(&tape), tape.leaf(cast(x)));
    let outputs = unroll(&cell, x).outputs();
    let gradients = outputs.square().sum().backward();
    let mut all = vec![gradients.get(x)];
    gradients.of(&cell).visit(|_, g| all.push(g.clone()));
    (outputs.value(), all)
}

pub(crate) fn extreme_slstm(forget: ForgetGate) -> SLstm<Tensor<f64>> {
    let mut cell = SLstm { initial_hidden: None, initial_cell: None, ..slstm(4, 3, forget) };
    cell.weight_ih = Tensor::from_fn(&[4, 12], |at| match at % 12 / 3 {
        gate @ 0..=1 if at / 12 == gate => 1000.0,
        0..=1 => 0.0,
        _ => ((at * 7) as f64).sin(),
    });
    // Recurrent products would round what e^1000 magnifies.
    cell.weight_hh = Tensor::from_fn(&[3, 12], |at| if at % 12 < 6 { 0.0 } else { (at as f64).cos() });
    cell.bias.as_mut().expect("it has a bias").as_mut_slice()[..6].fill(0.0);
    cell
}

pub(crate) fn extreme_mlstm(forget: ForgetGate) -> MLstm<Tensor<f64>> {
    let mut cell = mlstm(4, 6, 2, forget);
    cell.weight_gates = Tensor::from_fn(&[4, 4], |at| if at % 4 / 2 == at / 4 { 1000.0 } else { 0.0 });
    cell.bias_gates = None;
    // Queries and keys that are not negative: q·n does not cancel, so that h is well conditioned.
    cell.weight_ih = Tensor::from_fn(&[4, 24], |at| if at / 24 < 2 { 0.0 } else { ((at * 7) as f64).sin().abs() });
    cell.bias = cell.bias.map(|bias| bias.map(f64::abs));
    cell
}

#[test]
fn gates_of_a_thousand_over_a_thousand_steps_neither_overflow_nor_lose_anything() {
    for forget in BOTH {
        let x = extreme(&[1000, 2, 4]);
        let finite = |gradients: Vec<Tensor<f64>>| assert!(gradients.iter().all(Tensor::all_finite));
        let finite_f32 = |gradients: Vec<Tensor<f32>>| assert!(gradients.iter().all(Tensor::all_finite));

        let cell = extreme_slstm(forget);
        let expected: Vec<_> = (0..2).map(|b| by_hand::slstm(&cell, &sequence(&x, b), &nothing([3; 4]))).collect();
        let (outputs, gradients) = trained::<f64, _>(&cell, &x);
        close(outputs, 1e-9, |b| expected[b].clone());
        finite(gradients);
        let (outputs, gradients) = trained::<f32, _>(&cell.map(|_, p| cast::<f64, f32>(p)), &x);
        close(outputs, 1e-4, |b| expected[b].clone());
        finite_f32(gradients);

        let cell = extreme_mlstm(forget);
        let expected: Vec<_> =
            (0..2).map(|b| by_hand::mlstm(&cell, 2, &sequence(&x, b), &nothing([6, 18, 6, 2]))).collect();
        let (outputs, gradients) = trained::<f64, _>(&cell, &x);
        close(outputs, 1e-9, |b| expected[b].clone());
        finite(gradients);
        let (outputs, gradients) = trained::<f32, _>(&cell.map(|_, p| cast::<f64, f32>(p)), &x);
        close(outputs, 1e-4, |b| expected[b].clone());
        finite_f32(gradients);
    }
}

#[test]
fn a_query_of_zero_has_output_and_gradients_that_are_finite() {
    // q = 0 and e^-m = 0: 0/0, were exp(-m) not kept above 0. And m = -1000: e^1000.
    for gate in [1000.0, -1000.0] {
        let mut cell = mlstm(3, 4, 2, ForgetGate::Exponential);
        cell.bias = None;
        cell.bias_gates = Some(Tensor::full(&[4], gate));
        let x = Tensor::zeros(&[3, 2, 3]);
        let (outputs, gradients) = trained::<f64, _>(&cell, &x);
        assert_eq!(outputs, Tensor::zeros(&[3, 2, 4]));
        assert!(gradients.iter().all(Tensor::all_finite));
        let (outputs, gradients) = trained::<f32, _>(&cell.map(|_, p| cast::<f64, f32>(p)), &x);
        assert_eq!(outputs, Tensor::zeros(&[3, 2, 4]));
        assert!(gradients.iter().all(Tensor::all_finite));
    }
}

#[test]
fn initial_values_are_those_that_the_docs_name() {
    let rng = &mut StdRng::seed_from_u64(1);
    let slstm = SLstm::<Tensor<f32>>::new(2, 4, rng).with_forget_bias(3.0);
    let bias = slstm.bias.expect("it has a bias").to_vec();
    assert_eq!(bias[4..8], [3.0; 4]);
    assert!(bias[..4].iter().chain(&bias[8..]).all(|b| b.abs() <= 0.5), "{bias:?}");

    for (heads, expected) in [(1, &[3.0][..]), (2, &[3.0, 6.0]), (4, &[3.0, 4.0, 5.0, 6.0])] {
        let mlstm = MLstm::<Tensor<f32>>::new(2, 8, heads, rng);
        assert_eq!(mlstm.weight_gates, Tensor::zeros(&[2, 2 * heads]));
        assert_eq!(mlstm.bias, Some(Tensor::zeros(&[32])));
        let bias = mlstm.bias_gates.expect("it has biases").to_vec();
        assert_eq!(&bias[heads..], expected);
        assert!(bias[..heads].iter().all(|&b| b != 0.0 && b.abs() < 0.6), "{bias:?}");
    }
}
