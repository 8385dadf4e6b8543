//! The op that made a NaN or an infinity, in the ways in which they are really made.

use rewind_autograd::nonfinite::{Origin, Pass, first_nonfinite};
use rewind_autograd::ops::linalg::affine;
use rewind_autograd::{Tape, Tensor, Var, checkpoint};

fn row(numbers: &[f64]) -> Tensor<f64> {
    Tensor::from_vec(numbers.to_vec(), &[numbers.len()])
}

#[track_caller]
fn found(v: Var<'_, f64>) -> Origin {
    let before = v.tape().len();
    let report = v.find_nonfinite().expect("something is not finite");
    assert_eq!(v.tape().len(), before, "the tape stays as it was");
    report
}

#[test]
fn nothing_is_found_where_all_is_finite() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[1.0, 2.0]));
    assert_eq!((x.ln() * x.sqrt()).sum().find_nonfinite(), None);
    // No gradient at all.
    assert_eq!(tape.constant(row(&[1.0])).exp().find_nonfinite(), None);
}

#[test]
fn zero_by_zero() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[1.0, 0.0, 0.0]));
    let y = x / (x * 2.0);
    let line = line!() - 1;
    let report = found((y + 1.0).sum());
    assert_eq!((report.pass, report.place.op, report.place.position), (Pass::Forward, "div", y.position()));
    assert_eq!((report.place.location.file(), report.place.location.line()), (file!(), line));
    assert_eq!((report.index, report.count, report.of), (vec![1], 2, 3));
    assert!(report.value.is_nan());
    assert_eq!(report.operands.iter().map(|x| x.here).collect::<Vec<_>>(), [Some(0.0), Some(0.0)]);
    assert_eq!((report.operands[1].norm, report.operands[1].least, report.operands[1].most), (2.0, 0.0, 2.0));
}

#[test]
fn the_logarithm_of_a_negative_number_by_time_step() {
    let tape = Tape::new();
    let w = tape.parameter("encoder.w", row(&[0.9, 0.5]));
    let mut h = tape.constant(row(&[1.0, 2.0]));
    for t in 0..4 {
        let _step = tape.numbered_scope("t", t);
        h = (h * w).ln() + 0.8;
    }
    let report = found(h.sum());
    // 2 · 0.5 → ln 1 + 0.8 → ln 0.4 + 0.8 = -0.116 → ln of a negative number.
    assert_eq!((report.place.op, report.place.scope.as_str()), ("ln", "encoder/t=2"));
    assert_eq!(report.index, [1]);
    assert!(report.operands[0].here.is_some_and(|x| x < 0.0));
    let scopes: Vec<_> = report.trail.iter().map(|size| size.place.scope.as_str()).collect();
    assert_eq!(scopes[0], "encoder/t=1");
}

#[test]
fn a_naive_softmax() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[1.0, 1000.0]));
    let e = x.exp();
    let report = found((e / e.sum()).sum());
    assert_eq!((report.place.op, report.value, report.index), ("exp", f64::INFINITY, vec![1]));
    assert_eq!(report.operands[0].here, Some(1000.0));
    assert_eq!(report.turned_nan.expect("infinity by infinity").op, "div");

    let logits = tape.leaf(row(&[0.0, 1.0])).ln();
    let report = found((logits - logits).sum());
    assert_eq!((report.place.op, report.value), ("ln", f64::NEG_INFINITY));
    assert_eq!(report.turned_nan.expect("infinity less infinity").op, "sub");
}

#[test]
fn exploding_recurrent_weights() {
    let tape = Tape::new();
    let u = tape.parameter("rnn.weight_hh", Tensor::full(&[2, 2], 3.0e20));
    let mut h = tape.constant(Tensor::full(&[1, 2], 1.0));
    for t in 0..30 {
        let _step = tape.numbered_scope("t", t);
        h = h.matmul(u).relu();
    }
    let report = found(h.sum());
    // Each step multiplies by 6e20: 6e20^14 is the last that fits.
    assert_eq!((report.place.op, report.place.scope.as_str()), ("matmul", "rnn/t=14"));
    let norms: Vec<_> = report.trail.iter().map(|size| size.norm).collect();
    assert_eq!(norms.len(), 8);
    assert!(norms.windows(2).all(|pair| pair[0] > pair[1] * 1e20), "{norms:?}");
    assert_eq!(report.trail[0].place.scope, "rnn/t=13");
}

