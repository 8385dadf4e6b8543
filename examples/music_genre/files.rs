//! Writing files: where, seen to before any work is done; and so that nothing is overwritten before what replaces it is
//! whole.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The ending of a file that is not whole yet.
const PART: &str = ".part";

/// What was to be written and could not. The message names the path.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// A folder that cannot be made, or in which no file can be.
    #[error("cannot write to the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the file system answered.
        source: io::Error,
    },
    /// A file.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system answered.
        source: io::Error,
    },
}

impl WriteError {
    /// Why the file `path` could not be written.
    pub(crate) fn file(path: &Path, source: io::Error) -> WriteError {
        WriteError::File { path: path.to_owned(), source }
    }
}

/// Makes the folder if need be, and sees that a file can be written there.
///
/// # Errors
///
/// [`WriteError::Folder`].
pub(crate) fn prepare_folder(folder: &Path) -> Result<(), WriteError> {
    let probe = folder.join(format!(".{}.probe", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| File::create(&probe))
        .and_then(|_| fs::remove_file(&probe))
        .map_err(|source| WriteError::Folder { path: folder.to_owned(), source })
}

/// Sees that nothing lies in the folder, if there is one: what is written there would be mixed with it.
///
/// # Errors
///
/// [`WriteError::Folder`].
pub(crate) fn expect_empty(folder: &Path) -> Result<(), WriteError> {
    let source = match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => return Ok(()),
        Ok(false) => {
            io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is not empty; expected a new or an empty folder")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => error,
    };
    Err(WriteError::Folder { path: folder.to_owned(), source })
}

/// Sees that `path` can be written later, and makes its folder if need be. What is there already stays as it is.
///
/// # Errors
///
/// If the folder takes no file, the path is a folder, or its name leaves no room for a temporary file beside it.
pub(crate) fn prepare_file(path: &Path) -> Result<(), WriteError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        let source = io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; expected the name of a file");
        return Err(WriteError::file(path, source));
    }
    prepare_folder(folder)?;
    // As long as the longest name of a temporary file.
    beside(path, &format!("{}-{}.probe", std::process::id(), u32::MAX))
        .and_then(|probe| File::create(&probe).and_then(|_| fs::remove_file(&probe)))
        .map_err(|source| WriteError::file(path, source))
}

/// Writes `bytes` to `path`: first to a file beside it, then by renaming that file.
///
/// A reader sees the old contents or the new ones, never a part. The folder must exist.
///
/// # Errors
///
/// Whatever the file system answers; `path` is then as it was, and nothing is left beside it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let failed = |source| WriteError::file(path, source);
    let part = beside(path, &format!("{}{PART}", std::process::id())).map_err(failed)?;
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The first error is the one worth telling; a part that cannot be removed changes nothing.
        let _ = fs::remove_file(&part);
    }
    remove_stale_parts(path);
    written.map_err(failed)
}

/// How old a temporary file is at least that a killed run has left behind: none is being written for that long.
const STALE: Duration = Duration::from_secs(3600);

/// Removes temporary files of `path` that a killed run has left behind. What cannot be removed does no harm.
fn remove_stale_parts(path: &Path) {
    let Some(name) = path.file_name() else { return };
    let mut start = OsString::from(".");
    start.push(name);
    start.push(".");
    let is_part = |found: &OsStr| {
        let rest = found.as_encoded_bytes().strip_prefix(start.as_encoded_bytes());
        let process = rest.and_then(|rest| rest.strip_suffix(PART.as_bytes()));
        process.is_some_and(|process| !process.is_empty() && process.iter().all(u8::is_ascii_digit))
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| is_part(&entry.file_name())) {
        let age = entry.metadata().and_then(|found| found.modified()).map(|time| time.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A hidden sibling of `path`; the ending holds the process id, which keeps two runs into one folder apart.
fn beside(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(ending);
    Ok(path.with_file_name(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn replaces_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_failed_write_names_the_file_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        // Renaming a file onto a folder that is not empty fails on every platform.
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"kept").unwrap();
        let message = write_whole(&path, b"new").unwrap_err().to_string();
        assert!(message.starts_with(&format!("cannot write {}: ", path.display())), "{message}");
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn what_killed_runs_left_behind_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let old = std::time::SystemTime::now() - 2 * STALE;
        let stale = [".a.txt.123.part", ".a.txt.4.part"];
        let others = [".b.txt.123.part", ".a.txt.part", ".a.txt.x.part", "a.txt.123.part"];
        for name in stale.iter().chain(&others) {
            File::create(folder.path().join(name)).unwrap().set_modified(old).unwrap();
        }
        fs::write(folder.path().join(".a.txt.5.part"), b"of a run that goes on").unwrap();
        write_whole(&path, b"one").unwrap();
        let mut left = names(folder.path());
        left.sort();
        let mut expected = [&others[..], &[".a.txt.5.part", "a.txt"]].concat();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_whole(&folder.path().join("no/such/a.txt"), b"x").unwrap_err();
        assert!(matches!(error, WriteError::File { source, .. } if source.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn preparing_makes_the_folder_and_changes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/net");
        prepare_file(&path).unwrap();
        assert!(names(&folder.path().join("new")).is_empty());
        fs::write(&path, b"before").unwrap();
        prepare_file(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(names(&folder.path().join("new")), ["net"]);
    }

    #[test]
    fn preparing_refuses_what_would_fail_later() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let message = |path: PathBuf| prepare_file(&path).unwrap_err().to_string();
        assert_eq!(
            message(folder.path().to_owned()),
            format!("cannot write {at}: it is a folder; expected the name of a file")
        );
        fs::write(folder.path().join("file"), b"").unwrap();
        let inside = message(folder.path().join("file/net"));
        assert!(inside.starts_with(&format!("cannot write to the folder {at}/file: ")), "{inside}");
        // The name itself would fit, the temporary one does not.
        let long = "n".repeat(250);
        let told = message(folder.path().join(&long));
        assert!(told.starts_with(&format!("cannot write {at}/{long}: ")), "{told}");
        assert_eq!(names(folder.path()), ["file"]);
    }
}
