//! The items of a gradient sum to what `backward` gives, for every cell and composition, and each is what its definition
//! says.

use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor};
use rewind_rnn::{
    Bidirectional, CoupledLstm, Gru, IndRnn, LayerModule, LayerNorm, LayerNormLstm, Linear, Lru, Lstm, MLstm, Mgu,
    MinGru, MinLstm, PeepholeLstm, ProjectedLstm, Recurrent, RecurrentModule, ReluRnn, Residual, SLstm, Scan, State,
    TanhRnn, Unroll, lens, unroll,
};

use super::{random, randomised, rng, step_losses};

const STEPS: usize = 5;
const LENGTHS: [usize; 3] = [5, 2, 4];

/// Every parameter's items sum to its gradient.
#[track_caller]
pub(super) fn assert_sums<T: Scalar>(items: &lens::Itemised<T>, tolerance: f64) {
    for name in items.names() {
        let residual = items.residual(name);
        assert!(residual <= tolerance, "{name}: the items miss the gradient by {residual:e}");
        assert!(items.gradient(name).norm() > T::ZERO, "{name}: no gradient, nothing is compared");
    }
}

#[track_caller]
fn layer<M: LayerModule<f64>>(layer: M, inputs: usize) -> lens::Itemised<f64> {
    let layer = randomised(&layer, 5);
    let x = random(&[STEPS, LENGTHS.len(), inputs], 9);
    let items = lens::itemised(&layer, |tape, layer| {
        step_losses(Unroll::new().lengths(&LENGTHS).through(layer, tape.constant(x.clone())).outputs)
    });
    assert_sums(&items, 1e-12);
    assert_eq!(items.losses(), STEPS);
    items
}

#[track_caller]
fn cell<C: RecurrentModule<f64>>(cell: C) {
    let items = layer(Recurrent(cell), 3);
    let recurrent = items.names().iter().find(|name| name.starts_with("weight_h")).expect("a recurrent weight");
    assert_eq!(items.steps(recurrent), (0..STEPS).map(Some).collect::<Vec<_>>());
    // E_1 does not depend on step 2; E_4 depends on all.
    assert_eq!(items.term(recurrent, 1, Some(2)).norm(), 0.0);
    assert_ne!(items.term(recurrent, 4, Some(1)).norm(), 0.0);
}

#[test]
fn the_items_of_every_cell_sum_to_the_gradient() {
    let rng = &mut rng();
    cell(TanhRnn::new(3, 4, rng));
    cell(TanhRnn::new(3, 4, rng).with_learned_state());
    cell(TanhRnn::new(3, 4, rng).with_heads(2, rng));
    cell(ReluRnn::new(3, 4, rng).with_learned_state());
    cell(IndRnn::new(3, 4, rng).with_learned_state());
    cell(Mgu::new(3, 4, rng).with_learned_state());
    cell(Gru::new(3, 4, rng).with_learned_state());
    cell(Lstm::new(3, 4, rng));
    cell(Lstm::new(3, 4, rng).with_learned_state());
    cell(Lstm::new(3, 4, rng).with_heads(2, rng));
    cell(PeepholeLstm::new(3, 4, rng).with_learned_state());
    cell(ProjectedLstm::new(3, 4, 2, rng));
    cell(CoupledLstm::new(3, 4, rng).with_learned_state());
    cell(LayerNormLstm::new(3, 4, rng).with_learned_state());
    cell(SLstm::new(3, 4, rng).with_learned_state());
}

#[test]
fn cells_without_a_recurrent_weight() {
    let rng = &mut rng();
    layer(Recurrent(MLstm::new(3, 4, 2, rng)), 3);
    layer(Recurrent(MinGru::new(3, 4, rng).with_learned_state()), 3);
    layer(Recurrent(MinLstm::new(3, 4, rng)), 3);
    layer(Recurrent(Lru::new(3, 4, rng)), 3);
    // All steps in one op: items have no step.
    let items = layer(Scan(MinGru::new(3, 4, rng)), 3);
    let name = &items.names()[0];
    assert_eq!(items.steps(name), [None]);
}

