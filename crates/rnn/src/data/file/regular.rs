//! What is read as a whole must end: a device may not, and a pipe waits for its writer.

use std::fs::{self, FileType};
use std::io;
use std::path::Path;

/// Checks that `path` leads to a regular file, whose bytes are all there. Opening a named pipe waits for a writer, and a device such as
/// `/dev/zero` has no end.
///
/// ```
/// let folder = std::env::temp_dir();
/// let error = rewind_rnn::file::expect_regular(&folder).expect_err("it is no file");
/// assert_eq!(error.to_string(), "it is a folder; expected a regular file");
/// ```
///
/// # Errors
/// What is there instead; or that of the system, if there is nothing.
pub fn expect_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.file_type() {
        found if found.is_file() => Ok(()),
        found => {
            let (kind, what) = (io::ErrorKind::InvalidInput, described(found));
            Err(io::Error::new(kind, format!("it is {what}; expected a regular file")))
        }
    }
}

fn described(found: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if found.is_fifo() {
            return "a pipe";
        }
        if found.is_char_device() || found.is_block_device() {
            return "a device";
        }
        if found.is_socket() {
            return "a socket";
        }
    }
    if found.is_dir() { "a folder" } else { "something else" }
}
