//! Losses: by hand, step by step against row by row, with padding, and errors. Values of PyTorch are in
//! `reference`.

use rewind_autograd::{Scalar, Tape, Tensor, Var};
use rewind_rnn::check;
use rewind_rnn::loss::{self, Accuracy, CrossEntropy, Reduction, StepLosses, accuracy};

const SUM: CrossEntropy<'_> = CrossEntropy { smoothing: 0.0, reduction: Reduction::Sum, class_weights: None };

fn numbers<T: Scalar>(shape: &[usize], seed: usize) -> Tensor<T> {
    Tensor::from_fn(shape, |i| T::from_f64(((i * 37 + seed * 11) as f64).sin() * 2.0))
}

fn logits(tape: &Tape<f64>) -> Var<'_, f64> {
    tape.leaf(numbers(&[3, 4], 1))
}

#[test]
fn smoothing_spreads_over_all_classes() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::from_vec(vec![1.0, 2.0, 4.0], &[1, 3]));
    let log_p = x.log_softmax(1).value().to_vec();
    let settings = CrossEntropy { smoothing: 0.3, ..CrossEntropy::default() };
    let found = loss::cross_entropy(x, &[2], settings).expect("a good target").value().item();
    let expected = -(0.1 * log_p[0] + 0.1 * log_p[1] + 0.8 * log_p[2]);
    assert!((found - expected).abs() < 1e-14);
}

#[test]
fn ignored_rows_count_neither_in_the_sum_nor_in_the_mean() {
    let tape = Tape::new();
    let x = logits(&tape);
    let some = loss::cross_entropy(x, &[Some(1), None, Some(3)], CrossEntropy::default()).expect("good");
    let both = x.index_select(0, &[0, 2]);
    let expected = loss::cross_entropy(both, &[1, 3], CrossEntropy::default()).expect("good");
    assert!((some.value().item() - expected.value().item()).abs() < 1e-14);
    assert_eq!(some.backward().get(x).index(0, 1).to_vec(), [0.0; 4]);
    let sum = loss::cross_entropy(x, &[Some(1), None, Some(3)], SUM).expect("good");
    assert!((sum.value().item() - 2.0 * some.value().item()).abs() < 1e-14);
}

#[test]
fn gradients_agree_with_differences_to_second_order() {
    let smooth = CrossEntropy { smoothing: 0.2, ..CrossEntropy::default() };
    let x = [numbers(&[3, 2, 4], 5)];
    let lengths = [3, 2];
    check::function(&x, |_, x| {
        loss::cross_entropy_steps(x[0], &[0, 1, 2, 3, 0, 0], &lengths, smooth).expect("good").per_step
    })
    .assert();
    let target = numbers(&[3, 2, 4], 6);
    check::function(&x, |_, x| {
        loss::mean_squared_error_steps(x[0], &target, &lengths, Reduction::Mean).expect("good").per_step
    })
    .assert();
    let target = target.map(|x| x.abs() / 2.0);
    check::function(&x, |_, x| {
        loss::binary_cross_entropy_steps(x[0], &target, &lengths, Reduction::Sum).expect("good").total
    })
    .assert();
    check::function(&x, |_, x| loss::last_step(x[0], &lengths).expect("good").tanh()).assert();
}

#[test]
fn losses_of_rows_agree_with_differences_to_second_order() {
    let smooth = CrossEntropy { smoothing: 0.2, ..CrossEntropy::default() };
    let x = [numbers(&[3, 4], 7)];
    let target = numbers(&[3, 4], 8);
    check::function(&x, |_, x| loss::cross_entropy(x[0], &[Some(1), None, Some(3)], smooth).expect("good")).assert();
    check::function(&x, |_, x| loss::mean_squared_error(x[0], &target, Reduction::Mean).expect("good")).assert();
    let target = target.map(|x| x.abs() / 2.0);
    check::function(&x, |_, x| loss::binary_cross_entropy(x[0], &target, Reduction::Sum).expect("good")).assert();
}

#[test]
fn the_last_step_is_that_of_each_sequence() {
    let tape = Tape::<f64>::new();
    let outputs = tape.leaf(numbers(&[4, 3, 2], 9));
    for lengths in [[4, 4, 4], [4, 1, 3], [2, 2, 2], [1, 3, 2]] {
        let last = loss::last_step(outputs, &lengths).expect("good").value();
        for (b, length) in lengths.into_iter().enumerate() {
            assert_eq!(last.index(0, b), outputs.value().index(0, length - 1).index(0, b), "{lengths:?}, sequence {b}");
        }
    }
}

