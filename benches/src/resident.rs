//! Memory as the system sees it: the resident set of this process and its peak, from Linux's `/proc`.

use std::fs;
use std::io::{self, ErrorKind};

/// How far each of `calls` calls of `work` raises the peak of the resident set, in bytes: the first over the resident
/// set before it, each further one over the peak so far (0 when it lives on what the calls before it have left).
///
/// # Errors
/// If `/proc/self` does not tell, as on systems other than Linux.
pub fn growth(calls: usize, mut work: impl FnMut()) -> io::Result<Vec<u64>> {
    reset_peak()?;
    let mut before = status("VmRSS:")?;
    let mut rise = || {
        work();
        let peak = status("VmHWM:")?;
        let risen = peak.saturating_sub(before);
        before = before.max(peak);
        Ok(risen)
    };
    (0..calls).map(|_| rise()).collect()
}

/// Makes the peak of the resident set its present size: what the program needed to start does not count.
fn reset_peak() -> io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}

/// A size from `/proc/self/status`, in bytes.
fn status(field: &str) -> io::Result<u64> {
    let path = "/proc/self/status";
    let text = fs::read_to_string(path)?;
    let size = text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let missing = || io::Error::new(ErrorKind::InvalidData, format!("{path} has no line `{field} <number> kB`"));
    size.map(|kibibytes| kibibytes * 1024).ok_or_else(missing)
}
