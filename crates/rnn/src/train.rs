//! Training: optimisers and schedules, clipping, accumulation, averages, early stopping, and a batch on several threads.

mod accumulate;
mod average;
pub mod clip;
mod early;
pub mod optim;
mod progress;
#[cfg(feature = "mpi")]
mod ranks;
pub mod resume;
mod shards;

pub use accumulate::Accumulator;
pub use average::Average;
pub use early::EarlyStopping;
pub use progress::Progress;
#[cfg(feature = "mpi")]
pub use ranks::Ranks;
pub use shards::{ShardedStep, Shards};
