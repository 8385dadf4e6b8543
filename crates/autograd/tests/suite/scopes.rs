//! What a node says about its place in the program.

use rewind_autograd::ops::linalg::affine;
use rewind_autograd::{OnTape, Tape, Tensor, parameters};

parameters! {
    struct Dense<P> { weight: P, bias: P }
}

parameters! {
    struct Net<P> { layers: Vec<Dense<P>>, scale: P }
}

fn net() -> Net<Tensor<f64>> {
    let dense = || Dense { weight: Tensor::full(&[2, 2], 0.3), bias: Tensor::full(&[2], 0.1) };
    Net { layers: vec![dense(), dense()], scale: Tensor::scalar(2.0) }
}

#[test]
fn parameters_carry_their_dotted_names() {
    let tape = Tape::new();
    let on_tape = net().on(&tape);
    assert_eq!(on_tape.layers[1].bias.scope(), "layers.1.bias");
    assert_eq!(on_tape.scale.scope(), "scale");
    let _outer = tape.scope("teacher");
    assert_eq!(net().on(&tape).layers[0].weight.scope(), "teacher/layers.0.weight");
}

#[test]
fn the_layer_is_that_of_the_parameters_read_last() {
    let tape = Tape::new();
    let on_tape = net().on(&tape);
    let mut h = tape.constant(Tensor::full(&[1, 2], 0.5));
    let mut seen = Vec::new();
    for t in 0..2 {
        let _step = tape.numbered_scope("t", t);
        for layer in &on_tape.layers {
            let z = affine(&[(h, layer.weight)], Some(layer.bias));
            h = z.tanh() * 2.0;
            seen.extend([z.scope(), h.scope()]);
        }
    }
    let expected = ["layers.0/t=0", "layers.0/t=0", "layers.1/t=0", "layers.1/t=0"];
    assert_eq!(seen[..4], expected);
    assert_eq!(seen[4..], expected.map(|s| s.replace("t=0", "t=1")));
    // Both layers at once: what their names share. Outside the loop: the steps are not around this node.
    let both = on_tape.layers[0].weight * on_tape.layers[1].weight;
    assert_eq!((both.scope().as_str(), h.sum().scope().as_str()), ("layers", ""));
    let parameters = tape.node(both.position()).parameters;
    assert_eq!(parameters, ["layers.0.weight", "layers.1.weight"]);
}

#[test]
fn a_layer_that_is_also_a_scope_is_named_once() {
    let tape = Tape::new();
    let x = tape.constant(Tensor::full(&[1, 2], 0.5));
    let w = tape.parameter("encoder.weight", Tensor::full(&[2, 2], 0.5));
    let _encoder = tape.scope("encoder");
    let _step = tape.numbered_scope("t", 7);
    assert_eq!(x.matmul(w).scope(), "encoder/t=7");
}

#[test]
fn gates_are_named_until_they_meet() {
    let tape = Tape::new();
    let z = tape.leaf(Tensor::from_fn(&[2, 6], |i| i as f64));
    let _step = tape.numbered_scope("t", 4);
    let [r, u, n] = z.split_named(1, &["r", "u", "n"]);
    assert_eq!([r, u, n].map(|v| v.scope()), ["t=4/r", "t=4/u", "t=4/n"]);
    assert_eq!(u.sigmoid().exp().scope(), "t=4/u");
    assert_eq!((u.sigmoid() * n.tanh()).scope(), "t=4");
    let [a, b] = z.split(1);
    assert_eq!([a, b].map(|v| v.scope()), ["t=4/1 of 2", "t=4/2 of 2"]);
    // What comes later is no part.
    assert_eq!((a * b).scope(), "t=4");
}

#[test]
fn what_a_recorded_sweep_adds_stands_where_its_node_does() {
    let tape = Tape::new();
    let w = tape.parameter("w", Tensor::scalar(0.5));
    let mut h = tape.constant(Tensor::scalar(1.0));
    for t in 0..3 {
        let _step = tape.numbered_scope("t", t);
        h = (h * w).sin();
    }
    let before = tape.len();
    let gradient = h.grad(&[w])[0];
    assert!(gradient.is_tracked());
    let scopes: Vec<_> = (before..tape.len()).map(|i| tape.node(i).scope).collect();
    // From the last step to the first, and the sum of the terms of w last.
    let mut steps: Vec<_> = scopes.iter().filter(|s| s.starts_with("t=")).map(|s| s[..3].to_owned()).collect();
    steps.dedup();
    assert_eq!(steps, ["t=2", "t=1", "t=0"], "{scopes:?}");
    assert_eq!(gradient.scope(), "w");
    assert_eq!((gradient * gradient).scope(), "", "the scope before the sweep is back");
}

#[test]
fn clearing_forgets_scopes() {
    let mut tape = Tape::new();
    {
        let _a = tape.scope("a");
        assert_eq!(tape.leaf(Tensor::scalar(1.0)).scope(), "a");
    }
    tape.clear();
    let x = tape.leaf(Tensor::scalar(1.0));
    assert_eq!(x.scope(), "");
    let _b = tape.scope("b");
    assert_eq!(x.exp().scope(), "b");
}
