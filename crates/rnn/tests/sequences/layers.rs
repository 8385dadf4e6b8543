//! Layers: every kind against central differences, against the cells alone, and in padded batches; what does not fit is named.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::ops::layout::concat;
use rewind_autograd::{Module, OnTape, Tape, Tensor, Var};
use rewind_rnn::{
    Bidirectional, Dropout, Gru, Layer, LayerNorm, Linear, Lstm, LstmState, Merge, Noise, Recurrent, Reset, Residual,
    TanhRnn, Unroll, check,
};

use crate::common::{gru, lstm, random, randomised, tanh};
use crate::refused::refused;

fn linear(inputs: usize, outputs: usize) -> Linear<Tensor<f64>> {
    randomised(&Linear::new(inputs, outputs, &mut StdRng::seed_from_u64(0)), 5)
}

fn norm(width: usize) -> LayerNorm<Tensor<f64>> {
    randomised(&LayerNorm::new(width), 6)
}

type Both<F, B> = Bidirectional<Tensor<f64>, Recurrent<F>, Recurrent<B>>;

fn both(inputs: usize, hidden: usize) -> Both<Lstm<Tensor<f64>>, Gru<Tensor<f64>>> {
    Bidirectional::cells(lstm(inputs, hidden), gru(inputs, hidden, Reset::AfterProduct))
}

/// LSTM on GRU on tanh, with everything in between: 3 features in, 2 out.
macro_rules! deep {
    () => {
        (
            Recurrent(lstm(3, 4)),
            Dropout::new(0.4),
            Residual::new(Recurrent(gru(4, 4, Reset::BeforeProduct))),
            norm(4),
            both(4, 3),
            linear(6, 2),
            Recurrent(tanh(2, 2)),
        )
    };
}

#[test]
fn every_layer_agrees_with_differences() {
    check::layer(&Recurrent(lstm(3, 4)), [3, 3, 3]).assert();
    check::layer(&linear(3, 2), [3, 3, 3]).assert();
    check::layer(&norm(3), [3, 3, 3]).assert();
    check::layer(&Dropout::<Tensor<f64>>::new(0.5), [4, 3, 3]).assert();
    check::layer(&Residual::new(Recurrent(tanh(3, 3))), [3, 3, 3]).assert();
    check::layer(&both(3, 2), [4, 3, 3]).assert();
    check::layer(&both(3, 2).with_merge(Merge::Sum), [4, 3, 3]).assert();
    check::layer(&vec![Recurrent(gru(3, 3, Reset::AfterProduct)); 3], [3, 3, 3]).assert();
}

#[test]
fn a_deep_stack_of_unlike_layers_agrees_with_differences() {
    check::layer(&deep!(), [3, 3, 3]).assert();
}

#[test]
fn a_stack_is_its_layers_one_after_another() {
    let (below, above) = (lstm(3, 4), tanh(4, 2));
    let tape = Tape::new();
    let x = tape.constant(random(&[6, 2, 3], 40));
    let how = Unroll::new().lengths(&[6, 4]);
    let run = how.through(&(Recurrent(below.clone()), Recurrent(above.clone())).on(&tape), x);
    let first = how.run(&below.on(&tape), x);
    let second = how.run(&above.on(&tape), first.outputs());
    assert_eq!(run.outputs.value(), second.outputs().value());
    assert_eq!(
        run.layers.iter().map(|y| y.value()).collect::<Vec<_>>(),
        [first.outputs().value(), second.outputs().value()]
    );
    assert_eq!((run.last.0.cell.value(), run.last.1.value()), (first.last.cell.value(), second.last.value()));
}

#[test]
fn states_are_carried_through_every_layer() {
    let tape = Tape::new();
    let stack = (Recurrent(lstm(3, 4)), norm(4), Recurrent(gru(4, 2, Reset::AfterProduct))).on(&tape);
    let x = tape.constant(random(&[7, 2, 3], 41));
    let whole = Unroll::new().through(&stack, x);
    let first = Unroll::new().through(&stack, x.slice(0, 0..3));
    let second = Unroll::new().through_from(&stack, x.slice(0, 3..7), first.last);
    assert_eq!(concat(&[first.outputs, second.outputs], 0).value(), whole.outputs.value());
    assert_eq!(second.last.2.value(), whole.last.2.value());
}

