//! Whether a mistake is refused with the right words, at the right line. The tests of `rewind-rnn` use this file too.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// File, line and message of the last panic of this thread, while somebody listens.
    static HEARD: RefCell<Option<(String, u32, String)>> = const { RefCell::new(None) };
    static LISTENING: RefCell<bool> = const { RefCell::new(false) };
}

fn text_of(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

/// File, line and message of the panic that `f` ends in.
#[track_caller]
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> (String, u32, String) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if LISTENING.with_borrow(|&listening| listening) {
                let place = info.location().expect("a panic has a place");
                let heard = (place.file().to_owned(), place.line(), text_of(info.payload()));
                HEARD.set(Some(heard));
            } else {
                usual(info);
            }
        }));
    });
    LISTENING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    LISTENING.set(false);
    assert!(result.is_err(), "nothing was refused");
    HEARD.take().expect("the hook has heard the panic")
}

/// The expression must panic with the given message, and blame a line of this very expression.
macro_rules! refused {
    ($message:expr, $wrong:expr) => {{
        let first = line!();
        let (file, line, text) = $crate::refused::panic_of(|| $wrong);
        assert_eq!(text, $message);
        assert_eq!(file, file!(), "the blame lies on the caller: {text}");
        assert!((first..first + 6).contains(&line), "line {line} is not that of the mistake at {first}: {text}");
    }};
}

pub(crate) use refused;
