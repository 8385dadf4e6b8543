//! Zoneout, recurrent dropout: right gradients with and without noise, the right masks, and messages.

use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_rnn::{
    Dropout, Lstm, LstmState, MLstm, Noise, Recurrent, RecurrentDropout, Reset, SLstm, Unroll, Zoneout, check, unroll,
};

use crate::common::{gru, lstm, random, tanh};
use crate::refused::refused;

#[test]
fn wrappers_agree_with_differences_with_and_without_noise() {
    check::cell(&Zoneout::new(lstm(3, 4), &[0.1, 0.5]), [3, 3, 3]).assert();
    check::cell(&RecurrentDropout::new(gru(3, 4, Reset::AfterProduct), 0.5), [3, 3, 3]).assert();
    // A layer is checked with the masks of one noise.
    check::layer(&Recurrent(Zoneout::new(lstm(3, 4), &[0.1, 0.5])), [4, 3, 3]).assert();
    check::layer(&Recurrent(RecurrentDropout::new(lstm(3, 4), 0.5)), [4, 3, 3]).assert();
    check::layer(
        &Recurrent(Zoneout::new(RecurrentDropout::new(gru(3, 4, Reset::AfterProduct), 0.5), &[0.3])),
        [3, 3, 3],
    )
    .assert();
    check::layer(&Dropout::<Tensor<f64>>::of_sequence(0.5), [4, 3, 3]).assert();
}

#[test]
fn zoneout_keeps_the_state_before_or_takes_the_new_one() {
    let module = tanh(3, 33);
    let tape = Tape::new();
    let x = tape.constant(random(&[6, 7, 3], 1));
    let zoneout = Zoneout::new(module.clone(), &[0.25]).on(&tape);
    let states = Unroll::new().noise(Noise::new(5)).run(&zoneout, x).states;
    let (mut kept, mut all, mut patterns) = (0, 0, Vec::new());
    for t in 1..6 {
        // The step of the cell alone from the state before.
        let first = states[t - 1];
        let alone = Unroll::new().run_from(&module.on(&tape), x.slice(0, t..t + 1), first).last.value().to_vec();
        let (before, after) = (first.value().to_vec(), states[t].value().to_vec());
        let pattern: Vec<bool> = (0..after.len())
            .map(|i| {
                assert!(after[i] == before[i] || after[i] == alone[i], "step {t}, element {i}");
                after[i] == before[i]
            })
            .collect();
        kept += pattern.iter().filter(|&&kept| kept).count();
        all += pattern.len();
        patterns.push(pattern);
    }
    let share = kept as f64 / all as f64;
    assert!((share - 0.25).abs() < 4.0 * (0.25_f64 * 0.75 / all as f64).sqrt(), "{share} of {all} are kept");
    assert!(patterns.windows(2).all(|pair| pair[0] != pair[1]), "every step has a mask of its own");
}

#[test]
fn without_noise_zoneout_is_its_expected_value() {
    let module = lstm(3, 4);
    let tape = Tape::new();
    let x = tape.constant(random(&[1, 2, 3], 2));
    let first = LstmState { hidden: tape.constant(random(&[2, 4], 3)), cell: tape.constant(random(&[2, 4], 4)) };
    let alone = Unroll::new().run_from(&module.on(&tape), x, first).last;
    let zoned = Unroll::new().run_from(&Zoneout::new(module, &[0.1, 0.5]).on(&tape), x, first).last;
    let expected = |new: Tensor<f64>, old: Tensor<f64>, z: f64| new.zip(&old, |new, old| z * old + (1.0 - z) * new);
    for (found, expected) in [
        (zoned.hidden.value(), expected(alone.hidden.value(), first.hidden.value(), 0.1)),
        (zoned.cell.value(), expected(alone.cell.value(), first.cell.value(), 0.5)),
    ] {
        assert!(found.to_vec().iter().zip(expected.to_vec()).all(|(a, b)| (a - b).abs() < 1e-15));
    }
}

