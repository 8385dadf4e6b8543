//! A training run: where it is, what it has measured, and its file.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rewind_rnn::file::{self, FileModule, Metadata};
use rewind_rnn::optim::Optimizer;
use rewind_rnn::resume::{Part, Position};

use crate::arguments::Task;
use crate::command_line::CommandLine;
use crate::interrupt::{self, Interrupt, Stopped};
use crate::team::{Team, is_silent};
use crate::{History, Metric, origin, say};

/// A long epoch is saved at least this often.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// A run that can be stopped after any step and goes on to the same bits.
///
/// The task calls [`after_step`](Run::after_step) and [`after_epoch`](Run::after_epoch), with the parts of the run that
/// are its own, such as a [`TruncatedBptt`](rewind_rnn::TruncatedBptt). The file of a run holds the model too: `--load`
/// reads it.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::{OnTape, Tape, Tensor};
/// use rewind_examples::{Interrupt, Metric, Run};
/// use rewind_rnn::file::Metadata;
/// use rewind_rnn::optim::{Adam, Optimizer};
/// use rewind_rnn::{Gru, unroll};
///
/// /// Two epochs of three steps, from the file if there is one.
/// fn train(file: &std::path::Path, interrupt: Interrupt) -> Result<Gru<Tensor<f32>>, Box<dyn std::error::Error>> {
///     let mut gru = Gru::new(2, 3, &mut StdRng::seed_from_u64(1));
///     let mut adam = Adam::new(0.1);
///     let mut run = Run::new("gru", Metric::Bits, 1, file, Metadata::new(), interrupt);
///     if file.exists() {
///         run.resume(file, &mut gru, &mut adam, vec![])?;
///     }
///     while run.at.epoch() < 2 {
///         let steps = [0.5, -0.5, 0.25];
///         for x in run.at.rest(&steps)? {
///             let tape = Tape::new();
///             let cell = gru.on(&tape);
///             let loss = unroll(&cell, tape.constant(Tensor::full(&[7, 1, 2], *x))).outputs().square().mean();
///             adam.step(&mut gru, &loss.backward().of(&cell))?;
///             run.history.add(loss.value().item().into(), 0.0, 1);
///             run.after_step(steps.len(), &gru, &adam, &[])?;
///         }
///         run.after_epoch([0.0, 0.0], &gru, &adam, &[])?;
///     }
///     Ok(gru)
/// }
///
/// let folder = tempfile::tempdir()?;
/// let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
/// let expected = train(&whole, Interrupt::never())?;
/// let told = train(&stopped, Interrupt::after(2)).expect_err("it is stopped").to_string();
/// assert!(told.starts_with("stopped and saved to "));
/// assert_eq!(train(&stopped, Interrupt::never())?.weight_hh, expected.weight_hh);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Run {
    /// The epoch and the step in it.
    pub at: Position,
    /// The figures so far.
    pub history: History,
    path: PathBuf,
    metadata: Metadata,
    interrupt: Interrupt,
    saved: Instant,
    /// What the team has decided to do after this step.
    decided: Option<Decision>,
}

/// What is done after a step.
#[derive(Clone, Copy, Debug, Default)]
struct Decision {
    save: bool,
    stop: bool,
}

impl Run {
    /// The beginning of a run. `metadata` goes into its file; the model's settings are there, for `--load`.
    pub fn new(name: &str, metric: Metric, seed: u64, path: &Path, metadata: Metadata, interrupt: Interrupt) -> Self {
        interrupt.set_training(true);
        let (at, history, path) = (Position::new(seed), History::new(name, metric), path.to_owned());
        let metadata = origin::placed(metadata, &path);
        Run { at, history, path, metadata, interrupt, saved: Instant::now(), decided: None }
    }

    /// Goes on from the file at `from`.
    ///
    /// # Errors
    ///
    /// As [`file::load_run`]; then nothing is changed.
    pub fn resume<M: FileModule<f32>, O: Optimizer<f32>>(
        &mut self,
        from: &Path,
        model: &mut M,
        optimizer: &mut O,
        own: Vec<(&str, &mut dyn Part<f32>)>,
    ) -> rewind_rnn::Result<()> {
        let mut parts: Vec<(&str, &mut dyn Part<f32>)> =
            vec![("position", &mut self.at), ("history", &mut self.history)];
        parts.extend(own.into_iter().map(|(name, part)| (name, part as &mut dyn Part<f32>)));
        file::load_run(from, model, optimizer, &mut parts)?;
        say(format!("{}: goes on after epoch {}, step {}", self.history.name, self.at.epoch(), self.at.batch()));
        Ok(())
    }

