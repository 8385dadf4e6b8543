//! What saves memory or time may not change a result: values that are released, and functions that are
//! run again.

use rewind_autograd::{Op, Reads, Scalar, Site, Tape, Tensor, Term, Var, checkpoint};
use rewind_check as check;

use crate::naive::Array;
use crate::op_table::rows;

/// The gradient of Σ weight·y and the gradient of its square sum, as bits, after `prepare` has had the tape.
fn derivatives(
    row: &crate::op_table::Row,
    prepare: impl for<'t> Fn(&'t Tape<f64>, usize, Var<'t, f64>),
) -> (Vec<Vec<u64>>, usize) {
    let tape = Tape::new();
    let x: Vec<_> = row.inputs.iter().map(|x| tape.leaf(x.tensor())).collect();
    let start = tape.len();
    let y = (row.build)(&tape, &x);
    prepare(&tape, start, y);
    let before = tape.recomputed();
    let first = y.backward_from(&Array::sample(&y.shape(), 5).tensor());
    let weights = tape.constant(Array::sample(&y.shape(), 6).tensor());
    let squares = (y * weights).sum().grad(&x).into_iter().fold(tape.scalar(0.0), |sum, g| sum + (g * g).sum());
    let second = squares.backward();
    let bits = |g: Tensor<f64>| g.to_vec().into_iter().map(f64::to_bits).collect();
    let gradients = x.iter().flat_map(|&x| [first.get(x), second.get(x)]).map(bits).collect();
    (gradients, tape.recomputed() - before)
}

#[test]
fn rules_read_what_their_ops_say() {
    for row in rows() {
        let (expected, _) = derivatives(&row, |_, _, _| ());
        let (released, recomputed) = derivatives(&row, |tape, start, y| tape.release_unread(start, &[y]));
        assert_eq!(released, expected, "{}: other gradients after values were released", row.name());
        assert_eq!(recomputed, 0, "{}: a rule reads what its op does not name", row.name());
    }
}

#[test]
fn values_that_were_let_go_of_come_back() {
    for row in rows() {
        let tape = Tape::new();
        let x: Vec<_> = row.inputs.iter().map(|x| tape.leaf(x.tensor())).collect();
        let start = tape.len();
        (row.build)(&tape, &x);
        let before: Vec<_> = (start..tape.len()).map(|i| tape.node(i).value).collect();
        tape.release_unread(start, &[]);
        for (i, value) in before.iter().enumerate() {
            assert_eq!(tape.node(start + i).value.to_vec(), value.to_vec(), "{}: node {i}", row.name());
        }
    }
}

#[test]
fn a_long_chain_comes_back_without_recursion() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::scalar(1.0_f64));
    let start = tape.len();
    let y = (0..100_000).fold(x, |sum, _| sum + x);
    tape.release_unread(start, &[]);
    assert_eq!(y.value().item(), 100_001.0);
    assert_eq!(tape.recomputed(), 100_000);
}

/// y = x², whose rule reads its input or its output, whatever it says.
struct Secretive {
    reads_output: bool,
}

impl Op<f64> for Secretive {
    fn name(&self) -> &'static str {
        "secretive"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].map(|x| x * x)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let root = if self.reads_output { at.output().sqrt() } else { at.input(0) };
        Term::Dense(at.cotangent() * root * 2.0)
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

#[test]
fn an_op_that_names_too_little_is_served_and_counted() {
    for reads_output in [false, true] {
        let tape = Tape::new();
        let x = tape.leaf(Tensor::from_vec(vec![3.0, 0.5], &[2]));
        let start = tape.len();
        let y = tape.apply(Secretive { reads_output }, &[x + 1.0]).sum();
        tape.release_unread(start, &[y]);
        assert_eq!(y.backward().get(x).to_vec(), [8.0, 3.0]);
        assert!(tape.recomputed() > 0, "the rule has read what was not there");
    }
}

#[test]
fn a_recorded_sweep_serves_such_an_op_as_well() {
    for reads_output in [false, true] {
        let tape = Tape::new();
        let x = tape.leaf(Tensor::from_vec(vec![3.0, 0.5], &[2]));
        let start = tape.len();
        let y = tape.apply(Secretive { reads_output }, &[x + 1.0]).sum();
        tape.release_unread(start, &[y]);
        let slope = y.grad(&[x])[0];
        assert_eq!(slope.value().to_vec(), [8.0, 3.0]);
        assert!(tape.recomputed() > 0, "the rule has read what was not there");
        // What was computed again is the node itself: the slope follows x through it.
        assert_eq!(slope.sum().grad(&[x])[0].value().to_vec(), [2.0, 2.0]);
        assert_eq!(y.backward().get(x).to_vec(), [8.0, 3.0], "every op is back in its node");
    }
}

