//! What streams and truncated backpropagation carry: kept, set, saved and resumed; dropout and padding in windows; what does not fit is named.

use std::fs;
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Parameters, Tape, Tensor};
use rewind_rnn::file::{self, Metadata};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::resume::{Part, Saved};
use rewind_rnn::{
    Dropout, ErrorKind, Linear, Lstm, MinGru, Noise, Recurrent, RecurrentDropout, Reset, Scan, Stream, StreamState,
    TanhRnn, TruncatedBptt, Unroll, Zoneout,
};

use super::common::{gru, lstm, random, randomised, tanh};
use super::refused::refused;

type Deep = (Recurrent<Lstm<Tensor<f64>>>, Linear<Tensor<f64>>, Scan<MinGru<Tensor<f64>>>);

fn deep() -> Deep {
    let rng = &mut StdRng::seed_from_u64(1);
    let scan = Scan(randomised(&MinGru::new(2, 4, rng).with_learned_state(), 8));
    (Recurrent(lstm(3, 4)), Linear::new(4, 2, rng), scan)
}

#[test]
fn a_stream_goes_on_from_a_state_that_was_kept() {
    let x = random(&[9, 2, 3], 1);
    let mut stream = Stream::new(deep(), 2);
    let start = stream.state();
    assert_eq!((start.position, start.parts.len()), (0, 3));
    let first = stream.steps(&x.slice(0, 0..5));
    let kept = stream.state();
    let rest = stream.steps(&x.slice(0, 5..9));
    // In the same stream, in another, and from the last state of a run over the whole.
    stream.set_state(kept.clone()).expect("its own state");
    assert_eq!((stream.position(), stream.steps(&x.slice(0, 5..9)).to_vec()), (5, rest.to_vec()));
    let mut other = Stream::new(deep(), 2);
    other.set_state(kept.clone()).expect("the state of an equal stream");
    assert_eq!(other.steps(&x.slice(0, 5..9)).to_vec(), rest.to_vec());
    let tape = Tape::quiet();
    let run = Unroll::new().through(&deep().on(&tape), tape.constant(x.slice(0, 0..5)));
    assert_eq!(StreamState::of(&run.last, 5), kept);
    // At the start it is the first state of the layer, and set again it changes nothing.
    other.set_state(start).expect("the first state");
    assert_eq!((other.position(), other.steps(&x.slice(0, 0..5)).to_vec()), (0, first.to_vec()));
}

#[test]
fn a_stream_is_a_part_of_a_run() {
    let x = random(&[9, 2, 3], 1);
    for stop in [0, 1, 5] {
        let mut stream = Stream::new(deep(), 2);
        if stop > 0 {
            stream.steps(&x.slice(0, 0..stop));
        }
        let saved: Saved<f64> = stream.saved();
        let mut other = Stream::new(deep(), 2);
        other.resume(&saved).expect("the state of an equal stream")();
        assert_eq!(other.position(), stop);
        assert_eq!(other.steps(&x.slice(0, stop..9)).to_vec(), stream.steps(&x.slice(0, stop..9)).to_vec());
    }
}