#[test]
fn stacks_both_directions_and_readouts() {
    let rng = &mut rng();
    let items = layer((Recurrent(Lstm::new(3, 4, rng)), Recurrent(Gru::new(4, 5, rng)), Linear::new(5, 2, rng)), 3);
    assert_eq!(items.steps("0.weight_hh").len(), STEPS);
    assert_eq!(items.steps("2.weight"), [None]); // the readout reads all steps at once
    let both = Bidirectional::new(Recurrent(TanhRnn::new(3, 4, rng)), Recurrent(Gru::new(3, 4, rng)));
    let items = layer((both, LayerNorm::new(8), Residual::new(Recurrent(Lstm::new(8, 8, rng)))), 3);
    // Backward in time, an early loss depends on late steps.
    let backward =
        items.names().iter().find(|name| name.contains("backward") && name.contains("weight_hh")).expect("one");
    assert_ne!(items.term(backward, 0, Some(2)).norm(), 0.0);
}

#[test]
fn f32() {
    let lstm: Lstm<Tensor<f32>> = randomised(&Lstm::new(3, 4, &mut rng()), 5);
    let x = random(&[7, 2, 3], 9);
    let items = lens::itemised(&lstm, |tape, lstm| step_losses(unroll(lstm, tape.constant(x.clone())).outputs()));
    assert_sums(&items, 1e-5);
}

/// A given first state, a readout in each step, and a loss of the last step alone.
#[test]
fn a_given_state_and_a_readout_in_every_step() {
    let rng = &mut rng();
    let network = randomised(&(Gru::<Tensor<f64>>::new(3, 4, rng), Linear::new(4, 2, rng)), 3);
    let (x, h0) = (random(&[STEPS, 2, 3], 9), random(&[2, 4], 10));
    let items = lens::itemised(&network, |tape, (gru, readout)| {
        let states = Unroll::new().run_from(gru, tape.constant(x.clone()), tape.constant(h0.clone())).states;
        let mut losses = Vec::new();
        for (t, &h) in states.iter().enumerate() {
            let _step = tape.numbered_scope("t", t);
            let y = h.affine(readout.weight, readout.bias);
            losses.push((y * y).sum());
        }
        losses
    });
    assert_sums(&items, 1e-12);
    // The readout of step 3 serves E_3 alone.
    assert_eq!(
        items.of("1.weight").map(|item| (item.loss, item.step)).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4].map(|t| (t, Some(t)))
    );
}

/// Segments are checkpoints, which the lens looks into: the same items.
#[test]
fn segments_have_the_items_of_the_whole() {
    let lstm: Lstm<Tensor<f64>> = randomised(&Lstm::new(3, 4, &mut rng()).with_learned_state(), 5);
    let x: Tensor<f64> = random(&[7, 2, 3], 9);
    let whole = lens::itemised(&lstm, |tape, lstm| {
        let outputs = unroll(lstm, tape.constant(x.clone())).outputs();
        [0..3, 3..6, 6..7].map(|steps| outputs.slice(0, steps).square().sum()).to_vec()
    });
    let cut = lens::itemised(&lstm, |tape, on_tape| {
        let x = tape.constant(x.clone());
        let (layer, on_tape) = (Recurrent(lstm.clone()), Recurrent(on_tape.clone()));
        Unroll::new().through_in_segments(3, &layer, &on_tape, x, |_, _, outputs| outputs.square().sum()).losses
    });
    assert_sums(&cut, 1e-12);
    for name in whole.names() {
        assert_eq!(cut.steps(name), whole.steps(name), "{name}");
        for loss in 0..3 {
            for step in whole.steps(name) {
                let difference = whole.term(name, loss, step).zip(&cut.term(name, loss, step), |a, b| a - b).norm();
                assert!(difference < 1e-13, "{name} ({loss}, {step:?}): {difference:e}");
            }
        }
    }
}

/// Against the definition: every use of U is a variable of its own.
#[test]
fn an_item_is_the_gradient_of_one_use() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(3, 4, &mut rng()), 5);
    let x: Tensor<f64> = random(&[STEPS, 2, 3], 9);
    let items = lens::itemised(&rnn, |tape, rnn| step_losses(unroll(rnn, tape.constant(x.clone())).outputs()));
    let tape = Tape::new();
    let at_step: Vec<_> = (0..STEPS).map(|_| tape.leaf(rnn.weight_hh.clone())).collect();
    let fixed = rnn.map(|_, p| tape.constant(p.clone()));
    let mut h = tape.zeros(&[2, 4]);
    let mut outputs = Vec::new();
    for (t, u) in at_step.iter().enumerate() {
        let x = tape.constant(x.index(0, t));
        h = (x.matmul(fixed.weight_ih) + h.matmul(*u) + fixed.bias.expect("a bias")).tanh();
        outputs.push(h);
    }
    let losses = step_losses(rewind_autograd::ops::layout::stack(&outputs, 0));
    for (s, loss) in losses.iter().enumerate() {
        let gradients = loss.backward_to(&at_step);
        for (t, &u) in at_step.iter().enumerate() {
            let difference = gradients.get(u).zip(&items.term("weight_hh", s, Some(t)), |a, b| a - b).norm();
            assert!(difference < 1e-14, "({s}, {t}): {difference:e}");
        }
    }
}

