//! Listening gives what the whole recording gives.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rewind_autograd::{OnTape, Tape};
use rewind_examples::CellKind;
use rewind_examples::labelled::Source;
use rewind_rnn::decode::best_path;

use super::*;
use crate::model::Design;
use crate::resample::resampled;

/// A network that was not trained, and speaks much: its readout is loud.
fn saved(one_way: bool, cell: CellKind) -> Saved {
    let design = Design { cell, layers: 2, hidden: 6, one_way, dropout: 0.3, gain: 1.0 };
    let mut network = Network::new(design, &mut StdRng::seed_from_u64(2));
    network.readout.weight = network.readout.weight.map(|w| 20.0 * w);
    let rows = FrontEnd::new().features(&noise(4000)).unwrap();
    let normal = if one_way { Normal::Training(Scales::of([&rows])) } else { Normal::Recording };
    Saved { network, design, normal, source: Source { data: None, test: None, seed: 1 }, leave_out: None }
}

/// Noise that changes its loudness.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut sample = |n: usize| {
        state = (1_103_515_245 * state + 12_345) % (1 << 31);
        (state as f32 / (1_u32 << 31) as f32 - 0.5) * (0.51 + 0.5 * (n as f32 / 700.0).sin())
    };
    (0..count).map(&mut sample).collect()
}

/// What the network says of the whole recording: logits `[L, 1, CLASSES]`, and the best path.
fn of_whole(saved: &Saved, samples: &[f32], rate: u32) -> (Vec<f32>, Vec<usize>) {
    let features = FrontEnd::new().features(&resampled(samples, rate, RATE)).unwrap();
    let (steps, tape) = (features.shape()[0], Tape::quiet());
    let x = tape.constant(saved.normal.apply(&features).unsqueeze(1));
    let logits = saved.network.on(&tape).logits(x, &[steps], None);
    let best = best_path(&logits.log_softmax(2).value(), &[steps], BLANK).unwrap().remove(0).labels;
    (logits.value().to_vec(), best)
}

#[test]
fn a_stream_gives_the_logits_and_the_phones_of_the_whole() {
    let front_end = FrontEnd::new();
    for (cell, rate) in [(CellKind::Lstm, 8000), (CellKind::Tanh, 8000), (CellKind::Gru, 44_100)] {
        let (saved, samples) = (saved(true, cell), noise(rate as usize / 2));
        let (expected, phones) = of_whole(&saved, &samples, rate);
        assert!(phones.len() > 5, "{phones:?}");
        for piece in [1, 7, 33, 160, 4096] {
            let what = format!("{cell:?}, {rate} Hz, pieces of {piece}");
            let mut listener = Listener::new(&saved, &front_end, rate).unwrap();
            let mut heard: Vec<_> = samples.chunks(piece).flat_map(|piece| listener.hear(piece)).collect();
            assert!(!heard.is_empty(), "{what}");
            heard.extend(listener.finish());
            assert_eq!(heard.iter().map(|phone| phone.class).collect::<Vec<_>>(), phones, "{what}");
            assert!(heard.is_sorted_by_key(|phone| phone.step), "{what}");

            let mut listener = Listener::new(&saved, &front_end, rate).unwrap();
            let mut rows: Vec<_> = samples
                .chunks(piece)
                .map(|piece| listener.resampler.push(piece))
                .map(|piece| listener.features.push(&piece))
                .collect();
            let end = listener.resampler.finish();
            rows.extend([listener.features.push(&end), listener.features.finish()]);
            let logits: Vec<_> =
                rows.iter().filter(|rows| !rows.is_empty()).flat_map(|rows| listener.logits(rows).to_vec()).collect();
            assert_eq!(logits, expected, "{what}");
        }
    }
}

#[test]
fn a_phone_that_goes_on_is_told_once_and_after_a_blank_again() {
    let (mut saved, front_end) = (saved(true, CellKind::Lstm), FrontEnd::new());
    // Whatever comes, the network hears one phone.
    saved.network.readout.weight = Tensor::zeros(saved.network.readout.weight.shape());
    saved.network.readout.bias = Some(Tensor::from_fn(&[CLASSES], |class| f32::from(u8::from(class == 7))));
    let mut listener = Listener::new(&saved, &front_end, RATE).unwrap();
    let heard: Vec<_> = noise(8000).chunks(33).flat_map(|piece| listener.hear(piece)).collect();
    assert_eq!(heard, [Phone { step: 0, class: 7 }]);
    assert_eq!(listener.finish(), []);
    listener.last = BLANK;
    assert_eq!(listener.phones(vec![vec![0.0; FEATURES]]), [Phone { step: 98, class: 7 }]);
}

