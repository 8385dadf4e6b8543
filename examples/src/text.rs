//! Text files.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::files::expect_file_or_pipe;
use crate::say;

/// The mark that some editors write before the text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a UTF-8 file. A byte order mark is left out, and the line ends of Windows become `\n`; both are reported.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.txt");
/// std::fs::write(&path, "\u{feff}one\r\ntwo\n")?;
/// assert_eq!(rewind_examples::text::read(&path)?, "one\ntwo\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the file cannot be read, is a folder or a device, is empty, is no text (it has a zero byte), or is not UTF-8: with the line; and if
/// its lines end as on old Macs.
pub fn read(path: &Path) -> Result<String, Box<dyn Error>> {
    let at = path.display();
    expect_file_or_pipe(path).map_err(|reason| format!("{at} {reason}"))?;
    let bytes = fs::read(path).map_err(|error| format!("cannot read {at}: {error}"))?;
    let text = decoded(&bytes).map_err(|reason| format!("{at}{reason}"))?;
    let text = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => {
            say(format!("{at} begins with a byte order mark, which is left out"));
            rest
        }
        None => text,
    };
    let returns = text.matches("\r\n").count();
    if returns > 0 {
        say(format!("{at} has {returns} line ends of Windows, which are read as \\n"));
    }
    if !text.contains('\n') && text.matches('\r').count() > 1 {
        return Err(format!("{at} has lines that end with \\r, as on old Macs; expected \\n: convert the file").into());
    }
    match text.replace("\r\n", "\n") {
        text if text.is_empty() => Err(format!("{at} is empty; expected text").into()),
        text => Ok(text),
    }
}

/// The lines of a text. Only `\n` ends a line; other controls belong to it.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n')
}

/// The beginning of a text for a message.
pub fn start(text: &str) -> String {
    let mut start: String = text.chars().take(60).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

/// The bytes as text, or how a message about the file goes on.
fn decoded(bytes: &[u8]) -> Result<&str, String> {
    let line = |place: usize| bytes[..place].iter().filter(|&&byte| byte == b'\n').count() + 1;
    if let Some(place) = bytes.iter().position(|&byte| byte == 0) {
        return Err(format!(", line {}: byte {} is 0; expected text, and no binary file", line(place), place + 1));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let place = error.valid_up_to();
        let advice = "expected UTF-8: convert the file, from Latin-1 perhaps";
        format!(", line {}: byte {} is {:#04x}; {advice}", line(place), place + 1, bytes[place])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, bytes).unwrap();
        let at = path.display().to_string();
        read(&path).map_err(|error| error.to_string().replace(&at, "FILE"))
    }

    #[test]
    fn text_is_read_as_it_is() {
        let long = "x".repeat(100_000) + "\n";
        for text in ["a", "é\nü", " \n", "a\rb", &long] {
            assert_eq!(of(text.as_bytes()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn marks_and_line_ends_of_windows_are_left_out() {
        assert_eq!(of("\u{feff}a\r\nb\r\n".as_bytes()).as_deref(), Ok("a\nb\n"));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, "one\ntwo\n").unwrap()
        });
        assert_eq!(read(&pipe).unwrap(), "one\ntwo\n");
        writer.join().unwrap();
    }

    #[test]
    fn what_is_no_text_is_named_with_its_line() {
        assert_eq!(of(b"").unwrap_err(), "FILE is empty; expected text");
        assert_eq!(of("\u{feff}".as_bytes()).unwrap_err(), "FILE is empty; expected text");
        let mac = "FILE has lines that end with \\r, as on old Macs; expected \\n: convert the file";
        assert_eq!(of(b"a\tx\rb\ty\r").unwrap_err(), mac);
        let latin = of(b"one\ncaf\xe9\n").unwrap_err();
        assert_eq!(latin, "FILE, line 2: byte 8 is 0xe9; expected UTF-8: convert the file, from Latin-1 perhaps");
        let binary = of(b"\x89PNG\n\x00\x01").unwrap_err();
        assert_eq!(binary, "FILE, line 2: byte 6 is 0; expected text, and no binary file");
        let endless = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(endless, "/dev/zero cannot be read: it is a device; expected a regular file");
        assert!(read(Path::new("no such file")).unwrap_err().to_string().starts_with("cannot read no such file: "));
    }
}
