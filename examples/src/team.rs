//! The processes that train a model together: this one alone or, with the feature `mpi`, those that `mpirun` started.
//!
//! Each of them runs the whole program. The first one tells and writes what there is to tell and to write.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "mpi")]
use rewind_rnn::Ranks;
use rewind_rnn::resume::Part;
use rewind_rnn::{Result, Shards};

/// Whether telling and writing are left to another process. A process is one member of one team, all its life.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Whether this process tells and writes nothing.
pub(crate) fn is_silent() -> bool {
    SILENT.load(Ordering::Relaxed)
}

/// The standard output, of the first process of the team.
pub fn standard_output() -> Box<dyn Write> {
    if is_silent() { Box::new(io::sink()) } else { Box::new(io::stdout()) }
}

/// A team of processes. By default that of this one alone.
///
/// ```
/// use rewind_examples::Team;
///
/// let alone = Team::default();
/// assert_eq!((alone.count(), alone.any(false)?), (1, false));
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Team {
    #[cfg(feature = "mpi")]
    ranks: Option<Ranks>,
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("count", &self.count()).finish()
    }
}

impl Team {
    /// Runs `job`, which gives an exit status or what went wrong: with the other ranks, if `mpirun` started any. An error on one rank ends
    /// the job on all.
    pub(crate) fn run(
        job: impl FnOnce(&Team) -> std::result::Result<ExitCode, String>,
    ) -> std::result::Result<ExitCode, String> {
        #[cfg(feature = "mpi")]
        {
            let of_ranks = |ranks: &Ranks| {
                SILENT.store(ranks.rank() > 0, Ordering::Relaxed);
                let team = Team { ranks: Some(ranks.clone()) };
                match job(&team) {
                    // Alone it is told like any other.
                    Err(error) if team.count() == 1 => Ok(Err(error)),
                    other => other.map(Ok),
                }
            };
            Ranks::run(of_ranks).unwrap_or_else(|error| Err(error.to_string()))
        }
        #[cfg(not(feature = "mpi"))]
        job(&Team::default())
    }

    /// The number of processes.
    pub fn count(&self) -> usize {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.count();
        }
        1
    }

    /// Whether `own` is true in any process.
    ///
    /// # Errors
    /// As `Ranks::any`.
    pub fn any(&self, own: bool) -> Result<bool> {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.any(own);
        }
        Ok(own)
    }

    /// The sum of the numbers that the processes have.
    ///
    /// # Errors
    /// As `Ranks::sum`.
    pub fn sum(&self, own: u64) -> Result<u64> {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.sum(own);
        }
        Ok(own)
    }

    /// `threads` threads, in each process, for the shards that are its own.
    ///
    /// # Errors
    /// As [`Shards::new`].
    pub fn shards(&self, threads: usize) -> Result<Shards<f32>> {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.shards(threads);
        }
        Shards::new(threads)
    }

    /// Gives each process the states of all shards.
    ///
    /// # Errors
    /// As `Ranks::share`.
    #[cfg_attr(not(feature = "mpi"), expect(unused_variables, reason = "one process has all states"))]
    pub fn share<P: Part<f32>>(&self, parts: &mut [P]) -> Result<()> {
        #[cfg(feature = "mpi")]
        if let Some(ranks) = &self.ranks {
            return ranks.share(parts);
        }
        Ok(())
    }
}