/// y = x³, whose rule takes a gradient itself: 3x² is the slope of t ↦ 1.5·t²·y/x at t = 1.
struct Nested;

impl Op<f64> for Nested {
    fn name(&self) -> &'static str {
        "nested"
    }
    fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
        inputs[0].map(|x| x * x * x)
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
        let (x, tape) = (at.input(0), at.tape());
        let t = tape.leaf(Tensor::from_vec(vec![1.0, 1.0], &[2]));
        let inner = tape.apply(Secretive { reads_output: true }, &[t]) * (at.output() / x) * 1.5;
        Term::Dense(at.cotangent() * inner.sum().grad(&[t])[0])
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

#[test]
fn a_rule_that_sweeps_itself_may_read_what_was_let_go_of() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::from_vec(vec![3.0, 0.5], &[2]));
    let start = tape.len();
    let y = tape.apply(Nested, &[x]).sum();
    tape.release_unread(start, &[y]);
    assert_eq!(y.grad(&[x])[0].value().to_vec(), [27.0, 0.75]);
}

/// y = factor·(a + b), whose rule is that of a sum.
struct Sum {
    factor: f64,
}

impl<T: Scalar> Op<T> for Sum {
    fn name(&self) -> &'static str {
        "sum_of_two"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].zip(inputs[1], |a, b| T::from_f64(self.factor) * (a + b))
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::Summed(at.cotangent())
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
}

#[test]
fn a_rule_that_forwards_its_cotangent_is_checked_like_any_other() {
    let inputs = [Array::sample(&[3, 2], 1).tensor(), Array::sample(&[2], 2).tensor()];
    let check = |factor| check::function(&inputs, |tape, v| tape.apply(Sum { factor }, v).tanh() * v[0] * v[0]);
    assert!(check(1.0).passed(), "{}", check(1.0));
    let wrong = check(1.01);
    assert!(!wrong.passed(), "{wrong}");
    assert_eq!(wrong.suspect().map(|suspect| suspect.op), Some("sum_of_two"), "{wrong}");
}

#[test]
#[should_panic(expected = "outer: the rule for input 0 gave a summed term of shape [2, 3] for an input of shape [2]")]
fn a_cotangent_that_does_not_fit_cannot_be_forwarded() {
    /// y = x·1ᵀ, an outer product, which is no broadcast.
    struct Outer;
    impl Op<f64> for Outer {
        fn name(&self) -> &'static str {
            "outer"
        }
        fn forward(&self, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
            inputs[0].unsqueeze(1).broadcast_to(&[inputs[0].len(), 3])
        }
        fn vjp<'t>(&self, _input: usize, at: &Site<'t, f64>) -> Term<'t, f64> {
            Term::Summed(at.cotangent())
        }
    }
    let tape = Tape::new();
    let x = tape.leaf(Tensor::from_vec(vec![3.0, 0.5], &[2]));
    tape.apply(Outer, &[x]).sum().backward();
}

/// Some steps of a recurrence with a product, a state that is used three times, and a weight that every step uses.
fn steps<'t>(w: Var<'t, f64>, h: Var<'t, f64>, x: Var<'t, f64>) -> Var<'t, f64> {
    (0..5).fold(h, |h, t| h + x.index(0, t) * (h.matmul(w).tanh() * h))
}

fn recurrence(tape: &Tape<f64>, checkpointed: bool) -> (Var<'_, f64>, [Var<'_, f64>; 3]) {
    let w = tape.leaf(Array::sample(&[3, 3], 1).tensor());
    let h = tape.leaf(Array::sample(&[2, 3], 2).tensor());
    let x = tape.leaf(Array::sample(&[15, 2, 3], 3).tensor());
    let mut state = h;
    for k in 0..3 {
        let part = x.slice(0, 5 * k..5 * (k + 1));
        state = if checkpointed {
            checkpoint(&[w, state, part], |_, v| steps(v[0], v[1], v[2]))
        } else {
            steps(w, state, part)
        };
    }
    ((state * state).sum(), [w, h, x])
}

#[test]
fn a_checkpoint_gives_the_same_bits() {
    let (plain, kept) = (Tape::new(), Tape::new());
    let (expected, x) = recurrence(&plain, false);
    let (loss, z) = recurrence(&kept, true);
    assert_eq!(loss.value(), expected.value());
    assert!(kept.len() * 4 < plain.len(), "{} nodes of {} were kept", kept.len(), plain.len());
    let (expected, found) = (expected.backward(), loss.backward());
    for (x, z) in x.into_iter().zip(z) {
        let bits = |g: Tensor<f64>| g.to_vec().into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(found.get(z)), bits(expected.get(x)));
    }
    // And a second time, on a tape that has been swept.
    assert_eq!(loss.backward().get(z[0]), expected.get(x[0]));
}

