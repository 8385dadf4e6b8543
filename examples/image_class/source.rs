//! Where the images of a run come from.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rewind_examples::RunArguments;

use crate::digits;
use crate::images::Images;

/// Digits that are drawn.
const DRAWN: usize = 2500;
/// Of images that are not divided yet, one in so many is for testing.
const TEST_SHARE: usize = 5;

/// Where images come from. Without a path they are drawn.
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
            (_, Some(test)) => write!(f, "{}", test.display()),
            (Some(data), None) => write!(f, "the test part of {}, divided by seed {seed}", data.display()),
            (None, None) => write!(f, "the test part of the digits that seed {seed} draws"),
        }
    }
}

impl Source {
    /// What the command line names.
    pub(crate) fn named(run: &RunArguments) -> Source {
        Source { data: run.data.clone(), test: run.test.clone(), seed: run.seed() }
    }

    /// The images to train on and to test on.
    ///
    /// # Errors
    ///
    /// Images that cannot be read, or are not alike in both parts; a class without an image to train on.
    pub(crate) fn read(&self) -> Result<[Images; 2], Box<dyn Error>> {
        let parts = match (&self.data, &self.test) {
            (Some(data), Some(test)) => {
                let parts = [Images::read(data)?, Images::read(test)?];
                parts[1].expect_same(&test.display().to_string(), &parts[0], &data.display().to_string())?;
                parts
            }
            (None, Some(_)) => {
                return Err(
                    "--test needs images to train on: --data PATH, or a model that was saved: --load FILE".into()
                );
            }
            (Some(data), None) => Images::read(data)?.split(TEST_SHARE, self.seed),
            (None, None) => {
                digits::drawn(DRAWN, &mut ChaCha8Rng::seed_from_u64(self.seed)).split(TEST_SHARE, self.seed)
            }
        };
        let [train, _] = &parts;
        if let Some(class) = (0..train.classes.len()).find(|class| !train.labels.contains(class)) {
            return Err(format!("the class \"{}\" has no image to train on", train.classes[class]).into());
        }
        Ok(parts)
    }

    /// The images to test a model on that was loaded.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub(crate) fn read_test(&self) -> Result<Images, Box<dyn Error>> {
        match &self.test {
            Some(test) => Images::read(test),
            None => Ok(self.read()?.into_iter().nth(1).unwrap_or_default()),
        }
    }
}