#[test]
fn a_phone_comes_as_soon_as_its_windows_are_there() {
    let (saved, front_end) = (saved(true, CellKind::Lstm), FrontEnd::new());
    let mut listener = Listener::new(&saved, &front_end, RATE).unwrap();
    let before_the_first = LATENCY * RATE as usize / 1000 - 1;
    listener.hear(&noise(before_the_first));
    assert_eq!((listener.network.position(), LATENCY), (0, 65));
    listener.hear(&[0.1]);
    assert_eq!(listener.network.position(), 1);
    listener.hear(&noise(HOP));
    assert_eq!(listener.network.position(), 2);
}

#[test]
fn ten_minutes_take_no_more_memory_than_ten_seconds() {
    let (saved, front_end) = (saved(true, CellKind::Tanh), FrontEnd::new());
    let mut listener = Listener::new(&saved, &front_end, 11_025).unwrap();
    let (block, mut most) = (noise(11_025), [0; 2]);
    for second in 0..600 {
        listener.hear(&block);
        let waiting = listener.resampler.waiting() + listener.features.waiting();
        let most = &mut most[usize::from(second >= 10)];
        *most = waiting.max(*most);
    }
    // Only the end of the sound waits, at most the five rows of each difference and a window.
    assert!(most[1] <= most[0] + HOP && most[0] < 1500, "{most:?}");
    assert_eq!(listener.network.state().parts.len(), 2);
    assert!((59_980..60_000).contains(&listener.network.position()));
}

#[test]
fn a_network_that_needs_the_whole_recording_is_refused() {
    let front_end = FrontEnd::new();
    let told = |saved: &Saved| Listener::new(saved, &front_end, RATE).map(|_| ()).unwrap_err();
    assert_eq!(
        told(&saved(false, CellKind::Lstm)),
        "its network reads in both directions and must know the end first; expected one that was trained with --one-way"
    );
    let other = Saved { normal: Normal::Recording, ..saved(true, CellKind::Lstm) };
    assert_eq!(
        told(&other),
        "its network reads recordings that are normalised as a whole; expected one that was trained with --one-way"
    );
}

/// A reader who leaves after so many writes.
struct Leaves(usize);

impl Write for Leaves {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(1).ok_or(ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is told of an input.
fn heard(saved: &Saved, input: &[u8], raw_rate: Option<u32>) -> Result<String, String> {
    let (front_end, mut out) = (FrontEnd::new(), Vec::new());
    let told = follow(input, "INPUT", raw_rate, |rate| Listener::new(saved, &front_end, rate), &mut out);
    told.map_err(|error| error.to_string()).map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn a_truncated_input_ends_with_what_was_heard() {
    let saved = saved(true, CellKind::Lstm);
    let samples = noise(8000);
    let wav = crate::audio::wav(&samples).unwrap();
    let whole = heard(&saved, &wav, None).unwrap();
    let (first, _) = whole.split_once('\n').unwrap();
    let (seconds, phone) = first.split_once(' ').unwrap();
    assert!(seconds.parse::<f64>().unwrap() < 1.0 && phone.starts_with('/') && phone.ends_with('/'), "{first}");
    let cut = heard(&saved, &wav[..wav.len() / 2 + 1], None).unwrap();
    // The last steps see the end where there was none.
    let early = |line: &&str| line.split(' ').next().unwrap().parse::<f64>().unwrap() < 0.44;
    let before: Vec<_> = whole.lines().filter(early).collect();
    assert!(before.len() > 3);
    assert_eq!(cut.lines().filter(early).collect::<Vec<_>>(), before);
    assert_eq!(heard(&saved, &wav[44..], Some(8000)).unwrap(), whole);
    // Less than a window is no error.
    assert_eq!(heard(&saved, &wav[..100], None).unwrap(), "");
    assert_eq!(heard(&saved, b"MThd", None).unwrap_err(), "INPUT: no WAV file: it does not begin with RIFF and WAVE");
}

#[test]
fn nobody_who_reads_on_is_the_quiet_end() {
    let (saved, front_end) = (saved(true, CellKind::Lstm), FrontEnd::new());
    let raw: Vec<u8> = noise(8000).iter().flat_map(|x| ((x * 32_767.0) as i16).to_le_bytes()).collect();
    let ear = |rate| Listener::new(&saved, &front_end, rate);
    follow(&raw[..], "INPUT", Some(8000), ear, &mut Leaves(3)).unwrap();
}
