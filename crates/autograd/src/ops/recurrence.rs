//! Linear recurrences over time, h_t = a_t ∘ h_(t-1) + b_t: all time steps in one node.
//!
//! ```
//! use rewind_autograd::ops::recurrence::{linear_recurrence, linear_recurrence_reversed};
//! use rewind_autograd::{Tape, Tensor};
//! let tape = Tape::new();
//! let a = tape.leaf(Tensor::full(&[3, 1], 0.5));
//! let b = tape.leaf(Tensor::from_vec(vec![1.0, 2.0, 4.0], &[3, 1]));
//! let first = tape.leaf(Tensor::from_vec(vec![2.0], &[1]));
//! let h = linear_recurrence(a, b, first);
//! assert_eq!(h.value().to_vec(), [2.0, 3.0, 5.5]);
//! assert_eq!(linear_recurrence_reversed(a, b, first).value().to_vec(), [3.25, 4.5, 5.0]);
//!
//! let gradients = h.sum().backward(); // b̄_t = 1 + a_(t+1)·b̄_(t+1), ā_t = b̄_t·h_(t-1)
//! assert_eq!(gradients.get(b).to_vec(), [1.75, 1.5, 1.0]);
//! assert_eq!(gradients.get(a).to_vec(), [3.5, 3.0, 3.0]);
//! assert_eq!(gradients.get(first).to_vec(), [0.875]);
//! ```
//!
//! **Rounding.** A step rounds a product and a sum, as the same recurrence written with `*` and `+` does, and gives the same
//! bits. An error is multiplied by the coefficients that follow it: where |a| <= r < 1, the error of h_t is at most about
//! eps·max|h|/(1 - r), however many steps there are. With |a| = 1 it grows with their number; sums alone are more accurate by
//! [`cumsum`](Var::cumsum), which adds in blocks.
//!
//! **Overflow.** Products of coefficients are never formed, so a state overflows only if it, or a_t ∘ h_(t-1), is too large for the
//! type. From there on it is infinite or NaN: ∞·0 and ∞ - ∞ are NaN, so a coefficient of 0 does not make it finite again. Nothing
//! is clamped.

use super::layout::concat;
use crate::kernels::recurrence::{self, Order, Rows};
use crate::shape::{mismatch, stretches_to};
use crate::{Scalar, Tensor, Term, Var, ops};

ops! {
    pub(super) const NAMES;

    /// h_t = a_t ∘ h_(t-1) + b_t along the first axis, h_0 = first; if reversed, h_t = a_t ∘ h_(t+1) + b_t and h_(T+1) = first.
    /// b̄_t = l_t = h̄_t + a_(t+1) ∘ l_(t+1), ā_t = l_t ∘ h_(t-1), and first's cotangent is a_1 ∘ l_1.
    pub op linear_recurrence = LinearRecurrence(a, b, first; reversed: bool) -> h {
        value: recurrence_value(a, b, first, reversed),
        a: |g, a, first, h| times_before(a, g, first, h, reversed),
        b: |g, a| adjoint(a, g, reversed),
        first: |g, a| product_at_first_step(a, adjoint(a, g, reversed), reversed),
    }

    /// l_t = g_t + a_(t+1) ∘ l_(t+1): the cotangent of b, which is the recurrence in the opposite order with a shifted by a step.
    /// Cotangent c: ḡ is the recurrence with c as b, and ā_t = l_t ∘ ḡ_(t-1).
    pub op linear_recurrence_vjp = LinearRecurrenceVjp(a, g; reversed: bool) {
        value: adjoint_value(a, g, reversed),
        a: |c, a, g| {
            let zero = zero_state(c);
            times_before(a, g, zero, recur(a, c, zero, reversed), reversed)
        },
        g: |c, a| recur(a, c, zero_state(c), reversed),
    }

    /// l_t ∘ h_(t-1), with l as in [`LinearRecurrenceVjp`] and h_0 = first: the cotangent of a, in one pass. Cotangent c: l̄_t =
    /// c_t ∘ h_(t-1), from which ḡ and ā follow; h̄_(t-1) = c_t ∘ l_t.
    pub op linear_recurrence_coefficient_vjp = LinearRecurrenceCoefficientVjp(a, g, first, h; reversed: bool) {
        value: times_before_value([a, g, h], first, reversed),
        a: |c, a, g, first, h| {
            let zero = zero_state(c);
            times_before(a, g, zero, recur(a, c * before(first, h, reversed), zero, reversed), reversed)
        },
        g: |c, a, first, h| recur(a, c * before(first, h, reversed), zero_state(c), reversed),
        first: |c, a, g| product_at_first_step(c, adjoint(a, g, reversed), reversed),
        h: |c, a, g| moved_to_step_before(c * adjoint(a, g, reversed), reversed),
    }
}

