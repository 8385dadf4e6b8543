//! The cells, a file each: a struct of parameters, and the equations of one time step.

mod gru;
mod lru;
mod lstm;
mod min_gru;
mod min_lstm;
mod tanh;

pub use gru::{Gru, Reset};
pub use lru::Lru;
pub use lstm::{Lstm, LstmState};
pub use min_gru::MinGru;
pub use min_lstm::MinLstm;
pub use tanh::TanhRnn;
