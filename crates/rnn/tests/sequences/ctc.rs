//! CTC: against all alignments, against log-space recursions in plain loops and in ops, at every order. Values of PyTorch are in
//! `reference`, bad input in `ctc_misuse`.

use proptest::prelude::*;
use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::{Scalar, Tape, Tensor, Var};
use rewind_rnn::check;
use rewind_rnn::loss::{Ctc, Reduction, ctc};

pub(crate) const SUM: Ctc = Ctc { blank: 0, reduction: Reduction::Sum, zero_infinity: false };

/// Numbers in ±`scale` without a pattern.
pub(crate) fn numbers<T: Scalar>(shape: &[usize], scale: f64, seed: usize) -> Tensor<T> {
    let noise = |i: usize| ((i * 7919 + seed * 104_729) as f64 * 0.618_033_988_749).fract() - 0.5;
    Tensor::from_fn(shape, |i| T::from_f64(2.0 * scale * noise(i)))
}

fn log_add(a: f64, b: f64) -> f64 {
    let (large, small) = if a > b { (a, b) } else { (b, a) };
    if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}

/// The log-softmax of logits `[T, 1, C]`, row by row.
fn log_softmax(logits: &Tensor<f64>) -> Vec<Vec<f64>> {
    let classes = logits.shape()[2];
    let rows = logits.to_vec();
    let row = |row: &[f64]| {
        let largest = row.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let ln = row.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
        row.iter().map(|x| x - largest - ln).collect()
    };
    rows.chunks(classes).map(row).collect()
}

pub(crate) fn collapse(path: &[usize], blank: usize) -> Vec<usize> {
    let mut labels: Vec<_> = path.to_vec();
    labels.dedup();
    labels.retain(|&label| label != blank);
    labels
}

/// Every sequence of `length` classes.
pub(crate) fn all_paths(length: usize, classes: usize) -> Vec<Vec<usize>> {
    (0..length).fold(vec![Vec::new()], |paths, _| {
        let longer = |path: Vec<usize>| {
            (0..classes).map(move |class| path.iter().copied().chain([class]).collect::<Vec<usize>>())
        };
        paths.into_iter().flat_map(longer).collect()
    })
}

/// Loss, and its gradient by the logits, from all paths.
fn from_all_paths(logits: &Tensor<f64>, labels: &[usize], blank: usize) -> (f64, Vec<f64>) {
    let (steps, classes) = (logits.shape()[0], logits.shape()[2]);
    let log_p = log_softmax(logits);
    let weight = |path: &[usize]| path.iter().enumerate().map(|(t, &class)| log_p[t][class]).sum::<f64>().exp();
    let paths: Vec<_> = all_paths(steps, classes).into_iter().filter(|path| collapse(path, blank) == labels).collect();
    let total: f64 = paths.iter().map(|path| weight(path)).sum();
    let mut gradient: Vec<f64> = log_p.concat().iter().map(|y| y.exp()).collect();
    for path in &paths {
        path.iter().enumerate().for_each(|(t, &class)| gradient[t * classes + class] -= weight(path) / total);
    }
    (-total.ln(), gradient)
}