/// The recurrence with all inputs of their full shapes.
fn recur<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>, first: Var<'t, T>, reversed: bool) -> Var<'t, T> {
    b.tape().apply(LinearRecurrence { reversed }, &[a, b, first])
}

fn adjoint<'t, T: Scalar>(a: Var<'t, T>, g: Var<'t, T>, reversed: bool) -> Var<'t, T> {
    g.tape().apply(LinearRecurrenceVjp { reversed }, &[a, g])
}

fn times_before<'t, T: Scalar>(
    a: Var<'t, T>,
    g: Var<'t, T>,
    first: Var<'t, T>,
    h: Var<'t, T>,
    reversed: bool,
) -> Var<'t, T> {
    g.tape().apply(LinearRecurrenceCoefficientVjp { reversed }, &[a, g, first, h])
}

/// A state of zeros for a recurrence of the shape of `rows`.
fn zero_state<T: Scalar>(rows: Var<'_, T>) -> Var<'_, T> {
    rows.tape().zeros(&rows.shape()[1..])
}

/// The rows of the step before each, `first` before the first step.
fn before<'t, T: Scalar>(first: Var<'t, T>, h: Var<'t, T>, reversed: bool) -> Var<'t, T> {
    let (first, steps) = (first.unsqueeze(0), h.shape()[0]);
    match (reversed, steps) {
        (_, 0) => h,
        (false, _) => concat(&[first, h.slice(0, 0..steps - 1)], 0),
        (true, _) => concat(&[h.slice(0, 1..steps), first], 0),
    }
}

/// Every row moved to the step before, that of the first step left out.
fn moved_to_step_before<T: Scalar>(rows: Var<'_, T>, reversed: bool) -> Term<'_, T> {
    match (reversed, rows.shape()[0]) {
        (_, 0) => Term::Zero,
        (false, steps) => Term::Slice { part: rows.slice(0, 1..steps), axis: 0, start: 0 },
        (true, steps) => Term::Slice { part: rows.slice(0, 0..steps - 1), axis: 0, start: 1 },
    }
}

/// x ∘ y at the step that is computed first; nothing if there is none.
fn product_at_first_step<'t, T: Scalar>(x: Var<'t, T>, y: Var<'t, T>, reversed: bool) -> Term<'t, T> {
    match (reversed, y.shape()[0]) {
        (_, 0) => Term::Zero,
        (false, _) => Term::Dense(x.index(0, 0) * y.index(0, 0)),
        (true, steps) => Term::Dense(x.index(0, steps - 1) * y.index(0, steps - 1)),
    }
}

/// A tensor `[T, …]` as contiguous rows. A row that is broadcast along the first axis is not repeated.
struct InTime<T: Scalar> {
    rows: Tensor<T>,
    width: usize,
    repeated: bool,
}

impl<T: Scalar> InTime<T> {
    fn of(x: &Tensor<T>) -> Self {
        let width = x.shape()[1..].iter().product();
        let repeated = x.shape()[0] > 1 && x.strides()[0] == 0;
        let rows = if repeated { x.index(0, 0).to_contiguous() } else { x.to_contiguous() };
        InTime { rows, width, repeated }
    }

    fn rows(&self) -> Rows<'_, T> {
        Rows { data: slice(&self.rows), width: self.width, repeated: self.repeated }
    }
}

fn slice<T: Scalar>(x: &Tensor<T>) -> &[T] {
    x.as_slice().expect("contiguous by construction")
}

fn recurrence_value<T: Scalar>(a: &Tensor<T>, b: &Tensor<T>, first: &Tensor<T>, reversed: bool) -> Tensor<T> {
    let order = Order { steps: b.shape()[0], reversed };
    let (rows, first) = ([a, b].map(InTime::of), first.to_contiguous());
    let [a, b_rows] = rows.each_ref().map(InTime::rows);
    Tensor::build(b.shape(), |to| recurrence::recurrence(a, b_rows, slice(&first), order, to))
}

fn adjoint_value<T: Scalar>(a: &Tensor<T>, g: &Tensor<T>, reversed: bool) -> Tensor<T> {
    let order = Order { steps: g.shape()[0], reversed };
    let rows = [a, g].map(InTime::of);
    let [a, g_rows] = rows.each_ref().map(InTime::rows);
    Tensor::build(g.shape(), |to| recurrence::adjoint(a, g_rows, order, to))
}

fn times_before_value<T: Scalar>(rows: [&Tensor<T>; 3], first: &Tensor<T>, reversed: bool) -> Tensor<T> {
    let (shape, order) = (rows[2].shape(), Order { steps: rows[2].shape()[0], reversed });
    let (rows, first) = (rows.map(InTime::of), first.to_contiguous());
    let [a, g, h] = rows.each_ref().map(InTime::rows);
    Tensor::build(shape, |to| recurrence::adjoint_times_before(a, g, slice(&first), h, order, to))
}

/// The linear recurrence h_t = a_t ∘ h_(t-1) + b_t, elementwise, over the first axis: the hidden state of a linear recurrent network
/// at all time steps, in one node. `b` `[T, …]`; `a` of a shape that broadcasts to it, such as `[T, …]` or one coefficient `[H]` for
/// all steps; `first` `[…]`, which is h_0. Result h_1 … h_T, `[T, …]`.
///
/// Forward and backward are one loop over time each, where T steps written with `*` and `+` take several nodes a step. The bits of
/// the value are the same. [Rounding and overflow](self).
///
/// # Panics
/// If the shapes do not fit: `b` has no axis, `a` does not broadcast to it, or `first` does not have the shape of a step of `b`.
#[track_caller]
pub fn linear_recurrence<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>, first: Var<'t, T>) -> Var<'t, T> {
    checked(a, b, first, false)
}

/// The recurrence from the last step to the first: h_t = a_t ∘ h_(t+1) + b_t, from h_(T+1) = `last`. Shapes as in
/// [`linear_recurrence`].
///
/// # Panics
/// As [`linear_recurrence`].
#[track_caller]
pub fn linear_recurrence_reversed<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>, last: Var<'t, T>) -> Var<'t, T> {
    checked(a, b, last, true)
}

#[track_caller]
fn checked<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>, first: Var<'t, T>, reversed: bool) -> Var<'t, T> {
    let [of_a, of_b, of_first] = [a, b, first].map(Var::shape);
    let fits = of_b.split_first().is_some_and(|(_, step)| *of_first == *step) && stretches_to(&of_a, &of_b);
    if !fits {
        let expected = "b [T, …], a that broadcasts to b, and a first state […] of b's other axes";
        mismatch("linear_recurrence", &[&of_a, &of_b, &of_first], expected);
    }
    let a = if *of_a == *of_b { a } else { a.broadcast_to(&of_b) };
    b.tape().apply(LinearRecurrence { reversed }, &[a, b, first])
}
