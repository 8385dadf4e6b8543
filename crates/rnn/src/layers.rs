//! Layers: what maps a sequence to a sequence.

mod linear;

pub use linear::Linear;
