//! The processes of an MPI job, and the gradients of shards that they exchange.

mod exchange;
mod states;

use std::fmt::Display;
use std::io::{self, Write};
use std::rc::Rc;

use ferrompi::{Communicator, Mpi, ReduceOp, ThreadLevel};
use rewind_autograd::Scalar;

use super::resume::Part;
use super::shards::Shards;
use crate::error::{Error, ErrorKind, Result};

pub(super) use exchange::Exchange;

/// The processes that `mpirun` started: *ranks*, from 0. Feature `mpi`.
///
/// Every rank runs the whole program: it has the same module, optimiser and data. Of the shards of a step it computes those of
/// its own number, and gets the sum of the gradients of all; so all ranks update their modules in the same way.
///
/// ```no_run
/// use rand::{SeedableRng, rngs::StdRng};
/// use rewind_autograd::Tensor;
/// use rewind_rnn::optim::{Optimizer, Sgd};
/// use rewind_rnn::{Gru, Ranks, unroll};
///
/// Ranks::run(|ranks| {
///     let mut gru = Gru::new(2, 3, &mut StdRng::seed_from_u64(1)); // one seed on all ranks
///     let batch: Vec<Tensor<f32>> = (0..8).map(|b| Tensor::full(&[7, 1, 2], b as f32)).collect();
///     let shards = ranks.shards(1)?; // in place of `Shards::new(1)?`
///     let step = shards.gradients(&gru, &batch, |tape, gru, x| {
///         unroll(gru, tape.constant(x.clone())).outputs().square().mean()
///     });
///     Sgd::new(0.1).step(&mut gru, &step.gradients)?;
///     if ranks.rank() == 0 {
///         println!("{:?}", step.losses); // of all eight shards
///     }
///     Ok::<_, rewind_rnn::Error>(())
/// })?;
/// # Ok::<(), rewind_rnn::Error>(())
/// ```
///
/// **The bits are those of one process**: gradients are added in the order of the shards, whatever number of ranks computed them.
#[derive(Clone)]
pub struct Ranks {
    mpi: Rc<Mpi>,
}

impl Ranks {
    /// Joins the other ranks, runs `job`, and leaves them. Without `mpirun`, the program is a job of one rank.
    ///
    /// If the job panics on a rank or returns an error, that rank says so by its number, and the whole job ends with status 1:
    /// the other ranks would wait for it.
    ///
    /// # Errors
    /// [`ErrorKind::Mpi`] if MPI cannot be started; a second time, for instance.
    pub fn run<R, E: Display>(job: impl FnOnce(&Ranks) -> std::result::Result<R, E>) -> Result<R> {
        let mpi = Mpi::init_thread(ThreadLevel::Funneled).map_err(|source| error("cannot be started", source))?;
        let ranks = Ranks { mpi: Rc::new(mpi) };
        job(&ranks).or_else(|error| ranks.end_job(&error.to_string()))
    }

    /// The number of this rank.
    pub fn rank(&self) -> usize {
        count(self.world().rank())
    }

    /// The number of ranks.
    pub fn count(&self) -> usize {
        count(self.world().size())
    }

    /// [`Shards::new`], whose steps are computed by all ranks: shard i on rank i modulo their number.
    ///
    /// A step panics if the ranks differ in their parameters or in the number of shards.
    ///
    /// # Errors
    /// As [`Shards::new`].
    pub fn shards<T: Scalar>(&self, threads: usize) -> Result<Shards<T>> {
        Ok(Shards::new(threads)?.with_exchange(Exchange::new(self.world())))
    }

    /// Whether `own` is true on any rank: a decision that all must make alike, such as to stop after this step.
    ///
    /// # Errors
    /// [`ErrorKind::Mpi`] if the ranks cannot be reached.
    pub fn any(&self, own: bool) -> Result<bool> {
        let any = self.world().allreduce_scalar(u32::from(own), ReduceOp::Max);
        any.map(|any| any != 0).map_err(|source| error("cannot agree", source))
    }

    /// The sum of the numbers that the ranks have, such as the errors in the shards of each.
    ///
    /// # Errors
    /// [`ErrorKind::Mpi`] if the ranks cannot be reached.
    pub fn sum(&self, own: u64) -> Result<u64> {
        self.world().allreduce_scalar(own, ReduceOp::Sum).map_err(|source| error("cannot add up", source))
    }

    /// Gives each rank the states of all `parts`, one a shard, as the rank has it that computes the shard: call it before a run is
    /// saved, if shards have states such as a [`TruncatedBptt`](crate::TruncatedBptt).
    ///
    /// # Errors
    /// [`ErrorKind::Mpi`] if the ranks cannot be reached; as [`Part::resume`] if a state does not fit.
    pub fn share<T: Scalar, P: Part<T>>(&self, parts: &mut [P]) -> Result<()> {
        states::share(&self.world(), parts)
    }

    fn world(&self) -> Communicator {
        self.mpi.world()
    }

    /// Ends the job, on all ranks.
    fn end_job(&self, why: &str) -> ! {
        // In one write: in pieces, it would mix with the messages of other ranks within a line.
        let told = format!("rank {} of {}: {why}\n", self.rank(), self.count());
        io::stderr().write_all(told.as_bytes()).ok();
        self.world().abort(1)
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        // The others would wait for this rank for ever. The panic has printed its message.
        if std::thread::panicking() {
            self.end_job("panicked, which ends the job");
        }
    }
}

/// A rank, or a number of ranks.
fn count(number: i32) -> usize {
    usize::try_from(number).expect("MPI counts from 0")
}

/// The error of MPI while doing something.
fn error(what: &str, source: ferrompi::Error) -> Error {
    let text = format!("ranks: {what}: {source}");
    Error::new(ErrorKind::Mpi(source), text)
}
