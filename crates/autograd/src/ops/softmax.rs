//! Softmax, its logarithm, and ln Σ e^x, safe for logits of any size.
//!
//! All three subtract the largest number m of a line first and take the logarithm last: with R = Σ e^(x - m) over all other
//! numbers of the line, ln Σ e^x = m + ln(1 + R). Subtracting ln Σ e^x itself would bring in its rounding, which grows with
//! m; and ln(1 + R) keeps an R that is tiny beside 1, which is the whole loss of a confident prediction.
//!
//! Infinities: e^-∞ is 0, so an entry of -∞ has probability 0; in a line of nothing but -∞ every entry has, ln Σ e^x is
//! -∞, and no gradient flows. One entry of +∞ has probability 1; several share it. NaN makes its line NaN.

use super::reduce::FirstMax;
use crate::kernels::elementwise::{rows, rows_mut};
use crate::kernels::reduce::sum_slice;
use crate::shape::check_axis;
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var};

/// y = e^x / Σ e^x along an axis; x̄ = y·(ȳ - Σ y·ȳ).
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    axis: usize,
}

impl<T: Scalar> Op<T> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut lines = Lines::new(inputs[0], self.axis);
        lines.each_exponentials(|row, total| {
            // A line of -∞ has no total; its entries are 0 as they stand.
            if total.sum() != T::ZERO {
                row.iter_mut().for_each(|e| *e = *e / total.sum());
            }
        });
        lines.restored()
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.tape().apply(SoftmaxVjp { axis: self.axis }, &[at.output(), at.cotangent()]))
    }
    fn reads(&self) -> Reads {
        Reads::OUTPUT
    }
}

/// y·(h - Σ y·h) along an axis with h = g - g_m, g_m that of the most probable entry: the adjoint of the softmax in one pass.
/// Inputs y and g, cotangent c: ȳ' = c·(h - Σ y·h) - h·Σ y·c, ḡ' = p - δ_m·Σp with p = y·(c - Σ y·c).
///
/// Of a y that sums to 1, g_m changes nothing. But without it the sum, which is next to g_m, would cancel the gradient of a
/// confident prediction.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxVjp {
    axis: usize,
}

impl<T: Scalar> Op<T> for SoftmaxVjp {
    fn name(&self) -> &'static str {
        "softmax_vjp"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        by_lines(inputs[0], inputs[1], self.axis, |y, g, products| {
            let likely = (0..y.len()).reduce(|best, i| if y[i] > y[best] { i } else { best });
            let own = likely.map_or(T::ZERO, |likely| g[likely]);
            products.iter_mut().zip(y.iter().zip(g)).for_each(|(product, (&y, &g))| *product = y * (g - own));
            let sum = sum_slice(products);
            products.iter_mut().zip(y).for_each(|(product, &y)| *product = *product - y * sum);
        })
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (y, g, c) = (at.input(0), at.input(1), at.cotangent());
        let likely = at.tape().apply(FirstMax { axis: self.axis }, &[y]);
        let sum = |v: Var<'t, T>| v.sum_axis(self.axis).unsqueeze(self.axis);
        Term::dense(match input {
            0 => {
                let h = g - sum(likely * g);
                c * (h - sum(y * h)) - h * sum(y * c)
            }
            _ => {
                let p = y * (c - sum(y * c));
                p - likely * sum(p)
            }
        })
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// y = x - ln Σ e^x along an axis; x̄ = ȳ - e^y·Σȳ.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax {
    axis: usize,
}

impl<T: Scalar> Op<T> for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut lines = Lines::new(inputs[0], self.axis);
        let shifted = lines.numbers.clone();
        let mut logarithms = Vec::with_capacity(lines.count());
        lines.each_exponentials(|_, total| logarithms.push(total.ln()));
        lines.numbers = shifted;
        for (row, ln) in rows_mut(lines.numbers.as_mut_slice(), lines.length).zip(logarithms) {
            row.iter_mut().for_each(|s| *s = *s - ln);
        }
        lines.restored()
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.tape().apply(LogSoftmaxVjp { axis: self.axis }, &[at.output(), at.cotangent()]))
    }
    fn reads(&self) -> Reads {
        Reads::OUTPUT
    }
}

