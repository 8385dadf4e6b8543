//! Time: cells unrolled over sequences, whole, in segments or in chunks, and the protocol of layers.

mod carried;
mod chunks;
mod how;
mod layer;
pub mod segments;
mod stream;
mod truncated;
mod unroll;

pub use carried::StreamState;
pub use chunks::Chunks;
pub use layer::{Layer, LayerModule, LayerOutputs, Recurrent};
pub use stream::Stream;
pub use truncated::{TruncatedBptt, Window};
pub use unroll::{Unroll, Unrolled, unroll};
