//! Decoders against all labelings, and edit distances against all edits.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rewind_autograd::Tensor;
use rewind_rnn::ErrorKind;
use rewind_rnn::decode::{BeamSearch, Decoded, Edits, best_path, edit_distance, error_rate};

use crate::ctc::{all_paths, collapse, numbers};

/// The log-softmax of numbers without a pattern, `[T, B, C]`.
fn log_p(shape: [usize; 3], seed: usize) -> Tensor<f64> {
    rewind_autograd::Tape::new().leaf(numbers(&shape, 3.0, seed)).log_softmax(2).value()
}

/// The probability of every labeling of sequence `b`.
fn all_labelings(log_p: &Tensor<f64>, b: usize, length: usize, blank: usize) -> BTreeMap<Vec<usize>, f64> {
    let mut all = BTreeMap::new();
    for path in all_paths(length, log_p.shape()[2]) {
        let p = path.iter().enumerate().map(|(t, &class)| log_p.at(&[t, b, class])).sum::<f64>().exp();
        *all.entry(collapse(&path, blank)).or_insert(0.0) += p;
    }
    all
}

fn assert_all(found: &[Decoded], expected: &BTreeMap<Vec<usize>, f64>) {
    assert_eq!(found.len(), expected.len());
    for decoded in found {
        let p = expected[&decoded.labels];
        assert!((decoded.log_probability.exp() - p).abs() < 1e-14, "{decoded:?}: {p}");
    }
}

proptest! {
    #[test]
    fn a_wide_beam_finds_all_labelings_in_order(
        (steps, classes, blank) in (1_usize..6, 2_usize..4).prop_flat_map(|(t, c)| (Just(t), Just(c), 0..c)),
        seed in 0_usize..1000,
    ) {
        let log_p = log_p([steps, 2, classes], seed);
        let lengths = [steps, steps.div_ceil(2)];
        let found = BeamSearch::new(1000).blank(blank).run(&log_p, &lengths).expect("good");
        for (b, &length) in lengths.iter().enumerate() {
            let expected = all_labelings(&log_p, b, length, blank);
            assert_all(&found[b], &expected);
            prop_assert!(found[b].windows(2).all(|pair| pair[0].score >= pair[1].score));
            let best = expected.values().fold(0.0_f64, |a, &b| a.max(b));
            prop_assert!((expected[&found[b][0].labels] - best).abs() < 1e-14);
        }
    }

    #[test]
    fn the_best_path_is_the_likeliest_of_all(steps in 1_usize..6, classes in 1_usize..4, seed in 0_usize..1000) {
        let log_p = log_p([steps, 1, classes], seed);
        let weight = |path: &[usize]| path.iter().enumerate().map(|(t, &c)| log_p.at(&[t, 0, c])).sum::<f64>();
        let paths = all_paths(steps, classes);
        let best = paths.iter().max_by(|a, b| weight(a).total_cmp(&weight(b))).expect("there are paths");
        let found = best_path(&log_p, &[steps], 0).expect("good");
        prop_assert_eq!(&found[0].labels, &collapse(best, 0));
        prop_assert!((found[0].log_probability - weight(best)).abs() < 1e-14);
    }

    #[test]
    fn edits_are_the_least(
        a in prop::collection::vec(0_u8..3, 0..6),
        b in prop::collection::vec(0_u8..3, 0..6),
    ) {
        let found = edit_distance(&a, &b);
        prop_assert_eq!(found.total(), recursive(&a, &b).0);
        prop_assert_eq!(found.substitutions, recursive(&a, &b).1);
        prop_assert_eq!(a.len() + found.insertions, b.len() + found.deletions);
        let back = edit_distance(&b, &a);
        prop_assert_eq!(back, Edits { insertions: found.deletions, deletions: found.insertions, ..found });
    }
}

/// The least number of edits, and the most substitutions among them, by the definition.
fn recursive(a: &[u8], b: &[u8]) -> (usize, usize) {
    let (Some((&x, rest_a)), Some((&y, rest_b))) = (a.split_last(), b.split_last()) else {
        return (a.len() + b.len(), 0);
    };
    let (edits, substitutions) = recursive(rest_a, rest_b);
    let changed = usize::from(x != y);
    let ways = [(edits + changed, substitutions + changed), recursive(rest_a, b), recursive(a, rest_b)];
    let ways = [ways[0], (ways[1].0 + 1, ways[1].1), (ways[2].0 + 1, ways[2].1)];
    ways.into_iter().min_by_key(|&(edits, substitutions)| (edits, usize::MAX - substitutions)).expect("three ways")
}

