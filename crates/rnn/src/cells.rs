//! The cells, a file each: a struct of parameters, and the equations of one time step.

mod gru;
mod heads;
mod lstm;
mod tanh;

pub use gru::{Gru, Reset};
pub use lstm::{Lstm, LstmState};
pub use tanh::TanhRnn;
