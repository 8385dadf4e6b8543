//! Time: cells unrolled over sequences, whole or in segments, and the protocol of layers.

mod carried;
mod how;
mod layer;
pub mod segments;
mod stream;
mod truncated;
mod unroll;

pub use carried::StreamState;
pub use layer::{Layer, LayerModule, LayerOutputs, Recurrent};
pub use stream::Stream;
pub use truncated::{TruncatedBptt, Window};
pub use unroll::{Unroll, Unrolled, unroll};