#[test]
fn language_model_and_bonus_are_added_for_each_label() {
    let log_p = log_p([5, 1, 3], 6);
    let model = |prefix: &[usize], label: usize| -(1.0 + prefix.len() as f64) * 0.3 * label as f64;
    let search = BeamSearch::new(1000).language_model(3.0, &model).length_bonus(0.4);
    let found = search.run(&log_p, &[5]).expect("good");
    assert_all(&found[0], &all_labelings(&log_p, 0, 5, 0));
    for decoded in &found[0] {
        let terms = decoded.labels.iter().enumerate().map(|(k, &label)| 0.4 + 3.0 * model(&decoded.labels[..k], label));
        let expected = decoded.log_probability + terms.sum::<f64>();
        assert!((decoded.score - expected).abs() < 1e-13, "{decoded:?}: {expected}");
    }
    assert!(found[0].windows(2).all(|pair| pair[0].score >= pair[1].score));
    let plain = BeamSearch::new(1000).run(&log_p, &[5]).expect("good");
    assert_ne!(found[0][0].labels, plain[0][0].labels, "the model changes the best labeling");
}

#[test]
fn a_forbidden_label_is_never_found() {
    let log_p = log_p([6, 1, 3], 2);
    let model = |_: &[usize], label: usize| if label == 2 { f64::NEG_INFINITY } else { 0.0 };
    for width in [1, 3, 100] {
        let search = BeamSearch::new(width);
        let found = search.language_model(1.0, &model).run(&log_p, &[6]).expect("good");
        assert!(!found[0].is_empty() && found[0].iter().all(|decoded| !decoded.labels.contains(&2)));
        let off = search.language_model(0.0, &model).run(&log_p, &[6]).expect("good");
        assert_eq!(off, search.run(&log_p, &[6]).expect("good"), "a weight of 0 is no model");
    }
}

#[test]
fn a_narrow_beam_finds_a_labeling_of_at_most_the_best_probability() {
    for seed in 0..20 {
        let log_p = log_p([6, 1, 4], seed);
        let best = BeamSearch::new(100_000).run(&log_p, &[6]).expect("good")[0][0].score;
        let all = all_labelings(&log_p, 0, 6, 0);
        for width in 1..6 {
            let found = BeamSearch::new(width).run(&log_p, &[6]).expect("good");
            assert!(found[0].len() <= width && !found[0].is_empty());
            assert!(found[0][0].score <= best + 1e-14);
            assert!(
                found[0].iter().all(|d| d.log_probability.exp() <= all[&d.labels] + 1e-14),
                "paths are lost, not made"
            );
        }
    }
}

