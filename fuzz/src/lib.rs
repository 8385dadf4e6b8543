//! What the fuzz targets share: files for readers that take a path, bounds on time and memory, seeds and large inputs.

mod bounds;
mod files;
pub mod large;
pub mod networks;
pub mod tensors;

pub use bounds::Bound;
pub use files::{Folder, seed, seed_up_to};
