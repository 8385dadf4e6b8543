//! Softmax, its logarithm, and ln Σ e^x, safe for logits of any size.
//!
//! All three work on lanes, the elements along one axis. They subtract the largest element m of a lane first and take
//! the logarithm last: with R = Σ e^(x - m) over all other elements of the lane, ln Σ e^x = m + ln(1 + R). Subtracting
//! ln Σ e^x itself would add its rounding error, which grows with m. And ln(1 + R) preserves an R that is tiny compared
//! with 1, which is the entire loss of a confident prediction.
//!
//! Infinities: e^-∞ is 0, so an entry of -∞ has probability 0. In a lane of -∞ alone every probability is 0, ln Σ e^x
//! is -∞, and no gradient flows. One entry of +∞ has probability 1; several share it. A NaN makes its lane NaN.

use super::reduce::first_max;
use crate::kernels::elementwise::{rows, rows_mut};
use crate::kernels::reduce::sum_slice;
use crate::shape::check_axis;
use crate::{Scalar, Tensor, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// y = e^x / Σ e^x along `axis`; x̄ = y·(ȳ - Σ y·ȳ). Sums to 1 for logits of any size. [Infinities](crate::ops::softmax).
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let logits = tape.leaf(Tensor::from_vec(vec![1e8_f32, 1e8], &[2]));
    /// assert_eq!(logits.softmax(0).value().to_vec(), [0.5, 0.5]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis.
    pub method softmax = Softmax(x; axis: usize) -> y {
        check: check_axis("softmax", &x.shape(), axis),
        value: softmax(x, axis),
        x: |g, y| g.tape().apply(SoftmaxVjp { axis }, &[y, g]),
    }

    /// y·(h - Σ y·h) along an axis with h = g - g_m, g_m that of the most probable entry: the adjoint of the softmax in one pass.
    /// Inputs y and g, cotangent c: ȳ' = c·(h - Σ y·h) - h·Σ y·c, ḡ' = p - δ_m·Σp with p = y·(c - Σ y·c).
    ///
    /// Since y sums to 1, g_m changes nothing in exact arithmetic. Without it, the sum, which is close to g_m, would
    /// cancel the gradient of a confident prediction.
    pub op softmax_vjp = SoftmaxVjp(y, g; axis: usize) {
        value: by_lanes(y, g, axis, softmax_vjp),
        y: |c, y, g| {
            let h = g - sum_along(first_max(y, axis) * g, axis);
            c * (h - sum_along(y * h, axis)) - h * sum_along(y * c, axis)
        },
        g: |c, y| {
            let likely = first_max(y, axis);
            let p = y * (c - sum_along(y * c, axis));
            p - likely * sum_along(p, axis)
        },
    }

    /// y = x - ln Σ e^x along `axis`; x̄ = ȳ - e^y·Σȳ. The logarithm of the softmax, without rounding the softmax
    /// first: safe for logits of any size, accurate where the softmax is close to 1.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let logits = tape.leaf(Tensor::from_vec(vec![40.0, 0.0], &[2])); // e^-40 is far below the rounding of 1
    /// let y: f64 = logits.log_softmax(0).value().to_vec()[0];
    /// assert!((y / -4.248354255291589e-18 - 1.0).abs() < 1e-14);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis.
    pub method log_softmax = LogSoftmax(x; axis: usize) -> y {
        check: check_axis("log_softmax", &x.shape(), axis),
        value: log_softmax(x, axis),
        x: |g, y| g.tape().apply(LogSoftmaxVjp { axis }, &[y, g]),
    }

    /// ȳ - e^y·Σȳ along an axis: the adjoint of the logarithm of the softmax in one pass. Inputs y and g, cotangent c:
    /// ȳ' = -e^y·c·Σg, ḡ' = c - Σ e^y·c.
    ///
    /// Computed as (1 - e^y)·g - e^y·Σ'g, where Σ' leaves out the entry itself: no terms cancel where the softmax is close to one.
    /// A lane of g that is 0 has gradient 0, whatever y is there: its target is ignored.
    pub op log_softmax_vjp = LogSoftmaxVjp(y, g; axis: usize) {
        value: by_lanes(y, g, axis, log_softmax_vjp),
        y: |c, y, g| -(y.exp() * c * sum_along(g, axis)),
        g: |c, y| c - sum_along(y.exp() * c, axis),
    }

    /// y = ln Σ e^x along `axis`, which is removed; x̄ = ȳ·softmax x. Safe for elements of any size. -∞ over an empty
    /// axis.
    ///
    /// ```
    /// use rewind_autograd::{Tape, Tensor};
    /// let tape = Tape::new();
    /// let x = tape.leaf(Tensor::full(&[2], f64::NEG_INFINITY)); // two impossible paths
    /// let y = x.log_sum_exp(0);
    /// assert_eq!(y.value().item(), f64::NEG_INFINITY);
    /// assert_eq!(y.backward().get(x).to_vec(), [0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If there is no such axis.
    pub method log_sum_exp = LogSumExp(x; axis: usize) {
        check: check_axis("log_sum_exp", &x.shape(), axis),
        value: log_sum_exp(x, axis),
        x: |g, x| g.unsqueeze(axis) * x.softmax(axis),
    }
}

