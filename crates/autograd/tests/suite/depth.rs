//! Nothing recurses over the graph: a million nodes forward, backward and dropped, in the default stack.

use rewind_autograd::{Tape, Tensor, check};

#[test]
fn a_chain_of_a_million_nodes() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::from_vec(vec![0.5, -0.25], &[2]));
    let mut y = x;
    for _ in 0..1_000_000 {
        y = y * 0.999_999 + 1e-7;
    }
    assert!(tape.len() > 1_000_000);
    let gradient = y.sum().backward().get(x);
    let expected = 0.999_999_f64.powi(1_000_000);
    assert!((gradient.at(&[0]) / expected - 1.0).abs() < 1e-9);
    drop(tape);
}

#[test]
fn smoke() {
    let r = |s: &[usize], k: f64| Tensor::from_fn(s, |i| ((i as f64 + k) * 1.7).sin());
    check::function(&[r(&[3, 4], 0.0), r(&[4, 5], 1.0), r(&[5], 2.0)], |_, v| {
        let g = v[0].affine(v[1], Some(v[2])).tanh().sigmoid();
        let p: [_; 5] = g.split(1);
        (p[0] * p[1] - p[2]) / (p[3] * p[3] + 1.0) + p[4].softplus()
    })
    .assert();
    check::function(&[r(&[2, 3, 4], 0.0), r(&[4, 5], 1.0), r(&[1, 5, 3], 2.0)], |_, v| {
        v[0].matmul(v[1]).log_softmax(2).matmul(v[2]).softmax(0).log_sum_exp(1)
    })
    .assert();
}
