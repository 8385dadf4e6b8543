//! Averages, the best module and sums of gradients, compared with loops over numbers.

use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, parameters};
use rewind_rnn::batch::PaddedBatch;
use rewind_rnn::loss::{Reduction, mean_squared_error};
use rewind_rnn::{Accumulator, Average, EarlyStopping, ErrorKind, TanhRnn, Unroll};

parameters! {
    struct Pair<P> { a: P, b: P }
}

fn pair<T: Scalar>(a: &[f64], b: f64) -> Pair<Tensor<T>> {
    let a: Vec<T> = a.iter().map(|&x| T::from_f64(x)).collect();
    Pair { a: Tensor::from_vec(a.clone(), &[a.len()]), b: Tensor::scalar(T::from_f64(b)) }
}

fn numbers<T: Scalar>(module: &Pair<Tensor<T>>) -> Vec<f64> {
    module.leaves().iter().flat_map(|leaf| leaf.to_vec()).map(|x| x.to_f64()).collect()
}

/// Σ weight·value / Σ weight.
fn weighted(values: &[f64], weight: impl Fn(usize) -> f64) -> f64 {
    let total: f64 = (0..values.len()).map(&weight).sum();
    values.iter().enumerate().map(|(i, value)| weight(i) * value).sum::<f64>() / total
}

#[test]
fn an_average_is_the_weighted_mean_of_all_updates() {
    let values: Vec<f64> = (0..33).map(|i| (i as f64 * 1.7).sin() * 10.0).collect();
    for decay in [0.0, 0.3, 0.9, 0.999, 1.0 - 1e-12] {
        let mut average = Average::<f64>::new(decay);
        for (t, &value) in values.iter().enumerate() {
            average.update(&pair(&[value, -value], 2.0)).expect("finite");
            let expected = weighted(&values[..=t], |i| decay.powi((t - i) as i32));
            let found = numbers(&average.of(&pair(&[0.0; 2], 0.0)).expect("one update"));
            for (found, expected) in found.iter().zip([expected, -expected, 2.0]) {
                assert!((found - expected).abs() < 1e-11, "decay {decay}, update {t}: {found}, expected {expected}");
            }
        }
        assert_eq!(average.updates(), 33);
    }
    let mut mean = Average::<f64>::mean();
    values.iter().for_each(|&value| mean.update(&pair(&[], value)).expect("finite"));
    let found = mean.of(&pair(&[], 0.0)).expect("updated").b.item();
    assert!((found - weighted(&values, |_| 1.0)).abs() < 1e-13, "{found}");
}

#[test]
fn the_first_update_has_the_bits_of_the_parameters() {
    for decay in [0.0, 0.5, 0.9999999, 1.0 - f64::EPSILON] {
        let model = pair::<f32>(&[1e-30, -3e38, 0.1], 1e30);
        let mut average = Average::new(decay);
        average.update(&model).expect("finite");
        assert_eq!(numbers(&average.of(&model).expect("updated")), numbers(&model));
    }
}

#[test]
fn small_rates_are_not_lost_in_the_rounding_of_f32() {
    // The mean of 1 and 2 moves by 1e-5 of a distance of 1 at a time, near the end by less than half a unit in the last place.
    let mut average = Average::<f32>::new(1.0 - 1e-5);
    let like = pair(&[], 0.0);
    average.update(&pair(&[], 1.0)).expect("finite");
    let (mut exact, mut power) = (1.0, 1.0 - 1e-5);
    for _ in 0..300_000 {
        average.update(&pair(&[], 2.0)).expect("finite");
        power *= 1.0 - 1e-5;
        exact += 1e-5 / (1.0 - power) * (2.0 - exact);
    }
    let found = f64::from(average.of(&like).expect("updated").b.item());
    assert!((found - exact).abs() < 2e-7, "{found}, expected {exact}");
}

#[test]
fn huge_numbers_of_both_signs_have_an_average() {
    let mut average = Average::<f64>::new(0.5);
    for value in [-1.5e308, 1.5e308] {
        average.update(&pair(&[], value)).expect("finite");
    }
    let found = average.of(&pair(&[], 0.0)).expect("updated").b.item();
    assert!((found / 0.5e308 - 1.0).abs() < 1e-12, "{found}");
}

#[test]
fn the_training_weights_and_an_average_do_not_change_each_other() {
    let mut model = pair::<f64>(&[1.0, 2.0], 3.0);
    let mut average = Average::new(0.5);
    average.update(&model).expect("finite");
    let mut evaluated = average.of(&model).expect("updated");
    evaluated.a.as_mut_slice()[0] = 100.0;
    model.b.as_mut_slice()[0] = 200.0;
    assert_eq!(numbers(&model), [1.0, 2.0, 200.0]);
    assert_eq!(numbers(&average.of(&model).expect("updated")), [1.0, 2.0, 3.0]);
}

