//! Samples as they come, from a WAV file or a pipe.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use crate::audio::{Format, NO_DATA, NO_WAV, UNKNOWN};

/// Bytes that are read at once, if so many are there.
const BLOCK: usize = 1 << 13;
/// The longest description of a format.
const LONGEST_FORMAT: u32 = 1 << 10;

/// Samples of one channel, the mean of all, read block by block.
#[derive(Debug)]
pub(crate) struct Samples<R> {
    input: BufReader<R>,
    format: Format,
    /// The bytes that the header promises and that are still to come; `None` if it does not know.
    left: Option<u64>,
    /// The beginning of a frame.
    rest: Vec<u8>,
    /// Frames so far.
    frames: usize,
}

impl<R: Read> Samples<R> {
    /// Those of a WAV file; its header is read.
    ///
    /// # Errors
    /// If it is none, or of another kind than [`Format::new`] takes.
    pub(crate) fn wav(input: R) -> Result<Self, String> {
        let mut input = BufReader::with_capacity(BLOCK, input);
        if input.fill_buf().is_ok_and(<[u8]>::is_empty) {
            return Err("it is empty; expected a WAV file".to_owned());
        }
        let riff = header::<12>(&mut input, NO_WAV)?;
        if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
            return Err(NO_WAV.to_owned());
        }
        let mut format = Vec::new();
        loop {
            let [a, b, c, d, length @ ..] = header::<8>(&mut input, NO_DATA)?;
            let length = u32::from_le_bytes(length);
            match &[a, b, c, d] {
                b"data" => {
                    // Some programs write 0 if they do not know the length.
                    let left = (length != 0 && length < UNKNOWN).then_some(length.into());
                    return Ok(Self { left, ..Self::new(input, Format::new(&format)?) });
                }
                b"fmt " if length <= LONGEST_FORMAT => {
                    format = vec![0; length as usize];
                    input.read_exact(&mut format).map_err(|error| unreadable(&error, NO_DATA))?;
                }
                _ => {
                    io::copy(&mut input.by_ref().take(length.into()), &mut io::sink())
                        .map_err(|e| unreadable(&e, NO_DATA))?;
                }
            }
            // Every name of a chunk is printable: a zero is padding.
            if length % 2 == 1 && input.fill_buf().is_ok_and(|next| next.first() == Some(&0)) {
                input.consume(1);
            }
        }
    }

    /// Those of an input without a header, of 16 bits each, the lower one first.
    ///
    /// # Errors
    /// If the rate is not that of a recording, or there is a header.
    pub(crate) fn raw(input: R, rate: u32) -> Result<Self, String> {
        let mut input = BufReader::with_capacity(BLOCK, input);
        if input.fill_buf().is_ok_and(|bytes| bytes.starts_with(b"RIFF")) {
            return Err("it is a WAV file, which says its rate itself: leave out --raw-rate".to_owned());
        }
        Ok(Self::new(input, Format::raw(rate)?))
    }

    fn new(input: BufReader<R>, format: Format) -> Self {
        Samples { input, format, left: None, rest: Vec::new(), frames: 0 }
    }

    pub(crate) fn rate(&self) -> u32 {
        self.format.rate
    }

    /// The next samples, as many as there are; none at the end.
    ///
    /// # Errors
    /// If the input cannot be read, or a sample is no number.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<f32>>, String> {
        while self.left != Some(0) {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(|error| format!("cannot be read: {error}"))?,
            };
            if available.is_empty() {
                return Ok(None);
            }
            let most = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
            let count = available.len().min(most);
            self.rest.extend(&available[..count]);
            self.input.consume(count);
            self.left = self.left.map(|left| left - count as u64);
            let whole = self.rest.len() / self.format.frame;
            if whole > 0 {
                let bytes: Vec<u8> = self.rest.drain(..whole * self.format.frame).collect();
                let samples = self.format.decode(&bytes, self.frames)?;
                self.frames += whole;
                return Ok(Some(samples));
            }
        }
        Ok(None)
    }

    /// How many seconds were read.
    pub(crate) fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.format.rate)
    }

    /// At the end: the bytes that are no whole sample of all channels.
    pub(crate) fn rest(&self) -> usize {
        self.rest.len()
    }

    /// At the end: the seconds that the header promised and that are not there.
    pub(crate) fn missing(&self) -> f64 {
        self.left.unwrap_or(0) as f64 / (self.format.frame as f64 * f64::from(self.format.rate))
    }
}

/// The next bytes. At the end of the input, `missing` says what is wrong with it.
fn header<const N: usize>(input: &mut impl Read, missing: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| unreadable(&error, missing))?;
    Ok(bytes)
}

