//! What one core can do at most: multiplications with additions in registers, and nothing that reads or writes memory.

use rewind_rnn::Shards;
use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp};

use crate::{CellKind, Shape, Step};

/// Sums that do not wait for each other: more than the pipelines of a core hold, and fewer than it has registers.
const SUMS: usize = 12;

/// So many operations, at least.
struct MultiplyAdds {
    operations: usize,
}

impl SimdOp for MultiplyAdds {
    /// Operations, and a number that depends on all of them.
    type Output = (usize, f32);

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> (usize, f32) {
        let ops = isa.f32();
        let (shrink, add) = (ops.splat(0.999), ops.splat(0.001));
        let mut sums = [ops.zero(); SUMS];
        let operations = 2 * SUMS * ops.len();
        let times = self.operations.div_ceil(operations);
        for _ in 0..times {
            for sum in &mut sums {
                *sum = ops.mul_add(*sum, shrink, add);
            }
        }
        let mut sum = ops.zero();
        for one in sums {
            sum = ops.add(sum, one);
        }
        (operations * times, sum.to_array().as_ref()[0])
    }
}

/// Multiplies and adds in the widest vectors of the processor; how many operations that was: `least`, or a few more.
///
/// # Panics
/// If `least` is 0.
pub fn multiply_adds(least: usize) -> usize {
    let (operations, sum) = MultiplyAdds { operations: least }.dispatch();
    assert!(sum > 0.0, "the sums grow towards 1 each");
    operations
}

/// As many multiplications and additions as the matrix products of the LSTM's training step at `shape`, cut into its shards, on
/// `threads` threads; what the call gives, the operations, is no loss.
///
/// Nothing is read or written: on one thread and on two, this shows what a second thread can bring on a machine, if neither
/// memory nor caches are in the way.
///
/// # Panics
/// If the threads cannot be started.
pub fn step_in_registers(shape: Shape, threads: usize) -> Step {
    let workers = Shards::<f32>::new(threads).expect("threads can be started");
    let share = |batch| shape.flops(CellKind::Lstm) * batch as f64 / shape.batch as f64;
    let shards: Vec<_> = shape.shards().into_iter().map(|batch| share(batch) as usize).collect();
    Box::new(move || workers.run(shards.len(), |shard, _| multiply_adds(shards[shard]) as f32).iter().sum())
}
