//! Files for readers that take a path, and the seeds of a target.

use std::fs;
use std::path::{Path, PathBuf};

use crate::large::{SIZE, grow};

/// A temporary folder whose files are written anew for each input. It lies where `TMPDIR` says, in memory if that is a memory file system.
#[derive(Debug)]
pub struct Folder(tempfile::TempDir);

impl Default for Folder {
    fn default() -> Self {
        Folder(tempfile::tempdir().expect("TMPDIR can be written to"))
    }
}

impl Folder {
    /// The path of this folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file with these contents, and its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, contents).expect("TMPDIR can be written to");
        path
    }
}

/// Writes a seed into the corpus of the target, the first folder of its command line, and the [large inputs](crate::large) that it gives.
/// `LLVMFuzzerInitialize` calls it, before the corpus is read.
pub fn seed(name: &str, contents: impl AsRef<[u8]>) {
    seed_up_to(SIZE, name, contents);
}

/// As [`seed`], with large inputs of so many bytes.
pub fn seed_up_to(size: usize, name: &str, contents: impl AsRef<[u8]>) {
    grow(name, contents.as_ref(), size);
    let folder = std::env::args().skip(1).map(PathBuf::from).find(|path| path.is_dir());
    if let Some(folder) = folder {
        fs::write(folder.join(format!("seed-{name}")), contents).expect("the corpus can be written to");
    }
}
