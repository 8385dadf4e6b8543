//! Panics of the code under check.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `f`; returns the message if it panics.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned())).unwrap_or_else(|| "no message".to_owned())
    })
}
