//! Dividing labelled items into a training and a test part.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

/// Which of the items are for testing, `[N]`: `test_count` of them, chosen at random. `labels` is `[N]`, the class of
/// each item, below `classes`.
///
/// Every class is divided in the same proportion, as far as whole items go (largest remainders, then the earlier
/// class). The same seed gives the same division on every machine.
///
/// ```
/// use rewind_examples::division::test_part;
///
/// let labels = [0, 0, 0, 0, 1, 1];
/// let in_test = test_part(&labels, 2, 3, 7);
/// let of = |class| labels.iter().zip(&in_test).filter(|&(&label, &test)| label == class && test).count();
/// assert_eq!((of(0), of(1)), (2, 1));
/// ```
///
/// # Panics
///
/// If `test_count` is more than the number of items, or a label is no class.
#[track_caller]
pub fn test_part(labels: &[usize], classes: usize, test_count: usize, seed: u64) -> Vec<bool> {
    let total = labels.len();
    assert!(test_count <= total, "split: {test_count} test items were asked for and there are {total} items");
    if let Some(label) = labels.iter().find(|&&label| label >= classes) {
        panic!("split: a label is {label}; expected one below {classes}, the number of classes");
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut in_test = vec![false; total];
    for (class, quota) in test_quotas(&counts(labels, classes), test_count).into_iter().enumerate() {
        let mut members: Vec<usize> = (0..total).filter(|&i| labels[i] == class).collect();
        members.shuffle(&mut rng);
        for &i in &members[..quota] {
            in_test[i] = true;
        }
    }
    in_test
}

/// How many items each class has, `[C]`.
pub fn counts(labels: &[usize], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|&label| counts[label] += 1);
    counts
}

/// How many of each class go into the test part: proportional shares, made whole by largest remainders.
fn test_quotas(counts: &[usize], test_count: usize) -> Vec<usize> {
    let total = counts.iter().sum::<usize>().max(1);
    let mut quotas: Vec<usize> = counts.iter().map(|count| count * test_count / total).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(counts[class] * test_count % total));
    let missing = test_count - quotas.iter().sum::<usize>();
    for &class in &by_remainder[..missing] {
        quotas[class] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(counts: &[usize]) -> Vec<usize> {
        counts.iter().enumerate().flat_map(|(class, &count)| std::iter::repeat_n(class, count)).collect()
    }

    #[test]
    fn a_seed_decides_the_division() {
        let all = labels(&[20, 30]);
        assert_eq!(test_part(&all, 2, 10, 1), test_part(&all, 2, 10, 1));
        assert_ne!(test_part(&all, 2, 10, 1), test_part(&all, 2, 10, 2));
    }

    #[test]
    #[should_panic(expected = "split: 3 test items were asked for and there are 2 items")]
    fn more_test_items_than_items() {
        test_part(&[0, 1], 2, 3, 0);
    }

    #[test]
    #[should_panic(expected = "split: a label is 2; expected one below 2, the number of classes")]
    fn a_label_that_is_no_class() {
        test_part(&[0, 2], 2, 1, 0);
    }

    proptest! {
        #[test]
        fn classes_are_divided_in_proportion(counts in prop::collection::vec(0usize..12, 1..5), share in 0.0..=1.0f64) {
            let all = labels(&counts);
            let test_count = (share * all.len() as f64) as usize;
            let in_test = test_part(&all, counts.len(), test_count, 3);
            let tested: Vec<_> = all.iter().zip(&in_test).filter(|&(_, &test)| test).map(|(&label, _)| label).collect();
            prop_assert_eq!((in_test.len(), tested.len()), (all.len(), test_count));
            for (of_test, of_all) in super::counts(&tested, counts.len()).iter().zip(&counts) {
                let exact = *of_all as f64 * test_count as f64 / all.len().max(1) as f64;
                prop_assert!((*of_test as f64 - exact).abs() < 1.0, "{} of {} at {}", of_test, of_all, exact);
            }
        }
    }
}