#[test]
fn exploding_gradients_of_values_that_stay_small() {
    let tape = Tape::new();
    let first = tape.leaf(row(&[0.0, 0.0]));
    let mut h = first;
    for t in 0..5 {
        let _step = tape.numbered_scope("t", t);
        h = h * 1e80;
    }
    let report = found(h.sum());
    assert_eq!((&report.pass, report.place.scope.as_str()), (&Pass::Rule { input: 0 }, "t=1"));
    assert_eq!(report.operands[0].what, "cotangent");
    assert_eq!(report.operands[0].most, 1e240);
    let trail: Vec<_> = report.trail.iter().map(|size| (size.place.scope.as_str(), size.most)).collect();
    let expected = [("t=2", 1e160), ("t=3", 1e80), ("t=4", 1.0)];
    assert_eq!(trail.len(), 4, "three steps, and the sum: {trail:?}");
    for ((scope, most), (at, size)) in trail.into_iter().zip(expected) {
        assert_eq!(scope, at);
        assert!((most / size - 1.0).abs() < 1e-12, "{most}");
    }
}

#[test]
fn a_root_has_no_slope_at_zero() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[4.0, 0.0]));
    let report = found(x.sqrt().sum());
    assert_eq!((report.pass, report.place.op), (Pass::Rule { input: 0 }, "sqrt"));
    assert_eq!((report.value, report.index), (f64::INFINITY, vec![1]));
    let [cotangent, input, value] = &report.operands[..] else { panic!("{:?}", report.operands) };
    assert_eq!((cotangent.here, input.here, value.here), (Some(1.0), Some(0.0), Some(0.0)));
    // A norm at 0: finite for the sum of squares, infinite below it, NaN at the leaf.
    let x = tape.leaf(row(&[0.0, 0.0, 0.0]));
    let norm = (x * x).sum().sqrt();
    let report = found(norm);
    assert_eq!((report.place.op, report.place.position), ("sqrt", norm.position()));
}

#[test]
fn a_mask_that_hides_a_value_and_not_its_gradient() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[4.0, -1.0]));
    let mask = tape.constant(row(&[1.0, 0.0]));
    let y = mask.select(x.sqrt(), tape.scalar(0.0)).sum();
    assert_eq!(y.value().item(), 2.0);
    let report = found(y);
    assert_eq!((report.pass, report.place.op, report.index), (Pass::Rule { input: 0 }, "sqrt", vec![1]));
    // What is cut off before it is used is no fault.
    let padded = tape.constant(row(&[4.0, f64::NAN]));
    let clean = mask.select(padded, tape.scalar(1.0)) * x;
    assert_eq!(clean.sum().find_nonfinite(), None);
}

#[test]
fn a_sum_of_finite_terms() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[0.1]));
    let report = found((x * 1e308 + x * 1e308).sum());
    assert_eq!((report.pass, report.place.op, report.value), (Pass::Sum, "leaf", f64::INFINITY));
}

#[test]
fn data_that_is_not_finite_to_begin_with() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[1.0, f64::NAN]));
    let report = found((x * 2.0).sum());
    assert_eq!((report.place.op, report.index, report.operands.len()), ("leaf", vec![1], 0));
}

#[test]
fn derivatives_of_derivatives() {
    let tape = Tape::new();
    let x = tape.parameter("x", row(&[0.0, 1.0]));
    let first = x.powf(1.5).sum().grad(&[x])[0];
    assert!(first.value().all_finite());
    let report = found(first.sum());
    assert!(matches!(report.pass, Pass::Rule { .. }), "the second derivative of x^1.5 is infinite at 0: {report}");
    let second = first.sum().grad(&[x])[0];
    assert_eq!(found(second).pass, Pass::Forward, "recorded, it is a value of the tape");
}

#[test]
fn a_report_reads_well() {
    let tape = Tape::new();
    let w = tape.parameter("cell.w", row(&[2.0, -1.0]));
    let mut h = tape.constant(row(&[1.0, 1.0]));
    for t in 0..2 {
        let _step = tape.numbered_scope("t", t);
        h = (h * w).sqrt();
    }
    let text = found(h.sum()).to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("not finite: the value of sqrt at cell/t=0 (crates/autograd/tests/suite/nonfinite.rs:")
    );
    assert!(lines[0].ends_with(") is NaN at [1], 1 of 2 numbers"), "{text}");
    assert!(lines[1].starts_with("  input 0    norm 2.236e0    -1.000e0 to +2.000e0, there -1.000e0  mul at cell/t=0"));
    assert_eq!(lines[2], "  how it came to that, the latest first:");
    assert!(lines[3].starts_with("    value      norm 2.236e0    -1.000e0 to +2.000e0  leaf at cell.w"), "{text}");
}

