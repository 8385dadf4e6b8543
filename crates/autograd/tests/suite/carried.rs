//! The state of an unrolled network by its structure, and partial derivatives between variables of a tape.

use rewind_autograd::{Tape, Tensor, Var, checkpoint, derive};

fn filled(shape: &[usize], from: f64) -> Tensor<f64> {
    Tensor::from_fn(shape, |k| from + 0.3 * (k as f64).sin())
}

/// Two variables in each step, of which one is read in the next step alone, and a readout of the other.
fn two<'t>(tape: &'t Tape<f64>, w: Var<'t, f64>, backward: bool) -> (Vec<[Var<'t, f64>; 2]>, Var<'t, f64>) {
    let (mut h, mut c) = (tape.constant(filled(&[2], 0.1)), tape.constant(filled(&[2], -0.2)));
    let mut states = Vec::new();
    for k in 0..4 {
        let _step = tape.numbered_scope("t", if backward { 3 - k } else { k });
        c = c * w.sigmoid() + (h * w).tanh();
        h = c.tanh() * w;
        states.push([h, c]);
    }
    let readout = states.iter().map(|[h, _]| h.sum()).reduce(|a, b| a + b).expect("four steps");
    (states, readout)
}

#[test]
fn the_parts_of_a_state() {
    for backward in [false, true] {
        let tape = Tape::new();
        let w = tape.leaf(filled(&[2], 0.7));
        let (states, _) = two(&tape, w, backward);
        let carried = derive::carried(&[w], "t");
        // A step reads c first, then h.
        let [c, h] = &carried.parts[..] else { panic!("two parts, not {}", carried.parts.len()) };
        assert_eq!((c.backward, c.is_output, h.is_output), (backward, false, true));
        for (k, state) in states.iter().enumerate() {
            let step = if backward { 3 - k } else { k };
            assert_eq!(h.at(step).map(Var::position), Some(state[0].position()), "h of step {step}");
            assert_eq!(c.at(step).map(Var::position), Some(state[1].position()), "c of step {step}");
        }
    }
}

#[test]
fn nothing_is_carried_without_steps_or_variables() {
    let tape = Tape::new();
    let w = tape.leaf(Tensor::scalar(0.5));
    let _ = (w * w).tanh();
    assert!(derive::carried(&[w], "t").parts.is_empty());
    assert!(derive::carried::<f64>(&[], "t").parts.is_empty());
}

#[test]
#[should_panic(
    expected = "carried: mul in step t=2 reads tanh of step t=0; expected that a step reads the step beside it"
)]
fn a_step_that_reads_two_steps_back() {
    let tape = Tape::new();
    let w = tape.leaf(Tensor::scalar(0.5));
    let mut states = vec![w, w];
    for t in 0..3 {
        let _step = tape.numbered_scope("t", t);
        states.push((states[t] * w).tanh());
    }
    derive::carried(&[w], "t");
}

#[test]
#[should_panic(expected = "carried: variable 0, Var #0 constant")]
fn the_state_that_depends_on_a_constant() {
    let tape = Tape::new();
    derive::carried(&[tape.constant(Tensor::scalar(0.5))], "t");
}

/// The chain rule: a product of partial derivatives is the gradient, for steps of a state with two parts.
#[test]
fn partial_derivatives_along_a_chain() {
    let tape = Tape::new();
    let w = tape.leaf(filled(&[2], 0.7));
    let (states, _) = two(&tape, w, false);
    let jacobian = |to: usize| derive::partial(&states[to], &states[to - 1]).jacobian();
    assert_eq!(jacobian(3).shape(), [4, 4]);
    let product = jacobian(3).matmul(&jacobian(2)).matmul(&jacobian(1));
    for row in 0..2 {
        let seed = Tensor::from_fn(&[2], |k| if k == row { 1.0 } else { 0.0 });
        // c_0 is behind h_0 too: its total derivative goes both ways.
        let total = states[3][0].backward_from_to(&seed, &[states[0][1]]).get(states[0][1]).to_vec();
        let through_h = derive::partial(&[states[0][0]], &[states[0][1]]).jacobian();
        let [to_h, to_c] = [0..2, 2..4].map(|columns| product.slice(0, row..row + 1).slice(1, columns));
        let by_parts = to_h.matmul(&through_h).zip(&to_c, |a, b| a + b).to_vec();
        for (column, (a, b)) in total.iter().zip(by_parts).enumerate() {
            // A unit depends on itself alone.
            assert!((a - b).abs() < 1e-14 && (*a != 0.0) == (column == row), "[{row}, {column}]: {a} {b}");
        }
    }
}

