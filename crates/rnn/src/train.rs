//! Training: optimisers and schedules, clipping, accumulation, averages, early stopping, and a batch on several threads.

mod accumulate;
mod average;
pub mod clip;
mod early;
pub mod optim;
mod progress;
pub mod resume;
mod shards;

pub use accumulate::Accumulator;
pub use average::Average;
pub use early::EarlyStopping;
pub use progress::Progress;
pub use shards::{ShardedStep, Shards};
