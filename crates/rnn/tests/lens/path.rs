//! The factors along a path multiply to the item, whatever the cell.

use rewind_autograd::{Scalar, Tensor};
use rewind_rnn::{
    Bidirectional, Gru, LayerModule, LayerNorm, Linear, Lstm, MLstm, Mgu, PeepholeLstm, ProjectedLstm, Recurrent,
    RecurrentModule, Reset, Residual, SLstm, TanhRnn, Unroll, lens, unroll,
};

use super::{random, randomised, rng, step_losses};

const STEPS: usize = 5;

/// Every item of a parameter of a layer, whose state has `parts` parts.
#[track_caller]
fn layer<M: LayerModule<f64>>(layer: &M, parameter: &str, parts: usize, lengths: &[usize]) {
    let x = random(&[STEPS, lengths.len(), 3], 9);
    let items = lens::itemised(layer, |tape, layer| {
        step_losses(Unroll::new().lengths(lengths).through(layer, tape.constant(x.clone())).outputs)
    });
    let mut compared = 0;
    for item in items.of(parameter).filter(|item| item.norm > 0.0) {
        let Some(step) = item.step else { continue };
        let path = lens::path(layer, parameter, item.loss, step, |tape, layer| {
            step_losses(Unroll::new().lengths(lengths).through(layer, tape.constant(x.clone())).outputs)
        });
        let difference = path.product().zip(&item.term, |a, b| a - b).norm() / item.norm;
        assert!(difference < 1e-12, "{parameter} ({}, {step}): {difference:e}", item.loss);
        assert_eq!(path.factors.len(), item.loss.abs_diff(step), "({}, {step})", item.loss);
        assert_eq!(path.parts.len(), parts, "({}, {step})", item.loss);
        compared += 1;
    }
    assert!(compared >= STEPS, "{compared} items of {parameter} were compared");
}

#[track_caller]
fn cell<C: RecurrentModule<f64>>(cell: C, parameter: &str, parts: usize) {
    layer(&Recurrent(randomised(&cell, 5)), parameter, parts, &[STEPS, STEPS]);
}

#[test]
fn the_factors_of_every_cell_multiply_to_the_item() {
    let rng = &mut rng();
    cell(TanhRnn::new(3, 4, rng), "weight_hh", 1);
    cell(TanhRnn::new(3, 4, rng).with_learned_state(), "weight_ih", 1);
    cell(TanhRnn::new(3, 4, rng).with_learned_state(), "bias", 1);
    cell(Gru::new(3, 4, rng).with_learned_state(), "weight_hn", 1);
    cell(Gru { reset: Reset::BeforeProduct, ..Gru::new(3, 4, rng) }, "weight_hn", 1);
    cell(Mgu::new(3, 4, rng), "weight_ih", 1);
    cell(Lstm::new(3, 4, rng), "weight_hh", 2);
    cell(Lstm::new(3, 4, rng).with_learned_state(), "weight_hh", 2);
    cell(PeepholeLstm::new(3, 4, rng).with_learned_state(), "weight_ih", 2);
    cell(SLstm::new(3, 4, rng), "weight_ih", 4);
}

/// The state of a stack is that of each layer that depends on the parameter; the steps of all layers are one step.
#[test]
fn stacks() {
    let rng = &mut rng();
    let stack = (Recurrent(Lstm::new(3, 4, rng)), Recurrent(Gru::new(4, 5, rng)), Linear::new(5, 2, rng));
    let stack = randomised(&stack, 5);
    layer(&stack, "0.weight_hh", 3, &[STEPS, STEPS]);
    layer(&stack, "1.weight_hh", 1, &[STEPS, STEPS]);
    let residual = (
        Recurrent(TanhRnn::new(3, 4, rng)),
        LayerNorm::new(4),
        Residual::new(Recurrent(Lstm::new(4, 4, rng).with_learned_state())),
    );
    let residual = randomised(&residual, 6);
    layer(&residual, "0.weight_hh", 3, &[STEPS]);
    layer(&residual, "2.layer.weight_hh", 2, &[STEPS]);
}

