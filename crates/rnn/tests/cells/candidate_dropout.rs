//! Recurrent dropout without memory loss: the equations in plain loops, masks, expectation, gradients, messages.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};
use rewind_rnn::{
    CandidateDropout, Cell, CoupledLstm, GatedCell, Gru, LayerNormLstm, Lstm, LstmState, Mgu, Noise, PeepholeLstm,
    ProjectedLstm, Recurrent, RecurrentDropout, RecurrentModule, Reset, Unroll, Zoneout, check, unroll,
};

use crate::common::{gru, lstm, random, randomised};
use crate::refused::refused;

fn rng() -> StdRng {
    StdRng::seed_from_u64(0)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// With a mask for each time step, or one for all.
fn dropout<C: RecurrentModule<f64>>(cell: &C, rate: f64, of_sequence: bool) -> CandidateDropout<Tensor<f64>, C> {
    if of_sequence {
        CandidateDropout::of_sequence(cell.clone(), rate)
    } else {
        CandidateDropout::new(cell.clone(), rate)
    }
}

/// Σ_k x[b, k]·w[k, column].
fn dot(x: &Tensor<f64>, b: usize, w: &Tensor<f64>, column: usize) -> f64 {
    (0..x.shape()[1]).map(|k| x.at(&[b, k]) * w.at(&[k, column])).sum()
}

/// The masks of every time step, as the noise of a pass gives them.
fn masks(noise: Noise, steps: usize, shape: &[usize], rate: f64, of_sequence: bool) -> Vec<Tensor<f64>> {
    let at = |t| if of_sequence { noise.of_sequence() } else { noise.at_step(t) };
    (0..steps).map(|t| at(t).part(1).mask(shape, rate)).collect()
}

fn assert_close(found: &Tensor<f64>, expected: &Tensor<f64>, what: &str) {
    let difference = found.zip(expected, |a, b| (a - b).abs()).to_vec().into_iter().fold(0.0, f64::max);
    assert!(difference < 1e-14, "{what}: off by {difference:e}");
}

#[test]
fn the_lstm_is_its_equations_in_plain_loops() {
    let (module, rate) = (lstm(3, 7), 0.5);
    let (x, first, memory) = (random(&[5, 2, 3], 1), random(&[2, 7], 2), random(&[2, 7], 3));
    for of_sequence in [false, true] {
        let noise = Noise::new(11);
        let masks = masks(noise, 5, &[2, 7], rate, of_sequence);
        assert!(masks[0].to_vec().contains(&0.0) && masks[0].to_vec().contains(&2.0));
        assert_eq!(masks[0] == masks[4], of_sequence);
        let tape = Tape::new();
        let cell = dropout(&module, rate, of_sequence).on(&tape);
        let start = LstmState { hidden: tape.constant(first.clone()), cell: tape.constant(memory.clone()) };
        let states = Unroll::new().noise(noise).run_from(&cell, tape.constant(x.clone()), start).states;

        let bias = module.bias.as_ref().expect("it has a bias");
        let (mut h, mut c) = (first.clone(), memory.clone());
        for t in 0..5 {
            let x = x.index(0, t);
            let pre = |b: usize, g: usize, j: usize| {
                let column = 7 * g + j;
                dot(&x, b, &module.weight_ih, column) + dot(&h, b, &module.weight_hh, column) + bias.at(&[column])
            };
            let next = Tensor::from_fn(&[2, 7], |at| {
                let (b, j) = (at / 7, at % 7);
                let candidate = pre(b, 2, j).tanh() * masks[t].at(&[b, j]);
                sigmoid(pre(b, 1, j)) * c.at(&[b, j]) + sigmoid(pre(b, 0, j)) * candidate
            });
            h = Tensor::from_fn(&[2, 7], |at| sigmoid(pre(at / 7, 3, at % 7)) * next.at(&[at / 7, at % 7]).tanh());
            c = next;
            assert_close(&states[t].cell.value(), &c, &format!("c at step {t}, one mask: {of_sequence}"));
            assert_close(&states[t].hidden.value(), &h, &format!("h at step {t}, one mask: {of_sequence}"));
        }
    }
}

#[test]
fn the_gru_is_its_equations_in_plain_loops() {
    let (x, first, rate) = (random(&[5, 2, 3], 1), random(&[2, 7], 2), 0.25);
    for (reset, of_sequence) in [(Reset::AfterProduct, false), (Reset::BeforeProduct, true)] {
        let (module, noise) = (gru(3, 7, reset), Noise::new(12));
        let masks = masks(noise, 5, &[2, 7], rate, of_sequence);
        let tape = Tape::new();
        let cell = dropout(&module, rate, of_sequence).on(&tape);
        let start = tape.constant(first.clone());
        let states = Unroll::new().noise(noise).run_from(&cell, tape.constant(x.clone()), start).states;

        let bias = module.bias.as_ref().expect("it has a bias");
        let bias_hn = module.bias_hn.as_ref().expect("it has one");
        let mut h = first.clone();
        for t in 0..5 {
            let x = x.index(0, t);
            let input = |b: usize, g: usize, j: usize| dot(&x, b, &module.weight_ih, 7 * g + j) + bias.at(&[7 * g + j]);
            let gate =
                |b: usize, g: usize, j: usize| sigmoid(input(b, g, j) + dot(&h, b, &module.weight_hh, 7 * g + j));
            let next = Tensor::from_fn(&[2, 7], |at| {
                let (b, j) = (at / 7, at % 7);
                let recurrent = match reset {
                    Reset::AfterProduct => gate(b, 0, j) * (dot(&h, b, &module.weight_hn, j) + bias_hn.at(&[j])),
                    Reset::BeforeProduct => {
                        let read = Tensor::from_fn(&[2, 7], |at| gate(at / 7, 0, at % 7) * h.at(&[at / 7, at % 7]));
                        dot(&read, b, &module.weight_hn, j) + bias_hn.at(&[j])
                    }
                };
                let candidate = (input(b, 2, j) + recurrent).tanh() * masks[t].at(&[b, j]);
                let z = gate(b, 1, j);
                z * h.at(&[b, j]) + (1.0 - z) * candidate
            });
            h = next;
            assert_close(&states[t].value(), &h, &format!("step {t}, {reset:?}"));
        }
    }
}

/// Values, gradients with respect to parameters, states and inputs, and second derivatives, with and without noise.
#[test]
fn gradients_agree_with_differences() {
    fn assert_right<C: RecurrentModule<f64>>(cell: C)
    where
        for<'t> C::With<Var<'t, f64>>: GatedCell<'t, f64>,
    {
        for of_sequence in [false, true] {
            let cell = dropout(&cell, 0.5, of_sequence);
            check::cell(&cell, [2, 2, 3]).assert();
            check::layer(&Recurrent(cell), [3, 2, 3]).assert();
        }
    }
    assert_right(lstm(3, 4));
    assert_right(gru(3, 4, Reset::AfterProduct));
    assert_right(gru(3, 4, Reset::BeforeProduct));
    assert_right(randomised(&Mgu::new(3, 4, &mut rng()).with_learned_state(), 1));
    assert_right(randomised(&PeepholeLstm::new(3, 4, &mut rng()).with_learned_state(), 2));
    assert_right(randomised(&CoupledLstm::new(3, 4, &mut rng()).with_learned_state(), 3));
    assert_right(randomised(&LayerNormLstm::new(3, 4, &mut rng()).with_learned_state(), 4));
    assert_right(randomised(&ProjectedLstm::new(3, 4, 2, &mut rng()).with_learned_state(), 5));
    // Within and around other wrappers.
    check::layer(
        &Recurrent(RecurrentDropout::new(Zoneout::new(CandidateDropout::new(lstm(3, 4), 0.5), &[0.1, 0.2]), 0.25)),
        [3, 2, 3],
    )
    .assert();
}

#[test]
fn without_noise_the_cell_is_unchanged_to_the_bit() {
    fn same<T: Scalar, C: RecurrentModule<T>>(cell: &C)
    where
        for<'t> C::With<Var<'t, T>>: GatedCell<'t, T>,
    {
        let tape = Tape::new();
        let x = tape.constant(Tensor::from_fn(&[6, 7, 3], |i| T::from_f64((i as f64 * 0.7).sin())));
        let alone = unroll(&cell.on(&tape), x).outputs().value();
        let wrapped = CandidateDropout::new(cell.clone(), 0.5).on(&tape);
        assert!(unroll(&wrapped, x).outputs().value() == alone);
        // A rate of 0 multiplies by 1.
        let none = CandidateDropout::new(cell.clone(), 0.0).on(&tape);
        assert!(Unroll::new().noise(Noise::new(1)).run(&none, x).outputs().value() == alone);
        assert!(Unroll::new().noise(Noise::new(1)).run(&wrapped, x).outputs().value() != alone);
    }
    same::<f32, _>(&Lstm::new(3, 33, &mut rng()));
    same::<f64, _>(&Gru::new(3, 33, &mut rng()));
    same::<f32, _>(&Mgu::new(3, 33, &mut rng()));
    same::<f64, _>(&PeepholeLstm::new(3, 1, &mut rng()));
}

#[test]
fn the_expected_memory_is_that_of_the_cell_and_what_is_remembered_is_not_masked() {
    let (module, tape) = (lstm(3, 7), Tape::new());
    let x = tape.constant(random(&[2, 3], 1));
    let first = LstmState { hidden: tape.constant(random(&[2, 7], 2)), cell: tape.constant(random(&[2, 7], 3)) };
    let plain = module.on(&tape).step(x, first).cell.value();
    // With a candidate of 0 only f ∘ c is left.
    let kept = module.on(&tape).step_with_candidate(x, first, |g| g * 0.0).cell.value();
    for rate in [0.1, 0.5, 0.9] {
        let cell = CandidateDropout::new(module.clone(), rate).on(&tape);
        let draws = 4000;
        let (mut sum, mut dropped) = (Tensor::zeros(&[2, 7]), 0);
        for seed in 0..draws {
            let c = cell.noisy_step(x, first, Noise::new(seed).at_step(3)).cell.value();
            dropped += c.zip(&kept, |c, kept| f64::from(u8::from(c == kept))).sum() as usize;
            sum = sum.zip(&c, |sum, c| sum + c);
        }
        let mean = sum.map(|sum| sum / draws as f64);
        // c' - f ∘ c = i ∘ g ∘ m has the deviation |i ∘ g|·√(p/(1 - p)).
        for ((mean, plain), kept) in mean.to_vec().iter().zip(plain.to_vec()).zip(kept.to_vec()) {
            let deviation = (plain - kept).abs() * (rate / (1.0 - rate) / draws as f64).sqrt();
            assert!((mean - plain).abs() < 5.0 * deviation, "rate {rate}: {mean}, expected {plain} ± {deviation}");
        }
        let all = 14.0 * draws as f64;
        let share = dropped as f64 / all;
        assert!((share - rate).abs() < 5.0 * (rate * (1.0 - rate) / all).sqrt(), "rate {rate}: {share} are dropped");
    }
}

#[test]
fn a_mask_is_a_function_of_seed_part_and_step() {
    let (cell, tape) = (CandidateDropout::new(lstm(3, 33), 0.5), Tape::new());
    let (on_tape, x) = (cell.on(&tape), tape.constant(random(&[9, 2, 3], 1)));
    let how = Unroll::new().noise(Noise::new(5));
    let whole = how.run(&on_tape, x).outputs().value();
    assert!(how.run(&on_tape, x).outputs().value() == whole, "the same noise again");
    assert!(Unroll::new().noise(Noise::new(6)).run(&on_tape, x).outputs().value() != whole);
    // In segments, which compute a segment again, and padded beside a shorter sequence.
    let module = Recurrent(cell);
    let layer = module.on(&tape);
    let gradients = |loss: Var<'_, f64>| loss.backward().of(&layer).leaves().into_iter().cloned().collect::<Vec<_>>();
    let segments = how.through_in_segments(4, &module, &layer, x, |_, _, h| h.square().sum());
    let expected = how.through(&layer, x).outputs.square().sum();
    assert!(gradients(segments.loss()) == gradients(expected));
    let padded = how.lengths(&[9, 4]).run(&layer.0, x).outputs().value();
    assert!(padded.slice(1, 0..1) == whole.slice(1, 0..1));
}

#[test]
fn rates_that_are_none_are_refused() {
    for rate in [1.0, -0.5, f64::NAN, f64::INFINITY] {
        let message = format!("CandidateDropout: rate {rate}; expected a probability in [0, 1)");
        refused!(message.clone(), CandidateDropout::new(lstm(3, 4), rate));
        refused!(message.clone(), CandidateDropout::of_sequence(lstm(3, 4), rate));
        let tape = Tape::new();
        let mut cell = CandidateDropout::new(lstm(3, 4), 0.5).on(&tape);
        cell.rate = rate;
        refused!(message, Unroll::new().noise(Noise::new(1)).run(&cell, tape.zeros(&[2, 1, 3])));
    }
    let tape = Tape::<f64>::new();
    let cell = lstm(3, 4).on(&tape);
    let narrow = LstmState { hidden: tape.zeros(&[2, 3]), cell: tape.zeros(&[2, 4]) };
    refused!(
        "Lstm: a step takes x [B, 3], hidden [B, 4], cell [B, 4], with one B; got x [2, 3], hidden [2, 3], cell [2, 4]",
        cell.step_with_candidate(tape.zeros(&[2, 3]), narrow, |g| g)
    );
}
