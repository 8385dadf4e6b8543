//! The graphs are read by a parser of the language that is not ours.

use std::collections::BTreeSet;

use dot_parser::{ast, canonical};
use rewind_autograd::{Tape, Tensor, parameters};
use rewind_rnn::{Bidirectional, Gru, Linear, Lstm, Recurrent, TanhRnn, Unroll, lens, unroll};

use super::{random, rng, step_losses};

/// Parses a graph; returns its edges as pairs of names.
#[track_caller]
fn edges(text: &str) -> Vec<(String, String)> {
    let parsed = ast::Graph::try_from(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let graph = canonical::Graph::from(parsed);
    let edges: Vec<_> = graph.edges.set.iter().map(|edge| (edge.from.to_string(), edge.to.to_string())).collect();
    let named: BTreeSet<_> = graph.nodes.set.keys().map(|name| name.to_string()).collect();
    for (from, to) in &edges {
        for end in [from, to] {
            assert!(
                named.contains(end) && text.contains(&format!(" {end} [label=")),
                "{end} has no line of its own\n{text}"
            );
        }
    }
    edges
}

#[test]
fn an_lstm_unrolled_and_rolled() {
    let lstm = Lstm::<Tensor<f64>>::new(1, 2, &mut rng());
    let dot = lens::dot(&lstm, |tape, lstm| {
        vec![unroll(lstm, tape.constant(random(&[4, 1, 1], 9))).last_output().square().sum()]
    });
    assert!(edges(&dot.unrolled).len() > 4 * 15);
    for step in 0..4 {
        assert!(dot.unrolled.contains(&format!("label=\"t = {step}\"")), "{}", dot.unrolled);
    }
    for label in ["f: sigmoid\\n[1, 2]", "g: tanh", "weight_hh\\n[2, 8]", "tests/lens/dot.rs:"] {
        assert!(dot.unrolled.contains(label), "{label}\n{}", dot.unrolled);
    }
    assert!(edges(&dot.rolled).len() < 40);
    // h and c come from the step before.
    assert_eq!(dot.rolled.matches("label=\"t-1\"").count(), 2, "{}", dot.rolled);
    assert_eq!(dot.rolled.matches("subgraph").count(), 1);
}

#[test]
fn stacks_and_both_directions() {
    let rng = &mut rng();
    let stack = (
        Bidirectional::cells(Gru::<Tensor<f64>>::new(2, 2, rng), TanhRnn::new(2, 2, rng)),
        Recurrent(TanhRnn::new(4, 2, rng)),
        Linear::new(2, 1, rng),
    );
    let x = random(&[4, 2, 2], 9);
    let dot = lens::dot(&stack, |tape, stack| {
        step_losses(Unroll::new().lengths(&[4, 2]).through(stack, tape.constant(x.clone())).outputs)
    });
    edges(&dot.unrolled);
    edges(&dot.rolled);
    assert!(dot.rolled.contains("label=\"t-1\"") && dot.rolled.contains("label=\"t+1\""), "{}", dot.rolled);
}

parameters! { struct Odd<P> { weight: P } }

/// Names of scopes come from programs: none breaks out of its string.
#[test]
fn hostile_names() {
    let odd = Odd { weight: Tensor::scalar(0.5) };
    let dot = lens::dot(&odd, |tape: &Tape<f64>, odd| {
        let mut h = tape.scalar(1.0);
        for t in 0..3 {
            let _step = tape.numbered_scope("t", t);
            let _name = tape.scope("a\"]; evil [label=\"\\\n<b>&{}|");
            h = (h * odd.weight).tanh();
        }
        vec![h]
    });
    for text in [&dot.unrolled, &dot.rolled] {
        edges(text);
        let parsed = canonical::Graph::from(ast::Graph::try_from(text.as_str()).expect("a graph"));
        assert!(parsed.nodes.set.keys().all(|name| name.as_str() != "evil"), "{text}");
    }
}

#[test]
fn a_graph_without_steps() {
    let odd = Odd { weight: Tensor::scalar(0.5) };
    let dot = lens::dot(&odd, |_: &Tape<f64>, odd| vec![odd.weight.tanh()]);
    assert_eq!(edges(&dot.unrolled).len(), 1);
    assert_eq!(edges(&dot.rolled).len(), 0);
}