/// The losses of a padded batch by each of the three functions, and those of each sequence alone.
#[test]
fn padding_is_invisible_whatever_stands_there() {
    let targets = [1, 2, 0, 99, 3, 99]; // 99 is no class, and stands behind the end
    type Losses = for<'t> fn(Var<'t, f64>, &[usize], &Tensor<f64>, &[usize]) -> rewind_rnn::Result<StepLosses<'t, f64>>;
    let kinds: [Losses; 3] = [
        |x, targets, _, lengths| loss::cross_entropy_steps(x, targets, lengths, SUM),
        |x, _, target, lengths| loss::mean_squared_error_steps(x, target, lengths, Reduction::Sum),
        |x, _, target, lengths| loss::binary_cross_entropy_steps(x, target, lengths, Reduction::Sum),
    ];
    let x = numbers(&[3, 2, 4], 3);
    let mut target = numbers::<f64>(&[3, 2, 4], 4).map(|x| x.abs() / 2.0);
    target.as_mut_slice()[12..16].fill(f64::NAN); // step 1 of the second sequence
    // The second time no sequence fills all steps.
    for (losses, lengths) in kinds.into_iter().flat_map(|kind| [(kind, [3, 1]), (kind, [2, 1])]) {
        let tape = Tape::new();
        let whole = tape.leaf(x.clone());
        let found = losses(whole, &targets, &target, &lengths).expect("padding is not looked at");
        let gradient = found.total.backward().get(whole);
        let (mut total, mut steps) = (0.0, [0.0; 3]);
        for (b, &length) in lengths.iter().enumerate() {
            let alone = tape.leaf(x.slice(1, b..b + 1).slice(0, 0..length));
            let own: Vec<_> = (0..length).map(|t| targets[t * 2 + b]).collect();
            let own = losses(alone, &own, &target.slice(1, b..b + 1).slice(0, 0..length), &[length]).expect("good");
            total += own.total.value().item();
            own.per_step.value().to_vec().iter().zip(&mut steps).for_each(|(e, sum)| *sum += e);
            let rows = own.total.backward().get(alone);
            for t in 0..3 {
                let expected = if t < length { rows.index(0, t).index(0, 0) } else { Tensor::zeros(&[4]) };
                assert_eq!(gradient.index(0, t).index(0, b), expected);
            }
        }
        assert!((found.total.value().item() - total).abs() < 1e-12);
        for (found, expected) in found.per_step.value().to_vec().iter().zip(steps) {
            assert!((found - expected).abs() < 1e-12);
        }
    }
}

#[test]
fn outputs_that_are_not_finite_in_the_padding_reach_neither_losses_nor_derivatives() {
    type Losses = for<'t> fn(Var<'t, f64>, &Tensor<f64>, &[usize]) -> rewind_rnn::Result<StepLosses<'t, f64>>;
    let kinds: [Losses; 2] = [
        |x, target, lengths| loss::mean_squared_error_steps(x, target, lengths, Reduction::Mean),
        |x, target, lengths| loss::binary_cross_entropy_steps(x, target, lengths, Reduction::Mean),
    ];
    let target = numbers::<f64>(&[3, 2, 4], 4).map(|x| x.abs() / 2.0);
    for losses in kinds {
        let results = |padding: f64| {
            let mut x = numbers::<f64>(&[3, 2, 4], 3);
            for row in [3, 5] {
                x.as_mut_slice()[row * 4..][..4].fill(padding); // steps 1 and 2 of the second sequence
            }
            let tape = Tape::new();
            let x = tape.leaf(x);
            let total = losses(x, &target, &[3, 1]).expect("padding is not looked at").total;
            let gradient = total.grad(&[x])[0];
            let second = gradient.square().sum().backward().get(x);
            [total.value(), gradient.value(), second].map(|x| x.to_vec())
        };
        let expected = results(0.0);
        for padding in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(results(padding), expected, "padding {padding}");
        }
    }
}

