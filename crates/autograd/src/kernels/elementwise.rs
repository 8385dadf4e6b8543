//! Maps over strided views: output always contiguous, inner loops over slices.

use std::mem::MaybeUninit;

use rten_simd::{Isa, SimdOp, SimdUnaryOp};

use super::runs::for_each_run;
use crate::Scalar;
use crate::shape::{Shape, row_major};

/// A strided view: element `i` is `data[Σ i_axis · strides_axis]`.
pub(crate) struct View<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) shape: &'a [usize],
    pub(crate) strides: Shape,
}

/// Runs a vectorised unary kernel.
pub(super) fn simd<Op: SimdUnaryOp<f32>>(op: Op, from: &[f32], to: &mut [f32]) {
    // SAFETY: `MaybeUninit<f32>` has the layout of `f32`, and the kernel writes initialised elements only.
    let to = unsafe { &mut *(std::ptr::from_mut(to) as *mut [MaybeUninit<f32>]) };
    op.map(from, to);
}

/// From this many elements on, a loop for the widest vectors of the processor pays for the call.
const WORTH_A_CALL: usize = 128;

/// Runs a loop over `len` elements, compiled for the widest vectors of this processor.
#[inline(always)]
fn wide(len: usize, body: impl FnOnce()) {
    struct Body<F>(F);
    impl<F: FnOnce()> SimdOp for Body<F> {
        type Output = ();
        #[inline(always)]
        fn eval<I: Isa>(self, _: I) {
            (self.0)();
        }
    }
    #[inline(never)]
    fn call(body: impl FnOnce()) {
        Body(body).dispatch();
    }
    if len < WORTH_A_CALL { body() } else { call(body) }
}

/// `to[i] = f(from[i])` over slices.
#[inline(always)]
pub(crate) fn each<T: Copy>(from: &[T], to: &mut [T], f: impl Fn(T) -> T) {
    wide(to.len(), move || {
        for (to, &from) in to.iter_mut().zip(from) {
            *to = f(from);
        }
    });
}

/// `to[i] = f(a[i], b[i])` over slices.
#[inline(always)]
pub(crate) fn each_pair<T: Copy>(a: &[T], b: &[T], to: &mut [T], f: impl Fn(T, T) -> T) {
    wide(to.len(), move || {
        for ((to, &a), &b) in to.iter_mut().zip(a).zip(b) {
            *to = f(a, b);
        }
    });
}

/// The rows of `elements`, of `length` each. `chunks_exact` begins with a division, which takes longer than adding a
/// short row.
#[inline(always)]
pub(crate) fn rows<T>(mut elements: &[T], length: usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (row, rest) = elements.split_at_checked(length).filter(|_| length > 0)?;
        elements = rest;
        Some(row)
    })
}

/// [`rows`] for writing.
#[inline(always)]
pub(crate) fn rows_mut<T>(mut elements: &mut [T], length: usize) -> impl Iterator<Item = &mut [T]> {
    std::iter::from_fn(move || {
        let (row, rest) = std::mem::take(&mut elements).split_at_mut_checked(length).filter(|_| length > 0)?;
        elements = rest;
        Some(row)
    })
}

/// `to[i] = f(a[i], row[i])` over slices, with `row` repeated.
#[inline(always)]
pub(crate) fn each_row<T: Copy>(a: &[T], row: &[T], to: &mut [T], f: impl Fn(T, T) -> T) {
    if let &[b] = row {
        return each(a, to, |a| f(a, b));
    }
    for (a, to) in rows(a, row.len()).zip(rows_mut(to, row.len())) {
        each_pair(a, row, to, &f);
    }
}

/// `to[i] += from[i]` over slices.
#[inline]
pub(crate) fn add<T: Scalar>(to: &mut [T], from: &[T]) {
    wide(to.len(), move || {
        for (to, &x) in to.iter_mut().zip(from) {
            *to += x;
        }
    });
}

/// `to[i] = f(from[i])`, `to` contiguous in row-major order.
#[inline]
pub(crate) fn map<T: Scalar>(from: View<'_, T>, to: &mut [T], f: impl Fn(T) -> T) {
    for_each_run(from.shape, [&from.strides, &row_major(from.shape)], |[a, t], [sa, _], len| match sa {
        1 => each(&from.data[a..a + len], &mut to[t..t + len], &f),
        _ => {
            for i in 0..len {
                to[t + i] = f(from.data[a + i * sa]);
            }
        }
    });
}

/// Like [`map`], by a function over slices.
#[inline]
pub(crate) fn map_slices<T: Scalar>(from: View<'_, T>, to: &mut [T], f: impl Fn(&[T], &mut [T])) {
    let mut gathered = Vec::new();
    for_each_run(from.shape, [&from.strides, &row_major(from.shape)], |[a, t], [sa, _], len| match sa {
        1 => f(&from.data[a..a + len], &mut to[t..t + len]),
        _ => {
            gathered.clear();
            gathered.extend((0..len).map(|i| from.data[a + i * sa]));
            f(&gathered, &mut to[t..t + len]);
        }
    });
}

/// `to[i] = f(a[i], b[i])` over two views of one shape, `to` contiguous.
#[inline]
pub(crate) fn zip<T: Scalar>(a: View<'_, T>, b: View<'_, T>, to: &mut [T], f: impl Fn(T, T) -> T) {
    for_each_run(a.shape, [&a.strides, &b.strides, &row_major(a.shape)], |[x, y, t], [sx, sy, _], len| {
        let to = &mut to[t..t + len];
        match (sx, sy) {
            (1, 1) => each_pair(&a.data[x..x + len], &b.data[y..y + len], to, &f),
            (1, 0) => {
                let y = b.data[y];
                each(&a.data[x..x + len], to, |x| f(x, y));
            }
            (0, 1) => {
                let x = a.data[x];
                each(&b.data[y..y + len], to, |y| f(x, y));
            }
            _ => {
                for (i, to) in to.iter_mut().enumerate() {
                    *to = f(a.data[x + i * sx], b.data[y + i * sy]);
                }
            }
        }
    });
}

/// `to[i] = f(to[i], from[i])`, where `to` is strided too: the in-place half of every accumulation.
///
/// A stride of zero in `to` sums over that axis.
#[inline]
pub(crate) fn accumulate<T: Scalar>(to: &mut [T], strides: &[usize], from: View<'_, T>, f: impl Fn(T, T) -> T) {
    for_each_run(from.shape, [strides, &from.strides], |[t, a], [st, sa], len| match (st, sa) {
        (1, 1) => {
            for (to, &x) in to[t..t + len].iter_mut().zip(&from.data[a..a + len]) {
                *to = f(*to, x);
            }
        }
        _ => {
            for i in 0..len {
                let to = &mut to[t + i * st];
                *to = f(*to, from.data[a + i * sa]);
            }
        }
    });
}

/// `to[i] = from[i]` wherever `mask[i]` is not 0; the rest of `to` is unchanged.
pub(crate) fn accumulate_where<T: Scalar>(to: &mut [T], strides: &[usize], mask: View<'_, T>, from: View<'_, T>) {
    let all = [strides, &mask.strides, &from.strides];
    for_each_run(from.shape, all, |[t, m, a], [st, sm, sa], len| {
        for i in 0..len {
            if mask.data[m + i * sm] != T::ZERO {
                to[t + i * st] = from.data[a + i * sa];
            }
        }
    });
}
