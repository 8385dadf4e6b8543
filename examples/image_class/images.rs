//! Labelled images, and their files: PNG in class folders, or IDX.

use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use png::{ColorType, Decoder, Transformations};
use rewind_examples::division::test_part;
use rewind_examples::folders::{self, Kind};
use rewind_examples::say;

const KIND: Kind = Kind { item: "image", file: "PNG file", endings: &["png"] };
/// The most rows and columns: a row is a time step.
const MAX_SIZE: usize = 1024;

/// Labelled images of one size.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Images {
    /// The names of the C classes.
    pub(crate) classes: Vec<String>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// `[N][rows, columns]` row-major, 0 to 1.
    pub(crate) pixels: Vec<Vec<f32>>,
    /// `[N]`, indices into `classes`.
    pub(crate) labels: Vec<usize>,
}

impl Images {
    /// Reads a folder of class folders, or a file in the IDX format.
    ///
    /// # Errors
    ///
    /// What cannot be read, with the file. In folders, broken images and those of another size than the first are left
    /// out and reported.
    pub(crate) fn read(path: &Path) -> Result<Images, Box<dyn Error>> {
        if path.is_dir() { read_folder(path) } else { Ok(read_idx(path)?) }
    }

    /// Divides the images into a training part and a test part of one in `share`.
    pub(crate) fn split(&self, share: usize, seed: u64) -> [Images; 2] {
        let count = (self.labels.len() / share).max(1).min(self.labels.len());
        let in_test = test_part(&self.labels, self.classes.len(), count, seed);
        [false, true].map(|wanted| {
            let chosen: Vec<usize> = (0..in_test.len()).filter(|&i| in_test[i] == wanted).collect();
            let pixels = chosen.iter().map(|&i| self.pixels[i].clone()).collect();
            Images { pixels, labels: chosen.iter().map(|&i| self.labels[i]).collect(), ..self.without_images() }
        })
    }

    fn without_images(&self) -> Images {
        Images { classes: self.classes.clone(), rows: self.rows, columns: self.columns, ..Images::default() }
    }

    /// Checks that images can be given to a model of these: same size and classes.
    ///
    /// # Errors
    ///
    /// If they cannot; `who` and `model` name the two.
    pub(crate) fn expect_same(&self, who: &str, other: &Images, model: &str) -> Result<(), String> {
        let of = |images: &Images| format!("{}×{}", images.columns, images.rows);
        if (self.rows, self.columns) != (other.rows, other.columns) {
            return Err(format!("the images of {who} are {}; expected {} as those of {model}", of(self), of(other)));
        }
        if self.classes != other.classes {
            let [a, b] = [self, other].map(|images| images.classes.join(", "));
            return Err(format!("the classes of {who} are {a}; expected {b} as those of {model}"));
        }
        Ok(())
    }
}

fn read_folder(root: &Path) -> Result<Images, Box<dyn Error>> {
    let mut size: Option<([usize; 2], PathBuf)> = None;
    let found = folders::read(root, None, KIND, |path| {
        let (pixels, [rows, columns]) = read_png(path)?;
        let (expected, first) = size.get_or_insert_with(|| ([rows, columns], path.to_owned()));
        if [rows, columns] != *expected {
            let [height, width] = *expected;
            return Err(format!("is {columns}×{rows}; expected {width}×{height} as {}", first.display()));
        }
        Ok(pixels)
    })?;
    for file in &found.broken {
        say(format!("left out: {file}"));
    }
    if !found.broken.is_empty() {
        say(format!("{} images of {} left out", found.broken.len(), root.display()));
    }
    folders::expect_two(&found.classes, &format!("{} gives", root.display()))?;
    let ([rows, columns], _) = size.unwrap_or_default();
    let (pixels, labels) = found.items.into_iter().unzip();
    Ok(Images { classes: found.classes, rows, columns, pixels, labels })
}