/// A stack of all steps, read one step at a time: many nodes lie between two steps, and few carry anything.
#[test]
fn partial_derivatives_through_a_stack() {
    let tape = Tape::new();
    let w = tape.leaf(filled(&[3, 3], 0.1));
    let mut h = tape.constant(filled(&[1, 3], 0.5));
    let states = (0..40).map(|_| {
        h = h.matmul(w).tanh();
        h
    });
    let states: Vec<_> = states.collect();
    let all = rewind_autograd::ops::layout::stack(&states, 0);
    let read = all.index(0, 3).exp();
    let partial = derive::partial(&[read], &[states[2], w]);
    let jacobian = partial.jacobian();
    let expected = {
        let own = Tape::new();
        let (before, w) = (own.leaf(states[2].value()), own.leaf(w.value()));
        let read = before.matmul(w).tanh().exp();
        derive::partial(&[read], &[before, w]).jacobian()
    };
    assert_eq!(jacobian.shape(), [3, 12]);
    assert_eq!(jacobian, expected);
    let cotangent = filled(&[1, 3], 1.0);
    let [to_state, _] = &partial.vjp(std::slice::from_ref(&cotangent))[..] else { panic!("two variables") };
    let by_matrix = cotangent.matmul(&jacobian.slice(1, 0..3));
    assert!(to_state.zip(&by_matrix, |a, b| a - b).norm() < 1e-15);
}

#[test]
fn a_variable_with_respect_to_itself_and_to_one_behind_it() {
    let tape = Tape::new();
    let x = tape.leaf(filled(&[2], 0.4));
    let y = x.exp();
    assert_eq!(derive::partial(&[x], &[x]).jacobian().to_vec(), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(derive::partial(&[x], &[y]).jacobian().to_vec(), [0.0; 4]);
}

#[test]
#[should_panic(expected = "partial: the variables live on different tapes; expected one")]
fn partial_derivatives_on_two_tapes() {
    let (one, other) = (Tape::<f64>::new(), Tape::new());
    derive::partial(&[one.leaf(Tensor::scalar(1.0))], &[other.leaf(Tensor::scalar(1.0))]);
}

/// What a checkpoint records within a time step belongs to that step.
#[test]
fn items_of_a_checkpoint_within_a_step() {
    let items = |checkpointed: bool| {
        let tape = Tape::new();
        let u = tape.leaf(filled(&[3, 3], 0.2));
        let mut h = tape.constant(filled(&[2, 3], 0.6));
        let mut losses = Vec::new();
        for t in 0..4 {
            let _step = tape.numbered_scope("t", t);
            h = if checkpointed { checkpoint(&[h, u], |_, v| v[0].matmul(v[1]).tanh()) } else { h.matmul(u).tanh() };
            losses.push(h.square().sum());
        }
        derive::itemised(&losses, &[u], "t")
    };
    let (plain, checkpointed) = (items(false), items(true));
    assert_eq!(checkpointed.steps(0), [Some(0), Some(1), Some(2), Some(3)]);
    for loss in 0..4 {
        for step in 0..=loss {
            let [a, b] =
                [&plain, &checkpointed].map(|items| items.item(0, loss, Some(step)).expect("it flows").to_vec());
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-15), "({loss}, {step}): {a:?} {b:?}");
        }
    }
}

#[test]
#[should_panic(expected = "is used by transpose alone")]
fn a_use_without_rows_of_the_batch_has_no_item_of_a_row() {
    let tape = Tape::new();
    let u = tape.leaf(filled(&[3, 3], 0.2));
    let loss = {
        let _step = tape.numbered_scope("t", 0);
        tape.constant(filled(&[2, 3], 0.6)).matmul(u.transpose()).sum()
    };
    derive::itemised(&[loss], &[u], "t").item_of_row(0, 0, Some(0), 1);
}

#[test]
#[should_panic(expected = "there is no row 2; a use of variable 0 has 2 rows")]
fn an_item_of_a_row_that_is_not_there() {
    let tape = Tape::new();
    let u = tape.leaf(filled(&[3, 3], 0.2));
    let loss = {
        let _step = tape.numbered_scope("t", 0);
        tape.constant(filled(&[2, 3], 0.6)).matmul(u).sum()
    };
    derive::itemised(&[loss], &[u], "t").item_of_row(0, 0, Some(0), 2);
}

