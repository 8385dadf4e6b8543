//! Unrolling: padding changes nothing, both directions in time, shards and threads change no bit.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::ops::layout::stack;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor, Var, parameters};
use rewind_rnn::optim::{Optimizer, Sgd};
use rewind_rnn::{Cell, Lstm, Reset, Shards, State, Unroll, unroll};

use crate::common::{gru, lstm, random, tanh};

/// Σ weight·output over all steps + Σ weight·last output: a loss that depends on every output, and its gradients by parameter
/// and with respect to x.
fn gradients<M>(module: &M, x: &Tensor<f64>, weight: &Tensor<f64>, lengths: Option<&[usize]>) -> Vec<Tensor<f64>>
where
    M: Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
{
    let tape = Tape::new();
    let (cell, x) = (module.on(&tape), tape.leaf(x.clone()));
    let mut how = Unroll::new();
    if let Some(lengths) = lengths {
        how = how.lengths(lengths);
    }
    let unrolled = how.run(&cell, x);
    let weight = tape.constant(weight.clone());
    let loss = (unrolled.outputs() * weight).sum() + (unrolled.last_output() * weight.index(0, 0)).sum();
    let all = loss.backward();
    let mut out: Vec<_> = all.of(&cell).leaves().into_iter().cloned().collect();
    out.push(all.get(x));
    out
}

fn assert_close(a: &Tensor<f64>, b: &Tensor<f64>, tolerance: f64) {
    assert_eq!(a.shape(), b.shape());
    for (x, y) in a.to_vec().into_iter().zip(b.to_vec()) {
        assert!((x - y).abs() <= tolerance * y.abs().max(1.0), "{x} and {y}");
    }
}

/// The gradient of a padded batch equals the sum of those of its sequences alone, to 1e-12; padding, whatever it holds,
/// has gradient 0.
fn assert_padding_is_invisible<M>(module: &M, lengths: &[usize], padding: f64)
where
    M: Parameters<Tensor<f64>>,
    for<'t> M::With<Var<'t, f64>>: Cell<'t, f64>,
{
    let (steps, batch) = (lengths.iter().max().copied().unwrap_or(1), lengths.len());
    let (inputs, hidden) = (3, 4);
    let clean = random(&[steps, batch, inputs], 20);
    let padded = Tensor::from_fn(&[steps, batch, inputs], |i| {
        let (t, b) = (i / inputs / batch, i / inputs % batch);
        if t < lengths[b] { clean.at(&[t, b, i % inputs]) } else { padding }
    });
    let weight = random(&[steps, batch, hidden], 21);
    let together = gradients(module, &padded, &weight, Some(lengths));
    let mut sums: Vec<Tensor<f64>> = together.iter().map(|g| Tensor::zeros(g.shape())).collect();
    for (b, &length) in lengths.iter().enumerate() {
        let own = |t: &Tensor<f64>| t.slice(0, 0..length).slice(1, b..b + 1);
        let alone = gradients(module, &own(&padded), &own(&weight), None);
        let (x_gradient, parameters) = alone.split_last().expect("there is a gradient of x");
        for (sum, gradient) in sums.iter_mut().zip(parameters) {
            sum.add_assign(gradient);
        }
        let in_batch = together.last().expect("there is a gradient of x").slice(1, b..b + 1);
        assert_close(&in_batch.slice(0, 0..length), x_gradient, 1e-12);
        assert!(in_batch.slice(0, length..steps).to_vec().iter().all(|&g| g == 0.0), "padding has a gradient");
    }
    for (a, b) in together.iter().zip(&sums).take(sums.len() - 1) {
        assert_close(a, b, 1e-12);
    }
}

