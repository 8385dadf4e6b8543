//! Writing files: the program checks that they can be written before it does any work, and replaces a file only by a
//! complete one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rewind_rnn::file;
use tempfile::NamedTempFile;

use crate::team::is_silent;

/// The ending of a file that is not complete yet.
const PART: &str = ".part";
/// The random characters in its name.
const RANDOM: usize = 6;

/// A failed write. The message names the path.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A folder that cannot be made, or in which no file can be.
    #[error("cannot write to the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The error of the file system.
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
    pub fn file(path: &Path, source: io::Error) -> WriteError {
        WriteError::File { path: path.to_owned(), source }
    }
}

/// Creates the folder if need be, and checks that files can be created in it.
///
/// # Errors
///
/// [`WriteError::Folder`].
pub fn prepare_folder(folder: &Path) -> Result<(), WriteError> {
    let made = match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder")),
        _ => fs::create_dir_all(folder),
    };
    made.and_then(|()| NamedTempFile::new_in(folder))
        .map(drop)
        .map_err(|source| WriteError::Folder { path: folder.to_owned(), source })
}

/// Checks that the folder is empty or does not exist: what is written there would be mixed with its contents.
///
/// # Errors
///
/// [`WriteError::Folder`].
pub fn expect_empty(folder: &Path) -> Result<(), WriteError> {
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

/// Checks that `path` can be written later, and creates its folder if need be. An existing file is left as it is.
///
/// # Errors
///
/// If no file can be created in the folder, `path` is a folder, or its name leaves no room for that of a temporary
/// file.
pub fn prepare_file(path: &Path) -> Result<(), WriteError> {
    if path.is_dir() {
        let source = io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; expected the name of a file");
        return Err(WriteError::file(path, source));
    }
    prepare_folder(folder_of(path))?;
    // The temporary name of a saved network is longer: it has two numbers.
    part(path, 4 * RANDOM).map(drop).map_err(|source| WriteError::file(path, source))
}

/// Checks that `path`, if there is something, is a file and not a pipe or a device, from which a program might read for ever
/// ([`file::expect_regular`]).
///
/// # Errors
///
/// What is there, as the end of a sentence that begins with its name.
pub fn expect_file(path: &Path) -> Result<(), String> {
    match file::expect_regular(path) {
        Err(found) if found.kind() == io::ErrorKind::InvalidInput => Err(format!("cannot be read: {found}")),
        // That it is missing is told by who reads it.
        _ => Ok(()),
    }
}

/// [`expect_file`], but for pipes, such as a shell's `<(…)`: a text is read to its end wherever it comes from.
///
/// # Errors
///
/// As [`expect_file`].
pub fn expect_file_or_pipe(path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    if fs::metadata(path).is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type())) {
        return Ok(());
    }
    expect_file(path)
}

/// Writes `bytes` to a temporary file beside `path`, and renames it to `path`. The folder must exist.
///
/// A reader sees the old contents or the new ones, never a part.
///
/// # Errors
///
/// The error of the file system; then `path` is unchanged, and no temporary file is left.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    if is_silent() {
        return Ok(());
    }
    let write = || {
        let mut part = part(path, RANDOM)?;
        part.write_all(bytes)?;
        part.as_file().sync_all()?;
        part.persist(path)?;
        Ok(())
    };
    remove_stale_parts(path);
    write().map_err(|source| WriteError::file(path, source))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How the names of temporary files of `path` begin: they are hidden.
fn start_of_parts(path: &Path) -> Option<OsString> {
    let mut start = OsString::from(".");
    start.push(path.file_name()?);
    start.push(".");
    Some(start)
}

/// A new temporary file beside `path`, removed when it is dropped.
fn part(path: &Path, random: usize) -> io::Result<NamedTempFile> {
    let nameless = || io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name");
    let start = start_of_parts(path).ok_or_else(nameless)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(&start).suffix(PART).rand_bytes(random);
    // The permissions of any new file. By default only the user may read a temporary one.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder_of(path))
}

/// The minimum age of a temporary file of a killed run. No file takes that long to write.
const STALE: Duration = Duration::from_secs(3600);

/// Removes temporary files of `path` that killed runs have left. A failure to remove one is ignored.
fn remove_stale_parts(path: &Path) {
    let Some(start) = start_of_parts(path) else { return };
    let is_part = |found: &OsStr| {
        let rest = found.as_encoded_bytes().strip_prefix(start.as_encoded_bytes());
        let random = rest.and_then(|rest| rest.strip_suffix(PART.as_bytes()));
        random.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
    };
    let entries = fs::read_dir(folder_of(path)).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_part(&entry.file_name())) {
        let age = entry.metadata().and_then(|found| found.modified()).map(|time| time.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "text").unwrap();
        let told = prepare_folder(&path).unwrap_err().to_string();
        assert!(told.ends_with("it is no folder"), "{told}");
        assert_eq!(fs::read(&path).unwrap(), b"text");
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

    #[cfg(unix)]
    #[test]
    fn who_may_read_any_new_file_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [ordinary, whole] = ["ordinary", "whole"].map(|name| folder.path().join(name));
        fs::write(&ordinary, b"").unwrap();
        write_whole(&whole, b"").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(whole), mode(ordinary));
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
        let stale = [".a.txt.123456.part", ".a.txt.Ab3xYz.part"];
        let others = [".b.txt.123456.part", ".a.txt.part", ".a.txt.x.part", "a.txt.123456.part"];
        for name in stale.iter().chain(&others) {
            File::create(folder.path().join(name)).unwrap().set_modified(old).unwrap();
        }
        fs::write(folder.path().join(".a.txt.555555.part"), b"of a run that goes on").unwrap();
        write_whole(&path, b"one").unwrap();
        let mut left = names(folder.path());
        left.sort();
        let mut expected = [&others[..], &[".a.txt.555555.part", "a.txt"]].concat();
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
