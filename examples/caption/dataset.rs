//! Images with their captions: drawn, or from a folder of PNG files with a table.

use std::error::Error;
use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rewind_examples::division::test_part;
use rewind_examples::files::{WriteError, expect_empty, prepare_folder, write_whole};
use rewind_examples::image::{Channels, Image, Size};
use rewind_examples::{RunArguments, say, text};

use crate::scenes;
use crate::words::MAX_LENGTH;

/// The table of a folder: in each line the name of a file, a tab, and a caption.
pub(crate) const CAPTIONS: &str = "captions.tsv";
/// Of images that are not divided yet, one in so many is for testing.
const TEST_SHARE: usize = 5;
/// The shortest side of an image.
pub(crate) const MIN_SIDE: usize = 8;

/// An image and what can be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) image: Image,
    /// One caption at least.
    pub(crate) captions: Vec<String>,
}

/// The rows of a table, a file and a caption, in the order of the files. The captions of a file stay in theirs.
fn rows_of<'t>(table: &'t str, path: &Path) -> Result<Vec<[&'t str; 2]>, Box<dyn Error>> {
    let at = path.display();
    // Room for as many rows as there may be, of four bytes: room that is doubled would be many times the text.
    let most = table.matches('\t').count().min(table.len() / 4 + 1);
    let (mut rows, mut long, mut first) = (Vec::with_capacity(most), 0, None);
    for (number, line) in (1..).zip(text::lines(table)) {
        let mut columns = line.split('\t').map(str::trim);
        match [columns.next(), columns.next(), columns.next()] {
            [Some(name), Some(caption), None] if !name.is_empty() && !caption.is_empty() => {
                if caption.split_whitespace().count() > MAX_LENGTH {
                    long += 1;
                    first.get_or_insert(number);
                } else {
                    rows.push([name, caption]);
                }
            }
            _ => {
                let found = match line.split('\t').count() {
                    2 => "one of them is empty".to_owned(),
                    count => format!("{count} found"),
                };
                return Err(format!("{at}, line {number}: expected the columns file and caption; {found}").into());
            }
        }
    }
    if let Some(first) = first {
        say(format!(
            "{at}: left out {long} captions of more than {MAX_LENGTH} words, the first of them in line {first}"
        ));
    }
    // They are parts of one text: a later one has a higher address.
    rows.sort_unstable_by_key(|&[name, caption]| (name, caption.as_ptr()));
    Ok(rows)
}

/// The images of a folder with their captions. Files that cannot be read, and images of another size than `size` (or, where
/// there is none, than the first image), are left out and reported.
fn read(folder: &Path, size: Option<Size>) -> Result<Vec<Item>, Box<dyn Error>> {
    let mut expected = size;
    let (mut items, mut broken, mut first) = (Vec::new(), 0, None);
    let table = folder.join(CAPTIONS);
    let text = text::read(&table)?;
    for rows in rows_of(&text, &table)?.chunk_by(|[a, _], [b, _]| a == b) {
        let path = folder.join(rows[0][0]);
        match Image::read(&path, Channels::Rgb).and_then(|image| fits(&image, expected).map(|()| image)) {
            Ok(image) => {
                expected = Some(image.size);
                let captions = rows.iter().map(|[_, caption]| (*caption).to_owned()).collect();
                items.push(Item { image, captions });
            }
            Err(reason) => {
                broken += 1;
                first.get_or_insert_with(|| format!("{} {reason}", path.display()));
            }
        }
    }
    let at = folder.display();
    match (items.is_empty(), first) {
        (true, None) => Err(format!("{at} has no caption to use").into()),
        (true, Some(first)) => Err(format!("{at} has no image to use: {first}").into()),
        (false, None) => Ok(items),
        (false, Some(first)) => {
            say(format!("{at}: left out {broken} images, the first of them because {first}"));
            Ok(items)
        }
    }
}

/// Checks that a model reads images of this size.
pub(crate) fn fits(image: &Image, expected: Option<Size>) -> Result<(), String> {
    let size = image.size;
    match expected {
        Some(expected) if size != expected => Err(format!("is {size} pixels; expected {expected}, as others are")),
        _ if size.width.min(size.height) < MIN_SIDE => {
            Err(format!("is {size} pixels; expected {MIN_SIDE} a side at least"))
        }
        _ => Ok(()),
    }
}

