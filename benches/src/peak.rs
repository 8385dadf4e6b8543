//! The peak of cores: multiplications and additions in registers, without memory access.

use std::hint::black_box;
use std::thread;

use rten_simd::ops::{BitOps, NumOps};
use rten_simd::{Isa, Simd, SimdOp};

use crate::timing::{median, nanoseconds};

/// Independent sums: more than the pipelines of a core hold, and fewer than it has registers.
const SUMS: usize = 12;

/// Iterations of each sum.
struct MultiplyAdds {
    times: usize,
}

impl SimdOp for MultiplyAdds {
    /// The number of operations, and a value that depends on all of them.
    type Output = (usize, f32);

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> (usize, f32) {
        let ops = isa.f32();
        let (shrink, add) = (ops.splat(0.999), ops.splat(0.001));
        let mut sums = [ops.zero(); SUMS];
        for _ in 0..self.times {
            for sum in &mut sums {
                *sum = ops.mul_add(*sum, shrink, add);
            }
        }
        let mut sum = ops.zero();
        for one in sums {
            sum = ops.add(sum, one);
        }
        (2 * SUMS * ops.len() * self.times, sum.to_array().as_ref()[0])
    }
}

/// Multiplies and adds in the widest vectors of the processor; returns the number of operations.
pub fn multiply_adds() -> usize {
    let (operations, sum) = MultiplyAdds { times: 100_000 }.dispatch();
    assert!(sum > 0.0, "the sums grow towards 1 each");
    operations
}

/// The operations per nanosecond of so many cores at the same time, each the median of `runs`.
///
/// # Panics
/// If the threads cannot be started.
pub fn of_cores(cores: usize, runs: usize) -> f64 {
    let one = move || {
        let times = nanoseconds(runs / 4, runs, || {
            black_box(multiply_adds());
        });
        multiply_adds() as f64 / median(times)
    };
    let cores: Vec<_> = (0..cores).map(|_| thread::spawn(one)).collect();
    cores.into_iter().map(|core| core.join().expect("the loop does not panic")).sum()
}
