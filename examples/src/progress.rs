//! The progress of training: a bar with epoch, loss, figure and the time left, or plain lines where there is no
//! terminal. Both go to the standard error stream, so that the standard output holds results only.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::Metric;
use crate::team::is_silent;

/// Writes a line to the standard error stream. A closed stream is no reason to stop.
pub fn say(line: impl std::fmt::Display) {
    if is_silent() {
        return;
    }
    // In one write: in pieces, it would mix with the messages of other processes within a line.
    let line = format!("{line}\n");
    if cfg!(debug_assertions) {
        // Tests, which are debug builds, catch what the macro writes, and nothing else. The macro panics where the stream
        // is closed.
        eprint!("{line}");
    } else {
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// About how many plain lines a training writes.
const LINES: u64 = 20;
/// The longest silence within an epoch.
const SILENCE: Duration = Duration::from_secs(15);

/// The progress of one model's training.
pub struct Progress {
    model: String,
    metric: Metric,
    epochs: u64,
    /// The steps of an epoch.
    steps: u64,
    /// Steps that are done, and those of them that another process has done.
    done: u64,
    before: u64,
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Lines { out: Box<dyn Write>, started: Instant, told: Instant },
}

impl Progress {
    /// Progress of a model that is trained for `epochs` epochs of `steps` steps each, of which `done` are done.
    pub fn new(model: &str, metric: Metric, epochs: u64, steps: u64, done: u64) -> Progress {
        if done > 0 && done == epochs * steps {
            say(format!("{model}: all {epochs} epochs are done"));
        }
        if is_silent() {
            return Progress::lines(model, metric, epochs, steps, done, Box::new(io::sink()));
        }
        if !io::stderr().is_terminal() {
            return Progress::lines(model, metric, epochs, steps, done, Box::new(io::stderr()));
        }
        let bar = ProgressBar::with_draw_target(Some(epochs * steps), ProgressDrawTarget::stderr());
        let template = "{prefix:>5} [{bar:32}] {msg} {eta:>4} left";
        // The template is a constant; if it were wrong, the library's own style would do.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(model.to_owned());
        bar.set_message(format!("epoch {}/{epochs}", done.checked_div(steps).unwrap_or(0)));
        bar.set_position(done);
        bar.reset_eta();
        Progress { model: model.to_owned(), metric, epochs, steps, done, before: done, display: Display::Bar(bar) }
    }

    /// Progress as plain lines on `out`: about twenty of them, the first and the last epoch among them, and more if
    /// epochs are long.
    pub fn lines(model: &str, metric: Metric, epochs: u64, steps: u64, done: u64, out: Box<dyn Write>) -> Progress {
        let now = Instant::now();
        let display = Display::Lines { out, started: now, told: now };
        Progress { model: model.to_owned(), metric, epochs, steps, done, before: done, display }
    }

    /// A step is done: the mean loss in nats and the mean figure of the epoch so far.
    pub fn step(&mut self, means: [f64; 2]) {
        self.done += 1;
        let figures = self.figures(means);
        let (epoch, step) = (self.done.div_ceil(self.steps.max(1)), (self.done - 1) % self.steps.max(1) + 1);
        let left = self.left();
        let Progress { model, epochs, steps, display, .. } = self;
        match display {
            Display::Bar(bar) => {
                bar.inc(1);
                bar.set_message(format!("epoch {epoch}/{epochs} {figures}"));
            }
            Display::Lines { out, told, .. } if told.elapsed() > SILENCE => {
                *told = Instant::now();
                // A closed stream is no reason to stop training.
                let _ = writeln!(out, "{model} epoch {epoch}/{epochs} step {step}/{steps} {figures} {left}");
            }
            Display::Lines { .. } => {}
        }
    }

    /// The `epoch`-th epoch, counted from 1, is done, with these means.
    pub fn epoch(&mut self, epoch: u64, means: [f64; 2]) {
        let figures = self.figures(means);
        let left = self.left();
        let Progress { model, epochs, display, .. } = self;
        match display {
            Display::Bar(bar) => bar.set_message(format!("epoch {epoch}/{epochs} {figures}")),
            Display::Lines { out, told, .. } => {
                let is_told = epoch == 1 || epoch == *epochs || epoch.is_multiple_of(epochs.div_ceil(LINES).max(1));
                if is_told {
                    *told = Instant::now();
                    let _ = writeln!(out, "{model} epoch {epoch}/{epochs} {figures} {left}");
                }
            }
        }
    }

    /// Writes a line, above the bar if there is one.
    pub fn say(&mut self, line: &str) {
        match &mut self.display {
            Display::Bar(bar) => bar.println(line),
            Display::Lines { out, .. } => {
                let _ = writeln!(out, "{line}");
            }
        }
    }

    fn figures(&self, [loss, figure]: [f64; 2]) -> String {
        format!("loss {loss:.3} {} {figure:.3}", self.metric.name())
    }

    fn left(&self) -> String {
        match &self.display {
            Display::Bar(_) => String::new(),
            Display::Lines { started, .. } => {
                left(started.elapsed(), self.done - self.before, (self.epochs * self.steps).saturating_sub(self.before))
            }
        }
    }
}

/// The bar stays visible when the training has ended or was stopped.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.abandon();
        }
    }
}

/// The time left at the average speed so far.
fn left(elapsed: Duration, done: u64, total: u64) -> String {
    let per_step = elapsed.as_secs_f64() / done.max(1) as f64;
    let seconds = (per_step * total.saturating_sub(done) as f64).round() as u64;
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
        let mut progress = Progress::lines("gru", Metric::Accuracy, epochs, 3, 0, Box::new(out.clone()));
        for epoch in 1..=epochs {
            (0..3).for_each(|_| progress.step([0.5, 0.75]));
            progress.epoch(epoch, [0.5, 0.75]);
        }
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

    #[test]
    fn a_file_may_say_that_more_is_done_than_there_is() {
        let out = Shared::default();
        let mut progress = Progress::lines("gru", Metric::Bits, 2, 3, (1 << 63) - 1, Box::new(out.clone()));
        progress.step([0.5, 0.75]);
        progress.epoch(2, [0.5, 0.75]);
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "gru epoch 2/2 loss 0.500 bits 0.750 0 s left\n");
    }

    #[test]
    fn a_long_epoch_is_not_silent() {
        let out = Shared::default();
        let mut progress = Progress::lines("gru", Metric::Bits, 2, 3, 4, Box::new(out.clone()));
        progress.step([0.5, 0.75]);
        let Display::Lines { told, .. } = &mut progress.display else { unreachable!("lines were asked for") };
        *told = Instant::now().checked_sub(2 * SILENCE).unwrap();
        progress.step([0.25, 0.5]);
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "gru epoch 2/2 step 3/3 loss 0.250 bits 0.500 0 s left\n");
    }
}
