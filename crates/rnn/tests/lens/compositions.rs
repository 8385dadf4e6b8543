//! The items sum to the gradient for wrappers with noise, layers of every kind and whole models, and at the limits of sizes and
//! magnitudes.

use rewind_autograd::{Scalar, Tensor};
use rewind_rnn::{
    Bidirectional, CandidateDropout, Dropout, Gru, InChunks, LayerModule, LayerNorm, Linear, Lru, Lstm, MLstm, Merge,
    MinGru, MinLstm, Noise, Recurrent, RecurrentDropout, Reset, Scan, TanhRnn, Unroll, Zoneout, lens, models, unroll,
};

use super::items::assert_sums;
use super::{random, randomised, rng, step_losses};

#[track_caller]
fn sums<M: LayerModule<f64>>(layer: &M, inputs: usize, how: Unroll<'_>, tolerance: f64) -> lens::Itemised<f64> {
    let x = random(&[5, 3, inputs], 9);
    let items = lens::itemised(layer, |tape, layer| step_losses(how.through(layer, tape.constant(x)).outputs));
    assert_sums(&items, tolerance);
    items
}

#[test]
fn wrappers_with_their_noise() {
    let rng = &mut rng();
    let noisy = Unroll::new().noise(Noise::new(3)).lengths(&[5, 2, 4]);
    let lstm = Zoneout::new(Lstm::new(3, 4, rng).with_learned_state(), &[0.3, 0.5]);
    sums(&randomised(&Recurrent(lstm), 5), 3, noisy, 1e-12);
    let rnn = RecurrentDropout::new(TanhRnn::new(3, 4, rng), 0.4);
    sums(&randomised(&Recurrent(rnn), 5), 3, noisy, 1e-12);
    let gru = CandidateDropout::new(Gru::new(3, 4, rng), 0.4);
    sums(&randomised(&Recurrent(gru), 5), 3, noisy, 1e-12);
    let stack = (Recurrent(TanhRnn::new(3, 4, rng)), Dropout::new(0.5), Recurrent(Gru::new(4, 3, rng)));
    sums(&randomised(&stack, 5), 3, noisy, 1e-12);
}

#[test]
fn layers_of_every_kind() {
    let rng = &mut rng();
    let (whole, padded) = (Unroll::new(), Unroll::new().lengths(&[5, 2, 4]));
    let gru = Gru { reset: Reset::BeforeProduct, ..Gru::new(3, 4, rng) };
    sums(&randomised(&Recurrent(gru), 5), 3, padded, 1e-12);
    sums(&randomised(&Recurrent(Gru::new(3, 4, rng).with_heads(2, rng)), 5), 3, padded, 1e-12);
    sums(&randomised(&Scan(MinLstm::new(3, 4, rng)), 5), 3, padded, 1e-12);
    sums(&randomised(&Scan(Lru::new(3, 4, rng)), 5), 3, whole, 1e-12);
    sums(&randomised(&InChunks::new(MLstm::new(3, 4, 2, rng), 2), 5), 3, whole, 1e-11);
    let deep = vec![
        Recurrent(TanhRnn::new(3, 3, rng)),
        Recurrent(TanhRnn::new(3, 3, rng)),
        Recurrent(TanhRnn::new(3, 3, rng)),
    ];
    let items = sums(&randomised(&deep, 5), 3, padded, 1e-12);
    assert_eq!(items.steps("0.weight_hh").len(), 5);
    let both = Bidirectional::cells(Lstm::new(3, 4, rng), MinGru::new(3, 4, rng)).with_merge(Merge::Sum);
    sums(&randomised(&(both, LayerNorm::new(4), Linear::new(4, 2, rng)), 5), 3, padded, 1e-12);
}

#[test]
fn a_model_of_the_literature() {
    let network = models::graves2013::ctc_1l_250h::<f64>(&mut rng());
    let x = random(&[3, 1, models::graves2013::INPUTS], 9);
    let items = lens::itemised(&network, |tape, network| {
        step_losses(Unroll::new().through(network, tape.constant(x.clone())).outputs)
    });
    assert_sums(&items, 1e-12);
}

