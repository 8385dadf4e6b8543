//! Atomic replacement of a file: at any time, its path leads to the complete old file or the complete new one.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::{Builder, NamedTempFile};

use super::expect_regular;

/// Writes `bytes` to a temporary file in the folder of `path`, and renames it to `path` when it is complete and synced.
///
/// A symbolic link is followed, and the new file gets the permissions of the old one. A path that is not a regular file, or is
/// read-only, is an error.
///
/// The temporary file is locked until it is renamed. The system releases a lock when its process ends, so a temporary file
/// without a lock was left by a killed writer, and is removed.
///
/// ```
/// let path = std::env::temp_dir().join(format!("rewind-doc-replace-{}", std::process::id()));
/// rewind_rnn::file::replace(&path, b"new")?;
/// assert_eq!(std::fs::read(&path)?, b"new");
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Of the system; then what was at `path` is unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (path, permissions) = match fs::canonicalize(path) {
        Ok(target) => {
            let permissions = writable(&target)?;
            (Cow::from(target), Some(permissions))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => (followed(path)?, None),
        Err(e) => return Err(e),
    };
    let path = &*path;
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    remove_abandoned(folder, name);
    let mut file = create_beside(folder, name)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file_mut().write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // Syncing the folder makes the renaming durable. Not every system can open or sync a folder; the file is complete anyway.
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
    Ok(())
}

/// Where a path leads whose end does not exist: that of a symbolic link to a file that is not there yet.
fn followed(path: &Path) -> io::Result<Cow<'_, Path>> {
    const MOST_LINKS: usize = 40;
    let mut path = Cow::from(path);
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let link = fs::read_link(&path)?;
                path = Cow::from(path.parent().unwrap_or(Path::new("")).join(link));
            }
            _ => return Ok(path),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link that leads through too many others"))
}

/// The permissions of `path`, if it is a regular file that may be written.
fn writable(path: &Path) -> io::Result<Permissions> {
    expect_regular(path)?;
    let permissions = fs::metadata(path)?.permissions();
    if permissions.readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    Ok(permissions)
}

/// A new file in `folder` that no other process writes to or removes. Dropped, it is removed.
fn create_beside(folder: &Path, name: &OsStr) -> io::Result<NamedTempFile> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = temporary_name(name, std::process::id(), number);
        let mut builder = Builder::new();
        builder.prefix(&temporary).rand_bytes(0);
        // The permissions of a regular new file; by default a temporary file is private.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = match builder.tempfile_in(folder) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e),
        };
        // Before the lock, another writer may have found the file abandoned: then it is locked or removed.
        match file.as_file().try_lock() {
            Err(TryLockError::WouldBlock) => {}
            Ok(()) if !fs::exists(file.path())? => {}
            // A file system without locks: no process can lock a file, so none is removed there.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// Removes the temporary files of killed writers of `name` in `folder`. A failure to remove one is no error.
fn remove_abandoned(folder: &Path, name: &OsStr) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !is_temporary(&entry.file_name(), name) || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(file) = OpenOptions::new().write(true).open(entry.path()) else { continue };
        if file.try_lock().is_ok() {
            fs::remove_file(entry.path()).ok();
        }
    }
}

fn temporary_name(name: &OsStr, process: u32, number: u64) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(shortened(name));
    temporary.push(format!(".{process}-{number}.tmp"));
    temporary
}

/// The name, or the beginning and a hash of one that would be too long with what [`temporary_name`] adds.
fn shortened(name: &OsStr) -> Cow<'_, OsStr> {
    /// File systems allow 255 bytes, and 37 are added.
    const LONGEST: usize = 200;
    if name.len() <= LONGEST {
        return Cow::from(name);
    }
    // FNV-1a: the same in every version of the program, which removes what an earlier one left.
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    let text = name.to_string_lossy();
    let beginning = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= LONGEST - 17).last();
    Cow::from(OsString::from(format!("{}~{hash:016x}", &text[..beginning.unwrap_or(0)])))
}

/// Whether [`temporary_name`] makes this name.
fn is_temporary(found: &OsStr, name: &OsStr) -> bool {
    let middle = (found.as_encoded_bytes().strip_prefix(b"."))
        .and_then(|rest| rest.strip_prefix(shortened(name).as_encoded_bytes()))
        .and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(b".tmp"));
    let Some((process, number)) = middle.and_then(|m| std::str::from_utf8(m).ok()?.split_once('-')) else {
        return false;
    };
    let (Ok(process), Ok(number)) = (process.parse(), number.parse()) else { return false };
    temporary_name(name, process, number) == found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_its_own_are_taken_for_temporary() {
        let is = |found: &str| is_temporary(OsStr::new(found), OsStr::new("a.b"));
        assert!(is(".a.b.17-0.tmp") && is(".a.b.4294967295-18446744073709551615.tmp"));
        for other in
            ["a.b", ".a.b.tmp", ".a.b.17.tmp", ".a.b.17-0.part", ".a.b.17-x.tmp", ".a.b.017-0.tmp", ".a.c.17-0.tmp"]
        {
            assert!(!is(other), "{other}");
        }
        assert!(!is(".a.b.c.17-0.tmp") && !is(".a.b.17-0-0.tmp") && !is(".a.b.+17-0.tmp") && !is(""));
    }
}