/// A PNG file in shades of grey, with its rows and columns. What is transparent is over black.
fn read_png(path: &Path) -> Result<(Vec<f32>, [usize; 2]), String> {
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let wrong = |error: png::DecodingError| format!("is no whole PNG file: {error}");
    let mut reader = decoder.read_info().map_err(wrong)?;
    let [rows, columns] = [reader.info().height, reader.info().width].map(|size| size as usize);
    expect_size(rows, columns)?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("is too large")?];
    let info = reader.next_frame(&mut bytes).map_err(wrong)?;
    let (channels, colours) = match info.color_type {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgb | ColorType::Indexed => (3, 3),
        ColorType::Rgba => (4, 3),
    };
    let grey = |pixel: &[u8]| {
        let mean = pixel[..colours].iter().map(|&x| f32::from(x)).sum::<f32>() / colours as f32;
        let opacity = if channels > colours { f32::from(pixel[colours]) / 255.0 } else { 1.0 };
        mean / 255.0 * opacity
    };
    Ok((bytes[..info.buffer_size()].chunks_exact(channels).map(grey).collect(), [rows, columns]))
}

fn expect_size(rows: usize, columns: usize) -> Result<(), String> {
    if (1..=MAX_SIZE).contains(&rows) && (1..=MAX_SIZE).contains(&columns) {
        return Ok(());
    }
    Err(format!("is {columns}×{rows}; expected 1×1 to {MAX_SIZE}×{MAX_SIZE}"))
}

/// Reads images `[N, rows, columns]` and their labels `[N]` from two files in the IDX format of MNIST (LeCun et al. 1998).
fn read_idx(path: &Path) -> Result<Images, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = name.replace("images", "labels").replace("idx3", "idx1");
    if beside == name {
        let at = path.display();
        return Err(format!("{at} is no folder, and no IDX file by its name; expected images-idx3 in the name"));
    }
    let (bytes, [count, rows, columns]) = read_array::<3>(path)?;
    let at = path.display();
    expect_size(rows, columns).map_err(|reason| format!("{at}: an image {reason}"))?;
    let beside = path.with_file_name(beside);
    let (labels, [labelled]) = read_array::<1>(&beside)?;
    if count != labelled || count == 0 {
        let of = beside.display();
        return Err(format!("{at} has {count} images and {of} {labelled} labels; expected as many, and one at least"));
    }
    let pixels = bytes.chunks_exact(rows * columns).map(|image| image.iter().map(|&x| f32::from(x) / 255.0).collect());
    let labels: Vec<usize> = labels.into_iter().map(usize::from).collect();
    let highest = labels.iter().copied().max().unwrap_or(0);
    let classes: Vec<String> = (0..=highest).map(|class| class.to_string()).collect();
    folders::expect_two(&classes, &format!("{} gives", beside.display()))?;
    Ok(Images { classes, rows, columns, pixels: pixels.collect(), labels })
}

/// The bytes of an IDX file of `N` axes, and their lengths.
fn read_array<const N: usize>(path: &Path) -> Result<(Vec<u8>, [usize; N]), String> {
    let at = path.display();
    let bytes = fs::read(path).map_err(|error| format!("cannot read {at}: {error}"))?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(format!("{at} is compressed; unpack it with gunzip"));
    }
    // Two zeros, the type (8 is unsigned bytes), the number of axes, and their lengths, the highest byte first.
    let start = [0, 0, 8, N as u8];
    let Some((head, data)) = bytes.split_at_checked(4 + 4 * N).filter(|(head, _)| head.starts_with(&start)) else {
        let found = &bytes[..bytes.len().min(4)];
        return Err(format!("{at} begins with {found:?}; expected {start:?}, an IDX file of bytes with {N} axes"));
    };
    let length = |axis: usize| u32::from_be_bytes(std::array::from_fn(|k| head[4 + 4 * axis + k])) as usize;
    let lengths: [usize; N] = std::array::from_fn(length);
    let expected = lengths.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    if expected != Some(data.len()) {
        return Err(format!("{at} has {} bytes of data; expected {lengths:?} of them", data.len()));
    }
    Ok((data.to_vec(), lengths))
}
