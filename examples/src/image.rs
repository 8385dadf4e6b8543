//! Images, and PNG files of them.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, Encoder, Limits, Transformations};

use crate::files::{WriteError, expect_file, write_whole};

/// The longest side of an image that is read, in pixels.
pub const MAX_SIDE: usize = 512;

/// The memory that a decoder may take: twice the largest image, with four values of 16 bits in each pixel.
const MAX_BYTES: usize = 2 * MAX_SIDE * MAX_SIDE * 4 * 2;

/// What the values of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// One value, from black to white.
    Grey,
    /// Red, green and blue.
    Rgb,
}

impl Channels {
    /// The number of values of a pixel.
    pub fn count(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::Rgb => 3,
        }
    }
}

/// The width and the height of an image in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The pixels of a row.
    pub width: usize,
    /// The rows.
    pub height: usize,
}

/// Displays as `28x20`.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// An image.
///
/// ```
/// use rewind_examples::image::{Channels, Image, Size};
///
/// let image = Image::from_fn(Size { width: 3, height: 2 }, Channels::Grey, |x, y| [(x + y) as f32 / 4.0]);
/// assert_eq!(image.bytes, [0, 64, 128, 64, 128, 191]);
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.png");
/// image.write(&path)?;
/// assert_eq!(Image::read(&path, Channels::Grey)?, image);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Width and height.
    pub size: Size,
    /// What a pixel is.
    pub channels: Channels,
    /// The values, 0 to 255, row by row from the top; those of a pixel are side by side.
    pub bytes: Vec<u8>,
}

impl Image {
    /// An image whose pixel in column x of row y is `at(x, y)`, with values from 0 to 1; what lies beyond is cut off.
    ///
    /// # Panics
    ///
    /// If N is not the number of channels.
    #[track_caller]
    pub fn from_fn<const N: usize>(size: Size, channels: Channels, at: impl Fn(usize, usize) -> [f32; N]) -> Self {
        assert_eq!(N, channels.count(), "Image::from_fn: as many values as channels are needed");
        let pixels = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        let bytes = pixels.flat_map(|(x, y)| at(x, y)).map(|v| (255.0 * v.clamp(0.0, 1.0)).round() as u8).collect();
        Image { size, channels, bytes }
    }

    /// The values of a pixel.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        let count = self.channels.count();
        &self.bytes[(y * self.size.width + x) * count..][..count]
    }

    /// Reads a PNG file of any colour type; of an animation, the first picture. Colours become grey by their luminance
    /// (ITU-R BT.709), and what is transparent lies on white.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, as the end of a sentence that begins with its name.
    pub fn read(path: &Path, channels: Channels) -> Result<Self, String> {
        expect_file(path)?;
        let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
        let broken = |error: png::DecodingError| format!("is not a whole PNG file: {error}");
        let mut decoder = Decoder::new_with_limits(BufReader::new(file), Limits { bytes: MAX_BYTES });
        decoder.set_transformations(Transformations::normalize_to_color8());
        // Compressed texts and profiles of colours can be a thousand times as long as the file, and none is used.
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        // A file of a few bytes may claim to be an image that fills the memory.
        let header = decoder.read_header_info().map_err(broken)?;
        let size = Size { width: header.width as usize, height: header.height as usize };
        if size.width.max(size.height) > MAX_SIDE {
            return Err(format!("is {size} pixels; expected {MAX_SIDE} a side at most"));
        }
        let mut reader = decoder.read_info().map_err(broken)?;
        let mut raw = vec![0; reader.output_buffer_size().ok_or("is too large")?];
        let found = reader.next_frame(&mut raw).map_err(broken)?;
        let bytes = converted(&raw[..found.buffer_size()], found.color_type, channels);
        Ok(Image { size, channels, bytes })
    }

    /// Writes a PNG file, as a whole or not at all. The folder must exist.
    ///
    /// # Errors
    ///
    /// If it cannot be written; an old file is then as it was.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        let encode = || -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
            let [width, height] = [u32::try_from(self.size.width)?, u32::try_from(self.size.height)?];
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, width, height);
            encoder.set_depth(BitDepth::Eight);
            encoder.set_color(match self.channels {
                Channels::Grey => ColorType::Grayscale,
                Channels::Rgb => ColorType::Rgb,
            });
            let mut writer = encoder.write_header()?;
            writer.write_image_data(&self.bytes)?;
            writer.finish()?;
            Ok(bytes)
        };
        let bytes = encode().map_err(|error| WriteError::file(path, std::io::Error::other(error)))?;
        write_whole(path, &bytes)
    }
}

