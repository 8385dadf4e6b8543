//! Time: cells unrolled over sequences, whole, in segments or in chunks.

mod chunks;
pub mod segments;
mod unroll;

pub use chunks::Chunks;
pub use unroll::{Unroll, Unrolled, unroll};
