//! The peak of cores: multiplications and additions in registers, without memory access, and reading an array.

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
    on_cores(cores, move || {
        let times = nanoseconds(runs / 4, runs, || {
            black_box(multiply_adds());
        });
        multiply_adds() as f64 / median(times)
    })
}

/// The bytes per nanosecond that so many cores read at the same time, each an array of `bytes` of its own again and again, the median
/// of `runs`: of the cache that holds it, or of memory.
///
/// # Panics
/// If the threads cannot be started.
pub fn reads_of_cores(cores: usize, bytes: usize, runs: usize) -> f64 {
    on_cores(cores, move || {
        let array = vec![1.0_f32; bytes / size_of::<f32>()];
        let times = nanoseconds(runs / 4, runs, || {
            black_box(Largest(&array).dispatch());
        });
        bytes as f64 / median(times)
    })
}

fn on_cores(cores: usize, one: impl Fn() -> f64 + Clone + Send + 'static) -> f64 {
    let cores: Vec<_> = (0..cores).map(|_| thread::spawn(one.clone())).collect();
    cores.into_iter().map(|core| core.join().expect("the loop does not panic")).sum()
}

/// Reads an array: the largest number at each of some places of a cache line.
struct Largest<'a>(&'a [f32]);

impl SimdOp for Largest<'_> {
    type Output = f32;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> f32 {
        let ops = isa.f32();
        let mut sums = [ops.zero(); SUMS];
        for part in self.0.chunks_exact(SUMS * ops.len()) {
            for (sum, x) in sums.iter_mut().zip(part.chunks_exact(ops.len())) {
                *sum = ops.max(*sum, ops.load(x));
            }
        }
        sums.into_iter().fold(0.0, |most, sum| sum.to_array().as_ref().iter().copied().fold(most, f32::max))
    }
}