#[test]
fn the_directions_are_those_of_the_cells() {
    let (f, b) = (lstm(3, 4), gru(3, 2, Reset::AfterProduct));
    let lengths = [5, 2];
    let tape = Tape::new();
    let x = tape.constant(random(&[5, 2, 3], 42));
    let run = Unroll::new().lengths(&lengths).through(&Bidirectional::cells(f.clone(), b.clone()).on(&tape), x);
    let forward = Unroll::new().lengths(&lengths).run(&f.on(&tape), x);
    let backward = Unroll::new().lengths(&lengths).backward().run(&b.on(&tape), x);
    assert_eq!(run.outputs.value(), concat(&[forward.outputs(), backward.outputs()], 2).value());
    assert_eq!(run.last.1.value(), backward.last.value());
    // The other direction around, the directions change places.
    let back = Unroll::new().lengths(&lengths).backward().through(&Bidirectional::cells(b, f).on(&tape), x);
    assert_eq!(back.outputs.value(), concat(&[backward.outputs(), forward.outputs()], 2).value());
}

/// The gradients of Σ weight·outputs + Σ outputs of the last step of every sequence, by parameter and in x.
fn gradients<M>(module: &M, x: &Tensor<f64>, weight: &Tensor<f64>, lengths: &[usize]) -> Vec<Tensor<f64>>
where
    M: Module<f64>,
    for<'t> M::With<Var<'t, f64>>: Layer<'t, f64>,
{
    let tape = Tape::new();
    let (layer, x) = (module.on(&tape), tape.leaf(x.clone()));
    let run = Unroll::new().lengths(lengths).through(&layer, x);
    let gradients = (run.outputs * tape.constant(weight.clone())).sum().backward();
    let mut all: Vec<_> = gradients.of(&layer).leaves().into_iter().cloned().collect();
    all.push(gradients.get(x));
    all
}

