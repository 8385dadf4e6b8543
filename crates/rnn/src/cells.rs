//! The cells, a file each: a struct of parameters, and the equations of one time step.

mod built_in;
mod coupled;
mod exponential;
mod gru;
pub(crate) mod heads;
mod indrnn;
mod layer_norm;
mod lru;
mod lstm;
mod mgu;
mod min_gru;
mod min_lstm;
mod mlstm;
mod peephole;
mod projected;
mod relu;
mod slstm;
mod tanh;

pub use coupled::CoupledLstm;
pub use exponential::ForgetGate;
pub use gru::{Gru, Reset};
pub use indrnn::IndRnn;
pub use layer_norm::LayerNormLstm;
pub use lru::Lru;
pub use lstm::{Lstm, LstmState};
pub use mgu::Mgu;
pub use min_gru::MinGru;
pub use min_lstm::MinLstm;
pub(crate) use mlstm::{HeadSizes, norm, scaled};
pub use mlstm::{MLstm, MLstmState};
pub use peephole::PeepholeLstm;
pub use projected::ProjectedLstm;
pub use relu::ReluRnn;
pub use slstm::{SLstm, SLstmState};
pub use tanh::TanhRnn;
