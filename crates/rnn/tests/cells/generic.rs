//! Code that is generic in a cell: one bound allows threads, first states, maps from tensor to tensor, segments and the check.

use std::marker::PhantomData;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{Module, OnTape, Scalar, Tape, Tensor, Var, parameters};
use rewind_rnn::optim::{Optimizer, Sgd};
use rewind_rnn::{Cell, CoupledLstm, Gru, Lstm, Mgu, PeepholeLstm, ProjectedLstm, ReluRnn, TanhRnn};
use rewind_rnn::{Recurrent, RecurrentModule, ShardedStep, Shards, State, Unroll, check, unroll};

/// Trains any cell to keep its outputs small, the batch in shards; returns the losses of all steps.
fn train<T: Scalar, C: RecurrentModule<T>>(cell: C, batch: &[Tensor<T>]) -> (C, Vec<f64>) {
    let shards = Shards::new(2).expect("threads can be started");
    let (mut cell, mut sgd, mut losses) = (cell, Sgd::new(0.05), Vec::new());
    for _ in 0..5 {
        let step: ShardedStep<T, C> = shards.gradients(&cell, batch, |tape, cell, x| {
            let batch = x.shape()[1];
            let unrolled = Unroll::new().run_from(cell, tape.constant(x.clone()), cell.initial(batch));
            unrolled.outputs().square().mean() * T::from_f64(0.5)
        });
        losses.push(step.losses.iter().map(|loss| loss.to_f64()).sum());
        sgd.step(&mut cell, &step.gradients).expect("the gradients are finite");
    }
    (cell, losses)
}

/// Doubles a module by a map from tensor to tensor, on another thread.
fn doubled<T: Scalar, C: RecurrentModule<T>>(cell: &C) -> C {
    std::thread::scope(|scope| {
        let double = scope.spawn(|| -> C { cell.map(|_, p| p.map(|p| p * T::from_f64(2.0))) });
        double.join().expect("it does not panic")
    })
}

/// The gradients of Σ h², in segments and as a whole.
fn in_two_ways<C: RecurrentModule<f64>>(cell: &C, x: &Tensor<f64>) -> [C; 2] {
    let (layer, tape) = (Recurrent(cell.clone()), Tape::new());
    let (on_tape, x) = (layer.on(&tape), tape.constant(x.clone()));
    let segments = Unroll::new().through_in_segments(2, &layer, &on_tape, x, |_, _, h| h.square().sum());
    [segments.loss(), unroll(&on_tape.0, x).outputs().square().sum()].map(|loss| loss.backward().of(&on_tape.0))
}

fn largest<T: Scalar, M: Module<T>>(module: &M) -> f64 {
    module.leaves().into_iter().flat_map(Tensor::to_vec).map(|p| p.to_f64().abs()).fold(0.0, f64::max)
}

fn assert_all<C: RecurrentModule<f64>>(cell: C) {
    let x = |batch, seed| crate::common::random(&[5, batch, 3], seed);
    let before = largest(&cell);
    assert_eq!(largest(&doubled(&cell)), 2.0 * before);
    check::cell(&cell, [2, 2, 3]).assert();
    let [parts, whole] = in_two_ways(&cell, &x(2, 1));
    let difference = parts.zip(&whole, |_, a, b| a.zip(b, |a, b| a - b));
    assert!(largest(&difference) <= 1e-13 * largest(&whole) && largest(&whole) > 1e-3);
    let (trained, losses) = train(cell, &[x(2, 2), x(1, 3)]);
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
    assert_ne!(largest(&trained), before);
}

parameters! {
    /// h' = h/2 + tanh(x·w)/2, in any precision.
    #[derive(Clone)]
    struct Leaky<P> { w: P }
}

impl<'t, T: Scalar> Cell<'t, T> for Leaky<Var<'t, T>> {
    type State = Var<'t, T>;
    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let half = T::from_f64(0.5);
        h * half + x.matmul(self.w).tanh() * half
    }
    fn initial(&self, batch: usize) -> Var<'t, T> {
        self.w.tape().zeros(&[batch, self.w.shape()[1]])
    }
    fn features(&self) -> Option<usize> {
        Some(self.w.shape()[0])
    }
}

parameters! {
    /// A stack of layers of any cell.
    struct Stack<P, C> {
        layers: Vec<C>,
        leaf: PhantomData<P>,
    }
}

impl<'t, T: Scalar, C: Cell<'t, T>> Cell<'t, T> for Stack<Var<'t, T>, C> {
    type State = Vec<C::State>;
    fn step(&self, x: Var<'t, T>, state: Self::State) -> Self::State {
        let mut input = x;
        let mut next = Vec::new();
        for (cell, state) in self.layers.iter().zip(state) {
            next.push(cell.step(input, state));
            input = next[next.len() - 1].output();
        }
        next
    }
    fn initial(&self, batch: usize) -> Self::State {
        self.layers.iter().map(|cell| cell.initial(batch)).collect()
    }
}

#[test]
fn one_bound_serves_every_cell() {
    let rng = &mut StdRng::seed_from_u64(1);
    assert_all(TanhRnn::new(3, 2, rng));
    assert_all(Lstm::new(3, 2, rng));
    assert_all(Gru::new(3, 2, rng));
    assert_all(ReluRnn::new(3, 2, rng));
    assert_all(Mgu::new(3, 2, rng));
    assert_all(PeepholeLstm::new(3, 2, rng));
    assert_all(CoupledLstm::new(3, 2, rng));
    assert_all(ProjectedLstm::new(3, 2, 2, rng));
    assert_all(Gru::new(3, 2, rng).with_heads(2, rng));
    assert_all(Leaky { w: crate::common::random(&[3, 2], 4) });
    assert_all(Stack { layers: vec![Gru::new(3, 3, rng), Gru::new(3, 2, rng)], leaf: PhantomData });
}

#[test]
fn the_same_code_trains_in_single_precision() {
    let rng = &mut StdRng::seed_from_u64(1);
    let x = Tensor::<f32>::from_fn(&[5, 2, 3], |i| (i as f32 * 0.7).sin());
    let (_, losses) =
        train(Stack { layers: vec![Lstm::new(3, 4, rng), Lstm::new(4, 2, rng)], leaf: PhantomData }, &[x]);
    assert!(losses[4] < losses[0], "{losses:?}");
}

#[test]
#[should_panic(expected = "unroll: Leaky takes x [T, B, 3], 3 features; got x [5, 2, 4]")]
fn a_cell_of_ones_own_is_named_if_it_says_its_features() {
    let tape = Tape::<f64>::new();
    unroll(&Leaky { w: crate::common::random(&[3, 2], 4) }.on(&tape), tape.zeros(&[5, 2, 4]));
}