#[test]
fn equal_scores_are_ordered_by_their_labels() {
    let flat = Tensor::full(&[2, 1, 4], -(4.0_f64.ln()));
    assert_eq!(best_path(&flat, &[2], 3).expect("good")[0].labels, [0], "the lowest class");
    let found = BeamSearch::new(100).run(&flat, &[2]).expect("good");
    let labels: Vec<_> = found[0].iter().map(|decoded| decoded.labels.clone()).collect();
    let [one, two] = [1, 2]; // paths of one label are three in number, all others one
    let expected: Vec<Vec<usize>> = vec![
        vec![1],
        vec![2],
        vec![3],
        vec![],
        vec![one, two],
        vec![1, 3],
        vec![2, 1],
        vec![2, 3],
        vec![3, 1],
        vec![3, 2],
    ];
    assert_eq!(labels, expected);
    for width in 1..10 {
        let narrow = BeamSearch::new(width).run(&flat, &[1]).expect("good");
        let expected: Vec<Vec<usize>> = [vec![], vec![1], vec![2], vec![3]].into_iter().take(width).collect();
        assert_eq!(narrow[0].iter().map(|d| d.labels.clone()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn long_sequences_do_not_underflow() {
    let log_p = log_p([1500, 1, 5], 3).map(|x| x * 4.0);
    let found = BeamSearch::new(8).run(&log_p, &[1500]).expect("good");
    let path = best_path(&log_p, &[1500], 0).expect("good");
    assert!(path[0].log_probability < -800.0);
    assert!(found[0][0].log_probability >= path[0].log_probability && found[0][0].log_probability.is_finite());
    let short = Tensor::from_fn(&[1500, 1, 5], |i| log_p.to_vec()[i] as f32);
    let found = best_path(&short, &[1500], 0).expect("good");
    assert_eq!(found[0].labels, path[0].labels);
}

#[test]
fn padding_is_not_looked_at() {
    let mut log_p = log_p([4, 2, 3], 5);
    let alone = log_p.slice(1, 1..2).slice(0, 0..2);
    for t in 2..4 {
        log_p.as_mut_slice()[(t * 2 + 1) * 3..][..3].fill(f64::NAN);
    }
    let search = BeamSearch::new(5);
    assert_eq!(search.run(&log_p, &[4, 2]).expect("good")[1], search.run(&alone, &[2]).expect("good")[0]);
    assert_eq!(best_path(&log_p, &[4, 2], 0).expect("good")[1], best_path(&alone, &[2], 0).expect("good")[0]);
}

#[test]
fn rates_are_over_all_references_together() {
    let pairs: [(&[u8], &[u8]); 3] = [(b"abcd", b"abd"), (b"", b"xy"), (b"xy", b"xy")];
    let found = error_rate(pairs);
    assert_eq!(found.rate(), 3.0 / 6.0);
    assert_eq!(
        found.to_string(),
        "error rate 0.500: 0 substitutions, 2 insertions, 1 deletions in 6 labels; 2 of 3 sequences wrong"
    );
    let empty: &[u8] = &[];
    assert_eq!(error_rate([(empty, empty)]).rate(), 0.0);
    assert_eq!(error_rate::<u8>([]).rate(), 0.0);
    assert_eq!(error_rate([(empty, &b"a"[..])]).rate(), f64::INFINITY);
    let swapped = Edits { substitutions: 2, insertions: 0, deletions: 0 };
    assert_eq!(edit_distance(b"ab", b"ba"), swapped, "not an insertion and a deletion");
}

#[test]
fn bad_input_is_named() {
    let zeros = Tensor::<f64>::zeros(&[3, 2, 4]);
    let say = |x: &Tensor<f64>, lengths: &[usize], search: BeamSearch<'_>| {
        search.run(x, lengths).expect_err("this must be refused").to_string()
    };
    let plain = BeamSearch::new(2);
    assert_eq!(say(&zeros, &[3, 3], BeamSearch::new(0)), "beam_search: the width is 0; expected at least 1");
    assert_eq!(
        say(&zeros, &[3, 3], plain.blank(4)),
        "beam_search: the blank is class 4; expected a class below 4, the last axis"
    );
    assert_eq!(say(&zeros, &[3, 4], plain), "beam_search: sequence 1 has length 4; expected 1 to 3, the steps");
    assert_eq!(
        say(&zeros, &[3], plain),
        "beam_search: 1 lengths for shape [3, 2, 4]; expected one for each of 2 sequences"
    );
    assert_eq!(
        say(&Tensor::zeros(&[3, 4]), &[3], plain),
        "beam_search: log-probabilities of shape [3, 4]; expected [T, B, C]: time steps, sequences, classes"
    );
    assert_eq!(
        say(&zeros, &[3, 3], plain.length_bonus(f64::NAN)),
        "beam_search: the length bonus is NaN; expected a finite number"
    );
    let model = |_: &[usize], label: usize| if label == 3 { f64::NAN } else { 0.0 };
    assert_eq!(
        say(&zeros, &[3, 3], plain.language_model(f64::INFINITY, &model)),
        "beam_search: the weight of the language model is inf; expected a finite number"
    );
    assert_eq!(
        say(&zeros, &[3, 3], plain.language_model(1.0, &model)),
        "beam_search: the language model gives NaN for label 3 after []; expected a number, or -∞ with a weight of 0 or more"
    );
    for value in [f64::NAN, f64::INFINITY] {
        let mut x = zeros.clone();
        x.as_mut_slice()[10] = value;
        assert_eq!(
            say(&x, &[3, 3], plain),
            format!("beam_search: the log-probability at [1, 0, 2] is {value}; expected a number or -∞")
        );
        let error = best_path(&x, &[3, 3], 0).expect_err("not a number");
        assert!(error.to_string().starts_with("best_path: the log-probability at [1, 0, 2]"));
        assert!(matches!(error.kind(), ErrorKind::NonFinite(at) if at.index == [1, 0, 2]));
    }
}

#[test]
fn logits_are_refused() {
    let logits = Tensor::from_fn(&[3, 2, 4], |i| if i == 13 { 5.25_f32 } else { -2.0 });
    let expected = "the log-probability at [1, 1, 1] is 5.25; expected at most 0 (`log_softmax` makes log-probabilities of logits)";
    let errors = [
        best_path(&logits, &[3, 3], 0).expect_err("logits"),
        BeamSearch::new(2).run(&logits, &[3, 3]).expect_err("logits"),
    ];
    for (error, decoder) in errors.iter().zip(["best_path", "beam_search"]) {
        assert!(matches!(error.kind(), ErrorKind::Setting));
        assert_eq!(error.to_string(), format!("{decoder}: {expected}"));
    }
    best_path(&logits, &[3, 1], 0).expect("it is beyond the end of its sequence");
    // A probability of 1, rounded up.
    let certain = Tensor::from_vec(vec![f32::EPSILON, f32::NEG_INFINITY], &[1, 1, 2]);
    best_path(&certain, &[1], 0).expect("as good as 0");
}

#[test]
fn an_error_rate_is_shown_with_three_decimals() {
    let found = error_rate([(&[1, 2, 3, 4, 5, 6, 7][..], &[1][..]), (&[][..], &[][..])]);
    assert_eq!(
        found.to_string(),
        "error rate 0.857: 0 substitutions, 0 insertions, 6 deletions in 7 labels; 1 of 2 sequences wrong"
    );
}
