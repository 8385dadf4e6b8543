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
fn a_step_keeps_its_number_in_a_stream_without_an_end() {
    let tape = Tape::<f64>::new();
    let x = tape.leaf(Tensor::scalar(0.5));
    for t in [u32::MAX as usize + 7, usize::MAX] {
        let _step = tape.numbered_scope("t", t);
        assert_eq!(x.tanh().scope(), format!("t={t}"));
    }
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

/// The scopes of the gates of a peephole LSTM (Gers and Schmidhuber 2000), by name, and of what they are applied to.
#[test]
fn a_gate_keeps_its_name_through_peepholes() {
    let tape = Tape::new();
    let peephole = |name: &str| tape.parameter(name, Tensor::full(&[3], 0.3));
    let [p_i, p_f, p_o] = ["p_i", "p_f", "p_o"].map(peephole);
    let w = tape.parameter("w", Tensor::full(&[3, 12], 0.2));
    let (mut h, mut c) = (tape.zeros(&[2, 3]), tape.constant(Tensor::full(&[2, 3], 0.1)));
    for t in 0..3 {
        let _step = tape.numbered_scope("t", t);
        let [i, f, g, o] = h.matmul(w).split_named(1, &["i", "f", "g", "o"]);
        let (gate_i, gate_f, gate_g) = ((i + p_i * c).sigmoid(), (f + p_f * c).sigmoid(), g.tanh());
        let (kept, written) = (gate_f * c, gate_i * gate_g);
        let next = kept + written;
        // The output gate looks at the new cell state, which all the others have met in.
        let gate_o = (o + p_o * next).sigmoid();
        let out = gate_o * next.tanh();
        let seen = [i + p_i * c, gate_i, f + p_f * c, gate_f, gate_g, o + p_o * next, gate_o, kept];
        let gates = ["i", "i", "f", "f", "g", "o", "o", "f"].map(|gate| format!("t={t}/{gate}"));
        assert_eq!(seen.map(|v| v.scope()), gates);
        for v in [p_f * c, written, next, next.tanh(), p_o * next, out] {
            assert_eq!(v.scope(), format!("t={t}"), "{v:?}");
        }
        (h, c) = (out, next);
    }
}

#[test]
fn a_gate_of_two_products_keeps_its_name() {
    // A GRU with the gates of both products cut apart: r = σ(x_r + h_r), n = tanh(x_n + r∘h_n).
    let tape = Tape::new();
    let w = tape.parameter("w", Tensor::full(&[3, 9], 0.2));
    let (x, mut h) = (tape.constant(Tensor::full(&[2, 3], 0.4)), tape.constant(Tensor::full(&[2, 3], 0.1)));
    for t in 0..2 {
        let _step = tape.numbered_scope("t", t);
        let [x_r, x_z, x_n] = x.matmul(w).split_named(1, &["r", "z", "n"]);
        let [h_r, h_z, h_n] = h.matmul(w).split_named(1, &["r", "z", "n"]);
        let (r, z) = ((x_r + h_r).sigmoid(), (x_z + h_z).sigmoid());
        let n = (x_n + r * h_n).tanh();
        assert_eq!(
            [x_r + h_r, r, z, z.one_minus(), n].map(|v| v.scope()),
            ["r", "r", "z", "z", "n"].map(|g| format!("t={t}/{g}"))
        );
        // Both forms of the new state are the step's, and no gate's.
        let next = z.one_minus() * n + z * h;
        for v in [r * h_n, next, n + z * (h - n)] {
            assert_eq!(v.scope(), format!("t={t}"));
        }
        h = next;
    }
}

#[test]
fn gates_that_are_cut_after_their_activation() {
    let tape = Tape::new();
    let w = tape.parameter("w", Tensor::full(&[3, 6], 0.2));
    let u = tape.parameter("u", Tensor::full(&[3, 3], 0.2));
    let h = tape.constant(Tensor::full(&[2, 3], 0.1));
    let _step = tape.numbered_scope("t", 5);
    let [r, z] = (h.matmul(w) * 0.5 + 0.1).sigmoid().split_named(1, &["r", "z"]);
    let product = (r * h).matmul(u); // of matrices: r ends here
    let n = product.tanh();
    assert_eq!([r * h, z * h].map(|v| v.scope()), ["t=5/r", "t=5/z"]);
    assert_eq!([product, n, z * (h - n), n + z * (h - n)].map(|v| v.scope()), ["t=5"; 4]);
    // A pre-activation may take another product of the step.
    let [a, _] = h.matmul(w).split_named(1, &["a", "b"]);
    assert_eq!([a + h.matmul(u), (a * 2.0 + h.matmul(u)).sigmoid()].map(|v| v.scope()), ["t=5/a", "t=5/a"]);
    // Nor does normalisation end it.
    let [gain, bias] = ["gain", "bias"].map(|name| tape.parameter(name, Tensor::full(&[3], 0.3)));
    let normalised = a.layer_norm(gain, bias, 1e-5);
    assert_eq!([normalised, normalised.sigmoid()].map(|v| v.scope()), ["t=5/a", "t=5/a"]);
    // Not beyond its own scope.
    let within = {
        let _candidate = tape.scope("n");
        a.tanh()
    };
    assert_eq!([within, within * a.sigmoid()].map(|v| v.scope()), ["t=5/n", "t=5"]);
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

parameters! {
    struct Learned<P> { inner: Dense<P>, first: P }
}

#[test]
fn a_parameter_of_the_module_around_takes_no_layer_away() {
    let tape = Tape::new();
    let dense = Dense { weight: Tensor::full(&[2, 2], 0.3), bias: Tensor::full(&[2], 0.1) };
    let learned = Learned { inner: dense, first: Tensor::full(&[1, 2], 0.5) }.on(&tape);
    let h = (learned.first.matmul(learned.inner.weight) + learned.inner.bias).tanh();
    assert_eq!(h.scope(), "inner");
    assert_eq!((h.matmul(learned.inner.weight) * learned.first).scope(), "");
}

#[test]
fn parameters_are_recorded_at_the_line_that_puts_them_on_the_tape() {
    let tape = Tape::new();
    let line = line!() + 1;
    let net = net().on(&tape);
    for parameter in [net.layers[1].bias, net.scale] {
        let location = tape.node(parameter.position()).location;
        assert_eq!((location.file(), location.line()), (file!(), line));
    }
}
