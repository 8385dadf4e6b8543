//! The linear recurrence in one node against the same in nodes for each step, over all sizes and in both directions; its
//! accuracy over long sequences, and what infinities and NaN do.

use rewind_autograd::ops::layout::stack;
use rewind_autograd::ops::recurrence::{linear_recurrence, linear_recurrence_reversed};
use rewind_autograd::{Scalar, Tape, Tensor, Var};

use crate::naive::Array;
use crate::refused::refused;

type Recurrence<T> = for<'t> fn(Var<'t, T>, Var<'t, T>, Var<'t, T>) -> Var<'t, T>;

fn steps<'t, T: Scalar>(
    a: Var<'t, T>,
    b: Var<'t, T>,
    first: Var<'t, T>,
    order: impl Iterator<Item = usize>,
) -> Vec<Var<'t, T>> {
    let (a, mut h) = (a.broadcast_to(&b.shape()), first);
    order
        .map(|t| {
            h = a.index(0, t) * h + b.index(0, t);
            h
        })
        .collect()
}

fn by_steps<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>, first: Var<'t, T>) -> Var<'t, T> {
    stack(&steps(a, b, first, 0..b.shape()[0]), 0)
}

fn by_steps_reversed<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>, first: Var<'t, T>) -> Var<'t, T> {
    let mut states = steps(a, b, first, (0..b.shape()[0]).rev());
    states.reverse();
    stack(&states, 0)
}

/// The value and the gradients of a, b and the first state, from a cotangent without a pattern.
fn results<T: Scalar>(f: Recurrence<T>, inputs: &[Tensor<T>; 3]) -> Vec<Tensor<T>> {
    let tape = Tape::new();
    let [a, b, first] = inputs.each_ref().map(|x| tape.leaf(x.clone()));
    let h = f(a, b, first);
    let gradients = h.backward_from(&Array::sample(&h.shape(), 5).tensor());
    vec![h.value(), gradients.get(a), gradients.get(b), gradients.get(first)]
}

/// Lengths of the first axis, and the other axes.
fn sizes() -> impl Iterator<Item = (usize, Vec<usize>)> {
    let steps = [vec![], vec![0], vec![1], vec![7], vec![33], vec![3, 1], vec![2, 7], vec![64], vec![65], vec![3, 67]];
    [1, 7, 33].into_iter().flat_map(move |length| steps.clone().map(|step| (length, step)))
}