#[test]
fn padded_batches() {
    let rng = &mut rng();
    let lstm = randomised(&Recurrent(Lstm::new(3, 4, rng).with_learned_state()), 5);
    for lengths in [[5, 2, 4], [5, 5, 4], [2, 5, 1], [5, 4, 4]] {
        layer(&lstm, "weight_hh", 2, &lengths);
    }
    let stack = (Recurrent(Gru::new(3, 4, rng)), Recurrent(TanhRnn::new(4, 2, rng)));
    layer(&randomised(&stack, 7), "0.weight_hh", 2, &[5, 2, 4]);
}

/// Backward in time, the path goes from an early loss to late steps.
#[test]
fn both_directions() {
    let rng = &mut rng();
    let both = Bidirectional::cells(Lstm::new(3, 4, rng), Gru::new(3, 4, rng));
    let both = randomised(&(both, Linear::new(8, 2, rng)), 5);
    for lengths in [[5, 5, 5], [5, 2, 4], [5, 1, 1]] {
        layer(&both, "0.forward.weight_hh", 2, &lengths);
        layer(&both, "0.backward.weight_hh", 1, &lengths);
    }
    // The topmost of two such layers is a chain; that below feeds both directions.
    let rng = &mut super::rng();
    let two = (
        Bidirectional::cells(TanhRnn::new(3, 2, rng), TanhRnn::new(3, 2, rng)),
        Bidirectional::cells(TanhRnn::new(4, 3, rng), TanhRnn::new(4, 3, rng)),
    );
    layer(&randomised(&two, 5), "1.backward.weight_hh", 1, &[STEPS, STEPS]);
}

#[test]
#[should_panic(
    expected = "what depends on `0.forward.weight_hh` is no chain: 2 variables are carried forward in time and 1 backward"
)]
fn two_directions_that_feed_each_other_are_no_chain() {
    let rng = &mut rng();
    let two: (_, _) = (
        Bidirectional::cells(TanhRnn::<Tensor<f64>>::new(3, 2, rng), TanhRnn::new(3, 2, rng)),
        Bidirectional::cells(TanhRnn::new(4, 3, rng), TanhRnn::new(4, 3, rng)),
    );
    let x = random(&[STEPS, 2, 3], 9);
    lens::path(&two, "0.forward.weight_hh", 4, 1, |tape, two| {
        step_losses(Unroll::new().through(two, tape.constant(x.clone())).outputs)
    });
}

/// A loss of all steps at once reaches the use in step 1 along several paths.
#[test]
#[should_panic(expected = "E_0 reads the states of steps [0, 1, 2, 3, 4]; expected one step")]
fn a_loss_of_several_steps_has_no_one_path() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(3, 4, &mut rng()), 5);
    let x = random(&[STEPS, 2, 3], 9);
    lens::path(&rnn, "weight_hh", 0, 1, |tape, rnn| {
        vec![unroll(rnn, tape.constant(x.clone())).outputs().square().sum()]
    });
}

#[test]
#[should_panic(expected = "nothing flows from E_1 to `weight_hh` through step 3; it does through steps [1]")]
fn nothing_flows_from_the_future() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(3, 4, &mut rng()), 5);
    let x = random(&[STEPS, 2, 3], 9);
    lens::path(&rnn, "weight_hh", 1, 3, |tape, rnn| {
        let run = unroll(rnn, tape.constant(x.clone()));
        (0..STEPS).map(|t| run.output(t).square().sum()).collect()
    });
}

/// Outputs in one stack depend on the future by structure, and in truth on nothing of it.
#[test]
#[should_panic(expected = "nothing flows from E_1 to `weight_hh` through step 3; it does through steps [1]")]
fn nothing_flows_through_a_stack_either() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(3, 4, &mut rng()), 5);
    let x = random(&[STEPS, 2, 3], 9);
    lens::path(&rnn, "weight_hh", 1, 3, |tape, rnn| step_losses(unroll(rnn, tape.constant(x.clone())).outputs()));
}

