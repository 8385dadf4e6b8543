//! Cotangents that are watched, changed and stopped in the sweep; and a tape that keeps nothing.

use std::collections::BTreeMap;

use rewind_autograd::{Tape, Tensor, Var};
use rewind_check as check;

fn row(numbers: &[f64]) -> Tensor<f64> {
    Tensor::from_vec(numbers.to_vec(), &[numbers.len()])
}

/// Four steps of h ← tanh(h·w), h used once more by the loss at every step.
fn steps<'t>(h: Var<'t, f64>, w: Var<'t, f64>) -> (Vec<Var<'t, f64>>, Var<'t, f64>) {
    let (mut states, mut loss) = (vec![h], h.sum());
    for _ in 0..4 {
        let h = (states[states.len() - 1] * w).tanh();
        loss = loss + (h * h).sum();
        states.push(h);
    }
    (states, loss)
}

#[test]
fn watching_sees_every_cotangent_once_and_changes_nothing() {
    let tape = Tape::new();
    let (h, w) = (tape.leaf(row(&[0.3, -0.7])), tape.leaf(row(&[1.3, 0.8])));
    let (states, loss) = steps(h, w);
    let mut seen: Vec<usize> = Vec::new();
    let mut cotangents = BTreeMap::new();
    let before = tape.len();
    let watched = loss.backward_watched(|v, cotangent| {
        assert_eq!(v.shape().as_slice(), cotangent.shape());
        seen.push(v.position());
        cotangents.insert(v.position(), cotangent.clone());
    });
    assert_eq!(tape.len(), before);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "from the result down, each once: {seen:?}");
    let plain = loss.backward();
    assert_eq!((watched.get(h), watched.get(w)), (plain.get(h), plain.get(w)));
    let asked_for = loss.backward_to(&states);
    for &state in &states {
        assert_eq!(cotangents[&state.position()], asked_for.get(state), "the total, not a single term");
    }
    let mut again = Vec::new();
    loss.backward_watched(|v, _| again.push(v.position()));
    assert_eq!(again, seen);
}

#[test]
fn a_mapped_cotangent_changes_what_lies_before_it_only() {
    let tape = Tape::new();
    let (x, y) = (tape.leaf(row(&[2.0, 0.1])), tape.leaf(row(&[5.0, 7.0])));
    let h = (x * 3.0).map_cotangent(|cotangent| cotangent.clamp(-1.0, 1.0));
    let loss = (h * y).sum();
    assert_eq!(h.value(), (x * 3.0).value());
    let gradients = loss.backward();
    assert_eq!(gradients.get(x).to_vec(), [3.0, 3.0], "clipped to 1, times 3");
    assert_eq!(gradients.get(y), h.value(), "another path");
    // The same on the recording tape.
    let recorded = loss.grad(&[x, y]);
    assert_eq!((recorded[0].value(), recorded[1].value()), (gradients.get(x), gradients.get(y)));
}

#[test]
fn a_scaled_cotangent_is_scaled_at_every_order() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[0.7, -0.4]));
    // d/dx of x³ doubled: 6x², and that is what is differentiated again: 12x, doubled once more on its way through h.
    let h = x.map_cotangent(|cotangent| cotangent * 2.0);
    let first = (h * h * h).sum().grad(&[x])[0];
    let second = first.sum().backward().get(x);
    for ((x, first), second) in x.value().to_vec().into_iter().zip(first.value().to_vec()).zip(second.to_vec()) {
        assert!((first - 6.0 * x * x).abs() < 1e-14);
        assert!((second - 24.0 * x).abs() < 1e-14, "{second}");
    }
    // Reversed (Ganin et al. 2016): a check must say that this is no gradient of the value.
    let reversed = check::function(&[row(&[0.7, -0.4])], |_, x| x[0].map_cotangent(|cotangent| -cotangent).tanh());
    assert!(!reversed.passed());
}

#[test]
#[should_panic(
    expected = "map_cotangent: the rule for input 0 gave a dense term of shape [] for an input of shape [2]"
)]
fn a_cotangent_of_another_shape_is_refused() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[0.7, -0.4]));
    x.map_cotangent(|cotangent| cotangent.sum()).sum().backward();
}

#[test]
fn a_detached_variable_stops_the_cotangent() {
    let tape = Tape::new();
    let x = tape.leaf(row(&[0.7, -0.4]));
    let y = (x * x.detach()).sum();
    assert_eq!(y.backward().get(x), x.value(), "one of two paths is cut");
    assert!(!x.detach().is_tracked());
}

#[test]
fn a_quiet_tape_keeps_values_and_nothing_else() {
    let (loud, quiet) = (Tape::new(), Tape::quiet());
    let run = |tape| {
        let (h, w) = (Tape::leaf(tape, row(&[0.3, -0.7])), Tape::leaf(tape, row(&[1.3, 0.8])));
        steps(h, w).1.value()
    };
    assert_eq!(run(&loud), run(&quiet));
    assert_eq!(loud.len(), quiet.len());
    let ops = |tape: &Tape<f64>| (0..tape.len()).filter(|&i| !tape.node(i).inputs.is_empty()).count();
    assert!(ops(&loud) > 10);
    assert_eq!(ops(&quiet), 0, "no op, no edge: nothing to read backwards");
    assert!((0..quiet.len()).all(|i| quiet.node(i).name == "constant"));
}
