//! Training: optimisers, clipping, and a batch on several threads.

pub mod clip;
pub mod optim;
mod shards;

pub use shards::{ShardedStep, Shards};
