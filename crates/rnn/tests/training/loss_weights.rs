//! Class weights of the cross-entropy: against plain loops, against PyTorch, and bad ones.

use rewind_autograd::{Scalar, Tape, Tensor};
use rewind_rnn::check;
use rewind_rnn::loss::{CrossEntropy, Reduction, cross_entropy, cross_entropy_steps};
use rewind_rnn::{Error, ErrorKind};

const WEIGHTS: [f64; 4] = [0.5, 2.0, 0.0, 3.25];
const TARGETS: [Option<usize>; 6] = [Some(1), None, Some(0), Some(3), Some(2), Some(1)];

fn numbers<T: Scalar>(shape: &[usize]) -> Tensor<T> {
    Tensor::from_fn(shape, |i| T::from_f64((i as f64 * 0.7 - 3.0).sin() * 2.0))
}

/// Σ_n Σ_c w_c·q_nc·(-ln p_nc), and Σ_n w of the target of n, over the rows that count: p is the softmax, q the smoothed target.
fn by_hand(logits: &[f64], smoothing: f64) -> (f64, f64) {
    let (mut sum, mut weight) = (0.0, 0.0);
    for (row, target) in logits.chunks(4).zip(TARGETS) {
        let Some(target) = target else { continue };
        let total: f64 = row.iter().map(|x| x.exp()).sum();
        for (c, x) in row.iter().enumerate() {
            let q = smoothing / 4.0 + if c == target { 1.0 - smoothing } else { 0.0 };
            sum += WEIGHTS[c] * q * (total.ln() - x);
        }
        weight += WEIGHTS[target];
    }
    (sum, weight)
}

fn weighted<T: Scalar>(smoothing: f64, reduction: Reduction) -> f64 {
    let tape = Tape::<T>::new();
    let x = tape.leaf(numbers(&[6, 4]));
    let settings = CrossEntropy { smoothing, reduction, class_weights: Some(&WEIGHTS) };
    cross_entropy(x, &TARGETS, settings).expect("good").value().item().to_f64()
}

#[test]
fn weights_multiply_the_terms_and_divide_the_mean() {
    for smoothing in [0.0, 0.1, 0.9] {
        let (sum, weight) = by_hand(&numbers::<f64>(&[6, 4]).to_vec(), smoothing);
        for (reduction, expected) in [(Reduction::Sum, sum), (Reduction::Mean, sum / weight)] {
            let (found, short) = (weighted::<f64>(smoothing, reduction), weighted::<f32>(smoothing, reduction));
            assert!((found - expected).abs() < 1e-14 * expected, "{smoothing}, {reduction:?}: {found}, {expected}");
            assert!((short - expected).abs() < 2e-6 * expected, "{smoothing}, {reduction:?}: {short}, {expected}");
        }
    }
}

/// PyTorch 2.15: `x = (torch.arange(24, dtype=torch.float64) * 0.7 - 3).sin().reshape(6, 4) * 2`,
/// `F.cross_entropy(x, tensor([1, -100, 0, 3, 2, 1]), weight=tensor([0.5, 2, 0, 3.25]), label_smoothing=s, reduction=r)`.
#[test]
fn weights_agree_with_pytorch() {
    for (smoothing, reduction, expected) in [
        (0.0, Reduction::Mean, 1.4025444402835403),
        (0.0, Reduction::Sum, 10.869719412197437),
        (0.1, Reduction::Mean, 1.4456490400554776),
        (0.1, Reduction::Sum, 11.20378006042995),
    ] {
        let found = weighted::<f64>(smoothing, reduction);
        assert!((found - expected).abs() < 1e-12 * expected, "{smoothing}, {reduction:?}: {found}");
    }
}

#[test]
fn weights_of_one_change_nothing() {
    let tape = Tape::<f64>::new();
    let x = tape.leaf(numbers(&[6, 4]));
    let plain = CrossEntropy { smoothing: 0.2, ..CrossEntropy::default() };
    let ones = CrossEntropy { class_weights: Some(&[1.0; 4]), ..plain };
    let item = |settings| cross_entropy(x, &TARGETS, settings).expect("good").value().item();
    assert_eq!(item(plain), item(ones));
}