fn assert_bits_of_steps<T: Scalar>() {
    let forms: [[Recurrence<T>; 2]; 2] =
        [[linear_recurrence, by_steps], [linear_recurrence_reversed, by_steps_reversed]];
    for (length, step) in sizes() {
        let all = [vec![length], step.clone()].concat();
        let coefficients = [all.clone(), step.clone(), [vec![1], step.clone()].concat(), vec![], vec![1; all.len()]];
        for (i, coefficient) in coefficients.into_iter().enumerate() {
            let arrays = [Array::sample(&coefficient, 1), Array::sample(&all, 2), Array::sample(&step, 3)];
            let (contiguous, strided) =
                (arrays.each_ref().map(Array::tensor), arrays.each_ref().map(Array::strided_tensor));
            for [in_one, by_steps] in forms {
                let expected = results(by_steps, &contiguous);
                for inputs in [&contiguous, &strided] {
                    let found = results(in_one, inputs);
                    assert_eq!(found[0], expected[0], "{} {all:?}, a {coefficient:?}", T::NAME);
                    // The gradient of a broadcast coefficient is a sum, whose order may differ.
                    let exact = if i == 0 { 1..4 } else { 2..4 };
                    assert_eq!(found[exact.clone()], expected[exact], "{} {all:?}, a {coefficient:?}", T::NAME);
                    let largest = expected[1].to_vec().iter().fold(1.0, |m, x| x.to_f64().abs().max(m));
                    for (x, y) in found[1].to_vec().iter().zip(expected[1].to_vec()) {
                        assert!((x.to_f64() - y.to_f64()).abs() < 64.0 * T::EPSILON.to_f64() * largest, "{all:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn values_and_gradients_have_the_bits_of_single_steps() {
    assert_bits_of_steps::<f32>();
    assert_bits_of_steps::<f64>();
}

/// Whether two numbers have the same bits. All NaN are alike, and so are both zeros: a slice of a cotangent is added to 0, which loses
/// the sign.
fn same_bits<T: Scalar>(x: T, y: T) -> bool {
    x == y || x.is_nan() && y.is_nan()
}

fn assert_special_numbers_pass_as_through_steps<T: Scalar>(extremes: [f64; 4]) {
    let special = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-3, -7.0].into_iter().chain(extremes);
    let special: Vec<_> = special.map(T::from_f64).collect();
    let (length, width) = (5, 67);
    for (i, &number) in special.iter().enumerate() {
        // One of the inputs has the number in every ninth place, at another step in each column.
        for input in 0..3 {
            let inputs = [0, 1, 2].map(|k| {
                let shape = if k == 2 { vec![width] } else { vec![length, width] };
                let sample = Array::sample(&shape, 1 + k as u64).tensor::<T>().to_vec();
                Tensor::from_fn(&shape, |at| if k == input && at % 9 == i % 9 { number } else { sample[at] })
            });
            let forms: [[Recurrence<T>; 2]; 2] =
                [[linear_recurrence, by_steps], [linear_recurrence_reversed, by_steps_reversed]];
            for forms in forms {
                let [found, expected] = forms.map(|f| results(f, &inputs));
                for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    for (at, (x, y)) in found.to_vec().into_iter().zip(expected.to_vec()).enumerate() {
                        let what = format!("{}: {number:?} in input {input}, result {k} at {at}", T::NAME);
                        assert!(same_bits(x, y), "{what}: {x:?}, by steps {y:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn special_numbers_and_the_ends_of_the_range_pass_as_through_single_steps() {
    assert_special_numbers_pass_as_through_steps::<f32>([1e-45, -1e-39, 3e38, -3e38]);
    assert_special_numbers_pass_as_through_steps::<f64>([5e-324, -1e-310, 1.7e308, -1.7e308]);
}

#[test]
fn the_gradients_of_all_inputs_share_one_recurrence() {
    let tape = Tape::new();
    let [a, b, first] =
        [[4, 3].as_slice(), &[4, 3], &[3]].map(|shape| tape.leaf(Array::sample(shape, 8).tensor::<f64>()));
    linear_recurrence(a, b, first).sum().grad(&[a, b, first]);
    let recorded = (0..tape.len()).filter(|&i| tape.node(i).name == "linear_recurrence_vjp").count();
    assert_eq!(recorded, 1);
}

#[test]
fn no_step_at_all_gives_nothing_and_no_gradient() {
    for f in [linear_recurrence, linear_recurrence_reversed] {
        let inputs = [Tensor::<f64>::zeros(&[0, 3]), Tensor::zeros(&[0, 3]), Tensor::full(&[3], 2.0)];
        let results = results(f, &inputs);
        assert_eq!(results[0].shape(), [0, 3]);
        assert_eq!(results[3].to_vec(), [0.0; 3]);
        let tape = Tape::new();
        let [a, b, first] = inputs.map(|x| tape.leaf(x));
        let first_gradient = f(a, b, first).sum().grad(&[a, first]);
        assert_eq!((first_gradient[0].sum() + first_gradient[1].sum()).grad(&[first])[0].value().to_vec(), [0.0; 3]);
    }
}

#[test]
fn the_third_derivative_is_that_of_single_steps() {
    let [x, y, z] = [[4, 3].as_slice(), &[4, 3], &[3]].map(|shape| Array::sample(shape, 8).tensor::<f64>());
    let forms: [[Recurrence<f64>; 2]; 2] =
        [[linear_recurrence, by_steps], [linear_recurrence_reversed, by_steps_reversed]];
    for [in_one, by_steps] in forms {
        let [found, expected] = [in_one, by_steps].map(|f| {
            let tape = Tape::new();
            let inputs = [&x, &y, &z].map(|x| tape.leaf(x.clone()));
            let mut value = f(inputs[0], inputs[1], inputs[2]).sin().sum();
            for _ in 0..2 {
                value = value.grad(&inputs).into_iter().map(|g| g.sin().sum()).reduce(|a, b| a + b).expect("three");
            }
            value.grad(&inputs).into_iter().flat_map(|g| g.value().to_vec()).collect::<Vec<_>>()
        });
        assert!(expected.iter().filter(|x| x.abs() > 1e-3).count() > 20, "the derivatives are not 0");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-11 * expected.abs().max(1.0), "{found} and by steps {expected}");
        }
    }
}

/// The recurrence of `f32` numbers in `f64`, and a bound for the error of each step in `f32`: half an eps of the product and
/// of the sum, and the error before, times the coefficient.
fn exact_and_bound(a: &[f32], b: &[f32], width: usize) -> Vec<(f64, f64)> {
    let mut states: Vec<(f64, f64)> = Vec::with_capacity(b.len());
    for i in 0..b.len() {
        let (h, error) = if i < width { (0.0, 0.0) } else { states[i - width] };
        let product = f64::from(a[i]) * h;
        let next = product + f64::from(b[i]);
        let carried = f64::from(a[i]).abs() * error;
        let rounding = 0.5001 * f64::from(f32::EPSILON) * (product.abs() + next.abs() + 2.0 * carried);
        states.push((next, carried + rounding));
    }
    states
}

#[test]
fn single_precision_is_as_accurate_as_its_rounding_allows_over_long_sequences() {
    for length in [1_000, 100_000] {
        // Short memory, long memory, a sum, and a slowly growing state.
        for (least, most, relative) in [(0.0, 0.9, 1e-6), (0.99, 0.9999, 1e-4), (1.0, 1.0, 1e-3), (1.0, 1.00001, 1e-3)]
        {
            let width = 3;
            let wave = |i: usize, rate: f64| (i as f64 * rate).sin();
            let a: Vec<f32> =
                (0..length * width).map(|i| (least + (most - least) * (0.5 + 0.5 * wave(i, 0.7))) as f32).collect();
            let b: Vec<f32> = (0..length * width).map(|i| (0.3 + wave(i, 1.3)) as f32).collect();
            let tape = Tape::new();
            let leaf = |x: &[f32]| tape.leaf(Tensor::from_vec(x.to_vec(), &[length, width]));
            let h = linear_recurrence(leaf(&a), leaf(&b), tape.zeros(&[width])).value().to_vec();
            let expected = exact_and_bound(&a, &b, width);
            let largest = expected.iter().fold(0.0_f64, |m, (x, _)| m.max(x.abs()));
            for (i, (&found, (exact, bound))) in h.iter().zip(expected).enumerate() {
                let error = (f64::from(found) - exact).abs();
                assert!(error <= bound, "element {i} of {length} steps: {found}, exactly {exact}, within {bound}");
                assert!(error <= relative * largest, "element {i} of {length} steps, a to {most}: off by {error}");
            }
        }
    }
}

#[test]
fn nan_and_infinity_stay_in_their_column_and_are_not_hidden() {
    let tape = Tape::<f32>::new();
    let (length, bad) = (7, 3);
    let row = |at: usize, value: f32, other: f32| {
        tape.leaf(Tensor::from_fn(&[length, 2], |i| if i == 2 * at { value } else { other }))
    };
    let plain = row(0, 0.5, 0.5);
    let first = tape.leaf(Tensor::full(&[2], 1.0));
    for (a, b) in [(row(bad, f32::NAN, 0.5), plain), (plain, row(bad, f32::NAN, 0.5))] {
        let h = linear_recurrence(a, b, first);
        for (i, x) in h.value().to_vec().into_iter().enumerate() {
            assert_eq!(x.is_nan(), i % 2 == 0 && i / 2 >= bad, "element {i}");
        }
    }
    // A coefficient of 0 after an infinite state: 0·∞ is NaN, as in a product.
    let a = tape.leaf(Tensor::from_vec(vec![0.5, 0.5, 0.0, 0.0], &[4]));
    let b = tape.leaf(Tensor::from_vec(vec![1.0, f32::INFINITY, 1.0, 1.0], &[4]));
    let h = linear_recurrence(a, b, tape.zeros(&[])).value().to_vec();
    assert_eq!(h[..2], [1.0, f32::INFINITY]);
    assert!(h[2].is_nan() && h[3].is_nan(), "{h:?}");
    // A state overflows to infinity, and underflows to 0 through the smallest numbers.
    let powers = |a: f32| {
        let (a, b) = (tape.leaf(Tensor::full(&[200], a)), tape.zeros(&[200]));
        linear_recurrence(a, b, tape.scalar(1.0)).value().to_vec()
    };
    let (growing, shrinking) = (powers(2.0), powers(0.5));
    assert_eq!((growing[126], growing[127]), (2_f32.powi(127), f32::INFINITY));
    assert_eq!((shrinking[148], shrinking[149]), (f32::from_bits(1), 0.0));
}

#[test]
fn a_cotangent_is_multiplied_only_by_the_coefficients_after_its_step() {
    let tape = Tape::<f64>::new();
    // The first coefficient is infinite: it scales the first state and no b.
    let a = tape.leaf(Tensor::from_vec(vec![f64::INFINITY, 2.0, 3.0], &[3]));
    let b = tape.leaf(Tensor::full(&[3], 1.0));
    let first = tape.leaf(Tensor::scalar(0.5));
    let gradients = linear_recurrence(a, b, first).sum().backward();
    assert_eq!(gradients.get(b).to_vec(), [1.0 + 2.0 * (1.0 + 3.0), 4.0, 1.0]);
    assert_eq!(gradients.get(first).item(), f64::INFINITY);
    assert_eq!(gradients.get(a).to_vec()[0], 0.5 * 9.0);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let tape = Tape::<f64>::new();
    let of = |shape: &[usize]| tape.leaf(Tensor::full(shape, 0.5));
    let (b, first) = (of(&[4, 2, 3]), of(&[2, 3]));
    let expected = "do not fit: expected b [T, …], a that broadcasts to b, and a first state […] of b's other axes";
    refused!(format!("linear_recurrence: shapes [4, 2, 2], [4, 2, 3] and [2, 3] {expected}"), {
        linear_recurrence(of(&[4, 2, 2]), b, first)
    });
    refused!(format!("linear_recurrence: shapes [4, 2, 3], [1, 2, 3] and [2, 3] {expected}"), {
        linear_recurrence(b, of(&[1, 2, 3]), first)
    });
    refused!(format!("linear_recurrence: shapes [4, 2, 3], [4, 2, 3] and [1, 3] {expected}"), {
        linear_recurrence_reversed(b, b, of(&[1, 3]))
    });
    let scalar = of(&[]);
    refused!(format!("linear_recurrence: shapes [], [] and [] {expected}"), linear_recurrence(scalar, scalar, scalar));
    let other = Tape::new();
    let elsewhere = other.leaf(Tensor::full(&[2, 3], 0.5));
    refused!("linear_recurrence: input 2 lives on another tape than this one", linear_recurrence(b, b, elsewhere));
}