/// ȳ - e^y·Σȳ along an axis: the adjoint of the logarithm of the softmax in one pass. Inputs y and g, cotangent c:
/// ȳ' = -e^y·c·Σg, ḡ' = c - Σ e^y·c.
///
/// Computed as (1 - e^y)·g - e^y·Σ'g, where Σ' leaves out the entry itself: no term cancels another where the softmax is next to
/// 1. A line of g that is 0 has gradient 0, whatever y is there: its target is ignored.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmaxVjp {
    axis: usize,
}

impl<T: Scalar> Op<T> for LogSoftmaxVjp {
    fn name(&self) -> &'static str {
        "log_softmax_vjp"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let half = T::from_f64(0.5);
        by_lines(inputs[0], inputs[1], self.axis, |y, g, x| {
            if g.iter().all(|&g| g == T::ZERO) {
                return x.fill(T::ZERO);
            }
            T::exp_slice(y, x);
            let likely = x.iter().position(|&e| e > half);
            let sum = sum_slice(g);
            let at_likely = likely.map(|i| {
                let others = sum_slice(&g[..i]) + sum_slice(&g[i + 1..]);
                (i, -(y[i].exp_m1() * g[i]) - x[i] * others)
            });
            // Of all other entries 1 - e^y is at least a half, and keeps what rounding the sum brings in small.
            x.iter_mut().zip(g).for_each(|(x, &g)| *x = (T::ONE - *x) * g - *x * (sum - g));
            if let Some((i, exact)) = at_likely {
                x[i] = exact;
            }
        })
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let (y, g, c) = (at.input(0), at.input(1), at.cotangent());
        let sum = |v: Var<'t, T>| v.sum_axis(self.axis).unsqueeze(self.axis);
        Term::dense(match input {
            0 => -(y.exp() * c * sum(g)),
            _ => c - sum(y.exp() * c),
        })
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// What `f` writes for every line along `axis` of two tensors of one shape.
fn by_lines<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>, axis: usize, f: impl Fn(&[T], &[T], &mut [T])) -> Tensor<T> {
    let length = a.shape()[axis];
    let [a, b] = [a, b].map(|x| x.with_axis_last(axis).to_contiguous());
    let (from, other) = (a.as_slice().unwrap_or_default(), b.as_slice().unwrap_or_default());
    let lines = Tensor::build(a.shape(), |to| {
        let lines = rows(from, length).zip(rows(other, length)).zip(rows_mut(to, length));
        lines.for_each(|((a, b), to)| f(a, b, to));
    });
    lines.with_last_axis_at(axis).to_contiguous()
}

/// y = ln Σ e^x along an axis, which is gone from y; x̄ = ȳ·softmax x.
#[derive(Clone, Copy, Debug)]
pub struct LogSumExp {
    axis: usize,
}

impl<T: Scalar> Op<T> for LogSumExp {
    fn name(&self) -> &'static str {
        "log_sum_exp"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let mut lines = Lines::new(inputs[0], self.axis);
        let mut logarithms = Vec::with_capacity(lines.count());
        lines.each_exponentials(|_, total| logarithms.push(total.ln()));
        let mut shape = inputs[0].shape().to_vec();
        shape.remove(self.axis);
        // Over an empty axis there are no lines to walk, and every sum is 0.
        logarithms.resize(lines.count(), T::ZERO);
        Tensor::build(&shape, |to| {
            let sums = lines.largest.iter().zip(&logarithms);
            to.iter_mut().zip(sums).for_each(|(to, (&largest, &ln))| *to = largest + ln);
        })
    }
    fn vjp<'t>(&self, _input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        Term::dense(at.cotangent().unsqueeze(self.axis) * at.input(0).softmax(self.axis))
    }
    fn reads(&self) -> Reads {
        Reads::INPUTS
    }
}