#[test]
fn the_mean_is_over_all_that_counts() {
    let tape = Tape::new();
    let x = tape.leaf(numbers::<f64>(&[3, 2, 4], 3));
    let targets = [Some(1), None, Some(0), Some(2), Some(3), None];
    let item = |v: Var<'_, f64>| v.value().item();
    let mean = loss::cross_entropy_steps(x, &targets, &[3, 2], CrossEntropy::default()).expect("good");
    let rows = loss::cross_entropy(x, &targets, CrossEntropy::default()).expect("good");
    assert!((item(mean.total) - item(rows)).abs() < 1e-14);
    let target = numbers(&[3, 2, 4], 9);
    let lengths = [3, 2];
    let sum = loss::mean_squared_error_steps(x, &target, &lengths, Reduction::Sum).expect("good");
    let mean = loss::mean_squared_error_steps(x, &target, &lengths, Reduction::Mean).expect("good");
    assert!((item(sum.total) - 20.0 * item(mean.total)).abs() < 1e-12);
}

#[test]
fn one_step_of_the_global_loss_can_be_differentiated_alone() {
    let tape = Tape::new();
    let x = tape.leaf(numbers::<f64>(&[3, 2, 4], 3));
    let losses = loss::cross_entropy_steps(x, &[0_usize; 6], &[3, 3], SUM).expect("good");
    let g = losses.per_step.index(0, 1).backward().get(x);
    assert_eq!((g.index(0, 0).norm(), g.index(0, 2).norm()), (0.0, 0.0));
    assert_eq!(g.index(0, 1), losses.total.backward().get(x).index(0, 1));
}

#[test]
fn extreme_logits_stay_finite_in_f32() {
    let tape = Tape::<f32>::new();
    let x = tape.leaf(Tensor::from_vec(vec![900.0, -900.0, 0.0, -1e38, 1e38, 1.0], &[2, 3]));
    let loss = loss::cross_entropy(x, &[1, 1], CrossEntropy::default()).expect("good");
    assert_eq!(loss.value().item(), 900.0); // 1800 and 0
    assert!(loss.backward().get(x).all_finite());
    let ones = Tensor::full(&[2, 3], 1.0);
    let loss = loss::binary_cross_entropy(x.clamp(-1e4, 1e4), &ones, Reduction::Sum).expect("good");
    assert_eq!(loss.value().item(), 10_900.0 + 2.0_f32.ln() + (-1.0_f32).exp().ln_1p());
}

fn message<V>(result: rewind_rnn::Result<V>) -> String {
    result.err().expect("this must be refused").to_string()
}

#[test]
fn bad_targets_are_named() {
    let tape = Tape::new();
    let x = logits(&tape);
    let default = CrossEntropy::default();
    assert_eq!(
        message(loss::cross_entropy(x, &[0, 4, 1], default)),
        "cross_entropy: target of row 1 is class 4; expected a class below 4, the last axis of the outputs"
    );
    assert_eq!(
        message(loss::cross_entropy(x, &[0, 1], default)),
        "cross_entropy: 2 targets for outputs of shape [3, 4]; expected 3, one a row"
    );
    assert_eq!(
        message(loss::cross_entropy(x, &[None::<usize>; 3], default)),
        "cross_entropy: none of 3 rows counts; expected at least one target that is not ignored"
    );
    for smoothing in [1.0, -0.1, f64::NAN] {
        assert_eq!(
            message(loss::cross_entropy(x, &[0, 1, 2], CrossEntropy { smoothing, ..default })),
            format!("cross_entropy: label smoothing is {smoothing}; expected a number in [0, 1)")
        );
    }
    assert_eq!(
        message(loss::cross_entropy(tape.scalar(1.0), &[0], default)),
        "cross_entropy: outputs of shape []; expected […, C]"
    );
    assert_eq!(
        message(loss::mean_squared_error(x, &Tensor::zeros(&[3, 1]), Reduction::Mean)),
        "mean_squared_error: target of shape [3, 1]; expected [3, 4], the shape of the outputs"
    );
    let mut target = Tensor::zeros(&[3, 4]);
    target.as_mut_slice()[6] = 1.5;
    assert_eq!(
        message(loss::binary_cross_entropy(x, &target, Reduction::Mean)),
        "binary_cross_entropy: target at [1, 2] is 1.5; expected a number in [0, 1]"
    );
    target.as_mut_slice()[6] = f64::NAN;
    assert_eq!(
        message(loss::mean_squared_error(x, &target, Reduction::Mean)),
        "mean_squared_error: target at [1, 2] is NaN; expected a finite number"
    );
    assert_eq!(
        message(loss::mean_squared_error(tape.zeros(&[0, 4]), &Tensor::zeros(&[0, 4]), Reduction::Mean)),
        "mean_squared_error: none of 0 rows counts; expected at least one target that is not ignored"
    );
}

