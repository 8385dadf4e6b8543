//! Tests of `kernels/prefetch.rs` through tensors.

use rayon::ThreadPoolBuilder;

use crate::Tensor;

const STEPS: usize = 60;
const ROWS: usize = 3;
const DEPTH: usize = 600;

fn sample(shape: &[usize], phase: f32) -> Tensor<f32> {
    Tensor::from_fn(shape, |i| (i as f32 * 0.7 + phase).sin())
}

fn bits(x: &Tensor<f32>) -> Vec<u32> {
    x.to_vec().into_iter().map(f32::to_bits).collect()
}

/// The rows of a time step, among those of the others, times `w`, against the same rows alone.
fn assert_as_alone(x: &Tensor<f32>, t: usize, [w, bias]: [&Tensor<f32>; 2], case: &str) {
    let own = x.index(0, t);
    let alone = Tensor::from_vec(own.to_vec(), own.shape());
    let affine = |rows: &Tensor<f32>, bias: Option<&Tensor<f32>>, beta: f32| {
        let mut to = sample(&[ROWS, w.shape()[1]], 4.0);
        rows.matmul_into(w, beta, bias, to.as_mut_slice());
        bits(&to)
    };
    for (bias, beta) in [(None, 0.0), (Some(bias), 0.0), (Some(bias), 1.0)] {
        assert!(affine(&own, bias, beta) == affine(&alone, bias, beta), "{case}: step {t}");
    }
}

fn waiting(w: &Tensor<f32>) -> usize {
    w.buffer.derived().prefetched.blocks()
}

#[test]
fn rows_that_follow_each_other_are_multiplied_at_once_and_right() {
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
        pool.install(|| {
            let (x, y) = (sample(&[STEPS, ROWS, DEPTH], 0.0), sample(&[STEPS, ROWS, DEPTH], 9.0));
            let (w, bias) = (sample(&[DEPTH, 1000], 1.0), sample(&[1000], 3.0));
            (0..2).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "the first steps"));
            assert_eq!(waiting(&w), 2, "one with the bias and one without");
            (2..STEPS).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "in order"));
            for t in [0, 1, 2, 5, 4, 3, 8, 9, 10, 59] {
                assert_as_alone(&x, t, [&w, &bias], "out of order");
                assert_as_alone(&y, t, [&w, &bias], "two sequences in turn");
            }
        });
    }
}

#[test]
fn rows_with_other_numbers_between_them_are_multiplied_alone() {
    let (wider, w) = (sample(&[STEPS, ROWS, DEPTH + 7], 0.0), sample(&[DEPTH, 1000], 1.0));
    let (x, bias) = (wider.slice(2, 0..DEPTH), sample(&[1000], 3.0));
    (0..STEPS).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "rows apart"));
    // Each step begins where the one before it ends, but its rows are columns of the buffer.
    let x = sample(&[STEPS, DEPTH, ROWS], 0.0).permute(&[0, 2, 1]);
    (0..STEPS).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "rows that are columns"));
    assert_eq!(waiting(&w), 0);
}

#[test]
fn rows_wait_until_they_are_read_and_no_longer() {
    let w = sample(&[DEPTH, 1000], 1.0);
    let step = |x: &Tensor<f32>, t| {
        drop(x.index(0, t).matmul(&w));
        waiting(&w)
    };
    // From the second step on 128 rows at once, which are those of 42 steps.
    let x = sample(&[STEPS, ROWS, DEPTH], 0.0);
    (0..STEPS).for_each(|t| assert_eq!(step(&x, t), usize::from(![0, 42, 59].contains(&t)), "step {t}"));
    // Steps that do not follow each other say nothing of the next one.
    (0..STEPS).rev().for_each(|t| assert_eq!(step(&x, t), 0, "step {t}"));
    // The last step has none to be multiplied with.
    let two = sample(&[2, ROWS, DEPTH], 0.0);
    assert_eq!([step(&two, 0), step(&two, 1)], [0, 0]);
    let three = sample(&[3, 1, DEPTH], 0.0);
    // The second step is read twice.
    assert_eq!([0, 1, 1, 2].map(|t| step(&three, t)), [0, 1, 1, 0]);
}

#[test]
fn nothing_waits_at_a_weight_that_stays_in_the_cache() {
    let (x, w) = (sample(&[STEPS, ROWS, DEPTH], 0.0), sample(&[DEPTH, 100], 1.0));
    (0..4).for_each(|t| drop(x.index(0, t).matmul(&w)));
    assert_eq!(waiting(&w), 0);
}

#[test]
fn biases_that_begin_at_one_place_are_told_apart() {
    let (x, w) = (sample(&[STEPS, ROWS, DEPTH], 0.0), sample(&[DEPTH, 1000], 1.0));
    let table = sample(&[1000, 1000], 3.0);
    let (row, column) = (table.index(0, 0), table.index(1, 0));
    let one = row.slice(0, 0..1).broadcast_to(&[1000]);
    for t in 0..STEPS {
        // A few steps with each, so that the next ones are expected with it.
        let bias = [&row, &column, &one][t / 5 % 3];
        assert_as_alone(&x, t, [&w, bias], "a bias in another direction");
    }
}

#[test]
fn what_was_waiting_does_not_outlive_a_change() {
    let (mut x, mut w) = (sample(&[STEPS, ROWS, DEPTH], 0.0), sample(&[DEPTH, 1000], 1.0));
    let mut bias = sample(&[1000], 3.0);
    let some = |x: &Tensor<f32>, w: &Tensor<f32>| (0..4).for_each(|t| drop(x.index(0, t).matmul(w)));
    some(&x, &w);
    assert_eq!(waiting(&w), 1);
    w.as_mut_slice()[0] += 1.0;
    assert_eq!(waiting(&w), 0);
    (4..9).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "another weight"));
    some(&x, &w);
    x.as_mut_slice()[4 * ROWS * DEPTH] += 1.0;
    (4..9).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "other rows"));
    bias.as_mut_slice()[0] += 1.0;
    (9..12).for_each(|t| assert_as_alone(&x, t, [&w, &bias], "another bias"));
}

#[test]
fn a_sequence_on_its_own_has_the_bits_of_its_steps_alone() {
    // A large weight that is narrow, which is multiplied by one row without packing, and a wide one.
    for [depth, width] in [[4100, 65], [300, 1000]] {
        let (x, w) = (sample(&[STEPS, 1, depth], 0.0), sample(&[depth, width], 1.0));
        let columns = sample(&[width, depth], 2.0);
        for t in 0..STEPS {
            let own = x.index(0, t);
            let alone = Tensor::from_vec(own.to_vec(), own.shape());
            assert_eq!(bits(&own.matmul(&w)), bits(&alone.matmul(&w)), "[1, {depth}]·[{depth}, {width}], step {t}");
            let [own, alone] = [own, alone].map(|row| bits(&row.matmul_transposed(&columns)));
            assert_eq!(own, alone, "[1, {depth}]·[{width}, {depth}]ᵀ, step {t}");
        }
    }
}

#[test]
fn a_sequence_that_is_over_leaves_nothing_behind() {
    let (x, w) = (sample(&[STEPS, ROWS, DEPTH], 0.0), sample(&[DEPTH, 1000], 1.0));
    (0..STEPS).for_each(|t| drop(x.index(0, t).matmul(&w)));
    assert_eq!(waiting(&w), 0);
}
