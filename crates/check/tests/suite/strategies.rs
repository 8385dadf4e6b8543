//! What the strategies draw, with the feature `proptest`.

use proptest::prelude::*;
use rewind_autograd::{Tensor, shape};
use rewind_check::{self as check, strategies};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shapes_keep_to_their_bounds(shape in strategies::shape(3, 4)) {
        prop_assert!(shape.len() <= 3 && shape.iter().all(|n| (1..=4).contains(n)));
    }

    #[test]
    fn pairs_broadcast_and_their_products_are_right((a, b) in strategies::broadcasting(3, 3), seed in 0..100_u64) {
        prop_assert!(shape::broadcast(&a, &b).is_some(), "{:?} and {:?}", a, b);
        let inputs = [check::sample::<f64>(&a, seed), check::sample(&b, seed + 1)];
        check::fast().function(&inputs, |_, v| v[0] * v[1]).assert();
    }

    #[test]
    fn tensors_keep_to_their_sizes(x in strategies::of_shape::<f32>(&[2, 3], 0.5..0.75)) {
        prop_assert_eq!(x.shape(), [2, 3]);
        prop_assert!(x.to_vec().iter().all(|x| (0.5..0.76).contains(&x.abs())));
    }

    #[test]
    fn lengths_fit_their_batch(lengths in strategies::lengths(5, 7)) {
        prop_assert!(lengths.len() == 5 && lengths.iter().all(|n| (1..=7).contains(n)));
    }

    #[test]
    fn chains_of_ops_are_right(x in strategies::tensor::<f64>(strategies::shape(2, 3)), ops in strategies::ops(4)) {
        check::full().function(&[x], |_, v| ops.iter().fold(v[0], |y, op| (op.apply)(y))).assert();
    }
}

#[test]
fn both_orders_of_a_pair_and_both_signs_are_drawn() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw = || strategies::broadcasting(3, 3).new_tree(&mut runner).expect("it draws").current();
    let pairs: Vec<(Vec<usize>, Vec<usize>)> = (0..100).map(|_| draw()).collect();
    assert!(pairs.iter().any(|(a, b)| a.len() < b.len()) && pairs.iter().any(|(a, b)| a.len() > b.len()));
    let x: Tensor<f64> = strategies::of_shape(&[50], 0.3..1.5).new_tree(&mut runner).expect("it draws").current();
    assert!(x.to_vec().iter().any(|&x| x < 0.0) && x.to_vec().iter().any(|&x| x > 0.0));
}