#[test]
fn one_unit_seven_and_thirty_three() {
    for hidden in [1, 7, 33] {
        for steps in [1, 3] {
            let lstm: Lstm<Tensor<f64>> = randomised(&Lstm::new(2, hidden, &mut rng()).with_learned_state(), 5);
            let x = random(&[steps, 2, 2], 9);
            let items =
                lens::itemised(&lstm, |tape, lstm| step_losses(unroll(lstm, tape.constant(x.clone())).outputs()));
            assert_sums(&items, 1e-12);
            let nonzero = items.of("weight_hh").filter(|item| item.norm > 0.0).count();
            assert_eq!((items.losses(), nonzero), (steps, steps * (steps + 1) / 2));
        }
    }
}

/// Without a loss there is no item, and the gradient is 0.
#[test]
fn no_loss() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(2, 3, &mut rng()), 5);
    let items = lens::itemised(&rnn, |_, _| Vec::new());
    assert_eq!((items.losses(), items.of("weight_hh").count()), (0, 0));
    assert_eq!((items.gradient("weight_hh").norm(), items.residual("weight_hh")), (0.0, 0.0));
}

#[test]
#[should_panic(expected = "no time step")]
fn no_time_step() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(2, 3, &mut rng()), 5);
    lens::itemised(&rnn, |tape, rnn| vec![unroll(rnn, tape.zeros(&[0, 2, 2])).last_output().sum()]);
}

/// Large and small magnitudes of f32: the items keep the relative accuracy of the gradient.
#[test]
fn extremes_of_f32() {
    let lstm: Lstm<Tensor<f32>> = randomised(&Lstm::new(3, 4, &mut rng()), 5);
    let x: Tensor<f32> = random(&[6, 2, 3], 9);
    for scale in [1e-30_f32, 1e30] {
        let items = lens::itemised(&lstm, |tape, lstm| {
            step_losses(unroll(lstm, tape.constant(x.clone())).outputs()).into_iter().map(|loss| loss * scale).collect()
        });
        assert_sums(&items, 1e-5);
        let table = items.table("weight_hh");
        assert!(table.rows.iter().flatten().flatten().all(|norm| norm.is_finite()));
    }
}

/// A NaN in one sequence of the input is in the items that it reaches, in the table, and in no other.
#[test]
fn a_nan_is_shown() {
    let rnn: TanhRnn<Tensor<f64>> = randomised(&TanhRnn::new(2, 3, &mut rng()), 5);
    let mut x: Tensor<f64> = random(&[4, 1, 2], 9);
    x.as_mut_slice()[2 * 2] = f64::NAN; // in step 2
    let items = lens::itemised(&rnn, |tape, rnn| {
        let run = unroll(rnn, tape.constant(x.clone()));
        (0..4).map(|t| run.output(t).square().sum()).collect()
    });
    for item in items.of("weight_hh") {
        assert_eq!(item.norm.to_f64().is_nan(), item.loss >= 2, "({}, {:?})", item.loss, item.step);
    }
    assert!(items.residual("weight_hh").is_nan());
    let printed = items.table("weight_hh").to_string();
    assert_eq!(printed.matches("NaN").count(), 3 + 4 + 1, "{printed}");
    let flow = lens::flow(&rnn, |tape, rnn| step_losses(unroll(rnn, tape.constant(x.clone())).outputs()));
    assert!(flow.states[0].norms.iter().all(|norm| norm.is_nan()) && flow.to_string().contains("NaN"), "{flow}");
    let influence = lens::influence(&rnn, &x, |_, rnn, x| unroll(rnn, x).outputs());
    assert!(influence.norms[3][0].is_nan() && influence.norms[2][2].is_nan());
    assert!(influence.to_string().contains("! is NaN or infinite"), "{influence}");
}
