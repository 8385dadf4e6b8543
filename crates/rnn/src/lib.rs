//! Recurrent networks on the tape of [`rewind_autograd`]: what it takes to train a cell, save it and load it again.
//!
//! - [`batch`]: sequences of varying length as padded batches of similar lengths.
//! - [`loss`]: losses per time step, at the last step, and their sum.
//! - [`optim`], [`clip`]: first-order optimisers and gradient clipping.
//! - [`init`]: seeded initialisers.
//! - [`Linear`]: the read-out.
//! - [`checkpoint`]: any module as a safetensors file.

pub mod batch;
pub mod checkpoint;
pub mod clip;
pub mod init;
mod linear;
pub mod loss;
mod non_finite;
pub mod optim;

pub use linear::Linear;
pub use non_finite::NonFinite;