fn unreadable(error: &io::Error, missing: &str) -> String {
    if error.kind() == ErrorKind::UnexpectedEof { missing.to_owned() } else { format!("cannot be read: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav;

    /// An input that gives so many bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len());
            self.0.read(&mut buffer[..count])
        }
    }

    /// All samples, and the seconds that are missing.
    fn all(mut samples: Samples<impl Read>) -> Result<(Vec<f32>, f64), String> {
        let mut found = Vec::new();
        while let Some(block) = samples.next()? {
            found.extend(block);
        }
        Ok((found, samples.missing()))
    }

    fn tone() -> Vec<f32> {
        (0..900).map(|n| ((n as f32 / 9.0).sin() * 20_000.0).round() / 32_768.0).collect()
    }

    /// The tone as 16 bits without a header.
    fn raw() -> Vec<u8> {
        tone().iter().flat_map(|x| ((x * 32_768.0) as i16).to_le_bytes()).collect()
    }

    /// A WAV file of the tone whose header says another length.
    fn promising(length: u32) -> Vec<u8> {
        let mut bytes = wav(&[]).unwrap();
        bytes[40..44].copy_from_slice(&length.to_le_bytes());
        [bytes, raw()].concat()
    }

    #[test]
    fn a_pipe_that_does_not_know_its_length_is_read_to_its_end() {
        for length in [0, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
            for at_once in [1, 7, 4096] {
                let found = all(Samples::wav(Slow(&promising(length), at_once)).unwrap());
                assert_eq!(found, Ok((tone(), 0.0)), "{length:x}");
            }
        }
        assert_eq!(all(Samples::raw(Slow(&raw(), 3), 8000).unwrap()), Ok((tone(), 0.0)));
    }

    #[test]
    fn a_file_ends_where_its_header_says_or_earlier() {
        let whole = [promising(1800), b"LIST\x04\0\0\0INFO".to_vec()].concat();
        assert_eq!(all(Samples::wav(&whole[..]).unwrap()), Ok((tone(), 0.0)));
        // The last frame is cut in the middle.
        let cut = promising(16_000);
        let (found, missing) = all(Samples::wav(&cut[..cut.len() - 1]).unwrap()).unwrap();
        assert_eq!(found, tone()[..899]);
        assert!((missing - (16_000.0 - 1799.0) / 16_000.0).abs() < 1e-12, "{missing}");
        let mut odd = Samples::wav(&cut[..cut.len() - 1]).unwrap();
        while odd.next().unwrap().is_some() {}
        assert_eq!(odd.rest(), 1);
    }

    #[test]
    fn other_chunks_are_passed_over() {
        let good = promising(0);
        for padding in [&[0_u8][..], &[]] {
            let odd = [&good[..12], b"LIST\x05\0\0\0INFOx", padding, &good[12..]].concat();
            assert_eq!(all(Samples::wav(&odd[..]).unwrap()), Ok((tone(), 0.0)));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told = |bytes: &[u8]| Samples::wav(bytes).map(|_| ()).unwrap_err();
        let good = promising(1800);
        assert_eq!(told(b""), "it is empty; expected a WAV file");
        let told_of_raw = Samples::raw(&promising(1800)[..], 8000).map(|_| ()).unwrap_err();
        assert_eq!(told_of_raw, "it is a WAV file, which says its rate itself: leave out --raw-rate");
        assert_eq!(told(b"MThd and more bytes"), NO_WAV);
        for end in [12, 20, 36, 40] {
            assert_eq!(told(&good[..end]), NO_DATA, "{end}");
        }
        let without_format = [&good[..12], &good[36..]].concat();
        assert!(told(&without_format).starts_with("no WAV file that can be read: "));
        let mut fast = good.clone();
        fast[24..28].copy_from_slice(&96_000_u32.to_le_bytes());
        fast[28..32].copy_from_slice(&192_000_u32.to_le_bytes());
        assert_eq!(told(&fast), "the rate is 96000 Hz; expected 8000 to 48000");
        let mut float = good[..44].to_vec();
        (float[20], float[32], float[34]) = (3, 4, 32);
        float[28..32].copy_from_slice(&32_000_u32.to_le_bytes());
        float[40..44].fill(0);
        float.extend([0.5, 0.25, f32::NAN].iter().flat_map(|x| x.to_le_bytes()));
        let told = all(Samples::wav(Slow(&float, 4)).unwrap()).unwrap_err();
        assert!(told.starts_with("sample 3 is NaN; expected a number from -1e6"), "{told}");
    }
}
