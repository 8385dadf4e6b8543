//! Losses, optimisers, the parts of a run, files.

mod average;
mod clip;
mod error;
mod file;
mod init;
mod keras;
mod loss;
mod loss_weights;
mod optim;
mod reference;
#[path = "../../../autograd/tests/suite/refused.rs"]
mod refused;
mod resume;
mod schedule;
mod torch_file;
mod torch_misfits;
mod torch_stack;
