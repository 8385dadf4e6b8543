//! Time: cells unrolled over sequences, whole, in segments or in chunks, and the protocol of layers.

mod chunks;
mod layer;
pub mod segments;
mod stream;
mod unroll;

pub use chunks::Chunks;
pub use layer::{Layer, LayerModule, LayerOutputs, Recurrent};
pub use stream::{Stream, TruncatedBptt, Window};
pub use unroll::{Unroll, Unrolled, unroll};