/// The lines of a tensor along one axis, laid one after another, with the largest number of each subtracted.
struct Lines<T: Scalar> {
    axis: usize,
    length: usize,
    /// The largest number of every line; -∞ if there is none but NaN.
    largest: Vec<T>,
    /// x - m, of the tensor's shape with `axis` as the last one.
    numbers: Tensor<T>,
}

/// Σ e^(x - m) over one line.
#[derive(Clone, Copy)]
struct Total<T> {
    /// The share of the largest number: 1, or 0 in a line of -∞.
    largest: T,
    /// The share of all other numbers.
    others: T,
}

impl<T: Scalar> Total<T> {
    fn sum(self) -> T {
        self.largest + self.others
    }

    /// The logarithm of the sum; 0 in a line of -∞, where m = -∞ says it all.
    fn ln(self) -> T {
        if self.largest == T::ZERO { self.others } else { self.others.ln_1p() }
    }
}

impl<T: Scalar> Lines<T> {
    fn new(x: &Tensor<T>, axis: usize) -> Self {
        let length = x.shape()[axis];
        let mut numbers = x.with_axis_last(axis).to_contiguous();
        let count = numbers.shape()[..numbers.rank() - 1].iter().product();
        let mut largest = vec![-T::INFINITY; count];
        for (row, largest) in rows_mut(numbers.as_mut_slice(), length).zip(&mut largest) {
            *largest = row.iter().fold(-T::INFINITY, |a, &b| if b > a { b } else { a });
            if largest.is_finite() {
                row.iter_mut().for_each(|x| *x = *x - *largest);
            } else if *largest == T::INFINITY {
                // ∞ - ∞ would be NaN.
                row.iter_mut().for_each(|x| *x = if *x == T::INFINITY { T::ZERO } else { *x - T::INFINITY });
            }
        }
        Lines { axis, length, largest, numbers }
    }

    fn count(&self) -> usize {
        self.largest.len()
    }

    /// Puts e^(x - m) in the place of x - m, and calls `f` with every line of that and its total.
    fn each_exponentials(&mut self, mut f: impl FnMut(&mut [T], Total<T>)) {
        self.numbers = self.numbers.map_slices(T::exp_slice);
        for row in rows_mut(self.numbers.as_mut_slice(), self.length) {
            let total = total(row);
            f(row, total);
        }
    }

    /// The numbers, with the axis back in its place.
    fn restored(self) -> Tensor<T> {
        self.numbers.with_last_axis_at(self.axis).to_contiguous()
    }
}

/// The sum of a line of e^(x - m). The largest number, and it alone is left out, is one that is exactly e^0.
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

impl<'t, T: Scalar> Var<'t, T> {
    /// e^x / Σ e^x along `axis`; sums to 1 for logits of any size. [Infinities](crate::ops::softmax).
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
    #[track_caller]
    pub fn softmax(self, axis: usize) -> Self {
        check_axis("softmax", &self.shape(), axis);
        self.tape().apply(Softmax { axis }, &[self])
    }

    /// ln softmax along `axis`, without a logarithm of a rounded number: safe for logits of any size, exact where the
    /// softmax is next to 1.
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
    #[track_caller]
    pub fn log_softmax(self, axis: usize) -> Self {
        check_axis("log_softmax", &self.shape(), axis);
        self.tape().apply(LogSoftmax { axis }, &[self])
    }

    /// ln Σ e^x along `axis`, which is gone from the result; safe for numbers of any size. -∞ over an empty axis.
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
    #[track_caller]
    pub fn log_sum_exp(self, axis: usize) -> Self {
        check_axis("log_sum_exp", &self.shape(), axis);
        self.tape().apply(LogSumExp { axis }, &[self])
    }
}
