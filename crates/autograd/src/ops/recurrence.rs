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

use super::table::by_hand;
use crate::kernels::recurrence::{self, Order, Rows};
use crate::shape::{Shape, mismatch, stretches_to};
use crate::{Op, Reads, Scalar, Site, Tensor, Term, Var, ops};

ops! {
    pub(super) const OPS: [(name, docs)];

    /// The cotangents of a and b from that of h, g, stacked: y_1 = l, l_t = g_t + a_(t+1) ∘ l_(t+1), which is the recurrence in the
    /// opposite order with a shifted by a step; y_0 = l_t ∘ h_(t-1). `[2, T, …]`, in one pass. The cotangent of l in all is
    /// l̄_t = ȳ_1 + ȳ_0 ∘ h_(t-1); ḡ is the recurrence with l̄ as b, and ā_t = l_t ∘ ḡ_(t-1).
    pub op linear_recurrence_vjp = LinearRecurrenceVjp(a, g, first, h; reversed: bool) -> y {
        value: vjp_value(a, g, first, h, reversed),
        a: |c, a, first, h, y| {
            let zero = zero_state(h);
            times_step_before(y.index(0, 1), through_l(c, a, first, h, reversed), zero, reversed)
        },
        g: |c, a, first, h| through_l(c, a, first, h, reversed),
        first: |c, y| product_at_first_step(c.index(0, 0), y.index(0, 1), reversed),
        h: |c, y| moved_to_step_before(c.index(0, 0) * y.index(0, 1), reversed),
    }

    /// y_t = x_t ∘ h_(t-1), with h_0 = first: the cotangent of a, where x is that of b. x̄_t = ȳ_t ∘ h_(t-1), h̄_(t-1) = ȳ_t ∘ x_t.
    pub op times_step_before = TimesStepBefore(x, h, first; reversed: bool) {
        value: times_step_before_value(x, h, first, reversed),
        x: |g, h, first| times_step_before(g, h, first, reversed),
        h: |g, x| moved_to_step_before(g * x, reversed),
        first: |g, x| product_at_first_step(g, x, reversed),
    }
}

by_hand! {
    LINEAR_RECURRENCE = "linear_recurrence";

    /// h_t = a_t ∘ h_(t-1) + b_t along the first axis, h_0 = first; if reversed, h_t = a_t ∘ h_(t+1) + b_t and h_(T+1) = first.
    /// b̄_t = l_t = h̄_t + a_(t+1) ∘ l_(t+1), ā_t = l_t ∘ h_(t-1), and first's cotangent is a_1 ∘ l_1.
    #[derive(Clone, Copy, Debug)]
    pub struct LinearRecurrence {
        reversed: bool,
    }
}

impl<T: Scalar> Op<T> for LinearRecurrence {
    fn name(&self) -> &'static str {
        "linear_recurrence"
    }
    fn forward(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        recurrence_value(inputs[0], inputs[1], inputs[2], self.reversed)
    }
    fn vjp<'t>(&self, input: usize, at: &Site<'t, T>) -> Term<'t, T> {
        let &LinearRecurrence { reversed } = self;
        let (a, first, h) = (at.input(0), at.input(2), at.output());
        let both = at.shared(|| at.tape().apply(LinearRecurrenceVjp { reversed }, &[a, at.cotangent(), first, h]));
        match input {
            0 | 1 => Term::Dense(both.index(0, input)),
            _ => product_at_first_step(a, both.index(0, 1), reversed),
        }
    }
    fn reads(&self) -> Reads {
        Reads::input(0).and(Reads::input(2)).and(Reads::OUTPUT)
    }
    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("reversed", format!("{:?}", self.reversed))]
    }
}

/// The recurrence with all inputs of their full shapes.
fn recur<'t, T: Scalar>(a: Var<'t, T>, b: Var<'t, T>, first: Var<'t, T>, reversed: bool) -> Var<'t, T> {
    b.tape().apply(LinearRecurrence { reversed }, &[a, b, first])
}

fn times_step_before<'t, T: Scalar>(x: Var<'t, T>, h: Var<'t, T>, first: Var<'t, T>, reversed: bool) -> Var<'t, T> {
    x.tape().apply(TimesStepBefore { reversed }, &[x, h, first])
}

/// The cotangent of g in [`LinearRecurrenceVjp`].
fn through_l<'t, T: Scalar>(
    c: Var<'t, T>,
    a: Var<'t, T>,
    first: Var<'t, T>,
    h: Var<'t, T>,
    reversed: bool,
) -> Var<'t, T> {
    let of_l = c.index(0, 1) + times_step_before(c.index(0, 0), h, first, reversed);
    recur(a, of_l, zero_state(h), reversed)
}

/// A state of zeros for a recurrence of the shape of `rows`.
fn zero_state<T: Scalar>(rows: Var<'_, T>) -> Var<'_, T> {
    rows.tape().zeros(&rows.shape()[1..])
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

fn vjp_value<T: Scalar>(a: &Tensor<T>, g: &Tensor<T>, first: &Tensor<T>, h: &Tensor<T>, reversed: bool) -> Tensor<T> {
    let order = Order { steps: h.shape()[0], reversed };
    let (rows, first) = ([a, g, h].map(InTime::of), first.to_contiguous());
    let [a, g, h_rows] = rows.each_ref().map(InTime::rows);
    let shape: Shape = [2].into_iter().chain(h.shape().iter().copied()).collect();
    Tensor::build(&shape, |to| {
        recurrence::adjoint(a, g, slice(&first), h_rows, order, to.split_at_mut(h.len()).into());
    })
}

fn times_step_before_value<T: Scalar>(x: &Tensor<T>, h: &Tensor<T>, first: &Tensor<T>, reversed: bool) -> Tensor<T> {
    let order = Order { steps: x.shape()[0], reversed };
    let (rows, first) = ([x, h].map(InTime::of), first.to_contiguous());
    let [x_rows, h] = rows.each_ref().map(InTime::rows);
    Tensor::build(x.shape(), |to| recurrence::times_step_before(x_rows, h, slice(&first), order, to))
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
