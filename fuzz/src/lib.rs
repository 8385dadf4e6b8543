//! What the fuzz targets share: files for readers that take a path, bounds on time and memory, seeds.

mod bounds;
mod files;
pub mod networks;
pub mod tensors;

pub use bounds::Bound;
pub use files::{Folder, seed};