#[test]
fn padding_is_invisible_whatever_it_holds() {
    for padding in [0.0, -7.5, 1e300, f64::NAN] {
        assert_padding_is_invisible(&lstm(3, 4), &[6, 1, 4, 6], padding);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn padding_is_invisible(lengths in prop::collection::vec(1_usize..8, 1..6)) {
        assert_padding_is_invisible(&tanh(3, 4), &lengths, 3.0);
        assert_padding_is_invisible(&lstm(3, 4), &lengths, 3.0);
        assert_padding_is_invisible(&gru(3, 4, Reset::AfterProduct), &lengths, 3.0);
        assert_padding_is_invisible(&gru(3, 4, Reset::BeforeProduct), &lengths, 3.0);
    }

    #[test]
    fn a_finished_sequence_stands_still(lengths in prop::collection::vec(1_usize..8, 1..5)) {
        let steps = lengths.iter().max().copied().unwrap_or(1);
        let tape = Tape::new();
        let x = tape.constant(random(&[steps, lengths.len(), 3], 30));
        let unrolled = Unroll::new().lengths(&lengths).run(&lstm(3, 4).on(&tape), x);
        for (b, &length) in lengths.iter().enumerate() {
            let end = |s: &rewind_rnn::LstmState<'_, f64>| (s.hidden.value().index(0, b), s.cell.value().index(0, b));
            let last = end(&unrolled.states[length - 1]);
            for state in &unrolled.states[length..] {
                prop_assert_eq!(&end(state), &last);
            }
            prop_assert_eq!(&end(&unrolled.last), &last);
            for t in length..steps {
                prop_assert_eq!(unrolled.output(t).value().index(0, b).to_vec(), [0.0; 4]);
            }
        }
    }

    #[test]
    fn backward_in_time_is_forward_over_the_reversed_sequence(lengths in prop::collection::vec(1_usize..6, 1..4)) {
        let steps = lengths.iter().max().copied().unwrap_or(1);
        let tape = Tape::new();
        let cell = gru(3, 4, Reset::AfterProduct).on(&tape);
        let x = tape.constant(random(&[steps, lengths.len(), 3], 31));
        let backward = Unroll::new().lengths(&lengths).backward().run(&cell, x);
        for (b, &length) in lengths.iter().enumerate() {
            let own = x.slice(1, b..b + 1).slice(0, 0..length);
            let forward = unroll(&cell, own.flip(0));
            prop_assert_eq!(backward.last.value().index(0, b), forward.last.value().index(0, 0));
            let outputs = backward.outputs().slice(1, b..b + 1).slice(0, 0..length);
            assert_close(&outputs.value(), &forward.outputs().flip(0).value(), 1e-14);
        }
    }
}

#[test]
fn two_layers_are_a_cell_of_pairs() {
    // Stacks: a cell of two layers, its state a pair.
    struct Two<A, B>(A, B);
    impl<'t, A: Cell<'t, f64>, B: Cell<'t, f64>> Cell<'t, f64> for Two<A, B> {
        type State = (A::State, B::State);
        fn step(&self, x: Var<'t, f64>, (a, b): Self::State) -> Self::State {
            let a = self.0.step(x, a);
            let b = self.1.step(a.output(), b);
            (a, b)
        }
        fn initial(&self, batch: usize) -> Self::State {
            (self.0.initial(batch), self.1.initial(batch))
        }
    }
    let tape = Tape::new();
    let (first, second) = (lstm(3, 4).on(&tape), tanh(4, 2).on(&tape));
    let x = tape.constant(random(&[5, 3, 3], 40));
    let one_by_one = unroll(&second, Unroll::new().lengths(&[5, 2, 3]).run(&first, x).outputs());
    let together = Unroll::new().lengths(&[5, 2, 3]).run(&Two(first, second), x);
    assert_close(&together.output(1).value(), &one_by_one.output(1).value(), 1e-15);
    assert_eq!(together.outputs().shape().as_slice(), [5, 3, 2]);
}

#[test]
fn shards_give_the_same_bits_on_any_number_of_threads() {
    let module = lstm(3, 7);
    let shards: Vec<Tensor<f64>> = (0..5).map(|k| random(&[9, 2 + k % 3, 3], 50 + k as u64)).collect();
    let run = |threads| {
        let workers = Shards::new(threads).expect("threads can be started");
        let step = || {
            workers.gradients(&module, &shards, |tape, cell, x| {
                let y = unroll(cell, tape.constant(x.clone())).outputs();
                (y * y).sum()
            })
        };
        step(); // a second step works on recycled buffers
        step()
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        let many = run(threads);
        assert_eq!(one.losses, many.losses);
        assert_eq!(one.gradients.leaves(), many.gradients.leaves());
    }
    // And they are the gradients of the whole: that of the sum of the shards' losses.
    let tape = Tape::new();
    let cell = module.on(&tape);
    let losses: Vec<_> = shards
        .iter()
        .map(|x| {
            let y = unroll(&cell, tape.constant(x.clone())).outputs();
            (y * y).sum()
        })
        .collect();
    let whole = stack(&losses, 0).sum().backward().of(&cell);
    for (a, b) in one.gradients.leaves().into_iter().zip(whole.leaves()) {
        assert_close(a, b, 1e-12);
    }
}

#[test]
fn weights_that_change_give_the_same_bits_on_any_number_of_threads_as_in_fresh_memory() {
    // In f32, where the kernel keeps packed forms of weights, which must be dropped when the weights change.
    let x = |k: usize| Tensor::from_fn(&[9, 2 + k % 3, 17], |i| ((i * 7 + k) as f32).sin());
    let shards: Vec<Tensor<f32>> = (0..5).map(x).collect();
    let train = |threads, fresh: bool| {
        let mut module = Lstm::<Tensor<f32>>::new(17, 33, &mut StdRng::seed_from_u64(3));
        let workers = Shards::new(threads).expect("threads can be started");
        let mut sgd = Sgd::new(0.1);
        for _ in 0..4 {
            if fresh {
                module = module.map(|_, w| Tensor::from_vec(w.to_vec(), w.shape()));
            }
            let step = workers.gradients(&module, &shards, |tape, cell, x| {
                unroll(cell, tape.constant(x.clone())).outputs().square().mean()
            });
            sgd.step(&mut module, &step.gradients).expect("the gradients are finite");
        }
        module.leaves().into_iter().flat_map(Tensor::to_vec).map(f32::to_bits).collect::<Vec<_>>()
    };
    let expected = train(1, true);
    for threads in [1, 2, 3, 8] {
        assert!(train(threads, false) == expected, "{threads} threads");
    }
}

#[test]
#[should_panic(expected = "gradients: no shard given; expected one at least")]
fn no_shard() {
    let workers = Shards::<f64>::new(1).expect("threads can be started");
    let none: [Tensor<f64>; 0] = [];
    let _ = workers.gradients(&tanh(2, 2), &none, |tape, _, _| tape.scalar(0.0));
}

fn run_with(shape: &[usize], lengths: &[usize]) {
    let tape = Tape::new();
    let _ = Unroll::new().lengths(lengths).run(&tanh(3, 4).on(&tape), tape.zeros(shape));
}

#[test]
#[should_panic(expected = "unroll: sequence 1 has length 6, longer than the padded batch of 5 time steps")]
fn a_length_beyond_the_padding() {
    run_with(&[5, 2, 3], &[5, 6]);
}

#[test]
#[should_panic(expected = "unroll: sequence 0 is empty; expected a length from 1 to 5")]
fn an_empty_sequence() {
    run_with(&[5, 2, 3], &[0, 5]);
}

#[test]
#[should_panic(expected = "unroll: 1 lengths for a batch of 2 sequences")]
fn a_length_missing() {
    run_with(&[5, 2, 3], &[5]);
}

#[test]
#[should_panic(expected = "unroll: x has shape [0, 2, 3]: no time step")]
fn no_time_step() {
    run_with(&[0, 2, 3], &[0, 0]);
}

#[test]
#[should_panic(expected = "unroll: x has shape [2, 3]; expected [T, B, I]: time, batch, features")]
fn no_time_axis() {
    run_with(&[2, 3], &[2, 2]);
}

#[test]
fn steps_are_numbered_on_from_the_one_that_is_given() {
    let tape = Tape::new();
    let x = tape.constant(random(&[3, 2, 4], 2));
    let unrolled = Unroll::new().from_step(5).lengths(&[3, 2]).run(&gru(4, 5, Reset::AfterProduct).on(&tape), x);
    assert_eq!((unrolled.states[0].scope(), unrolled.states[2].scope()), ("t=5".to_owned(), "t=7".to_owned()));
    assert_eq!(unrolled.output(2).scope(), "t=7", "the mask of an output after the end of a sequence");
}

#[test]
fn nodes_know_their_layer_time_step_and_gate() {
    // Two layers in one step, by name `0` and `1` in the pair.
    struct Stacked<'t>((rewind_rnn::Lstm<Var<'t, f64>>, rewind_rnn::Gru<Var<'t, f64>>));
    impl<'t> Cell<'t, f64> for Stacked<'t> {
        type State = (rewind_rnn::LstmState<'t, f64>, Var<'t, f64>);
        fn step(&self, x: Var<'t, f64>, (lower, upper): Self::State) -> Self::State {
            let lower = self.0.0.step(x, lower);
            (lower, self.0.1.step(lower.hidden, upper))
        }
        fn initial(&self, batch: usize) -> Self::State {
            (self.0.0.initial(batch), self.0.1.initial(batch))
        }
    }
    let tape = Tape::new();
    let layers = (lstm(3, 4), gru(4, 5, Reset::AfterProduct)).on(&tape);
    assert_eq!(layers.1.weight_hn.scope(), "1.weight_hn");
    let x = tape.constant(random(&[3, 2, 3], 1));
    let before = tape.len();
    let unrolled = Unroll::new().backward().run(&Stacked(layers), x);
    assert_eq!(unrolled.states[2].0.hidden.scope(), "0/t=2");
    assert_eq!(unrolled.states[2].0.cell.scope(), "0/t=2");
    assert_eq!(unrolled.states[1].1.scope(), "1/t=1");
    let nodes: Vec<_> = (before..tape.len()).map(|i| tape.node(i)).collect();
    let count = |name: &str, scope: &str| nodes.iter().filter(|n| n.name == name && n.scope == scope).count();
    for t in 0..3 {
        for gate in ["i", "f", "o"] {
            assert_eq!(count("sigmoid", &format!("0/t={t}/{gate}")), 1, "{gate} at {t}");
        }
        assert_eq!(count("tanh", &format!("0/t={t}/g")), 1);
        // f∘c belongs to f; i∘g and o∘tanh(c') belong to no gate.
        assert_eq!((count("mul", &format!("0/t={t}/f")), count("mul", &format!("0/t={t}"))), (1, 2));
        assert_eq!(count("slice", &format!("1/t={t}/z")), 1);
        assert_eq!(count("tanh", &format!("1/t={t}/n")), 1);
    }
    let affine = nodes.iter().find(|n| n.name == "affine").expect("the product of the lower layer");
    assert_eq!(affine.parameters, ["0.weight_ih", "0.weight_hh", "0.bias"]);
}

