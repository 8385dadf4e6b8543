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

fn require_of(free: u64, what: &str, needed: u64, advice: &str) -> Result<(), String> {
    if needed <= free {
        return Ok(());
    }
    let [needed, free] = [needed, free].map(size);
    Err(format!("{what} takes about {needed} of memory, and {free} are free; {advice}"))
}

/// Checks that the file at `path` is long enough for a model of so many `parameters`. Settings that are damaged can describe a model of any
/// size, and memory is taken for it before its tensors are read.
///
/// # Errors
///
/// If it is not.
pub fn expect_parameters(path: &Path, parameters: u64) -> Result<(), String> {
    let at = path.display();
    let bytes = fs::metadata(path).map_err(|error| format!("cannot read {at}: {error}"))?.len();
    if parameters.saturating_mul(size_of::<f32>() as u64) <= bytes {
        return Ok(());
    }
    Err(format!(
        "{at} has {bytes} bytes; a model of its settings has {parameters} parameters of {} bytes each",
        size_of::<f32>()
    ))
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
    fn a_file_has_room_for_its_model() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, [0; 40]).unwrap();
        assert_eq!(expect_parameters(file.path(), 10), Ok(()));
        let at = file.path().display();
        for parameters in [11, u64::MAX] {
            let told =
                format!("{at} has 40 bytes; a model of its settings has {parameters} parameters of 4 bytes each");
            assert_eq!(expect_parameters(file.path(), parameters), Err(told));
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
