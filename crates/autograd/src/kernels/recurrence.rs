//! Linear recurrences over rows, h_t = a_t ∘ h_(t-1) + b_t, and their adjoints: one pass each, in which every operand is
//! read from memory once. The row before is still in the cache.

use crate::Scalar;
use crate::storage::Buffer;

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
    for k in 0..order.steps {
        let t = order.step(k);
        let (row, before) = order.row_and_before(to, t, first.len());
        let before = if k == 0 { first } else { before };
        for (((to, &a), &b), &before) in row.iter_mut().zip(a.row(t)).zip(b.row(t)).zip(before) {
            *to = a * before + b;
        }
    }
}

/// The cotangent of b: l_t = g_t + a_(t+1) ∘ l_(t+1).
pub(crate) fn adjoint<T: Scalar>(a: Rows<'_, T>, g: Rows<'_, T>, order: Order, to: &mut [T]) {
    let order = order.opposite();
    for k in 0..order.steps {
        let t = order.step(k);
        let (row, after) = order.row_and_before(to, t, g.width);
        if k == 0 {
            row.copy_from_slice(g.row(t));
            continue;
        }
        let a = a.row(order.step(k - 1));
        for (((to, &g), &a), &after) in row.iter_mut().zip(g.row(t)).zip(a).zip(after) {
            *to = g + a * after;
        }
    }
}

/// The cotangent of a: l_t ∘ h_(t-1), with l as in [`adjoint`]. Of l, one row is stored.
pub(crate) fn adjoint_times_before<T: Scalar>(
    a: Rows<'_, T>,
    g: Rows<'_, T>,
    first: &[T],
    h: Rows<'_, T>,
    order: Order,
    to: &mut [T],
) {
    let order = order.opposite();
    Buffer::filled(g.width, |l| {
        for k in 0..order.steps {
            let t = order.step(k);
            let row = &mut to[t * g.width..][..g.width];
            let before = if k + 1 == order.steps { first } else { h.row(order.step(k + 1)) };
            if k == 0 {
                l.copy_from_slice(g.row(t));
                row.iter_mut().zip(&*l).zip(before).for_each(|((to, &l), &before)| *to = l * before);
                continue;
            }
            let a = a.row(order.step(k - 1));
            for ((((to, l), &g), &a), &before) in row.iter_mut().zip(&mut *l).zip(g.row(t)).zip(a).zip(before) {
                *l = g + a * *l;
                *to = *l * before;
            }
        }
    });
}
