//! Recordings: WAV files of any usual kind become samples at one rate.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use rewind_examples::files::expect_file;

use crate::resample::resampled;

/// The rate that everything is resampled to, in Hz, as on a telephone.
pub(crate) const RATE: u32 = 8000;
/// The rates of a recording.
const RATES: std::ops::RangeInclusive<u32> = 8000..=48_000;
/// The largest sample of floats, where 1 is full scale: powers of much larger ones overflow.
const LOUDEST: f32 = 1e6;
/// The longest recording in seconds.
const LONGEST: usize = 3600;
/// A program that writes to a pipe does not know the length: `ffmpeg` gives 0xFFFFFFFF, `arecord` 0x80000000, `sox` 0x7FFFF000.
/// Such data last to the end.
pub(crate) const UNKNOWN: u32 = 0x7FFF_F000;
/// Frames that are decoded at once: on the way there are several copies of them.
const BLOCK: usize = 1 << 10;
/// What is wrong with other files.
pub(crate) const NO_WAV: &str = "no WAV file: it does not begin with RIFF and WAVE";
pub(crate) const NO_DATA: &str = "it has no samples: there is no chunk \"data\"";
/// The samples of a WAV file at [`RATE`], in [-1, 1], the mean of its channels; or what is wrong with the file.
pub(crate) fn read(path: &Path) -> Result<Vec<f32>, String> {
    let about = |reason: String| format!("{}: {reason}", path.display());
    expect_file(path).map_err(|reason| format!("{} {reason}", path.display()))?;
    let bytes = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let (samples, rate) = parse(&bytes).map_err(about)?;
    if samples.iter().all(|&x| x == samples[0]) {
        return Err(about("it is silent: all samples are equal".to_owned()));
    }
    Ok(resampled(&samples, rate, RATE))
}

/// The mean of the channels, and their rate.
fn parse(bytes: &[u8]) -> Result<(Vec<f32>, u32), String> {
    let (format, data) = format_and_data(bytes)?;
    let seconds = data.len() / format.bytes_per_second().max(1);
    if seconds > LONGEST {
        return Err(format!("it lasts {seconds} s; expected {LONGEST} at most"));
    }
    let samples = format.decode(data, 0)?;
    if samples.is_empty() {
        return Err("it has no samples".to_owned());
    }
    Ok((samples, format.rate))
}

/// What the samples of a WAV file are.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    pub(crate) rate: u32,
    /// Bytes of a sample of all channels.
    pub(crate) frame: usize,
    /// The contents of the chunk.
    chunk: Vec<u8>,
}

impl Format {
    /// The contents of the chunk `fmt `.
    ///
    /// # Errors
    /// If they are damaged, or the rate or the channels are not those of a recording.
    pub(crate) fn new(chunk: &[u8]) -> Result<Format, String> {
        let mut format = Format { rate: 0, frame: 1, chunk: with_whole_samples(chunk) };
        let WavSpec { channels, sample_rate: rate, .. } = format.reader(&[])?.spec();
        if !RATES.contains(&rate) {
            return Err(format!("the rate is {rate} Hz; expected {} to {}", RATES.start(), RATES.end()));
        }
        if !(1..=2).contains(&channels) {
            return Err(format!("there are {channels} channels; expected 1 or 2"));
        }
        // A sample may have more bytes than bits. That these are whole samples was checked.
        let frame = chunk.get(12..14).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        (format.rate, format.frame) = (rate, usize::from(frame.max(1)));
        Ok(format)
    }

    /// Plain samples of 16 bits, the lower one first, of one channel.
    ///
    /// # Errors
    /// As [`Format::new`].
    pub(crate) fn raw(rate: u32) -> Result<Format, String> {
        let [one, bits, frame] = [1_u16, 16, 2].map(u16::to_le_bytes);
        let [rate, bytes] = [rate, rate.saturating_mul(2)].map(u32::to_le_bytes);
        Format::new(&[&one[..], &one, &rate, &bytes, &frame, &bits].concat())
    }

    fn bytes_per_second(&self) -> usize {
        self.frame * self.rate as usize
    }

