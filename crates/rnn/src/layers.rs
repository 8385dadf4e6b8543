//! Layers: what maps a sequence to a sequence.

mod bidirectional;
mod dropout;
mod in_chunks;
mod linear;
mod linear_recurrent;
mod norm;
mod residual;
mod scan;
mod stack;

pub use bidirectional::{Bidirectional, Merge};
pub use dropout::Dropout;
pub use in_chunks::InChunks;
pub use linear::Linear;
pub use linear_recurrent::LinearRecurrence;
pub use norm::LayerNorm;
pub use residual::Residual;
pub use scan::Scan;
