//! Time: cells unrolled over sequences, whole or in segments, and the protocol of layers.

mod layer;
pub mod segments;
mod stream;
mod unroll;

pub use layer::{Layer, LayerModule, LayerOutputs, Recurrent};
pub use stream::{Stream, TruncatedBptt, Window};
pub use unroll::{Unroll, Unrolled, unroll};