#[test]
fn a_checkpoint_has_derivatives_of_every_order() {
    let third = |checkpointed| {
        let tape = Tape::new();
        let (loss, x) = recurrence(&tape, checkpointed);
        let norms = |g: Vec<Var<'_, f64>>| g.into_iter().map(|g| g.value().norm()).collect::<Vec<_>>();
        let first = loss.grad(&x);
        let sum = first.iter().fold(tape.scalar(0.0), |sum, &g| sum + (g * g).sum());
        let second = sum.grad(&x);
        let sum = second.iter().fold(tape.scalar(0.0), |sum, &g| sum + (g * g * g).sum());
        [norms(first), norms(second), norms(sum.grad(&x))]
    };
    for (order, (expected, found)) in third(false).into_iter().zip(third(true)).enumerate() {
        for (e, f) in expected.into_iter().zip(found) {
            assert!(e > 1e-3 && (e - f).abs() < 1e-9 * e, "order {}: {f} and {e}", order + 1);
        }
    }
}

#[test]
fn gradients_of_some_variables_pass_through_a_checkpoint() {
    let tape = Tape::new();
    let (loss, [w, h, x]) = recurrence(&tape, true);
    let all = loss.backward();
    for v in [w, h, x] {
        assert_eq!(loss.backward_to(&[v]).get(v), all.get(v));
    }
}

#[test]
fn an_input_may_come_twice_or_be_the_result() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::scalar(3.0));
    assert_eq!(checkpoint(&[x, x], |_, v| v[0] * v[1]).backward().get(x).item(), 6.0);
    assert_eq!(checkpoint(&[x, x], |_, v| v[0]).backward().get(x).item(), 1.0);
    let y = checkpoint(&[x, x * x], |_, v| v[1]);
    assert_eq!((y + x).backward().get(x).item(), 7.0);
    assert_eq!((y * y).grad(&[x])[0].grad(&[x])[0].value().item(), 12.0 * 9.0);
    // Nothing flows through a constant.
    let constant = checkpoint(&[x], |tape, _| tape.scalar(2.0));
    assert_eq!((constant * x).backward().get(x).item(), 2.0);
}

#[test]
fn checkpoints_may_lie_in_checkpoints() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::scalar(0.7_f64));
    let nested = checkpoint(&[x], |_, v| checkpoint(&[v[0]], |_, v| v[0].sin()) * v[0]);
    let plain = x.sin() * x;
    assert_eq!(nested.backward().get(x), plain.backward().get(x));
    let second = |y: Var<'_, f64>| y.grad(&[x])[0].grad(&[x])[0].value().item();
    assert_eq!(second(nested), second(plain));
}

#[test]
#[should_panic(expected = "checkpoint: no input given")]
fn a_checkpoint_of_nothing_is_refused() {
    checkpoint(&[], |tape: &Tape<f64>, _| tape.scalar(1.0));
}

#[test]
fn nothing_is_released_behind_the_end() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::scalar(3.0));
    tape.release_unread(7, &[x]);
    assert_eq!((x * x).backward().get(x).item(), 6.0);
}

#[test]
fn a_checkpoint_may_give_back_any_of_its_inputs() {
    let tape = Tape::new();
    let (a, b) = (tape.leaf(Tensor::scalar(2.0)), tape.leaf(Tensor::scalar(3.0)));
    let gradients = |y: Var<'_, f64>| [a, b].map(|x| y.backward().get(x).item());
    assert_eq!(gradients(checkpoint(&[a, b], |_, v| v[0]) * b), [3.0, 2.0]);
    assert_eq!(gradients(checkpoint(&[a, b], |_, v| v[1]) * a), [3.0, 2.0]);
    // What was left over would show in the next sweep of a checkpoint.
    assert_eq!(gradients(checkpoint(&[a, b], |_, v| v[0] * v[1])), [3.0, 2.0]);
    let nested = checkpoint(&[a, b], |_, v| checkpoint(&[v[0], v[1]], |_, w| w[0]) * v[1] * v[1]);
    assert_eq!(gradients(nested), [9.0, 12.0]);
    // Segments of two, no and two steps.
    let steps = |h, n: usize| checkpoint(&[h, b], move |_, v| (0..n).fold(v[0], |h, _| h * v[1]));
    assert_eq!(gradients(steps(steps(steps(a, 2), 0), 2)), [81.0, 2.0 * 4.0 * 27.0]);
}

#[test]
fn a_leaf_within_a_checkpoint_gets_no_gradient_and_does_no_harm() {
    let tape = Tape::new();
    let x = tape.leaf(Tensor::scalar(2.0));
    let y = checkpoint(&[x], |tape, v| tape.leaf(Tensor::scalar(5.0)) * v[0] * v[0]);
    assert_eq!(y.backward().get(x).item(), 20.0);
    assert_eq!(checkpoint(&[x], |_, v| v[0] * v[0]).backward().get(x).item(), 4.0);
}
