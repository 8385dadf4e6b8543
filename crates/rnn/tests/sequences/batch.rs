//! Padded batches: every sequence exactly once, and errors.

use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use rewind_autograd::Tensor;
use rewind_rnn::ErrorKind;
use rewind_rnn::batch::{PaddedBatch, batches, plan};

fn sequence(length: usize, width: usize, seed: usize) -> Tensor<f64> {
    Tensor::from_fn(&[length, width], |i| (seed * 1000 + i) as f64 + 1.0)
}

proptest! {
    #[test]
    fn no_sequence_is_lost_or_doubled(
        lengths in proptest::collection::vec(1_usize..40, 1..60),
        width in 0_usize..4,
        size in 1_usize..9,
        seed in 0_u64..1000,
    ) {
        let given: Vec<_> = lengths.iter().enumerate().map(|(i, &n)| sequence(n, width, i)).collect();
        let made = batches(&given, size, &mut StdRng::seed_from_u64(seed)).expect("good sequences");
        prop_assert_eq!(made.len(), given.len().div_ceil(size));
        let mut seen = vec![0; given.len()];
        let mut bounds = Vec::new();
        for batch in &made {
            let longest = batch.lengths()[0];
            prop_assert_eq!(batch.data().shape(), [longest, batch.lengths().len(), width]);
            prop_assert!(batch.lengths().is_sorted_by(|a, b| a >= b), "the longest comes first");
            bounds.push((batch.lengths()[batch.lengths().len() - 1], longest));
            for (b, (&i, &length)) in batch.indices().iter().zip(batch.lengths()).enumerate() {
                seen[i] += 1;
                let column = batch.data().index(1, b);
                prop_assert_eq!(column.slice(0, 0..length), given[i].clone());
                prop_assert_eq!(column.slice(0, length..longest).norm(), 0.0);
            }
        }
        prop_assert_eq!(seen, vec![1; given.len()]);
        bounds.sort_unstable();
        prop_assert!(bounds.windows(2).all(|w| w[0].1 <= w[1].0), "batches overlap in length: {:?}", bounds);
    }
}

#[test]
fn the_seed_decides_the_order_and_who_meets_whom() {
    let lengths: Vec<_> = (0..60).map(|i| 10 + i % 3).collect();
    let drawn = |seed| plan(&lengths, 8, &mut StdRng::seed_from_u64(seed)).expect("good lengths");
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    let firsts: Vec<_> = drawn(1).iter().map(|batch| lengths[batch[0]]).collect();
    assert!(!firsts.is_sorted() && !firsts.is_sorted_by(|a, b| a >= b), "batches are not in order: {firsts:?}");
}

#[test]
fn equal_lengths_keep_their_order_and_views_are_read() {
    let a = sequence(2, 3, 0);
    let b = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]).transpose();
    let batch = PaddedBatch::new(&[a.slice(0, 0..1), a.clone(), b.clone()]).expect("good");
    assert_eq!((batch.indices(), batch.lengths()), (&[1, 2, 0][..], &[2, 2, 1][..]));
    assert_eq!(batch.data().index(1, 1), b);
    assert_eq!(batch.padding(), 1);
}