/// The same, from the recursions of Graves et al. 2006 in logarithms.
fn from_logarithms(logits: &Tensor<f64>, labels: &[usize], blank: usize) -> (f64, Vec<f64>) {
    let (steps, classes) = (logits.shape()[0], logits.shape()[2]);
    let log_p = log_softmax(logits);
    let mut at = vec![blank];
    labels.iter().for_each(|&label| at.extend([label, blank]));
    let none = f64::NEG_INFINITY;
    let skips = |s: usize| s > 1 && at[s] != blank && at[s] != at[s - 2];
    let (mut alpha, mut beta) = (vec![vec![none; at.len()]; steps], vec![vec![none; at.len()]; steps]);
    for t in 0..steps {
        for s in 0..at.len() {
            let ways = if t == 0 {
                if s < 2 { 0.0 } else { none }
            } else {
                let from = |back: usize| if s >= back { alpha[t - 1][s - back] } else { none };
                log_add(log_add(from(0), from(1)), if skips(s) { from(2) } else { none })
            };
            alpha[t][s] = ways + log_p[t][at[s]];
        }
    }
    for t in (0..steps).rev() {
        for s in 0..at.len() {
            beta[t][s] = if t + 1 == steps {
                if s + 2 >= at.len() { 0.0 } else { none }
            } else {
                let to =
                    |on: usize| if s + on < at.len() { beta[t + 1][s + on] + log_p[t + 1][at[s + on]] } else { none };
                log_add(log_add(to(0), to(1)), if s + 2 < at.len() && skips(s + 2) { to(2) } else { none })
            };
        }
    }
    let total = (0..at.len()).fold(none, |sum, s| log_add(sum, alpha[steps - 1][s] + beta[steps - 1][s]));
    let mut gradient: Vec<f64> = log_p.concat().iter().map(|y| y.exp()).collect();
    for t in 0..steps {
        for s in 0..at.len() {
            gradient[t * classes + at[s]] -= (alpha[t][s] + beta[t][s] - total).exp();
        }
    }
    (-total, gradient)
}

/// The loss of one sequence as a composition of ops, by logits `[T, C]`.
fn composed<'t>(logits: Var<'t, f64>, labels: &[usize], blank: usize) -> Var<'t, f64> {
    let tape = logits.tape();
    let mut at = vec![blank];
    labels.iter().for_each(|&label| at.extend([label, blank]));
    let log_p = logits.log_softmax(1).index_select(1, &at);
    let rules_out = |allowed: &dyn Fn(usize) -> bool| {
        tape.constant(Tensor::from_fn(&[at.len()], |s| if allowed(s) { 0.0 } else { -1e9 }))
    };
    let may_skip = rules_out(&|s| s > 1 && at[s] != blank && at[s] != at[s - 2]);
    let shifted = |alpha: Var<'t, f64>, by: usize| {
        let none = tape.constant(Tensor::full(&[by.min(at.len())], -1e9));
        concat(&[none, alpha.slice(0, 0..at.len().saturating_sub(by))], 0)
    };
    let mut alpha = log_p.index(0, 0) + rules_out(&|s| s < 2);
    for t in 1..logits.shape()[0] {
        let ways = [alpha, shifted(alpha, 1), shifted(alpha, 2) + may_skip];
        alpha = stack(&ways, 0).log_sum_exp(0) + log_p.index(0, t);
    }
    -alpha.slice(0, at.len().saturating_sub(2)..at.len()).log_sum_exp(0)
}

fn assert_close<T: Scalar>(found: &[T], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let f = f.to_f64();
        assert!((f - e).abs() <= tolerance * (1.0 + e.abs()), "{what} {i}: {f}, expected {e}");
    }
}

fn loss_and_gradient<T: Scalar>(logits: &Tensor<f64>, labels: &[usize], settings: Ctc) -> (Vec<T>, Vec<T>) {
    let tape = Tape::<T>::new();
    let steps = logits.shape()[0];
    let x = tape.leaf(Tensor::from_fn(logits.shape(), |i| T::from_f64(logits.to_vec()[i])));
    let losses = ctc(x, &[labels], &[steps], settings).expect("a good target");
    (losses.per_sequence.value().to_vec(), losses.total.backward().get(x).to_vec())
}