/// The parts by sequence sum to the item, and each is the item of that sequence alone.
#[test]
fn items_of_sequences_and_of_gates() {
    let lstm: Lstm<Tensor<f64>> = randomised(&Lstm::new(3, 4, &mut rng()), 5);
    let x: Tensor<f64> = random(&[STEPS, 3, 3], 9);
    let of = |x: Tensor<f64>| {
        lens::itemised(&lstm, |tape, lstm| {
            let outputs = unroll(lstm, tape.constant(x.clone())).outputs();
            (0..STEPS).map(|t| (outputs.index(0, t) * outputs.index(0, t)).sum()).collect()
        })
    };
    let items = of(x.clone());
    assert_eq!(items.gates("weight_hh"), ["i", "f", "g", "o"]);
    assert_eq!(items.gates("bias"), ["i", "f", "g", "o"]);
    for b in 0..3 {
        let alone = of(x.slice(1, b..b + 1));
        let part = items.term_of_sequence("weight_hh", 4, 2, b);
        assert!(part.zip(&alone.term("weight_hh", 4, Some(2)), |a, b| a - b).norm() < 1e-14);
    }
    let whole = items.term("weight_hh", 4, Some(2));
    let parts = ["i", "f", "g", "o"].map(|gate| items.term_of_gate("weight_hh", 4, Some(2), gate));
    assert_eq!(parts[1].shape(), [4, 4]);
    let squares: f64 = parts.iter().map(|part| part.norm().powi(2)).sum();
    assert!((squares.sqrt() - whole.norm()).abs() < 1e-14);
}

/// Two gates of a GRU are columns of one weight; its input weight has three, which are split apart.
#[test]
fn the_gates_of_a_gru() {
    let gru: Gru<Tensor<f64>> = randomised(&Gru::new(3, 4, &mut rng()), 5);
    let x: Tensor<f64> = random(&[STEPS, 2, 3], 9);
    let items = lens::itemised(&gru, |tape, gru| vec![unroll(gru, tape.constant(x.clone())).last_output().sum()]);
    assert_eq!(items.gates("weight_hh"), ["r", "z"]);
    for name in ["weight_ih", "weight_hn", "bias"] {
        assert!(items.gates(name).is_empty(), "{name}: {:?}", items.gates(name));
    }
    let [whole, z] = [items.term("weight_hh", 0, Some(2)), items.term_of_gate("weight_hh", 0, Some(2), "z")];
    assert_eq!(z, whole.slice(1, 4..8));
}

/// Squares of such gradients have no finite value other than 0.
#[test]
fn truncation_of_gradients_of_any_magnitude() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(3, 4, &mut rng()), 5);
    let x: Tensor<f64> = random(&[STEPS, 2, 3], 9);
    let of = |scale: f64| {
        let items =
            lens::itemised(&rnn, |tape, rnn| vec![unroll(rnn, tape.constant(x.clone())).last_output().sum() * scale]);
        items.truncation("weight_hh", &[STEPS - 1]).by_steps
    };
    let expected = of(1.0);
    assert!(expected.iter().any(|kept| kept.cosine < 0.999));
    for scale in [1e-160, 1e160] {
        for (kept, expected) in of(scale).into_iter().zip(&expected) {
            assert!((kept.cosine - expected.cosine).abs() < 1e-12, "{scale:e}: {kept:?} {expected:?}");
            assert!((kept.length - expected.length).abs() < 1e-12, "{scale:e}: {kept:?} {expected:?}");
        }
    }
}

#[test]
#[should_panic(expected = "there is no parameter `weight_hx`; there are [\"weight_ih\", \"weight_hh\", \"bias\"]")]
fn an_unknown_parameter() {
    let rnn = TanhRnn::<Tensor<f64>>::new(3, 4, &mut rng());
    lens::itemised(&rnn, |_, rnn| vec![rnn.weight_hh.sum()]).steps("weight_hx");
}

