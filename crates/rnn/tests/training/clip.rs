//! Clipping: scaled gradients, returned norms, and errors.

use rewind_autograd::{Parameters, Tensor, parameters};
use rewind_rnn::clip::{clip_norm, clip_value, joint_norm};

parameters! {
    struct Pair<P> { a: P, b: P }
}

fn pair(a: Vec<f64>, b: Vec<f64>) -> Pair<Tensor<f64>> {
    let tensor = |x: Vec<f64>| Tensor::from_vec(x.clone(), &[x.len()]);
    Pair { a: tensor(a), b: tensor(b) }
}

fn numbers(g: &Pair<Tensor<f64>>) -> Vec<f64> {
    g.leaves().iter().flat_map(|g| g.to_vec()).collect()
}

#[test]
fn the_joint_norm_decides() {
    let mut g = pair(vec![3.0], vec![0.0, 4.0]);
    assert_eq!(clip_norm(&mut g, 5.1).expect("finite"), 5.0);
    assert_eq!(numbers(&g), [3.0, 0.0, 4.0], "what is short enough keeps its bits");
    assert_eq!(clip_norm(&mut g, 1.0).expect("finite"), 5.0);
    let scale = 1.0 / (5.0 + 1e-6);
    assert_eq!(numbers(&g), [3.0 * scale, 0.0, 4.0 * scale]);
    assert_eq!(clip_norm(&mut g, f64::INFINITY).expect("finite"), joint_norm(&g).expect("finite"));
}

#[test]
fn squares_may_leave_the_range_of_numbers() {
    let huge = joint_norm(&pair(vec![3e200], vec![-4e200])).expect("finite");
    assert!((huge / 5e200 - 1.0).abs() < 1e-15);
    let tiny = joint_norm(&pair(vec![3e-200], vec![4e-200])).expect("finite");
    assert!((tiny / 5e-200 - 1.0).abs() < 1e-15);
    let single = Pair { a: Tensor::full(&[1], 3e30_f32), b: Tensor::full(&[1], 4e30) };
    assert!((joint_norm(&single).expect("finite") / 5e30 - 1.0).abs() < 1e-6);
    assert_eq!(joint_norm(&pair(vec![], vec![])).expect("nothing is NaN"), 0.0);
}

#[test]
fn gradients_whose_norm_overflows_are_scaled_correctly() {
    let mut g = pair(vec![1.7e308], vec![-1.7e308]);
    assert_eq!(clip_norm(&mut g, 5.0).expect("finite"), f64::INFINITY);
    let half = 5.0 / 2.0_f64.sqrt();
    assert!(numbers(&g).iter().zip([half, -half]).all(|(g, expected)| (g - expected).abs() < 1e-15), "{g:?}");
    let mut g = pair(vec![1.7e308], vec![1.7e308, 0.0]);
    clip_norm(&mut g, 1.7e308).expect("finite");
    let shorter = 1.7e308 / 2.0_f64.sqrt();
    assert!(numbers(&g).iter().zip([shorter, shorter, 0.0]).all(|(g, e)| (g - e).abs() <= 1e-15 * e), "{g:?}");
    let mut g = pair(vec![1.7e308], vec![1.7e308]);
    clip_norm(&mut g, f64::INFINITY).expect("finite");
    assert_eq!(numbers(&g), [1.7e308; 2]);

    // The scale 1e-39 is no normal number in single precision, the scaled gradients are.
    let mut single = Pair { a: Tensor::full(&[1], 3e38_f32), b: Tensor::full(&[1], 1e38) };
    clip_norm(&mut single, 0.1).expect("finite");
    let norm = joint_norm(&single).expect("finite");
    assert!((norm - 0.1).abs() < 1e-8, "{norm}");
    assert!((single.a.item() / single.b.item() - 3.0).abs() < 1e-6);
}

#[test]
fn values_are_clamped() {
    let mut g = pair(vec![-3.0, 0.5], vec![2.0]);
    assert_eq!(clip_value(&mut g, 1.0).expect("finite"), 2);
    assert_eq!(numbers(&g), [-1.0, 0.5, 1.0]);
    assert_eq!(clip_value(&mut g, 1.0).expect("finite"), 0, "what is within the limit is not counted");
}

#[test]
fn bad_gradients_and_limits_change_nothing() {
    let mut g = pair(vec![100.0], vec![1.0, f64::NAN]);
    let message = "clip: the gradient of `b` is NaN at [1]; expected finite numbers";
    assert_eq!(clip_norm(&mut g, 1.0).expect_err("NaN").to_string(), message);
    assert_eq!(clip_value(&mut g, 1.0).expect_err("NaN").to_string(), message);
    assert_eq!(numbers(&g)[..2], [100.0, 1.0]);
    let mut g = pair(vec![f64::NEG_INFINITY], vec![]);
    let message = "clip: the gradient of `a` is -inf at [0]; expected finite numbers";
    assert_eq!(clip_norm(&mut g, 1.0).expect_err("infinite").to_string(), message);
    let mut g = pair(vec![2.0], vec![]);
    let message = "clip: max_norm is NaN; expected a number >= 0";
    assert_eq!(clip_norm(&mut g, f64::NAN).expect_err("no norm").to_string(), message);
    let message = "clip: limit is -1; expected a number >= 0";
    assert_eq!(clip_value(&mut g, -1.0).expect_err("no limit").to_string(), message);
    assert_eq!(numbers(&g), [2.0]);
}

#[test]
fn a_view_that_shares_its_numbers_is_clipped_alone() {
    // The gradient of a sum is one element, broadcast.
    let one = Tensor::scalar(2.0);
    let mut g = Pair { a: one.broadcast_to(&[4]), b: one.clone() };
    clip_value(&mut g, 1.0).expect("finite");
    assert_eq!((one.item(), numbers(&g)), (2.0, vec![1.0; 5]));
}

#[test]
fn the_joint_norm_is_that_of_all_numbers_in_one_tensor() {
    let (a, b) = (Tensor::full(&[7, 33], 1e19_f32), Tensor::full(&[1], 3e19_f32));
    let all = Tensor::from_vec([a.to_vec(), b.to_vec()].concat(), &[232]);
    let joint = joint_norm(&Pair { a, b }).expect("finite");
    assert_eq!(joint as f32, all.norm());
    assert!((joint / (240_f64.sqrt() * 1e19) - 1.0).abs() < 1e-7, "{joint}");
}
