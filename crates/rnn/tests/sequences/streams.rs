//! Streams: the numbers of the unrolled form, step by step; truncated backpropagation against its definition.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor};
use rewind_rnn::{
    Bidirectional, Gru, LayerNorm, Linear, Lstm, Recurrent, Reset, Stream, TanhRnn, TruncatedBptt, Unroll,
};

use crate::common::{gru, lstm, random, randomised, tanh};
use crate::refused::refused;

type Deep = (Recurrent<Lstm<Tensor<f64>>>, LayerNorm<Tensor<f64>>, Recurrent<Gru<Tensor<f64>>>, Linear<Tensor<f64>>);

fn deep() -> Deep {
    let rng = &mut StdRng::seed_from_u64(1);
    let norm = randomised(&LayerNorm::new(4), 7);
    (Recurrent(lstm(3, 4)), norm, Recurrent(gru(4, 5, Reset::BeforeProduct)), Linear::new(5, 2, rng))
}

#[test]
fn a_stream_has_the_numbers_of_the_whole_sequence() {
    for batch in [1, 7] {
        let x = random(&[33, batch, 3], 1);
        let tape = Tape::new();
        let whole = Unroll::new().through(&deep().on(&tape), tape.constant(x.clone())).outputs.value();
        let mut stream = Stream::new(deep(), batch);
        for t in 0..20 {
            assert_eq!(stream.step(&x.index(0, t)).to_vec(), whole.index(0, t).to_vec(), "B={batch}, t={t}");
        }
        assert_eq!(stream.steps(&x.slice(0, 20..33)).to_vec(), whole.slice(0, 20..33).to_vec(), "B={batch}");
        assert_eq!(stream.position(), 33);
        stream.restart();
        assert_eq!(stream.step(&x.index(0, 0)).to_vec(), whole.index(0, 0).to_vec());
    }
}

/// The gradient of Σ outputs of steps `new`, computed from the state before step `from`, which is a constant unless `from` is 0.
fn by_hand(
    module: &TanhRnn<Tensor<f64>>,
    x: &Tensor<f64>,
    from: usize,
    new: std::ops::Range<usize>,
) -> Vec<Tensor<f64>> {
    let tape = Tape::new();
    let cell = module.on(&tape);
    let x = tape.constant(x.clone());
    let outputs = if from == 0 {
        Unroll::new().run(&cell, x.slice(0, 0..new.end)).outputs()
    } else {
        let before = Unroll::new().run(&cell, x.slice(0, 0..from)).last.detach();
        Unroll::new().run_from(&cell, x.slice(0, from..new.end), before).outputs()
    };
    let outputs = if new.start < from { outputs } else { outputs.slice(0, new.start - from..new.end - from) };
    outputs.square().sum().backward().of(&cell).leaves().into_iter().cloned().collect()
}

#[test]
fn truncated_gradients_are_those_of_the_definition() {
    let (module, steps) = (tanh(3, 4), 23);
    let x = random(&[steps, 2, 3], 2);
    let whole = {
        let tape = Tape::new();
        Unroll::new().run(&module.on(&tape), tape.constant(x.clone())).outputs().value()
    };
    for (every, back) in [(1, 1), (1, 5), (3, 3), (3, 7), (4, 2), (5, 40), (23, 23), (30, 1), (usize::MAX, usize::MAX)]
    {
        let mut truncated = TruncatedBptt::new(every, back, 2).expect("the numbers are right");
        let recurrent = Recurrent(module.clone());
        while truncated.position() < steps {
            let tape = Tape::new();
            let layer = recurrent.on(&tape);
            let window = truncated.window(&recurrent, &layer, &tape, &x);
            let new = window.steps.clone();
            let values: Vec<f64> = window.outputs.value().to_vec();
            assert_eq!(values, whole.slice(0, new.clone()).to_vec(), "k1={every}, k2={back}, {new:?}");
            let ours = window.outputs.square().sum().backward().of(&layer);
            let from = new.end.saturating_sub(back);
            for (name, (a, b)) in
                layer.names().iter().zip(ours.leaves().into_iter().zip(by_hand(&module, &x, from, new.clone())))
            {
                let close = a.to_vec().iter().zip(b.to_vec()).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0));
                assert!(close, "k1={every}, k2={back}, steps {new:?}: {name} is {a:?}, by hand {b:?}");
            }
        }
    }
}

#[test]
fn what_a_stream_cannot_do_is_named() {
    let both = Bidirectional::cells(lstm(3, 4), gru(3, 4, Reset::AfterProduct));
    refused!(
        "Stream: Bidirectional reads the whole sequence; expected layers that read no later step",
        Stream::new(both.clone(), 1)
    );
    let tape = Tape::new();
    let x = random(&[4, 2, 3], 3);
    refused!(
        "through_in_segments: Bidirectional reads the whole sequence; expected layers that read no later step",
        Unroll::new().through_in_segments(2, &both, &both.on(&tape), tape.constant(x.clone()), |_, _, y| y.sum())
    );
    for (every, back, batch) in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        let error = TruncatedBptt::<f64>::new(every, back, batch).expect_err("a number is 0");
        assert_eq!(
            error.to_string(),
            format!(
                "truncated: an update every {every} steps, {back} steps back, {batch} sequences; expected one at least of each"
            )
        );
    }
    let (module, mut truncated) = (Recurrent(tanh(3, 4)), TruncatedBptt::new(4, 4, 2).expect("the numbers are right"));
    let layer = module.on(&tape);
    truncated.window(&module, &layer, &tape, &x);
    refused!(
        "truncated: 4 steps have been read of a sequence of 4; there is none left",
        truncated.window(&module, &layer, &tape, &x)
    );
}
