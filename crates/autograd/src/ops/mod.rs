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
const BY_HAND: &[(&str, &str)] = &[
    accumulate::SUM_OF_TERMS,
    cotangent::MAP_COTANGENT,
    layout::CONCAT,
    layout::STACK,
    linalg::AFFINE,
    recurrence::LINEAR_RECURRENCE,
];

/// The built-in ops, each with its docs.
fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lists = [
        activation::OPS,
        arithmetic::OPS,
        elementary::OPS,
        gather::OPS,
        layout::OPS,
        linalg::OPS,
        loss::OPS,
        parts::OPS,
        recurrence::OPS,
        reduce::OPS,
        select::OPS,
        softmax::OPS,
        BY_HAND,
    ];
    lists.into_iter().flatten().copied()
}

/// The names of all built-in ops, as a tape records them. A test proves that each has a row in the table of ops.
///
/// ```
/// assert!(rewind_autograd::ops::names().any(|name| name == "matmul"));
/// ```
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|(name, _)| name)
}

/// The docs of a built-in op, in Markdown, by the name that a tape records; `None` if there is none of that name. The first paragraph
/// has its value and its rules. [`ops!`](crate::ops!) makes a list of the same for ops of your own.
///
/// ```
/// use rewind_autograd::{Tape, Tensor, ops};
/// let tape = Tape::new();
/// let y = tape.leaf(Tensor::scalar(0.5)).sin();
/// let docs = ops::docs(tape.node(y.position()).name).expect("sin is built in");
/// assert_eq!(docs.trim(), "y = sin x; x̄ = ȳ·cos x.");
/// ```
pub fn docs(op: &str) -> Option<&'static str> {
    all().find_map(|(name, docs)| (name == op).then_some(docs))
}
