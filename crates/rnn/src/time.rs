//! Time: cells unrolled over sequences, whole or in segments.

pub mod segments;
mod unroll;

pub use unroll::{Unroll, Unrolled, unroll};
