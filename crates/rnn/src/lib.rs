//! Recurrent networks as graphs of differentiable ops.

pub mod batch;
mod cell;
pub mod checkpoint;
pub mod clip;
mod gru;
pub mod init;
mod linear;
pub mod loss;
mod lstm;
pub mod optim;
pub mod shards;
mod tanh;
pub mod torch;
mod unroll;

pub use cell::{Cell, State};
pub use gru::{Gru, Reset};
pub use linear::Linear;
pub use lstm::{Lstm, LstmState};
pub use rewind_autograd as autograd;
pub use shards::Shards;
pub use tanh::TanhRnn;
pub use unroll::{FirstState, Given, Unroll, Unrolled, unroll};

/// Panics at the caller's line if a cell would have no input or no unit.
#[track_caller]
fn check_sizes(cell: &str, inputs: usize, hidden: usize) {
    if inputs == 0 || hidden == 0 {
        panic!("{cell}: {inputs} inputs and {hidden} hidden units; expected at least one of each");
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
