//! Nothing recurses over the graph: forward, backward at both orders, and drop of long chains in the default stack.

use rewind_autograd::{Tape, Tensor};

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
fn a_second_order_sweep_over_a_hundred_thousand_nodes() {
    const STEPS: i32 = 100_000;
    let tape = Tape::new();
    let (x, c) = (tape.leaf(Tensor::scalar(0.5_f64)), tape.leaf(Tensor::scalar(0.999_99)));
    // y = x·c^n, so ∂y/∂x = c^n and ∂²y/∂x∂c = n·c^(n-1).
    let y = (0..STEPS).fold(x, |y, _| y * c);
    let first = y.grad(&[x])[0];
    assert!(tape.len() > 2 * STEPS as usize);
    let power = 0.999_99_f64.powi(STEPS);
    assert!((first.value().item() / power - 1.0).abs() < 1e-9);
    let mixed = first.backward_to(&[c]).get(c).item();
    assert!((mixed / (f64::from(STEPS) * power / 0.999_99) - 1.0).abs() < 1e-9);
    drop(tape);
}