#[test]
fn averages_refuse_bad_settings_and_parameters() {
    let model = pair::<f64>(&[1.0], 2.0);
    for (decay, shown) in [(1.0, "1"), (-0.1, "-0.1"), (f64::NAN, "NaN")] {
        let error = Average::new(decay).update(&model).expect_err("no decay");
        assert!(matches!(error.kind(), ErrorKind::Setting));
        assert_eq!(error.to_string(), format!("average: the decay is {shown}; expected a number in [0, 1)"));
    }
    let mut average = Average::new(0.5);
    let error = average.of(&model).expect_err("nothing is in it");
    assert_eq!(error.to_string(), "average: nothing was observed yet; expected at least one module");
    average.update(&model).expect("finite");
    let error = average.update(&pair(&[f64::NAN], 2.0)).expect_err("NaN");
    assert_eq!(error.to_string(), "average: the parameter `a` is NaN at [0]; expected finite numbers");
    let expected = "average: `a` has shape [2] in the parameters; expected [1], as in the average's memory";
    assert_eq!(average.update(&pair(&[1.0, 2.0], 2.0)).expect_err("another shape").to_string(), expected);
    assert_eq!(average.of(&pair(&[1.0, 2.0], 2.0)).expect_err("another shape").to_string(), expected);
    assert_eq!((average.updates(), numbers(&average.of(&model).expect("updated"))), (1, vec![1.0, 2.0]));
}

#[test]
fn early_stopping_keeps_the_best_and_stops_in_time() {
    let mut early = EarlyStopping::new(3).min_change(0.1);
    let errors = [f64::NAN, 1.0, 0.95, 0.8, 0.75, f64::NAN, 0.71, 0.1];
    let mut stopped = None;
    for (epoch, &error) in errors.iter().enumerate() {
        let progress = early.observe(error, &pair::<f32>(&[epoch as f64], -1.0)).expect("finite");
        assert_eq!(early.exhausted(), progress.exhausted());
        assert_eq!(progress.improved, [1, 3, 7].contains(&epoch), "epoch {epoch}");
        if progress.exhausted() && stopped.is_none() {
            stopped = Some(epoch);
            assert_eq!(numbers(&early.best(&pair(&[0.0], 0.0)).expect("one is best")), [3.0, -1.0]);
            assert_eq!(early.lowest(), Some(0.8));
        }
    }
    assert_eq!(stopped, Some(6));
    assert_eq!(numbers(&early.best(&pair(&[0.0], 0.0)).expect("one is best")), [7.0, -1.0]);
}

#[test]
fn early_stopping_refuses_bad_settings_and_parameters() {
    let model = pair::<f64>(&[1.0], 2.0);
    assert!(!EarlyStopping::<f64>::new(0).exhausted(), "the first value is refused, and the loop has to reach it");
    let error = EarlyStopping::new(0).observe(1.0, &model).expect_err("no patience");
    assert_eq!(error.to_string(), "early stopping: the patience is 0; expected at least 1");
    let error = EarlyStopping::new(1).min_change(f64::INFINITY).observe(1.0, &model).expect_err("no change");
    assert_eq!(error.to_string(), "early stopping: the minimal change is inf; expected a finite number >= 0");
    let mut early = EarlyStopping::new(2);
    early.observe(f64::NAN, &model).expect("NaN is reported, not an error");
    let error = early.best(&model).expect_err("none is best");
    assert_eq!(error.to_string(), "early stopping: nothing was observed yet; expected at least one module");
    let error = early.observe(0.5, &pair(&[1.0], f64::INFINITY)).expect_err("an infinite parameter");
    assert_eq!(error.to_string(), "early stopping: the parameter `b` is inf at []; expected finite numbers");
    assert_eq!(early.lowest(), None, "what was refused is not the best");
}

fn sequences() -> Vec<Tensor<f64>> {
    let numbers = |length: usize, seed: usize| Tensor::from_fn(&[length, 2], |i| ((seed * 31 + i * 7) as f64).sin());
    [5, 1, 7, 3, 2, 4].iter().enumerate().map(|(seed, &length)| numbers(length, seed)).collect()
}