proptest! {
    #[test]
    fn loss_and_gradient_are_those_of_all_paths(
        (steps, classes, blank) in (1_usize..6, 2_usize..5).prop_flat_map(|(t, c)| (Just(t), Just(c), 0..c)),
        picks in prop::collection::vec(0_usize..4, 0..5),
        seed in 0_usize..1000,
        scale in prop::sample::select(vec![1e-30, 1.0, 5.0]),
    ) {
        let labels: Vec<_> = picks.iter().map(|pick| (blank + 1 + pick % (classes - 1)) % classes).collect();
        let settings = Ctc { blank, ..SUM };
        let logits = numbers(&[steps, 1, classes], scale, seed);
        let (loss, gradient) = from_all_paths(&logits, &labels, blank);
        if loss == f64::INFINITY {
            let tape = Tape::new();
            let refused = ctc(tape.leaf(logits), &[labels], &[steps], settings).expect_err("no path").to_string();
            prop_assert!(refused.contains("expected at least"), "{refused}");
        } else {
            let found = loss_and_gradient::<f64>(&logits, &labels, settings);
            assert_close(&found.0, &[loss], 1e-13, "loss");
            assert_close(&found.1, &gradient, 1e-13, "gradient");
            let found = loss_and_gradient::<f32>(&logits, &labels, settings);
            assert_close(&found.0, &[loss], 3e-6, "loss in f32");
            assert_close(&found.1, &gradient, 3e-6, "gradient in f32");
        }
    }
}

#[test]
fn gradients_of_a_padded_batch_agree_with_differences_to_third_order() {
    let logits = numbers(&[5, 4, 4], 1.5, 3);
    let targets = [vec![1, 1, 2], vec![], vec![3], vec![2, 3]];
    let lengths = [5, 3, 1, 4];
    let mean = Ctc { blank: 0, reduction: Reduction::Mean, zero_infinity: false };
    check::function(std::slice::from_ref(&logits), |_, x| {
        ctc(x[0], &targets, &lengths, mean).expect("good targets").per_sequence
    })
    .assert();
    let small = logits.slice(0, 0..4).slice(1, 3..4);
    check::full().orders(4).function(&[small], |_, x| ctc(x[0], &[[2, 2]], &[4], SUM).expect("good").total).assert();
}

/// Gradient, Hessian times v, and the third derivative in directions v and w, of a function of one variable.
fn derivatives<'t>(loss: Var<'t, f64>, x: Var<'t, f64>, v: &Tensor<f64>, w: &Tensor<f64>) -> [Vec<f64>; 3] {
    let tape = x.tape();
    let first = loss.grad(&[x])[0];
    let second = (first * tape.constant(v.clone())).sum().grad(&[x])[0];
    let third = (second * tape.constant(w.clone())).sum().grad(&[x])[0];
    [first, second, third].map(|d| d.value().to_vec())
}

#[test]
fn derivatives_are_those_of_the_composed_form() {
    // The last logits are of a network that is sure of itself: all probabilities are near 0 or 1.
    for (steps, labels, scale, seed) in [
        (1, vec![], 1.0, 1),
        (1, vec![2], 1.0, 2),
        (7, vec![1, 1, 3], 2.0, 3),
        (33, vec![4, 1, 2, 2, 3, 1, 4], 3.0, 4),
        (9, vec![1, 2, 3], 30.0, 5),
    ] {
        let x = numbers::<f64>(&[steps, 5], scale, seed);
        let (v, w) = (numbers(&[steps, 5], 1.0, seed + 50), numbers(&[steps, 5], 1.0, seed + 90));
        let tape = Tape::new();
        let leaf = tape.leaf(x);
        let expected = composed(leaf, &labels, 0);
        let found = ctc(leaf.unsqueeze(1), &[labels], &[steps], SUM).expect("a good target").total;
        assert_close(&[found.value().item()], &[expected.value().item()], 1e-13, "loss");
        let (found, expected) = (derivatives(found, leaf, &v, &w), derivatives(expected, leaf, &v, &w));
        for (order, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_close(found, expected, 1e-11, &format!("{steps} steps, order {}", order + 1));
        }
    }
}