/// Pixels of 8 bits a value as those of another kind.
fn converted(raw: &[u8], colour: ColorType, channels: Channels) -> Vec<u8> {
    let count = colour.samples();
    let is_grey = matches!(colour, ColorType::Grayscale | ColorType::GrayscaleAlpha);
    let has_alpha = matches!(colour, ColorType::GrayscaleAlpha | ColorType::Rgba);
    let on_white = |value: u8, alpha: u8| {
        let [value, alpha] = [u32::from(value), u32::from(alpha)];
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let rgb = |pixel: &[u8]| {
        let of =
            |k: usize| on_white(pixel[if is_grey { 0 } else { k }], if has_alpha { pixel[count - 1] } else { 255 });
        [of(0), of(1), of(2)]
    };
    let pixels = raw.chunks_exact(count).map(rgb);
    match channels {
        Channels::Rgb => pixels.flatten().collect(),
        Channels::Grey if is_grey => pixels.map(|[grey, ..]| grey).collect(),
        Channels::Grey => pixels
            .map(|[r, g, b]| (0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b)).round() as u8)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SIZE: Size = Size { width: 2, height: 1 };

    /// A file with two pixels of this kind.
    fn file(folder: &Path, colour: ColorType, depth: BitDepth, data: &[u8]) -> std::path::PathBuf {
        let path = folder.join("a.png");
        let mut encoder = Encoder::new(File::create(&path).unwrap(), 2, 1);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            encoder.set_palette(vec![255, 0, 0, 0, 0, 255]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        path
    }

    #[test]
    fn every_kind_of_png_is_read() {
        let folder = tempfile::tempdir().unwrap();
        /// Colour type and depth, the bytes of the file, and what is read in grey and in colour.
        type Case = (ColorType, BitDepth, &'static [u8], [u8; 2], [u8; 6]);
        let cases: [Case; 6] = [
            (ColorType::Grayscale, BitDepth::Eight, &[7, 255], [7, 255], [7, 7, 7, 255, 255, 255]),
            (ColorType::Grayscale, BitDepth::One, &[0b0100_0000], [0, 255], [0, 0, 0, 255, 255, 255]),
            (ColorType::Grayscale, BitDepth::Sixteen, &[9, 1, 8, 255], [9, 8], [9, 9, 9, 8, 8, 8]),
            (ColorType::Rgb, BitDepth::Eight, &[255, 0, 0, 1, 2, 3], [54, 2], [255, 0, 0, 1, 2, 3]),
            (ColorType::Indexed, BitDepth::One, &[0b0100_0000], [54, 18], [255, 0, 0, 0, 0, 255]),
            // Half black, and nothing at all.
            (ColorType::GrayscaleAlpha, BitDepth::Eight, &[0, 128, 0, 0], [127, 255], [127, 127, 127, 255, 255, 255]),
        ];
        for (colour, depth, data, grey, rgb) in cases {
            let path = file(folder.path(), colour, depth, data);
            let read = |channels| Image::read(&path, channels).unwrap();
            let expected = |channels, bytes: &[u8]| Image { size: SIZE, channels, bytes: bytes.to_vec() };
            assert_eq!(read(Channels::Grey), expected(Channels::Grey, &grey), "{colour:?} {depth:?}");
            assert_eq!(read(Channels::Rgb), expected(Channels::Rgb, &rgb), "{colour:?} {depth:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        for (width, height) in [(1, 1), (7, 33), (MAX_SIDE, 1)] {
            let image = Image::from_fn(Size { width, height }, Channels::Rgb, |x, y| {
                [x as f32 / 7.0, y as f32 / 33.0, if x == y { f32::NAN } else { -1.0 }]
            });
            image.write(&path).unwrap();
            assert_eq!(Image::read(&path, Channels::Rgb), Ok(image));
        }
        let told = Image::from_fn(SIZE, Channels::Grey, |_, _| [0.5]).write(&folder.path().join("no/a.png"));
        assert!(told.unwrap_err().to_string().starts_with("cannot write "));
    }

    /// Compressed, a text takes a thousandth of its length: this one would exceed the limit of the decoder.
    #[test]
    fn texts_in_a_file_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mut encoder = Encoder::new(File::create(&path).unwrap(), 2, 1);
        encoder.add_ztxt_chunk("Comment".to_owned(), "0".repeat(MAX_BYTES + 1)).unwrap();
        encoder.write_header().unwrap().write_image_data(&[7, 255]).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 100_000);
        assert_eq!(Image::read(&path, Channels::Grey).unwrap().bytes, [7, 255]);
    }

    #[test]
    fn what_is_no_image_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let told = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            Image::read(&path, Channels::Grey).unwrap_err()
        };
        for bytes in [&b""[..], b"text", b"GIF89a\0\0\0\0\0\0"] {
            assert!(told(bytes).starts_with("is not a whole PNG file: "), "{}", told(bytes));
        }
        Image::from_fn(Size { width: 40, height: 40 }, Channels::Grey, |x, y| [(x * y % 7) as f32 / 7.0])
            .write(&path)
            .unwrap();
        let whole = fs::read(&path).unwrap();
        assert!(told(&whole[..whole.len() / 2]).starts_with("is not a whole PNG file: "));
        let mut changed = whole.clone();
        changed[60] ^= 1;
        assert!(told(&changed).starts_with("is not a whole PNG file: "));
        Image::from_fn(Size { width: MAX_SIDE + 1, height: 1 }, Channels::Grey, |_, _| [0.0]).write(&path).unwrap();
        assert_eq!(Image::read(&path, Channels::Grey).unwrap_err(), "is 513x1 pixels; expected 512 a side at most");
        let endless = Image::read(Path::new("/dev/zero"), Channels::Grey).unwrap_err();
        assert_eq!(endless, "cannot be read: it is a device; expected a regular file");
        assert!(Image::read(Path::new("none"), Channels::Grey).unwrap_err().starts_with("cannot be read: "));
    }
}