fn assert_close(a: &Tensor<f64>, b: &Tensor<f64>) {
    assert_eq!(a.shape(), b.shape());
    for (x, y) in a.to_vec().into_iter().zip(b.to_vec()) {
        assert!((x - y).abs() <= 1e-12 * y.abs().max(1.0), "{x} and {y}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn padding_is_invisible_in_a_deep_stack(lengths in prop::collection::vec(1_usize..7, 1..5), number in 0..3_usize) {
        let padding = [0.0, -7.5, f64::NAN][number];
        let (steps, batch) = (lengths.iter().max().copied().unwrap_or(1), lengths.len());
        let module = deep!();
        let clean = random(&[steps, batch, 3], 50);
        let x = Tensor::from_fn(&[steps, batch, 3], |i| {
            let (t, b) = (i / 3 / batch, i / 3 % batch);
            if t < lengths[b] { clean.at(&[t, b, i % 3]) } else { padding }
        });
        let weight = random(&[steps, batch, 2], 51);
        let together = gradients(&module, &x, &weight, &lengths);
        let mut sums: Vec<Tensor<f64>> = together.iter().map(|g| Tensor::zeros(g.shape())).collect();
        for (b, &length) in lengths.iter().enumerate() {
            let own = |t: &Tensor<f64>| t.slice(0, 0..length).slice(1, b..b + 1).to_contiguous();
            let alone = gradients(&module, &own(&x), &own(&weight), &[length]);
            let (of_x, of_parameters) = alone.split_last().expect("there is a gradient of x");
            sums.iter_mut().zip(of_parameters).for_each(|(sum, gradient)| sum.add_assign(gradient));
            let in_batch = together.last().expect("there is a gradient of x").slice(1, b..b + 1);
            assert_close(&in_batch.slice(0, 0..length), of_x);
            prop_assert!(in_batch.slice(0, length..steps).to_vec().iter().all(|&g| g == 0.0));
        }
        for (a, b) in together.iter().zip(&sums).take(sums.len() - 1) {
            assert_close(a, b);
        }
    }
}

#[test]
fn dropout_is_off_without_noise_and_repeats_with_the_same() {
    let tape = Tape::new();
    let x = tape.constant(random(&[20, 7, 33], 60));
    let dropouts = (Dropout::new(0.5), Dropout::new(0.5)).on(&tape);
    assert_eq!(Unroll::new().through(&dropouts, x).outputs.value(), x.value());
    let run = |seed| Unroll::new().noise(Noise::new(seed)).through(&dropouts, x);
    assert_eq!(run(1).outputs.value(), run(1).outputs.value());
    assert_ne!(run(1).outputs.value(), run(2).outputs.value());
    let kept = |y: Var<'_, f64>| y.value().to_vec().iter().map(|&y| y != 0.0).collect::<Vec<_>>();
    let (first, second) = (kept(run(1).layers[0]), kept(run(1).layers[1]));
    // Of what the first dropout keeps, the second drops a half: its mask is another one.
    let share = second.iter().filter(|&&kept| kept).count() as f64 / first.iter().filter(|&&kept| kept).count() as f64;
    assert!((0.4..0.6).contains(&share), "{share}");
    // And one time step is not like the next.
    assert_ne!(first[..7 * 33], first[7 * 33..2 * 7 * 33]);
}

#[test]
fn a_mask_does_not_depend_on_where_a_run_is_cut() {
    let tape = Tape::new();
    let x = tape.constant(random(&[6, 2, 3], 61));
    let dropout = Dropout::new(0.5).on(&tape);
    let whole = Unroll::new().noise(Noise::new(3)).through(&dropout, x).outputs.value();
    let start = Unroll::new().noise(Noise::new(3)).through(&dropout, x.slice(0, 0..2)).outputs.value();
    assert_eq!(whole.slice(0, 0..2).to_vec(), start.to_vec());
}

#[test]
fn what_does_not_fit_is_named() {
    let tape = Tape::new();
    let x = tape.constant(random(&[4, 2, 3], 70));
    let how = Unroll::new();

    let stack = (Recurrent(lstm(3, 4)), Recurrent(gru(5, 2, Reset::AfterProduct)), linear(2, 2)).on(&tape);
    refused!("layer 1, Gru: takes 5 features a step; layer 0, Lstm, gives 4", how.through(&stack, x));
    let stack = vec![Recurrent(tanh(3, 4)), Recurrent(tanh(3, 4))].on(&tape);
    refused!("layer 1, TanhRnn: takes 3 features a step; layer 0, TanhRnn, gives 4", how.through(&stack, x));
    let wide = linear(4, 2).on(&tape);
    refused!("Linear: takes 4 features a step; x gives 3", how.through(&wide, x));
    let nothing: Vec<Recurrent<TanhRnn<Var<'_, f64>>>> = Vec::new();
    refused!("stack: there is no layer; expected one at least", how.through(&nothing, x));
    let (two, one) = (vec![Recurrent(tanh(3, 3)); 2].on(&tape), vec![tape.constant(random(&[2, 3], 71))]);
    refused!("stack: a state of 1 layers for a stack of 2", how.through_from(&two, x, one));
    refused!(
        "unroll: sequence 1 has length 5, longer than the padded batch of 4 time steps",
        how.lengths(&[4, 5]).through(&two, x)
    );
    let widening = Residual::new(Recurrent(tanh(3, 4))).on(&tape);
    refused!("Residual: TanhRnn reads 3 features and gives 4; expected as many", how.through(&widening, x));
    for rate in [1.0, -0.1, f64::NAN, 2.0] {
        let message = format!("Dropout: rate {rate}; expected a probability in [0, 1)");
        refused!(message, Dropout::<Tensor<f64>>::new(rate));
    }
    refused!("LayerNorm: 0 features; expected one at least", LayerNorm::<Tensor<f64>>::new(0));
    let uneven = LayerNorm { gain: random(&[3], 73), bias: random(&[1], 74) }.on(&tape);
    refused!("LayerNorm: bias has shape [1]; expected [3], by the rows of its weights", how.through(&uneven, x));
}

#[test]
fn directions_that_do_not_fit_are_named() {
    let tape = Tape::new();
    let x = tape.constant(random(&[4, 2, 3], 72));
    let how = Unroll::new();

    refused!(
        "Bidirectional: the same module was given for both directions; expected one with parameters of its own for each",
        Bidirectional::cells(lstm(3, 4), lstm(3, 4))
    );
    let mut shared = Bidirectional::cells(lstm(3, 4), randomised(&lstm(3, 4), 9)).on(&tape);
    shared.backward.0.weight_hh = shared.forward.0.weight_hh;
    refused!(
        "Bidirectional: the directions share a parameter; expected parameters of their own for each",
        how.through(&shared, x)
    );
    let uneven = Bidirectional::cells(lstm(3, 4), gru(5, 4, Reset::AfterProduct)).on(&tape);
    refused!(
        "Bidirectional: Lstm forward takes 3 features a step, Gru backward 5; both read one sequence",
        how.through(&uneven, x)
    );
    let sum = Bidirectional::cells(lstm(3, 4), gru(3, 2, Reset::AfterProduct)).with_merge(Merge::Sum).on(&tape);
    refused!(
        "Bidirectional: Lstm forward gives 4 features, Gru backward 2; a sum needs as many of each",
        how.through(&sum, x)
    );
    let other = Tape::new();
    let first = LstmState { hidden: other.zeros(&[2, 4]), cell: other.zeros(&[2, 4]) };
    let layer = Recurrent(lstm(3, 4).on(&tape));
    refused!("through: Lstm or its first state lives on another tape than x", how.through_from(&layer, x, first));
}