#[test]
fn a_padded_batch_is_taken_as_it_is_and_its_padding_cleared() {
    let mut data = sequence(3, 4, 0).reshape(&[3, 2, 2]);
    data.as_mut_slice()[11] = f64::NAN;
    let batch = PaddedBatch::from_padded(&data, &[1, 2]).expect("NaN stands in the padding only");
    assert_eq!(batch.data().to_vec(), [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 7.0, 8.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!((batch.lengths(), batch.indices()), (&[1, 2][..], &[0, 1][..]));
    assert!(data.at(&[2, 1, 1]).is_nan(), "the caller's data is untouched");
}

fn message<V>(result: rewind_rnn::Result<V>) -> String {
    result.err().expect("this must be refused").to_string()
}

#[test]
fn bad_sequences_are_named() {
    let good = sequence(3, 2, 0);
    let mut rng = StdRng::seed_from_u64(0);
    let none: [Tensor<f64>; 0] = [];
    assert_eq!(message(PaddedBatch::new(&none)), "batch: no sequence given; expected at least one");
    assert_eq!(message(batches(&none, 2, &mut rng)), "batch: no sequence given; expected at least one");
    assert_eq!(
        message(PaddedBatch::new(&[good.clone(), Tensor::zeros(&[0, 2])])),
        "batch: sequence 1 has no time step; expected at least one"
    );
    assert_eq!(
        message(batches(&[good.clone(), Tensor::zeros(&[0, 2])], 1, &mut rng)),
        "batch: sequence 1 has no time step; expected at least one"
    );
    for result in [
        message(PaddedBatch::new(&[good.clone(), sequence(3, 5, 0)])),
        message(batches(&[good.clone(), sequence(3, 5, 0)], 1, &mut rng)),
    ] {
        assert_eq!(result, "batch: sequence 1 has 5 features a step; expected 2, as the first has");
    }
    assert_eq!(
        message(PaddedBatch::new(&[good.clone(), Tensor::zeros(&[3])])),
        "batch: sequence 1 has shape [3]; expected [L, I]: time steps, features"
    );
    let mut bad = good.clone();
    bad.as_mut_slice()[5] = f64::NAN;
    assert_eq!(
        message(PaddedBatch::new(&[good.clone(), bad])),
        "batch: sequence 1 is NaN at step 2, feature 1; expected finite numbers"
    );
    assert_eq!(message(batches(std::slice::from_ref(&good), 0, &mut rng)), "batch: batch size 0; expected at least 1");
    assert_eq!(
        message(PaddedBatch::gather(&[good], &[0, 3])),
        "batch: there is no sequence 3; expected an index below 1"
    );
}

#[test]
fn batches_that_no_memory_holds_are_refused() {
    // Views of one element: only their batch is large.
    let of = |shape: &[usize]| Tensor::scalar(1.0_f64).broadcast_to(shape);
    let wide = [of(&[1, 1 << 50])];
    let error = PaddedBatch::gather(&wide, &[0, 0, 0, 0]).expect_err("more bytes than there are addresses");
    assert!(matches!(error.kind(), ErrorKind::Memory), "{error:?}");
    assert!(error.to_string().contains("no memory for a padded batch of shape [1, 4, 1125899906842624]"), "{error}");
    assert_eq!(
        message(PaddedBatch::gather(&wide, &[0; 1 << 10])),
        "batch: there is no memory for a padded batch of shape [1, 1024, 1125899906842624]; \
         expected fewer or shorter sequences"
    );
    // The number of elements itself overflows: 2^64.
    let long = [of(&[1 << 55, 4]), of(&[1, 4])];
    let indices: Vec<_> = (0..1 << 7).map(|i| i % 2).collect();
    assert_eq!(
        message(PaddedBatch::gather(&long, &indices)),
        "batch: there is no memory for a padded batch of shape [36028797018963968, 128, 4]; \
         expected fewer or shorter sequences"
    );
    assert_eq!(
        message(batches(&[wide[0].clone(), of(&[1, 1 << 50])], 2, &mut StdRng::seed_from_u64(0))),
        "batch: there is no memory for a padded batch of shape [1, 2, 1125899906842624]; \
         expected fewer or shorter sequences"
    );
}

#[test]
fn a_sequence_may_be_taken_many_times() {
    let (short, long) = (sequence(1, 2, 0), sequence(3, 2, 1));
    let batch = PaddedBatch::gather(&[short.clone(), long.clone()], &[0, 1, 0, 1, 1]).expect("good");
    assert_eq!((batch.indices(), batch.lengths()), (&[1, 1, 1, 0, 0][..], &[3, 3, 3, 1, 1][..]));
    for b in 0..3 {
        assert_eq!(batch.data().index(1, b), long);
    }
    assert_eq!(batch.data().index(1, 4).slice(0, 0..1), short);
    // The error names the first in the order of the indices, though a longer one precedes it in the batch.
    let mut bad = [short, long];
    bad.iter_mut().for_each(|s| s.as_mut_slice()[1] = f64::NAN);
    assert_eq!(
        message(PaddedBatch::gather(&bad, &[0, 0, 1])),
        "batch: sequence 0 is NaN at step 0, feature 1; expected finite numbers"
    );
}

#[test]
fn bad_padded_batches_are_named() {
    let data = Tensor::<f32>::zeros(&[3, 2, 4]);
    assert_eq!(
        message(PaddedBatch::from_padded(&data, &[3, 4])),
        "batch: sequence 1 has length 4, longer than the padding; expected at most 3 steps"
    );
    assert_eq!(
        message(PaddedBatch::from_padded(&data, &[3, 0])),
        "batch: sequence 1 has no time step; expected at least one"
    );
    assert_eq!(
        message(PaddedBatch::from_padded(&data, &[3])),
        "batch: 1 lengths for a padded batch of 2 sequences; expected one each"
    );
    assert_eq!(
        message(PaddedBatch::from_padded(&Tensor::<f32>::zeros(&[3, 2]), &[3, 3])),
        "batch: the padded batch has shape [3, 2]; expected [T, B, I]: steps, sequences, features"
    );
    assert_eq!(
        message(PaddedBatch::from_padded(&Tensor::<f32>::zeros(&[3, 0, 4]), &[])),
        "batch: no sequence given; expected at least one"
    );
    let mut data = data;
    data.as_mut_slice()[2 * 4 + 4 + 1] = f32::INFINITY;
    assert_eq!(
        message(PaddedBatch::from_padded(&data, &[3, 2])),
        "batch: sequence 1 is inf at step 1, feature 1; expected finite numbers"
    );
}

#[test]
fn labels_of_every_step_follow_their_sequences() {
    let given: Vec<_> = [1, 33, 7, 7].iter().enumerate().map(|(i, &n)| sequence(n, 2, i)).collect();
    let labels: Vec<Vec<usize>> =
        given.iter().enumerate().map(|(i, s)| (0..s.shape()[0]).map(|t| 100 * i + t).collect()).collect();
    for indices in [&[0, 1, 2, 3][..], &[2, 0, 3], &[0], &[2, 2]] {
        let batch = PaddedBatch::gather(&given, indices).expect("good");
        let targets = batch.step_targets(&labels).expect("one a step");
        let [steps, rows] = [batch.data().shape()[0], batch.lengths().len()];
        assert_eq!(targets.len(), steps * rows);
        for (at, target) in targets.iter().enumerate() {
            let (t, b) = (at / rows, at % rows);
            let expected = (t < batch.lengths()[b]).then(|| 100 * batch.indices()[b] + t);
            assert_eq!(*target, expected, "step {t} of sequence {b}");
        }
        assert_eq!(targets.iter().filter(|target| target.is_none()).count(), batch.padding());
        let whole = batch.in_order(&labels).expect("one for each");
        assert!(whole.iter().zip(batch.indices()).all(|(labels_of, &i)| *labels_of == labels[i]));
    }
}

#[test]
fn labels_that_do_not_fit_are_named() {
    let given = [1, 7].map(|n| sequence(n, 2, 0));
    let batch = PaddedBatch::new(&given).expect("good");
    let one: [Vec<usize>; 1] = [vec![0]];
    let message = batch.step_targets(&one).expect_err("one is missing").to_string();
    let missing = "batch: nothing is given for sequence 1, only for the first 1; expected one item for each";
    assert_eq!(message, missing);
    assert_eq!(batch.in_order(&one).expect_err("one is missing").to_string(), missing);
    let message = batch.step_targets(&[vec![0], vec![0; 6]]).expect_err("a step without a label").to_string();
    assert_eq!(message, "batch: 6 labels for the 7 time steps of sequence 1; expected one a step");
}