    /// Writes the file. `own` are the task's own parts.
    ///
    /// # Errors
    ///
    /// As [`file::save_run`]; then an old file is as it was.
    pub fn save<M: FileModule<f32>, O: Optimizer<f32>>(
        &mut self,
        model: &M,
        optimizer: &O,
        own: &[(&str, &dyn Part<f32>)],
    ) -> rewind_rnn::Result<()> {
        let mut parts: Vec<(&str, &dyn Part<f32>)> = vec![("position", &self.at), ("history", &self.history)];
        parts.extend(own);
        if !is_silent() {
            file::save_run(&self.path, model, optimizer, &parts, &self.metadata)?;
        }
        self.saved = Instant::now();
        Ok(())
    }

    /// A step of an epoch of `steps` is done. Saves if it is time, or if the run is to stop; after the last step of an
    /// epoch, [`after_epoch`](Run::after_epoch) does that.
    ///
    /// # Errors
    ///
    /// [`Stopped`], or if the file cannot be written.
    pub fn after_step<M: FileModule<f32>, O: Optimizer<f32>>(
        &mut self,
        steps: usize,
        model: &M,
        optimizer: &O,
        own: &[(&str, &dyn Part<f32>)],
    ) -> Result<(), Box<dyn Error>> {
        let Decision { save, stop } = self.decide(steps)?;
        self.decided = None;
        self.at.advance(steps);
        if save {
            self.save(model, optimizer, own)?;
        }
        if stop { Err(self.stopped()) } else { Ok(()) }
    }

    /// Whether [`after_step`](Run::after_step), which comes next, will save. If parts of the run have states that are not those of all
    /// processes of the [`Team`], they are [shared](crate::Team::share) then.
    ///
    /// # Errors
    ///
    /// If the other processes cannot be reached.
    pub fn is_to_save(&mut self, steps: usize) -> rewind_rnn::Result<bool> {
        Ok(self.decide(steps)?.save)
    }

    /// What is done after this step of an epoch of `steps`. All processes decide alike.
    fn decide(&mut self, steps: usize) -> rewind_rnn::Result<Decision> {
        // After the last step it is decided by `after_epoch`.
        if self.at.batch() + 1 == steps {
            return Ok(Decision::default());
        }
        if let Some(decided) = self.decided {
            return Ok(decided);
        }
        let team = self.interrupt.team();
        let (asked, late) = (self.interrupt.is_asked(), self.saved.elapsed() > SAVE_EVERY);
        let save = team.any(asked || late)?;
        let decided = Decision { save, stop: save && team.any(asked)? };
        self.decided = Some(decided);
        Ok(decided)
    }

    /// An epoch is done, and its test gave this loss and figure. Saves.
    ///
    /// # Errors
    ///
    /// [`Stopped`], or if the file cannot be written.
    pub fn after_epoch<M: FileModule<f32>, O: Optimizer<f32>>(
        &mut self,
        tested: [f64; 2],
        model: &M,
        optimizer: &O,
        own: &[(&str, &dyn Part<f32>)],
    ) -> Result<(), Box<dyn Error>> {
        self.history.end_epoch(tested);
        self.save(model, optimizer, own)?;
        let is_asked = self.interrupt.is_asked();
        if self.interrupt.team().any(is_asked)? { Err(self.stopped()) } else { Ok(()) }
    }

    /// The training has ended, though the run is still needed: from now on Ctrl-C ends the program at once.
    pub fn end(&self) {
        self.interrupt.set_training(false);
    }

    /// The file of the run.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn stopped(&self) -> Box<dyn Error> {
        Box::new(Stopped { file: self.path.clone() })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a task from its command line to its exit status, as [`status`] gives it; 2 for a wrong command line.
pub fn main<A: Task>(task: impl FnOnce(&CommandLine<A>, &Interrupt) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let line = CommandLine::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let result = Team::run(|team| {
        let run = || {
            if team.count() > 1 && !A::RANKS {
                return Err(format!("{} trains in one process; there are {}", A::NAME, team.count()).into());
            }
            let interrupt = Interrupt::on_ctrl_c()?.of(team);
            task(&line.prepared()?, &interrupt)
        };
        match run() {
            Err(error) if !error.is::<Stopped>() => Err(error.to_string()),
            other => Ok(ExitCode::from(status(other))),
        }
    });
    result.unwrap_or_else(|error| ExitCode::from(status(Err(error.into()))))
}

/// The exit status of a result: 0, 1 after an error, 130 if Ctrl-C stopped it. Says what went wrong.
pub fn status(result: Result<(), Box<dyn Error>>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) if error.is::<Stopped>() => {
            say(&error);
            interrupt::STATUS
        }
        Err(error) => {
            say(format!("error: {error}"));
            1
        }
    }
}
