//! Data: padded batches, files of modules and runs, and the layouts of PyTorch.

pub mod batch;
pub mod file;
pub mod torch;
