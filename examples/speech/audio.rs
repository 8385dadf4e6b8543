//! Recordings: WAV files of any usual kind become samples at one rate.

use std::f64::consts::PI;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

/// The rate that everything is resampled to, in Hz, as on a telephone.
pub(crate) const RATE: u32 = 8000;
/// The rates of a recording.
const RATES: std::ops::RangeInclusive<u32> = 8000..=48_000;
/// The longest recording in seconds.
const LONGEST: usize = 3600;
/// Zero crossings of the sinc on each side of its middle.
const CROSSINGS: f64 = 16.0;
/// The edge of the low-pass filter, as a share of half the lower rate.
const EDGE: f64 = 0.92;

/// The samples of a WAV file at [`RATE`], in [-1, 1], the mean of its channels; or what is wrong with the file.
pub(crate) fn read(path: &Path) -> Result<Vec<f32>, String> {
    let about = |reason: String| format!("{}: {reason}", path.display());
    let bytes = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let (samples, rate) = parse(&bytes).map_err(about)?;
    if samples.iter().all(|&x| x == samples[0]) {
        return Err(about("it is silent: all samples are equal".to_owned()));
    }
    Ok(resampled(&samples, rate, RATE))
}

/// The mean of the channels, and their rate.
fn parse(bytes: &[u8]) -> Result<(Vec<f32>, u32), String> {
    let plain = format_and_data(bytes)?;
    let reader =
        WavReader::new(Cursor::new(plain)).map_err(|error| format!("no WAV file that can be read: {error}"))?;
    let WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format } = reader.spec();
    if !RATES.contains(&rate) {
        return Err(format!("the rate is {rate} Hz; expected {} to {}", RATES.start(), RATES.end()));
    }
    if !(1..=2).contains(&channels) {
        return Err(format!("there are {channels} channels; expected 1 or 2"));
    }
    let frames = reader.duration() as usize;
    if frames > LONGEST * rate as usize {
        return Err(format!("it lasts {} s; expected {LONGEST} at most", frames / rate as usize));
    }
    let values: Result<Vec<f32>, _> = match sample_format {
        SampleFormat::Float => reader.into_samples::<f32>().collect(),
        SampleFormat::Int => {
            let scale = f64::from(bits - 1).exp2();
            reader.into_samples::<i32>().map(|x| Ok((f64::from(x?) / scale) as f32)).collect()
        }
    };
    let values = values.map_err(|error: hound::Error| format!("its samples cannot be read: {error}"))?;
    if values.is_empty() {
        return Err("it has no samples".to_owned());
    }
    if let Some(place) = values.iter().position(|x| !x.is_finite()) {
        return Err(format!("sample {} is {}; expected a number", place + 1, values[place]));
    }
    let mean = |frame: &[f32]| frame.iter().sum::<f32>() / f32::from(channels);
    Ok((values.chunks_exact(channels.into()).map(mean).collect(), rate))
}

/// A WAV file of the format and the data of this one alone. What else is in a file (names, cues) may have an odd length
/// and is then followed by a byte of padding, which not every program writes and `hound` does not expect.
fn format_and_data(bytes: &[u8]) -> Result<Vec<u8>, String> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err("no WAV file: it does not begin with RIFF and WAVE".to_owned());
    }
    let (mut kept, mut at) = (b"RIFF\0\0\0\0WAVE".to_vec(), 12);
    while let Some(header) = bytes.get(at..at + 8) {
        let name = header[..4].to_vec();
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let Some(chunk) = bytes.get(at..at + 8 + length) else {
            let (name, there) = (String::from_utf8_lossy(&name).into_owned(), bytes.len() - at - 8);
            return Err(format!("it is truncated: {name:?} has {length} bytes, and {there} are there"));
        };
        if name == b"fmt " || name == b"data" {
            kept.extend(chunk);
        }
        if name == b"data" {
            let length = (kept.len() - 8) as u32;
            kept[4..8].copy_from_slice(&length.to_le_bytes());
            return Ok(kept);
        }
        at += 8 + length;
        // Every name of a chunk is printable: a zero is padding.
        at += usize::from(length % 2 == 1 && bytes.get(at) == Some(&0));
    }
    Err("it has no samples: there is no chunk \"data\"".to_owned())
}

/// Writes samples in [-1, 1] at [`RATE`], 16 bits each.
pub(crate) fn wav(samples: &[f32]) -> Result<Vec<u8>, hound::Error> {
    let spec = WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec)?;
    for x in samples {
        writer.write_sample((x.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16)?;
    }
    writer.finalize()?;
    Ok(bytes.into_inner())
}