#[test]
fn bad_lengths_are_named() {
    let tape = Tape::<f64>::new();
    let x = tape.zeros(&[3, 2, 4]);
    let steps = |lengths: &[usize]| message(loss::cross_entropy_steps(x, &[0_usize; 6], lengths, SUM));
    assert_eq!(
        steps(&[3]),
        "cross_entropy: 1 lengths for outputs of shape [3, 2, 4]; expected one for each of 2 sequences"
    );
    let expected = "expected 1 to 3, the steps of the outputs";
    assert_eq!(steps(&[3, 4]), format!("cross_entropy: sequence 1 has length 4; {expected}"));
    assert_eq!(steps(&[0, 3]), format!("cross_entropy: sequence 0 has length 0; {expected}"));
    assert_eq!(message(loss::last_step(x, &[3, 9])), format!("last_step: sequence 1 has length 9; {expected}"));
    assert_eq!(
        message(loss::last_step(tape.zeros(&[2, 4]), &[1, 1])),
        "last_step: outputs of shape [2, 4]; expected [T, B, C]: time steps, sequences, numbers"
    );
    // A target of another batch, where there is padding.
    let misfit = loss::mean_squared_error_steps(x, &Tensor::zeros(&[3, 4, 4]), &[3, 1], Reduction::Mean);
    assert_eq!(
        message(misfit),
        "mean_squared_error: target of shape [3, 4, 4]; expected [3, 2, 4], the shape of the outputs"
    );
}

#[test]
fn accuracy_counts_the_rows_that_have_a_target() {
    // One row of [7, 33, 5] is NaN, and does not count.
    let mut outputs = Tensor::from_fn(&[7, 33, 5], |i| ((i * 7919) % 1009) as f64);
    let mut targets = Vec::new();
    for row in 0..7 * 33 {
        let own = outputs.to_vec()[row * 5..][..5].to_vec();
        let largest = (0..5).max_by(|&a, &b| own[a].total_cmp(&own[b])).expect("five classes");
        // Every third is wrong, every seventh does not count.
        targets.push((row % 7 != 0).then_some(if row % 3 == 0 { (largest + 1) % 5 } else { largest }));
    }
    outputs.as_mut_slice()[7 * 5 + 2] = f64::NAN;
    let found = accuracy(&outputs, &targets).expect("good");
    assert_eq!((found.right, found.counted), (132, 198));
    assert_eq!(found.to_string(), "accuracy 0.667 (n=198)");
    assert_eq!(found + found, Accuracy { right: 264, counted: 396 });

    let equal = Tensor::<f32>::zeros(&[2, 3]);
    let found = accuracy(&equal, &[0, 1]).expect("the lowest class is the largest among equals");
    assert_eq!((found.right, found.rate()), (1, 0.5));
    let infinite = Tensor::from_vec(vec![f32::NEG_INFINITY, f32::INFINITY], &[1, 2]);
    assert_eq!(accuracy(&infinite, &[1]).expect("infinities are numbers").right, 1);
    assert!(Accuracy::default().rate().is_nan());
}

#[test]
fn accuracy_refuses_what_it_cannot_count() {
    let outputs = Tensor::from_vec(vec![0.0, 1.0, 0.0, f64::NAN], &[2, 2]);
    let message = |targets: &[Option<usize>]| accuracy(&outputs, targets).expect_err("refused").to_string();
    assert_eq!(message(&[Some(0)]), "accuracy: 1 targets for outputs of shape [2, 2]; expected 2, one a row");
    assert_eq!(
        message(&[Some(2), None]),
        "accuracy: target of row 0 is class 2; expected a class below 2, the last axis of the outputs"
    );
    assert_eq!(message(&[Some(1), Some(1)]), "accuracy: the output at [1, 1] is NaN; expected numbers");
    assert_eq!(
        message(&[None, None]),
        "accuracy: none of 2 rows counts; expected at least one target that is not ignored"
    );
    let scalar = accuracy(&Tensor::scalar(1.0_f64), &[0]).expect_err("no classes").to_string();
    assert_eq!(scalar, "accuracy: outputs of shape []; expected […, C]");
}
