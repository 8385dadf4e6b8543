//! Sequences in segments: the gradients of the whole sequence, in less memory.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var, parameters};
use rewind_rnn::{Cell, Dropout, Noise, Recurrent, RecurrentModule, Reset, TanhRnn, Unroll, Zoneout};

use crate::common::{gru, lstm, random, tanh};

/// The loss over all steps and the gradients by parameter and with respect to x.
fn gradients<T: Scalar, M: RecurrentModule<T>>(
    module: &M,
    x: &Tensor<T>,
    every: Option<usize>,
) -> (T, Vec<Tensor<T>>, usize) {
    let (module, tape) = (Recurrent(module.clone()), Tape::new());
    let (layer, x) = (module.on(&tape), tape.leaf(x.clone()));
    let loss = match every {
        None => {
            let outputs = Unroll::new().run(&layer.0, x).outputs();
            (outputs * outputs).sum()
        }
        Some(every) => {
            let segments =
                Unroll::new().through_in_segments(every, &module, &layer, x, |_, _, outputs| (outputs * outputs).sum());
            segments.loss()
        }
    };
    let all = loss.backward();
    let mut out: Vec<_> = all.of(&layer).leaves().into_iter().cloned().collect();
    out.push(all.get(x));
    (loss.value().item(), out, tape.len())
}

fn assert_close(found: &[Tensor<f64>], expected: &[Tensor<f64>], case: &str) {
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let difference = f.zip(e, |f, e| f - e).norm();
        assert!(e.norm() > 1e-3 && difference <= 1e-13 * e.norm(), "{case}: gradient {i} is off by {difference:e}");
    }
}

#[test]
fn gradients_are_those_of_the_whole_sequence() {
    let x = random(&[33, 3, 4], 1);
    for every in [1, 7, 11, 33, 50] {
        let (loss, expected, nodes) = gradients(&lstm(4, 5), &x, None);
        let (found_loss, found, found_nodes) = gradients(&lstm(4, 5), &x, Some(every));
        assert!((loss - found_loss).abs() < 1e-13 * loss);
        assert_close(&found, &expected, &format!("lstm every {every}"));
        assert!(every < 7 || found_nodes * 2 < nodes, "{found_nodes} nodes of {nodes} were kept");
        let (_, expected, _) = gradients(&tanh(4, 5), &x, None);
        assert_close(&gradients(&tanh(4, 5), &x, Some(every)).1, &expected, &format!("tanh every {every}"));
        let (_, expected, _) = gradients(&gru(4, 5, Reset::AfterProduct), &x, None);
        assert_close(
            &gradients(&gru(4, 5, Reset::AfterProduct), &x, Some(every)).1,
            &expected,
            &format!("gru every {every}"),
        );
    }
}

#[test]
fn a_cell_whose_state_is_used_twice_gets_the_same_bits() {
    let x = random(&[33, 3, 4], 1);
    let seen = |every| gradients(&lstm(4, 5), &x, every).1;
    let expected = seen(None);
    for every in [7, 11] {
        for (i, (found, expected)) in seen(Some(every)).iter().zip(&expected).enumerate() {
            assert_eq!(found.to_vec(), expected.to_vec(), "every {every}: gradient {i}");
        }
    }
}

#[test]
fn large_weights_give_the_same_bits_in_f32() {
    // Products with weights of so many elements are prefetched: of one row and of several, with narrow weights and wide ones.
    for [batch, inputs, hidden] in [[1, 4100, 65], [3, 4100, 65], [1, 520, 520], [3, 520, 520]] {
        let rnn = TanhRnn::<Tensor<f32>>::new(inputs, hidden, &mut StdRng::seed_from_u64(1));
        let x = Tensor::from_fn(&[9, batch, inputs], |i| (i as f32 * 0.7).sin());
        let (_, expected, _) = gradients(&rnn, &x, None);
        for every in [1, 2, 4] {
            for (i, (found, expected)) in gradients(&rnn, &x, Some(every)).1.iter().zip(&expected).enumerate() {
                let case = format!("B={batch}, I={inputs}, H={hidden}, every {every}: gradient {i}");
                assert!(found.to_vec() == expected.to_vec(), "{case}");
            }
        }
    }
}

