//! The baseline: a bigram model. It knows the last character and nothing before it.

use std::collections::BTreeMap;

/// p(b | a) = (n(ab) + p(b)) / (n(a) + 1), where p(b) = (n(b) + 1) / (n + C): the counts of the training text, with the
/// frequency of b alone as a prior that weighs as much as one character (MacKay and Peto 1995).
///
/// The result is the mean of -log₂ p over all characters of `test` but the first, in bits. Both texts are places below
/// `characters`.
pub(crate) fn bigram_bits(train: &[usize], test: &[usize], characters: usize) -> f64 {
    let mut single = vec![0.0; characters];
    let mut pairs = BTreeMap::<_, f64>::new();
    let mut before = vec![0.0; characters];
    train.iter().for_each(|&b| single[b] += 1.0);
    for pair in train.windows(2) {
        *pairs.entry([pair[0], pair[1]]).or_default() += 1.0;
        before[pair[0]] += 1.0;
    }
    let total = (train.len() + characters) as f64;
    let bits = |pair: &[usize]| {
        let prior = (single[pair[1]] + 1.0) / total;
        let seen = pairs.get(pair).copied().unwrap_or_default();
        -((seen + prior) / (before[pair[0]] + 1.0)).log2()
    };
    test.windows(2).map(bits).sum::<f64>() / (test.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_the_formula() {
        // n(aa) = 1, n(ab) = 2, n(ba) = 1; p(a) = 4/7, p(b) = 3/7.
        let bits = bigram_bits(&[0, 0, 1, 0, 1], &[0, 1, 1], 2);
        let expected = -((2.0 + 3.0 / 7.0) / 4.0_f64).log2() - ((3.0 / 7.0) / 2.0_f64).log2();
        assert!((bits - expected / 2.0).abs() < 1e-12);
    }

    #[test]
    fn probabilities_sum_to_one() {
        let train = [0, 2, 1, 1, 2, 0, 2];
        for a in 0..4 {
            let total: f64 = (0..4).map(|b| 2_f64.powf(-bigram_bits(&train, &[a, b], 4))).sum();
            assert!((total - 1.0).abs() < 1e-12, "{a}: {total}");
        }
    }
}