#[test]
fn a_state_that_does_not_fit_a_stream_changes_nothing() {
    let mut stream = Stream::new(Recurrent(lstm(3, 4)), 2);
    stream.step(&random(&[2, 3], 1));
    let kept = stream.state();
    let part = |shape: &[usize]| random(shape, 2);
    for (parts, text) in [
        (vec![part(&[2, 4])], "Stream: the state of Lstm has 1 parts; expected 2"),
        (vec![part(&[2, 4]), part(&[3, 4])], "Stream: the state of Lstm has part `cell` as [3, 4]; expected [2, 4]"),
        (vec![part(&[2, 5]), part(&[2, 4])], "Stream: the state of Lstm has part `hidden` as [2, 5]; expected [2, 4]"),
    ] {
        let error = stream.set_state(StreamState { parts, position: 7 }).expect_err(text);
        assert!(matches!(error.kind(), ErrorKind::Shape) && error.to_string() == text, "{error}");
        assert_eq!(stream.state(), kept);
    }
    // From a file: of another layer, of another batch, and damaged.
    let other = |batch| {
        let mut other = Stream::new(Recurrent(tanh(3, 4)), batch);
        other.step(&random(&[batch, 3], 3));
        Part::<f64>::saved(&other)
    };
    let mut damaged = stream.saved();
    damaged.tensors.remove(0);
    for (saved, text) in [
        (other(2), "Stream: the state of Lstm has 1 parts; expected 2"),
        (
            other(3),
            "Stream: the state has `state.0` [3, 4]; expected `state.0`, `state.1`, …, with a row for each of 2 sequences",
        ),
        (
            damaged,
            "Stream: the state has `state.1` [2, 4]; expected `state.0`, `state.1`, …, with a row for each of 2 sequences",
        ),
    ] {
        let error = stream.resume(&saved).err().unwrap_or_else(|| panic!("{text}"));
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(stream.state(), kept);
}

#[test]
fn a_place_from_which_steps_cannot_be_counted_is_refused() {
    let mut stream = Stream::new(Recurrent(lstm(3, 4)), 2);
    stream.step(&random(&[2, 3], 1));
    let kept = stream.state();
    let last = StreamState { position: (1 << 63) - 1, ..kept.clone() };
    stream.set_state(last).expect("the last that is not refused");
    stream.step(&random(&[2, 3], 1));
    assert_eq!(stream.position(), 1 << 63);
    stream.set_state(kept).expect("its own state");
    for position in [1 << 63, usize::MAX] {
        let error = stream.set_state(StreamState { position, ..stream.state() }).expect_err("it is too large");
        assert_eq!(error.to_string(), format!("Stream: a state after {position} steps; expected fewer than 2^63"));
        assert!(matches!(error.kind(), ErrorKind::Setting) && stream.position() == 1);
        let mut saved: Saved<f64> = stream.saved();
        saved.values.insert("carried".to_owned(), position.to_string());
        let error = stream.resume(&saved).err().expect("a number from a file");
        assert_eq!(error.to_string(), format!("Stream: `carried` is \"{position}\"; expected a count below 2^63"));
        let mut truncated = TruncatedBptt::<f64>::new(4, 4, 2).expect("the numbers are right");
        let mut saved = truncated.saved();
        saved.values.insert("position".to_owned(), position.to_string());
        let error = truncated.resume(&saved).err().expect("a number from a file");
        let expected = format!("TruncatedBptt: `position` is \"{position}\"; expected a count below 2^63");
        assert_eq!(error.to_string(), expected);
        refused!(format!("from_step: step {position}; expected one below 2^63"), Unroll::new().from_step(position));
    }
}

#[test]
fn windows_have_the_masks_and_the_padding_of_the_whole_sequence() {
    let rng = &mut StdRng::seed_from_u64(1);
    let zoned = Zoneout::new(gru(4, 4, Reset::BeforeProduct), &[0.3]);
    let module = (Recurrent(lstm(3, 4)), Dropout::new(0.4), Recurrent(zoned), Linear::new(4, 2, rng));
    let (x, lengths) = (random(&[23, 3, 3], 2), [23, 9, 1]);
    let how = Unroll::new().lengths(&lengths).noise(Noise::new(5));
    let whole = {
        let tape = Tape::new();
        how.through(&module.on(&tape), tape.constant(x.clone())).outputs.value()
    };
    for (every, back) in [(1, 1), (1, 5), (3, 3), (3, 7), (4, 2), (5, 40), (23, 23), (30, 1), (usize::MAX, usize::MAX)]
    {
        let mut truncated = TruncatedBptt::new(every, back, 3).expect("the numbers are right");
        while truncated.position() < 23 {
            let tape = Tape::new();
            let layer = module.on(&tape);
            let window = truncated.window_with(how, &module, &layer, &tape, &x);
            let expected = whole.slice(0, window.steps.clone()).to_vec();
            assert_eq!(window.outputs.value().to_vec(), expected, "k1={every}, k2={back}, {:?}", window.steps);
            if back < 23 {
                continue;
            }
            // Nothing is truncated: the gradient of these outputs is that of the whole.
            let ours = window.outputs.square().sum().backward().of(&layer);
            let other = Tape::new();
            let on_other = module.on(&other);
            let outputs = how.through(&on_other, other.constant(x.clone())).outputs.slice(0, window.steps.clone());
            let theirs = outputs.square().sum().backward().of(&on_other);
            for (a, b) in ours.leaves().into_iter().zip(theirs.leaves()) {
                let close = |(a, b): (f64, f64)| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
                assert!(a.to_vec().into_iter().zip(b.to_vec()).all(close), "k1={every}, {:?}", window.steps);
            }
        }
    }
}

#[test]
fn truncated_gradients_with_noise_and_padding_are_those_of_the_definition() {
    // One mask for a whole sequence: a run by hand from a state needs no place in the sequence.
    let cell = RecurrentDropout::new(tanh(3, 4), 0.4);
    let (module, x, lengths) = (Recurrent(cell.clone()), random(&[11, 2, 3], 4), [11, 4]);
    let noise = Noise::new(6);
    for (every, back) in [(1, 1), (2, 3), (3, 5), (4, 2)] {
        let mut truncated = TruncatedBptt::new(every, back, 2).expect("the numbers are right");
        while truncated.position() < 11 {
            let tape = Tape::new();
            let layer = module.on(&tape);
            let how = Unroll::new().lengths(&lengths).noise(noise);
            let window = truncated.window_with(how, &module, &layer, &tape, &x);
            let ours = window.outputs.square().sum().backward().of(&layer);
            let (new, from) = (window.steps.clone(), window.steps.end.saturating_sub(back));
            let tape = Tape::new();
            let by_hand = cell.on(&tape);
            let xs = tape.constant(x.clone());
            // A mask has a row for each sequence: all run, to the end of one, and that one is read.
            let losses = (0..2).filter_map(|b| {
                let (end, read) = (new.end.min(lengths[b]), new.start.max(from));
                if end <= read {
                    return None;
                }
                let how = Unroll::new().noise(noise);
                let outputs = if from == 0 {
                    how.run(&by_hand, xs.slice(0, 0..end)).outputs()
                } else {
                    let before = how.run(&by_hand, xs.slice(0, 0..from)).last.detach();
                    how.run_from(&by_hand, xs.slice(0, from..end), before).outputs()
                };
                Some(outputs.slice(0, read - from..end - from).slice(1, b..b + 1).square().sum())
            });
            let Some(loss) = losses.reduce(|a, b| a + b) else { panic!("the first sequence is the longest") };
            let theirs = loss.backward().of(&by_hand);
            for (a, b) in ours.leaves().into_iter().zip(theirs.leaves()) {
                let close = |(a, b): (f64, f64)| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
                assert!(a.to_vec().into_iter().zip(b.to_vec()).all(close), "k1={every}, k2={back}, {new:?}");
            }
        }
    }
}

type Dropped = (Dropout<Tensor<f32>>, Recurrent<TanhRnn<Tensor<f32>>>, Linear<Tensor<f32>>);

/// A run of truncated backpropagation with dropout over padded sequences.
struct Training {
    network: Dropped,
    adam: Adam<f32>,
    truncated: TruncatedBptt<f32>,
}

impl Training {
    fn new() -> Self {
        let rng = &mut StdRng::seed_from_u64(1);
        Training {
            network: (Dropout::new(0.3), Recurrent(TanhRnn::new(3, 4, rng)), Linear::new(4, 1, rng)),
            adam: Adam::new(0.05),
            truncated: TruncatedBptt::new(3, 5, 2).expect("the numbers are right"),
        }
    }

    fn until(&mut self, windows: usize) {
        let x = Tensor::from_fn(&[20, 2, 3], |i| (i as f32).sin());
        for _ in 0..windows {
            let gradients = {
                let tape = Tape::new();
                let network = self.network.on(&tape);
                let how = Unroll::new().lengths(&[20, 13]).noise(Noise::new(9));
                let window = self.truncated.window_with(how, &self.network, &network, &tape, &x);
                (window.outputs - 0.3).square().mean().backward().of(&network)
            };
            self.adam.step(&mut self.network, &gradients).expect("finite");
        }
    }

    fn save(&self, path: &Path) {
        let parts: [(&str, &dyn Part<f32>); 1] = [("truncated", &self.truncated)];
        file::save_run(path, &self.network, &self.adam, &parts, &Metadata::new()).expect("a good run");
    }

    fn load(&mut self, path: &Path) -> Result<(), rewind_rnn::Error> {
        let parts: &mut [(&str, &mut dyn Part<f32>)] = &mut [("truncated", &mut self.truncated)];
        file::load_run(path, &mut self.network, &mut self.adam, parts).map(drop)
    }
}

#[test]
fn truncated_training_goes_on_from_a_file_with_the_same_bits() {
    let folder = tempfile::tempdir().expect("a writable folder for temporary files");
    let (path, end) = (folder.path().join("run.safetensors"), folder.path().join("end.safetensors"));
    let mut whole = Training::new();
    whole.until(7);
    assert_eq!(whole.truncated.position(), 20);
    whole.save(&end);
    let expected = fs::read(&end).expect("the file just saved");
    for stop in 0..=7 {
        let mut first = Training::new();
        first.until(stop);
        first.save(&path);
        let mut second = Training::new();
        second.load(&path).expect("the file just saved");
        second.until(7 - stop);
        second.save(&end);
        assert!(fs::read(&end).expect("the file just saved") == expected, "stopped after window {stop}");
    }
    // Other settings are another run.
    let mut other =
        Training { truncated: TruncatedBptt::new(3, 6, 2).expect("the numbers are right"), ..Training::new() };
    let error = other.load(&path).expect_err("k2 differs");
    assert!(matches!(error.kind(), ErrorKind::Run), "{error}");
    assert!(error.to_string().contains("its part `truncated` was saved with back = 5; expected 6, as here"), "{error}");
    let mut saved = Part::<f32>::saved(&whole.truncated);
    saved.values.insert("position".to_owned(), "1".to_owned());
    let error = other.truncated.resume(&saved).err().expect("it has carried more than it has read");
    assert!(error.to_string().starts_with("TruncatedBptt: `carried` is "), "{error}");
}

#[test]
fn a_state_from_a_file_is_compared_with_the_module() {
    let module = Recurrent(lstm(3, 4));
    let mut truncated = TruncatedBptt::new(3, 3, 2).expect("the numbers are right");
    truncated.check_resumed(&module, 0).expect("it has not begun");
    let tape = Tape::new();
    truncated.window(&module, &module.on(&tape), &tape, &random(&[9, 2, 3], 1));
    truncated.check_resumed(&module, 3).expect("its own state");
    let told = |truncated: &TruncatedBptt<f64>, steps| {
        let error = truncated.check_resumed(&module, steps).expect_err("it does not fit");
        (error.to_string(), matches!(error.kind(), ErrorKind::Run))
    };
    let read = "truncated: 3 steps have been read; expected 6, as in the run".to_owned();
    assert_eq!(told(&truncated, 6), (read, true));
    let mut wide = truncated.saved();
    wide.tensors[1].1 = random(&[2, 5], 1);
    let mut none = truncated.saved();
    none.tensors.clear();
    for (saved, misfit) in [(wide, "has part `cell` as [2, 5]; expected [2, 4]"), (none, "has 0 parts; expected 2")] {
        truncated.resume(&saved).expect("a file promises the number of sequences alone")();
        assert_eq!(told(&truncated, 3), (format!("truncated: the state of Lstm {misfit}"), false));
    }
}

#[test]
fn another_number_of_sequences_is_named() {
    let mut stream = Stream::new(Recurrent(gru(3, 5, Reset::AfterProduct)), 2);
    let two = random(&[2, 3], 1);
    stream.step(&two);
    let (three, wide) = (random(&[3, 3], 1), random(&[1, 2, 3], 1));
    refused!("Stream: made for 2 sequences; x has 3", stream.step(&three));
    refused!("Stream: made for 2 sequences; x has 3", stream.steps(&three.unsqueeze(0)));
    refused!("Stream: x has shape [1, 2, 3]; expected [B, I]: sequences, features", stream.step(&wide));
    refused!("Stream: x has shape [2, 3]; expected [S, B, I]: steps, sequences, features", stream.steps(&two));
    refused!("Gru: takes 3 features a step; x gives 4", stream.step(&random(&[2, 4], 1)));
    assert_eq!(stream.position(), 1);

    let (module, tape) = (Recurrent(tanh(3, 4)), Tape::new());
    let layer = module.on(&tape);
    let mut truncated = TruncatedBptt::new(4, 4, 2).expect("the numbers are right");
    let (x, flat) = (random(&[9, 3, 3], 1), random(&[9, 3], 1));
    refused!("truncated: made for 2 sequences; x has 3", truncated.window(&module, &layer, &tape, &x));
    refused!(
        "truncated: x has shape [9, 3]; expected [T, B, I]: time, batch, features",
        truncated.window(&module, &layer, &tape, &flat)
    );
    let x = random(&[9, 2, 3], 1);
    refused!(
        "truncated: the pass is backward in time; windows follow each other forward",
        truncated.window_with(Unroll::new().backward(), &module, &layer, &tape, &x)
    );
    refused!(
        "unroll: sequence 1 has length 10, longer than the padded batch of 9 time steps",
        truncated.window_with(Unroll::new().lengths(&[9, 10]), &module, &layer, &tape, &x)
    );
    let wide = random(&[9, 2, 4], 1);
    let mut sparse = TruncatedBptt::new(4, 2, 2).expect("the numbers are right");
    refused!("TanhRnn: takes 3 features a step; x gives 4", sparse.window(&module, &layer, &tape, &wide));
    assert_eq!((truncated.position(), sparse.position()), (0, 0));
}

#[test]
fn a_first_state_that_does_not_fit_a_scan_or_a_layer_of_a_stack_is_named() {
    let tape = Tape::new();
    let scan = Scan(MinGru::new(3, 5, &mut StdRng::seed_from_u64(1)));
    let on_tape = scan.on(&tape);
    let x = tape.constant(random(&[4, 2, 3], 1));
    let part = |shape: &[usize]| tape.constant(random(shape, 2));
    let (rows, width) = (part(&[3, 5]), part(&[2, 4]));
    let how = Unroll::new();
    refused!(
        "unroll: MinGru starts from part `h` of the state as [3, 5]; expected [2, …], a row for each of the 2 sequences of x \
         [4, 2, 3]",
        how.through_from(&on_tape, x, rows)
    );
    refused!(
        "unroll: MinGru starts from part `h` of the state as [2, 4]; expected [2, 5]",
        how.through_from(&on_tape, x, width)
    );
    let wide = tape.constant(random(&[4, 2, 4], 1));
    refused!("MinGru: takes 3 features a step; x gives 4", how.through(&on_tape, wide));

    let stack = (Recurrent(tanh(3, 4)), Recurrent(gru(4, 5, Reset::AfterProduct))).on(&tape);
    let (below, above) = (part(&[2, 4]), part(&[3, 5]));
    refused!(
        "layer 1, Gru: starts from part `h` of the state as [3, 5]; expected [2, …], a row for each of the 2 sequences of x \
         [4, 2, 4]",
        how.through_from(&stack, x, (below, above))
    );
    let like = vec![Recurrent(tanh(3, 3)); 2].on(&tape);
    let (below, above) = (part(&[2, 3]), part(&[1, 3]));
    refused!(
        "layer 1, TanhRnn: starts from part `h` of the state as [1, 3]; expected [2, …], a row for each of the 2 sequences of x \
         [4, 2, 3]",
        how.through_from(&like, x, vec![below, above])
    );
}