/// The output of an mLSTM is no state: it is read out of a memory.
#[test]
fn a_cell_whose_output_is_no_state() {
    let mlstm = randomised(&MLstm::<Tensor<f64>>::new(3, 4, 2, &mut rng()), 5);
    let x = random(&[STEPS, 1, 3], 9);
    for step in 0..=3 {
        let path = lens::path(&mlstm, "weight_ih", 3, step, |tape, mlstm| {
            step_losses(unroll(mlstm, tape.constant(x.clone())).outputs())
        });
        assert!(path.residual() < 1e-10, "step {step}: {:e}", path.residual());
    }
    let projected = randomised(&ProjectedLstm::<Tensor<f64>>::new(3, 4, 2, &mut rng()), 5);
    layer(&Recurrent(projected), "weight_hh", 2, &[STEPS, STEPS]);
}

#[test]
fn a_given_first_state_one_step_and_other_sizes() {
    for hidden in [1, 7, 33] {
        let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(2, hidden, &mut rng()), 5);
        let rnn = TanhRnn { weight_hh: rnn.weight_hh.map(|u| u / (hidden as f64).sqrt()), ..rnn };
        let (x, h0) = (random(&[3, 1, 2], 9), random(&[1, hidden], 10));
        for (steps, step) in [(1, 0), (3, 0), (3, 2)] {
            let path = lens::path(&rnn, "weight_hh", 0, step, |tape, rnn| {
                let x = tape.constant(x.slice(0, 0..steps));
                vec![Unroll::new().run_from(rnn, x, tape.constant(h0.clone())).last_output().square().sum()]
            });
            assert!(path.residual() < 1e-12, "H = {hidden}, T = {steps}, t = {step}: {:e}", path.residual());
            assert!(path.term.norm() > 0.0);
        }
    }
}

/// Against the definition, for one unit: every factor is a number.
#[test]
fn the_factors_of_one_unit() {
    let (u, x) = (0.8, [0.5, -0.3, 0.9]);
    let rnn = TanhRnn { weight_ih: number(0.4), weight_hh: number(u), bias: None, initial: None };
    let path = lens::path(&rnn, "weight_hh", 0, 1, |tape, rnn| {
        vec![unroll(rnn, tape.constant(Tensor::from_vec(x.to_vec(), &[3, 1, 1]))).last_output().square().sum()]
    });
    let h = x.iter().scan(0.0, |h: &mut f64, x| {
        *h = (0.4 * x + u * *h).tanh();
        Some(*h)
    });
    let h: Vec<f64> = h.collect();
    let slope = |t: usize| 1.0 - h[t] * h[t];
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-14, "{a} and {b}");
    close(path.error.item(), 2.0 * h[2]);
    close(path.factors[0].jacobian.item(), slope(2) * u);
    close(path.factors[0].largest, slope(2) * u);
    close(path.factors[0].smallest, slope(2) * u);
    close(path.immediate().item(), slope(1) * h[0]);
    close(path.term.item(), 2.0 * h[2] * slope(2) * u * slope(1) * h[0]);
    close(path.norms()[1], (2.0 * h[2] * slope(2) * u).abs());
    assert_eq!(
        path.to_string(),
        "\
E_0 → weight_hh in step 1, |item| 1.0e-1
  factor          largest σ  smallest σ  |row|
  ∂E_0/∂h                                7.4e-1
  ∂h_2/∂h_1           0.690      6.9e-1  5.1e-1
"
    );
}

fn number(x: f64) -> Tensor<f64> {
    Tensor::from_vec(vec![x], &[1, 1])
}

#[test]
fn a_wrong_jacobian_is_noticed() {
    let lstm: Lstm<Tensor<f64>> = randomised(&Lstm::new(3, 4, &mut rng()), 5);
    let x = random(&[STEPS, 2, 3], 9);
    let mut path = lens::path(&lstm, "weight_hh", 4, 1, |tape, lstm| {
        step_losses(unroll(lstm, tape.constant(x.clone())).outputs())
    });
    assert!(path.residual() < 1e-12);
    path.factors[1].jacobian = path.factors[1].jacobian.transpose();
    assert!(path.residual() > 0.1, "{:e}", path.residual());
}

