//! Linear recurrences over rows, h_t = a_t ∘ h_(t-1) + b_t, and their adjoints: one pass each, in which every operand is
//! read from memory once. The row before is still in the cache.

use std::ops::Range;

use rten_simd::{Isa, SimdOp};

use super::elementwise::each_pair;
use crate::Scalar;

/// A row for each time step: contiguous, or one row for all.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) width: usize,
    /// Whether `data` is the one row.
    pub(crate) repeated: bool,
}

impl<'a, T> Rows<'a, T> {
    #[inline]
    fn row(self, t: usize) -> &'a [T] {
        let start = if self.repeated { 0 } else { t * self.width };
        &self.data[start..start + self.width]
    }
}

/// The order in which time steps are visited.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub(crate) steps: usize,
    /// From the last step to the first.
    pub(crate) reversed: bool,
}

/// Columns that a reversed pass computes at a time.
const BLOCK: usize = 64;

impl Order {
    /// The order of the adjoint.
    fn opposite(self) -> Self {
        Order { reversed: !self.reversed, ..self }
    }

    /// The step that is visited after `k` others.
    #[inline]
    fn step(self, k: usize) -> usize {
        if self.reversed { self.steps - 1 - k } else { k }
    }

    /// The columns in blocks, the last ones first if the steps are reversed: then a pass walks through memory in one direction, and the
    /// processor prefetches it.
    #[inline(always)]
    fn blocks(self, width: usize) -> impl Iterator<Item = Range<usize>> {
        let mut end = width;
        std::iter::from_fn(move || {
            let block = if self.reversed { end.saturating_sub(BLOCK)..end } else { 0..end };
            end = block.start;
            (!block.is_empty()).then_some(block)
        })
    }

    /// The row of step `t`, and the row of the step visited before it, which is empty for the first.
    #[inline]
    fn row_and_before<T>(self, rows: &mut [T], t: usize, width: usize) -> (&mut [T], &[T]) {
        let start = t * width;
        if self.reversed {
            let (row, before) = rows.split_at_mut(start + width);
            (&mut row[start..], before.get(..width).unwrap_or_default())
        } else {
            let (before, row) = rows.split_at_mut(start);
            (&mut row[..width], &before[start.saturating_sub(width)..])
        }
    }
}

/// h_t = a_t ∘ h_(t-1) + b_t, from `first` before the first step of the order.
pub(crate) fn recurrence<T: Scalar>(a: Rows<'_, T>, b: Rows<'_, T>, first: &[T], order: Order, to: &mut [T]) {
    let width = first.len();
    with_wide_vectors(
        #[inline(always)]
        || {
            for k in 0..order.steps {
                let t = order.step(k);
                let (row, before) = order.row_and_before(to, t, width);
                let (a, b, before) = (a.row(t), b.row(t), if k == 0 { first } else { before });
                for block in order.blocks(width) {
                    let (a, b, before, to) =
                        (&a[block.clone()], &b[block.clone()], &before[block.clone()], &mut row[block]);
                    for i in 0..to.len() {
                        to[i] = a[i] * before[i] + b[i];
                    }
                }
            }
        },
    );
}

/// The cotangents of b and a: l_t = g_t + a_(t+1) ∘ l_(t+1) and l_t ∘ h_(t-1), with `first` before the first step of the order.
pub(crate) fn adjoint<T: Scalar>(
    a: Rows<'_, T>,
    g: Rows<'_, T>,
    first: &[T],
    h: Rows<'_, T>,
    order: Order,
    [to_a, to_b]: [&mut [T]; 2],
) {
    let (width, order) = (first.len(), order.opposite());
    with_wide_vectors(
        #[inline(always)]
        || {
            for k in 0..order.steps {
                let t = order.step(k);
                let (l, after) = order.row_and_before(to_b, t, width);
                let (g, to_a) = (g.row(t), &mut to_a[t * width..][..width]);
                let before = if k + 1 == order.steps { first } else { h.row(order.step(k + 1)) };
                if k == 0 {
                    l.copy_from_slice(g);
                    each_pair(l, before, to_a, |l, before| l * before);
                    continue;
                }
                let a = a.row(order.step(k - 1));
                for block in order.blocks(width) {
                    let (g, a, after, before) =
                        (&g[block.clone()], &a[block.clone()], &after[block.clone()], &before[block.clone()]);
                    let (l, to) = (&mut l[block.clone()], &mut to_a[block]);
                    for i in 0..to.len() {
                        let sum = g[i] + a[i] * after[i];
                        l[i] = sum;
                        to[i] = sum * before[i];
                    }
                }
            }
        },
    );
}

/// x_t ∘ h_(t-1), with `first` before the first step of the order.
pub(crate) fn times_step_before<T: Scalar>(x: Rows<'_, T>, h: Rows<'_, T>, first: &[T], order: Order, to: &mut [T]) {
    for k in 0..order.steps {
        let t = order.step(k);
        let before = if k == 0 { first } else { h.row(order.step(k - 1)) };
        each_pair(x.row(t), before, &mut to[t * first.len()..][..first.len()], |x, h| x * h);
    }
}

/// Runs `f` compiled for the widest vectors of the processor. The loops wait for memory; with wide vectors, more loads are under way at
/// a time.
fn with_wide_vectors(f: impl FnOnce()) {
    struct Wide<F>(F);
    impl<F: FnOnce()> SimdOp for Wide<F> {
        type Output = ();
        #[inline(always)]
        fn eval<I: Isa>(self, _: I) {
            self.0();
        }
    }
    Wide(f).dispatch();
}
