//! Long sums: on every axis and in every sum of the sweep the error grows with the logarithm of the number of terms, where
//! adding one by one would be percents off. Against exact values, and against the same sum in more digits.

use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};
use rewind_autograd::ops::accumulate::sum_of_terms;
use rewind_autograd::ops::layout::stack;
use rewind_autograd::{Scalar, Tape, Tensor, Term, Var};

const MILLION: usize = 1_000_000;

/// Of a sum of numbers of one sign, in units of its size: a block of 64 added one by one, and a few levels above it.
fn tolerance<T: Scalar>() -> f64 {
    8.0 * T::EPSILON.to_f64()
}

#[track_caller]
fn assert_close<T: Scalar>(found: &[T], expected: f64, what: &str) {
    assert_within(tolerance::<T>(), found, expected, what);
}

#[track_caller]
fn assert_within<T: Scalar>(tolerance: f64, found: &[T], expected: f64, what: &str) {
    for x in found {
        let off = (x.to_f64() / expected - 1.0).abs();
        assert!(off <= tolerance, "{what}: {x} instead of {expected}, off by {off:.2e}");
    }
}

/// The exact sum of some numbers, rounded once or twice: Neumaier's compensated sum (1974).
fn exact(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for x in numbers {
        let next = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + lost
}

#[test]
fn the_mean_of_twenty_million_ones_is_one() {
    let tape = Tape::<f32>::new();
    let ones = tape.constant(Tensor::full(&[20 * MILLION], 1.0));
    for (what, mean) in [
        ("the first of two axes", ones.reshape(&[20 * MILLION, 1]).mean_axis(0)),
        ("two columns", ones.reshape(&[10 * MILLION, 2]).mean_axis(0)),
        ("the last axis", ones.mean_axis(0)),
        ("all elements", ones.mean()),
    ] {
        assert!(mean.value().to_vec().iter().all(|&x| x == 1.0), "{what}: {:?}", mean.value());
    }
}

fn tenths<T: Scalar>(shape: &[usize]) -> Tensor<T> {
    Tensor::full(shape, T::from_f64(0.1))
}

/// 0.1 as a number of type `T`.
fn tenth<T: Scalar>() -> f64 {
    T::from_f64(0.1).to_f64()
}

/// Numbers enough for an error that grows with their count to show.
fn many<T: Scalar>() -> usize {
    if T::NAME == "f32" { MILLION } else { MILLION / 10 }
}

fn sums_on_every_axis<T: Scalar>() {
    let n = many::<T>();
    let sum = tenth::<T>() * n as f64;
    for (shape, axis) in [
        (vec![n, 1], 0),
        (vec![n, 3], 0),
        (vec![n / 10, 33], 0),
        (vec![3, n, 1], 1),
        (vec![1, n, 2], 1),
        (vec![2, n / 2, 7], 1),
        (vec![2, n], 1),
    ] {
        let count = shape[axis] as f64;
        let what = format!("{shape:?} along {axis}, {}", T::NAME);
        let x = tenths::<T>(&shape);
        assert_close(&x.sum_axis(axis).to_vec(), tenth::<T>() * count, &what);
        assert_close(&x.sum_axis(axis).map(|sum| sum / T::from_f64(count)).to_vec(), tenth::<T>(), &what);
        let mut kept = shape.clone();
        kept[axis] = 1;
        assert_close(&x.sum_to(&kept).to_vec(), tenth::<T>() * count, &what);
        // A view whose numbers do not lie in that order, and one number that was stretched.
        let backwards: Vec<usize> = (0..shape.len()).rev().collect();
        let turned: Vec<usize> = shape.iter().rev().copied().collect();
        let view = tenths::<T>(&turned).permute(&backwards);
        assert_close(&view.sum_axis(axis).to_vec(), tenth::<T>() * count, &format!("{what}, a transposed view"));
        let stretched = tenths::<T>(&[]).broadcast_to(&shape);
        assert_close(&stretched.sum_axis(axis).to_vec(), tenth::<T>() * count, &format!("{what}, stretched"));
    }
    assert_close(&tenths::<T>(&[n / 10, 10]).sum_to(&[]).to_vec(), sum, "to a scalar");
    assert_close(&tenths::<T>(&[100, 2, n / 100]).sum_to(&[2, 1]).to_vec(), sum, "the axes around one that stays");
}

#[test]
fn sums_are_right_on_every_axis() {
    sums_on_every_axis::<f32>();
    sums_on_every_axis::<f64>();
}

#[test]
fn sums_of_rows_of_every_width_are_those_of_whole_numbers() {
    // Exact whatever the order; widths around those of which several rows are added at once.
    for rows in [1, 2, 7, 33, 63, 64, 65, 128, 129, 1000] {
        for width in 1..=18 {
            let x = Tensor::from_fn(&[3, rows, width], |i| (i * i % 23) as f32 - 11.0);
            let by_hand = |lines: std::ops::Range<usize>, column: usize| -> f32 {
                lines.map(|line| x.at(&[line / rows, line % rows, column])).sum()
            };
            let (last, all) = (x.index(0, 2).sum_axis(0), x.sum_to(&[width]));
            for column in 0..width {
                assert_eq!(last.at(&[column]), by_hand(2 * rows..3 * rows, column), "{rows} rows of {width}");
                assert_eq!(all.at(&[column]), by_hand(0..3 * rows, column), "3·{rows} rows of {width}");
            }
            // Not the leading axes alone: the rows lie apart.
            let outer = x.sum_to(&[3, 1, width]);
            for (k, column) in (0..3).flat_map(|k| (0..width).map(move |column| (k, column))) {
                let right = by_hand(k * rows..(k + 1) * rows, column);
                assert_eq!(outer.at(&[k, 0, column]), right, "block {k} of {rows} rows of {width}");
            }
        }
    }
}

fn running_sums<T: Scalar>() {
    // A running sum passes a block of 64 on each of three levels, not on the first alone.
    let tolerance = 3.0 * tolerance::<T>();
    for (shape, axis) in [(vec![many::<T>()], 0), (vec![many::<T>() / 4, 3], 0), (vec![2, 10_001], 1)] {
        let length = shape[axis];
        let tape = Tape::new();
        let x = tape.leaf(tenths::<T>(&shape));
        let sums = x.cumsum(axis);
        let gradient = sums.sum().backward().get(x);
        for k in [0, 1, 63, 64, 65, 4095, 4096, 4097, length / 2, length - 1] {
            let what = format!("{shape:?} up to {k}, {}", T::NAME);
            assert_within(tolerance, &sums.value().index(axis, k).to_vec(), tenth::<T>() * (k + 1) as f64, &what);
            // The rule sums from the other end: ones.
            assert_within(
                tolerance,
                &gradient.index(axis, k).to_vec(),
                (length - k) as f64,
                &format!("gradient, {what}"),
            );
        }
    }
}

#[test]
fn running_sums_are_right_up_to_the_last() {
    running_sums::<f32>();
    running_sums::<f64>();
}

#[test]
fn running_sums_of_every_length_are_those_of_whole_numbers() {
    // Exact in both types, whatever the order; lengths around the ends of blocks and of blocks of blocks.
    for length in [0, 1, 7, 33, 63, 64, 65, 128, 129, 4095, 4096, 4097, 5000] {
        for inner in [0, 1, 7] {
            let x = Tensor::from_fn(&[2, length, inner], |i| (i % 11) as f32 - 5.0);
            let tape = Tape::new();
            let sums = tape.constant(x.clone()).cumsum(1).value();
            for outer in 0..2 {
                for column in 0..inner {
                    let mut sum = 0.0;
                    for k in 0..length {
                        sum += x.at(&[outer, k, column]);
                        assert_eq!(sums.at(&[outer, k, column]), sum, "{length} rows of {inner}: {k}");
                    }
                }
            }
        }
    }
}

#[test]
fn running_sums_keep_the_sign_of_zero() {
    for shape in [[3, 1], [1, 3], [3, 3]] {
        for axis in 0..2 {
            let tape = Tape::new();
            let sums = tape.constant(Tensor::full(&shape, -0.0_f32)).cumsum(axis).value();
            assert!(sums.to_vec().iter().all(|sum| sum.to_bits() == (-0.0_f32).to_bits()), "{shape:?}, axis {axis}");
        }
    }
}

#[test]
fn running_sums_along_the_last_axis_have_the_bits_of_those_along_another() {
    for length in [1, 7, 63, 64, 65, 128, 129, 4096, 4097, 5000] {
        let x = Tensor::from_fn(&[length], |i| (i as f32 * 0.7).sin());
        let tape = Tape::new();
        let (row, pair) = (tape.leaf(x.clone()), tape.leaf(x.unsqueeze(1).broadcast_to(&[length, 2]).to_contiguous()));
        let (sums, pairs) = (row.cumsum(0), pair.cumsum(0));
        assert_eq!(pairs.value().index(1, 1), sums.value(), "{length}");
        // The cotangents are summed from the other end.
        let weights = tape.constant(x);
        let gradient = |sums: Var<'_, f32>, leaf| (sums * weights).sum().backward().get(leaf);
        assert_eq!(gradient(pairs.index(1, 0), pair).index(1, 0), gradient(sums, row), "{length}, reversed");
    }
}

/// The gradient that `bias` gets, whose exact value is 0.1·`count` in every element.
fn assert_gradient<T: Scalar>(loss: Var<'_, T>, leaf: Var<'_, T>, count: usize, what: &str) {
    let expected = tenth::<T>() * count as f64;
    let tolerance = if what == "products" { tolerance_of_products::<T>() } else { tolerance::<T>() };
    assert_within(tolerance, &loss.backward().get(leaf).to_vec(), expected, &format!("{what}, {}", T::NAME));
    let recorded = loss.grad(&[leaf])[0].value().to_vec();
    assert_within(tolerance, &recorded, expected, &format!("{what}, recorded, {}", T::NAME));
}

fn gradient_of_a_bias<T: Scalar>() {
    let rows = many::<T>();
    for width in [1, 7] {
        let tape = Tape::new();
        let bias = tape.leaf(Tensor::zeros(&[width]));
        let (x, w) = (tape.zeros(&[rows, 2]), tape.zeros(&[2, width]));
        let weights = tape.constant(tenths::<T>(&[rows, 1]));
        assert_gradient((x.affine(w, Some(bias)) * weights).sum(), bias, rows, "affine");
        let row = bias.reshape(&[1, width]);
        assert_gradient((row * weights).sum(), bias, rows, "a product of broadcast shape");
        let column = tape.leaf(Tensor::zeros(&[width, 1]));
        let wide = tape.constant(tenths::<T>(&[width, rows / 4]));
        assert_gradient(((column + wide) * tenths_like(wide)).sum(), column, rows / 4, "stretched along the last axis");
    }
}

#[test]
fn the_gradient_of_a_bias_over_a_million_rows_is_right() {
    gradient_of_a_bias::<f32>();
    gradient_of_a_bias::<f64>();
}

fn many_uses_of_one_variable<T: Scalar>() {
    let uses = many::<T>() / 10;
    let tape = Tape::new();
    let ones = |shape: &[usize]| Tensor::full(shape, T::ONE);
    let (scalar, row, matrix) = (tape.leaf(ones(&[])), tape.leaf(ones(&[3])), tape.leaf(ones(&[2, 2])));
    let (s, r, m) = (tenths_like(scalar), tenths_like(row), tenths_like(matrix));
    let pair = tape.constant(tenths::<T>(&[5, 3]));
    let (mut dense, mut summed, mut parts, mut products) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..uses {
        dense.push(scalar * s);
        summed.push((row * pair).sum());
        parts.push((row.slice(0, 1..3) * r.slice(0, 1..3)).sum() + row.index(0, 0) * s);
        products.push((tape.constant(ones(&[1, 2])).matmul(matrix) * m.index(0, 0)).sum());
    }
    // Sums of their own, so that nothing but the terms of one variable is added up.
    for (terms, leaf, count, what) in [
        (&dense, scalar, uses, "dense terms"),
        (&summed, row, 5 * uses, "summed terms"),
        (&parts, row, uses, "sum_of_slices"),
        (&products, matrix, uses, "products"),
    ] {
        assert_gradient(stack(terms, 0).sum(), leaf, count, what);
    }
}

#[test]
fn a_variable_that_is_used_a_hundred_thousand_times_gets_the_right_sum() {
    many_uses_of_one_variable::<f32>();
    many_uses_of_one_variable::<f64>();
}

/// Slices that all lie on one place of a large array, where counting the elements that were added would see a small share of it.
#[test]
fn one_row_of_a_large_array_that_is_read_often_gets_the_right_sum() {
    let tape = Tape::<f32>::new();
    let table = tape.leaf(Tensor::zeros(&[4096, 1]));
    let weight = tape.constant(tenths(&[1, 1]));
    let reads = 60_000;
    let loss = (0..reads).map(|_| (table.slice(0, 7..8) * weight).sum()).collect::<Vec<_>>();
    let sum = stack(&loss, 0).sum();
    for gradient in [sum.backward().get(table), sum.grad(&[table])[0].value()] {
        assert_close(&gradient.slice(0, 7..8).to_vec(), tenth::<f32>() * f64::from(reads), "the row that is read");
        assert_eq!(gradient.slice(0, 0..7).norm(), 0.0);
    }
}

fn tenths_like<'t, T: Scalar>(x: Var<'t, T>) -> Var<'t, T> {
    x.tape().constant(tenths(&x.shape()))
}