#[test]
fn the_first_number_of_a_tensor() {
    let x = Tensor::from_fn(&[2, 3], |i| if i == 4 { f32::NEG_INFINITY } else { 1.0 });
    assert_eq!(first_nonfinite(&x), Some((vec![1, 1], f64::NEG_INFINITY)));
    assert_eq!(first_nonfinite(&x.slice(0, 0..1)), None);
    assert_eq!(first_nonfinite(&x.transpose()), Some((vec![1, 1], f64::NEG_INFINITY)));
}

#[test]
fn within_a_checkpoint_it_is_found_where_it_was_made() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[30.0, 2.0]));
    // Segments of two steps: h - 1, and then its logarithm or root.
    let segments = |root: bool| {
        let _encoder = tape.scope("encoder");
        (0..2_usize).fold(x, |h, segment| {
            checkpoint(&[h], move |tape, v| {
                (0..2).fold(v[0], |h, t| {
                    let _step = tape.numbered_scope("t", 2 * segment + t);
                    if root { (h - 1.0).sqrt() } else { (h - 1.0).ln() + 2.0 }
                })
            })
        })
    };
    // 2 → ln 1 + 2 = 2, over and over, and 30 falls towards 3.
    assert_eq!(segments(false).sum().find_nonfinite(), None);
    // 2 → √1 → √0, whose slope is infinite, at the second step; its own value is finite, the next one is not.
    let report = found(segments(true).sum());
    assert_eq!((report.pass, report.place.op, report.place.scope.as_str()), (Pass::Forward, "sqrt", "encoder/t=2"));
    assert_eq!((report.index.as_slice(), report.operands[0].here), (&[1][..], Some(-1.0)));
    // Of the first segment alone the value is finite and the gradient is not.
    let first = {
        let _encoder = tape.scope("encoder");
        checkpoint(&[x], |tape, v| {
            (0..2).fold(v[0], |h, t| {
                let _step = tape.numbered_scope("t", t);
                (h - 1.0).sqrt()
            })
        })
    };
    let report = found(first.sum());
    assert_eq!((report.pass, report.place.op), (Pass::Rule { input: 0 }, "sqrt"));
    assert_eq!((report.place.scope.as_str(), report.place.position), ("encoder/t=1", first.position()));
}

/// 0·NaN is NaN, however the product is recorded and however the zeros were made.
#[test]
fn zeros_hide_no_nan_of_a_weight() {
    let tape = Tape::new();
    let weight = Tensor::from_fn(&[3, 5], |i| if i == 7 { f64::NAN } else { 0.5 });
    let nan = tape.leaf(weight);
    let (x, w) = (tape.leaf(Tensor::full(&[7, 2], 2.0)), tape.leaf(Tensor::full(&[2, 5], 3.0)));
    let b = tape.leaf(row(&[1.0, 2.0, 3.0, 4.0, 5.0]));
    let stretched = Tensor::scalar(0.0).broadcast_to(&[7, 3]);
    for zeros in [tape.zeros(&[7, 3]), tape.constant(Tensor::zeros(&[7, 3])), tape.constant(stretched)] {
        let products = [
            ("matmul", zeros.matmul(nan), 0.0),
            ("affine", zeros.affine(nan, Some(b)), 4.0),
            ("affine", affine(&[(x, w), (zeros, nan)], Some(b)), 16.0),
            ("affine", affine(&[(zeros, nan), (x, w)], Some(b)), 16.0),
        ];
        for (op, product, last_but_one) in products {
            let value = product.value().index(0, 6).to_vec();
            assert!(value[2].is_nan(), "element 7 of the weight lies in column 2: {value:?}");
            assert_eq!(value[3], last_but_one, "{op}");
            let report = found(product.sum());
            assert_eq!((report.pass, report.place.position, report.index), (Pass::Forward, nan.position(), vec![1, 2]));
        }
        assert_eq!(zeros.matmul(nan).sum().backward().get(nan).to_vec(), [0.0; 15]);
        // In the sweep, too: a cotangent of 0 is multiplied by the transpose.
        let other = tape.leaf(Tensor::full(&[7, 3], 2.0));
        let cotangent = other.matmul(nan).sum().backward_from(&Tensor::scalar(0.0)).get(other);
        assert!(cotangent.at(&[0, 1]).is_nan() && cotangent.at(&[0, 0]) == 0.0);
    }
}
