//! Random shapes, sizes 0, 1, 7 and 33 among them, against plain loops. Failing seeds are kept in `proptest-regressions`.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use rewind_autograd::ops::layout::{concat, stack};
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::{Scalar, Tape, Tensor, Var};
use rewind_check as check;

use crate::naive::{Array, assert_close, broadcast};

fn cases(count: u32) -> ProptestConfig {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/shapes.txt");
    ProptestConfig {
        cases: count,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        ..ProptestConfig::default()
    }
}

/// The lengths that matter: empty, one, odd, larger than a vector register.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(1), Just(1), Just(2), Just(3), Just(7), Just(33)]
}

fn small() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(1), Just(2), Just(3)]
}

/// Two shapes that broadcast: both come from one, axes cut off in front and shrunk to 1.
fn broadcastable(length: impl Strategy<Value = usize>) -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let axis = (length, any::<bool>(), any::<bool>());
    (prop::collection::vec(axis, 0..4), 0..4_usize, 0..4_usize).prop_map(|(axes, cut_a, cut_b)| {
        let one = |shrunk: fn(&(usize, bool, bool)) -> bool, cut: usize| {
            let shape: Vec<_> = axes.iter().map(|axis| if shrunk(axis) { 1 } else { axis.0 }).collect();
            shape[cut.min(shape.len())..].to_vec()
        };
        // One of them keeps all its axes.
        let (cut_a, cut_b) = if cut_a < cut_b { (0, cut_b) } else { (cut_a, 0) };
        (one(|axis| axis.1, cut_a), one(|axis| axis.2 && !axis.1, cut_b))
    })
}

/// How a tensor lies in memory.
fn tensor<T: Scalar>(array: &Array, strided: bool) -> Tensor<T> {
    if strided { array.strided_tensor() } else { array.tensor() }
}

fn tolerance<T: Scalar>() -> f64 {
    if T::NAME == "f32" { 1e-6 } else { 1e-14 }
}

/// An op of two numbers.
type Plain = fn(f64, f64) -> f64;