/// Of a product whose kernel adds 256 numbers one after another before we can step in.
fn tolerance_of_products<T: Scalar>() -> f64 {
    32.0 * T::EPSILON.to_f64()
}

fn deep_products<T: Scalar>() {
    for (rows, cols) in [(1, 1), (1, 7), (3, 1), (7, 33)] {
        let k = many::<T>() / 4 + 1;
        let (a, b) = (tenths::<T>(&[rows, k]), Tensor::full(&[k, cols], T::ONE));
        let expected = tenth::<T>() * k as f64;
        let g = Tensor::full(&[k, cols], T::ONE);
        let columns = tenths::<T>(&[k, rows]);
        let tape = Tape::new();
        let v = |x: &Tensor<T>| tape.constant(x.clone());
        let batch = v(&a).reshape(&[1, rows, k]).matmul(v(&b).reshape(&[1, k, cols]));
        let w = tape.leaf(Tensor::zeros(&[rows, cols]));
        let weight = (v(&columns).matmul(w) * v(&g)).sum().backward().get(w);
        for (what, product) in [
            ("matmul", a.matmul(&b)),
            ("matmul_transposed", a.matmul_transposed(&Tensor::full(&[cols, k], T::ONE))),
            ("a batch", batch.value()),
            ("a sum of products", sum_of_terms(w, &[Term::Product(v(&columns), v(&g))]).value()),
            ("the gradient of a weight", weight),
        ] {
            let what = format!("{what}, {rows} by {cols}, {}", T::NAME);
            assert_within(tolerance_of_products::<T>(), &product.to_vec(), expected, &what);
        }
    }
}

