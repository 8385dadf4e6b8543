//! WAV files, whole and as they come, and samples without a header.

#![no_main]
#![allow(dead_code, reason = "modules of a program, of which the target uses what reads")]

#[path = "../../examples/speech/audio.rs"]
mod audio;
#[path = "../../examples/speech/resample.rs"]
mod resample;
#[path = "../../examples/speech/listen/source.rs"]
mod source;

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use hound::{SampleFormat, WavSpec, WavWriter};
use libfuzzer_sys::fuzz_target;
use rewind_fuzz::large::{SIZE, large, repeated};
use rewind_fuzz::{Bound, Folder, seed};
use source::Samples;

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::default);

fuzz_target!(init: seeds(), |data: &[u8]| {
    let path = FOLDER.file("a.wav", data);
    let whole = Bound::TEN.check(data.len(), || audio::read(&path));
    let piece = 1 + data.len() % 61;
    let streamed = Bound::TEN.check(data.len(), || {
        let all = |input| all(input, data.len());
        let _ = Samples::raw(Slow(data, piece), 8000).and_then(all);
        Samples::wav(Slow(data, piece)).and_then(all)
    });
    // A file that is whole is the same when it comes in pieces.
    if let (Ok(whole), Ok((samples, rate, missing))) = (whole, streamed)
        && missing == 0.0
    {
        assert_eq!(resample::resampled(&samples, rate, audio::RATE), whole);
    }
});

/// An input that gives a few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.1);
        self.0.read(&mut buffer[..count])
    }
}

/// All samples of so many bytes, their rate, and the seconds that are missing.
fn all<R: Read>(mut input: Samples<R>, bytes: usize) -> Result<(Vec<f32>, u32, f64), String> {
    let mut samples = Vec::with_capacity(bytes);
    while let Some(more) = input.next()? {
        samples.extend(more);
    }
    assert!(input.seconds().is_finite() && input.rest() <= usize::from(u16::MAX));
    Ok((samples, input.rate(), input.missing()))
}

fn seeds() {
    seed("written", audio::wav(&(0..40).map(|n| tone(n) as f32).collect::<Vec<_>>()).expect("it fits"));
    for (bits, sample_format) in
        [8, 16, 24, 32].map(|bits| (bits, SampleFormat::Int)).into_iter().chain([(32, SampleFormat::Float)])
    {
        for (channels, sample_rate) in [(1, 8000), (2, 44_100)] {
            let spec = WavSpec { channels, sample_rate, bits_per_sample: bits, sample_format };
            let name = format!("{sample_format:?}-{bits}-{channels}");
            seed(&name, wav(spec, 20));
            let frame = usize::from(bits / 8 * channels);
            large(&format!("{name}-long"), || wav(spec, SIZE / frame));
        }
    }
    // The rate at which a byte gives most.
    let spec = WavSpec { channels: 1, sample_rate: 8001, bits_per_sample: 8, sample_format: SampleFormat::Int };
    large("resampled", || wav(spec, SIZE));
    large("chunks", || [&b"RIFF\0\0\0\0WAVE"[..], &repeated(b"LIST\0\0\0\0", SIZE)].concat());
}

/// A tone of so many frames.
fn wav(spec: WavSpec, frames: usize) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).expect("a usual format");
    for n in 0..frames * usize::from(spec.channels) {
        match spec.sample_format {
            SampleFormat::Float => writer.write_sample(tone(n) as f32),
            SampleFormat::Int => writer.write_sample((100.0 * tone(n)) as i32),
        }
        .expect("it fits");
    }
    writer.finalize().expect("it fits");
    bytes.into_inner()
}

fn tone(n: usize) -> f64 {
    (n as f64 * 0.37).sin()
}