#[test]
fn a_thousand_steps_and_two_hundred_labels_are_exact() {
    let logits = numbers::<f64>(&[1000, 1, 40], 8.0, 1);
    let labels: Vec<_> = (0..200).map(|i| 1 + i * i % 39).collect();
    let (loss, gradient) = from_logarithms(&logits, &labels, 0);
    assert!(loss > 1000.0, "far below the smallest f64: {loss}");
    let found = loss_and_gradient::<f64>(&logits, &labels, SUM);
    assert_close(&found.0, &[loss], 1e-13, "loss");
    assert_close(&found.1, &gradient, 1e-9, "gradient");
    let found = loss_and_gradient::<f32>(&logits, &labels, SUM);
    assert_close(&found.0, &[loss], 1e-6, "loss in f32");
    assert_close(&found.1, &gradient, 1e-3, "gradient in f32");
    let finite = |x: &Tensor<f32>| {
        let tape = Tape::new();
        let leaf = tape.leaf(x.clone());
        let first = ctc(leaf, &[&labels], &[1000], SUM).expect("good").total.grad(&[leaf])[0];
        (first * first).sum().backward().get(leaf).all_finite()
    };
    assert!(finite(&numbers(&[1000, 1, 40], 8.0, 1)));
}

#[test]
fn logits_of_any_size_give_the_loss_of_the_likeliest_path() {
    // Blank and label are far apart, and the label must be taken once: at the step where it costs least.
    for scale in [1e4, 1e10, 1e30] {
        let logits = Tensor::from_vec(vec![scale, -scale, scale, 0.0, scale, -scale], &[3, 1, 2]);
        let (loss, gradient) = loss_and_gradient::<f64>(&logits, &[1], SUM);
        assert_close(&loss, &[scale], 1e-15, "loss");
        assert_eq!(gradient, [0.0, 0.0, 1.0, -1.0, 0.0, 0.0]);
        let (loss, gradient) = loss_and_gradient::<f32>(&logits, &[1], SUM);
        assert_close(&loss, &[scale], 1e-7, "loss in f32");
        assert_eq!(gradient, [0.0, 0.0, 1.0, -1.0, 0.0, 0.0]);
    }
    for (scale, seed) in [(1e4, 1), (1e4, 2), (300.0, 3), (1e6, 4)] {
        let logits = numbers(&[20, 1, 5], scale, seed);
        let labels = [1, 2, 2, 4, 3];
        let (loss, gradient) = from_logarithms(&logits, &labels, 0);
        let found = loss_and_gradient::<f64>(&logits, &labels, SUM);
        assert_close(&found.0, &[loss], 1e-13, "loss");
        assert_close(&found.1, &gradient, 1e-8, "gradient");
    }
}

#[test]
fn a_path_survives_one_that_is_better_until_it_ends_in_nothing() {
    // Up to the last step blanks are e^2000 times as likely; then only the label 2 is possible.
    let none = f64::NEG_INFINITY;
    let logits = Tensor::from_vec(vec![1000.0, -1000.0, none, none, none, 0.0], &[2, 1, 3]);
    let (loss, gradient) = loss_and_gradient::<f64>(&logits, &[1, 2], SUM);
    assert_eq!((loss, gradient), (vec![2000.0], vec![1.0, -1.0, 0.0, 0.0, 0.0, 0.0]));
}

#[test]
fn a_mask_of_minus_infinity_rules_a_class_out_at_every_order() {
    let mut x = numbers::<f64>(&[4, 4], 1.0, 7);
    let tape = Tape::new();
    let narrow = tape.leaf(x.slice(1, 0..3).to_contiguous());
    for t in 0..4 {
        x.as_mut_slice()[t * 4 + 3] = f64::NEG_INFINITY;
    }
    let wide = tape.leaf(x);
    let loss = |x: Var<'_, f64>| ctc(x.unsqueeze(1), &[[1, 2]], &[4], SUM).expect("good").total.value().item();
    assert_eq!(loss(wide), loss(narrow));
    let hessian = |x| {
        let first = ctc(x, &[[1, 2]], &[4], SUM).expect("good").total.grad(&[x])[0];
        ((first * first).sum().grad(&[x])[0].value(), first.value())
    };
    let (wide, narrow) = (hessian(wide.unsqueeze(1)), hessian(narrow.unsqueeze(1)));
    for (wide, narrow) in [(wide.0, narrow.0), (wide.1, narrow.1)] {
        assert_close(&wide.slice(2, 0..3).to_vec(), &narrow.to_vec(), 1e-14, "derivative");
        assert_eq!(wide.slice(2, 3..4).to_vec(), [0.0; 4]);
    }
}

