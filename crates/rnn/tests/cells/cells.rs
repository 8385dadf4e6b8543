//! Every cell against central differences, and against its equations written out by hand.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var};
use rewind_rnn::{Cell, Lstm, Reset, State, TanhRnn, Unroll, check, unroll};

use crate::common::{gru, lstm, random, tanh};

/// Parameters, first states and inputs of `module` over four steps of a padded batch, at both orders.
fn assert_right<M>(module: &M)
where
    M: Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
{
    let x = random(&[4, 2, 3], 9);
    check::module(module, |tape, cell| Unroll::new().lengths(&[4, 2]).run(cell, tape.constant(x.clone())).outputs())
        .assert();
    check::function(&[x], |tape, x| unroll(&module.on(tape), x[0]).last.output()).assert();
}

#[test]
fn the_tanh_rnn_is_right() {
    assert_right(&tanh(3, 5));
}

#[test]
fn the_lstm_is_right() {
    assert_right(&lstm(3, 5));
}

#[test]
fn the_gru_is_right_in_both_forms() {
    assert_right(&gru(3, 5, Reset::AfterProduct));
    assert_right(&gru(3, 5, Reset::BeforeProduct));
}

#[test]
fn the_check_of_a_cell_names_the_parameter() {
    // A cell whose step reads a detached state loses a part of the gradient of its recurrent weight.
    struct Forgetful<'t>(TanhRnn<Var<'t, f64>>);
    impl<'t> Cell<'t, f64> for Forgetful<'t> {
        type State = Var<'t, f64>;
        fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
            self.0.step(x, h.detach())
        }
        fn initial(&self, batch: usize) -> Var<'t, f64> {
            self.0.initial(batch)
        }
    }
    let x = random(&[3, 2, 3], 4);
    let report =
        check::module(&tanh(3, 4), |tape, cell| unroll(&Forgetful(cell.clone()), tape.constant(x.clone())).last);
    assert!(!report.passed(), "{report}");
    let names = ["weight_ih", "weight_hh", "bias", "initial"];
    assert!(report.worst.as_ref().is_some_and(|worst| names.contains(&worst.input.as_str())), "{report}");
}

/// The equations of the module docs, with plain loops: sigmoid and tanh of x·w + h·u + b for unit `j` of gate `g`.
struct ByHand<'a> {
    x: &'a Tensor<f64>,
    h: &'a Tensor<f64>,
    b: usize,
    hidden: usize,
}

impl ByHand<'_> {
    fn input(&self, w: &Tensor<f64>, g: usize, j: usize) -> f64 {
        (0..self.x.shape()[1]).map(|k| self.x.at(&[self.b, k]) * w.at(&[k, g * self.hidden + j])).sum()
    }
    fn recurrent(&self, u: &Tensor<f64>, g: usize, j: usize) -> f64 {
        (0..self.hidden).map(|k| self.h.at(&[self.b, k]) * u.at(&[k, g * self.hidden + j])).sum()
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn close(ours: &Tensor<f64>, by_hand: impl Fn(usize, usize) -> f64) {
    let &[batch, hidden] = ours.shape() else { panic!("a state has two axes") };
    for b in 0..batch {
        for j in 0..hidden {
            let (a, e) = (ours.at(&[b, j]), by_hand(b, j));
            assert!((a - e).abs() < 1e-14, "sequence {b}, unit {j}: {a} and by hand {e}");
        }
    }
}

#[test]
fn one_step_is_what_the_equations_say() {
    let (x, h, c) = (random(&[2, 3], 5), random(&[2, 4], 6), random(&[2, 4], 7));
    let at = |b| ByHand { x: &x, h: &h, b, hidden: 4 };
    let tape = Tape::new();
    let (vx, vh, vc) = (tape.constant(x.clone()), tape.constant(h.clone()), tape.constant(c.clone()));

    let m = tanh(3, 4);
    let bias = m.bias.clone().expect("it has a bias");
    close(&m.on(&tape).step(vx, vh).value(), |b, j| {
        (at(b).input(&m.weight_ih, 0, j) + at(b).recurrent(&m.weight_hh, 0, j) + bias.at(&[j])).tanh()
    });

    let m = lstm(3, 4);
    let bias = m.bias.clone().expect("it has a bias");
    let gate = |b, g, j| at(b).input(&m.weight_ih, g, j) + at(b).recurrent(&m.weight_hh, g, j) + bias.at(&[g * 4 + j]);
    let next = m.on(&tape).step(vx, rewind_rnn::LstmState { hidden: vh, cell: vc });
    let cell =
        |b: usize, j: usize| sigmoid(gate(b, 1, j)) * c.at(&[b, j]) + sigmoid(gate(b, 0, j)) * gate(b, 2, j).tanh();
    close(&next.cell.value(), cell);
    close(&next.hidden.value(), |b, j| sigmoid(gate(b, 3, j)) * cell(b, j).tanh());

    for reset in [Reset::AfterProduct, Reset::BeforeProduct] {
        let m = gru(3, 4, reset);
        let (bias, bias_hn) = (m.bias.clone().expect("it has a bias"), m.bias_hn.clone().expect("it has one"));
        let gate = |b: usize, g: usize, j: usize| {
            sigmoid(at(b).input(&m.weight_ih, g, j) + at(b).recurrent(&m.weight_hh, g, j) + bias.at(&[g * 4 + j]))
        };
        close(&m.on(&tape).step(vx, vh).value(), |b, j| {
            let recurrent = match reset {
                Reset::AfterProduct => gate(b, 0, j) * (at(b).recurrent(&m.weight_hn, 0, j) + bias_hn.at(&[j])),
                Reset::BeforeProduct => {
                    let product: f64 = (0..4).map(|k| gate(b, 0, k) * h.at(&[b, k]) * m.weight_hn.at(&[k, j])).sum();
                    product + bias_hn.at(&[j])
                }
            };
            let n = (at(b).input(&m.weight_ih, 2, j) + bias.at(&[8 + j]) + recurrent).tanh();
            let z = gate(b, 1, j);
            (1.0 - z) * n + z * h.at(&[b, j])
        });
    }
}

#[test]
fn the_forget_bias_is_set_in_its_gate_alone() {
    let lstm = Lstm::<Tensor<f32>>::new(2, 3, &mut StdRng::seed_from_u64(1)).with_forget_bias(1.0);
    let bias = lstm.bias.expect("it has a bias").to_vec();
    assert_eq!(bias[3..6], [1.0; 3]);
    assert!(bias[..3].iter().chain(&bias[6..]).all(|b| b.abs() <= 1.0 / 3_f32.sqrt()), "{bias:?}");
}

#[test]
#[should_panic(expected = "Lstm: 3 inputs and 0 hidden units; expected at least one of each")]
fn no_hidden_unit() {
    let _ = Lstm::<Tensor<f32>>::new(3, 0, &mut StdRng::seed_from_u64(1));
}