#[test]
fn the_sum_over_many_shards_is_right() {
    parameters! { struct Offset<P> { offset: P } }
    // 0.1 a shard: added one by one, the sum of so many would be off by 1e-4.
    let data = vec![(); 20_000];
    let offset = Offset { offset: Tensor::scalar(0.0_f32) };
    let on = |threads| {
        let workers = Shards::new(threads).expect("threads can be started");
        workers.gradients(&offset, &data, |_, offset, ()| offset.offset * 0.1).gradients.offset.item()
    };
    let sum = on(1);
    assert!((f64::from(sum) / (20_000.0 * f64::from(0.1_f32)) - 1.0).abs() < 1e-6, "{sum}");
    assert_eq!(on(2).to_bits(), sum.to_bits());
}

/// An LSTM that counts its steps: with checks of sizes, and without.
struct Counted<'c, C>(C, &'c std::cell::Cell<[usize; 2]>);

impl<'t, C: Cell<'t, f64>> Cell<'t, f64> for Counted<'_, C> {
    type State = C::State;
    fn step(&self, x: Var<'t, f64>, state: C::State) -> C::State {
        let [checked, unchecked] = self.1.get();
        self.1.set([checked + 1, unchecked]);
        self.0.step(x, state)
    }
    fn equations(&self, x: Var<'t, f64>, state: C::State) -> C::State {
        let [checked, unchecked] = self.1.get();
        self.1.set([checked, unchecked + 1]);
        self.0.equations(x, state)
    }
    fn initial(&self, batch: usize) -> C::State {
        self.0.initial(batch)
    }
}

#[test]
fn sizes_are_checked_in_the_first_step_alone() {
    let (tape, lengths) = (Tape::new(), [5, 2]);
    let x = tape.constant(random(&[5, 2, 3], 1));
    let cell = lstm(3, 4).on(&tape);
    for how in [Unroll::new(), Unroll::new().lengths(&lengths), Unroll::new().lengths(&lengths).backward()] {
        let steps = std::cell::Cell::new([0; 2]);
        let counted = how.run(&Counted(cell.clone(), &steps), x);
        assert_eq!(steps.get(), [1, 4]);
        assert_eq!(counted.outputs().value(), how.run(&cell, x).outputs().value());
    }
    // Step by step, each with its checks: the same values.
    let steps = std::cell::Cell::new([0; 2]);
    let checked = Counted(cell.clone(), &steps);
    let by_hand = (0..5).fold(checked.initial(2), |state, t| checked.step(x.index(0, t), state));
    assert_eq!(steps.get(), [5, 0]);
    assert_eq!(by_hand.output().value(), unroll(&cell, x).last_output().value());
}
