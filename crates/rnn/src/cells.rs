//! The cells, a file each: a struct of parameters, and the equations of one time step.

mod built_in;
mod coupled;
mod gru;
pub(crate) mod heads;
mod indrnn;
mod layer_norm;
mod lstm;
mod mgu;
mod peephole;
mod projected;
mod relu;
mod tanh;

pub use coupled::CoupledLstm;
pub use gru::{Gru, Reset};
pub use indrnn::IndRnn;
pub use layer_norm::LayerNormLstm;
pub use lstm::{Lstm, LstmState};
pub use mgu::Mgu;
pub use peephole::PeepholeLstm;
pub use projected::ProjectedLstm;
pub use relu::ReluRnn;
pub use tanh::TanhRnn;
