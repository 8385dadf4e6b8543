//! Reductions: sums, running sums and norms whose error grows with the logarithm of the count, and folds along one axis.

use std::ops::RangeInclusive;

use smallvec::{SmallVec, smallvec};

use super::elementwise::{self, View};
use super::runs::for_each_run;
use crate::Scalar;
use crate::shape::{Shape, row_major};

/// Independent partial sums, in separate registers, which hide the latency of an addition.
const LANES: usize = 8;

/// Pairwise summation of a slice: the error grows with log n, not with n.
pub(crate) fn sum_slice<T: Scalar>(xs: &[T]) -> T {
    if xs.len() > 512 {
        let (left, right) = xs.split_at(xs.len() / 2);
        return sum_slice(left) + sum_slice(right);
    }
    let mut lanes = [T::ZERO; LANES];
    let chunks = xs.chunks_exact(LANES);
    let tail: T = chunks.remainder().iter().copied().sum();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    lanes.into_iter().sum::<T>() + tail
}

/// Folds `axis` of `from` into `to` (contiguous, the shape without the axis, filled with the start value).
pub(crate) fn fold_axis<T: Scalar>(from: View<'_, T>, axis: usize, to: &mut [T], f: impl Fn(T, T) -> T) {
    let mut kept = Shape::from_slice(from.shape);
    kept[axis] = 1;
    let mut strides = row_major(&kept);
    strides[axis] = 0;
    elementwise::accumulate(to, &strides, from, f);
}

/// The most elements that are added sequentially; longer sums are split in two. The error of a sum of n elements grows
/// with this and with log n.
pub(crate) const BLOCK: usize = 64;

/// Sums the last axis of `from`, whose elements are contiguous.
pub(crate) fn sum_rows<T: Scalar>(from: View<'_, T>, to: &mut [T]) {
    let last = from.shape.len() - 1;
    let (outer, strides) = (&from.shape[..last], &from.strides[..last]);
    let mut next = 0;
    for_each_run(outer, [strides], |[a], [sa], len| {
        for i in 0..len {
            let start = a + i * sa;
            to[next] = sum_slice(&from.data[start..start + from.shape[last]]);
            next += 1;
        }
    });
}

/// Adds all rows of `from`, each as long as `to`, to `to`: blocks of rows pairwise.
pub(crate) fn add_rows<T: Scalar>(to: &mut [T], from: &[T]) {
    const NARROW: usize = 16;
    let width = to.len();
    let count = from.len() / width;
    if count > BLOCK {
        let (first, second) = from.split_at(count / 2 * width);
        add_rows(to, first);
        let mut sum: SmallVec<[T; NARROW]> = smallvec![T::ZERO; width];
        add_rows(&mut sum, second);
        return elementwise::add(to, &sum);
    }
    let mut rest = from;
    if width <= NARROW / 2 {
        // As many narrow rows as make a wide one are added at once, to as many sums.
        let mut sums = [T::ZERO; NARROW];
        let sums = &mut sums[..NARROW / width * width];
        let wide = from.chunks_exact(sums.len());
        rest = wide.remainder();
        wide.for_each(|rows| elementwise::add(sums, rows));
        elementwise::rows(sums, width).for_each(|sum| elementwise::add(to, sum));
    }
    elementwise::rows(rest, width).for_each(|row| elementwise::add(to, row));
}

/// Adds `from` to `to`, whose strides are 0 along the axes that are summed: pairwise within a run, run after run.
pub(crate) fn add_runs<T: Scalar>(to: &mut [T], strides: &[usize], from: View<'_, T>) {
    for_each_run(from.shape, [strides, &from.strides], |[t, a], [st, sa], len| match (st, sa) {
        (1, 1) => elementwise::add(&mut to[t..t + len], &from.data[a..a + len]),
        (0, 1) => to[t] += sum_slice(&from.data[a..a + len]),
        (0, _) => to[t] += sum_strided(from.data, a, sa, len),
        _ => {
            for i in 0..len {
                to[t + i * st] += from.data[a + i * sa];
            }
        }
    });
}

/// [`sum_slice`] of elements at a stride.
fn sum_strided<T: Scalar>(data: &[T], start: usize, stride: usize, len: usize) -> T {
    if len > BLOCK {
        let half = len / 2;
        return sum_strided(data, start, stride, half) + sum_strided(data, start + half * stride, stride, len - half);
    }
    (0..len).fold(T::ZERO, |sum, i| sum + data[start + i * stride])
}

/// Whether the sum is over the leading axes and no other, so that all rows of contiguous elements of `shape` are added
/// to one row.
pub(crate) fn sums_leading_axes(strides: &[usize], shape: &[usize]) -> bool {
    let mut axes = shape.iter().zip(strides).filter(|&(&length, _)| length != 1).map(|(_, &stride)| stride);
    axes.find(|&stride| stride != 0).is_some() && axes.all(|stride| stride != 0)
}

/// How many elements [`add_runs`] adds sequentially to an element of `to`: those of all summed axes but the innermost.
pub(crate) fn added_one_by_one(strides: &[usize], shape: &[usize]) -> usize {
    let mut axes = shape.iter().zip(strides).rev().filter(|&(&length, _)| length != 1);
    axes.next();
    axes.filter(|&(_, &stride)| stride == 0).fold(1, |all, (&length, _)| all.saturating_mul(length))
}