    /// A file of this format and data alone. What else is in a file (names, cues) may have an odd length and is then followed by a byte
    /// of padding, which not every program writes and `hound` does not expect.
    fn reader(&self, data: &[u8]) -> Result<WavReader<Cursor<Vec<u8>>>, String> {
        let size = |bytes: usize| (bytes as u32).to_le_bytes();
        let whole = [4, 8, self.chunk.len(), 8, data.len()].iter().sum();
        let mut file = [&b"RIFF"[..], &size(whole), b"WAVEfmt ", &size(self.chunk.len()), &self.chunk].concat();
        file.extend([&b"data"[..], &size(data.len())].concat());
        file.extend(data);
        WavReader::new(Cursor::new(file)).map_err(|error| format!("no WAV file that can be read: {error}"))
    }

    /// The mean of the channels in whole frames. `before` frames came before.
    ///
    /// # Errors
    /// If a sample is no number.
    pub(crate) fn decode(&self, data: &[u8], before: usize) -> Result<Vec<f32>, String> {
        // A part of a frame at the end is refused before anything else.
        self.reader(&data[data.len() - data.len() % self.frame..])?;
        let mut samples = Vec::with_capacity(data.len() / self.frame);
        for (block, data) in data.chunks(BLOCK * self.frame).enumerate() {
            samples.extend(self.decode_block(data, before + block * BLOCK)?);
        }
        Ok(samples)
    }

    fn decode_block(&self, data: &[u8], before: usize) -> Result<Vec<f32>, String> {
        let reader = self.reader(data)?;
        let WavSpec { channels, bits_per_sample: bits, sample_format, .. } = reader.spec();
        let values: Result<Vec<f32>, _> = match sample_format {
            SampleFormat::Float => reader.into_samples::<f32>().collect(),
            SampleFormat::Int => {
                let scale = f64::from(bits - 1).exp2();
                reader.into_samples::<i32>().map(|x| Ok((f64::from(x?) / scale) as f32)).collect()
            }
        };
        let values = values.map_err(|error: hound::Error| format!("its samples cannot be read: {error}"))?;
        let channels = usize::from(channels);
        // NaN is not within the range.
        if let Some(place) = values.iter().position(|x| !(-LOUDEST..=LOUDEST).contains(x)) {
            let (number, found) = (before * channels + place + 1, values[place]);
            return Err(format!(
                "sample {number} is {found:e}; expected a number from -{LOUDEST:e} to {LOUDEST:e}, 1 is full scale"
            ));
        }
        Ok(values.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect())
    }
}

/// The description of a format without bits of padding. In the extensible format, samples of 24 bits may take 4 bytes, the upper ones
/// of which are the sample; so they are samples of 32 bits that end with zeros. `hound` takes the lower ones. What follows the 40 bytes of
/// that format it would take for the next chunk, even for the samples.
fn with_whole_samples(chunk: &[u8]) -> Vec<u8> {
    const EXTENSIBLE: [u8; 2] = [0xFE, 0xFF];
    const LENGTH: usize = 40;
    let mut chunk = chunk.to_vec();
    if chunk.starts_with(&EXTENSIBLE) && chunk.len() >= 20 {
        chunk.copy_within(14..16, 18);
        chunk.truncate(LENGTH);
    }
    chunk
}