#[test]
fn padding_is_invisible_whatever_stands_there() {
    padding_is_invisible(5);
    padding_is_invisible(6); // no sequence fills all steps
}

fn padding_is_invisible(steps: usize) {
    let lengths = [5, 1, 3];
    let targets = [vec![1, 2], vec![3], vec![]];
    let mut x = numbers::<f64>(&[steps, 3, 4], 2.0, 9);
    for (b, &length) in lengths.iter().enumerate() {
        (length..steps).for_each(|t| x.as_mut_slice()[(t * 3 + b) * 4..][..4].fill(f64::NAN));
    }
    let tape = Tape::new();
    let whole = tape.leaf(x.clone());
    let losses = ctc(whole, &targets, &lengths, SUM).expect("padding is not looked at");
    let first = losses.total.grad(&[whole])[0];
    let second = (first * first).sum().grad(&[whole])[0].value();
    for (b, &length) in lengths.iter().enumerate() {
        let alone = tape.leaf(x.slice(1, b..b + 1).slice(0, 0..length));
        let own = ctc(alone, &targets[b..=b], &[length], SUM).expect("good");
        assert_eq!(own.total.value().item(), losses.per_sequence.value().to_vec()[b]);
        let own_first = own.total.grad(&[alone])[0];
        let own_second = (own_first * own_first).sum().grad(&[alone])[0].value();
        for (whole, own) in [(first.value(), own_first.value()), (second.clone(), own_second)] {
            let column = whole.slice(1, b..b + 1);
            assert_close(&column.slice(0, 0..length).to_vec(), &own.to_vec(), 1e-15, "derivative");
            assert!(column.slice(0, length..steps).to_vec().iter().all(|&g| g == 0.0), "padding of sequence {b}");
        }
    }
}

#[test]
fn a_sequence_without_a_path_counts_as_zero_if_asked() {
    let zeros = Ctc { zero_infinity: true, ..Ctc::default() };
    let mut x = numbers::<f64>(&[3, 3, 3], 1.0, 2);
    (0..3).for_each(|t| x.as_mut_slice()[(t * 3 + 2) * 3 + 2] = f64::NEG_INFINITY); // no label 2 in sequence 2
    let tape = Tape::new();
    let leaf = tape.leaf(x);
    let losses = ctc(leaf, &[vec![1, 2], vec![1, 1, 2], vec![2]], &[3, 3, 3], zeros).expect("zero loss");
    let alone = ctc(leaf.slice(1, 0..1), &[[1, 2]], &[3], SUM).expect("good").total;
    assert_eq!(losses.per_sequence.value().to_vec(), [alone.value().item() / 3.0, 0.0, 0.0]);
    let first = losses.total.grad(&[leaf])[0];
    let second = (first * first).sum().backward().get(leaf);
    for derivative in [first.value(), second] {
        assert!(derivative.slice(1, 0..1).norm() > 0.0);
        assert_eq!(derivative.slice(1, 1..3).to_vec(), [0.0; 18]);
    }
}

#[test]
fn log_probabilities_serve_as_logits() {
    let tape = Tape::new();
    let logits = numbers::<f64>(&[4, 2, 3], 2.0, 4);
    let log_p = tape.leaf(tape.leaf(logits.clone()).log_softmax(2).value());
    let loss = |x| ctc(x, &[vec![1], vec![2, 1]], &[4, 3], SUM).expect("good").total.value().item();
    assert!((loss(log_p) - loss(tape.leaf(logits))).abs() < 1e-14);
}

#[test]
fn nodes_are_named_after_the_loss() {
    let tape = Tape::<f64>::new();
    let logits = tape.leaf(numbers(&[4, 1, 3], 2.0, 4));
    ctc(logits, &[vec![1]], &[4], SUM).expect("good").total.grad(&[logits]);
    let count = |name: &str| (0..tape.len()).filter(|&i| tape.node(i).name == name).count();
    assert_eq!((count("ctc_loss"), count("ctc_occupancy")), (1, 1));
}
