//! Files in the format of MNIST (IDX): images in one file, their labels in another, both perhaps compressed.
//!
//! A file is two zero bytes, the type of a value (8: a byte), the number of axes, the length of each axis in four bytes,
//! the highest first, and the values.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use rewind_examples::files::expect_file;
use rewind_examples::image::{Channels, Image, MAX_SIDE, Size};

/// The most values of a file: a thousand times those of MNIST do not fit into memory.
const MOST: u64 = 1 << 31;

/// Images of one size with their labels. They lie together: one of a few pixels is smaller than an [`Image`] of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Images {
    pub(crate) size: Size,
    values: Vec<u8>,
    pub(crate) labels: Vec<u8>,
}

impl Images {
    /// The images and their labels, in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Image, u8)> {
        let image = |bytes: &[u8]| Image { size: self.size, channels: Channels::Grey, bytes: bytes.to_vec() };
        let Size { width, height } = self.size;
        self.values.chunks_exact(width * height).map(image).zip(self.labels.iter().copied())
    }
}

/// The images of a file and their labels.
///
/// # Errors
///
/// A file that cannot be read, has another format, or holds more or less than its header says.
pub(crate) fn read(path: &Path) -> Result<Images, String> {
    let ([count, height, width], values) = values(path, "images: count, rows, columns")?;
    let size = Size { width, height };
    if width.min(height) == 0 || width.max(height) > MAX_SIDE {
        return Err(format!("{}: the images are {size} pixels; expected 1 to {MAX_SIDE} a side", path.display()));
    }
    let labels_path = labels_of(path)?;
    let ([labels_count], labels) = self::values(&labels_path, "labels: count")?;
    if labels_count != count {
        let [images, labels] = [path, &labels_path].map(Path::display);
        return Err(format!("{images} has {count} images, and {labels} has {labels_count} labels"));
    }
    Ok(Images { size, values, labels })
}

/// The file of the labels of a file of images: `train-labels-idx1-ubyte` of `train-images-idx3-ubyte`, compressed or not.
pub(crate) fn labels_of(path: &Path) -> Result<PathBuf, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !name.contains("images") {
        let advice = "expected a name with \"images\", such as train-images-idx3-ubyte";
        return Err(format!("{}: {advice}: the labels have the same one with \"labels\"", path.display()));
    }
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    let plain = labels.strip_suffix(".gz").unwrap_or(&labels);
    let found = [labels.clone(), plain.to_owned(), format!("{plain}.gz")].map(|name| path.with_file_name(name));
    match found.iter().find(|path| path.exists()) {
        Some(found) => Ok(found.clone()),
        None => Err(format!("{} has no labels beside it: expected {}", path.display(), found[0].display())),
    }
}

