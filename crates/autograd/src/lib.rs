//! Tape-based reverse-mode automatic differentiation.
//!
//! A [`Tape`] records what is computed with [`Var`]s, and a reverse pass over it gives gradients. Rules are written
//! once, in differentiable ops, so a gradient can be recorded and differentiated again, to any order.
//!
//! ```
//! use rewind_autograd::{Tape, Tensor};
//!
//! let tape = Tape::new();
//! let w = tape.leaf(Tensor::from_vec(vec![0.5, -0.25], &[2, 1]));
//! let mut h = tape.constant(Tensor::from_vec(vec![1.0, 2.0], &[1, 2]));
//! for _ in 0..3 {
//!     h = h * h.matmul(w).tanh() + 0.1; // the same w at every time step
//! }
//! let loss = (h * h).sum();
//! let gradient = loss.backward().get(w);
//! assert_eq!(gradient.shape(), [2, 1]);
//! ```
//!
//! - [`ops!`] defines ops, with a line for the value and for each rule; [`Op`] is the trait behind it. Built-in ops and
//!   yours take the same route.
//! - [`parameters!`] defines a struct of parameters that can be put on a tape, mapped, zipped, saved and trained.
//! - The crate `rewind-check` compares gradients with differences, to second order, and names the op at fault.
//! - [`mod@derive`] gives Jacobians, Hessians, their products with vectors, and gradients per sample.
//! - [`nonfinite`] finds the op that produced a NaN or an infinity.

mod checkpoint;
pub mod derive;
mod gradients;
mod graph;
mod inspect;
mod kernels;
mod list;
mod matrix;
mod naming;
pub mod nonfinite;
mod op;
pub mod ops;
pub mod parameters;
mod scalar;
mod scopes;
pub mod shape;
mod storage;
mod sums;
mod sweep;
mod tape;
mod tensor;

pub use checkpoint::checkpoint;
pub use gradients::Gradients;
pub use graph::Reads;
pub use inspect::{NodeInfo, NodeOp};
pub use list::List;
pub use op::{Op, Site, Term};
pub use parameters::{Module, OnTape, Parameters};
pub use scalar::Scalar;
pub use tape::{Scope, Tape, Var};
pub use tensor::Tensor;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