/// Replaces each of `length` rows of `inner` elements by the sum of all rows up to it; from the last row on, if
/// `reversed`.
///
/// Sums within blocks first, then sums of the blocks: the error grows with the logarithm of the length.
pub(crate) fn prefix_sums<T: Scalar>(elements: &mut [T], length: usize, inner: usize, reversed: bool) {
    if inner == 1 {
        return prefix_sums_of_slice(elements, reversed);
    }
    let row = |k: usize| inner * if reversed { length - 1 - k } else { k };
    for k in (1..length).filter(|k| k % BLOCK != 0) {
        for i in 0..inner {
            let before = elements[row(k - 1) + i];
            elements[row(k) + i] = before + elements[row(k) + i];
        }
    }
    if length <= BLOCK {
        return;
    }
    let whole_blocks = (length - 1) / BLOCK;
    let ends = (1..=whole_blocks).map(|block| row(block * BLOCK - 1));
    let mut before: Vec<T> = ends.flat_map(|end| elements[end..end + inner].iter().copied()).collect();
    prefix_sums(&mut before, whole_blocks, inner, false);
    for k in BLOCK..length {
        let (to, from) = (row(k), (k / BLOCK - 1) * inner);
        elementwise::add(&mut elements[to..to + inner], &before[from..from + inner]);
    }
}

/// [`prefix_sums`] of contiguous elements.
fn prefix_sums_of_slice<T: Scalar>(elements: &mut [T], reversed: bool) {
    // x + -0 is x for every x, where -0 + 0 would be 0.
    let nothing = -T::ZERO;
    let last = elements.len().div_ceil(BLOCK) - 1;
    let mut sums = Vec::with_capacity(last + 1);
    let mut running = |block: &mut [T]| {
        let add = |sum, x: &mut T| {
            *x = sum + *x;
            *x
        };
        sums.push(match reversed {
            false => block.iter_mut().fold(nothing, add),
            true => block.iter_mut().rev().fold(nothing, add),
        });
    };
    match reversed {
        false => elements.chunks_mut(BLOCK).for_each(&mut running),
        true => elements.rchunks_mut(BLOCK).for_each(&mut running),
    }
    if last == 0 {
        return;
    }
    sums.truncate(last);
    prefix_sums_of_slice(&mut sums, false);
    let add = |(block, &before): (&mut [T], &T)| block.iter_mut().for_each(|x| *x = before + *x);
    match reversed {
        false => elements.chunks_mut(BLOCK).skip(1).zip(&sums).for_each(add),
        true => elements.rchunks_mut(BLOCK).skip(1).zip(&sums).for_each(add),
    }
}

/// √Σx² over all of `parts`, in `f64`: neither the squares nor their sum overflow or underflow if the norm does not,
/// and the error grows with the logarithm of the number of elements. ∞ or NaN if an element is.
pub(crate) fn norm<'a, T: Scalar>(parts: impl Iterator<Item = &'a [T]> + Clone) -> f64 {
    // If the sum is in this range, no square overflowed, and those that underflowed are less than its last digit. The
    // squares of `f32` are always in range, except for 0.
    const IN_RANGE: RangeInclusive<f64> = 1e-280..=f64::MAX;
    let plain = sum_of_squares(parts.clone(), T::to_f64);
    if IN_RANGE.contains(&plain) {
        return plain.sqrt();
    }
    // Scaling by a power of two is exact.
    let unit = 2_f64.powi(600);
    let scale = if plain < 1.0 { unit } else { 1.0 / unit };
    sum_of_squares(parts, |x| x.to_f64() * scale).sqrt() / scale
}

/// Σf(x)², blocks of elements added pairwise.
fn sum_of_squares<'a, T: Scalar>(parts: impl Iterator<Item = &'a [T]>, f: impl Fn(T) -> f64) -> f64 {
    const AT_ONCE: usize = 512;
    let mut sums = Pairs::default();
    let square = |&x: &T| {
        let x = f(x);
        x * x
    };
    for block in parts.flat_map(|part| part.chunks(AT_ONCE)) {
        let (chunks, rest) = block.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += square(x);
            }
        }
        let rest: f64 = rest.iter().map(square).sum();
        sums.add(lanes.into_iter().sum::<f64>() + rest);
    }
    sums.total()
}

/// A running sum, added pairwise.
#[derive(Default)]
struct Pairs {
    /// How many values have been added.
    count: usize,
    /// The sum of 2^i values for every bit i of the count, the highest first.
    sums: SmallVec<[f64; 8]>,
}

impl Pairs {
    fn add(&mut self, mut sum: f64) {
        for _ in 0..self.count.trailing_ones() {
            sum += self.sums.pop().expect("one sum for every bit");
        }
        self.sums.push(sum);
        self.count += 1;
    }

    fn total(&self) -> f64 {
        // Not `sum()`, which is -0 if there is no value.
        self.sums.iter().rev().fold(0.0, |total, sum| total + sum)
    }
}