/// The lengths of the axes of a file and its values.
fn values<const N: usize>(path: &Path, axes: &str) -> Result<([usize; N], Vec<u8>), String> {
    let at = path.display();
    let cannot = |error: std::io::Error| format!("cannot read {at}: {error}");
    expect_file(path).map_err(|reason| format!("{at} {reason}"))?;
    let file = File::open(path).map_err(cannot)?;
    let is_compressed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let mut file: Box<dyn Read> = if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };

    let mut header = vec![0; 4 + 4 * N];
    let mut head = Vec::new();
    file.by_ref().take(header.len() as u64).read_to_end(&mut head).map_err(cannot)?;
    header[..head.len()].copy_from_slice(&head);
    let expected = [0, 0, 8, N as u8];
    if head.len() < header.len() || header[..4] != expected {
        let found = &head[..head.len().min(4)];
        return Err(format!("{at} is no IDX file of {axes}: it begins with {found:?}; expected {expected:?}"));
    }
    let length = |k: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[4 + 4 * k + byte]));
    let lengths: [usize; N] = std::array::from_fn(|k| length(k) as usize);
    let count = (0..N).try_fold(1u64, |all, k| all.checked_mul(u64::from(length(k)))).filter(|&n| n <= MOST);
    let count = count.ok_or_else(|| format!("{at}: {lengths:?} values; expected {MOST} at most"))?;
    let mut values = Vec::new();
    file.take(count + 1).read_to_end(&mut values).map_err(cannot)?;
    match values.len() as u64 {
        found if found < count => Err(format!("{at} ends after {found} of {count} values")),
        found if found > count => Err(format!("{at} goes on after the {count} values that its header names")),
        _ => Ok((lengths, values)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    /// The bytes of a file.
    pub(crate) fn bytes(lengths: &[u32], values: &[u8]) -> Vec<u8> {
        let lengths_bytes = lengths.iter().flat_map(|length| length.to_be_bytes());
        [0, 0, 8, lengths.len() as u8].into_iter().chain(lengths_bytes).chain(values.iter().copied()).collect()
    }

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    struct Files(tempfile::TempDir);

    impl Files {
        fn with(files: &[(&str, Vec<u8>)]) -> Files {
            let folder = tempfile::tempdir().unwrap();
            for (name, contents) in files {
                fs::write(folder.path().join(name), contents).unwrap();
            }
            Files(folder)
        }
        fn read(&self, name: &str) -> Result<Vec<(Image, u8)>, String> {
            let root = self.0.path().display().to_string();
            let images = read(&self.0.path().join(name)).map(|images| images.iter().collect());
            images.map_err(|told| told.replace(&root, "ROOT").replace('\\', "/"))
        }
    }

    const IMAGES: &str = "train-images-idx3-ubyte";
    const LABELS: &str = "train-labels-idx1-ubyte";

    #[test]
    fn images_have_their_labels() {
        let images = bytes(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let labels = bytes(&[2], &[9, 0]);
        let size = Size { width: 3, height: 1 };
        let image = |bytes: &[u8]| Image { size, channels: Channels::Grey, bytes: bytes.to_vec() };
        let expected = Ok(vec![(image(&[1, 2, 3]), 9), (image(&[4, 5, 6]), 0)]);
        let gz = |name: &str| format!("{name}.gz");
        for (name, files) in [
            (IMAGES, [(IMAGES, images.clone()), (LABELS, labels.clone())]),
            (IMAGES, [(IMAGES, images.clone()), (&gz(LABELS), compressed(&labels))]),
            (&gz(IMAGES), [(&gz(IMAGES), compressed(&images)), (&gz(LABELS), compressed(&labels))]),
            (&gz(IMAGES), [(&gz(IMAGES), compressed(&images)), (LABELS, labels.clone())]),
        ] {
            assert_eq!(Files::with(&files).read(name), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let labels = (LABELS, bytes(&[2], &[9, 0]));
        let told = |images: Vec<u8>| Files::with(&[(IMAGES, images), labels.clone()]).read(IMAGES).unwrap_err();
        let start = |bytes: &str| {
            format!(
                "ROOT/{IMAGES} is no IDX file of images: count, rows, columns: it begins with {bytes}; \
                 expected [0, 0, 8, 3]"
            )
        };
        assert_eq!(told(vec![]), start("[]"));
        assert_eq!(told(b"text that is long enough".to_vec()), start("[116, 101, 120, 116]"));
        assert_eq!(told(bytes(&[2], &[1, 2])), start("[0, 0, 8, 1]"));
        assert_eq!(told(bytes(&[2, 1, 2], &[1, 2, 3])), format!("ROOT/{IMAGES} ends after 3 of 4 values"));
        let long = told(bytes(&[2, 1, 2], &[1, 2, 3, 4, 5]));
        assert_eq!(long, format!("ROOT/{IMAGES} goes on after the 4 values that its header names"));
        let three = told(bytes(&[3, 1, 1], &[1, 2, 3]));
        assert_eq!(three, format!("ROOT/{IMAGES} has 3 images, and ROOT/{LABELS} has 2 labels"));
        let none = told(bytes(&[2, 0, 9], &[]));
        assert_eq!(none, format!("ROOT/{IMAGES}: the images are 9x0 pixels; expected 1 to 512 a side"));
        let huge = told(bytes(&[u32::MAX; 3], &[]));
        assert!(huge.ends_with("values; expected 2147483648 at most"), "{huge}");

        let alone = Files::with(&[(IMAGES, bytes(&[1, 1, 1], &[1]))]).read(IMAGES).unwrap_err();
        assert_eq!(alone, format!("ROOT/{IMAGES} has no labels beside it: expected ROOT/{LABELS}"));
        let other = Files::with(&[("data", bytes(&[1, 1, 1], &[1]))]).read("data").unwrap_err();
        assert!(other.starts_with("ROOT/data: expected a name with \"images\""), "{other}");
        let half = &compressed(&bytes(&[1, 1, 1], &[1]))[..15];
        let name = "a-images.gz";
        let told = Files::with(&[(name, half.to_vec())]).read(name).unwrap_err();
        assert!(told.starts_with("cannot read ROOT/a-images.gz: "), "{told}");
    }
}