/// Σ v along `axis`, with the axis retained at length 1.
fn sum_along<T: Scalar>(v: Var<'_, T>, axis: usize) -> Var<'_, T> {
    v.sum_axis(axis).unsqueeze(axis)
}

fn softmax<T: Scalar>(x: &Tensor<T>, axis: usize) -> Tensor<T> {
    let mut lanes = Lanes::new(x, axis);
    lanes.each_exponentials(|row, total| {
        // A lane of -∞ has no total; its entries are 0 already.
        if total.sum() != T::ZERO {
            row.iter_mut().for_each(|e| *e = *e / total.sum());
        }
    });
    lanes.restored()
}

fn softmax_vjp<T: Scalar>(y: &[T], g: &[T], x: &mut [T]) {
    let likely = (0..y.len()).reduce(|best, i| if y[i] > y[best] { i } else { best });
    let own = likely.map_or(T::ZERO, |likely| g[likely]);
    x.iter_mut().zip(y.iter().zip(g)).for_each(|(x, (&y, &g))| *x = y * (g - own));
    let sum = sum_slice(x);
    x.iter_mut().zip(y).for_each(|(x, &y)| *x = *x - y * sum);
}

fn log_softmax<T: Scalar>(x: &Tensor<T>, axis: usize) -> Tensor<T> {
    let mut lanes = Lanes::new(x, axis);
    let shifted = lanes.elements.clone();
    let mut logarithms = Vec::with_capacity(lanes.count());
    lanes.each_exponentials(|_, total| logarithms.push(total.ln()));
    lanes.elements = shifted;
    for (row, ln) in rows_mut(lanes.elements.as_mut_slice(), lanes.length).zip(logarithms) {
        row.iter_mut().for_each(|s| *s = *s - ln);
    }
    lanes.restored()
}

fn log_softmax_vjp<T: Scalar>(y: &[T], g: &[T], x: &mut [T]) {
    if g.iter().all(|&g| g == T::ZERO) {
        return x.fill(T::ZERO);
    }
    T::exp_slice(y, x);
    let likely = x.iter().position(|&e| e > T::from_f64(0.5));
    let sum = sum_slice(g);
    let at_likely = likely.map(|i| {
        let others = sum_slice(&g[..i]) + sum_slice(&g[i + 1..]);
        (i, -(y[i].exp_m1() * g[i]) - x[i] * others)
    });
    // For all other entries 1 - e^y is at least ½, so the rounding of the sum stays small.
    x.iter_mut().zip(g).for_each(|(x, &g)| *x = (T::ONE - *x) * g - *x * (sum - g));
    if let Some((i, exact)) = at_likely {
        x[i] = exact;
    }
}

fn log_sum_exp<T: Scalar>(x: &Tensor<T>, axis: usize) -> Tensor<T> {
    let mut lanes = Lanes::new(x, axis);
    let mut logarithms = Vec::with_capacity(lanes.count());
    lanes.each_exponentials(|_, total| logarithms.push(total.ln()));
    let mut shape = x.shape().to_vec();
    shape.remove(axis);
    // Over an empty axis there are no lanes to walk, and every sum is 0.
    logarithms.resize(lanes.count(), T::ZERO);
    Tensor::build(&shape, |to| {
        let sums = lanes.largest.iter().zip(&logarithms);
        to.iter_mut().zip(sums).for_each(|(to, (&largest, &ln))| *to = largest + ln);
    })
}

/// What `f` writes for every lane along `axis` of two tensors of one shape.
fn by_lanes<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>, axis: usize, f: impl Fn(&[T], &[T], &mut [T])) -> Tensor<T> {
    let length = a.shape()[axis];
    let [a, b] = [a, b].map(|x| x.with_axis_last(axis).to_contiguous());
    let (from, other) = (a.as_slice().unwrap_or_default(), b.as_slice().unwrap_or_default());
    let lanes = Tensor::build(a.shape(), |to| {
        let lanes = rows(from, length).zip(rows(other, length)).zip(rows_mut(to, length));
        lanes.for_each(|((a, b), to)| f(a, b, to));
    });
    lanes.with_last_axis_at(axis).to_contiguous()
}