#[test]
fn products_of_great_depth_are_right() {
    deep_products::<f32>();
    deep_products::<f64>();
}

#[test]
fn the_gradient_of_a_row_that_is_looked_up_often_is_right() {
    let tape = Tape::<f32>::new();
    let table = tape.leaf(Tensor::zeros(&[7, 3]));
    // One row a single time, two very often.
    let indices: Vec<usize> =
        (0..MILLION / 4).map(|i| if i == 17 { 2 } else { 3 + 3 * usize::from(i % 5 != 0) }).collect();
    let rows = table.index_select(0, &indices);
    let gradient = (rows * tape.constant(tenths(&[indices.len(), 1]))).sum().backward().get(table);
    for (row, count) in [(0, 0), (2, 1), (3, 50_000), (5, 0), (6, 199_999)] {
        match count {
            0 => assert_eq!(gradient.index(0, row).to_vec(), [0.0; 3]),
            _ => assert_close(&gradient.index(0, row).to_vec(), tenth::<f32>() * f64::from(count), "a row of a table"),
        }
    }
}

fn cases() -> ProptestConfig {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/sums.txt");
    let failure_persistence: Option<Box<dyn FailurePersistence>> =
        Some(Box::new(FileFailurePersistence::Direct(seeds)));
    ProptestConfig { failure_persistence, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    /// Of any shape and along any axis: a sum of numbers of both signs is off by a few roundings of the sum of their sizes.
    #[test]
    fn sums_agree_with_sums_in_more_digits(
        shape in prop::collection::vec(prop::sample::select(vec![1_usize, 2, 7, 33, 70, 300]), 1..4),
        axis in 0..3_usize,
        magnitude in -30..30_i32,
        turned in any::<bool>(),
    ) {
        prop_assume!(axis < shape.len() && shape.iter().product::<usize>() <= 100_000);
        let scale = 10_f32.powi(magnitude);
        let number = |i: usize| (i as f32 * 0.7).sin() * scale;
        let x = match turned {
            false => Tensor::from_fn(&shape, number),
            true => {
                let backwards: Vec<usize> = (0..shape.len()).rev().collect();
                let lengths: Vec<usize> = shape.iter().rev().copied().collect();
                Tensor::from_fn(&lengths, number).permute(&backwards)
            }
        };
        let sum = x.sum_axis(axis);
        let columns: Vec<usize> = (0..shape.len()).filter(|&k| k != axis).chain([axis]).collect();
        let lines = x.permute(&columns).to_vec();
        for (line, &sum) in lines.chunks_exact(shape[axis]).zip(&sum.to_vec()) {
            let right = exact(line.iter().map(|&x| f64::from(x)));
            let sizes: f64 = line.iter().map(|&x| f64::from(x.abs())).sum();
            prop_assert!((f64::from(sum) - right).abs() <= 8.0 * f64::from(f32::EPSILON) * sizes, "{sum} for {right}");
        }
    }
}