/// The format and the data of a WAV file.
fn format_and_data(bytes: &[u8]) -> Result<(Format, &[u8]), String> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(NO_WAV.to_owned());
    }
    let (mut format, mut at) = (&[][..], 12);
    while let Some(header) = bytes.get(at..at + 8) {
        let name = &header[..4];
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let is_open = name == b"data" && length >= UNKNOWN;
        let length = if is_open { bytes.len() - at - 8 } else { length as usize };
        let Some(contents) = bytes.get(at + 8..at + 8 + length) else {
            let (name, there) = (String::from_utf8_lossy(name), bytes.len() - at - 8);
            return Err(format!("it is truncated: {name:?} has {length} bytes, and {there} are there"));
        };
        match name {
            b"fmt " => format = contents,
            b"data" => return Ok((Format::new(format)?, contents)),
            _ => {}
        }
        at += 8 + length;
        // Every name of a chunk is printable: a zero is padding.
        at += usize::from(length % 2 == 1 && bytes.get(at) == Some(&0));
    }
    Err(NO_DATA.to_owned())
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

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

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
    fn chunks_of_odd_length_are_passed_over_with_and_without_padding() {
        let good = file(PLAIN, 33);
        for padding in [&[0_u8][..], &[]] {
            let odd = [&good[..12], b"LIST\x05\0\0\0INFOx", padding, &good[12..]].concat();
            assert_eq!(parse(&odd), parse(&good));
        }
    }

    /// A file in the extensible format: of samples of 32 bits, so many of which are valid, and with more in the description of the format.
    fn extensible(valid: u16, more: &[u8], samples: &[i32]) -> Vec<u8> {
        let bits = |n: u16| n.to_le_bytes();
        let format = [
            &[0xFE, 0xFF, 1, 0][..],
            &8000_u32.to_le_bytes(),
            &32_000_u32.to_le_bytes(),
            &bits(4),
            &bits(32),
            &bits(22),
            &bits(valid),
            &[0; 4],
            // The name of whole numbers among formats.
            &[1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71],
            more,
        ]
        .concat();
        let data: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        let size = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        let body = [&b"WAVEfmt "[..], &size(&format), &format, b"data", &size(&data), &data].concat();
        [&b"RIFF"[..], &size(&body), &body].concat()
    }

    #[test]
    fn samples_are_not_looked_for_in_the_description_of_the_format() {
        let samples = [0x1234_5678, -7, 5];
        let plain = parse(&extensible(32, &[], &samples)).unwrap();
        for more in [&[0_u8; 2][..], b"data\x08\0\0\0abcdefgh", &[1; 133]] {
            assert_eq!(parse(&extensible(32, more, &samples)).unwrap(), plain, "{more:?}");
        }
    }

    #[test]
    fn the_upper_bytes_of_a_padded_sample_are_read() {
        for (valid, samples) in
            [(24_u16, [0x1234_5600_i32, -0x0100_0000]), (20, [0x1234_5000, i32::MIN]), (32, [0x1234_5678, -1])]
        {
            let (found, _) = parse(&extensible(valid, &[], &samples)).unwrap();
            assert_eq!(found, samples.map(|x| (f64::from(x) / 2_f64.powi(31)) as f32), "{valid} bits");
        }
    }

    #[test]
    fn a_file_from_a_pipe_is_read_to_its_end() {
        let good = file(PLAIN, 33);
        for length in [0x7FFF_F000_u32, 0x8000_0000, u32::MAX] {
            let mut piped = good.clone();
            piped[40..44].copy_from_slice(&length.to_le_bytes());
            assert_eq!(parse(&piped), parse(&good));
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
        assert_eq!(told(&broken), "sample 7 is NaN; expected a number from -1e6 to 1e6, 1 is full scale");
        broken[last..].copy_from_slice(&(-1e19_f32).to_le_bytes());
        assert_eq!(told(&broken), "sample 7 is -1e19; expected a number from -1e6 to 1e6, 1 is full scale");
        // In the third block.
        let mut broken = file(WavSpec { channels: 2, ..float }, 2 * BLOCK + 9);
        let last = broken.len() - 4;
        broken[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        let number = 2 * (2 * BLOCK + 9);
        assert!(told(&broken).starts_with(&format!("sample {number} is NaN; ")), "{}", told(&broken));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        fs::write(&path, wav(&[0.0; 800]).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap_err(), format!("{}: it is silent: all samples are equal", path.display()));
        let told = read(folder.path()).unwrap_err();
        assert!(told.ends_with(" cannot be read: it is a folder; expected a regular file"), "{told}");
    }

    #[test]
    fn what_is_written_is_read() {
        let samples: Vec<f32> = (0..800).map(|n| (n as f32 / 50.0).sin()).collect();
        let (found, rate) = parse(&wav(&samples).unwrap()).unwrap();
        assert_eq!(rate, RATE);
        assert!(found.iter().zip(&samples).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}