/// The lanes of a tensor along one axis, contiguous, with the largest element of each subtracted.
struct Lanes<T: Scalar> {
    axis: usize,
    length: usize,
    /// The largest element of every lane; -∞ if all are NaN.
    largest: Vec<T>,
    /// x - m, of the tensor's shape with `axis` as the last one.
    elements: Tensor<T>,
}

/// Σ e^(x - m) over one lane.
#[derive(Clone, Copy)]
struct Total<T> {
    /// The share of the largest element: 1, or 0 in a lane of -∞.
    largest: T,
    /// The share of all other elements.
    others: T,
}

impl<T: Scalar> Total<T> {
    fn sum(self) -> T {
        self.largest + self.others
    }

    /// The logarithm of the sum; 0 in a lane of -∞, where m is -∞ already.
    fn ln(self) -> T {
        if self.largest == T::ZERO { self.others } else { self.others.ln_1p() }
    }
}

impl<T: Scalar> Lanes<T> {
    fn new(x: &Tensor<T>, axis: usize) -> Self {
        let length = x.shape()[axis];
        let mut elements = x.with_axis_last(axis).to_contiguous();
        let count = elements.shape()[..elements.rank() - 1].iter().product();
        let mut largest = vec![-T::INFINITY; count];
        for (row, largest) in rows_mut(elements.as_mut_slice(), length).zip(&mut largest) {
            *largest = row.iter().fold(-T::INFINITY, |a, &b| if b > a { b } else { a });
            if largest.is_finite() {
                row.iter_mut().for_each(|x| *x = *x - *largest);
            } else if *largest == T::INFINITY {
                // ∞ - ∞ would be NaN.
                row.iter_mut().for_each(|x| *x = if *x == T::INFINITY { T::ZERO } else { *x - T::INFINITY });
            }
        }
        Lanes { axis, length, largest, elements }
    }

    fn count(&self) -> usize {
        self.largest.len()
    }

    /// Replaces x - m by e^(x - m), and calls `f` with every lane and its total.
    fn each_exponentials(&mut self, mut f: impl FnMut(&mut [T], Total<T>)) {
        self.elements = self.elements.map_slices(T::exp_slice);
        for row in rows_mut(self.elements.as_mut_slice(), self.length) {
            let total = total(row);
            f(row, total);
        }
    }

    /// The elements, with the axis at its position again.
    fn restored(self) -> Tensor<T> {
        self.elements.with_last_axis_at(self.axis).to_contiguous()
    }
}

/// The sum of a lane of e^(x - m). The largest element is one that is exactly e^0; it alone is left out of `others`.
fn total<T: Scalar>(row: &mut [T]) -> Total<T> {
    match row.iter().position(|&e| e == T::ONE) {
        Some(at) => {
            row[at] = T::ZERO;
            let others = sum_slice(row);
            row[at] = T::ONE;
            Total { largest: T::ONE, others }
        }
        None => Total { largest: T::ZERO, others: sum_slice(row) },
    }
}
