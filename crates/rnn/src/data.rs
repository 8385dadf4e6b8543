//! Data: padded batches, files of modules and runs, and the layouts of PyTorch and Keras.

pub mod batch;
pub mod file;
pub mod keras;
pub mod torch;
