//! Ctrl-C: a training finishes its step and saves before the program exits.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Team, say};

/// The exit status of a program that Ctrl-C ended: 128 and the number of the signal.
pub(crate) const STATUS: u8 = 130;

/// Whether a run was asked to stop.
///
/// ```
/// use rewind_examples::Interrupt;
///
/// let interrupt = Interrupt::after(2); // as if Ctrl-C came during the second step
/// assert_eq!([interrupt.is_asked(), interrupt.is_asked(), interrupt.is_asked()], [false, true, true]);
/// ```
#[derive(Clone, Debug)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Whether there is a training that will look.
    training: Arc<AtomicBool>,
    /// How often [`Interrupt::is_asked`] is still to answer no.
    steps: Arc<AtomicU64>,
    /// Those that stop together.
    team: Team,
}

impl Interrupt {
    /// One that is never asked for.
    pub fn never() -> Self {
        Self::after(u64::MAX)
    }

    /// One that is asked for at the `steps`-th look: with it, a test stops a run at any step.
    pub fn after(steps: u64) -> Self {
        let (asked, training) = (Arc::default(), Arc::default());
        Interrupt { asked, training, steps: Arc::new(AtomicU64::new(steps)), team: Team::default() }
    }

    /// Ctrl-C, from now on. Where nothing is being trained, and at the second time, it ends the program at once.
    ///
    /// # Errors
    ///
    /// If the system does not let the program handle it.
    pub fn on_ctrl_c() -> Result<Self, String> {
        let interrupt = Self::never();
        let Interrupt { asked, training, .. } = interrupt.clone();
        let handler = move || {
            let is_second = asked.swap(true, Ordering::SeqCst);
            if is_second || !training.load(Ordering::SeqCst) {
                // Files are replaced only by complete ones, so that none is broken.
                say(if is_second { "stopped at once" } else { "stopped; nothing was being trained" });
                std::process::exit(STATUS.into());
            }
        };
        ctrlc::set_handler(handler).map_err(|error| format!("cannot handle Ctrl-C: {error}"))?;
        Ok(interrupt)
    }

    /// That of a team, which stops if one of its processes is asked to.
    pub(crate) fn of(self, team: &Team) -> Self {
        Interrupt { team: team.clone(), ..self }
    }

    /// Those that train together.
    pub fn team(&self) -> &Team {
        &self.team
    }

    /// Whether this process was asked to stop. A training calls it once a step.
    pub fn is_asked(&self) -> bool {
        let left = self.steps.load(Ordering::SeqCst).saturating_sub(1);
        self.steps.store(left, Ordering::SeqCst);
        left == 0 || self.asked.load(Ordering::SeqCst)
    }

    /// A training begins or ends.
    pub(crate) fn set_training(&self, is_training: bool) {
        self.training.store(is_training, Ordering::SeqCst);
    }
}

/// The error of a run that was stopped and saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The file of the run.
    pub file: PathBuf,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(f, "stopped and saved to {file}; --resume {file} goes on")
    }
}

impl std::error::Error for Stopped {}