#[test]
fn weights_count_real_steps_alone_and_agree_with_differences() {
    let settings = CrossEntropy { smoothing: 0.3, class_weights: Some(&WEIGHTS), ..CrossEntropy::default() };
    let x = numbers::<f64>(&[3, 2, 4]);
    let loss = |x| cross_entropy_steps(x, &[1, 0, 3, 99, 0, 99], &[3, 1], settings).expect("good");
    let tape = Tape::new();
    let losses = loss(tape.leaf(x.clone()));
    let rows = tape.leaf(Tensor::from_vec(
        [0, 1, 2, 4].iter().flat_map(|&row| x.to_vec()[row * 4..][..4].to_vec()).collect(),
        &[4, 4],
    ));
    let expected = cross_entropy(rows, &[1, 0, 3, 0], settings).expect("good").value().item();
    assert!((losses.total.value().item() - expected).abs() < 1e-14);
    check::function(&[x], |_, x| {
        cross_entropy_steps(x[0], &[1, 0, 3, 99, 0, 99], &[3, 1], settings).expect("good").per_step
    })
    .assert();
}

#[test]
fn bad_weights_are_named() {
    let tape = Tape::<f64>::new();
    let x = tape.leaf(numbers(&[2, 4]));
    let refused = |weights: &[f64], reduction| -> Error {
        let settings = CrossEntropy { class_weights: Some(weights), reduction, smoothing: 0.0 };
        cross_entropy(x, &[2, 2], settings).expect_err("this must be refused")
    };
    assert_eq!(
        refused(&[1.0; 3], Reduction::Mean).to_string(),
        "cross_entropy: 3 class weights; expected 4, the last axis of the logits"
    );
    for weight in [-0.5, f64::NAN, f64::INFINITY] {
        assert_eq!(
            refused(&[1.0, weight, 1.0, 1.0], Reduction::Sum).to_string(),
            format!("cross_entropy: the weight of class 1 is {weight}; expected a finite number of 0 or more")
        );
    }
    // What is 0 or ∞ in single precision, or a part of a number.
    let single = Tape::<f32>::new();
    let logits = single.leaf(numbers(&[2, 4]));
    for (weights, message) in [
        (
            [1.0, 1.0, 1e-50, 1.0],
            "the weight of class 2 is 1e-50, out of the range of f32; expected weights closer to 1",
        ),
        (
            [1.0, 1e300, 1.0, 1.0],
            "the weight of class 1 is 1e300, out of the range of f32; expected weights closer to 1",
        ),
        (
            [1.0, 1.0, 1.0, 1e-44],
            "the weight of class 3 is 1e-44, out of the range of f32; expected weights closer to 1",
        ),
        ([1.0, 1.0, 3e38, 1.0], "the class weights of 2 rows add up to 6e38; expected a sum in the range of f32"),
    ] {
        let settings = CrossEntropy { class_weights: Some(&weights), ..CrossEntropy::default() };
        let error = cross_entropy(logits, &[2, 2], settings).expect_err("out of range");
        assert_eq!(error.to_string(), format!("cross_entropy: {message}"));
        let wide = cross_entropy(x, &[2, 2], settings).expect("in the range of f64");
        assert!(wide.value().item().is_finite());
    }
    let error = refused(&WEIGHTS, Reduction::Mean);
    assert_eq!(
        error.to_string(),
        "cross_entropy: the targets of all 2 rows that count have class weight 0; expected a mean over some weight"
    );
    assert!(matches!(error.kind(), ErrorKind::Empty));
    let sum = CrossEntropy { class_weights: Some(&WEIGHTS), reduction: Reduction::Sum, smoothing: 0.0 };
    let loss = cross_entropy(x, &[2, 2], sum).expect("a sum of nothing is 0");
    assert_eq!((loss.value().item(), loss.backward().get(x).norm()), (0.0, 0.0));
}
