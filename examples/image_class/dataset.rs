//! Images with their classes: drawn, from folders of PNG files, or from files in MNIST's format.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rewind_examples::division::{counts, test_part};
use rewind_examples::files::{WriteError, expect_empty, prepare_folder};
use rewind_examples::folders::{self, Kind, expect_two};
use rewind_examples::image::{Channels, Image, Size};
use rewind_examples::{RunArguments, say};

use crate::{digits, idx};

const KIND: Kind = Kind { item: "image", file: "PNG file", endings: &["png"] };
/// Of images that are not divided yet, one in so many is for testing.
const TEST_SHARE: usize = 5;

/// Labelled images, all of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dataset {
    /// The names of the C classes.
    pub(crate) classes: Vec<String>,
    /// The images with their classes, indices into `classes`.
    pub(crate) items: Vec<(Image, usize)>,
}

impl Dataset {
    /// The class of every image, `[N]`.
    pub(crate) fn labels(&self) -> Vec<usize> {
        self.items.iter().map(|(_, class)| *class).collect()
    }

    /// How many images each class has, `[C]`.
    pub(crate) fn class_counts(&self) -> Vec<usize> {
        counts(&self.labels(), self.classes.len())
    }

    /// The size of the images.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn size(&self) -> Size {
        self.items[0].0.size
    }

    /// Divides the images at random into a training part and a test part, every class in the same proportion.
    fn split(self, seed: u64) -> [Dataset; 2] {
        let in_test = test_part(&self.labels(), self.classes.len(), self.items.len() / TEST_SHARE, seed);
        let classes = self.classes;
        let (test, train): (Vec<_>, Vec<_>) = self.items.into_iter().zip(in_test).partition(|(_, test)| *test);
        [train, test]
            .map(|part| Dataset { classes: classes.clone(), items: part.into_iter().map(|(item, _)| item).collect() })
    }

    /// The images of `classes` that have this size; the others are left out, and reported with the reason.
    ///
    /// # Errors
    ///
    /// If none is left.
    fn fitting(self, classes: &[String], size: Size, from: &Path) -> Result<Dataset, String> {
        let mut left_out = BTreeMap::<String, usize>::new();
        let mut items = Vec::new();
        for (image, class) in self.items {
            let name = &self.classes[class];
            match classes.iter().position(|known| known == name) {
                None => {
                    *left_out.entry(format!("of the class \"{name}\", which is not to be told apart")).or_default() += 1
                }
                Some(_) if image.size != size => {
                    *left_out.entry(format!("of {} pixels instead of {size}", image.size)).or_default() += 1;
                }
                Some(class) => items.push((image, class)),
            }
        }
        let told = left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ");
        let from = from.display();
        match (items.is_empty(), told.is_empty()) {
            (true, _) => return Err(format!("{from} has no image to use: {told}")),
            (false, true) => {}
            (false, false) => say(format!("{from}: left out {told}")),
        }
        Ok(Dataset { classes: classes.to_vec(), items })
    }

    /// Writes the images as PNG files, one folder a class.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), WriteError> {
        for class in &self.classes {
            prepare_folder(&folder.join(class))?;
        }
        for (place, (image, class)) in self.items.iter().enumerate() {
            image.write(&folder.join(&self.classes[*class]).join(format!("{place:05}.png")))?;
        }
        Ok(())
    }
}

/// Reads a folder of class folders, or a file in MNIST's format. A file that cannot be read is reported and left out.
fn read(path: &Path) -> Result<Dataset, Box<dyn Error>> {
    let is_folder = fs::metadata(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?.is_dir();
    let data = if is_folder {
        let found = folders::read(path, None, KIND, |file| Image::read(file, Channels::Grey))?;
        for line in &found.broken {
            say(format!("left out: {line}"));
        }
        Dataset { classes: found.classes, items: found.items }
    } else {
        let images = idx::read(path)?;
        let mut labels = images.labels.clone();
        labels.sort_unstable();
        labels.dedup();
        let class = |label| labels.partition_point(|&known| known < label);
        let items = images.iter().map(|(image, label)| (image, class(label))).collect();
        Dataset { classes: labels.iter().map(u8::to_string).collect(), items }
    };
    if data.items.is_empty() {
        return Err(format!("{} holds no image", path.display()).into());
    }
    Ok(data)
}

/// Where images come from. Without any path they are drawn.
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
            (None, None) => write!(f, "the test part of the digits that seed {seed} draws"),
        }
    }
}

impl Source {
    /// What the command line names.
    pub(crate) fn named(run: &RunArguments) -> Source {
        Source { data: run.data.clone(), test: run.test.clone(), seed: run.seed() }
    }

    /// The training part and the test part.
    ///
    /// # Errors
    ///
    /// Paths that cannot be read, one class alone, and a part without an image.
    pub(crate) fn read_parts(&self) -> Result<[Dataset; 2], Box<dyn Error>> {
        let (data, other) = match (&self.data, &self.test) {
            (None, None) => return Ok(digits::draw_parts(self.seed)),
            (None, Some(_)) => {
                let advice = "--data PATH, or a model that was saved: --load FILE";
                return Err(format!("--test needs images to train on: {advice}").into());
            }
            (Some(data), test) => (data, test),
        };
        let found = read(data)?;
        expect_two(&found.classes, &format!("{} has", data.display()))?;
        let (classes, size) = (found.classes.clone(), found.size());
        let found = found.fitting(&classes, size, data)?;
        let parts = match other {
            Some(test) => [found, read(test)?.fitting(&classes, size, test)?],
            None => found.split(self.seed),
        };
        match parts.iter().position(|part| part.items.is_empty()) {
            Some(part) => Err(format!("{} has no image to {}", data.display(), ["train on", "test on"][part]).into()),
            None => Ok(parts),
        }
    }

    /// The test part for a model that tells `classes` apart in images of this size.
    ///
    /// # Errors
    ///
    /// As [`Source::read_parts`].
    pub(crate) fn read_test(&self, classes: &[String], size: Size) -> Result<Dataset, Box<dyn Error>> {
        let (found, from) = match (&self.data, &self.test) {
            (_, Some(test)) => (read(test)?, test.as_path()),
            (data, None) => {
                let [_, test] = self.read_parts()?;
                (test, data.as_deref().unwrap_or(Path::new("what is drawn")))
            }
        };
        Ok(found.fitting(classes, size, from)?)
    }
}

/// Writes both parts for `--write`.
pub(crate) fn write_parts(folder: &Path, parts: &[Dataset; 2]) -> Result<(), WriteError> {
    expect_empty(folder)?;
    for (name, part) in ["train", "test"].iter().zip(parts) {
        part.write(&folder.join(name))?;
    }
    say(format!("the digits are in {}", folder.display()));
    Ok(())
}
