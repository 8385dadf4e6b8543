//! Layers: what maps a sequence to a sequence.

mod linear;
mod linear_recurrent;

pub use linear::Linear;
