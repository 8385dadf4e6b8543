//! A mini-batch split into shards, each with a separate tape, on rayon's threads.
//!
//! The bits depend on the number of shards and not on the number of threads: gradients are added in the order of the
//! shards. Threads run whole unrolled sequences, which uses two cores far better than splitting each small matrix
//! product.

use std::sync::{Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};
use rewind_autograd::{OnTape, Parameters, Scalar, Tape, Tensor, Var};

use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "mpi")]
use super::ranks::Exchange;

/// Threads that compute gradients of shards, and the tapes that they record on, kept from step to step.
///
/// ```
/// use rewind_autograd::{Tensor, parameters};
/// use rewind_rnn::{ShardedStep, Shards};
///
/// parameters! { pub struct Line<P> { slope: P } }
///
/// let line = Line { slope: Tensor::scalar(3.0_f64) };
/// let halves = [[1.0, 2.0], [3.0, 4.0]];
/// let shards = Shards::new(2).expect("threads can be started");
/// let step = shards.gradients(&line, &halves, |tape, line, half| {
///     let x = tape.constant(Tensor::from_vec(half.to_vec(), &[2]));
///     (x * line.slope).sum()
/// });
/// let ShardedStep { losses, gradients, .. } = step;
/// assert_eq!(losses, [9.0, 21.0]);
/// assert_eq!(gradients.slope.item(), 10.0);
/// ```
pub struct Shards<T: Scalar> {
    /// One thread each: then the matrix kernel computes on its caller's thread, and the free list of a thread serves the
    /// same shards in every step.
    workers: Vec<ThreadPool>,
    tapes: Mutex<Vec<Tape<T>>>,
    /// The processes that the shards are dealt to, if there are others.
    #[cfg(feature = "mpi")]
    exchange: Option<Exchange>,
}

/// The losses and gradients of a step over shards.
#[derive(Clone, Debug)]
pub struct ShardedStep<T, M> {
    /// The loss of every shard, in order.
    pub losses: Vec<T>,
    /// The sum of the gradients of all shards.
    pub gradients: M,
}

impl<T: Scalar> Shards<T> {
    /// Starts `threads` threads, at least one.
    ///
    /// # Errors
    /// If the system starts no more threads.
    pub fn new(threads: usize) -> Result<Self> {
        let worker = |_| ThreadPoolBuilder::new().num_threads(1).build();
        let workers = (0..threads.max(1)).map(worker).collect::<std::result::Result<_, _>>();
        let workers = workers.map_err(|source| {
            let text = format!("shards: {threads} threads cannot be started: {source}");
            Error::new(ErrorKind::Threads(Box::new(source)), text)
        })?;
        Ok(Shards {
            workers,
            tapes: Mutex::new(Vec::new()),
            #[cfg(feature = "mpi")]
            exchange: None,
        })
    }

    /// The same threads, for the shards of this process among those of an MPI job.
    #[cfg(feature = "mpi")]
    pub(super) fn with_exchange(self, exchange: Exchange) -> Self {
        Shards { exchange: Some(exchange), ..self }
    }

