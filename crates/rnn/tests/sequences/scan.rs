//! Scans: the outputs and gradients of the same cell unrolled, in both directions, padded, in segments and as a stream.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor};
use rewind_rnn::{Bidirectional, LayerModule, Lru, MinGru, MinLstm, Recurrent, Scan, Stream, Unroll, check};

use crate::common::{random, randomised};

fn min_gru() -> MinGru<Tensor<f64>> {
    randomised(&MinGru::new(3, 4, &mut StdRng::seed_from_u64(0)).with_learned_state(), 31)
}

fn min_lstm() -> MinLstm<Tensor<f64>> {
    randomised(&MinLstm::new(3, 4, &mut StdRng::seed_from_u64(0)).with_learned_state(), 32)
}

fn lru() -> Lru<Tensor<f64>> {
    randomised(&Lru::new(3, 4, &mut StdRng::seed_from_u64(0)).with_learned_state(), 33)
}

/// Outputs, and the gradients of Σ outputs² by parameter and in x.
fn results<M: LayerModule<f64>>(module: &M, x: &Tensor<f64>, how: Unroll<'_>) -> Vec<Tensor<f64>> {
    let tape = Tape::new();
    let (layer, x) = (module.on(&tape), tape.leaf(x.clone()));
    let outputs = how.through(&layer, x).outputs;
    let gradients = outputs.square().sum().backward();
    let mut all = vec![outputs.value(), gradients.get(x)];
    all.extend(gradients.of(&layer).leaves().into_iter().cloned());
    all
}

fn assert_same(a: &[Tensor<f64>], b: &[Tensor<f64>], case: &str) {
    assert_eq!(a.len(), b.len());
    for (number, (a, b)) in a.iter().zip(b).enumerate() {
        let close = a.to_vec().iter().zip(b.to_vec()).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0));
        assert!(a.shape() == b.shape() && close, "{case}: {number} is {a:?}, unrolled {b:?}");
    }
}

#[test]
fn a_scan_is_the_unrolled_cell_in_both_directions() {
    let lengths = [7, 1, 4];
    let x = random(&[7, 3, 3], 2);
    for (name, how) in [
        ("forward", Unroll::new()),
        ("backward", Unroll::new().backward()),
        ("padded", Unroll::new().lengths(&lengths)),
        ("padded, backward", Unroll::new().lengths(&lengths).backward()),
    ] {
        let case = |cell: &str| format!("{cell}, {name}");
        assert_same(&results(&Scan(min_gru()), &x, how), &results(&Recurrent(min_gru()), &x, how), &case("minGRU"));
        assert_same(&results(&Scan(min_lstm()), &x, how), &results(&Recurrent(min_lstm()), &x, how), &case("minLSTM"));
        assert_same(&results(&Scan(lru()), &x, how), &results(&Recurrent(lru()), &x, how), &case("LRU"));
    }
}

#[test]
fn scans_agree_with_differences() {
    check::layer(&Scan(min_lstm()), [4, 3, 3]).assert();
    check::layer(&Bidirectional::new(Scan(min_gru()), Scan(lru())), [4, 3, 3]).assert();
}

#[test]
fn a_scan_in_segments_and_as_a_stream_goes_on_from_its_state() {
    let x = random(&[13, 2, 3], 3);
    let tape = Tape::new();
    let module = Scan(min_gru());
    let layer = module.on(&tape);
    let input = tape.leaf(x.clone());
    let how = Unroll::new().lengths(&[13, 6]);
    let whole = how.through(&layer, input);
    let segments = how.through_in_segments(4, &module, &layer, input, |_, _, outputs| outputs.square().sum());
    let gradients = |loss: rewind_autograd::Var<'_, f64>| {
        let all = loss.backward();
        let mut out: Vec<_> = all.of(&layer).leaves().into_iter().cloned().collect();
        out.push(all.get(input));
        out
    };
    assert_same(&[segments.last.value()], &[whole.last.value()], "last state");
    assert_same(&gradients(segments.loss()), &gradients(whole.outputs.square().sum()), "segments");

    let unpadded = Unroll::new().through(&layer, input).outputs.value();
    let mut stream = Stream::new(module, 2);
    let steps: Vec<f64> = (0..13).flat_map(|t| stream.step(&x.index(0, t)).to_vec()).collect();
    assert_same(&[Tensor::from_vec(steps, &[13, 2, 4])], &[unpadded.to_contiguous()], "stream");
}