#[test]
fn recurrent_dropout_masks_h_alone_and_all_steps_alike() {
    let module = lstm(3, 33);
    let tape = Tape::new();
    let x = tape.constant(random(&[5, 2, 3], 5));
    let noise = Noise::new(6);
    let states = Unroll::new().noise(noise).run(&RecurrentDropout::new(module.clone(), 0.5).on(&tape), x).states;
    let mask = tape.constant(noise.part(1).mask(&[2, 33], 0.5));
    for t in 1..5 {
        let read = LstmState { hidden: states[t - 1].hidden * mask, cell: states[t - 1].cell };
        let alone = Unroll::new().run_from(&module.on(&tape), x.slice(0, t..t + 1), read).last;
        assert_eq!(alone.hidden.value(), states[t].hidden.value(), "step {t}");
    }
    let off = unroll(&RecurrentDropout::new(module.clone(), 0.5).on(&tape), x).outputs();
    assert_eq!(off.value(), unroll(&module.on(&tape), x).outputs().value());
}

#[test]
fn recurrent_dropout_masks_h_alone_if_h_and_c_are_one_variable() {
    let module = lstm(3, 33);
    let tape = Tape::new();
    let cell = RecurrentDropout::new(module, 0.5).on(&tape);
    let x = tape.constant(random(&[1, 2, 3], 5));
    let after = |hidden, cell_state| {
        let first = LstmState { hidden, cell: cell_state };
        Unroll::new().noise(Noise::new(6)).run_from(&cell, x, first).last.cell.value()
    };
    let [one, other] = [(); 2].map(|()| tape.constant(random(&[2, 33], 8)));
    assert_eq!(after(one, one), after(one, other));
}

#[test]
fn zoneout_does_not_mix_parts_whose_unit_changes() {
    let rng = &mut StdRng::seed_from_u64(1);
    let tape = Tape::<f64>::new();
    let x = tape.constant(random(&[5, 2, 3], 5));
    let refuses = |part: &str| {
        format!(
            "Zoneout: the part `{part}` of the state has rate 0.25, but its unit changes from step to step (it is e^m in SLstm \
             and MLstm); expected rate 0 for every part except the output"
        )
    };
    let scalar = SLstm::new(3, 4, rng);
    let matrix = MLstm::new(3, 4, 2, rng);
    refused!(refuses("cell"), unroll(&Zoneout::new(scalar.clone(), &[0.25]).on(&tape), x));
    refused!(refuses("cell"), unroll(&Zoneout::new(matrix, &[0.25]).on(&tape), x));
    let noisy = Unroll::new().noise(Noise::new(3));
    let last = [0.25, 0.0, 0.0, 0.25];
    refused!(refuses("stabiliser"), noisy.run(&Zoneout::new(scalar.clone(), &last).on(&tape), x));
    // The output has no unit: a weighted mean of numbers in (-1, 1).
    let y = noisy.run(&Zoneout::new(scalar, &[0.25, 0.0, 0.0, 0.0]).on(&tape), x).outputs().value();
    assert!(y.to_vec().iter().all(|y| y.abs() < 1.0));
}

#[test]
fn one_mask_a_sequence_is_that_of_every_step() {
    let tape = Tape::new();
    let x = tape.constant(Tensor::full(&[6, 7, 33], 1.0));
    let y = Unroll::new().noise(Noise::new(1)).through(&Dropout::of_sequence(0.5).on(&tape), x).outputs.value();
    assert!((1..6).all(|t| y.index(0, t).to_vec() == y.index(0, 0).to_vec()));
    assert!(y.to_vec().contains(&0.0) && y.to_vec().contains(&2.0));
}

#[test]
fn rates_that_are_none_are_refused() {
    for rate in [1.0, -0.5, f64::NAN] {
        refused!(
            format!("Zoneout: rate {rate}; expected a probability in [0, 1)"),
            Zoneout::new(lstm(3, 4), &[0.1, rate])
        );
        let message = format!("RecurrentDropout: rate {rate}; expected a probability in [0, 1)");
        refused!(message, RecurrentDropout::new(lstm(3, 4), rate));
    }
    refused!("Zoneout: no rate; expected one, or one for each part of the state", Zoneout::new(lstm(3, 4), &[]));
    let tape = Tape::new();
    let cell = Zoneout::<_, Lstm<_>>::new(lstm(3, 4), &[0.1, 0.2, 0.3]).on(&tape);
    refused!(
        "Zoneout: 3 rates for a state of 2 parts; expected one for each, or one for all",
        unroll(&cell, tape.zeros(&[2, 1, 3]))
    );
}