fn broadcasting<T: Scalar>(a: &Array, b: &Array, strided: bool) {
    let tape = Tape::<T>::new();
    let (x, y) = (tape.leaf(tensor(a, strided)), tape.leaf(tensor(b, strided)));
    let pairs: [(&str, Var<'_, T>, Plain); 5] = [
        ("add", x + y, |a, b| a + b),
        ("sub", x - y, |a, b| a - b),
        ("mul", x * y, |a, b| a * b),
        ("div", x / y, |a, b| a / b),
        ("maximum", x.maximum(y), f64::max),
    ];
    for (name, found, plain) in pairs {
        assert_close(&found.value(), &a.zip(b, plain), tolerance::<T>(), name);
    }
    // d(Σ x·y)/dx is y stretched and summed down to x.
    let gradients = (x * y).sum().backward();
    let shape = broadcast(&a.shape, &b.shape).expect("they broadcast");
    let expected = b.broadcast_to(&shape).sum_to(&a.shape);
    let size = expected.data.iter().fold(1.0, |size: f64, x| size.max(x.abs()));
    let terms = shape.iter().product::<usize>() as f64;
    assert_close(&gradients.get(x), &expected, tolerance::<T>() * terms.max(size), "gradient of mul");
}

/// Products by three loops against every route of the engine: matrices, one row, batches, several products at once.
fn products<T: Scalar>([rows, inner, cols]: [usize; 3], transposed: [bool; 2], packed_before: bool) {
    let stored = |shape: [usize; 2], turned: bool, stream| {
        let array = Array::sample(&shape, stream);
        (if turned { array.transpose() } else { array.clone() }, array, turned)
    };
    let (a, b) = (stored([rows, inner], transposed[0], 1), stored([inner, cols], transposed[1], 2));
    let bias = Array::sample(&[cols], 3);
    let tape = Tape::<T>::new();
    let put = |(stored, _, turned): &(Array, Array, bool)| {
        let leaf = tape.leaf(stored.tensor());
        (leaf, if *turned { leaf.transpose() } else { leaf })
    };
    let ((leaf_a, x), (leaf_b, w)) = (put(&a), put(&b));
    if packed_before {
        x.matmul(w);
    }
    let exact = if T::NAME == "f32" { 1e-4 } else { 1e-12 };
    let expected = a.1.matmul(&b.1);
    assert_close(&x.matmul(w).value(), &expected, exact, "matmul");
    let with_bias = expected.zip(&bias, |a, b| a + b);
    assert_close(&x.affine(w, Some(tape.leaf(bias.tensor()))).value(), &with_bias, exact, "affine with bias");
    assert_close(&x.affine(w, None).value(), &expected, exact, "affine");
    let twice = affine(&[(x, w), (x, w)], None);
    assert_close(&twice.value(), &expected.map(|x| 2.0 * x), exact, "two products");
    // Σ g·(x·w): x̄ = g·wᵀ, w̄ = xᵀ·g.
    let seed = Array::sample(&[rows, cols], 4);
    let gradients = x.matmul(w).backward_from(&seed.tensor());
    let turned = |array: Array, turned: bool| if turned { array.transpose() } else { array };
    let to_a = turned(seed.matmul(&b.1.transpose()), transposed[0]);
    let to_b = turned(a.1.transpose().matmul(&seed), transposed[1]);
    assert_close(&gradients.get(leaf_a), &to_a, exact, "gradient of the left matrix");
    assert_close(&gradients.get(leaf_b), &to_b, exact, "gradient of the right matrix");
    let recorded = x.matmul(w).grad_from(tape.constant(seed.tensor()), &[leaf_a, leaf_b]);
    assert_close(&recorded[0].value(), &to_a, exact, "recorded gradient of the left matrix");
    assert_close(&recorded[1].value(), &to_b, exact, "recorded gradient of the right matrix");
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn broadcasting_is_that_of_numpy((a, b) in broadcastable(length()), strided: bool) {
        let (a, b) = (Array::sample(&a, 1), Array::sample(&b, 2));
        prop_assume!(a.data.len() * b.data.len() < 20_000_000);
        let elements: usize = broadcast(&a.shape, &b.shape).expect("they broadcast").iter().product();
        prop_assume!(elements < 20_000);
        broadcasting::<f64>(&a, &b, strided);
        broadcasting::<f32>(&a, &b, strided);
    }

    #[test]
    fn two_shapes_fit_or_are_refused(a in prop::collection::vec(small(), 0..4), b in prop::collection::vec(small(), 0..4)) {
        let found = rewind_autograd::shape::broadcast(&a, &b);
        prop_assert_eq!(found.map(|shape| shape.to_vec()), broadcast(&a, &b));
    }

    #[test]
    fn products_are_those_of_three_loops(
        sizes in [length(), length(), length()],
        transposed: [bool; 2],
        packed_before: bool,
    ) {
        products::<f64>(sizes, transposed, packed_before);
        products::<f32>(sizes, transposed, packed_before);
    }

    #[test]
    fn views_of_views_read_the_right_numbers(
        shape in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(3), Just(7)], 1..4),
        moves in prop::collection::vec((0..6_u8, any::<u32>(), any::<u32>()), 0..6),
    ) {
        let mut plain = Array::sample(&shape, 5);
        let tape = Tape::<f64>::new();
        let leaf = tape.leaf(plain.tensor());
        let mut view = leaf;
        for (kind, r, s) in moves {
            let rank = plain.shape.len();
            let axis = if rank == 0 { 0 } else { r as usize % rank };
            match kind {
                0 if rank > 0 => {
                    let n = plain.shape[axis];
                    let (p, q) = (r as usize / 7 % (n + 1), s as usize % (n + 1));
                    let range = p.min(q)..p.max(q);
                    (plain, view) = (plain.slice(axis, range.clone()), view.slice(axis, range));
                }
                1 if rank > 0 && plain.shape[axis] > 0 => {
                    let at = s as usize % plain.shape[axis];
                    let mut shape = plain.shape.clone();
                    shape.remove(axis);
                    (plain, view) = (plain.slice(axis, at..at + 1).reshape(&shape), view.index(axis, at));
                }
                2 if rank > 1 => (plain, view) = (plain.transpose(), view.transpose()),
                3 => {
                    let mut axes: Vec<_> = (0..rank).collect();
                    axes.rotate_left(axis);
                    (plain, view) = (plain.permute(&axes), view.permute(&axes));
                }
                4 => {
                    let mut shape = plain.shape.clone();
                    shape.reverse();
                    (plain, view) = (plain.reshape(&shape), view.reshape(&shape));
                }
                5 if rank < 4 && plain.data.len() < 500 => {
                    let mut shape = plain.shape.clone();
                    shape.insert(0, 2);
                    (plain, view) = (plain.broadcast_to(&shape), view.broadcast_to(&shape));
                }
                _ => {}
            }
        }
        assert_close(&view.value(), &plain, 0.0, "a view moves numbers and changes none");
        let product = view * view;
        assert_close(&product.value(), &plain.map(|x| x * x), 0.0, "an op reads the view");
        // Every number comes back as often as the view shows it: Σ leaf·grad = 2 Σ view².
        let gradient = product.sum().backward().get(leaf);
        let back = gradient.zip(&leaf.value(), |g, x| g * x).sum();
        let there: f64 = plain.data.iter().map(|x| 2.0 * x * x).sum();
        prop_assert!((back - there).abs() <= 1e-12 * there.max(1.0), "{} instead of {}", back, there);
    }

    #[test]
    fn pieces_go_together_and_apart(
        (before, after) in (small(), small()),
        lengths in prop::collection::vec(small(), 1..5),
        strided: bool,
    ) {
        let pieces: Vec<_> =
            lengths.iter().enumerate().map(|(i, &n)| Array::sample(&[before, n, after], i as u64)).collect();
        let tape = Tape::<f64>::new();
        let vars: Vec<_> = pieces.iter().map(|piece| tape.leaf(tensor(piece, strided))).collect();
        let whole = concat(&vars, 1);
        assert_close(&whole.value(), &Array::concat(&pieces.iter().collect::<Vec<_>>(), 1), 0.0, "concat");
        let mut start = 0;
        for (piece, n) in pieces.iter().zip(&lengths) {
            assert_close(&whole.slice(1, start..start + n).value(), piece, 0.0, "a slice of a concat");
            start += n;
        }
        for axis in 0..4 {
            let same = vec![vars[0]; 3];
            let stacked = stack(&same, axis);
            for k in 0..3 {
                assert_close(&stacked.index(axis, k).value(), &pieces[0], 0.0, "a position of a stack");
            }
            let [a, b, c] = stacked.split(axis);
            prop_assert_eq!(concat(&[a, b, c], axis).value(), stacked.value());
            // Three times the same variable: three times the gradient.
            let gradient = stacked.sum().backward().get(vars[0]);
            assert_close(&gradient, &pieces[0].map(|_| 3.0), 0.0, "gradient of a stack");
        }
    }

    #[test]
    fn reductions_are_those_of_loops(shape in prop::collection::vec(length(), 1..4), axis in 0..3_usize, strided: bool) {
        prop_assume!(shape.iter().product::<usize>() < 3000 && axis < shape.len());
        let plain = Array::sample(&shape, 6);
        let x = tensor::<f64>(&plain, strided);
        let mut kept = shape.clone();
        kept[axis] = 1;
        let mut gone = shape.clone();
        gone.remove(axis);
        let expected = plain.sum_to(&kept);
        assert_close(&x.sum_axis(axis), &expected.reshape(&gone), 1e-13, "sum_axis");
        assert_close(&x.sum_to(&kept), &expected, 1e-13, "sum_to");
        assert_close(&Tensor::scalar(x.sum()), &plain.sum_to(&[]), 1e-13, "sum");
        let single = tensor::<f32>(&plain, strided);
        assert_close(&single.sum_axis(axis), &expected.reshape(&gone), 1e-4, "sum_axis in f32");
        if shape[axis] > 0 {
            let largest = plain.reduce(axis, |line| line.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            assert_close(&x.max_axis(axis), &Array::new(&gone, largest.data), 0.0, "max_axis");
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn batches_of_products_broadcast(
        (la, lb) in broadcastable(small()),
        (m, k, n) in (small(), prop_oneof![Just(0), Just(1), Just(7)], small()),
        strided: bool,
    ) {
        let (a, b) = (
            Array::sample(&[la, vec![m, k]].concat(), 1),
            Array::sample(&[lb, vec![k, n]].concat(), 2),
        );
        let expected = a.matmul(&b);
        let tape = Tape::<f64>::new();
        let (x, y) = (tape.leaf(tensor(&a, strided)), tape.leaf(tensor(&b, strided)));
        let product = x.matmul(y);
        assert_close(&product.value(), &expected, 1e-13, "matmul of batches");
        let single = Tape::<f32>::new();
        let narrow = single.leaf(tensor(&a, strided)).matmul(single.leaf(tensor(&b, strided)));
        assert_close(&narrow.value(), &expected, 1e-4, "matmul of batches in f32");
        let gradients = product.sum().backward();
        let ones = expected.map(|_| 1.0);
        let to_a = ones.matmul(&b.transpose()).sum_to(&a.shape);
        let to_b = a.transpose().matmul(&ones).sum_to(&b.shape);
        assert_close(&gradients.get(x), &to_a, 1e-12, "gradient of the left batch");
        assert_close(&gradients.get(y), &to_b, 1e-12, "gradient of the right batch");
    }

    #[test]
    fn gradients_of_broadcast_ops((a, b) in broadcastable(small()), strided: bool) {
        let (a, b) = (Array::sample(&a, 1), Array::sample(&b, 2).map(|x| x + 2.0 * x.signum()));
        prop_assume!(a.data.len() + b.data.len() > 0);
        let report = check::function(&[tensor(&a, strided), tensor(&b, strided)], |_, v| {
            let (x, y) = (v[0], v[1]);
            x * y - (x / y).tanh() + x.maximum(y) * (y - x)
        });
        prop_assert!(report.passed(), "{}", report);
    }
}

#[test]
fn sizes_that_kernels_treat_specially_in_single_precision() {
    // One row; a right-hand side that is packed (256 numbers or more), twice; an inner length of 0.
    for sizes in [[1, 33, 33], [33, 33, 33], [2, 7, 64], [1, 1, 1], [33, 0, 7], [0, 7, 33], [7, 33, 0]] {
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            products::<f32>(sizes, transposed, true);
            products::<f64>(sizes, transposed, true);
        }
    }
}

#[test]
fn a_packed_matrix_is_forgotten_when_its_numbers_change() {
    let mut w = Array::sample(&[33, 33], 1).tensor::<f32>();
    let x = Array::sample(&[4, 33], 2);
    let before = x.tensor::<f32>().matmul(&w);
    for number in w.as_mut_slice() {
        *number *= 2.0;
    }
    let after = x.tensor::<f32>().matmul(&w);
    assert_eq!(after, before.map(|y| 2.0 * y));
}
