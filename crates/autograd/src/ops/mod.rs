//! The built-in ops: rows of [`ops!`](crate::ops!), with their docs, their value and a rule for each input, and the
//! methods of [`Var`](crate::Var) that record them. Ops with any number of inputs implement [`Op`](crate::Op) by hand.
//!
//! Notation: for an op y = f(x), x̄ is the cotangent of x: the derivative of the final scalar with respect to x.

pub mod accumulate;
pub mod activation;
pub mod arithmetic;
pub mod cotangent;
pub mod elementary;
pub mod gather;
pub mod layout;
pub mod linalg;
pub mod loss;
pub mod parts;
pub mod recurrence;
pub mod reduce;
pub mod select;
pub mod softmax;
mod table;

#[doc(hidden)]
pub use table::wrong_arity;

/// The ops that are written by hand: those with any number of inputs, with a function as a setting, or whose rules share a value.
const BY_HAND: &[&str] = &["affine", "concat", "linear_recurrence", "map_cotangent", "stack", "sum_of_terms"];

/// The names of all built-in ops, as a tape records them. A test proves that each has a row in the table of ops.
///
/// ```
/// assert!(rewind_autograd::ops::names().any(|name| name == "matmul"));
/// ```
pub fn names() -> impl Iterator<Item = &'static str> {
    let lists = [
        activation::NAMES,
        arithmetic::NAMES,
        elementary::NAMES,
        gather::NAMES,
        layout::NAMES,
        linalg::NAMES,
        loss::NAMES,
        parts::NAMES,
        recurrence::NAMES,
        reduce::NAMES,
        select::NAMES,
        softmax::NAMES,
        BY_HAND,
    ];
    lists.into_iter().flatten().copied()
}