#[test]
fn the_loss_is_told_where_its_segment_starts() {
    let tape = Tape::<f64>::new();
    let module = Recurrent(tanh(2, 3));
    let layer = module.on(&tape);
    let x = tape.constant(random(&[7, 1, 2], 1));
    let segments = Unroll::new().through_in_segments(3, &module, &layer, x, |tape, start, outputs| {
        tape.scalar(100.0 * start as f64 + outputs.shape()[0] as f64)
    });
    let seen: Vec<_> = segments.losses.iter().map(|loss| loss.value().item()).collect();
    assert_eq!(seen, [3.0, 303.0, 601.0]);
    let whole = Unroll::new().run(&layer.0, x);
    assert_eq!(segments.last.value(), whole.last.value());
}

#[test]
fn a_sequence_goes_on_from_the_state_that_another_call_ended_in() {
    let tape = Tape::<f64>::new();
    let module = Recurrent(lstm(2, 3));
    let layer = module.on(&tape);
    let x = tape.constant(random(&[8, 2, 2], 1));
    let (head, tail) = (x.slice(0, 0..3), x.slice(0, 3..8));
    let whole = Unroll::new().run(&layer.0, x).last;
    let middle = Unroll::new().run(&layer.0, head).last;
    let unrolled = Unroll::new().run_from(&layer.0, tail, middle).last;
    let segments = Unroll::new().through_in_segments_from(2, &module, &layer, tail, middle, |_, _, h| h.sum()).last;
    for last in [unrolled, segments] {
        assert_eq!(last.hidden.value(), whole.hidden.value());
        assert_eq!(last.cell.value(), whole.cell.value());
    }
}

#[test]
#[should_panic(expected = "through_in_segments: segments of 0 steps")]
fn segments_have_a_step() {
    let tape = Tape::<f64>::new();
    let module = Recurrent(tanh(2, 3));
    let x = tape.zeros(&[7, 1, 2]);
    Unroll::new().through_in_segments(0, &module, &module.on(&tape), x, |_, _, outputs| outputs.sum());
}

#[test]
#[should_panic(expected = "the loss of a segment has shape [3, 1, 3]")]
fn the_loss_of_a_segment_is_a_scalar() {
    let tape = Tape::<f64>::new();
    let module = Recurrent(tanh(2, 3));
    let x = tape.zeros(&[7, 1, 2]);
    Unroll::new().through_in_segments(3, &module, &module.on(&tape), x, |_, _, outputs| outputs);
}

#[test]
#[should_panic(expected = "through_in_segments: the pass is backward in time; segments are computed forward")]
fn the_other_direction_is_refused() {
    let tape = Tape::<f64>::new();
    let module = Recurrent(tanh(2, 3));
    let x = tape.zeros(&[7, 1, 2]);
    Unroll::new().backward().through_in_segments(3, &module, &module.on(&tape), x, |_, _, outputs| outputs.sum());
}

#[test]
fn a_stack_over_a_padded_batch_has_the_gradients_of_the_whole_sequence() {
    let zoneout = Zoneout::new(gru(6, 4, Reset::AfterProduct), &[0.2]);
    let stack = (Recurrent(lstm(3, 6)), Dropout::new(0.3), Recurrent(zoneout), Recurrent(tanh(4, 2)));
    let (lengths, x) = ([13, 5, 1, 8], random(&[13, 4, 3], 5));
    for noise in [None, Some(Noise::new(4))] {
        // The masks of dropout follow from the number of a step.
        let mut how = Unroll::new().lengths(&lengths).from_step(7);
        if let Some(noise) = noise {
            how = how.noise(noise);
        }
        let run = |every: Option<usize>| {
            let tape = Tape::new();
            let (layer, x) = (stack.on(&tape), tape.leaf(x.clone()));
            let (loss, last) = match every {
                None => {
                    let run = how.through(&layer, x);
                    (run.outputs.square().sum(), run.last.3)
                }
                Some(every) => {
                    let segments =
                        how.through_in_segments(every, &stack, &layer, x, |_, _, outputs| outputs.square().sum());
                    (segments.loss(), segments.last.3)
                }
            };
            let all = (loss + last.square().sum()).backward();
            let mut out: Vec<_> = all.of(&layer).leaves().into_iter().cloned().collect();
            out.push(all.get(x));
            (out, last.value())
        };
        let (expected, expected_last) = run(None);
        for every in [1, 3, 13, 20, usize::MAX] {
            let (found, last) = run(Some(every));
            assert_close(&found, &expected, &format!("every {every}, noise {noise:?}"));
            assert_eq!(last, expected_last, "every {every}");
        }
    }
    let (module, tape) = (Recurrent(lstm(3, 6)), Tape::new());
    let (layer, x, how) = (module.on(&tape), tape.constant(x), Unroll::new().lengths(&lengths));
    let whole = how.run(&layer.0, x).last;
    let segments = how.through_in_segments(4, &module, &layer, x, |_, _, outputs| outputs.sum());
    assert_eq!(segments.last.cell.value(), whole.cell.value());
}