    /// The losses of `data`, one item a shard, and the gradient of their sum with respect to `module`.
    ///
    /// `loss` gets a tape, the module on that tape and its shard, and returns a scalar. Any number of threads gives the
    /// same bits.
    ///
    /// # Panics
    /// If there is no shard, `loss` returns no scalar, or it panics.
    #[track_caller]
    pub fn gradients<M, D, F>(&self, module: &M, data: &[D], loss: F) -> ShardedStep<T, M>
    where
        M: Parameters<Tensor<T>> + Send + Sync,
        D: Sync,
        F: for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>, &D) -> Var<'t, T> + Sync,
    {
        if data.is_empty() {
            panic!("gradients: no shard given; expected one at least");
        }
        let own = self.own(data.len());
        let results = self.run(own.len(), |job, tape| {
            let on_tape = module.on(tape);
            let loss = loss(tape, &on_tape, &data[own[job]]);
            if loss.element_count() != 1 {
                return Err(loss.shape());
            }
            Ok((loss.value().item(), loss.backward().of(&on_tape)))
        });
        if let Some((job, Err(shape))) = results.iter().enumerate().find(|(_, result)| result.is_err()) {
            panic!("gradients: the loss of shard {} has shape {:?}; expected a scalar", own[job], shape.as_slice());
        }
        let (losses, mut gradients): (Vec<_>, Vec<_>) = results.into_iter().flatten().unzip();
        #[cfg(feature = "mpi")]
        if let Some(exchange) = &self.exchange {
            return exchange.add_up(module, data.len(), losses, &gradients);
        }
        add_up(&mut gradients, add);
        ShardedStep { losses, gradients: gradients.swap_remove(0) }
    }

    /// The shards that this process computes, of so many.
    fn own(&self, shards: usize) -> Vec<usize> {
        #[cfg(feature = "mpi")]
        if let Some(exchange) = &self.exchange {
            return exchange.own(shards).collect();
        }
        (0..shards).collect()
    }

    /// The results of `job` for `0..jobs`, in order. Job i runs on thread i modulo the number of threads, on an empty tape;
    /// a single job runs on the caller's thread. Of several processes, each runs all jobs.
    ///
    /// ```
    /// use rewind_autograd::Tensor;
    /// use rewind_rnn::Shards;
    ///
    /// let shards = Shards::new(2)?;
    /// let squares = shards.run(3, |i, tape| tape.constant(Tensor::scalar(i as f64)).square().value().item());
    /// assert_eq!(squares, [0.0, 1.0, 4.0]);
    /// # Ok::<(), rewind_rnn::Error>(())
    /// ```
    pub fn run<R: Send>(&self, jobs: usize, job: impl Fn(usize, &Tape<T>) -> R + Sync) -> Vec<R> {
        let results: Vec<Mutex<Option<R>>> = (0..jobs).map(|_| Mutex::new(None)).collect();
        let one = |i: usize| {
            let mut tape = lock(&self.tapes).pop().unwrap_or_default();
            *lock(&results[i]) = Some(job(i, &tape));
            tape.clear();
            lock(&self.tapes).push(tape);
        };
        // Waking a thread takes longer than a small job does, so a single one runs here.
        match jobs {
            1 => one(0),
            _ => spread(&self.workers, &|worker| (worker..jobs).step_by(self.workers.len()).for_each(one)),
        }
        let take = |slot: Mutex<Option<R>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_iter().map(|slot| take(slot).expect("every job has run")).collect()
    }
}

/// Adds what all shards give to that of the first: in order, and pairwise over halves for many, so that the error grows with the
/// logarithm of their number.
pub(super) fn add_up<G>(shards: &mut [G], add: fn(&mut G, &G)) {
    const BLOCK: usize = 64;
    if shards.len() > BLOCK {
        let (first, second) = shards.split_at_mut(shards.len() / 2);
        add_up(first, add);
        add_up(second, add);
        return add(&mut first[0], &second[0]);
    }
    if let Some((sum, rest)) = shards.split_first_mut() {
        rest.iter().for_each(|other| add(sum, other));
    }
}

fn add<T: Scalar, M: Parameters<Tensor<T>>>(sum: &mut M, other: &M) {
    let mut rest = other.leaves().into_iter();
    sum.visit_mut(|_, sum| sum.add_assign(rest.next().expect("shards have one structure")));
}

fn lock<X>(mutex: &Mutex<X>) -> std::sync::MutexGuard<'_, X> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `f(k)` on the k-th pool, all at the same time.
fn spread(pools: &[ThreadPool], f: &(dyn Fn(usize) + Sync)) {
    if let [first, rest @ ..] = pools {
        let k = rest.len();
        first.in_place_scope(|scope| {
            scope.spawn(move |_| f(k));
            spread(rest, f);
        });
    }
}
