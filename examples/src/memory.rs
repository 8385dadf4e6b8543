//! Whether a run fits into memory: a failed allocation ends a program without an explanation.

use std::fs;
use std::path::Path;

/// Checks that `needed` bytes are free for `what`, as far as the limits of the system and of this process are known.
/// `advice` ends the message.
///
/// # Errors
///
/// If they are not.
pub fn require(what: &str, needed: u64, advice: &str) -> Result<(), String> {
    require_of(free(), what, needed, advice)
}

/// Checks that the file of a model has the bytes of so many `parameters`, before as many are allocated: a file of a few bytes may claim to
/// be a model that fills the memory. Half of them will do, since the number may be an estimate.
///
/// # Errors
///
/// If it has not.
pub fn require_in_file(path: &Path, parameters: u64) -> Result<(), String> {
    let bytes = fs::metadata(path).map_or(0, |file| file.len());
    if parameters.saturating_mul(2) <= bytes {
        return Ok(());
    }
    let at = path.display();
    Err(format!(
        "{at}: its settings are those of a model of about {parameters} parameters; a file of {bytes} bytes has none"
    ))
}

fn require_of(free: u64, what: &str, needed: u64, advice: &str) -> Result<(), String> {
    if needed <= free {
        return Ok(());
    }
    let [needed, free] = [needed, free].map(size);
    Err(format!("{what} takes about {needed} of memory, and {free} are free; {advice}"))
}

/// The bytes that can still be allocated: the least of the system's free memory, the limit of the process's group, and
/// that of its address space. `u64::MAX` where none of them is known.
fn free() -> u64 {
    let read = |path: &str| fs::read_to_string(path).ok();
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let group = |limit: &str, used: &str| Some(number(limit)?.saturating_sub(number(used)?));
    let status = read("/proc/self/status");
    let address_space = || {
        let limit = address_limit(&read("/proc/self/limits")?)?;
        Some(limit.saturating_sub(kilobytes(status.as_deref()?, "VmSize:")?))
    };
    let known = [
        read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:")),
        group("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        group("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        address_space(),
    ];
    known.into_iter().flatten().min().unwrap_or(u64::MAX)
}

/// The bytes in a line such as `MemAvailable:   16 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit of the address space in bytes, from the text of `/proc/self/limits`; `None` if there is no limit.
fn address_limit(limits: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix("Max address space"))?.split_whitespace().next()?.parse().ok()
}

/// A number of bytes in readable units.
fn size(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 { format!("{mebibytes:.0} MiB") } else { format!("{:.1} GiB", mebibytes / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_refused_with_both_numbers() {
        assert_eq!(require_of(1 << 30, "training lstm", 1 << 30, ""), Ok(()));
        assert_eq!(
            require_of(300 << 20, "training lstm", 5 << 29, "a smaller --hidden takes less").unwrap_err(),
            "training lstm takes about 2.5 GiB of memory, and 300 MiB are free; a smaller --hidden takes less"
        );
    }

    #[test]
    fn a_file_of_a_few_bytes_is_no_large_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net");
        fs::write(&path, [0; 100]).unwrap();
        assert_eq!(require_in_file(&path, 50), Ok(()));
        for parameters in [51, u64::MAX] {
            let told = require_in_file(&path, parameters).unwrap_err().replace(&path.display().to_string(), "FILE");
            let expected = format!(
                "FILE: its settings are those of a model of about {parameters} parameters; a file of 100 bytes has none"
            );
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn what_the_system_tells_is_understood() {
        let text = "MemTotal:       32 kB\nMemAvailable:   16 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(16 * 1024));
        assert_eq!(kilobytes(text, "MemFree:"), None);
        let limits =
            |value: &str| format!("Max processes  7 7 processes\nMax address space   {value}  unlimited  bytes\n");
        assert_eq!(address_limit(&limits("2097152")), Some(2_097_152));
        assert_eq!(address_limit(&limits("unlimited")), None);
    }

    #[test]
    fn no_machine_has_an_exbibyte_free_and_each_has_a_page() {
        assert_eq!(require("nothing", 4096, ""), Ok(()));
        if cfg!(target_os = "linux") {
            assert!(require("everything", 1 << 60, "").is_err());
        }
    }
}