#[test]
#[should_panic(expected = "one part of the state was computed by mul in step t=0 and by tanh in step t=1")]
fn a_state_that_is_read_in_another_order_in_every_other_step() {
    let tape = Tape::new();
    let w = tape.leaf(filled(&[2], 0.7));
    let (mut h, mut c) = (w, w);
    for t in 0..5 {
        let _step = tape.numbered_scope("t", t);
        let (from_h, from_c);
        if t % 2 == 0 {
            (from_h, from_c) = (h * w, c.sigmoid());
        } else {
            (from_c, from_h) = (c.sigmoid(), h * w);
        }
        (h, c) = ((from_h + from_c).tanh(), from_h * from_c);
    }
    derive::carried(&[w], "t");
}

/// The loss may be computed within the last step: its state is still that of the last step.
#[test]
fn a_last_step_that_computes_more() {
    let tape = Tape::new();
    let w = tape.leaf(filled(&[2], 0.7));
    let mut h = tape.constant(filled(&[2], 0.1));
    for t in 0..6 {
        let _step = tape.numbered_scope("t", t);
        h = (h * w).tanh();
        if t == 5 {
            h.square().sum();
        }
    }
    let state = derive::carried(&[w], "t");
    assert_eq!(state.parts.len(), 1);
    assert_eq!(state.parts[0].steps().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(state.parts[0].nodes[5].1.position(), h.position());
}

/// A decoder that counts its steps from 0 again would mix its norms with those of the encoder.
#[test]
#[should_panic(
    expected = "carried: a chain of states goes from step t=0 to t=1, which step t=0 reads; expected that a network which goes on \
                where another has ended numbers its steps on"
)]
fn steps_that_are_numbered_anew() {
    two_loops([0, 1], [0, 1]);
}

#[test]
fn steps_that_are_numbered_on() {
    assert_eq!(two_loops([0, 1], [2, 3]), [0, 1, 2, 3]);
}

fn two_loops(first: [usize; 2], second: [usize; 2]) -> Vec<usize> {
    let tape = Tape::new();
    let w = tape.leaf(Tensor::scalar(0.5));
    let mut h = w;
    for t in first.into_iter().chain(second) {
        let _step = tape.numbered_scope("t", t);
        h = (h * w).tanh();
    }
    let carried = derive::carried(&[w], "t");
    let [part] = &carried.parts[..] else { panic!("{} parts", carried.parts.len()) };
    part.steps().collect()
}

#[test]
#[should_panic(
    expected = "carried: step t=0 lies within step t=1; expected scopes of another name for a loop within a step"
)]
fn a_loop_within_a_step() {
    let tape = Tape::new();
    let w = tape.leaf(Tensor::scalar(0.5));
    let mut h = tape.constant(Tensor::scalar(0.1));
    for t in 1..3 {
        let _step = tape.numbered_scope("t", t);
        for k in 0..2 {
            let _inner = tape.numbered_scope("t", k);
            h = (h * w).tanh();
        }
    }
    derive::carried(&[w], "t");
}

#[test]
#[should_panic(expected = "carried: what depends on the variables is hidden in a checkpoint")]
fn steps_in_a_checkpoint() {
    let tape = Tape::new();
    let w = tape.leaf(Tensor::scalar(0.5));
    let _ = checkpoint(&[w], |tape, v| {
        let _step = tape.numbered_scope("t", 0);
        v[0].tanh()
    });
    derive::carried(&[w], "t");
}

/// From step 2 on there is a second variable, which is computed by the same op and read first.
#[test]
fn a_state_that_begins_later() {
    let tape = Tape::new();
    let w = tape.leaf(filled(&[2], 0.7));
    let mut h = tape.constant(filled(&[2], 0.1));
    let mut memory = None;
    let (mut hs, mut memories) = (Vec::new(), Vec::new());
    for t in 0..6 {
        let _step = tape.numbered_scope("t", t);
        let from_memory = memory.map(|memory| memory * w);
        let mut z = h * w;
        if let Some(from_memory) = from_memory {
            z = z + from_memory;
        }
        h = z.tanh();
        hs.push(h.position());
        if t >= 2 {
            let next = (h * h).tanh();
            memories.push(next.position());
            memory = Some(next);
        }
    }
    let carried = derive::carried(&[w], "t");
    let found: Vec<(Vec<usize>, Vec<usize>)> = carried
        .parts
        .iter()
        .map(|part| (part.steps().collect(), part.nodes.iter().map(|(_, v)| v.position()).collect()))
        .collect();
    assert_eq!(found, [((0..6).collect(), hs), ((2..6).collect(), memories)]);
}