parameters! {
    /// h' = tanh(h·w) / x: infinite where x is 0.
    struct Dividing<P> {
        w: P,
    }
}

impl<'t> Cell<'t, f64> for Dividing<Var<'t, f64>> {
    type State = Var<'t, f64>;
    fn step(&self, x: Var<'t, f64>, h: Var<'t, f64>) -> Var<'t, f64> {
        h.matmul(self.w).tanh() / x
    }
    fn initial(&self, batch: usize) -> Var<'t, f64> {
        self.w.tape().constant(Tensor::full(&[batch, self.w.shape()[0]], 0.5))
    }
}

#[test]
fn a_time_step_of_a_segment_has_its_number_in_the_sequence() {
    let module = Recurrent(Dividing { w: random(&[4, 4], 2) });
    let mut x = random(&[9, 2, 4], 1);
    x.as_mut_slice()[5 * 8 + 3] = 0.0;
    let tape = Tape::new();
    let (layer, x) = (module.on(&tape), tape.leaf(x));
    let loss = Unroll::new().through_in_segments(3, &module, &layer, x, |_, _, outputs| outputs.sum()).loss();
    let report = loss.find_nonfinite().expect("a number is divided by 0 at the sixth step");
    assert_eq!((report.place.op, report.index.as_slice()), ("div", &[0, 3][..]), "{report}");
    assert!(report.place.scope.ends_with("t=5"), "{report}");
    assert!(report.place.location.file().ends_with("segments.rs"), "{report}");
}

#[test]
fn the_loss_of_many_segments_is_their_sum() {
    // 0.1 a segment: added one by one, the sum of so many would be off by 1e-4.
    let module = Recurrent(TanhRnn::<Tensor<f32>>::new(1, 1, &mut StdRng::seed_from_u64(1)));
    let tape = Tape::new();
    let x = tape.zeros(&[20_000, 1, 1]);
    let segments = Unroll::new().through_in_segments(1, &module, &module.on(&tape), x, |tape, _, _| tape.scalar(0.1));
    let loss = f64::from(segments.loss().value().item());
    assert!((loss / (20_000.0 * f64::from(0.1_f32)) - 1.0).abs() < 1e-6, "{loss}");
}

parameters! {
    /// h' = a ∘ h + x.
    struct Leaky<P> {
        a: P,
    }
}

impl<'t> Cell<'t, f32> for Leaky<Var<'t, f32>> {
    type State = Var<'t, f32>;
    fn step(&self, x: Var<'t, f32>, h: Var<'t, f32>) -> Var<'t, f32> {
        self.a * h + x
    }
    fn initial(&self, batch: usize) -> Var<'t, f32> {
        self.a.tape().zeros(&[batch, 1])
    }
}

#[test]
fn a_million_steps_have_the_gradient_of_the_formula() {
    const STEPS: usize = 1_000_000;
    let a = 0.9_f32;
    let module = Recurrent(Leaky { a: Tensor::full(&[1], a) });
    let tape = Tape::new();
    let layer = module.on(&tape);
    let x = tape.constant(Tensor::scalar(1.0).broadcast_to(&[STEPS, 1, 1]));
    let how = Unroll::new();
    let loss = how.through_in_segments(1000, &module, &layer, x, |_, _, h| h.sum() / STEPS as f32).loss();
    let gradient = f64::from(loss.backward().of(&layer).0.a.item());
    // With x = 1 the loss is the sum of (T - k)·a^k over k < T, divided by T. Powers above the 400th are below 1e-18.
    let (a, steps) = (f64::from(a), STEPS as f64);
    let of =
        |term: &dyn Fn(f64) -> f64| (0..400).map(|k| term(f64::from(k)) * (1.0 - f64::from(k) / steps)).sum::<f64>();
    let (value, slope) = (of(&|k| a.powf(k)), of(&|k| k * a.powf(k - 1.0)));
    assert!((f64::from(loss.value().item()) / value - 1.0).abs() < 1e-5, "{loss:?}");
    assert!((gradient / slope - 1.0).abs() < 1e-5, "{gradient}, {slope}");
}