/// Sums of squares of the elements are those of the singular values, and a diagonal matrix has its elements.
#[test]
fn singular_values() {
    let weight = Tensor::from_vec(vec![3.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0, 0.0, 1e-9], &[3, 3]);
    for scale in [1.0_f64, 1e-200, 1e200] {
        let rnn = rewind_rnn::ReluRnn {
            weight_ih: Tensor::full(&[1, 3], 1.0),
            weight_hh: weight.map(|u| u * scale),
            bias: None,
            initial: None,
        };
        let path = lens::path(&rnn, "weight_ih", 0, 0, |tape, rnn| {
            // Large inputs keep the second unit, which has a negative weight, above 0.
            let x = tape.constant(Tensor::from_vec(vec![1.0, 10.0 * scale.max(1.0)], &[2, 1, 1]));
            vec![unroll(rnn, x).last_output().sum()]
        });
        let [factor] = &path.factors[..] else { panic!("one factor") };
        assert!((factor.largest / scale - 3.0).abs() < 1e-12, "{:e}", factor.largest);
        assert!((factor.smallest / scale - 1e-9).abs() < 1e-15, "{:e}", factor.smallest);
    }
}

#[test]
fn f32_and_extremes() {
    let x = random::<f32>(&[STEPS, 2, 3], 9);
    let of = |rnn: &TanhRnn<Tensor<f32>>| {
        lens::path(rnn, "weight_hh", 4, 1, |tape, rnn| step_losses(unroll(rnn, tape.constant(x.clone())).outputs()))
    };
    let rnn: TanhRnn<Tensor<f32>> = randomised(&TanhRnn::new(3, 5, &mut rng()), 5);
    assert!(of(&rnn).residual() < 1e-5);
    // NaN is shown, in every factor behind it.
    let broken = TanhRnn { weight_hh: rnn.weight_hh.map(|_| f32::NAN), ..rnn.clone() };
    let path = of(&broken);
    assert!(path.factors[0].largest.is_nan() && path.term.norm().is_nan() && path.residual().is_nan());
    assert!(path.to_string().contains("NaN"), "{path}");
    // Saturated, since an odd number of units cannot cancel: the gradient is 0 to the last bit, and so is every factor.
    let saturated = TanhRnn { weight_hh: rnn.weight_hh.map(|u| u.to_f64().signum() as f32 * 1e30), ..rnn };
    let path = of(&saturated);
    assert_eq!((path.factors[0].largest, path.term.norm()), (0.0, 0.0));
}

/// However small the item: a loss that reads two steps has no path, and a difference is measured against the item.
#[test]
#[should_panic(expected = "E_0 reads the states of steps [2, 5]")]
fn a_tiny_item_is_no_chain_either() {
    let rnn = TanhRnn::<Tensor<f64>>::new(1, 4, &mut rng());
    lens::path(&rnn, "weight_hh", 0, 1, |tape, rnn| {
        let run = unroll(rnn, tape.constant(random(&[6, 1, 1], 3)));
        vec![(run.output(2).sum() + run.output(5).sum()) * 1e-200]
    });
}

/// Items of f32 that are not normal numbers lose digits, not their path.
#[test]
fn an_item_below_the_smallest_normal_number() {
    let rnn: TanhRnn<Tensor<f32>> = randomised(&TanhRnn::new(3, 5, &mut rng()), 5);
    let x = random::<f32>(&[STEPS, 2, 3], 9);
    let path = lens::path(&rnn, "weight_hh", 0, 1, |tape, rnn| {
        vec![unroll(rnn, tape.constant(x.clone())).last_output().sum() * 1e-38]
    });
    assert!(path.term.norm() > 0.0 && path.term.norm() < 1e-37, "{:e}", path.term.norm());
    assert_eq!(path.factors.len(), STEPS - 2);
}

#[test]
#[should_panic(expected = "stretch: shape [3]; expected a matrix [m, n]")]
fn the_stretch_of_a_vector() {
    lens::stretch(&Tensor::<f64>::zeros(&[3]));
}