/// The gradient of the squared error of these sequences against 0.5, and how many numbers it compares.
fn gradient(cell: &TanhRnn<Tensor<f64>>, indices: &[usize], reduction: Reduction) -> (TanhRnn<Tensor<f64>>, usize) {
    let batch = PaddedBatch::gather(&sequences(), indices).expect("good sequences");
    let tape = Tape::new();
    let on_tape = cell.on(&tape);
    let x = tape.constant(batch.data().clone());
    let last = Unroll::new().lengths(batch.lengths()).run(&on_tape, x).last_output();
    let targets = Tensor::full(&[indices.len(), 3], 0.5);
    let loss = mean_squared_error(last, &targets, reduction).expect("good targets");
    (loss.backward().of(&on_tape), 3 * indices.len())
}

#[test]
fn batches_of_unequal_sizes_add_up_to_the_gradient_of_all() {
    let cell = TanhRnn::new(2, 3, &mut <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1));
    let parts: [&[usize]; 3] = [&[0], &[1, 2, 3], &[4, 5]];
    for reduction in [Reduction::Sum, Reduction::Mean] {
        let (all, count) = gradient(&cell, &[0, 1, 2, 3, 4, 5], Reduction::Sum);
        for mean in [false, true] {
            let accumulate = || {
                let mut sum = Accumulator::new();
                for part in parts {
                    let (g, n) = gradient(&cell, part, reduction);
                    match reduction {
                        Reduction::Mean => sum.add_mean(&g, n),
                        _ => sum.add_sum(&g, n),
                    }
                    .expect("finite");
                }
                assert_eq!((sum.batches(), sum.count()), (3, 18));
                if mean { sum.take_mean(&cell) } else { sum.take_sum(&cell) }.expect("three batches")
            };
            let (found, again) = (accumulate(), accumulate());
            assert_eq!(found.leaves(), again.leaves(), "equal calls give equal bits");
            let scale = if mean { count as f64 } else { 1.0 };
            for (found, all) in found.leaves().iter().zip(all.leaves()) {
                for (found, all) in found.to_vec().iter().zip(all.to_vec()) {
                    assert!((found - all / scale).abs() < 1e-13, "{found}, expected {}", all / scale);
                }
            }
        }
    }
}

#[test]
fn a_sum_of_many_batches_has_the_precision_of_one() {
    let g = pair::<f32>(&[0.1, 1e-8], -0.3);
    let mut sum = Accumulator::new();
    sum.add_mean(&pair(&[0.1, 1.0], -0.3), 1).expect("finite");
    for _ in 1..100_000 {
        sum.add_mean(&g, 1).expect("finite");
    }
    let mean = sum.take_mean(&g).expect("many batches");
    let expected = [0.1_f32, 1e-8, -0.3].map(f64::from);
    let expected = [expected[0], (1.0 + 99_999.0 * expected[1]) / 1e5, expected[2]];
    for (found, expected) in numbers(&mean).iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-7, "{found}, expected {expected}");
    }
}

#[test]
fn an_accumulator_refuses_what_it_cannot_add() {
    let model = pair::<f32>(&[1.0], 2.0);
    let mut sum = Accumulator::new();
    let error = sum.take_mean(&model).expect_err("nothing was added");
    assert_eq!(error.to_string(), "accumulator: nothing was observed yet; expected at least one module");
    let error = sum.add_sum(&model, 0).expect_err("no target");
    assert_eq!(error.to_string(), "accumulator: the count of targets is 0; expected at least 1");
    let error = sum.add_mean(&pair(&[1.0], f64::NAN), 2).expect_err("NaN");
    assert_eq!(error.to_string(), "accumulator: the gradient of `b` is NaN at []; expected finite numbers");
    assert_eq!((sum.batches(), sum.count()), (0, 0));
    let large = usize::MAX / 2;
    sum.add_sum(&model, large).expect("a count of 63 bits");
    let error = sum.add_sum(&model, large).expect_err("more than 2^63");
    let expected = format!("accumulator: {large} targets and {large} more; expected fewer than 2^63 in all");
    assert_eq!(error.to_string(), expected);
    sum.take_sum(&model).expect("one batch");

    sum.add_sum(&pair(&[3e38], 1.0), 1).expect("finite");
    sum.add_sum(&pair(&[3e38], 1.0), 1).expect("finite");
    let error = sum.take_sum(&model).expect_err("an infinite sum");
    assert_eq!(error.to_string(), "accumulator: the sum of gradients of `a` is inf at [0]; expected finite numbers");
    assert_eq!(sum.batches(), 2, "nothing was taken");
    let error = sum.add_sum(&pair(&[1.0, 2.0], 1.0), 1).expect_err("another shape");
    let expected = "accumulator: `a` has shape [2] in the gradients; expected [1], as in the accumulator's memory";
    assert_eq!(error.to_string(), expected);
}
