//! What the file of a run says of where it comes from: the program, its settings, the data, the folder of its pictures.
//!
//! Checksums find what has changed of the data since the run began. The file itself has one of its own ([`file::checksum`]).

use std::collections::HashSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use rewind_rnn::file::{self, Metadata};

use crate::command_line::Given;

/// The keys in the metadata of a file of a run.
pub(crate) const COMMAND: &str = "command";
pub(crate) const MODEL: &str = "model";
pub(crate) const OUT: &str = "out";
const PROGRAM: &str = "program";
/// The arguments that name data, and the keys of their checksums.
const DATA: [(&str, &str); 2] = [("--data", "data_checksum"), ("--test", "test_checksum")];

/// Gives the file that is read together with another one ([`Task::beside`](crate::Task::beside)).
pub(crate) type Beside = fn(&Path) -> Option<PathBuf>;

/// What a run that begins with this command line says of itself in its file.
pub(crate) fn metadata(program: &str, command: &Given, out: &Path) -> Metadata {
    let text = serde_json::to_string(command).expect("a map of texts can be written");
    let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned()).display().to_string();
    [(COMMAND, text), (PROGRAM, program.to_owned()), (OUT, out)].map(|(key, value)| (key.to_owned(), value)).into()
}

/// The checksums of the data that a command line names.
pub(crate) fn sums(command: &Given, beside: Beside) -> Metadata {
    let sum = |(argument, key): (&str, &str)| Some((key.to_owned(), checksum(named(command, argument)?, beside)?));
    DATA.into_iter().filter_map(sum).collect()
}

/// The program that a run is of, if its file says so.
pub(crate) fn program(metadata: &Metadata) -> Option<&str> {
    metadata.get(PROGRAM).map(String::as_str)
}

/// Checks that what a run writes to `written` does not lie in the folder of its data: it could not be told from data that have changed.
///
/// # Errors
///
/// If it does.
pub(crate) fn expect_outside(data: &Path, argument: &str, written: &Path) -> Result<(), String> {
    let whole = std::path::absolute(written).unwrap_or_else(|_| written.to_owned());
    // It may not exist yet.
    let there = whole.ancestors().find_map(|path| Some((path, path.canonicalize().ok()?)));
    let whole = there.and_then(|(path, real)| Some(real.join(whole.strip_prefix(path).ok()?)));
    let is_inside =
        data.is_dir() && data.canonicalize().is_ok_and(|data| whole.is_some_and(|path| path.starts_with(data)));
    if is_inside {
        let (written, data) = (written.display(), data.display());
        return Err(format!(
            "{argument} {written} lies in the folder of the data, {data}, which a run must not change; expected another place"
        ));
    }
    Ok(())
}

/// As it stands in the file at `path`: without the folder of the pictures if it is that of the file, so that equal runs have equal files.
pub(crate) fn placed(mut metadata: Metadata, path: &Path) -> Metadata {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if path.parent().is_some_and(|folder| metadata.get(OUT) == Some(&folder.display().to_string())) {
        metadata.remove(OUT);
    }
    metadata
}

/// The metadata of the file of a run of `program`. A file that names no program is left to be checked by who reads it.
///
/// # Errors
///
/// If the file cannot be read, is damaged, or is of another program.
pub(crate) fn read(path: &Path, program: &str) -> Result<Metadata, Box<dyn Error>> {
    let (metadata, at) = (file::metadata(path)?, path.display());
    if let Some(other) = metadata.get(PROGRAM).filter(|other| *other != program) {
        return Err(format!("{at} is the file of a run of {other}; expected one of {program}").into());
    }
    Ok(metadata)
}

/// What of the data of a run is no longer what it was: the path, if it can be read.
pub(crate) fn changed(command: &Given, metadata: &Metadata, beside: Beside) -> Vec<String> {
    let is_changed = |(argument, key): &(&str, &str)| {
        let now = named(command, argument).and_then(|path| checksum(path, beside));
        now.is_some_and(|now| metadata.get(*key).is_some_and(|then| *then != now))
    };
    let paths = DATA.iter().filter(|data| is_changed(data)).filter_map(|(argument, _)| named(command, argument));
    paths.map(|path| path.display().to_string()).collect()
}