/// Where images come from. Without any folder they are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// What to train on, and to take the test part from if there is no other.
    pub(crate) data: Option<PathBuf>,
    /// What to test on.
    pub(crate) test: Option<PathBuf>,
    /// What drawing and dividing follow from.
    pub(crate) seed: u64,
}

/// Displays as what is tested on.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed;
        match (&self.data, &self.test) {
            (_, Some(test)) => write!(f, "the images of {}", test.display()),
            (Some(data), None) => write!(f, "a fifth of the images of {}, chosen by seed {seed}", data.display()),
            (None, None) => write!(f, "the test part of the scenes that seed {seed} draws"),
        }
    }
}

impl Source {
    /// What the command line names.
    pub(crate) fn named(run: &RunArguments) -> Source {
        Source { data: run.data.clone(), test: run.test.clone(), seed: run.seed() }
    }

    /// The training part and the test part; of a test part alone, the images must have this size.
    ///
    /// # Errors
    ///
    /// Folders that cannot be read, and a part without an image.
    pub(crate) fn read_parts(&self) -> Result<[Vec<Item>; 2], Box<dyn Error>> {
        match (&self.data, &self.test) {
            (None, None) => Ok(scenes::draw_parts(self.seed)),
            (None, Some(_)) => {
                let advice = "--data DIR, or a model that was saved: --load FILE";
                Err(format!("--test needs images to train on: {advice}").into())
            }
            (Some(data), Some(test)) => {
                let train = read(data, None)?;
                let size = train[0].image.size;
                Ok([train, read(test, Some(size))?])
            }
            (Some(data), None) => {
                let items = read(data, None)?;
                let count = items.len() / TEST_SHARE;
                if count == 0 {
                    let found = items.len();
                    return Err(format!("{} has {found} images; expected {TEST_SHARE} at least", data.display()).into());
                }
                let in_test = test_part(&vec![0; items.len()], 1, count, self.seed);
                let (test, train): (Vec<_>, Vec<_>) = items.into_iter().zip(in_test).partition(|(_, test)| *test);
                Ok([train, test].map(|part| part.into_iter().map(|(item, _)| item).collect()))
            }
        }
    }

    /// The test part for a model that reads images of this size.
    ///
    /// # Errors
    ///
    /// As [`Source::read_parts`], and if the images have another size.
    pub(crate) fn read_test(&self, size: Size) -> Result<Vec<Item>, Box<dyn Error>> {
        if let Some(test) = &self.test {
            return read(test, Some(size));
        }
        let [_, test] = self.read_parts()?;
        fits(&test[0].image, Some(size)).map_err(|reason| format!("{self}: one {reason}"))?;
        Ok(test)
    }
}

/// Writes both parts for `--write`.
pub(crate) fn write_parts(folder: &Path, parts: &[Vec<Item>; 2]) -> Result<(), WriteError> {
    expect_empty(folder)?;
    for (name, part) in ["train", "test"].iter().zip(parts) {
        write(&folder.join(name), part)?;
    }
    say(format!("the scenes are in {}", folder.display()));
    Ok(())
}

/// Writes images and their table into a folder.
pub(crate) fn write(folder: &Path, items: &[Item]) -> Result<(), WriteError> {
    prepare_folder(folder)?;
    let mut table = String::new();
    for (place, item) in items.iter().enumerate() {
        let name = format!("{place:05}.png");
        item.image.write(&folder.join(&name))?;
        for caption in &item.captions {
            let _ = writeln!(table, "{name}\t{caption}");
        }
    }
    write_whole(&folder.join(CAPTIONS), table.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_files_and_captions_in_theirs() {
        let rows = rows_of("b\tz\na\tx\nb\ty\n b \t w \n", Path::new("t")).unwrap();
        assert_eq!(rows, [["a", "x"], ["b", "z"], ["b", "y"], ["b", "w"]]);
        let told = |table: &str| rows_of(table, Path::new("t")).unwrap_err().to_string();
        assert_eq!(told("a\tx\ty\n"), "t, line 1: expected the columns file and caption; 3 found");
        assert_eq!(told("a\tx\n\n"), "t, line 2: expected the columns file and caption; 1 found");
    }
}