/// A weight that is also penalised: the penalty is in no step.
#[test]
fn a_penalty_is_in_no_step() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(3, 4, &mut rng()), 5);
    let x: Tensor<f64> = random(&[STEPS, 2, 3], 9);
    let items = lens::itemised(&rnn, |tape, rnn| {
        let loss = unroll(rnn, tape.constant(x.clone())).outputs().sum();
        vec![loss + (rnn.weight_hh * rnn.weight_hh).sum()]
    });
    assert_sums(&items, 1e-12);
    assert_eq!(items.steps("weight_hh")[0], None);
    let twice = rnn.weight_hh.map(|u| 2.0 * u);
    assert_eq!(items.term("weight_hh", 0, None), twice);
}

/// Against BPTT that is cut by hand: the state is detached k steps before the last one.
#[test]
fn a_truncated_gradient_is_that_of_a_state_that_is_cut() {
    let lstm: Lstm<Tensor<f64>> = randomised(&Lstm::new(3, 4, &mut rng()), 5);
    let x: Tensor<f64> = random(&[7, 2, 3], 9);
    let items = lens::itemised(&lstm, |tape, lstm| vec![unroll(lstm, tape.constant(x.clone())).last_output().sum()]);
    let full = items.gradient("weight_hh").norm();
    let truncation = items.truncation("weight_hh", &[6]);
    assert_eq!(truncation.by_steps.len(), 7);
    for (k, truncated) in truncation.by_steps.iter().enumerate() {
        let tape = Tape::new();
        let cell = lstm.on(&tape);
        let (start, x) = (6 - k, tape.constant(x.clone()));
        let how = Unroll::new();
        let run = match start {
            0 => how.run(&cell, x),
            _ => {
                let before = how.run(&cell, x.slice(0, 0..start)).last;
                let cut = before.zip(before, &mut |part, _| part.detach());
                how.run_from(&cell, x.slice(0, start..7), cut)
            }
        };
        let length = run.last_output().sum().backward().of(&cell).weight_hh.norm() / full;
        assert!((truncated.length - length).abs() < 1e-12, "{} steps: {length} and {truncated:?}", k + 1);
    }
    let last = truncation.by_steps[6];
    assert!((last.cosine - 1.0).abs() < 1e-12 && (last.length - 1.0).abs() < 1e-12, "{last:?}");
    assert_eq!(truncation.keeps(0.999_999), truncation.keeps(1.0 - 1e-6));
}

#[test]
#[should_panic(expected = "truncation: 2 steps given for 1 losses; expected one for each")]
fn a_truncation_with_too_many_steps() {
    let rnn = TanhRnn::<Tensor<f64>>::new(3, 4, &mut rng());
    lens::itemised(&rnn, |_, rnn| vec![rnn.weight_hh.sum()]).truncation("weight_hh", &[0, 1]);
}

/// A cosine does not depend on the magnitude, also where products of two entries overflow or vanish.
#[test]
fn truncation_of_very_small_and_very_large_gradients() {
    let rnn = TanhRnn::<Tensor<f64>>::new(1, 4, &mut rng());
    let truncation = |scale: f64| {
        let items = lens::itemised(&rnn, |tape, rnn| {
            vec![unroll(rnn, tape.constant(random(&[6, 1, 1], 3))).last_output().square().sum() * scale]
        });
        items.truncation("weight_hh", &[5]).by_steps
    };
    let expected = truncation(1.0);
    for scale in [1e-250, 1e-170, 1e160, 1e250] {
        for (found, expected) in truncation(scale).iter().zip(&expected) {
            let same = (found.cosine - expected.cosine).abs() < 1e-12 && (found.length - expected.length).abs() < 1e-12;
            assert!(same, "×{scale:e}: {found:?}; expected {expected:?}");
        }
    }
}

/// An exponential of the rates alone has no rows of the batch: no number rather than a wrong one.
#[test]
#[should_panic(expected = "without rows of a batch")]
fn a_use_of_the_parameter_alone_has_no_part_of_a_sequence() {
    let lru = Lru::<Tensor<f64>>::new(2, 3, &mut rng());
    let items =
        lens::itemised(&lru, |tape, lru| step_losses(unroll(lru, tape.constant(random(&[4, 3, 2], 3))).outputs()));
    items.term_of_sequence("log_rate", 3, 1, 0);
}
