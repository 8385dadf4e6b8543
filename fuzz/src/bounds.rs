//! What a reader may take.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time that reading one input may take: the wall clock of a busy machine would tell of the machine.
const LONGEST: Duration = Duration::from_secs(1);

/// The memory that a reader may take at its peak: `ratio` bytes for each byte of its file, and `fixed` bytes for any file.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Bytes for each byte of the file.
    pub ratio: u64,
    /// Bytes for any file.
    pub fixed: u64,
}

impl Bound {
    /// Ten times the file, and the buffers that any file is read through.
    pub const TEN: Bound = Bound { ratio: 10, fixed: 128 << 10 };

    /// Reads a file of so many bytes.
    ///
    /// # Panics
    /// If that takes more than a second of this thread or more memory than this.
    pub fn check<R>(self, bytes: usize, read: impl FnOnce() -> R) -> R {
        let (mut result, began) = (None, now());
        let used = allocation_counter::measure(|| result = Some(read()));
        let took = now().saturating_sub(began);
        assert!(took <= LONGEST, "reading {bytes} bytes took {took:?} of processor time; expected {LONGEST:?} at most");
        let most = self.fixed + self.ratio * bytes as u64;
        assert!(used.bytes_max <= most, "reading {bytes} bytes took {} bytes; expected {most} at most", used.bytes_max);
        result.expect("it was read")
    }
}

/// The processor time of this thread.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
