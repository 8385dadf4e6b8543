//! CTC refuses bad input by name.

use rewind_autograd::{Tape, Tensor};
use rewind_rnn::ErrorKind;
use rewind_rnn::loss::{Ctc, ctc};

/// The error for zeros `[3, 2, 4]`, with one element replaced.
fn refused(targets: &[&[usize]], lengths: &[usize], settings: Ctc, spoiled: Option<(usize, f64)>) -> rewind_rnn::Error {
    let tape = Tape::<f64>::new();
    let mut x = Tensor::zeros(&[3, 2, 4]);
    if let Some((at, value)) = spoiled {
        x.as_mut_slice()[at] = value;
    }
    ctc(tape.leaf(x), targets, lengths, settings).expect_err("this must be refused")
}

#[test]
fn targets_that_do_not_fit_are_named() {
    let plain = Ctc::default();
    let say = |targets: &[&[usize]], lengths: &[usize]| refused(targets, lengths, plain, None).to_string();
    assert_eq!(
        say(&[&[1], &[1, 2]], &[3, 1]),
        "ctc: sequence 1 has 1 steps; expected at least 2 for its target of 2 labels with 0 repeats"
    );
    assert_eq!(
        say(&[&[2, 2, 1], &[]], &[3, 3]),
        "ctc: sequence 0 has 3 steps; expected at least 4 for its target of 3 labels with 1 repeats"
    );
    assert_eq!(
        say(&[&[1], &[1, 4]], &[3, 3]),
        "ctc: label 1 of the target of sequence 1 is 4; expected a class below 4 that is not the blank, 0"
    );
    assert_eq!(
        say(&[&[0], &[]], &[3, 3]),
        "ctc: label 0 of the target of sequence 0 is 0; expected a class below 4 that is not the blank, 0"
    );
    assert_eq!(say(&[&[1]], &[3, 3]), "ctc: 1 targets; expected one for each of 2 sequences");
    assert!(matches!(refused(&[&[0], &[]], &[3, 3], plain, None).kind(), ErrorKind::Target));
}

#[test]
fn shapes_lengths_and_settings_are_checked() {
    let two: &[&[usize]] = &[&[1], &[2]];
    let say = |lengths: &[usize], settings| refused(two, lengths, settings, None).to_string();
    let plain = Ctc::default();
    assert_eq!(say(&[3], plain), "ctc: 1 lengths for outputs of shape [3, 2, 4]; expected one for each of 2 sequences");
    assert_eq!(say(&[3, 4], plain), "ctc: sequence 1 has length 4; expected 1 to 3, the steps of the outputs");
    assert_eq!(say(&[0, 3], plain), "ctc: sequence 0 has length 0; expected 1 to 3, the steps of the outputs");
    assert_eq!(
        say(&[3, 3], Ctc { blank: 4, ..plain }),
        "ctc: the blank is class 4; expected a class below 4, the last axis of the logits"
    );
    let tape = Tape::<f64>::new();
    let flat = ctc(tape.zeros(&[3, 4]), two, &[3, 3], plain).expect_err("two axes").to_string();
    assert_eq!(flat, "ctc: outputs of shape [3, 4]; expected [T, B, C]: time steps, sequences, numbers");
    let none: &[&[usize]] = &[];
    let empty = ctc(tape.zeros(&[3, 0, 4]), none, &[], plain).expect_err("no sequence");
    assert!(matches!(empty.kind(), ErrorKind::Empty));
}

#[test]
fn logits_that_are_no_numbers_are_named() {
    let two: &[&[usize]] = &[&[1], &[2]];
    let error = refused(two, &[3, 3], Ctc::default(), Some((14, f64::NAN)));
    assert_eq!(error.to_string(), "ctc: the logit at [1, 1, 2] is NaN; expected a number or -∞");
    assert!(matches!(error.kind(), ErrorKind::NonFinite(at) if at.index == [1, 1, 2]));
    // Sequence 1 has one step, and its only label is ruled out there.
    let error = refused(two, &[3, 1], Ctc::default(), Some((6, f64::NEG_INFINITY)));
    assert_eq!(
        error.to_string(),
        "ctc: the target of sequence 1 has probability 0; expected logits above -∞ along one of its paths, or `zero_infinity`"
    );
    assert!(matches!(error.kind(), ErrorKind::Target));
    // NaN is an error whatever the settings.
    let zeros = Ctc { zero_infinity: true, ..Ctc::default() };
    assert!(matches!(refused(two, &[3, 3], zeros, Some((0, f64::NAN))).kind(), ErrorKind::NonFinite(_)));
}