/// The samples at another rate, by a low-pass filter: a sinc in a Hann window (Smith, Digital Audio Resampling, 2002),
///
/// y(t) = Σ_n x_n·h(t - n) with h(s) = c·sinc(c·s)·cos²(π·s·c / (2·CROSSINGS)),
///
/// where c is the edge of the filter as a share of half the rate of x. Beyond its ends, x is 0.
pub(crate) fn resampled(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return samples.to_vec();
    }
    let step = f64::from(from) / f64::from(to);
    let c = EDGE * (1.0 / step).min(1.0);
    let reach = CROSSINGS / c;
    let kernel = |s: f64| {
        let x = PI * c * s;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        c * sinc * (PI * s / (2.0 * reach)).cos().powi(2)
    };
    let count = (samples.len() as f64 / step).ceil() as usize;
    let one = |k: usize| {
        let t = k as f64 * step;
        let (first, last) = ((t - reach).ceil().max(0.0) as usize, ((t + reach) as usize).min(samples.len() - 1));
        (first..=last).map(|n| f64::from(samples[n]) * kernel(t - n as f64)).sum::<f64>() as f32
    };
    (0..count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one tone at a quarter of the range, written by the crate `hound`.
    fn file(spec: WavSpec, count: usize) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        for n in 0..count {
            let x = 0.25 * (2.0 * PI * 500.0 * n as f64 / f64::from(spec.sample_rate)).sin();
            for channel in 0..spec.channels {
                // The second channel is three times as loud as the first.
                let x = x * f64::from(1 + 2 * channel.min(1));
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(x as f32).unwrap(),
                    SampleFormat::Int => {
                        writer.write_sample((x * f64::from(spec.bits_per_sample - 1).exp2()).round() as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    const PLAIN: WavSpec =
        WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: SampleFormat::Int };

    #[test]
    fn every_usual_kind_of_file_gives_the_same_tone() {
        for bits_per_sample in [8, 16, 24, 32] {
            for channels in [1, 2] {
                for sample_rate in [8000, 11_025, 16_000, 44_100, 48_000] {
                    for sample_format in [SampleFormat::Int, SampleFormat::Float] {
                        if sample_format == SampleFormat::Float && bits_per_sample != 32 {
                            continue;
                        }
                        let spec = WavSpec { channels, sample_rate, bits_per_sample, sample_format };
                        let (samples, rate) = parse(&file(spec, sample_rate as usize / 5)).unwrap();
                        let found = resampled(&samples, rate, RATE);
                        assert_eq!(found.len(), 1600, "{spec:?}");
                        let loud = 0.25 * f64::from(channels);
                        for (n, &x) in found.iter().enumerate().take(1500).skip(100) {
                            let expected = loud * (2.0 * PI * 500.0 * n as f64 / 8000.0).sin();
                            let depth = 1.1 / f64::from(bits_per_sample - 1).exp2();
                            assert!(
                                (f64::from(x) - expected).abs() < depth + 2e-3 * loud,
                                "{spec:?} {n}: {x} {expected}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_lies_above_half_the_rate_is_removed() {
        let tone =
            |f: f64| (0..9600).map(|n| (2.0 * PI * f * f64::from(n) / 48_000.0).sin() as f32).collect::<Vec<_>>();
        let loudest = |x: &[f32]| x[100..1500].iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(loudest(&resampled(&tone(3000.0), 48_000, 8000)) > 0.98);
        // It would be heard as a tone of 3,000 Hz.
        assert!(loudest(&resampled(&tone(5000.0), 48_000, 8000)) < 2e-3);
    }

    #[test]
    fn chunks_of_odd_length_are_passed_over_with_and_without_padding() {
        let good = file(PLAIN, 33);
        for padding in [&[0_u8][..], &[]] {
            let odd = [&good[..12], b"LIST\x05\0\0\0INFOx", padding, &good[12..]].concat();
            assert_eq!(parse(&odd), parse(&good));
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let good = file(PLAIN, 33);
        let told = |bytes: &[u8]| parse(bytes).unwrap_err();
        assert_eq!(told(b"MThd"), "no WAV file: it does not begin with RIFF and WAVE");
        assert_eq!(told(&good[..80]), "it is truncated: \"data\" has 66 bytes, and 36 are there");
        assert_eq!(told(&good[..36]), "it has no samples: there is no chunk \"data\"");
        assert_eq!(told(&file(PLAIN, 0)), "it has no samples");
        assert_eq!(
            told(&file(WavSpec { sample_rate: 96_000, ..PLAIN }, 7)),
            "the rate is 96000 Hz; expected 8000 to 48000"
        );
        assert_eq!(told(&file(WavSpec { channels: 3, ..PLAIN }, 7)), "there are 3 channels; expected 1 or 2");
        let mut still = good.clone();
        still[24..28].fill(0);
        still[28..32].fill(0);
        let told_of_rate = told(&still);
        assert!(told_of_rate.contains("rate") || told_of_rate.contains("WAV"), "{told_of_rate}");
        let hour = file(PLAIN, 0);
        let long = (3601 * 16_000_u32).to_le_bytes();
        let long = [&hour[..40], &long, &vec![0; 3601 * 16_000]].concat();
        assert_eq!(told(&long), "it lasts 3601 s; expected 3600 at most");
        let float = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..PLAIN };
        let mut broken = file(float, 7);
        let last = broken.len() - 4;
        broken[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert_eq!(told(&broken), "sample 7 is NaN; expected a number");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        fs::write(&path, wav(&[0.0; 800]).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap_err(), format!("{}: it is silent: all samples are equal", path.display()));
    }

    #[test]
    fn what_is_written_is_read() {
        let samples: Vec<f32> = (0..800).map(|n| (n as f32 / 50.0).sin()).collect();
        let (found, rate) = parse(&wav(&samples).unwrap()).unwrap();
        assert_eq!(rate, RATE);
        assert!(found.iter().zip(&samples).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}