/// Whether `path` has the data that a run was trained on.
pub(crate) fn is_trained_on(path: &Path, metadata: &Metadata, beside: Beside) -> bool {
    checksum(path, beside).is_some_and(|sum| metadata.get(DATA[0].1) == Some(&sum))
}

/// The path that an argument of a command line names.
pub(crate) fn named<'a>(command: &'a Given, argument: &str) -> Option<&'a Path> {
    command.get(argument)?.first().map(Path::new)
}

/// A checksum of a file and of the one beside it, or of all files of a folder with their names. `None` if the file cannot be read, or not
/// twice, as a pipe. Of such things in a folder, only the names count.
fn checksum(path: &Path, beside: Beside) -> Option<String> {
    let mut hasher = Hasher::new();
    let mut seen = HashSet::new();
    let mut bytes = add(path, &mut hasher, &mut seen).ok()?;
    if let Some(other) = beside(path).filter(|_| path.is_file()) {
        bytes += add(&other, &mut hasher, &mut seen).ok()?;
    }
    Some(format!("{bytes}-{:08x}", hasher.finalize()))
}

/// Adds a file or a folder, and returns how many bytes its files have. A folder counts once: links may lead back to it.
fn add(path: &Path, hasher: &mut Hasher, seen: &mut HashSet<PathBuf>) -> io::Result<u64> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        if !seen.insert(path.canonicalize()?) {
            return Ok(0);
        }
        let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        return entries.iter().try_fold(0, |bytes, entry| {
            hasher.update(entry.file_name().as_encoded_bytes());
            Ok(bytes + add(&entry.path(), hasher, seen).unwrap_or(0))
        });
    }
    if !kind.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let (mut file, mut buffer, mut bytes) = (File::open(path)?, vec![0; 1 << 16], 0);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(bytes);
        }
        hasher.update(&buffer[..count]);
        bytes += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_that_of_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/x"), "one").unwrap();
        fs::write(at("a/y"), "two").unwrap();
        let sum = |name: &str| checksum(&at(name), |_| None);
        let [first, file] = [sum("a"), sum("a/y")];
        assert_eq!((sum("a"), sum("missing")), (first.clone(), None));
        fs::rename(at("a/y"), at("a/z")).unwrap();
        assert_ne!(sum("a"), first, "a name");
        assert_eq!(sum("a/z"), file);
        fs::rename(at("a/z"), at("a/y")).unwrap();
        assert_eq!(sum("a"), first);
        fs::write(at("a/b/x"), "onf").unwrap();
        assert_ne!(sum("a"), first, "a byte");
        let with = || checksum(&at("a/y"), |path| Some(path.with_file_name("b/x")));
        std::os::unix::fs::symlink(at("nowhere"), at("a/link")).unwrap();
        let [linked, second] = [sum("a"), {
            fs::write(at("a/b/x"), "onh").unwrap();
            sum("a")
        }];
        assert!(linked.is_some() && linked != second, "a byte beside a link to nothing");
        fs::write(at("a/b/x"), "onf").unwrap();
        let before = with();
        assert_ne!(before, sum("a/y"));
        fs::write(at("a/b/x"), "ong").unwrap();
        assert_ne!(with(), before, "a byte of the file beside it");
    }

    /// With every folder that a link leads back to, the number of paths would double.
    #[test]
    fn links_that_lead_back_end() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("a")).unwrap();
        fs::write(at("a/x"), "one").unwrap();
        for link in ["l1", "l2", "l3"] {
            std::os::unix::fs::symlink(".", at("a").join(link)).unwrap();
        }
        let sum = || checksum(folder.path(), |_| None).expect("a folder");
        let first = sum();
        assert!(first.starts_with("3-"), "{first}: the file counts once");
        fs::write(at("a/x"), "two").unwrap();
        assert_ne!(sum(), first);
    }

    #[test]
    fn the_folder_of_the_file_is_left_out() {
        let metadata = metadata("caption", &Given::new(), Path::new("y"));
        assert_eq!(placed(metadata.clone(), Path::new("x/net")), metadata);
        assert!(!placed(metadata, Path::new("y/net")).contains_key(OUT));
    }
}
