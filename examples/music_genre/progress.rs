//! The progress of training: a bar with epoch, loss, accuracy and the time left, or plain lines where there is no
//! terminal. Both go to the standard error stream, so that the standard output holds results only.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Writes a line to the standard error stream. A closed stream is no reason to stop.
pub(crate) fn say(line: impl std::fmt::Display) {
    if cfg!(test) {
        // The harness catches what the macro writes, and nothing else. The macro panics where the stream is closed.
        eprintln!("{line}");
    } else {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// About how many plain lines a training writes.
const LINES: u64 = 20;

/// The progress of one model's training.
pub(crate) struct Progress {
    model: String,
    epochs: u64,
    batches: u64,
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Lines { out: Box<dyn Write>, started: Instant },
}

impl Progress {
    /// Progress of a model that is trained for `epochs` epochs of `batches` batches each.
    pub(crate) fn new(model: &str, epochs: u64, batches: u64) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress::lines(model, epochs, batches, Box::new(io::stderr()));
        }
        let bar = ProgressBar::with_draw_target(Some(epochs * batches), ProgressDrawTarget::stderr());
        let template = "{prefix:>5} [{bar:32}] {msg} {eta:>4} left";
        // The template is a constant; if it were wrong, the library's own style would do.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(model.to_owned());
        bar.set_message(format!("epoch 0/{epochs}"));
        Progress { model: model.to_owned(), epochs, batches, display: Display::Bar(bar) }
    }

    /// Progress as plain lines on `out`: about twenty of them, the first and the last epoch among them.
    pub(crate) fn lines(model: &str, epochs: u64, batches: u64, out: Box<dyn Write>) -> Progress {
        let display = Display::Lines { out, started: Instant::now() };
        Progress { model: model.to_owned(), epochs, batches, display }
    }

    /// A batch is done.
    pub(crate) fn batch(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.inc(1);
        }
    }

    /// The `epoch`-th epoch, counted from 1, is done: its mean loss in nats and its accuracy, 0 to 1.
    pub(crate) fn epoch(&mut self, epoch: u64, loss: f64, accuracy: f64) {
        let (epochs, figures) = (self.epochs, format!("loss {loss:.3} accuracy {accuracy:.3}"));
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position(epoch * self.batches);
                bar.set_message(format!("epoch {epoch}/{epochs} {figures}"));
            }
            Display::Lines { out, started } => {
                let is_told = epoch == 1 || epoch == epochs || epoch.is_multiple_of(epochs.div_ceil(LINES).max(1));
                if is_told {
                    let left = left(started.elapsed(), epoch, epochs);
                    // A closed stream is no reason to stop training.
                    let _ = writeln!(out, "{} epoch {epoch}/{epochs} {figures} {left}", self.model);
                }
            }
        }
    }

    /// The training has ended or was stopped; the bar stays visible.
    pub(crate) fn finish(self) {
        if let Display::Bar(bar) = self.display {
            bar.abandon();
        }
    }
}

/// The time left at the average speed so far.
fn left(elapsed: Duration, done: u64, total: u64) -> String {
    let per_epoch = elapsed.as_secs_f64() / done.max(1) as f64;
    let seconds = (per_epoch * total.saturating_sub(done) as f64).round() as u64;
    if seconds < 60 { format!("{seconds} s left") } else { format!("{} min {:02} s left", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A stream whose text can be read afterwards.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(epochs: u64) -> Vec<String> {
        let out = Shared::default();
        let mut progress = Progress::lines("gru", epochs, 3, Box::new(out.clone()));
        for epoch in 1..=epochs {
            progress.batch();
            progress.epoch(epoch, 0.5, 0.75);
        }
        progress.finish();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_for_each_of_few_epochs() {
        let lines = told(3);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], "gru epoch 3/3 loss 0.500 accuracy 0.750 0 s left");
    }

    #[test]
    fn not_many_more_than_twenty_lines_for_many_epochs() {
        let lines = told(250);
        assert!((20..=22).contains(&lines.len()), "{}", lines.len());
        assert!(lines[0].starts_with("gru epoch 1/250 ") && lines.last().unwrap().starts_with("gru epoch 250/250 "));
    }

    #[test]
    fn the_time_left_is_in_proportion() {
        assert_eq!(left(Duration::from_secs(10), 2, 8), "30 s left");
        assert_eq!(left(Duration::from_secs(60), 1, 3), "2 min 00 s left");
        assert_eq!(left(Duration::ZERO, 0, 0), "0 s left");
    }
}
